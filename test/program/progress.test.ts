/** scripts/progress.mjs: what `npm test` prints of a run of many files, where nobody looks at a terminal. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { directory } from './program.ts';

const REPORTER = fileURLToPath(new URL('../../scripts/progress.mjs', import.meta.url));

const FILES = {
  'fails.test.mjs': `
    import assert from 'node:assert';
    import { describe, test } from 'node:test';
    describe('some', () => {
      test('that passes', () => {});
      test('that fails', () => assert.equal(1, 2));
    });`,
  'skips.test.mjs': `
    import { test } from 'node:test';
    test('left out', { skip: 'no such server' }, () => {});`,
  'ends.test.mjs': "throw new Error('at once');",
};

test('each file has a line, what failed is named twice and with its error, and what was skipped with its reason', (t) => {
  const folder = directory(t);
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder, name), text);
  // A run within a run would report to the outer one.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(
    process.execPath,
    ['--test', `--test-reporter=${REPORTER}`, '--test-concurrency=1', ...Object.keys(FILES)],
    { cwd: folder, env, encoding: 'utf8' },
  );
  assert.equal(status, 1);
  assert.deepEqual(
    [...stdout.matchAll(/^(\d\/3) {2}\d+:\d\d {2}(\S+) {2}\d+:\d\d(.*)$/gm)].map(
      ([, count, file, end]) => `${count} ${file}${end}`,
    ),
    ['1/3 ends.test.mjs  FAILED', '2/3 fails.test.mjs  FAILED', '3/3 skips.test.mjs'],
  );
  assert.equal(stdout.match(/✖ that fails/g)?.length, 2);
  assert.match(stdout, /fails\.test\.mjs:6:/);
  assert.match(stdout, /1 == 2/);
  assert.match(stdout, /Error: at once/);
  assert.match(stdout, /﹣ left out .*# no such server/);
  assert.doesNotMatch(stdout, /that passes|\r|✖ some/);
  assert.match(stdout, /^ℹ fail 2$/m);
});
