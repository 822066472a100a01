/** Rules on Lua's patterns, which are no regular expressions. */
import { constantOf } from '../constants.ts';
import type { Report, Rule } from '../finding.ts';
import { capturesOf, type Pattern, type PatternItem, parsePattern } from '../pattern.ts';
import { type PatternUse, patternUses } from '../pattern-uses.ts';
import type { PolicyScript } from '../policy-script.ts';

/** Last labels of names: enough to tell a domain from other words with a dot between them. */
const LAST_LABELS =
  /^(com|net|org|edu|gov|mil|int|info|biz|name|example|test|invalid|localhost|local|lan|internal|arpa|io|co|de|uk|fr|nl|be|ch|at|it|es|pt|pl|cz|ru|cn|jp|kr|in|br|eu|us|ca|au|nz|se|no|dk|fi|tv|me|xyz|top|online|site|club|shop|cloud|dev|app)$/i;
const FILE_ENDINGS =
  /^(exe|scr|com|bat|cmd|pif|js|jse|vbs|vbe|wsf|wsh|hta|lnk|msi|jar|ps1|cpl|dll|zip|rar|7z|iso|img|html?|pdf|docm?|docx|xlsm?|xlsx|eml|txt|lua)$/i;

export const badPattern: Rule = {
  name: 'bad-pattern',
  severity: 'error',
  summary:
    'a pattern, or the replacement of `gsub`, that Lua refuses when it is used; `find(x, true)` for `find(x, 1, true)`',
  check(policy, report) {
    for (const use of patternUses(policy)) {
      checkPlain(policy, use, report);
      if (use.text === undefined || use.plain) continue;
      const parsed = parsePattern(use.text);
      if ('complaint' in parsed) {
        report(use.pattern, `Lua refuses this pattern: ${parsed.complaint}`);
      } else if (use.method === 'gsub') {
        checkReplacement(policy, use, parsed, report);
      }
    }
  },
};

function checkPlain(policy: PolicyScript, { method, more }: PatternUse, report: Report): void {
  const [init] = more;
  if (!init || (method !== 'find' && method !== 'match')) return;
  if (constantOf(policy, init)?.kind === 'boolean') {
    report(init, `the third argument of ${method} is where to begin`, {
      suggestion:
        method === 'find' ? 'find(text, 1, true)' : 'find(text, 1, true), as match takes no plain text',
    });
  }
}

function checkReplacement(
  policy: PolicyScript,
  { more }: PatternUse,
  pattern: Pattern,
  report: Report,
): void {
  const [by] = more;
  const constant = by && constantOf(policy, by);
  if (!by || constant?.kind !== 'string') return;
  const captures = capturesOf(pattern).length;
  for (const [, mark = ''] of constant.value.matchAll(/%(.?)/gs)) {
    if (!/[0-9%]/.test(mark)) {
      report(by, `Lua refuses this replacement: % stands before a digit or another %`, {
        suggestion: 'write %% for %',
      });
    } else if (/[1-9]/.test(mark) && Number(mark) > Math.max(1, captures)) {
      report(by, `the pattern has ${captures} captures: there is no %${mark}`);
    }
  }
  const foreign = captures > 0 ? /\$[1-9]|\\[1-9]/.exec(constant.value)?.[0] : undefined;
  if (foreign) {
    report(by, `${foreign} is an ordinary text here`, {
      suggestion: `write %${foreign[1]}`,
      severity: 'warning',
    });
  }
}

export const oddPattern: Rule = {
  name: 'odd-pattern',
  severity: 'warning',
  summary:
    'a pattern that matches something else than it seems to: `-` and `.` are magic (`%-`, `%.`), and regular expressions have no meaning (`|`, `\\\\d`, `{2,3}`, `(?:`)',
  check(policy, report) {
    for (const use of patternUses(policy)) {
      if (use.text === undefined || use.plain) continue;
      const parsed = parsePattern(use.text);
      if ('complaint' in parsed) continue;
      const found = oddityOf(use, use.text, parsed);
      if (found) report(use.pattern, found.message, { suggestion: found.instead });
    }
  },
};

interface Oddity {
  readonly message: string;
  readonly instead?: string;
}

function oddityOf(use: PatternUse, text: string, pattern: Pattern): Oddity | undefined {
  return (
    (use.method === 'gmatch' && pattern.anchored
      ? { message: 'gmatch takes ^ for an ordinary character', instead: 'match, which has anchors' }
      : undefined) ??
    foreignSyntax(text) ??
    emptyEscape(pattern.items) ??
    wordInSet(pattern.items) ??
    plusInAddress(pattern.items) ??
    dashBetweenLetters(pattern.items) ??
    dotInName(pattern)
  );
}

/** What has a meaning in regular expressions only. */
function foreignSyntax(text: string): Oddity | undefined {
  const bare = withoutEscapes(text);
  const shorthand = /\\([dwsDWS])/.exec(bare)?.[1];
  if (shorthand) {
    return { message: `\\${shorthand} is a backslash and a letter here`, instead: `write %${shorthand}` };
  }
  if (/[a-z0-9]\\\.[a-z0-9]/i.test(bare))
    return { message: '\\. is a backslash and any character here', instead: 'write %.' };
  if (/\\b[a-z]|[a-z]\\b/i.test(bare))
    return { message: '\\b is a backslash and a letter here', instead: 'write %f[%w]' };
  if (/\(\?[:i=!<]/.test(bare)) return { message: '(? has no meaning in a pattern of Lua' };
  const repeat = /[\]a-z%.)]\{\d+(,\d*)?\}/i.exec(bare)?.[0];
  if (repeat) {
    return {
      message: `${repeat.slice(1)} is an ordinary text here: Lua cannot count`,
      instead: 'write the item as often',
    };
  }
  if (/^\/[^/]+\/[gimsux]+$/.test(text)) {
    return { message: 'slashes and letters behind them are ordinary characters', instead: 'lower() before' };
  }
  const words = outsideSets(bare);
  if (/[a-z0-9$]\)?\|\(?[a-z0-9^]/i.test(words)) {
    return {
      message: '| is an ordinary character here: Lua has no alternatives',
      instead: 'several patterns, in a loop',
    };
  }
  if (/\([a-z0-9 ]+\)[?*+]/i.test(words)) {
    return { message: 'a capture cannot be repeated: what stands behind it is an ordinary character' };
  }
  return undefined;
}

/** The same text with what `%` escapes as a blank, and letters of classes as they are. */
function withoutEscapes(text: string): string {
  return text.replace(/%[^a-zA-Z]/g, '  ');
}

function outsideSets(text: string): string {
  return text.replace(/\[\^?\]?[^\]]*\]/g, '[]').replace(/%[a-z]/gi, '  ');
}

function emptyEscape(items: readonly PatternItem[]): Oddity | undefined {
  const found = items.find((item) => item.kind === 'char' && item.escaped && /[a-z]/i.test(item.char));
  if (found?.kind !== 'char') return undefined;
  return { message: `%${found.char} has no meaning of its own: it matches the letter ${found.char}` };
}

/** `[SPAM]`: one of these letters, where the word in brackets is meant. */
function wordInSet(items: readonly PatternItem[]): Oddity | undefined {
  const found = items.find(
    (item) =>
      item.kind === 'class' &&
      item.quantifier === undefined &&
      /^\[([A-Z]{4,}|[A-Z][a-z]{3,})\]$/.test(item.text),
  );
  if (found?.kind !== 'class') return undefined;
  return {
    message: `${found.text} is one of these letters: brackets are written %[ and %]`,
    instead: `%${found.text.replace(']', '%]')}`,
  };
}

/** `user+tag@`: a plus sign in an address repeats the letter before. */
function plusInAddress(items: readonly PatternItem[]): Oddity | undefined {
  const at = items.findIndex((item) => item.kind === 'char' && item.char === '@');
  const plus = items.findIndex((item, i) => {
    const next = items[i + 1];
    const isLetter = item.kind === 'char' && !item.escaped && /[a-z0-9]/i.test(item.char);
    return isLetter && item.quantifier === '+' && next?.kind === 'char' && /[a-z0-9]/i.test(next.char);
  });
  if (plus < 0 || at < plus) return undefined;
  return { message: '+ repeats the letter before it: a plus sign is written %+', instead: '%+' };
}

/** A letter that is repeated as few times as possible, or `%d-%d`, where a dash is meant. */
function dashBetweenLetters(items: readonly PatternItem[]): Oddity | undefined {
  for (const [i, item] of items.entries()) {
    const next = items[i + 1];
    if (item.kind === 'char' && item.quantifier === '-' && !item.escaped && /[a-z0-9-]/i.test(item.char)) {
      return {
        message: `${item.char}- is "${item.char}", as few as possible: a dash is written %-`,
        instead: item.char === '-' ? '%-%-' : `${item.char}%-`,
      };
    }
    const isSame = item.kind === 'class' && next?.kind === 'class' && item.text === next.text;
    if (isSame && item.quantifier === '-' && item.text.startsWith('%')) {
      return { message: `${item.text}- is ${item.text}, as few as possible: a dash is written %-` };
    }
  }
  return undefined;
}

/** `.` between what seem to be the labels of a name, the numbers of an address, or before the ending of a file name. */
function dotInName({ anchored, items }: Pattern): Oddity | undefined {
  for (const [i, item] of items.entries()) {
    if (item.kind !== 'class' || item.text !== '.' || item.quantifier !== undefined) continue;
    const before = literalBefore(items, i);
    const after = literalAfter(items, i);
    const end = items[i + 1 + after.length];
    const isLast =
      end === undefined || end.kind === 'end' || (end.kind === 'char' && '>;,)" '.includes(end.char));
    const isDomain = isLast && /[a-z0-9]$/i.test(before) && LAST_LABELS.test(after);
    const isFile = end?.kind === 'end' && FILE_ENDINGS.test(after);
    const isAddress =
      /(^|\D)\d{1,3}$/.test(before) &&
      (isDotAddress(items, i + 1) ||
        (anchored && literalStart(items, i) === 0 && (after === '' || /^\d/.test(after))));
    if (isDomain || isFile || isAddress) {
      return { message: `. before "${after}" is any character: a dot is written %.`, instead: '%.' };
    }
  }
  return undefined;
}

/** The characters of ordinary items that lead to a place. */
function literalBefore(items: readonly PatternItem[], to: number): string {
  return items
    .slice(literalStart(items, to), to)
    .map((item) => (item.kind === 'char' ? item.char : ''))
    .join('');
}

function literalStart(items: readonly PatternItem[], to: number): number {
  let from = to;
  for (; from > 0; from--) {
    const item = items[from - 1];
    if (item?.kind !== 'char' || item.quantifier !== undefined) break;
  }
  return from;
}

function literalAfter(items: readonly PatternItem[], at: number): string {
  let text = '';
  for (const item of items.slice(at + 1)) {
    if (
      item.kind !== 'char' ||
      item.quantifier !== undefined ||
      item.char === '.' ||
      !/[a-z0-9]/i.test(item.char)
    )
      break;
    text += item.char;
  }
  return text;
}

/** Whether a number and another dot follow. */
function isDotAddress(items: readonly PatternItem[], at: number): boolean {
  let i = at;
  for (let item = items[i]; item?.kind === 'char' && /\d/.test(item.char); item = items[i]) i++;
  const next = items[i];
  return i > at && i - at <= 3 && next?.kind === 'class' && next.text === '.';
}
