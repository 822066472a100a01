/**
 * Bound sockets, whoever accepts on them.
 *
 * A unix socket has its mode from the moment it is bound, and whoever starts the program as root has it made by the user
 * that the program becomes, unless only root can make files there: what is given away by name may be another file by then.
 *
 * It is bound under a passing name, given its group there, and then renamed to its path: nobody can connect before it is
 * right, an MTA never finds the path empty while a stale socket is replaced, and libuv, which
 * unlinks the name it has bound, cannot remove a socket that another program has put there since.
 */
import { lookup } from 'node:dns/promises';
import {
  accessSync,
  constants,
  lchownSync,
  lstatSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
} from 'node:fs';
import { type AddressInfo, connect, isIPv6, type ListenOptions } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Account, actingAs, nameOf, notInGroup, userName } from '../system/privileges.ts';
import { wayTo } from '../system/way-there.ts';
import { codeOf, EXIT, exitCodeOf, OperatorError, systemReason } from '../text/operator-error.ts';
import { holderOf } from './address-holder.ts';
import { type HandedSocket, HandedSockets } from './handed-sockets.ts';
import type { BoundAddress, ListenAddress } from './listen-address.ts';

/** Between two tries to have an address that is in use. */
const POLL_MS = 50;

/** sun_path of sockaddr_un, without its NUL. */
const MAX_UNIX_PATH_BYTES = 107;

export interface SocketAccess {
  readonly mode: number;
  /** undefined: as the process. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** The group as --socket-group names it, for messages; undefined where it follows from --user or --group. */
  readonly group?: string | undefined;
  /** Supplementary groups of `uid`. */
  readonly groups?: readonly number[] | undefined;
  /** Sockets that the program was started with; undefined: none. */
  readonly handed?: HandedSockets | undefined;
}

/** What a socket must be able to do to be bound here: a net.Server can. */
export interface BoundSocket {
  address(): AddressInfo | string | null;
  close(): unknown;
}

/** Binds a socket. It is bound when this returns, before the promise settles. */
export type Opener<S extends BoundSocket> = (where: ListenOptions | HandedSocket) => Promise<S>;

export class Endpoint<S extends BoundSocket> {
  readonly address: BoundAddress;
  readonly socket: S;
  /** Identifies our socket among those that may come to have its path. */
  readonly #file: { readonly dev: number; readonly ino: number } | undefined;
  readonly #maker: Account | undefined;

  /** @param maker who has made its file, where that is not this process's user */
  constructor(socket: S, address: BoundAddress, file?: Stats, maker?: Account) {
    this.socket = socket;
    this.address = address;
    this.#file = file && { dev: file.dev, ino: file.ino };
    this.#maker = maker;
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
      actingAs(this.#maker, () => {
        const found = lstatSync(path, { throwIfNoEntry: false });
        if (found && found.ino === this.#file?.ino && found.dev === this.#file.dev) unlinkSync(path);
      });
    } catch (error) {
      return `${path}: cannot be removed: ${systemReason(error)}`;
    }
    return undefined;
  }
}

/**
 * Binds all addresses, or none.
 * @param patienceMs how long to wait for an address that is in use: workers of a program that was killed a moment ago
 * still hold its addresses.
 * @param option that names the addresses, for messages
 * @throws OperatorError that names the first address which cannot be bound.
 */
export async function bindEach<S extends BoundSocket>(
  addresses: readonly ListenAddress[],
  access: SocketAccess,
  open: Opener<S>,
  patienceMs: number,
  option = '--listen',
): Promise<Endpoint<S>[]> {
  const endpoints: Endpoint<S>[] = [];
  const until = performance.now() + patienceMs;
  for (const address of addresses) {
    let place: BoundAddress | undefined;
    try {
      if (address.kind === 'handed') {
        const sockets = (access.handed ?? new HandedSockets([])).take(address.name);
        for (const socket of sockets) endpoints.push(new Endpoint(await open(socket), socket.address));
        continue;
      }
      place = await placeOf(address);
      endpoints.push(await bindBefore(until, place, access, open));
    } catch (error) {
      for (const endpoint of endpoints) endpoint.close();
      throw await refusal(`${option} ${address.written}`, error, place);
    }
  }
  return endpoints;
}

/**
 * What the operator is told of an address that could not be had.
 * @param written names the option and the address
 * @param error of the system, or an OperatorError
 * @param place undefined when it is not known yet
 */
export async function refusal(
  written: string,
  error: unknown,
  place: BoundAddress | undefined,
): Promise<OperatorError> {
  const code = codeOf(error);
  const seen = place && code === 'EADDRINUSE' ? `: ${await holderOf(place)}` : '';
  const who = place && place.kind !== 'unix' && code === 'EACCES' ? ` to user ${userName()}` : '';
  // As ProtectSystem= of a unit makes all others.
  const opened =
    code === 'EROFS' && place?.kind === 'unix'
      ? `; under systemd ReadWritePaths=${dirname(place.path)} opens the directory`
      : '';
  return new OperatorError(`${written}: ${systemReason(error)}${who}${seen}${opened}`, exitCodeOf(error));
}

async function bindBefore<S extends BoundSocket>(
  until: number,
  place: BoundAddress,
  access: SocketAccess,
  open: Opener<S>,
): Promise<Endpoint<S>> {
  for (;;) {
    try {
      return place.kind === 'unix' ? await bindUnix(place.path, access, open) : await bindInet(place, open);
    } catch (error) {
      if (codeOf(error) !== 'EADDRINUSE' || performance.now() >= until) throw error;
      await pause(POLL_MS);
    }
  }
}

/** Where an address is, once its name is looked up. @throws the error of the system. */
async function placeOf(wanted: Exclude<ListenAddress, { kind: 'handed' }>): Promise<BoundAddress> {
  if (wanted.kind === 'unix') return { kind: 'unix', path: wanted.path };
  const { host, family, port } = wanted;
  const any = family === 'inet6' ? '::' : '0.0.0.0';
  const address = host === undefined ? any : await findAddress(host, family);
  return { kind: isIPv6(address) ? 'inet6' : 'inet4', address, port };
}

async function bindInet<S extends BoundSocket>(
  { address, port }: BoundAddress & { kind: 'inet4' | 'inet6' },
  open: Opener<S>,
): Promise<Endpoint<S>> {
  // Without ipv6Only, inet6:PORT would take inet:PORT as well.
  const socket = await open({ host: address, port, ipv6Only: true });
  const bound = socket.address();
  if (bound === null || typeof bound === 'string') throw new Error('a TCP socket without an address');
  return new Endpoint(socket, {
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
 * @throws OperatorError, or the error of the system: EADDRINUSE where somebody listens at the path.
 */
export async function bindUnix<S extends BoundSocket>(
  path: string,
  access: SocketAccess,
  open: Opener<S>,
): Promise<Endpoint<S>> {
  const passing = join(dirname(path), `.${process.pid}.${Date.now().toString(36).slice(-4)}`);
  if (Math.max(Buffer.byteLength(path), Buffer.byteLength(passing)) > MAX_UNIX_PATH_BYTES) {
    throw new OperatorError(
      `longer than the ${MAX_UNIX_PATH_BYTES} bytes that a socket's path may have`,
      EXIT.config,
    );
  }
  const stale = await findStale(path, access);
  const maker = makerOf(path, access);
  const socket = await openWithMode(passing, access.mode, open, maker);
  try {
    return actingAs(maker, () => {
      giveTo(passing, access, maker);
      const now = lstatSync(path, { throwIfNoEntry: false });
      if (now && now.ino !== stale?.ino) throw occupied();
      renameSync(passing, path);
      return new Endpoint(socket, { kind: 'unix', path }, lstatSync(path), maker);
    });
  } catch (error) {
    actingAs(maker, () => socket.close()); // This removes the passing name.
    throw error;
  }
}

/**
 * As whom a socket is made; undefined: as the process.
 * @throws OperatorError where others could put something else in its place, and this process has the rights of root
 */
function makerOf(path: string, access: SocketAccess): Account | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  const { uid = 0, gid = 0, groups = [] } = access;
  // A socket that stays root's may be in a directory that root has made for somebody: nothing is given away there.
  const staysOurs = access.uid === undefined && access.gid === undefined;
  const { objection, ofRoot } = wayTo(path, [uid], staysOurs);
  if (objection !== undefined)
    throw new OperatorError(`${objection}: a socket is not safe there`, EXIT.config);
  return uid === 0 || ofRoot ? undefined : { uid, gid, groups: [gid, ...groups] };
}

/** Binds a socket that has this mode when it comes to be there. */
function openWithMode<S extends BoundSocket>(
  path: string,
  mode: number,
  open: Opener<S>,
  maker: Account | undefined,
): Promise<S> {
  const umask = process.umask(~mode & 0o777);
  try {
    const opening = actingAs(maker, () => open({ path }));
    if (maker === undefined) return opening;
    return opening.catch((error: unknown) => {
      if (codeOf(error) !== 'EACCES') throw error;
      const user = nameOf('passwd', maker.uid);
      throw new OperatorError(`user ${user} may not write to ${dirname(path)}`, EXIT.config);
    });
  } finally {
    process.umask(umask);
  }
}

/** @param maker has made it, and it is theirs already: the directory decides its group where none was asked for */
function giveTo(path: string, { uid, gid, group }: SocketAccess, maker: Account | undefined): void {
  const isGiven = maker === undefined ? uid !== undefined || gid !== undefined : group !== undefined;
  if (!isGiven) return;
  try {
    lchownSync(path, maker === undefined ? (uid ?? -1) : -1, gid ?? -1);
  } catch (error) {
    if (codeOf(error) !== 'EPERM' || group === undefined || gid === undefined) throw error;
    throw new OperatorError(`--socket-group ${group}: ${notInGroup(group, gid)}`, EXIT.config);
  }
}

/** Has this process the right to make files in a directory, and to remove its own? */
export function mayMakeFilesIn(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return true;
  } catch (error) {
    return codeOf(error) !== 'EACCES';
  }
}

/** The command that makes a directory for a unix socket of a user: in Postfix's queue directory its group comes with it. */
export function madeForSocket(directory: string, user: string): string {
  const access = directory.startsWith('/var/spool/postfix/') ? ' -g postfix -m 2750' : '';
  return `install -d -o ${user}${access} ${directory}`;
}

/** What lies at the path and may be replaced: a socket on which nobody answers; undefined when nothing is there. */
async function findStale(path: string, { uid }: SocketAccess): Promise<Stats | undefined> {
  // libuv reports a missing directory as a missing permission.
  const directory = dirname(path);
  if (!statSync(directory, { throwIfNoEntry: false })) {
    const user = uid === undefined ? userName() : nameOf('passwd', uid);
    throw new OperatorError(
      `there is no directory ${directory} (${madeForSocket(directory, user)})`,
      EXIT.tempfail,
    );
  }
  if (!mayMakeFilesIn(directory)) {
    throw new OperatorError(`user ${userName()} may not write to ${directory}`, EXIT.config);
  }
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return undefined;
  if (!found.isSocket()) {
    throw new OperatorError('there is something that is not a socket, and it is left alone', EXIT.config);
  }
  if (await isAnswered(path)) throw occupied();
  return found;
}

function occupied(): Error {
  return Object.assign(new Error('a socket in use'), { code: 'EADDRINUSE' });
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
      else if (error.code !== 'EACCES') reject(error);
      else {
        const found = `there is a socket that user ${userName()} may not connect to`;
        reject(new OperatorError(`${found}, and it is left alone`, EXIT.config));
      }
    });
  });
}
