/** The API as a reference for people, in Markdown. */
import type {
  ApiClass,
  ApiFunction,
  Callback,
  Chapter,
  Constant,
  Entry,
  Field,
  Note,
  Parameter,
  Stage,
} from '../modules/entry.ts';

/** A list of the chapters, each with a link to its heading and the names that have headings of their own. */
export function formatContents(chapters: readonly Chapter[]): string {
  return chapters
    .map(({ title, entries }) => {
      const names = entries.flatMap((entry) => (formatEntry(entry, 1) === '' ? [] : [`\`${entry.name}\``]));
      return `- [${title}](#${anchor(title)})${names.length > 0 ? `: ${names.join(', ')}` : ''}`;
    })
    .join('\n');
}

/** The anchor of a heading, as Git servers make it. */
function anchor(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

/** Chapters under headings of the given level. */
export function formatReference(chapters: readonly Chapter[], level: number): string {
  return chapters.map((chapter) => formatChapter(chapter, level)).join('\n');
}

function formatChapter({ title, doc, since, entries }: Chapter, level: number): string {
  const parts = [`${'#'.repeat(level)} ${title}\n`, `${doc}\n`];
  if (since !== undefined) parts.push(`Since version ${since}.\n`);
  const fields = entries.filter((entry): entry is Field => entry.kind === 'field');
  if (fields.length > 0) parts.push(formatFields(fields));
  const notes = entries.filter((entry): entry is Note => entry.kind === 'note');
  if (notes.length > 0) parts.push(formatNotes(notes));
  const constants = entries.filter((entry): entry is Constant => entry.kind === 'constant');
  if (constants.length > 0) parts.push(formatConstants(constants));
  for (const entry of entries) {
    const text = formatEntry(entry, level + 1);
    if (text !== '') parts.push(text);
  }
  return parts.join('\n');
}

function formatEntry(entry: Entry, level: number): string {
  switch (entry.kind) {
    case 'callback':
      return formatCallback(entry, level);
    case 'function':
      return formatFunction(entry, level);
    case 'class':
      return formatClass(entry, level);
    case 'field':
    case 'constant':
    case 'note':
      return '';
    default:
      return entry satisfies never;
  }
}

function formatCallback({ name, alias, params, answers, doc, mta }: Callback, level: number): string {
  const call = `${name}(${params.map((param) => param.name).join(', ')})`;
  const lines = [`${'#'.repeat(level)} ${call}\n`, `${doc}\n`, ...formatParams(params)];
  if (!answers) lines.push('Its results are ignored.\n');
  if (mta !== undefined) lines.push(`*At the MTAs:* ${mta}\n`);
  lines.push(`Also looked for as \`${alias}\`.\n`);
  return lines.join('\n');
}

function formatFunction(entry: ApiFunction, level: number): string {
  const { name, aliases, params, results, forms, from, doc, waits, example, overloads } = entry;
  const required = params.filter(({ optional }) => optional !== true).map((param) => param.name);
  const optional = params.filter((param) => param.optional === true).map((param) => param.name);
  const list = `${required.join(', ')}${optional.map((param, i) => `[${i > 0 || required.length > 0 ? ', ' : ''}${param}`).join('')}${']'.repeat(optional.length)}`;
  const lines = [
    `${'#'.repeat(level)} ${name}(${list})\n`,
    `${doc}${waits ? ' It waits.' : ''}\n`,
    ...formatParams(params),
  ];
  if (overloads !== undefined) {
    lines.push(
      `Also as ${overloads.map((form) => `\`${name}${form.replace(/^fun/, '').replace(/:.*$/, '')}\``).join(', ')}.\n`,
    );
  }
  if (results.length > 0) {
    const texts = results.map(
      (result) =>
        `${result.name === undefined ? '' : `\`${result.name}\`: `}${result.doc} (\`${result.type}\`)`,
    );
    lines.push(`Returns ${texts.join('; ')}.\n`);
  }
  if (forms !== undefined) {
    lines.push(`Together they are ${forms.map((form) => `\`${form.join(', ')}\``).join(' or ')}.\n`);
  }
  if (entry.useful !== undefined && entry.useful !== from) {
    lines.push(`Of use from ${formatStage(entry.useful)} on.\n`);
  }
  if (entry.since !== undefined) lines.push(`Since version ${entry.since}.\n`);
  if (aliases !== undefined)
    lines.push(`Also called ${aliases.map((alias) => `\`${alias}\``).join(', ')}.\n`);
  if (example !== undefined) lines.push(`\`\`\`lua\n${example}\n\`\`\`\n`);
  return lines.join('\n');
}

function formatParams(params: readonly Parameter[]): string[] {
  if (params.length === 0) return [];
  return [`${params.map(({ name, type, doc }) => `- \`${name}\` (\`${type}\`): ${doc}`).join('\n')}\n`];
}

function formatClass({ name, fields, doc }: ApiClass, level: number): string {
  if (fields.length === 0) return '';
  const rows = fields.map((field) => `- \`${field.name}\` (\`${field.type}\`): ${field.doc}`);
  return `${'#'.repeat(level)} ${name}\n\n${doc}.\n\n${rows.join('\n')}\n`;
}

function formatStage(stage: Stage): string {
  return stage === 'start' ? 'always' : `\`do_${stage}\``;
}

function formatFields(fields: readonly Field[]): string {
  const rows = fields.map(({ name, type, from, filled, doc }) => {
    const stage = from === 'start' ? 'always' : `from ${formatStage(from)} on`;
    const elements = filled === undefined ? '' : `, filled from ${formatStage(filled)} on`;
    return `- \`${name}\` (\`${type}\`, ${stage}${elements}): ${doc}`;
  });
  return `${rows.join('\n')}\n`;
}

function formatNotes(notes: readonly Note[]): string {
  return `${notes.map(({ name, doc }) => `- **${name}**: ${doc}`).join('\n')}\n`;
}

function formatConstants(constants: readonly Constant[]): string {
  const rows = constants.map(({ name, value, doc }) => `| \`${name}\` | ${value} | ${doc ?? ''} |`);
  return `| constant | value | meaning |\n| --- | --- | --- |\n${rows.join('\n')}\n`;
}
