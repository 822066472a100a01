/** Starts large-map.ts: a process that has done nothing else. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { LargeMap } from './large-map.ts';

const PROGRAM = fileURLToPath(new URL('large-map.ts', import.meta.url));

export async function measureLargeMap(lines: number): Promise<LargeMap> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--expose-gc', '--import', 'tsx', PROGRAM, String(lines)],
    { env: { ...process.env, NODE_TEST_CONTEXT: undefined } },
  );
  return JSON.parse(stdout) as LargeMap;
}
