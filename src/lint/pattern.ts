/** Lua's patterns, read without running them: what they match one item after the other, or why they are none. */

export type Quantifier = '*' | '+' | '-' | '?';

export type PatternItem =
  | {
      readonly kind: 'char';
      /** The byte, and whether a `%` stands before it. */
      readonly char: string;
      readonly escaped: boolean;
      readonly quantifier: Quantifier | undefined;
    }
  | {
      /** `.`, `%d` or a set. */
      readonly kind: 'class';
      readonly text: string;
      readonly quantifier: Quantifier | undefined;
    }
  | { readonly kind: 'open' | 'close' | 'position' | 'balance' | 'frontier' | 'end' }
  | { readonly kind: 'back'; readonly capture: number };

export interface Pattern {
  /** Whether `^` binds it to the beginning. */
  readonly anchored: boolean;
  readonly items: readonly PatternItem[];
}

export interface Malformed {
  /** As Lua says it. */
  readonly complaint: string;
}

const CLASSES = 'acdglpsuwxACDGLPSUWX';

/** @param text latin1 */
export function parsePattern(text: string): Pattern | Malformed {
  const anchored = text.startsWith('^');
  const items: PatternItem[] = [];
  const open: number[] = [];
  const closed = new Set<number>();
  let captures = 0;
  let at = anchored ? 1 : 0;
  while (at < text.length) {
    const char = text[at] ?? '';
    if (char === '(') {
      captures++;
      if (text[at + 1] === ')') {
        items.push({ kind: 'position' });
        closed.add(captures);
        at += 2;
      } else {
        items.push({ kind: 'open' });
        open.push(captures);
        at++;
      }
    } else if (char === ')') {
      const last = open.pop();
      if (last === undefined) return { complaint: 'invalid pattern capture' };
      closed.add(last);
      items.push({ kind: 'close' });
      at++;
    } else if (char === '$' && at === text.length - 1) {
      items.push({ kind: 'end' });
      at++;
    } else if (char === '%' && text[at + 1] === 'b') {
      if (at + 3 >= text.length) return { complaint: "malformed pattern (missing arguments to '%b')" };
      items.push({ kind: 'balance' });
      at += 4;
    } else if (char === '%' && text[at + 1] === 'f') {
      if (text[at + 2] !== '[') return { complaint: "missing '[' after '%f' in pattern" };
      const end = endOfSet(text, at + 2);
      if (end === undefined) return { complaint: "malformed pattern (missing ']')" };
      items.push({ kind: 'frontier' });
      at = end;
    } else if (char === '%' && /[0-9]/.test(text[at + 1] ?? '')) {
      const capture = Number(text[at + 1]);
      if (!closed.has(capture)) return { complaint: `invalid capture index %${capture}` };
      items.push({ kind: 'back', capture });
      at += 2;
    } else {
      const end = endOfItem(text, at);
      if (typeof end !== 'number') return end;
      const quantifier = quantifierAt(text, end);
      const single = text.slice(at, end);
      items.push(
        single.length === 1 && single !== '.'
          ? { kind: 'char', char: single, escaped: false, quantifier }
          : single.startsWith('%') && !CLASSES.includes(single[1] ?? '')
            ? { kind: 'char', char: single[1] ?? '', escaped: true, quantifier }
            : { kind: 'class', text: single, quantifier },
      );
      at = end + (quantifier === undefined ? 0 : 1);
    }
  }
  return open.length > 0 ? { complaint: 'unfinished capture' } : { anchored, items };
}

function endOfItem(text: string, at: number): number | Malformed {
  if (text[at] === '%') {
    return at + 1 < text.length ? at + 2 : { complaint: "malformed pattern (ends with '%')" };
  }
  if (text[at] !== '[') return at + 1;
  return endOfSet(text, at) ?? { complaint: "malformed pattern (missing ']')" };
}

/** Behind the `]` of a set that begins here. */
function endOfSet(text: string, from: number): number | undefined {
  let at = from + (text[from + 1] === '^' ? 2 : 1);
  let first = true;
  while (first || text[at] !== ']') {
    if (at >= text.length) return undefined;
    at += text[at] === '%' ? 2 : 1;
    first = false;
  }
  return at + 1;
}

function quantifierAt(text: string, at: number): Quantifier | undefined {
  const char = text[at];
  return char === '*' || char === '+' || char === '-' || char === '?' ? char : undefined;
}

/** What each capture gives: a piece of the text, of digits only, or a position. */
export function capturesOf({ items }: Pattern): ('text' | 'numeral' | 'integer')[] {
  const kinds: ('text' | 'numeral' | 'integer')[] = [];
  items.forEach((item, i) => {
    if (item.kind === 'position') kinds.push('integer');
    if (item.kind === 'open') kinds.push(isNumeral(items, i + 1) ? 'numeral' : 'text');
  });
  return kinds;
}

/** Whether the items up to the end of a capture match digits only. */
function isNumeral(items: readonly PatternItem[], from: number): boolean {
  for (let i = from; i < items.length; i++) {
    const item = items[i];
    if (item?.kind === 'close') return i > from;
    const isDigit =
      (item?.kind === 'class' && /^(%d|%x|\[%d\]|\[%x\]|\[\d-\d\]|\[\d+\])$/.test(item.text)) ||
      (item?.kind === 'char' && /^\d$/.test(item.char));
    if (!isDigit) return false;
  }
  return false;
}

/** Whether there is a match in every text: each item may match nothing, or any text between the ends. */
export function matchesAlways({ anchored, items }: Pattern): boolean {
  const parts = items.filter(({ kind }) => kind !== 'open' && kind !== 'close' && kind !== 'position');
  const toEnd = parts.at(-1)?.kind === 'end';
  const between = toEnd ? parts.slice(0, -1) : parts;
  const optional = between.every(
    (item) => (item.kind === 'char' || item.kind === 'class') && (item.quantifier ?? '+') !== '+',
  );
  if (!optional) return false;
  const isAny = between.some((item) => item.kind === 'class' && item.text === '.' && item.quantifier !== '?');
  return !(anchored && toEnd) || isAny;
}
