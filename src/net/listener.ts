/** Listening sockets: bound first, served later, so that the rights of root can be given up in between. */
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { bindEach, bindUnix, type Endpoint, type SocketAccess } from './endpoint.ts';
import { acceptHandles, type MtaSocket } from './handle-socket.ts';
import type { BoundAddress, ListenAddress } from './listen-address.ts';

/** The kernel caps it at net.core.somaxconn. */
const BACKLOG = 4096;

/** Takes a connection; a promise means that nothing is to be read from it before that settles. */
export type Serve<S = Socket> = (socket: S) => void | Promise<void>;

export class Listener {
  readonly address: BoundAddress;
  readonly #server: Server;
  readonly #close: () => string | undefined;
  #early: Socket[] = [];
  #serve: Serve | undefined;

  /** @param close gives up the server, and says what went wrong */
  constructor(server: Server, address: BoundAddress, close: () => string | undefined) {
    this.#server = server;
    this.address = address;
    this.#close = close;
    server.on('connection', (socket: Socket) => {
      if (this.#serve) begin(socket, this.#serve);
      else {
        socket.on('error', ignore);
        this.#early.push(socket);
      }
    });
  }

  /** Hands over each connection, those first that came since the socket was bound. `failed` hears of failed accepts. */
  serve(connected: Serve, failed: (error: Error) => void): void {
    this.#serve = connected;
    this.#server.removeAllListeners('error');
    this.#server.on('error', failed);
    for (const socket of this.#early.splice(0)) {
      begin(socket, connected);
      socket.off('error', ignore);
    }
  }

  /**
   * The same with sockets that can do no more than a milter connection needs, and cost less.
   * @param hurries whether what an MTA has sent already should be read at once
   */
  serveMtas(connected: Serve<MtaSocket>, failed: (error: Error) => void, hurries?: () => boolean): void {
    this.serve(connected, failed);
    acceptHandles(this.#server, connected, hurries);
  }

  /**
   * Stops listening; connections go on. A unix socket's file is removed if it is still ours.
   * @returns what went wrong with the file, for the log.
   */
  close(): string | undefined {
    const problem = this.#close();
    for (const socket of this.#early.splice(0)) socket.destroy();
    return problem;
  }
}

/** What comes on a socket before it is served stays in its buffer; a broken connection is noticed when it is. */
function begin(socket: Socket, serve: Serve): void {
  const begun = serve(socket);
  if (begun === undefined) return;
  socket.on('error', ignore);
  begun.then(() => socket.off('error', ignore));
}

function ignore(): void {}

/**
 * Binds all addresses, or none, and listens.
 * @param patienceMs how long to wait for an address that is in use @param option that names them, for messages
 * @throws OperatorError that names the first address which cannot be bound.
 */
export async function bindAll(
  addresses: readonly ListenAddress[],
  access: SocketAccess,
  patienceMs = 0,
  option = '--listen',
): Promise<Listener[]> {
  return (await bindEach(addresses, access, listen, patienceMs, option)).map(listenerOf);
}

/**
 * Listens on a unix socket alone.
 * @throws OperatorError, or the error of the system.
 */
export async function listenUnix(path: string, access: SocketAccess): Promise<Listener> {
  return listenerOf(await bindUnix(path, access, listen));
}

/** Listens on a socket that another process has bound and keeps; `fd` is our descriptor of it. */
export async function listenInherited(fd: number, address: BoundAddress): Promise<Listener> {
  const server = await listen({ fd });
  return new Listener(server, address, () => {
    server.close();
    return undefined;
  });
}

function listenerOf(endpoint: Endpoint<Server>): Listener {
  return new Listener(endpoint.socket, endpoint.address, () => endpoint.close());
}

/** The socket is bound when this returns, before the promise settles. */
function listen(where: ListenOptions | { readonly fd: number }): Promise<Server> {
  // MTAs pipeline small packets: without noDelay each costs 40 ms.
  const server = createServer({ noDelay: true });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...where, backlog: BACKLOG }, () => resolve(server));
  });
}
