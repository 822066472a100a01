/** The one place that uses re2js: regular expressions in time that grows with the text alone. */
import { createRequire } from 'node:module';

type Re2 = typeof import('re2js');

const require = createRequire(import.meta.url);
let loaded: Re2 | undefined;

/** Loads the package: some 10 ms, once in a process. */
export function loadRe2(): Re2 {
  loaded ??= require('re2js') as Re2;
  return loaded;
}

export interface PatternFlags {
  readonly ignoreCase?: boolean;
  readonly multiLine?: boolean;
  readonly dotAll?: boolean;
  /** The longest match in the place of the first, as POSIX has it. */
  readonly longest?: boolean;
}

export interface Pattern {
  readonly groups: number;
  test(text: string): boolean;
  /** The match and its groups, from 0; undefined for a group that took no part. */
  match(text: string): readonly (string | undefined)[] | undefined;
  /** All matches, none inside another. */
  matches(text: string): Generator<Found, void, void>;
}

export interface Found {
  /** In letters. */
  readonly start: number;
  readonly end: number;
  /** The match and its groups, from 0. */
  readonly groups: readonly (string | undefined)[];
}

/** @throws an error whose message says what RE2 does not take */
export function compilePattern(
  source: string,
  { ignoreCase, multiLine, dotAll, longest }: PatternFlags,
): Pattern {
  const { RE2JS } = loadRe2();
  const flags =
    (ignoreCase ? RE2JS.CASE_INSENSITIVE : 0) |
    (multiLine ? RE2JS.MULTILINE : 0) |
    (dotAll ? RE2JS.DOTALL : 0) |
    (longest ? RE2JS.LONGEST_MATCH : 0);
  const compiled = RE2JS.compile(source, flags);
  const groupsOf = (matcher: ReturnType<typeof compiled.matcher>) =>
    Array.from({ length: compiled.groupCount() + 1 }, (_, group) => matcher.group(group) ?? undefined);
  return {
    groups: compiled.groupCount(),
    test: (text) => compiled.test(text),
    match: (text) => {
      const matcher = compiled.matcher(text);
      return matcher.find() ? groupsOf(matcher) : undefined;
    },
    *matches(text) {
      const matcher = compiled.matcher(text);
      while (matcher.find()) {
        yield { start: matcher.start(), end: matcher.end(), groups: groupsOf(matcher) };
      }
    },
  };
}
