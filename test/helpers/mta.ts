/**
 * The MTA's side of a milter connection, for tests that drive a filter over a socket: it keeps to what was negotiated as
 * Postfix and Sendmail do, and reads replies from the bytes alone.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { mta } from './packet-builder.ts';

/** A final reply; `text` is the SMTP reply of 'y', with its code. `modifications` came before it. */
export interface Reply {
  readonly letter: string;
  readonly text: string;
  readonly modifications: readonly { readonly letter: string; readonly payload: Buffer }[];
}

const NO = { C: 0x1, H: 0x2, M: 0x4, R: 0x8, B: 0x10, L: 0x20, N: 0x40, U: 0x100, T: 0x200, E: 0 } as const;
const NR = {
  C: 0x1000,
  H: 0x2000,
  M: 0x4000,
  R: 0x8000,
  T: 0x10000,
  U: 0x20000,
  N: 0x40000,
  B: 0x80000,
  L: 0x80,
  E: 0,
} as const;
type Letter = keyof typeof NO;

const NOT_SENT: Reply = { letter: 'c', text: '', modifications: [] };
const MODIFICATIONS = 'h i m b e + 2 - q'.split(' ');

export interface Address {
  readonly port: number;
}

export class Mta {
  readonly socket: Socket;
  actions = 0;
  protocol = 0;
  version = 0;
  progress = 0;
  #received = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake?.();
    });
    socket.on('close', () => {
      this.#ended = true;
      this.#wake?.();
    });
    socket.on('error', () => {});
  }

  /** Connects and negotiates; Postfix's and Sendmail's offer unless told otherwise. */
  static async open(address: Address, version = 6, actions = 0x1ff, protocol = 0x1fffff): Promise<Mta> {
    // Otherwise the kernel keeps a packet back for up to 40 ms, until the one before it is acknowledged.
    const socket = connect({ port: address.port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    const self = new Mta(socket);
    socket.write(mta.optneg(version, actions, protocol));
    const { letter, payload } = await self.packet();
    if (letter !== 'O') throw new Error(`negotiation answered with ${letter}`);
    self.version = payload.readUInt32BE(0);
    self.actions = payload.readUInt32BE(4);
    self.protocol = payload.readUInt32BE(8);
    return self;
  }

  async packet(): Promise<{ letter: string; payload: Buffer }> {
    for (;;) {
      if (this.#received.length >= 4) {
        const length = this.#received.readUInt32BE(0);
        if (this.#received.length >= 4 + length) {
          const letter = String.fromCharCode(this.#received[4] ?? 0);
          const payload = this.#received.subarray(5, 4 + length);
          this.#received = this.#received.subarray(4 + length);
          return { letter, payload };
        }
      }
      if (this.#ended) throw new Error('the filter closed the connection');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async reply(): Promise<Reply> {
    const modifications: { letter: string; payload: Buffer }[] = [];
    for (;;) {
      const { letter, payload } = await this.packet();
      if (letter === 'p') this.progress += 1;
      else if (MODIFICATIONS.includes(letter)) modifications.push({ letter, payload });
      else {
        const text = letter === 'y' ? payload.subarray(0, -1).toString('latin1').replaceAll('%%', '%') : '';
        return { letter, text, modifications };
      }
    }
  }

  async #say(letter: Letter, bytes: Buffer): Promise<Reply> {
    if ((this.protocol & NO[letter]) !== 0) return NOT_SENT;
    this.socket.write(bytes);
    return (this.protocol & NR[letter]) !== 0 ? NOT_SENT : this.reply();
  }

  macro(letter: string, ...strings: readonly string[]): void {
    this.socket.write(mta.macro(letter, ...strings));
  }

  connect(ip: string, hostname = `[${ip}]`): Promise<Reply> {
    return this.#say('C', mta.connect(hostname, ip.includes(':') ? '6' : '4', 4242, ip));
  }

  helo(name: string): Promise<Reply> {
    return this.#say('H', mta.helo(name));
  }

  mail(address: string, ...params: readonly string[]): Promise<Reply> {
    return this.#say('M', mta.mail(address, ...params));
  }

  rcpt(address: string, ...params: readonly string[]): Promise<Reply> {
    return this.#say('R', mta.rcpt(address, ...params));
  }

  data(): Promise<Reply> {
    return this.version < 4 ? Promise.resolve(NOT_SENT) : this.#say('T', mta.data());
  }

  unknown(line: string): Promise<Reply> {
    return this.#say('U', mta.unknown(line));
  }

  /** Headers as name and whole value, body chunks, end of message; the first reply that is not `continue`, or the last. */
  async content(
    headers: readonly (readonly [string, string])[],
    ...chunks: readonly (Buffer | string)[]
  ): Promise<Reply> {
    const events: [Letter, Buffer][] = [
      ...headers.map(([name, value]): [Letter, Buffer] => ['L', mta.header(name, value)]),
      ['N', mta.eoh()],
      ...chunks.map((chunk): [Letter, Buffer] => ['B', mta.body(chunk)]),
    ];
    for (const [letter, bytes] of events) {
      const reply = await this.#say(letter, bytes);
      if (reply.letter !== 'c') return reply;
    }
    return this.#say('E', mta.eom());
  }

  abort(): void {
    this.socket.write(mta.abort());
  }

  async quit(): Promise<void> {
    this.socket.write(mta.quit());
    this.socket.end();
    if (!this.#ended) await once(this.socket, 'close');
  }

  /** Closes without a word, as a crash does. */
  async drop(): Promise<void> {
    this.socket.destroy();
    if (!this.#ended) await once(this.socket, 'close');
  }
}
