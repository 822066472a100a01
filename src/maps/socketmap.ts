/** Sendmail's socketmap protocol (socketmap_table(5)): netstrings over connections that are kept, a question at a time each. */
import { createConnection, type Socket } from 'node:net';
import { type Answer, known, type Patience, unknown } from '../asking/answer.ts';
import { type Found, type MapServer, NOT_THERE } from './map-server.ts';
import type { SocketAddress } from './map-spec.ts';

type Reply = Answer<Found>;

/** Bytes of a reply, as Postfix bounds it. */
const MAX_REPLY = 100_000;
/** An idle connection is closed after so long. */
const IDLE_MS = 10_000;
/** Connections to one server; further questions wait for one of them, within their own time. */
const MAX_CONNECTIONS = 20;

export class Socketmap implements MapServer {
  readonly address: string;
  readonly #where: SocketAddress;
  readonly #name: string;
  readonly #idle: Channel[] = [];
  #open = 0;
  readonly #queue: (() => void)[] = [];

  constructor(address: SocketAddress, name: string) {
    this.#where = address;
    this.#name = name;
    const where = address.kind === 'unix' ? address.path : `${address.host}:${address.port}`;
    this.address = `socketmap at ${where}`;
  }

  /** @param key latin1 */
  lookUp(key: string, { timeoutMs, cancelled }: Patience): Promise<Reply> {
    return new Promise((resolve) => {
      let channel: Channel | undefined;
      let isOver = false;
      const settle = (answer: Reply, isWhole: boolean) => {
        if (isOver) return;
        isOver = true;
        clearTimeout(timer);
        cancelled.removeEventListener('abort', cancel);
        if (channel) this.#giveBack(channel, isWhole);
        resolve(answer);
      };
      const late = () =>
        settle(unknown('timeout', `${this.address}: no answer in ${timeoutMs / 1000} s`), false);
      const timer = setTimeout(late, timeoutMs);
      const cancel = () => settle(unknown('unavailable', `${this.address}: cancelled`), false);
      cancelled.addEventListener('abort', cancel, { once: true });
      const begin = () => {
        if (isOver) {
          this.#next();
          return;
        }
        channel = this.#idle.pop() ?? this.#connect();
        channel.ask(`${this.#name} ${key}`, (answer) =>
          settle(answer, answer.kind === 'known' || channel?.isOpen === true),
        );
      };
      if (cancelled.aborted) cancel();
      else if (this.#idle.length > 0 || this.#open < MAX_CONNECTIONS) begin();
      else this.#queue.push(begin);
    });
  }

  /** What is under way goes on. */
  close(): void {
    for (const channel of [...this.#idle]) channel.close();
  }

  #connect(): Channel {
    this.#open += 1;
    const channel: Channel = new Channel(this.#where, this.address, () => {
      this.#open -= 1;
      const place = this.#idle.indexOf(channel);
      if (place >= 0) this.#idle.splice(place, 1);
    });
    return channel;
  }

  /** @param isWhole its answer has come: the connection can be used again */
  #giveBack(channel: Channel, isWhole: boolean): void {
    if (isWhole && channel.isOpen) this.#idle.push(channel);
    else channel.close();
    this.#next();
  }

  #next(): void {
    this.#queue.shift()?.();
  }
}

/** One connection. */
class Channel {
  readonly #socket: Socket;
  readonly #subject: string;
  #received: Buffer[] = [];
  #size = 0;
  #take: ((answer: Reply) => void) | undefined;
  isOpen = true;

  constructor(address: SocketAddress, subject: string, closed: () => void) {
    this.#subject = subject;
    const socket = createConnection(
      address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port },
    );
    this.#socket = socket;
    socket.setTimeout(IDLE_MS, () => {
      if (!this.#take) socket.destroy();
    });
    socket.on('data', (bytes: Buffer) => {
      this.#received.push(bytes);
      this.#size += bytes.length;
      this.#read();
    });
    let reason = 'closed without an answer';
    socket.on('error', (error: NodeJS.ErrnoException) => {
      reason = error.code ?? error.message;
    });
    socket.on('close', () => {
      this.isOpen = false;
      closed();
      this.#settle(unknown('unavailable', `${subject}: ${reason}`));
    });
  }

  ask(question: string, take: (answer: Reply) => void): void {
    this.#take = take;
    const bytes = Buffer.from(question, 'latin1');
    this.#socket.ref();
    this.#socket.write(Buffer.concat([Buffer.from(`${bytes.length}:`), bytes, Buffer.from(',')]));
  }

  close(): void {
    this.isOpen = false;
    this.#socket.destroy();
  }

  #settle(answer: Reply): void {
    const take = this.#take;
    this.#take = undefined;
    // An idle connection keeps no process alive.
    this.#socket.unref();
    take?.(answer);
  }

  #read(): void {
    const bytes =
      this.#received.length === 1 ? (this.#received[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#received);
    this.#received = [bytes];
    const colon = bytes.indexOf(':');
    const digits = bytes.toString('latin1', 0, colon < 0 ? Math.min(bytes.length, 20) : colon);
    const length = /^\d{1,9}$/.test(digits) ? Number(digits) : Number.POSITIVE_INFINITY;
    const end = colon + 1 + length;
    const isTooLong = length > MAX_REPLY || (colon >= 0 && this.#size > end + 1);
    const isWhole = colon >= 0 && this.#size > end;
    if (isTooLong || !this.#take || (isWhole && bytes[end] !== 0x2c)) {
      this.#nonsense();
      return;
    }
    if (!isWhole) return;
    this.#received = [];
    this.#size = 0;
    this.#settle(this.#answerOf(bytes.toString('latin1', colon + 1, end)));
  }

  #nonsense(): void {
    this.close();
    this.#settle(unknown('protocol', `${this.#subject}: no netstring, or one that nobody has asked for`));
  }

  #answerOf(reply: string): Reply {
    const space = reply.indexOf(' ');
    const word = space < 0 ? reply : reply.slice(0, space);
    const text = space < 0 ? '' : reply.slice(space + 1);
    switch (word) {
      case 'OK':
        return known(known(text));
      case 'NOTFOUND':
        return known(NOT_THERE);
      case 'TIMEOUT':
        return known(unknown('timeout', `${this.#subject}: ${text}`));
      case 'TEMP':
      case 'PERM':
        return known(unknown('unavailable', `${this.#subject}: ${word} ${text}`));
      default:
        return unknown('protocol', `${this.#subject}: unknown reply`);
    }
  }
}
