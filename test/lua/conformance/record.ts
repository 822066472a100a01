/**
 * Records the output of PUC Lua 5.3 (`lua5.3`, Debian's package of that name) for every program here:
 * `node --import tsx test/lua/conformance/record.ts`. Differences in what it writes are to be looked at. The time zone is
 * UTC, or what a first line `-- TZ=ZONE` says.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const folder = new URL('.', import.meta.url).pathname;

for (const file of readdirSync(folder).filter((name) => name.endsWith('.lua'))) {
  const zone = /^-- TZ=(\S+)/.exec(readFileSync(folder + file, 'latin1'))?.[1] ?? 'UTC';
  const output = execFileSync('lua5.3', [file], {
    cwd: folder,
    env: { ...process.env, TZ: zone, LC_ALL: 'C' },
    maxBuffer: 2 ** 28,
  });
  writeFileSync(`${folder}${file.replace(/\.lua$/, '.expected')}`, output);
}
