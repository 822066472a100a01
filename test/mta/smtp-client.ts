/** An SMTP client that says exactly what it is told to say, byte for byte, and gives back every reply as it came. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { withinLimit } from './deadline.ts';

/** Text is latin1: one character per byte. */
export class SmtpClient {
  #socket: Socket;
  #pending = '';
  #ended = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    this.#listen(socket);
  }

  #listen(socket: Socket): void {
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#pending += text;
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    socket.on('end', end);
    socket.on('close', end);
    socket.on('error', end);
  }

  static async connect(host: string, port: number): Promise<SmtpClient> {
    const socket = connect({ host, port });
    await once(socket, 'connect');
    return new SmtpClient(socket);
  }

  send(text: string): void {
    this.#socket.write(text, 'latin1');
  }

  /** The next reply, all of its lines, joined by LF; `''` when the server closed instead. */
  async reply(): Promise<string> {
    const lines: string[] = [];
    for (;;) {
      const line = await this.#line();
      if (line === undefined) return lines.join('\n');
      lines.push(line);
      if (line[3] !== '-') return lines.join('\n');
    }
  }

  /** Goes on over TLS, once the server has agreed to it; whose certificate it shows does not matter. */
  async startTls(): Promise<void> {
    const plain = this.#socket;
    for (const event of ['data', 'end', 'close']) plain.removeAllListeners(event);
    const secure = connectTls({ socket: plain, rejectUnauthorized: false });
    await withinLimit(once(secure, 'secureConnect'), 'TLS');
    this.#socket = secure;
    this.#listen(secure);
  }

  /** Cuts the connection with a RST: no QUIT, no FIN, whatever is under way. */
  drop(): void {
    this.#socket.resetAndDestroy();
  }

  close(): void {
    this.#socket.destroy();
  }

  /** A line ends at CRLF and nowhere else, so that a bare CR or LF in a reply is seen. */
  async #line(): Promise<string | undefined> {
    for (;;) {
      const end = this.#pending.indexOf('\r\n');
      if (end >= 0) {
        const line = this.#pending.slice(0, end);
        this.#pending = this.#pending.slice(end + 2);
        return line;
      }
      if (this.#ended) return undefined;
      const more = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await withinLimit(more, `an SMTP reply after '${this.#pending}'`, 30_000);
    }
  }
}
