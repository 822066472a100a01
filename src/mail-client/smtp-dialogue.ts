/** One connection to a mail server: commands and their replies, one time for all of them. */
import { createConnection, type LookupFunction, type Socket } from 'node:net';
import { OURS } from './own-addresses.ts';

export interface Reply {
  readonly code: number;
  /** Its lines without code, joined by LF; latin1, printable. */
  readonly text: string;
}

/** A server talks in replies; what fails on the way is told by its `kind`. */
export class DialogueFailure extends Error {
  readonly kind: 'timeout' | 'unavailable' | 'protocol' | 'refused';

  constructor(kind: DialogueFailure['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Bytes of one reply, all its lines together. */
const MAX_REPLY = 16 * 1024;

export class SmtpDialogue {
  readonly #socket: Socket;
  #received = '';
  #failure: DialogueFailure | undefined;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#received += text;
      this.#wake();
    });
    socket.on('end', () => this.#fail(new DialogueFailure('unavailable', 'closed the connection')));
    socket.on('close', () => this.#fail(new DialogueFailure('unavailable', 'closed the connection')));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const kind = error.code === OURS ? 'refused' : 'unavailable';
      this.#fail(
        new DialogueFailure(kind, error.code === OURS ? error.message : (error.code ?? error.message)),
      );
    });
  }

  /** @param lookup which address a name leads to @param signal ends it: every wait fails then, with its reason */
  static open(host: string, port: number, lookup: LookupFunction, signal: AbortSignal): SmtpDialogue {
    const dialogue = new SmtpDialogue(createConnection({ host, port, lookup }));
    const end = () => {
      const { reason } = signal;
      dialogue.#fail(
        reason instanceof DialogueFailure ? reason : new DialogueFailure('unavailable', 'cancelled'),
      );
      dialogue.close();
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
    return dialogue;
  }

  /** @param line without CRLF; latin1 @throws DialogueFailure */
  async say(line: string): Promise<Reply> {
    if (this.#failure === undefined) this.#socket.write(`${line}\r\n`, 'latin1');
    return this.reply();
  }

  /** The next reply. @throws DialogueFailure */
  async reply(): Promise<Reply> {
    const texts: string[] = [];
    let size = 0;
    for (;;) {
      const line = await this.#line();
      size += line.length;
      const [, code, mark, text = ''] = /^([2-5]\d\d)([ -]|$)(.*)$/s.exec(line) ?? [];
      if (code === undefined || size > MAX_REPLY) {
        throw new DialogueFailure('protocol', `no reply of SMTP: ${printable(line).slice(0, 100)}`);
      }
      texts.push(printable(text));
      if (mark !== '-') return { code: Number(code), text: texts.join('\n') };
    }
  }

  /** Says good-bye without waiting for an answer. */
  quit(): void {
    if (this.#failure === undefined) this.#socket.end('QUIT\r\n');
    this.#socket.setTimeout(2000, () => this.#socket.destroy());
  }

  close(): void {
    this.#socket.destroy();
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#received.indexOf('\n');
      if (end >= 0) {
        const line = this.#received.slice(0, end).replace(/\r$/, '');
        this.#received = this.#received.slice(end + 1);
        return line;
      }
      if (this.#received.length > MAX_REPLY) throw new DialogueFailure('protocol', 'a line without end');
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #fail(failure: DialogueFailure): void {
    this.#failure ??= failure;
    this.#wake();
  }
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\x80-\xff]/g, '?');
}
