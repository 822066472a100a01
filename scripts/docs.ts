/** `npm run docs`: writes the generated parts of docs/ from the descriptions of API, rules and options, and breaks long lines. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { broken, generatedParts, withGeneratedParts } from './documentation.ts';

const ROOT = new URL('../', import.meta.url);

const pages = ['', 'docs/', 'test/'].flatMap((folder) =>
  readdirSync(new URL(folder, ROOT))
    .filter((name) => name.endsWith('.md') && name !== 'CHANGELOG.md')
    .map((name) => `${folder}${name}`),
);
for (const page of pages) {
  const file = new URL(page, ROOT);
  const text = readFileSync(file, 'utf8');
  const written = broken(withGeneratedParts(text, generatedParts().get(page) ?? new Map()));
  if (written !== text) writeFileSync(file, written);
}
