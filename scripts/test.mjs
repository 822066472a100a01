/**
 * `npm test`: installs and builds what is missing, then runs the test files with node:test.
 *
 *     npm test                                   all of test
 *     npm run test:quick                         what needs no mail server and takes little time: --quick
 *     npm test -- test/milter test/lua/io.test.ts    these folders and files
 *     npm test -- --test-name-pattern=negotiat   options of node --test
 *     npm test -- --without=test/lua/io.test.ts  all but this file
 */
import { spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import * as os from 'node:os';
import { join, relative, resolve } from 'node:path';
import { onSupportedNode } from '../src/system/node-version.js';

/** What --quick leaves out: mail servers and other real services, the program started many times, and long measurements. */
const NOT_QUICK = [
  'attacks',
  'commands',
  'control',
  'dns/timing.test.ts',
  'fuzz',
  'lua/budget.test.ts',
  'lua/stalls.test.ts',
  'mail-auth',
  'mail-client/call-ahead-postfix.test.ts',
  'maps/large-map.test.ts',
  'miltertest',
  'modules/map/map.test.ts',
  'mta',
  'options',
  'policy/fail-open.test.ts',
  'policy/failed-callbacks.test.ts',
  'policy/large-arguments.test.ts',
  'policy-test/command.test.ts',
  'policy-test/mutants.test.ts',
  'program',
  'scanners',
  'second-opinion',
  'store/exactness.test.ts',
  'store/faults.test.ts',
  'supervisor',
  'warm-up',
  'workbench/try.test.ts',
].map((name) => `test/${name}`);

onSupportedNode(async () => {
  const { buildIfNeeded, installIfNeeded, ROOT } = await import('./prepare.mjs');
  installIfNeeded();
  buildIfNeeded();

  const given = process.argv.slice(2);
  const WITHOUT = '--without=';
  const leftOut = given
    .filter((argument) => argument.startsWith(WITHOUT))
    .map((argument) => resolve(argument.slice(WITHOUT.length)));
  const isQuick = given.includes('--quick');
  const options = given.filter(
    (argument) => argument.startsWith('-') && argument !== '--quick' && !argument.startsWith(WITHOUT),
  );
  const places = given.filter((argument) => !argument.startsWith('-'));
  const files = (places.length > 0 ? places : [join(ROOT, 'test')])
    .flatMap((place) => testFiles(resolve(place)))
    .filter((file) => !leftOut.includes(file) && (!isQuick || isQuickTest(relative(ROOT, file))));
  if (files.length === 0) {
    console.error(`no test files in ${places.join(' ')}`);
    process.exit(1);
  }

  const isAll = places.length === 0;
  if (isAll) {
    const time = isQuick ? 'less than two minutes' : 'about 25 minutes';
    const other = isQuick ? '' : '; `npm run test:quick` takes less than two and needs no mail server';
    console.log(`${files.length} test files, ${time} on two quiet cores${other}`);
  }

  // One more than there are processors: most of the time they wait, and two of them use 1.3 processors.
  const runner = [
    '--import',
    'tsx',
    '--enable-source-maps',
    '--test',
    `--test-reporter=${isAll ? './scripts/progress.mjs' : 'spec'}`,
    `--test-concurrency=${os.availableParallelism() + 1}`,
  ];
  const child = spawn(
    process.execPath,
    [...runner, '--test-timeout=900000', ...options, ...files.map((file) => relative(ROOT, file))],
    { cwd: ROOT, stdio: 'inherit' },
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code) => process.exit(code === null ? 1 : code));
});

/** @param file as seen from the root of the project */
function isQuickTest(file) {
  return !NOT_QUICK.some((place) => file === place || file.startsWith(`${place}/`));
}

/** All *.test.ts below a folder in the order of their names, or the one file named. */
function testFiles(place) {
  const status = statSync(place, { throwIfNoEntry: false });
  if (status === undefined || !status.isDirectory()) return [place];
  return readdirSync(place, { withFileTypes: true })
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => {
      if (entry.isDirectory()) return testFiles(join(place, entry.name));
      return entry.name.endsWith('.test.ts') ? [join(place, entry.name)] : [];
    });
}
