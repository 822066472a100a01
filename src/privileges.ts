/**
 * Whom the program becomes once it listens: `--user`, `--group`.
 *
 * Names are looked up before anything is bound, by getent(1), which asks the same sources as the C library (files, LDAP
 * and so on); where there is none, in /etc/passwd and /etc/group.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { EXIT, OperatorError } from './operator-error.ts';

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

/** The number of a user given by name or number. @throws OperatorError when there is none. */
export function lookUpUser(
  user: string,
  gid: number | undefined,
): { uid: number; gid: number; name: string | undefined } {
  const entry = lookUp('passwd', user);
  if (entry?.[2] !== undefined && entry[3] !== undefined) {
    return { uid: Number(entry[2]), gid: Number(entry[3]), name: entry[0] };
  }
  if (!isId(user)) throw new OperatorError(`--user ${user}: no such user`, EXIT.config);
  if (gid === undefined) {
    throw new OperatorError(
      `--user ${user}: no user has this number, so --group must be given too`,
      EXIT.config,
    );
  }
  return { uid: Number(user), gid, name: undefined };
}

/** A user's groups, with `primary` in place of the one in the user database. */
function groupsOf(user: string, primary: number): readonly number[] {
  const result = spawnSync('id', ['-G', '--', user], { encoding: 'utf8', timeout: 20_000 });
  const found = result.status === 0 ? result.stdout.trim().split(/\s+/).slice(1).map(Number) : undefined;
  if (found?.every(Number.isInteger)) return [primary, ...found.filter((gid) => gid !== primary)];
  throw new OperatorError(`--user ${user}: its groups cannot be found out by id(1)`, EXIT.config);
}

function isId(text: string): boolean {
  // The highest number means "no change" to the system calls.
  return /^\d{1,10}$/.test(text) && Number(text) < 0xffffffff;
}

/** The fields of an entry, by name or number; undefined when there is none. */
function lookUp(database: 'passwd' | 'group', key: string): readonly string[] | undefined {
  const result = spawnSync('getent', [database, key], { encoding: 'utf8', timeout: 20_000 });
  const lines = result.error
    ? readFileSync(`/etc/${database}`, 'utf8').split('\n')
    : result.stdout.split('\n');
  return lines.map((line) => line.split(':')).find((entry) => entry[0] === key || entry[2] === key);
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
      EXIT.config,
    );
  }
  const arrived = process.getgid?.() === gid && process.getegid?.() === gid && isUser(uid);
  if (!arrived || (uid !== undefined && uid !== 0 && canBecomeRoot())) {
    throw new OperatorError(`${written}: the rights of root could not be given up`, EXIT.config);
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
