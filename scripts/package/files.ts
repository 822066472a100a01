/** What a package has beside the program, written into a folder: man pages and completions. node scripts/tsx.mjs scripts/package/files.ts DIR DATE */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { completions } from './completion.ts';
import { manualPages } from './manual.ts';

const [, , folder = '', date = ''] = process.argv;
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
mkdirSync(folder, { recursive: true });
for (const [name, text] of [...manualPages(version, date), ...completions()])
  writeFileSync(join(folder, name), text);
