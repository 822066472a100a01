/**
 * Where the control socket is: server and client come to the same place with the same options, whoever of root and the
 * server's user asks.
 *
 * It needs no disk and is of no use after a reboot: so it is in the runtime directory. Where --spool names a directory it is
 * beside that, so that each of several servers has its own.
 */
import { closeSync, constants, fchownSync, fstatSync, lstatSync, mkdirSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listeningUnixSockets } from '../net/address-holder.ts';
import type { Options } from '../options/option-table.ts';
import { type Account, lookUpUser } from '../system/privileges.ts';
import { firstDirectory } from '../system/service-directory.ts';
import { wayTo } from '../system/way-there.ts';
import { codeOf } from '../text/operator-error.ts';

const RUN = '/run/smtpf-milter';
const NAME = 'control';

/** The one place that options name; `''` for none, undefined where they say nothing. */
function named({ control, spool }: Options): string | undefined {
  return control ?? (spool === undefined ? undefined : `${spool}.control`);
}

/** Directories that are the server's alone, the best first; none needs to be there. */
function directories(): string[] {
  const { XDG_RUNTIME_DIR: ofUser } = process.env;
  const isRoot = process.getuid?.() === 0;
  return [
    firstDirectory('RUNTIME_DIRECTORY'),
    RUN,
    // Whoever becomes root by su or sudo may have that of somebody else.
    !isRoot && ofUser?.startsWith('/') ? join(ofUser, 'smtpf-milter') : undefined,
  ].filter((path): path is string => path !== undefined);
}

/** In the directory for temporary files, where others may be first: who asks looks whose it is. */
function inTemporary(uid: number): string {
  return join(tmpdir(), `smtpf-milter-${uid}.control`);
}

/** Files besides the spool that no policy may touch. @param options with `control` as it is in use */
export function ownFiles({ control, journal, record, srsSecret, signingKey }: Options): string[] {
  return [control, journal, journal && `${journal}.1`, record, srsSecret, ...signingKey].filter(
    (path): path is string => path !== undefined && path !== '',
  );
}

/**
 * Where a server makes its control socket; undefined when it has none. A directory for it is made if need be.
 * @param server whom it becomes
 */
export function controlPathOfServer(options: Options, server: Account): string | undefined {
  const path = named(options);
  if (path !== undefined) return path === '' ? undefined : path;
  const directory = directories().find((candidate) => isHad(candidate, server));
  return directory === undefined ? inTemporary(server.uid) : join(directory, NAME);
}

/** Where the control socket of a server with these options may be, in the order in which a server would choose. */
export function controlPathsOfClient(options: Options): string[] {
  const path = named(options);
  if (path !== undefined) return path === '' ? [] : [path];
  const own = process.getuid?.() ?? 0;
  const { user } = options;
  const server = user === undefined ? own : lookUpUser(user, 0).uid;
  const paths = [...directories().map((directory) => join(directory, NAME)), inTemporary(server)];
  // Another user's server is not meant, but by root.
  return own === 0 ? paths : paths.filter((found) => [undefined, 0, own, server].includes(ownerOf(found)));
}

/** undefined where nothing is there, or to be seen */
function ownerOf(path: string): number | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.uid;
  } catch {
    return undefined;
  }
}

/** Makes the directory the server's, where it can be had. Root gives away only what nobody else could have put there. */
function isHad(directory: string, { uid, gid }: Account): boolean {
  const isRoot = process.geteuid?.() === 0;
  let descriptor: number | undefined;
  try {
    if (isRoot && !wayTo(directory, []).ofRoot) return false;
    make(directory);
    descriptor = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    const found = fstatSync(descriptor);
    if ((found.mode & 0o022) !== 0) return false;
    if (found.uid === uid) return true;
    // That of a server that runs as somebody else stays his: nobody would trust its socket any more.
    if (!isRoot || directory !== RUN || isListenedIn(directory)) return false;
    fchownSync(descriptor, uid, gid);
    return true;
  } catch {
    return false;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Whether a process listens at a unix socket in the directory, by the name that it was bound to. */
function isListenedIn(directory: string): boolean {
  return listeningUnixSockets().some(({ path }) => path.startsWith(`${directory}/`));
}

function make(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o755 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}
