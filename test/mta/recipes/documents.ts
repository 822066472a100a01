/** What the documents tell an operator to type, taken from their text. */
import { readdirSync, readFileSync } from 'node:fs';

const ROOT = new URL('../../../', import.meta.url);

export interface Block {
  /** The word behind the fence: `sh`, `lua`, or ''. */
  readonly language: string;
  readonly text: string;
}

export function readme(): string {
  return readFileSync(new URL('README.md', ROOT), 'utf8');
}

/** README and what lies in docs/, by path. */
export function documents(): ReadonlyMap<string, string> {
  const names = readdirSync(new URL('docs', ROOT)).filter((name) => name.endsWith('.md'));
  return new Map([
    ['README.md', readme()],
    ...names.map((name): [string, string] => [
      `docs/${name}`,
      readFileSync(new URL(`docs/${name}`, ROOT), 'utf8'),
    ]),
  ]);
}

/** The text below a heading, up to the next of its level. */
export function section(text: string, heading: string): string {
  const start = text.indexOf(`\n## ${heading}\n`);
  if (start < 0) throw new Error(`no chapter ${heading}`);
  const end = text.indexOf('\n## ', start + 1);
  return text.slice(start, end < 0 ? undefined : end);
}

export function blocks(text: string): readonly Block[] {
  return [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', body = '']) => ({
    language,
    text: body,
  }));
}

/** The one piece of code within a sentence that begins so. */
export function code(text: string, beginning: string): string {
  const found = [...text.matchAll(/(?<!`)`([^`\n]+)`(?!`)/g)].flatMap(([, piece = '']) =>
    piece.startsWith(beginning) ? [piece] : [],
  );
  const [piece] = found;
  if (piece === undefined || new Set(found).size !== 1)
    throw new Error(`not one but ${found.length}: ${beginning}`);
  return piece;
}
