/**
 * Bound sockets, whoever accepts on them.
 *
 * A unix socket is bound under a passing name, given its group and mode there, and then renamed to its path: nobody can
 * connect before they are right, an MTA never finds the path empty while a stale socket is replaced, and libuv, which
 * unlinks the name it has bound, cannot remove a socket that another program has put there since.
 */
import { lookup } from 'node:dns/promises';
import { chmodSync, chownSync, lstatSync, renameSync, type Stats, statSync, unlinkSync } from 'node:fs';
import { type AddressInfo, connect, type ListenOptions } from 'node:net';
import { dirname, join } from 'node:path';
import type { BoundAddress, ListenAddress } from './listen-address.ts';
import { EXIT, OperatorError, systemReason } from './operator-error.ts';

/** sun_path of sockaddr_un, without its NUL. */
const MAX_UNIX_PATH_BYTES = 107;

export interface SocketAccess {
  readonly mode: number;
  /** undefined: as the process. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** What a socket must be able to do to be bound here: a net.Server can. */
export interface BoundSocket {
  address(): AddressInfo | string | null;
  close(): unknown;
}

/** Binds a socket. It is bound when this returns, before the promise settles. */
export type Opener<S extends BoundSocket> = (where: ListenOptions) => Promise<S>;

export class Binding<S extends BoundSocket> {
  readonly address: BoundAddress;
  readonly socket: S;
  /** Identifies our socket among those that may come to have its path. */
  readonly #file: { readonly dev: number; readonly ino: number } | undefined;

  constructor(socket: S, address: BoundAddress, file?: Stats) {
    this.socket = socket;
    this.address = address;
    this.#file = file && { dev: file.dev, ino: file.ino };
  }

  /**
   * Gives up the socket, and removes its file if it is still ours.
   * @returns what went wrong with the file, for the log.
   */
  close(): string | undefined {
    this.socket.close();
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

/**
 * Binds all addresses, or none.
 * @throws OperatorError that names the first address which cannot be bound.
 */
export async function bindEach<S extends BoundSocket>(
  addresses: readonly ListenAddress[],
  access: SocketAccess,
  open: Opener<S>,
): Promise<Binding<S>[]> {
  const bindings: Binding<S>[] = [];
  for (const address of addresses) {
    try {
      bindings.push(
        address.kind === 'unix' ? await bindUnix(address.path, access, open) : await bindInet(address, open),
      );
    } catch (error) {
      for (const binding of bindings) binding.close();
      const reason = systemReason(error);
      throw new OperatorError(`--listen ${address.written}: ${reason}`, EXIT.config);
    }
  }
  return bindings;
}

async function bindInet<S extends BoundSocket>(
  wanted: ListenAddress & { kind: 'inet' },
  open: Opener<S>,
): Promise<Binding<S>> {
  const host = wanted.host === undefined ? undefined : await findAddress(wanted.host, wanted.family);
  const any = wanted.family === 'inet6' ? '::' : '0.0.0.0';
  // Without ipv6Only, inet6:PORT would take inet:PORT as well.
  const socket = await open({ host: host ?? any, port: wanted.port, ipv6Only: true });
  const bound = socket.address();
  if (bound === null || typeof bound === 'string') throw new Error('a TCP socket without an address');
  return new Binding(socket, {
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

/**
 * Binds a unix socket.
 * @throws OperatorError, or the error of the system.
 */
export async function bindUnix<S extends BoundSocket>(
  path: string,
  access: SocketAccess,
  open: Opener<S>,
): Promise<Binding<S>> {
  const passing = join(dirname(path), `.${process.pid}.${Date.now().toString(36).slice(-4)}`);
  if (Math.max(Buffer.byteLength(path), Buffer.byteLength(passing)) > MAX_UNIX_PATH_BYTES) {
    throw new OperatorError(
      `longer than the ${MAX_UNIX_PATH_BYTES} bytes that a socket's path may have`,
      EXIT.config,
    );
  }
  const stale = await findStale(path);
  const umask = process.umask(0o177);
  let opening: Promise<S>;
  try {
    opening = open({ path: passing });
  } finally {
    process.umask(umask);
  }
  const socket = await opening;
  try {
    if (access.uid !== undefined || access.gid !== undefined) {
      chownSync(passing, access.uid ?? -1, access.gid ?? -1);
    }
    chmodSync(passing, access.mode);
    const now = lstatSync(path, { throwIfNoEntry: false });
    if (now && now.ino !== stale?.ino) throw occupied();
    renameSync(passing, path);
    return new Binding(socket, { kind: 'unix', path }, lstatSync(path));
  } catch (error) {
    socket.close(); // This removes the passing name.
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
