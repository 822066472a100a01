/** The parts of docs/ that are written from the descriptions of the Lua API, of the linter's rules and of the options. */

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

/**
 * Markdown whose paragraphs and list items are broken at the width; code, tables and headings stay as they are. A piece of
 * code in a line is not broken, and no line begins with what Markdown would take for a list or a heading.
 */
export function broken(text: string): string {
  let isCode = false;
  return text
    .split('\n')
    .flatMap((line) => {
      if (line.startsWith('```')) isCode = !isCode;
      if (isCode || line.length <= WIDTH || /^(```|\||#)/.test(line)) return [line];
      const indent = /^ *(- )?/.exec(line)?.[0].length ?? 0;
      const words = line.slice(indent).match(/(?:`[^`]*`|[^ `])+/g) ?? [];
      const lines: string[] = [];
      let current = line.slice(0, indent);
      for (const word of words) {
        const isFirst = current.trim() === '' || current === '- ';
        const fits = current.length + 1 + word.length <= WIDTH;
        if (isFirst) current += word;
        else if (fits || /^(([-+*]|#+|\d+[.)])$|[>|])/.test(word)) current += ` ${word}`;
        else {
          lines.push(current);
          current = ' '.repeat(indent) + word;
        }
      }
      return [...lines, current];
    })
    .join('\n');
}
