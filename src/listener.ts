/**
 * Listening sockets: bound first, served later, so that the rights of root can be given up in between.
 *
 * A unix socket is bound under a passing name, given its group and mode there, and then renamed to its path: nobody can
 * connect before they are right, an MTA never finds the path empty while a stale socket is replaced, and libuv, which
 * unlinks the name it has bound, cannot remove a socket that another program has put there since.
 */

import { lookup } from 'node:dns/promises';
import { chmodSync, chownSync, lstatSync, renameSync, type Stats, statSync, unlinkSync } from 'node:fs';
import { connect, createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type { BoundAddress, ListenAddress } from './listen-address.ts';
import { EXIT, OperatorError, systemReason } from './operator-error.ts';

/** The kernel caps it at net.core.somaxconn. */
const BACKLOG = 4096;

/** sun_path of sockaddr_un, without its NUL. */
const MAX_UNIX_PATH_BYTES = 107;

export interface SocketAccess {
  readonly mode: number;
  /** undefined: as the process. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

export class Listener {
  readonly address: BoundAddress;
  readonly #server: Server;
  /** Identifies our socket among those that may come to have its path. */
  readonly #file: { readonly dev: number; readonly ino: number } | undefined;
  #early: Socket[] = [];
  #serve: ((socket: Socket) => void) | undefined;

  constructor(server: Server, address: BoundAddress, file?: Stats) {
    this.#server = server;
    this.address = address;
    this.#file = file && { dev: file.dev, ino: file.ino };
    server.on('connection', (socket: Socket) => {
      if (this.#serve) begin(socket, this.#serve);
      else this.#early.push(socket);
    });
  }

  /** Hands over each connection, those first that came since the socket was bound. `failed` hears of failed accepts. */
  serve(connected: (socket: Socket) => void, failed: (error: Error) => void): void {
    this.#serve = connected;
    this.#server.removeAllListeners('error');
    this.#server.on('error', failed);
    for (const socket of this.#early.splice(0)) begin(socket, connected);
  }

  /**
   * Stops listening; connections go on. A unix socket's file is removed if it is still ours.
   * @returns what went wrong with the file, for the log.
   */
  close(): string | undefined {
    this.#server.close();
    for (const socket of this.#early.splice(0)) socket.destroy();
    if (this.address.kind !== 'unix') return undefined;
    const { path } = this.address;
    try {
      const found = lstatSync(path, { throwIfNoEntry: false });
      if (found && found.ino === this.#file?.ino && found.dev === this.#file.dev) unlinkSync(path);
    } catch (error) {
      return `${path}: cannot be removed: ${systemReason(error)}`;
    }
    return undefined;
  }
}

/** Sockets are paused when they come, so that nothing happens on one before it is served. */
function begin(socket: Socket, serve: (socket: Socket) => void): void {
  serve(socket);
  socket.resume();
}

/**
 * Binds all addresses, or none.
 * @throws OperatorError that names the first address which cannot be bound.
 */
export async function bindAll(
  addresses: readonly ListenAddress[],
  access: SocketAccess,
): Promise<Listener[]> {
  const listeners: Listener[] = [];
  for (const address of addresses) {
    try {
      listeners.push(
        address.kind === 'unix' ? await bindUnix(address.path, access) : await bindInet(address),
      );
    } catch (error) {
      for (const listener of listeners) listener.close();
      const reason = error instanceof OperatorError ? error.message : systemReason(error);
      throw new OperatorError(`--listen ${address.written}: ${reason}`, EXIT.config);
    }
  }
  return listeners;
}

async function bindInet(wanted: ListenAddress & { kind: 'inet' }): Promise<Listener> {
  const host = wanted.host === undefined ? undefined : await findAddress(wanted.host, wanted.family);
  const any = wanted.family === 'inet6' ? '::' : '0.0.0.0';
  // Without ipv6Only, inet6:PORT would take inet:PORT as well.
  const server = await listen({ host: host ?? any, port: wanted.port, ipv6Only: true });
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('a TCP socket without an address');
  return new Listener(server, {
    kind: bound.family === 'IPv6' ? 'inet6' : 'inet4',
    address: bound.address,
    port: bound.port,
  });
}

async function findAddress(host: string, family: 'inet4' | 'inet6' | 'either'): Promise<string> {
  if (family !== 'either') return (await lookup(host, { family: family === 'inet6' ? 6 : 4 })).address;
  const found = await lookup(host, { all: true });
  return (found.find((entry) => entry.family === 4) ?? found[0])?.address ?? host;
}

async function bindUnix(path: string, access: SocketAccess): Promise<Listener> {
  const passing = join(dirname(path), `.${process.pid}.${Date.now().toString(36).slice(-4)}`);
  if (Math.max(Buffer.byteLength(path), Buffer.byteLength(passing)) > MAX_UNIX_PATH_BYTES) {
    throw new OperatorError(
      `longer than the ${MAX_UNIX_PATH_BYTES} bytes that a socket's path may have`,
      EXIT.config,
    );
  }
  const stale = await findStale(path);
  const umask = process.umask(0o177);
  let listening: Promise<Server>;
  try {
    listening = listen({ path: passing });
  } finally {
    process.umask(umask);
  }
  const server = await listening;
  try {
    if (access.uid !== undefined || access.gid !== undefined) {
      chownSync(passing, access.uid ?? -1, access.gid ?? -1);
    }
    chmodSync(passing, access.mode);
    const now = lstatSync(path, { throwIfNoEntry: false });
    if (now && now.ino !== stale?.ino) throw occupied();
    renameSync(passing, path);
    return new Listener(server, { kind: 'unix', path }, lstatSync(path));
  } catch (error) {
    server.close(); // This removes the passing name.
    throw error;
  }
}

/** What lies at the path and may be replaced: a socket on which nobody answers; undefined when nothing is there. */
async function findStale(path: string): Promise<Stats | undefined> {
  // libuv reports a missing directory as a missing permission.
  statSync(dirname(path));
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return undefined;
  if (!found.isSocket()) {
    throw new OperatorError('there is something that is not a socket, and it is left alone', EXIT.config);
  }
  if (await isAnswered(path)) throw occupied();
  return found;
}

function occupied(): OperatorError {
  return new OperatorError('address in use: another program listens there', EXIT.config);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      // EAGAIN: its queue of connections is full.
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else if (error.code === 'EAGAIN') resolve(true);
      else reject(error);
    });
  });
}

/** The socket is bound when this returns, before the promise settles. */
function listen(where: ListenOptions): Promise<Server> {
  // MTAs pipeline small packets: without noDelay each costs 40 ms.
  const server = createServer({
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    pauseOnConnect: true,
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...where, backlog: BACKLOG }, () => resolve(server));
  });
}
