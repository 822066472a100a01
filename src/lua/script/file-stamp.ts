/**
 * What tells one content of a file from another without reading it.
 *
 * Times of files advance in steps: of some milliseconds on most file systems, of one or two seconds on some. So an edit soon
 * after another can leave time and size as they were: the stamp of a file that is so young does not tell yet.
 */
import { type BigIntStats, statSync } from 'node:fs';

const YOUNG_NS = 100_000_000n;
/** The same where times look like whole seconds. */
const YOUNG_IN_SECONDS_NS = 2_100_000_000n;
const SECOND_NS = 1_000_000_000n;

/** Undefined when nothing is there that can be looked at. */
export function stampOf(path: Buffer): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** The stamp of what is at a path as text; '' where nothing is there that can be looked at. */
export function versionAt(path: Buffer): string {
  const stats = stampOf(path);
  return stats === undefined ? '' : versionOf(stats);
}

/** The stamp as text. */
export function versionOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}-${ino}-${size}-${mtimeNs}-${ctimeNs}`;
}

export function isSame(a: BigIntStats, b: BigIntStats): boolean {
  return (
    a.mtimeNs === b.mtimeNs &&
    a.ctimeNs === b.ctimeNs &&
    a.size === b.size &&
    a.ino === b.ino &&
    a.dev === b.dev &&
    a.mode === b.mode
  );
}

/** Whether another edit could leave the same stamp. A program may set the time of the content, but not that of the change. */
export function isYoung({ mtimeNs, ctimeNs }: BigIntStats): boolean {
  const changed = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
  const young = changed % SECOND_NS === 0n ? YOUNG_IN_SECONDS_NS : YOUNG_NS;
  const now = BigInt(Date.now()) * 1_000_000n;
  return now - changed < young && now >= changed - young;
}
