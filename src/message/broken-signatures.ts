/** What edits do to the signatures of a message (RFC 6376): those that passed when it came and do not any more. */
import type { HeaderField } from './header-syntax.ts';

/** A signature that passed. */
export interface PassingSignature {
  /** `d=`. */
  readonly domain: string;
  /** The names in `h=`, in lower case, each as often as it is listed. */
  readonly covers: readonly string[];
  /** Of the fields: in its simple form white space counts. */
  readonly form: 'simple' | 'relaxed';
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
  const touched = new Set(
    [...old.keys(), ...now.keys()].filter((name) => !isSame('simple', old.get(name), now.get(name))),
  );
  if (touched.size === 0 && !isNewBody) return [];
  const texts = signatures.flatMap(({ domain, covers, form }) => {
    const counts = new Map<string, number>();
    for (const name of covers) if (touched.has(name)) counts.set(name, (counts.get(name) ?? 0) + 1);
    const changed = [...counts].flatMap(([name, count]) => {
      const [was, is] = [old.get(name), now.get(name)];
      return isSame(form, was, is, count) ? [] : [was?.spelling ?? is?.spelling ?? name];
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

/** Whether the last so many of a name, or all, are the same in this form. */
function isSame(
  form: PassingSignature['form'],
  before: Named | undefined,
  after: Named | undefined,
  count = Number.POSITIVE_INFINITY,
): boolean {
  const old = (before?.values ?? []).slice(-count);
  const now = (after?.values ?? []).slice(-count);
  if (old.length !== now.length) return false;
  return old.every(
    (value, i) => value === now[i] || (form === 'relaxed' && reduced(value) === reduced(now[i] ?? '')),
  );
}

/** RFC 6376 section 3.4.2. */
function reduced(value: string): string {
  return value.replace(/[ \t\n]+/g, ' ').replace(/^ | $/g, '');
}
