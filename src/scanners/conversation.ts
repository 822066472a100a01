/** One connection to a scanner: one question, its answer, one time for both. */
import { createConnection, type NetConnectOpts, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type Patience, unknown } from '../asking/answer.ts';

/** Where a scanner listens. */
export type ScannerAddress =
  | { readonly kind: 'inet'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export function writtenAddress(address: ScannerAddress): string {
  return address.kind === 'unix' ? `unix:${address.path}` : `inet:${address.port}@${address.host}`;
}

/** A message to be scanned, piece by piece. */
export interface Content {
  readonly size: number;
  pieces(): AsyncIterable<Buffer>;
}

/** Bytes of a piece after which the other side is listened to. */
const LARGE = 32 * 1024;
/** What a scanner says is never longer. */
const MAX_ANSWER = 1024 * 1024;

export class Conversation {
  readonly #socket: Socket;
  readonly #received: Buffer[] = [];
  #size = 0;
  #ended = false;
  /** Why the connection is of no use any more. */
  #failure: string | undefined;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    const ended = () => {
      this.#ended = true;
      this.#wake();
    };
    socket.on('data', (bytes: Buffer) => {
      this.#size += bytes.length;
      if (this.#size > MAX_ANSWER) {
        this.#failure = 'an answer without end';
        socket.destroy();
      } else this.#received.push(bytes);
      this.#wake();
    });
    socket.on('end', ended);
    socket.on('close', ended);
    socket.on('error', (error) => {
      this.#failure ??= error.message;
      ended();
    });
    socket.on('drain', () => this.#wake());
  }

  get failure(): string | undefined {
    return this.#failure;
  }

  /** What has come so far. */
  get received(): Buffer {
    return Buffer.concat(this.#received);
  }

  /** Something has been said, or nothing will be any more: there is no need to go on writing. */
  get isAnswered(): boolean {
    return this.#size > 0 || this.#ended;
  }

  /**
   * Waits while the other side does not read, and after a large piece for a moment: one that has heard enough answers and
   * closes, and its answer is lost to who is writing then.
   */
  async write(bytes: Buffer): Promise<void> {
    if (this.isAnswered) return;
    if (!this.#socket.write(bytes)) {
      while (!this.isAnswered && this.#socket.writableNeedDrain) await this.#next();
    }
    if (bytes.length >= LARGE) await sleep(1);
  }

  /** No more will be written. */
  end(): void {
    this.#socket.end();
  }

  /** All that comes, up to the end of the connection, or until `isWhole` says that it is enough. */
  async answer(isWhole: (received: Buffer) => boolean = () => false): Promise<Buffer> {
    while (!this.#ended && !isWhole(this.received)) await this.#next();
    return this.received;
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/**
 * Connects, talks, and closes the connection. Never rejects: the end of the patience, and all that fails on the way, is
 * `unknown`.
 *
 * @param subject what is asked, for reasons: `clamd at inet:3310@127.0.0.1`
 */
export async function converse<Value>(
  address: ScannerAddress,
  subject: string,
  { timeoutMs, cancelled }: Patience,
  talk: (conversation: Conversation) => Promise<Answer<Value>>,
): Promise<Answer<Value>> {
  const where: NetConnectOpts =
    address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
  if (cancelled.aborted) return unknown('unavailable', `${subject}: cancelled`);
  const socket = createConnection({ ...where, allowHalfOpen: true });
  const conversation = new Conversation(socket);
  let timer: NodeJS.Timeout | undefined;
  let onAbort = () => {};
  const over = new Promise<Answer<Value>>((resolve) => {
    timer = setTimeout(
      () => resolve(unknown('timeout', `${subject}: no answer in ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    onAbort = () => resolve(unknown('unavailable', `${subject}: cancelled`));
    cancelled.addEventListener('abort', onAbort, { once: true });
    socket.once('error', (error) => {
      // Once connected, what was said before counts.
      if (socket.pending || socket.connecting || !conversation.isAnswered) resolve(failed(subject, error));
    });
  });
  const connected = new Promise<void>((resolve) => socket.once('connect', resolve));
  try {
    return await Promise.race([over, connected.then(() => talk(conversation))]);
  } catch (error) {
    return unknown('unavailable', `${subject}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    clearTimeout(timer);
    cancelled.removeEventListener('abort', onAbort);
    socket.destroy();
  }
}

function failed(subject: string, error: NodeJS.ErrnoException): Answer<never> {
  return unknown('unavailable', `${subject}: ${error.code ?? error.message}`);
}

/** A scanner that judges before it has the whole message. */
export function early(subject: string): Answer<never> {
  return unknown('protocol', `${subject}: an answer before the end of the message`);
}
