/** Runs a program of the development in TypeScript: node scripts/tsx.mjs FILE [ARGUMENTS]. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { onSupportedNode } from '../src/system/node-version.js';

onSupportedNode(async () => {
  await import('tsx');
  process.argv.splice(1, 1);
  await import(pathToFileURL(resolve(process.argv[1])).href);
});
