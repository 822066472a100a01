/**
 * Records the output of PUC Lua 5.3 (`lua5.3`, Debian's package of that name) for every program here:
 * `node --import tsx test/lua/conformance/record.ts`. Differences in what it writes are to be looked at. The time zone is
 * UTC, or what a first line `-- TZ=ZONE` says.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { inDirectory, timeZone, withoutAddresses } from './output.ts';

const folder = new URL('.', import.meta.url).pathname;

for (const file of readdirSync(folder).filter((name) => name.endsWith('.lua'))) {
  const output = await inDirectory(folder + file, (directory) =>
    execFileSync('lua5.3', [file], {
      cwd: directory,
      env: { ...process.env, TZ: timeZone(readFileSync(folder + file)), LC_ALL: 'C' },
      maxBuffer: 2 ** 28,
      encoding: 'latin1',
      input: '',
    }),
  );
  writeFileSync(`${folder}${file.replace(/\.lua$/, '.expected')}`, withoutAddresses(output), 'latin1');
}
