/**
 * `npm run test:nodes`: runs the tests on the other versions of Node.js that package.json names under "testedNode": those
 * that what Node.js does can change: sockets, processes, files, packages with code of their own, signatures, the engine of
 * Lua and its budgets, and one suite with real mail servers. What is JavaScript alone is not run again.
 *
 *     npm run test:nodes                     as above
 *     npm run test:nodes -- --fetch          only gets the binaries, those of unsupported versions too
 *     npm run test:nodes -- test/dns         these folders and files
 *
 * A version that cannot be had is a failure with CI=true, and otherwise left out with a line that says so.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { onSupportedNode } from '../src/system/node-version.js';

const PLACES = [
  'asking',
  'dns',
  'http',
  'lua',
  'mail-auth/arc.test.ts',
  'mail-auth/dkim.test.ts',
  'mail-auth/public-keys.test.ts',
  'message/charset.test.ts',
  'modules/dns',
  'modules/http',
  'modules/job.test.ts',
  'modules/kv',
  'mta/state.test.ts',
  'net',
  'policy/shared-state.test.ts',
  'policy/start-state.test.ts',
  'program/confine.test.ts',
  'program/main.test.ts',
  'program/permission.test.ts',
  'program/worker-user.test.ts',
  'services',
  'spool',
  'store',
  'supervisor/group-signal.test.ts',
  'supervisor/workers.test.ts',
  'syslog',
  'system',
  'warm-up',
].map((name) => `test/${name}`);
const LEFT_OUT = ['store/exactness', 'store/faults', 'system/node-version'].map(
  (name) => `--without=test/${name}.test.ts`,
);

onSupportedNode(async () => {
  const { fetchNodes, nodeBinary, UNSUPPORTED } = await import('./other-nodes.mjs');
  const { ROOT } = await import('./prepare.mjs');
  const { testedNode } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const own = process.versions.node.split('.')[0];
  const others = testedNode.filter((version) => version.split('.')[0] !== own);
  const given = process.argv.slice(2);
  const missing = (versions) => {
    const problem = fetchNodes(versions);
    if (problem === undefined) return false;
    console.error(process.env.CI ? problem : `${problem}: not tried`);
    if (process.env.CI) process.exitCode = 1;
    return true;
  };
  if (given[0] === '--fetch') {
    missing([...others, ...UNSUPPORTED]);
    return;
  }
  for (const version of others) {
    if (missing([version])) continue;
    console.log(`== Node.js ${version}`);
    const { status } = spawnSync(
      nodeBinary(version),
      ['scripts/test.mjs', ...(given.length > 0 ? given : [...PLACES, ...LEFT_OUT])],
      { cwd: ROOT, stdio: 'inherit' },
    );
    if (status !== 0) process.exitCode = 1;
  }
});
