/** The next hop of the mail servers under test: an SMTP server that takes everything and keeps it. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { until } from './deadline.ts';

/** One delivery as it came over the wire. Text is latin1: one character per byte. */
export interface Delivery {
  /** Sender and ESMTP parameters, `<a@src.test> SIZE=64`. */
  readonly mail: string;
  /** Recipients, each with its ESMTP parameters, `<b@dest.test> NOTIFY=NEVER`. */
  readonly rcpts: readonly string[];
  /** The message with CRLF line ends, dots unstuffed. */
  readonly content: string;
}

export class SmtpSink {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #unclaimed: Delivery[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {}); // The mail server may go away as it likes.
      serve(socket, (delivery) => this.#unclaimed.push(delivery));
    });
  }

  static async start(): Promise<SmtpSink> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new SmtpSink(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Everything delivered that no one has claimed. */
  get unclaimed(): readonly Delivery[] {
    return this.#unclaimed;
  }

  /** Takes out the deliveries whose content has `mark`, once there are `count` of them or more. */
  async claim(mark: string, count: number): Promise<Delivery[]> {
    const found = () => this.#unclaimed.filter(({ content }) => content.includes(mark));
    const claimed = await until(
      () => (found().length >= count ? found() : undefined),
      () => `${count} deliveries with '${mark}', there are ${found().length}`,
    );
    this.#unclaimed = this.#unclaimed.filter((delivery) => !claimed.includes(delivery));
    return claimed;
  }

  async stop(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }
}

const GREETING =
  '250-sink\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250-SIZE\r\n250 ENHANCEDSTATUSCODES\r\n';

function serve(socket: Socket, deliver: (delivery: Delivery) => void): void {
  let pending = '';
  let mail = '';
  let rcpts: string[] = [];
  let content: string[] | undefined; // The lines of the message while DATA runs.

  function answer(line: string): string | undefined {
    if (content) {
      if (line !== '.') {
        content.push(line.replace(/^\./, ''));
        return undefined;
      }
      deliver({ mail, rcpts, content: content.map((text) => `${text}\r\n`).join('') });
      content = undefined;
      return '250 2.0.0 taken\r\n';
    }
    switch (line.slice(0, 4).toUpperCase()) {
      case 'EHLO':
        return GREETING;
      case 'MAIL':
        mail = line.slice('MAIL FROM:'.length);
        rcpts = [];
        return '250 2.1.0 ok\r\n';
      case 'RCPT':
        rcpts.push(line.slice('RCPT TO:'.length));
        return '250 2.1.5 ok\r\n';
      case 'DATA':
        content = [];
        return '354 go on\r\n';
      case 'QUIT':
        return '221 2.0.0 bye\r\n';
      default:
        return '250 2.0.0 ok\r\n';
    }
  }

  socket.setNoDelay(true);
  socket.setEncoding('latin1');
  socket.write('220 sink ESMTP\r\n');
  socket.on('data', (text: string) => {
    const lines = (pending + text).split('\r\n');
    pending = lines.pop() ?? '';
    for (const line of lines) {
      const reply = answer(line);
      if (reply) socket.write(reply);
      if (reply?.startsWith('221')) socket.end();
    }
  });
}
