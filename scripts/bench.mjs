/** `npm run bench`: builds what is missing, then measures; options are those of test/bench/bench.ts. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildIfNeeded, installIfNeeded, ROOT } from './prepare.mjs';

installIfNeeded();
buildIfNeeded();
const bench = join(ROOT, 'test', 'bench', 'bench.ts');
const { status } = spawnSync(process.execPath, ['--import', 'tsx', bench, ...process.argv.slice(2)], {
  cwd: ROOT,
  stdio: 'inherit',
});
process.exit(status ?? 1);
