/** Plays a session as an MTA does: waits for each reply that is due, and keeps to what the reply means. */
import { connect, type Socket } from 'node:net';
import { mta } from '../helpers/packet-builder.ts';

/** A command's letter and its text. */
export type Line = readonly [letter: string, text?: string];

/** No filter here takes longer: it will not answer. */
const SILENCE_MS = 30_000;
/** How often a stream is sent at most. */
const TRIES = 20;

const NO_REPLY_BIT: Readonly<Record<string, number>> = { L: 0x80, N: 0x40000, B: 0x80000 };

export function bytesOf([letter, text = '']: Line): Buffer {
  switch (letter) {
    case 'C':
      return mta.connect(`client${text}.example`, '4', 4242, '192.0.2.7');
    case 'H':
      return mta.helo(`helo${text}.example`);
    case 'M':
      return mta.mail(`<sender${text}@a.example>`, 'SIZE=42');
    case 'R':
      return mta.rcpt(`<rcpt${text}@b.example>`);
    case 'T':
      return mta.data();
    case 'L':
      return mta.header('Subject', ` value${text}`);
    case 'N':
      return mta.eoh();
    case 'B':
      return mta.body(`body${text}\r\n`);
    case 'E':
      return mta.eom(text === '' ? '' : `last${text}`);
    case 'U':
      return mta.unknown(`WHAT${text}`);
    case 'D':
      return mta.macro(text, 'i', 'Q1');
    case 'A':
      return mta.abort();
    case 'K':
      return mta.quitNc();
    case 'Q':
      return mta.quit();
    default:
      throw new Error(`no such command: ${letter}`);
  }
}

/** All that is said, as one stream, with the negotiation before it. */
export function streamOf(offer: Offer, lines: readonly Line[]): Buffer {
  return Buffer.concat([mta.optneg(...offer), ...lines.map(bytesOf)]);
}

/** The letters of a stream of packets. */
export function lettersOf(stream: Buffer): string {
  let letters = '';
  for (let at = 0; at < stream.length; at += 4 + stream.readUInt32BE(at))
    letters += stream.toString('latin1', at + 4, at + 5);
  return letters;
}

export type Offer = readonly [version: number, actions: number, protocol: number];

export class MtaSide {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #isCut = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#isCut = error.syscall === 'write';
    });
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** `where` is a TCP port of this host, or the path of a unix socket. */
  static async to(where: number | string): Promise<MtaSide> {
    const socket = typeof where === 'number' ? connect(where, '127.0.0.1') : connect(where);
    socket.setNoDelay();
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new MtaSide(socket);
  }

  /** @returns what was answered to each line, as `C: c`. */
  async play(offer: Offer, lines: readonly Line[]): Promise<string[]> {
    const said: string[] = [];
    this.#socket.write(mta.optneg(...offer));
    const answer = await this.#packet();
    said.push(`O: ${answer?.toString('hex')}`);
    const protocol = answer?.readUInt32BE(13) ?? 0;
    /** Commands that the MTA leaves out until it comes to one that is none of these. */
    let left = '';
    for (const line of lines) {
      const [letter] = line;
      if (left.includes(letter)) continue;
      if (!'DU'.includes(letter)) left = '';
      else if (letter === 'D' && left !== '') continue;
      this.#socket.write(bytesOf(line));
      if ('ADQK'.includes(letter) || (protocol & (NO_REPLY_BIT[letter] ?? 0)) !== 0) continue;
      const replies: string[] = [];
      let reply = '';
      do {
        const packet = await this.#packet();
        if (!packet) return [...said, `${letter}: ${[...replies, 'no answer'].join(' ')}`];
        reply = packet.toString('latin1', 4, 5);
        replies.push(packet.length === 5 ? reply : JSON.stringify(packet.toString('latin1', 4)));
      } while ('+2-ehimbqp'.includes(reply));
      said.push(`${letter}: ${replies.join(' ')}`);
      if (letter !== 'U') left = leftOut(letter, reply);
      if (left === '*') break;
    }
    this.#socket.write(mta.quit());
    said.push(...(await this.#rest()));
    return said;
  }

  /** @returns all bytes answered to a stream that is sent at once, to `where` as above. */
  static async pour(where: number | string, stream: Buffer): Promise<Buffer> {
    for (let tries = 1; ; tries += 1) {
      const side = await MtaSide.to(where);
      const answered = await side.#pour(stream);
      // Where a filter closes the connection in the middle of the write, Node.js reads no more of what was answered.
      if (!side.#isCut || tries === TRIES) return answered;
    }
  }

  async #pour(stream: Buffer): Promise<Buffer> {
    this.#socket.write(stream);
    const deadline = performance.now() + SILENCE_MS;
    while (!this.#ended && performance.now() < deadline) await this.#more(deadline - performance.now());
    this.#socket.destroy();
    return this.#received;
  }

  async #rest(): Promise<string[]> {
    const packet = await this.#packet();
    this.#socket.destroy();
    if (packet) return [`Q: ${packet.toString('hex')}`];
    return this.#ended ? [] : ['not closed after QUIT'];
  }

  async #packet(): Promise<Buffer | undefined> {
    const deadline = performance.now() + SILENCE_MS;
    for (;;) {
      const bytes = this.#received;
      if (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE(0)) {
        const end = 4 + bytes.readUInt32BE(0);
        this.#received = bytes.subarray(end);
        return bytes.subarray(0, end);
      }
      const left = deadline - performance.now();
      if (this.#ended || left <= 0) return undefined;
      await this.#more(left);
    }
  }

  async #more(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
  }
}

/** The commands that an MTA does not send after a reply; `*` for all of them. */
function leftOut(letter: string, reply: string): string {
  const final = 'artyd'.includes(reply);
  switch (letter) {
    case 'C':
      return final ? '*' : '';
    case 'H':
      return final ? '*' : '';
    case 'R':
      return reply === 'a' || reply === 'd' ? 'RTLNBE' : '';
    case 'B':
      return reply === 's' ? 'B' : final ? 'BE' : '';
    default:
      return final ? 'RTLNBE' : '';
  }
}
