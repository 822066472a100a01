/** What edits do to the signatures of a message (RFC 6376): those that passed when it came and do not any more. */
import type { HeaderField } from './header-syntax.ts';

/** A signature that passed. */
export interface PassingSignature {
  /** `d=`. */
  readonly domain: string;
  /** The names in `h=`, in lower case, each as often as it is listed. */
  readonly covers: readonly string[];
}

/**
 * What is said of a message: `breaks d=example.com: h= covers Subject`, one text for each domain and what breaks it.
 * Text is latin1.
 *
 * @param before the fields as they came @param after as they will be
 * @param isNewBody whether another body takes the place of the one that was signed
 */
export function brokenSignatures(
  signatures: readonly PassingSignature[],
  before: readonly HeaderField[],
  after: readonly HeaderField[],
  isNewBody: boolean,
): string[] {
  const [old, now] = [valuesByName(before), valuesByName(after)];
  const texts = signatures.flatMap(({ domain, covers }) => {
    const counts = new Map<string, number>();
    for (const name of covers) counts.set(name, (counts.get(name) ?? 0) + 1);
    const changed = [...counts].flatMap(([name, count]) => {
      const [was, is] = [old.get(name), now.get(name)];
      return isSame(was?.values, is?.values, count) ? [] : [was?.spelling ?? is?.spelling ?? name];
    });
    const reasons = [
      ...(changed.length > 0 ? [`h= covers ${changed.join(', ')}`] : []),
      ...(isNewBody ? ['bh= covers the body'] : []),
    ];
    return reasons.length > 0 ? [`breaks d=${domain}: ${reasons.join('; ')}`] : [];
  });
  return [...new Set(texts)];
}

interface Named {
  readonly spelling: string;
  readonly values: string[];
}

function valuesByName(fields: readonly HeaderField[]): Map<string, Named> {
  const byName = new Map<string, Named>();
  for (const { name, value } of fields) {
    const key = name.toLowerCase();
    const named = byName.get(key);
    if (named === undefined) byName.set(key, { spelling: name, values: [value] });
    else named.values.push(value);
  }
  return byName;
}

/** Whether those of a name that count, from the last, are the same; white space within a line end does not matter. */
function isSame(before: readonly string[] = [], after: readonly string[] = [], count: number): boolean {
  const [old, now] = [before.slice(-count), after.slice(-count)];
  return old.length === now.length && old.every((value, i) => reduced(value) === reduced(now[i] ?? ''));
}

/** As the form relaxed has it: most signatures use that. */
function reduced(value: string): string {
  return value.replace(/\s+/g, ' ').trim();
}
