/**
 * The hash of a body in its simple form, for signatures with `c=relaxed/simple` or `simple/simple`. It is made while the
 * body arrives, when nobody knows yet how the script will sign: of scripts in which one of these texts stands.
 */
import { type Host, PerState } from '../../lua/engine/host.ts';
import { BodyHash } from '../../mail-auth/body-hash.ts';
import type { MessageListener } from '../message-listener.ts';

export const SIMPLE_BODY_FORMS = ['relaxed/simple', 'simple/simple'] as const;

const bodies = new PerState<SimpleBody>();

export class SimpleBody implements MessageListener {
  readonly #host: Host;
  readonly #hash = new BodyHash('simple');
  #isWhole = false;

  constructor(host: Host) {
    this.#host = host;
  }

  body(bytes: Buffer): void {
    this.#hash.update(bytes);
  }

  complete(): void {
    this.#isWhole = true;
    this.#hash.end();
  }

  end(): void {
    if (bodies.get(this.#host) === this) bodies.delete(this.#host);
  }

  /** In base64; undefined where a line was too long, or before all of it has come. */
  get digest(): string | undefined {
    return this.#isWhole ? this.#hash.digest() : undefined;
  }
}

export function beginSimpleBody(host: Host): SimpleBody {
  const body = new SimpleBody(host);
  bodies.set(host, body);
  return body;
}

/** Of the message that has arrived; undefined where the script did not show that it would be wanted. */
export function simpleBodyOf(host: Host): SimpleBody | undefined {
  return bodies.get(host);
}
