/**
 * Who can change what a path leads to: whoever may write to a directory on the way can put a link, or another directory, in
 * the place of what was looked at a moment ago. A program with the rights of root that makes a file there, or gives one
 * away, may do so anywhere then.
 *
 * In a directory with the sticky bit, such as /tmp, everybody can make what is not there yet, and nobody but its owner can
 * replace what is.
 */
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { codeOf } from '../text/operator-error.ts';

export interface WayThere {
  /** Who else can change it, as `DIR belongs to uid 1000`; undefined where only root and those who are trusted can. */
  readonly objection: string | undefined;
  /** Nobody but root can change it, or make something at its end. */
  readonly ofRoot: boolean;
  /** Whom root has given a directory on the way, see `wayTo`. */
  readonly assignee: number | undefined;
}

/** As many links as Linux follows. */
const MAX_LINKS = 40;
const STICKY = 0o1000;
const ROOT = 0;

/**
 * Looks at the directories that lead to `path`, links followed; not at what is there itself.
 * @param path absolute; a directory that is not there yet ends the look
 * @param trusted users who may change it, beside root
 * @param assigned whether one more user is trusted: the owner of a directory in a place where only root can make one
 * @throws what the system says
 */
export function wayTo(path: string, trusted: readonly number[], assigned = false): WayThere {
  const holders = new Set([ROOT, ...trusted]);
  let rest = ['', ...dirname(path).split('/').filter(Boolean)];
  let at = '/';
  let links = 0;
  let assignee: number | undefined;
  /** Nobody but root can replace what was looked at so far. */
  let isFixed = true;
  /** Everybody can make something in the last directory. */
  let isShared = false;
  for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
    const next = part === '..' ? dirname(at) : join(at, part);
    const found = lookAt(next);
    if (found === 'hidden') isFixed = false;
    if (found === undefined || found === 'hidden') break;
    if (!holders.has(found.uid)) {
      if (!assigned || !isFixed || isShared) return objectionOf(`${next} belongs to uid ${found.uid}`);
      assignee = found.uid;
      holders.add(assignee);
    }
    if (found.uid !== ROOT) isFixed = false;
    if (found.isSymbolicLink()) {
      links += 1;
      if (links > MAX_LINKS) return objectionOf(`${next} leads through more than ${MAX_LINKS} links`);
      const target = readlinkSync(next);
      const parts = target.split('/').filter(Boolean);
      if (target.startsWith('/')) at = '/';
      rest = [...parts, ...rest];
      continue;
    }
    if (!found.isDirectory()) break;
    isShared = isOpenToOthers(found);
    if (isShared && (found.mode & STICKY) === 0)
      return objectionOf(`others than its owner may write to ${next}`);
    at = next;
  }
  return { objection: undefined, ofRoot: isFixed && !isShared, assignee };
}

function objectionOf(objection: string): WayThere {
  return { objection, ofRoot: false, assignee: undefined };
}

/** What the group of root may do, root may. */
function isOpenToOthers({ mode, gid }: Stats): boolean {
  return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== 0);
}

/** Undefined where nothing is; hidden where Node's permission model does not let this process look. */
function lookAt(path: string): Stats | 'hidden' | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (codeOf(error) === 'ENOTDIR') return undefined;
    if (codeOf(error) === 'ERR_ACCESS_DENIED') return 'hidden';
    throw error;
  }
}
