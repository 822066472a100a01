/** The parts of docs/ that are written from the descriptions of the Lua API, of the linter's rules and of the options. */

import { readdirSync, readFileSync } from 'node:fs';
import { API } from '../src/api/definition.ts';
import { formatContents, formatReference } from '../src/api/reference.ts';
import { RULES } from '../src/lint/rules/rules.ts';
import { OPTION_TABLE } from '../src/options/option-table.ts';

/** Columns of a line. */
const WIDTH = 120;
/** The headings of its chapters: `##`. */
const CHAPTER_LEVEL = 2;

/** By document, the text of each part by its name. */
export function generatedParts(): ReadonlyMap<string, ReadonlyMap<string, string>> {
  return new Map([
    [
      'docs/reference.md',
      new Map([
        ['contents', formatContents(API)],
        ['reference', formatReference(API, CHAPTER_LEVEL)],
      ]),
    ],
    ['docs/check.md', new Map([['rules', formatRules()]])],
    ['docs/options.md', new Map([['options', formatOptions()]])],
    ['docs/ready-policies.md', new Map(readyPolicies().map((name) => [name, formatKeys(name)]))],
  ]);
}

/**
 * Puts each part between its marks, `<!-- name: ... -->` and `<!-- /name -->`.
 * @throws Error when a mark is missing.
 */
export function withGeneratedParts(document: string, parts: ReadonlyMap<string, string>): string {
  let text = document;
  for (const [name, part] of parts) {
    const marked = new RegExp(`(<!-- ${name}: [^\\n]*-->\\n)[^]*?(<!-- /${name} -->)`);
    if (!marked.test(text)) throw new Error(`no place for the part ${name}`);
    text = text.replace(
      marked,
      (_all, begin: string, end: string) => `${begin}\n${broken(part.trim())}\n\n${end}`,
    );
  }
  return text;
}

const READY = new URL('../policies/policy/', import.meta.url);

/** Names of the policies that come with the program: those that have a configuration. */
export function readyPolicies(): string[] {
  return readdirSync(READY)
    .filter((file) => readFileSync(new URL(file, READY), 'utf8').includes('---@class policy.'))
    .map((file) => file.replace(/\.lua$/, ''));
}

/** The keys of a policy's configuration, from the annotations that an editor reads too. */
function formatKeys(policy: string): string {
  const text = readFileSync(new URL(`${policy}.lua`, READY), 'utf8');
  const classes = text.split(/^---@class policy\./m).slice(1);
  return classes
    .flatMap((lines) => {
      // What stands in a key of the policy: policy.closed_list.list
      const [, inner] = /^\w+\.(\w+)/.exec(lines) ?? [];
      return [...lines.matchAll(FIELD)].map(([, name, optional, type, doc]) => {
        const key = inner === undefined ? `${name}\`` : `${name}\` of a ${inner}`;
        return `- \`${key} (\`${type?.replaceAll('|', ' | ')}\`${optional ? '' : ', must be given'}): ${doc}.`;
      });
    })
    .join('\n');
}

/** A line `---@field name? type What it is`. */
const FIELD = /^---@field (\w+)(\??) ((?:"[^"]*"|<[^>]*>|[^\s<"])+) (.+)$/gm;

/** By their groups, as `--help` shows them. */
function formatOptions(): string {
  const options = Object.values(OPTION_TABLE);
  const groups = [...new Set(options.map(({ group }) => group))];
  return groups
    .map((group) => {
      const rows = options
        .filter((option) => option.group === group)
        .map(({ name, help, shown }) => {
          const fallback =
            shown === undefined ? '' : ` Default: ${/[ ’]/.test(shown) ? shown : `\`${shown}\``}.`;
          return `- \`--${name}\`: ${help.replace(/\.?$/, '.')}${fallback}`;
        });
      return `### ${group.replace(':', '')}\n\n${rows.join('\n')}\n`;
    })
    .join('\n');
}

function formatRules(): string {
  return RULES.map(({ name, severity, summary }) => `- \`${name}\` (${severity}): ${summary}`).join('\n');
}

/** What begins a line that stands by itself, or ends a paragraph: code, a table, a heading, a comment, a quotation. */
const NO_TEXT = /^\s*(```|\||#|<|>)|^ {4,}[^ ]|^\s*$/;
const LIST_ITEM = /^( *)([-*+]|\d+[.)]) +(?=\S)/;
/** What Markdown takes for a list, a heading or a quotation where it begins a line. */
const NOT_FIRST = /^(([-+*]|#+|\d+[.)])$|[>|])/;

/**
 * Markdown whose paragraphs and list items are filled up to the width where they are not yet; code, tables and headings
 * stay as they are. A paragraph is filled as a whole: to break a long line alone would leave its last word on a line.
 */
export function broken(text: string): string {
  const lines: string[] = [];
  let paragraph: string[] = [];
  let isCode = false;
  const end = (): void => {
    lines.push(...(isFilled(paragraph) ? paragraph : filled(paragraph)));
    paragraph = [];
  };
  for (const line of text.split('\n')) {
    const isFence = /^\s*```/.test(line);
    if (isCode || isFence || (NO_TEXT.test(line) && !(paragraph.length > 0 && /^ {4,}[^ ]/.test(line)))) {
      end();
      lines.push(line);
      if (isFence) isCode = !isCode;
      continue;
    }
    if (LIST_ITEM.test(line)) end();
    paragraph.push(line);
  }
  end();
  return lines.join('\n');
}

/** No line is too long, and none but the last has room for the next word. */
function isFilled(paragraph: readonly string[]): boolean {
  return paragraph.every((line, index) => {
    const [next] = wordsOf(paragraph[index + 1]?.trim() ?? '');
    const hasRoom = next !== undefined && line.length + 1 + next.length <= WIDTH;
    return line.length <= WIDTH && (!hasRoom || isMeant(line, next));
  });
}

/** A hard break, or a line that cannot begin with the word that would come next. */
function isMeant(line: string, next: string): boolean {
  return /( {2}|\\)$/.test(line) || NOT_FIRST.test(next);
}

function filled(paragraph: readonly string[]): string[] {
  const [first = ''] = paragraph;
  if (paragraph.some((line) => /( {2}|\\)$/.test(line))) return [...paragraph];
  const [start] = LIST_ITEM.exec(first) ?? /^ */.exec(first) ?? [''];
  const text = [first.slice(start.length), ...paragraph.slice(1)].map((line) => line.trim()).join(' ');
  const lines: string[] = [];
  let current = start;
  for (const word of wordsOf(text)) {
    const isFirst = current.length === start.length;
    if (isFirst) current += word;
    else if (current.length + 1 + word.length <= WIDTH || NOT_FIRST.test(word)) current += ` ${word}`;
    else {
      lines.push(current);
      current = ' '.repeat(start.length) + word;
    }
  }
  return [...lines, current];
}

/** A piece of code in a line is not broken. */
function wordsOf(text: string): readonly string[] {
  return text.match(/(?:`[^`]*`|[^ ])+/g) ?? [];
}
