/** On a Node.js that this program does not run on, every entry point says so in one line. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { nodeProblem } from '../../src/system/node-version.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PACKAGE = `node-${process.platform}-${process.arch}`;
const VERSIONS: readonly (readonly [version: string, needed: string])[] = [
  ['12.22.12', '20.19'],
  ['16.20.2', '20.19'],
  ['18.20.8', '20.19'],
  ['21.7.3', '22.12'],
  ['22.11.0', '22.12'],
];
const ENTRIES = [
  'dist/main.js',
  'dist/supervisor/worker-main.js',
  'dist/policy-test/worker-main.js',
  ...['start', 'test', 'build', 'bench', 'tsx', 'test-nodes', 'package-deb', 'package-test'].map(
    (name) => `scripts/${name}.mjs`,
  ),
];

for (const [version, needed] of VERSIONS) {
  const node = join(ROOT, '.nodes', version, 'node_modules', PACKAGE, 'bin', 'node');
  const without =
    existsSync(node) || process.env.CI ? false : `needs Node.js ${version}: npm run test:nodes -- --fetch`;
  describe(`Node.js ${version}`, { skip: without }, () => {
    for (const entry of ENTRIES) {
      test(entry, () => {
        const { status, stdout, stderr, error } = spawnSync(node, [join(ROOT, entry)], { encoding: 'utf8' });
        assert.equal(error, undefined);
        assert.equal(stdout, '');
        assert.equal(stderr, `smtpf-milter needs Node.js ${needed} or newer, this is ${version}\n`);
        assert.equal(status, 78);
      });
    }
  });
}

test('the range is that of package.json, and of each package that the program is made of', () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  assert.equal(manifest.engines.node, '^20.19.0 || ^22.12.0 || >=23');
  const yargs = JSON.parse(readFileSync(join(ROOT, 'node_modules', 'yargs', 'package.json'), 'utf8'));
  assert.equal(yargs.engines.node, manifest.engines.node);
  const tries: [string, boolean][] = [
    ['18.20.8', false],
    ['20.18.3', false],
    ['20.19.0', true],
    ['20.20.2', true],
    ['21.7.3', false],
    ['22.11.0', false],
    ['22.12.0', true],
    ['23.0.0', true],
    ['24.0.0-nightly2024', true],
    ['100.1.0', true],
  ];
  for (const [version, runs] of tries) assert.equal(nodeProblem(version) === undefined, runs, version);
  for (const version of manifest.testedNode) assert.equal(nodeProblem(version), undefined, version);
});

test('every script begins with the check', () => {
  const scripts = readdirSync(join(ROOT, 'scripts')).filter((name) => name.endsWith('.mjs'));
  const imported = ['prepare.mjs', 'other-nodes.mjs', 'progress.mjs'];
  const checked = ENTRIES.map((entry) => entry.replace('scripts/', ''));
  assert.deepEqual(
    scripts.filter((name) => !imported.includes(name) && !checked.includes(name)),
    [],
  );
});
