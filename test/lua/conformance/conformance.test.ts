/**
 * Lua programs whose output must be what PUC Lua 5.3 prints. The `.expected` files were recorded from it by `record.ts`.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { chdir, cwd } from 'node:process';
import { test } from 'node:test';
import { defaultLimits } from '../../../src/lua/engine/host.ts';
import { runLua } from '../lib/run-lua.ts';
import { inDirectory, timeZone, withoutAddresses } from './output.ts';

const folder = new URL('.', import.meta.url).pathname;

for (const file of readdirSync(folder).filter((name) => name.endsWith('.lua'))) {
  test(`${file} prints what PUC Lua 5.3 prints`, async () => {
    const source = readFileSync(folder + file);
    process.env.TZ = timeZone(source); // As recorded.
    const expected = readFileSync(`${folder}${file.replace(/\.lua$/, '.expected')}`, 'latin1');
    const before = cwd();
    const { outcome, output: printed } = await inDirectory(folder + file, async (directory) => {
      chdir(directory);
      try {
        const limits = { ...defaultLimits, cpuMs: 60_000, memoryBytes: 2 ** 31 };
        return await runLua(source, { name: file, limits });
      } finally {
        chdir(before);
      }
    });
    assert.equal(outcome.kind, 'done', JSON.stringify(outcome));
    const output = withoutAddresses(printed);
    const lines = output.split('\n');
    expected.split('\n').forEach((line, i) => {
      assert.equal(lines[i], line, `line ${i + 1} of the output`);
    });
    assert.equal(output, expected);
  });
}
