/**
 * Whether a user can get at a file: each directory on the way, links followed, also with another root directory (chroot).
 *
 * Reads owners and modes. Where a mode says no and this process is root, the user itself is asked (setpriv, test), since an
 * access control list may say yes.
 */
import { spawnSync } from 'node:child_process';
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Account } from '../system/privileges.ts';
import { codeOf } from '../text/operator-error.ts';

/** As whom and from where a path is followed. */
export interface View {
  readonly account: Account;
  /** Its root directory; `/` without a chroot. */
  readonly root: string;
  /** Its working directory. */
  readonly cwd: string;
}

/** What is needed at the end of the way: to connect to a socket, to read a file, to make files in a directory. */
export type Need = 'connect' | 'read' | 'make';

export interface Obstacle {
  /** `unseen`: this process may not look. */
  readonly kind: 'missing' | 'search' | 'end' | 'no-socket' | 'unseen' | 'loop';
  /** Where, as seen without a chroot. */
  readonly at: string;
  readonly stats: Stats | undefined;
}

const MAX_LINKS = 40;
const SEARCH = 1;
const BITS: Readonly<Record<Need, number>> = { connect: 2, read: 4, make: 3 };

/** The path that a process with this view means, as seen without a chroot. */
export function outside({ root, cwd }: View, path: string): string {
  return path.startsWith('/') ? join(root, path) : join(cwd, path);
}

/**
 * All that stands in the way of `account`, from the first directory to the end.
 * @returns empty where nothing does
 */
export function obstaclesTo(path: string, need: Need, view: View): Obstacle[] {
  const { account, root, cwd } = view;
  const found: Obstacle[] = [];
  let rest = path.split('/').filter((part) => part !== '' && part !== '.');
  let at = path.startsWith('/') ? root : cwd;
  let links = 0;
  const first = statsOf(at);
  if (first !== undefined && first !== 'unseen' && !may(account, first, SEARCH, at))
    found.push({ kind: 'search', at, stats: first });
  for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
    const next = part === '..' ? (at === root ? root : dirname(at)) : join(at, part);
    const stats = statsOf(next);
    if (stats === 'unseen') return [...found, { kind: 'unseen', at: next, stats: undefined }];
    if (stats === undefined) return [...found, { kind: 'missing', at: next, stats: undefined }];
    if (stats.isSymbolicLink()) {
      links += 1;
      if (links > MAX_LINKS) return [...found, { kind: 'loop', at: next, stats }];
      const target = readlinkSync(next);
      if (target.startsWith('/')) at = root;
      rest = [...target.split('/').filter((name) => name !== '' && name !== '.'), ...rest];
      continue;
    }
    const isLast = rest.length === 0;
    if (isLast && need === 'connect' && !stats.isSocket()) found.push({ kind: 'no-socket', at: next, stats });
    else if (!may(account, stats, isLast ? BITS[need] : SEARCH, next))
      found.push({ kind: isLast ? 'end' : 'search', at: next, stats });
    at = next;
  }
  return found;
}

/** undefined where nothing is */
function statsOf(path: string): Stats | 'unseen' | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    return codeOf(error) === 'ENOTDIR' ? undefined : 'unseen';
  }
}

/** @param bits those of rwx that are needed, as in a mode */
function may(account: Account, stats: Stats, bits: number, path: string): boolean {
  const { uid, gid, groups } = account;
  if (uid === 0) return true;
  const shift = stats.uid === uid ? 6 : [gid, ...groups].includes(stats.gid) ? 3 : 0;
  return ((stats.mode >> shift) & bits) === bits || mayByList(account, bits, path);
}

/** What access(2) says to that user, where this process can be one. */
function mayByList({ uid, gid, groups }: Account, bits: number, path: string): boolean {
  if (process.geteuid?.() !== 0) return false;
  const tests = [
    ...((bits & 4) === 4 ? ['-r'] : []),
    ...((bits & 2) === 2 ? ['-w'] : []),
    ...((bits & 1) === 1 ? ['-x'] : []),
  ];
  const as = [`--reuid=${uid}`, `--regid=${gid}`, `--groups=${[gid, ...groups].join(',')}`];
  // From the directory itself: those above it were looked at already.
  return tests.every(
    (test) =>
      spawnSync('setpriv', [...as, '/usr/bin/test', test, '.'], { cwd: path, stdio: 'ignore' }).status === 0,
  );
}
