/** A mail server that says what a test tells it at each step. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { createSecureContext, TLSSocket } from 'node:tls';

/** By verb, `greeting` and `end` (of a message) included: what is said, or what is done. */
export type Says = Readonly<Record<string, string | ((socket: Socket, line: string) => void)>>;

export const KIND: Says = {
  greeting: '220 mx.example',
  EHLO: '250-mx.example\r\n250 SIZE',
  MAIL: '250 2.1.0 ok',
  RCPT: '250 2.1.5 ok',
  DATA: '354 go on',
  end: '250 2.0.0 queued as 1234',
  QUIT: '221 bye',
};

export class ScriptedMailServer {
  says: Says;
  readonly port: number;
  readonly heard: string[] = [];
  /** Messages as they came over the wire, dots still stuffed, without the last line. */
  readonly messages: Buffer[] = [];
  connections = 0;

  private constructor(port: number, says: Says) {
    this.port = port;
    this.says = says;
  }

  /** @param certificate in PEM form, with its key: STARTTLS is spoken then, where `says` offers it */
  static async start(
    t: TestContext,
    says: Says = {},
    certificate?: { readonly cert: Buffer; readonly key: Buffer },
  ): Promise<ScriptedMailServer> {
    const open = new Set<Socket>();
    const server = createServer((socket) => {
      open.add(socket);
      self.connections += 1;
      self.#answer(socket, 'greeting', '');
      self.#serve(socket, (plain) => {
        const secure = new TLSSocket(plain, {
          isServer: true,
          secureContext: createSecureContext(certificate),
        });
        self.#serve(secure, () => {});
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      for (const socket of open) socket.destroy();
      server.close();
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const self = new ScriptedMailServer(address.port, { ...KIND, ...says });
    return self;
  }

  #serve(socket: Socket, startTls: (socket: Socket) => void): void {
    let text = '';
    let inMessage = false;
    const take = (bytes: Buffer) => {
      text += bytes.toString('latin1');
      for (;;) {
        if (inMessage) {
          const end = text.startsWith('.\r\n') ? 0 : text.indexOf('\r\n.\r\n') + 2;
          if (end === 1) return;
          this.messages.push(Buffer.from(text.slice(0, end), 'latin1'));
          text = text.slice(end + 3);
          inMessage = false;
          this.#answer(socket, 'end', '');
          continue;
        }
        const end = text.indexOf('\r\n');
        if (end < 0) return;
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        this.heard.push(line);
        const verb = line.slice(0, 4).toUpperCase();
        const answer = this.#answer(socket, verb, line);
        if (verb === 'DATA' && answer.startsWith('354')) inMessage = true;
        if (verb === 'STAR' && answer.startsWith('220')) {
          socket.off('data', take);
          startTls(socket);
          return;
        }
      }
    };
    socket.on('error', () => {});
    socket.on('data', take);
  }

  #answer(socket: Socket, verb: string, line: string): string {
    const answer = this.says[verb] ?? '500 what';
    if (typeof answer === 'string') {
      socket.write(`${answer}\r\n`);
      return answer;
    }
    answer(socket, line);
    return '';
  }
}
