/** The parts of README.md that are written from the descriptions of the Lua API, of the linter's rules and of the options. */
import { RULES } from '../lint/rules/rules.ts';
import { OPTION_TABLE } from '../option-table.ts';
import { API } from './definition.ts';
import { formatReference } from './reference.ts';

/** Text by the name of its part. */
export function generatedParts(): ReadonlyMap<string, string> {
  return new Map([
    ['reference', formatReference(API, 3)],
    ['rules', formatRules()],
    ['options', formatOptions()],
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
    text = text.replace(marked, (_all, begin: string, end: string) => `${begin}\n${part.trim()}\n\n${end}`);
  }
  return text;
}

function formatOptions(): string {
  const rows = Object.values(OPTION_TABLE).map(({ name, help, shown }) => {
    const fallback = shown === undefined ? '' : `\`${shown}\``;
    return `| \`--${name}\` | ${help.replaceAll('|', '\\|')} | ${fallback} |`;
  });
  return `| option | meaning | default |\n| --- | --- | --- |\n${rows.join('\n')}`;
}

function formatRules(): string {
  const rows = RULES.map(({ name, severity, summary }) => `| \`${name}\` | ${severity} | ${summary} |`);
  return `| rule | severity | what it finds |\n| --- | --- | --- |\n${rows.join('\n')}`;
}
