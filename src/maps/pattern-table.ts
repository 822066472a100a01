/** Postfix's `regexp:` and `pcre:` tables (regexp_table(5), pcre_table(5)): the first expression that matches. */
import { Rules } from './conditions.ts';
import { compilePattern, type Pattern, type PatternFlags } from './re2.ts';
import { eachTableLine, type Table, TableError, trimmed } from './table.ts';

export type PatternKind = 'regexp' | 'pcre';

/** What a look-up is of, with the groups of the expression that matched it last. */
interface Subject {
  readonly text: string;
  groups: readonly (string | undefined)[] | undefined;
}

/** A value in pieces: text, and numbers of groups. */
type Value = readonly (string | number)[];

/** Longer keys are not looked at: Postfix's own limit of a line is as large. */
const MAX_KEY = 65_536;

export class PatternTable implements Table {
  readonly #rules: Rules<Subject, Value>;
  readonly entries: number;

  private constructor(rules: Rules<Subject, Value>, entries: number) {
    this.#rules = rules;
    this.entries = entries;
  }

  /** Reads a table, in slices. @throws TableError */
  static *read(bytes: Buffer, kind: PatternKind): Generator<void, PatternTable, void> {
    const rules = new Rules<Subject, Value>();
    let entries = 0;
    const texts: { readonly text: string; readonly number: number }[] = [];
    yield* eachTableLine(bytes, (start, end, number, joined) => {
      texts.push({ text: trimmed(joined ?? bytes.toString('latin1', start, end)), number });
    });
    for (const { text, number } of texts) {
      if (/^endif(?:[ \t-\r]|$)/i.test(text)) {
        rules.end(number);
        continue;
      }
      const condition = /^if(?=[ \t-\r!/])[ \t-\r]*(.*)$/is.exec(text)?.[1];
      const { source, flags, isNegated, rest } = splitPattern(condition ?? text, kind, number);
      const pattern = compiled(source, flags, number);
      const test = new PatternTest(number, pattern, isNegated);
      if (condition !== undefined) rules.begin(test);
      else {
        rules.add(test, piecesOf(rest, isNegated ? 0 : pattern.groups, isNegated, number));
        entries += 1;
      }
      // To compile one takes a tenth of a millisecond.
      yield;
    }
    rules.complete();
    return new PatternTable(rules, entries);
  }

  get(key: string): string | undefined {
    if (key.length > MAX_KEY) return undefined;
    const steps = this.lookUp(key);
    for (;;) {
      const { value, done } = steps.next();
      if (done) return value;
    }
  }

  /** As `get`, with a pause after each expression. */
  *lookUp(key: string): Generator<void, string | undefined, void> {
    const subject: Subject = { text: key, groups: undefined };
    const rule = yield* this.#rules.matching(subject);
    return rule?.value
      ?.map((piece) => (typeof piece === 'string' ? piece : (subject.groups?.[piece] ?? '')))
      .join('');
  }
}

class PatternTest {
  readonly line: number;
  readonly #pattern: Pattern;
  readonly #isNegated: boolean;

  constructor(line: number, pattern: Pattern, isNegated: boolean) {
    this.line = line;
    this.#pattern = pattern;
    this.#isNegated = isNegated;
  }

  matches(subject: Subject): boolean {
    if (!this.#pattern.test(subject.text)) return this.#isNegated;
    if (this.#isNegated) return false;
    if (this.#pattern.groups > 0) subject.groups = this.#pattern.match(subject.text);
    return true;
  }
}

interface WrittenPattern {
  readonly source: string;
  readonly flags: PatternFlags;
  readonly isNegated: boolean;
  readonly rest: string;
}

/** `!/pattern/flags value`; the delimiter may be any sign. */
function splitPattern(text: string, kind: PatternKind, line: number): WrittenPattern {
  const [, not = '', delimiter = '', after = ''] =
    /^((?:![ \t-\r]*)*)([^ \t-\rA-Za-z0-9\\])(.*)$/s.exec(text) ?? [];
  if (delimiter === '') throw new TableError('no expression between delimiters such as /.../', line);
  let end = 0;
  while (end < after.length && after[end] !== delimiter) end += after[end] === '\\' ? 2 : 1;
  if (end >= after.length) throw new TableError(`no ${delimiter} at the end of the expression`, line);
  const [, letters = '', rest = ''] = /^([^ \t-\r]*)[ \t-\r]*(.*)$/s.exec(after.slice(end + 1)) ?? [];
  return {
    source: after.slice(0, end),
    flags: flagsOf(letters, kind, line),
    isNegated: (not.match(/!/g)?.length ?? 0) % 2 === 1,
    rest,
  };
}

/** Each letter switches what holds without it. */
function flagsOf(letters: string, kind: PatternKind, line: number): PatternFlags {
  const has = (letter: string) => [...letters].filter((other) => other === letter).length % 2 === 1;
  const known = kind === 'regexp' ? 'imx' : 'imsxAEUX';
  const unknown = [...letters].find((letter) => !known.includes(letter));
  if (unknown !== undefined) throw new TableError(`unknown flag ${unknown}`, line);
  if (kind === 'regexp') {
    if (has('x')) throw new TableError('flag x: basic expressions are not in RE2', line);
    return { ignoreCase: !has('i'), multiLine: has('m'), dotAll: !has('m'), longest: true };
  }
  for (const letter of 'xAEUX') {
    if (has(letter)) throw new TableError(`flag ${letter} is not in RE2`, line);
  }
  return { ignoreCase: !has('i'), multiLine: has('m'), dotAll: !has('s') };
}

function compiled(source: string, flags: PatternFlags, line: number): Pattern {
  try {
    return compilePattern(source, flags);
  } catch (error) {
    throw new TableError(`not in RE2: ${error instanceof Error ? error.message : String(error)}`, line);
  }
}

/** `$1`, `${1}` and `$(1)` stand for groups, `$$` for a `$`. */
function piecesOf(text: string, groups: number, isNegated: boolean, line: number): Value {
  if (text === '') throw new TableError('an expression without a value', line);
  const pieces: (string | number)[] = [];
  let end = 0;
  for (const match of text.matchAll(/\$(?:(\$)|(\d+)|\{(\d+)\}|\((\d+)\)|)/g)) {
    pieces.push(text.slice(end, match.index));
    end = match.index + match[0].length;
    const number = match[2] ?? match[3] ?? match[4];
    if (match[1] !== undefined) pieces.push('$');
    else if (number === undefined)
      throw new TableError('a $ that names no group: write $$ for the sign itself', line);
    else if (isNegated) throw new TableError(`$${number} in the value of a negated expression`, line);
    else if (Number(number) < 1 || Number(number) > groups)
      throw new TableError(`there is no group ${number}`, line);
    else pieces.push(Number(number));
  }
  pieces.push(text.slice(end));
  return pieces.filter((piece) => piece !== '');
}
