/**
 * A DNS server of the test's own, for answers and misbehaviour that no real server offers. It imports nothing of src.
 * Layout of messages: RFC 1035 section 4.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

export interface Question {
  /** In lower case, without trailing dot. */
  readonly name: string;
  /** `A`, `TXT`, ... or the number. */
  readonly type: string;
  readonly tcp: boolean;
  /** How often this name and type were asked before. */
  readonly before: number;
}

export interface Reaction {
  readonly rcode?: number;
  /** Records: type, TTL in seconds, data. */
  readonly records?: readonly (readonly [type: string, ttl: number, data: Buffer])[];
  readonly truncated?: boolean;
  readonly delayMs?: number;
  /** The id of the answer is not the question's. */
  readonly wrongId?: boolean;
  /** Sent instead of an answer, behind the question's id. */
  readonly bytes?: Buffer;
}

/** `null` says nothing. */
export type Behaviour = (question: Question) => Reaction | null;

const TYPES: Readonly<Record<string, number>> = { A: 1, NS: 2, PTR: 12, MX: 15, TXT: 16, AAAA: 28 };

export const data = {
  a: (address: string): Buffer => Buffer.from(address.split('.').map(Number)),
  txt: (...strings: readonly string[]): Buffer =>
    Buffer.concat(strings.map((text) => Buffer.from(`${String.fromCharCode(text.length)}${text}`, 'latin1'))),
  name: (name: string): Buffer =>
    Buffer.from(
      `${name
        .split('.')
        .map((label) => `${String.fromCharCode(label.length)}${label}`)
        .join('')}\0`,
      'latin1',
    ),
  mx: (pref: number, host: string): Buffer =>
    Buffer.concat([Buffer.from([pref >> 8, pref & 0xff]), host === '.' ? Buffer.from([0]) : data.name(host)]),
};

export class Responder {
  readonly #behaviour: Behaviour;
  readonly #udp: Socket;
  readonly #tcp: Server;
  readonly questions: Question[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #late = new Set<NodeJS.Timeout>();
  /** Answer SERVFAIL to a question that was left unanswered. */
  readonly #unanswered: (() => void)[] = [];

  private constructor(behaviour: Behaviour, udp: Socket, tcp: Server) {
    this.#behaviour = behaviour;
    this.#udp = udp;
    this.#tcp = tcp;
  }

  static async start(behaviour: Behaviour, host: '127.0.0.1' | '::1' = '127.0.0.1'): Promise<Responder> {
    for (;;) {
      const tcp = createServer().listen(0, host);
      await once(tcp, 'listening');
      const address = tcp.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      const udp = createSocket({ type: host === '::1' ? 'udp6' : 'udp4', recvBufferSize: 4 << 20 });
      udp.bind(port, host);
      const bound = await once(udp, 'listening').then(
        () => true,
        () => false, // TCP alone has the port.
      );
      if (!bound) {
        tcp.close();
        continue;
      }
      const responder = new Responder(behaviour, udp, tcp);
      udp.on('message', (message, { port, address }) =>
        responder.#react(message, false, (answer) => udp.send(answer, port, address, () => {})),
      );
      tcp.on('connection', (socket) => {
        let received = Buffer.alloc(0);
        socket.on('error', () => {});
        socket.on('data', (bytes) => {
          received = Buffer.concat([received, bytes]);
          while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
            const end = 2 + received.readUInt16BE(0);
            responder.#react(received.subarray(2, end), true, (answer) => {
              socket.write(Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 0xff]), answer]));
            });
            received = received.subarray(end);
          }
        });
      });
      return responder;
    }
  }

  get port(): number {
    return this.#udp.address().port;
  }

  /** As `--dns-server` takes it. */
  get server(): string {
    const { address, family } = this.#udp.address();
    return family === 'IPv6' ? `[${address}]:${this.port}` : `${address}:${this.port}`;
  }

  asked(name: string): number {
    return this.questions.filter((question) => question.name === name).length;
  }

  /** Waits until a name has been asked `count` times. */
  async until(name: string, count = 1): Promise<void> {
    while (this.asked(name) < count) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
    }
  }

  /** Whom it left without an answer is told at last: a resolver that went on waiting would keep the test from ending. */
  close(): void {
    for (const answer of this.#unanswered) answer();
    for (const timer of this.#late) clearTimeout(timer);
    setImmediate(() => this.#udp.close());
    this.#tcp.close();
  }

  #react(message: Buffer, tcp: boolean, send: (answer: Buffer) => void): void {
    const labels: string[] = [];
    let at = 12;
    for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
      labels.push(message.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const name = labels.join('.').toLowerCase();
    const number = message.readUInt16BE(at + 1);
    const type = Object.keys(TYPES).find((known) => TYPES[known] === number) ?? String(number);
    const before = this.questions.filter((one) => one.name === name && one.type === type).length;
    const question = { name, type, tcp, before };
    this.questions.push(question);
    const reaction = this.#behaviour(question);
    if (reaction === null) {
      this.#unanswered.push(() => send(answerTo(message.subarray(0, at + 5), { rcode: 2 })));
    } else {
      const answer = answerTo(message.subarray(0, at + 5), reaction);
      if (reaction.delayMs === undefined) send(answer);
      else this.#late.add(setTimeout(send, reaction.delayMs, answer));
    }
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

function answerTo(asked: Buffer, reaction: Reaction): Buffer {
  if (reaction.bytes !== undefined) return Buffer.concat([asked.subarray(0, 2), reaction.bytes]);
  const head = Buffer.from(asked);
  const records = reaction.records ?? [];
  head[2] = 0x81 | (reaction.truncated ? 0x02 : 0);
  head[3] = 0x80 | (reaction.rcode ?? 0);
  head.writeUInt16BE(records.length, 6);
  head.writeUInt32BE(0, 8);
  if (reaction.wrongId) head.writeUInt16BE(head.readUInt16BE(0) ^ 0x5555, 0);
  const bodies = records.map(([type, ttl, bytes]) => {
    const fixed = Buffer.from([0xc0, 12, 0, TYPES[type] ?? 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    fixed.writeUInt32BE(ttl, 6);
    fixed.writeUInt16BE(bytes.length, 10);
    return Buffer.concat([fixed, bytes]);
  });
  return Buffer.concat([head, ...bodies]);
}
