/** `npm run docs`: writes the generated parts of README.md from the descriptions of API and options. */
import { readFileSync, writeFileSync } from 'node:fs';
import { generatedParts, withGeneratedParts } from '../src/api/documentation.ts';

const file = new URL('../README.md', import.meta.url);
writeFileSync(file, withGeneratedParts(readFileSync(file, 'utf8'), generatedParts()));
