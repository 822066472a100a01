/**
 * `npm test`: installs and builds what is missing, then runs the test files with node:test.
 *
 *     npm test                                   all of test
 *     npm test -- test/milter test/lua/io.test.ts    these folders and files
 *     npm test -- --test-name-pattern=negotiat   options of node --test
 */
import { spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { buildIfNeeded, installIfNeeded, ROOT } from './prepare.mjs';

installIfNeeded();
buildIfNeeded();

const given = process.argv.slice(2);
const options = given.filter((argument) => argument.startsWith('-'));
const places = given.filter((argument) => !argument.startsWith('-'));
const files = (places.length > 0 ? places : [join(ROOT, 'test')]).flatMap((place) =>
  testFiles(resolve(place)),
);
if (files.length === 0) {
  console.error(`no test files in ${places.join(' ')}`);
  process.exit(1);
}

// Two at a time: most of the time they wait for mail servers.
const runner = [
  '--import',
  'tsx',
  '--enable-source-maps',
  '--test',
  '--test-reporter=spec',
  '--test-concurrency=2',
];
const child = spawn(
  process.execPath,
  [...runner, '--test-timeout=900000', ...options, ...files.map((file) => relative(ROOT, file))],
  { cwd: ROOT, stdio: 'inherit' },
);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));

/** All *.test.ts below a folder in the order of their names, or the one file named. */
function testFiles(place) {
  if (!statSync(place, { throwIfNoEntry: false })?.isDirectory()) return [place];
  return readdirSync(place, { withFileTypes: true })
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => {
      if (entry.isDirectory()) return testFiles(join(place, entry.name));
      return entry.name.endsWith('.test.ts') ? [join(place, entry.name)] : [];
    });
}
