/**
 * Whom the program becomes once it listens: `--user`, `--group`.
 *
 * Names are looked up before anything is bound, by getent(1), which asks the same sources as the C library (files, LDAP
 * and so on); where there is no getent, in /etc/passwd and /etc/group.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { codeOf, EXIT, exitCodeOf, OperatorError, systemReason } from '../text/operator-error.ts';

const LOOK_UP_MS = 20_000;

export interface Identity {
  /** undefined: the user stays. */
  readonly uid: number | undefined;
  readonly gid: number;
  /** All groups, supplementary ones with them. */
  readonly groups: readonly number[];
  /** For messages: `--user nobody`. */
  readonly written: string;
}

/**
 * Whom to become, or undefined when nothing changes.
 * @throws OperatorError when a name is unknown, or only root could do it.
 */
export function lookUpIdentity(user: string | undefined, group: string | undefined): Identity | undefined {
  if (user === undefined && group === undefined) return undefined;
  const written = user === undefined ? `--group ${group}` : `--user ${user}`;
  const gid = group === undefined ? undefined : lookUpGroup('--group', group);
  const account = user === undefined ? undefined : lookUpUser(user, gid);
  if (process.getuid?.() === 0) {
    const primary = gid ?? account?.gid ?? process.getgid?.() ?? 0;
    return {
      uid: account?.uid,
      gid: primary,
      groups: account?.name === undefined ? [primary] : groupsOf(account.name, primary),
      written,
    };
  }
  if (account !== undefined && account.uid !== process.getuid?.()) {
    throw new OperatorError(
      `${written}: only root can become another user, and this is uid ${process.getuid?.()}`,
      EXIT.config,
    );
  }
  if (gid !== undefined && gid !== process.getgid?.()) {
    throw new OperatorError(
      `--group ${group}: only root can become another group, and this is gid ${process.getgid?.()}`,
      EXIT.config,
    );
  }
  return undefined;
}

/** The number of a group given by name or number. @throws OperatorError that names `option` when there is none. */
export function lookUpGroup(option: string, group: string): number {
  const entry = lookUp('group', group);
  if (entry?.[2] !== undefined) return Number(entry[2]);
  if (isId(group)) return Number(group);
  throw new OperatorError(`${option} ${group}: no such group`, EXIT.config);
}

/** A user, and its group where that is not the user's own. */
export interface AccountNames {
  readonly user: string;
  readonly group: string | undefined;
}

/**
 * Whom worker processes become.
 * @param server whom the supervisor becomes; undefined where it stays root
 * @throws OperatorError when a name is unknown, only root could do it, or nothing would be gained.
 */
export function lookUpWorkerIdentity(
  { user, group }: AccountNames,
  server: Pick<Identity, 'uid'> | undefined,
): Identity {
  const option = '--worker-user';
  const written = `${option} ${user}${group === undefined ? '' : `:${group}`}`;
  const own = process.getuid?.() ?? 0;
  if (own !== 0)
    throw new OperatorError(
      `${written}: only root can start workers as another user, and this is uid ${own}`,
      EXIT.config,
    );
  const gid = group === undefined ? undefined : lookUpGroup(option, group);
  const account = lookUpUser(user, gid, option);
  if (account.uid === 0 || account.uid === (server?.uid ?? own))
    throw new OperatorError(
      `${written}: the supervisor is, or may become, this user: name another`,
      EXIT.config,
    );
  const primary = gid ?? account.gid;
  const groups = account.name === undefined ? [primary] : groupsOf(account.name, primary, option);
  return { uid: account.uid, gid: primary, groups, written };
}

/** The number of a user given by name or number. @throws OperatorError that names `option` when there is none. */
export function lookUpUser(
  user: string,
  gid: number | undefined,
  option = '--user',
): { uid: number; gid: number; name: string | undefined } {
  const entry = lookUp('passwd', user);
  if (entry?.[2] !== undefined && entry[3] !== undefined) {
    return { uid: Number(entry[2]), gid: Number(entry[3]), name: entry[0] };
  }
  if (!isId(user)) throw new OperatorError(`${option} ${user}: no such user`, EXIT.config);
  if (gid === undefined) {
    const how =
      option === '--user' ? '--group must be given too' : 'a group must be given too, as USER:GROUP';
    throw new OperatorError(`${option} ${user}: no user has this number, so ${how}`, EXIT.config);
  }
  return { uid: Number(user), gid, name: undefined };
}

/**
 * A user as it is after a login, or in another group.
 * @param option for messages @throws OperatorError when a name is unknown
 */
export function accountNamed(option: string, user: string, group?: string): Account {
  const given = group === undefined ? undefined : lookUpGroup(option, group);
  const { uid, gid, name } = lookUpUser(user, given, option);
  const primary = given ?? gid;
  return { uid, gid: primary, groups: name === undefined ? [primary] : groupsOf(name, primary, option) };
}

/** A user's groups, with `primary` in place of the one in the user database. */
function groupsOf(user: string, primary: number, option = '--user'): readonly number[] {
  const found = membershipsOf(user);
  if (found !== undefined) return [primary, ...found.slice(1).filter((gid) => gid !== primary)];
  throw new OperatorError(`${option} ${user}: its groups cannot be found out by id(1)`, EXIT.config);
}

/** The groups of a user in the user database, the primary one first; undefined when id(1) does not know. */
function membershipsOf(user: string): readonly number[] | undefined {
  const result = ask('id', ['-G', '--', user]);
  const found = result.status === 0 ? result.stdout.trim().split(/\s+/).map(Number) : undefined;
  return found?.every(Number.isInteger) ? found : undefined;
}

/** Why this process cannot give a file of its own to a group, and what to do. */
export function notInGroup(group: string, gid: number): string {
  const user = userName();
  const instead = `or start as root with --user ${user}`;
  if (membershipsOf(user)?.includes(gid)) {
    return `user ${user} is a member of group ${group}, but this process was started without it: start it anew, ${instead}`;
  }
  return `user ${user} is no member of group ${group}: usermod --append --groups ${group} ${user}, ${instead}`;
}

/** Of the user this process is; its number when it has no name. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.());
  }
}

/** Why a file cannot be read: who is refused is seldom who types, as of a service. */
export function refusalToRead(error: unknown): string {
  const reason = systemReason(error);
  return codeOf(error) === 'EACCES' ? `${reason} to user ${userName()}` : reason;
}

/** The name of a user or group; its number when it has none. */
export function nameOf(database: 'passwd' | 'group', id: number): string {
  try {
    return lookUp(database, String(id))?.[0] ?? String(id);
  } catch {
    return String(id);
  }
}

function isId(text: string): boolean {
  // The highest number means "no change" to the system calls.
  return /^\d{1,10}$/.test(text) && Number(text) < 0xffffffff;
}

/** The fields of an entry, by name or number; undefined when there is none. */
function lookUp(database: 'passwd' | 'group', key: string): readonly string[] | undefined {
  const result = ask('getent', [database, key]);
  const text = result.error ? readFileSync(`/etc/${database}`, 'utf8') : result.stdout;
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .find((entry) => entry[0] === key || entry[2] === key);
}

/**
 * Runs one of the two programs that know the user database, which may be on another machine.
 * @returns its answer; with `error` where there is no such program.
 * @throws OperatorError when it does not come to an answer.
 */
function ask(program: string, args: readonly string[]): SpawnSyncReturns<string> {
  const result = spawnSync(program, args, { encoding: 'utf8', timeout: LOOK_UP_MS });
  if (codeOf(result.error) === 'ENOENT' || result.status !== null) return result;
  const why = result.error ? systemReason(result.error) : result.signal;
  throw new OperatorError(`${program} ${args.join(' ')}: gives no answer: ${why}`, EXIT.tempfail);
}

/**
 * Becomes `identity` for good: groups first, the user last, as nothing can be changed after it.
 * @throws OperatorError when the system refuses, or root's rights could be had back.
 */
export function dropPrivileges(identity: Identity): void {
  const { uid, gid, groups, written } = identity;
  try {
    process.setgroups?.(groups);
    process.setgid?.(gid);
    if (uid !== undefined) process.setuid?.(uid);
  } catch (error) {
    throw new OperatorError(
      `${written}: cannot be taken on: ${error instanceof Error ? error.message : error}`,
      exitCodeOf(error),
    );
  }
  const arrived = process.getgid?.() === gid && process.getegid?.() === gid && isUser(uid);
  if (!arrived || (uid !== undefined && uid !== 0 && canBecomeRoot())) {
    throw new OperatorError(`${written}: the rights of root could not be given up`, EXIT.config);
  }
}

/** As whom root does something for the time of a call. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

/** As whom files are made and opened. @param identity undefined: this process's user */
export function accountOf(identity: Identity | undefined): Account {
  return {
    uid: identity?.uid ?? process.getuid?.() ?? 0,
    gid: identity?.gid ?? process.getgid?.() ?? 0,
    groups: identity?.groups ?? [],
  };
}

/**
 * Does something with another user's rights to files; root's are back when it returns. Of this process alone: what it
 * begins, and does not end before it returns, may have the rights of root.
 * @param account undefined, or who is not root: with the rights that the process has
 */
export function actingAs<Result>(account: Account | undefined, action: () => Result): Result {
  if (account === undefined || account.uid === 0 || process.geteuid?.() !== 0) return action();
  const before = { gid: process.getegid?.() ?? 0, groups: process.getgroups?.() ?? [] };
  process.setgroups?.(account.groups);
  process.setegid?.(account.gid);
  process.seteuid?.(account.uid);
  try {
    return action();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(before.gid);
    process.setgroups?.(before.groups);
  }
}

function isUser(uid: number | undefined): boolean {
  return uid === undefined || (process.getuid?.() === uid && process.geteuid?.() === uid);
}

function canBecomeRoot(): boolean {
  try {
    process.setuid?.(0);
    return true;
  } catch {
    return false;
  }
}
