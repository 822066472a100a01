/** The name that an unknown one most likely means. */
import { nearest } from './nearest.ts';

/** One that begins with the unknown name and is the only one to do so, else one with almost the same letters. */
export function closest(name: string, candidates: readonly string[]): string | undefined {
  const longer = candidates.filter((candidate) => candidate.startsWith(name));
  return name.length > 1 && longer.length === 1 ? longer[0] : nearest(name, candidates);
}

/** The same for variables: short names are near to too many others. */
export function closestVariable(name: string, candidates: readonly string[]): string | undefined {
  return name.length < 3
    ? undefined
    : closest(
        name,
        candidates.filter(({ length }) => length > 2),
      );
}
