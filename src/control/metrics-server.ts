/**
 * `--metrics`: what Prometheus, a load balancer or a container runtime asks over HTTP.
 *
 *     GET /metrics    figures, of all processes together
 *     GET /healthz    200: the program answers
 *     GET /readyz     200, or 503 and why: whether mail may be sent here
 *
 * Nobody waits for a worker: all is answered from what they have told by themselves. One request a connection, which is over
 * within seconds; of many connections the oldest go; figures are put together once a second at most, whoever asks.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { expose } from '../metrics/exposition.ts';
import type { Family } from '../metrics/family.ts';
import type { Listener } from '../net/listener.ts';
import { systemReason } from '../text/operator-error.ts';

const CONNECTION_MS = 10_000;
const MAX_CONNECTIONS = 20;
const MAX_HEADER_BYTES = 8192;
const FRESH_MS = 1000;

export interface MetricsSource {
  families(): Promise<readonly Family[]>;
  /** Why mail should not be sent here; undefined where it may. */
  notReady(): string | undefined;
}

interface Page {
  readonly text: string;
  readonly type: string;
  readonly madeAt: number;
}

const PLAIN = 'text/plain; charset=utf-8';

export class MetricsServer {
  readonly #listener: Listener;
  readonly #source: MetricsSource;
  readonly #warn: (message: string) => void;
  readonly #server: Server;
  /** The oldest first. */
  readonly #sockets = new Set<Socket>();
  #page: Promise<Page> | undefined;

  /** @param warn is told of what is our own fault */
  constructor(listener: Listener, source: MetricsSource, warn: (message: string) => void) {
    this.#listener = listener;
    this.#source = source;
    this.#warn = warn;
    this.#server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, keepAlive: false }, (request, response) =>
      this.#answer(request, response),
    );
    this.#server.on('clientError', (_error, socket) => socket.destroy());
    listener.serve(
      (socket) => this.#connected(socket),
      () => {},
    );
  }

  close(): void {
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #connected(socket: Socket): void {
    const [oldest] = this.#sockets;
    if (this.#sockets.size >= MAX_CONNECTIONS) {
      oldest?.destroy();
      if (oldest !== undefined) this.#sockets.delete(oldest);
    }
    this.#sockets.add(socket);
    const timer = setTimeout(() => socket.destroy(), CONNECTION_MS);
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      this.#sockets.delete(socket);
    });
    this.#server.emit('connection', socket);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('Connection', 'close');
    response.setHeader('Cache-Control', 'no-store');
    response.setHeader('X-Content-Type-Options', 'nosniff');
    const { method = '', url = '' } = request;
    // What else comes on the connection is nobody's concern.
    request.socket.pause();
    if (method !== 'GET' && method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      end(response, 405, 'only GET and HEAD\n');
      return;
    }
    switch (url.split('?')[0]) {
      case '/metrics':
        await this.#answerFigures(response);
        break;
      case '/healthz':
        end(response, 200, 'ok\n');
        break;
      case '/readyz': {
        const reason = this.#source.notReady();
        end(response, reason === undefined ? 200 : 503, `${reason ?? 'ok'}\n`);
        break;
      }
      default:
        end(response, 404, 'there are /metrics, /healthz and /readyz\n');
    }
  }

  async #answerFigures(response: ServerResponse): Promise<void> {
    try {
      const { text, type } = await this.#fresh();
      end(response, 200, text, type);
    } catch (error) {
      this.#page = undefined;
      this.#warn(`--metrics: ${systemReason(error)}`);
      end(response, 500, 'the figures cannot be put together\n');
    }
  }

  async #fresh(): Promise<Page> {
    const page = await this.#page;
    if (page !== undefined && performance.now() - page.madeAt < FRESH_MS) return page;
    // Others may have begun meanwhile.
    if (this.#page === undefined || (await this.#page) === page) this.#page = this.#make();
    return this.#page;
  }

  async #make(): Promise<Page> {
    const madeAt = performance.now();
    return { ...(await expose(await this.#source.families())), madeAt };
  }
}

function end(response: ServerResponse, code: number, text: string, type = PLAIN): void {
  const bytes = Buffer.from(text);
  response.writeHead(code, { 'Content-Type': type, 'Content-Length': bytes.length });
  response.end(response.req.method === 'HEAD' ? undefined : bytes);
}
