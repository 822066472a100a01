/**
 * What tells one content of a file from another without reading it.
 *
 * Times of files advance in steps of some milliseconds, so an edit soon after another can leave time and size as they
 * were: the stamp of a file that is so young does not tell yet.
 */
import { type BigIntStats, statSync } from 'node:fs';

const YOUNG_NS = 100_000_000n;

/** Undefined when nothing is there that can be looked at. */
export function stampOf(path: Buffer): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
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

/** Whether another edit could leave the same stamp. */
export function isYoung({ mtimeNs }: BigIntStats): boolean {
  const now = BigInt(Date.now()) * 1_000_000n;
  return now - mtimeNs < YOUNG_NS && now >= mtimeNs - YOUNG_NS;
}
