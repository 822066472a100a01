/** `npm run bench`: builds what is missing, then measures; options are those of test/bench/bench.ts. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { onSupportedNode } from '../src/system/node-version.js';

onSupportedNode(async () => {
  const { buildIfNeeded, installIfNeeded, ROOT } = await import('./prepare.mjs');
  installIfNeeded();
  buildIfNeeded();
  const bench = join(ROOT, 'test', 'bench', 'bench.ts');
  const { status } = spawnSync(process.execPath, ['--import', 'tsx', bench, ...process.argv.slice(2)], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  process.exit(status === null ? 1 : status);
});
