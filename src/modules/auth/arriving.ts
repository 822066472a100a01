/** The message of a session while it arrives, as `auth.check` will see it: byte for byte, whatever the script edits. */
import { unknown } from '../../asking/answer.ts';
import { type Host, PerState } from '../../lua/engine/host.ts';
import type { CheckedMessage } from '../../mail-auth/check.ts';
import { ArrivingMessage } from '../../mail-auth/dkim-verify.ts';
import type { Field } from '../../mail-auth/field.ts';
import type { Asker } from '../../mail-auth/look-ups.ts';
import type { MessageListener } from '../message-listener.ts';

/** Who asks is known only when the script wants the answers. */
class LateAsker implements Asker {
  by: Asker | undefined;

  readonly ask: Asker['ask'] = (type, name) =>
    this.by?.ask(type, name) ?? Promise.resolve(unknown('unavailable', `${type} ${name}: nobody asks yet`));

  readonly recall: Asker['recall'] = (type, name) => this.by?.recall(type, name);
}

export class Arriving implements MessageListener {
  readonly message: ArrivingMessage;
  readonly #host: Host;
  readonly #asker = new LateAsker();
  /** What was found out; undefined before auth.check has ended. */
  #found: CheckedMessage | undefined;
  #isWhole = false;
  #checking: Promise<CheckedMessage> | undefined;

  /** @param lines as Listening.begin takes them */
  constructor(host: Host, lines: readonly string[]) {
    this.#host = host;
    this.message = new ArrivingMessage(lines.map(fieldOf), this.#asker, host.now(), 'relaxed');
  }

  /** @returns undefined before auth.check has ended */
  get found(): CheckedMessage | undefined {
    return this.#found;
  }

  /** Whether all of the message has come. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  complete(): void {
    this.#isWhole = true;
  }

  body(bytes: Buffer): void {
    this.message.body(bytes);
  }

  end(): void {
    if (messages.get(this.#host) === this) messages.delete(this.#host);
  }

  /** Once for each message. */
  check(asker: Asker, check: (message: ArrivingMessage) => Promise<CheckedMessage>): Promise<CheckedMessage> {
    if (this.#checking === undefined) {
      this.#asker.by = asker;
      this.#checking = check(this.message);
      void this.#checking.then((found) => {
        this.#found = found;
      });
    }
    return this.#checking;
  }
}

const messages = new PerState<Arriving>();

export function beginMessage(host: Host, lines: readonly string[]): Arriving {
  const message = new Arriving(host, lines);
  messages.set(host, message);
  return message;
}

/** The message that has arrived, or is about to; undefined where none is listened to. */
export function messageOf(host: Host): Arriving | undefined {
  return messages.get(host);
}

function fieldOf(line: string): Field {
  const colon = line.indexOf(':');
  return { name: line.slice(0, colon), value: line.slice(colon + 1) };
}
