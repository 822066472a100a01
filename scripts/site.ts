/** `npm run site [FOLDER]`: the documents as a static site, in `site/` where no folder is named; open its index.html. */
import { fileURLToPath } from 'node:url';
import { buildSite } from './site/build-site.ts';

const [folder = fileURLToPath(new URL('../site', import.meta.url))] = process.argv.slice(2);
const pages = buildSite(folder);
process.stdout.write(`${pages} pages in ${folder}\n`);
