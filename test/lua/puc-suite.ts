/**
 * Runs the test files of PUC Lua 5.3 in contexts of ours and prints how far each gets: `npm run test:puc -- FOLDER`.
 *
 * The files are not part of this project: the folder holds tag v5-3-4 of github.com/lua/tests. They are run as its
 * README says for systems that are not all of POSIX: `_port` and `_soft` set.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { LuaContext } from '../../src/lua/context/context.ts';
import { Template } from '../../src/lua/context/template.ts';
import { defaultLimits } from '../../src/lua/engine/host.ts';
import { libraries } from '../../src/lua/lib/libraries.ts';
import { withPackagePath } from '../../src/lua/lib/package.ts';
import { compile } from '../../src/lua/script/compilation.ts';

const DRIVER = 'main.lua all.lua'; // The stand-alone interpreter's, and the one that runs all others.
/** On one line with the file's first. Integers have 32 bits in fengari while `j` packs 8 bytes: the tests take one from the other. */
const PRELUDE =
  '_port = true _soft = true _U = false arg = {[0] = "lua"} ' +
  'do local size = string.packsize function string.packsize(f) return f == "j" and 4 or size(f) end end ';

const folder = process.argv[2];
if (folder === undefined || !statSync(folder).isDirectory()) {
  console.error('usage: npm run test:puc -- FOLDER [FILE...]');
  process.exit(64);
}
process.chdir(folder);
const wanted = process.argv.slice(3);
const files = readdirSync('.').filter((file) => file.endsWith('.lua') && !DRIVER.includes(file));
const template = withPackagePath(new Template(libraries), './?.lua');
let passed = 0;
let run = 0;
for (const file of files.sort()) {
  if (wanted.length > 0 && !wanted.includes(file)) continue;
  run++;
  const result = await runFile(file);
  if (result === 'ok') passed++;
  console.log(`${basename(file).padEnd(16)} ${result}`);
}
console.log(`${passed} of ${run} files pass`);

async function runFile(file: string): Promise<string> {
  const source = Buffer.from(readFileSync(join('.', file), 'latin1').replace(/^#.*/, ''), 'latin1');
  const context = new LuaContext({
    template,
    script: compile(Buffer.concat([Buffer.from(PRELUDE), source]), file),
    limits: {
      ...defaultLimits,
      cpuMs: 60_000,
      memoryBytes: 2 ** 31,
      stringBytes: 64 * 1024 * 1024,
      openFiles: 10_000,
    },
  });
  try {
    const outcome = await context.run();
    if (outcome.kind === 'done') return 'ok';
    return outcome.kind === 'cancelled' ? 'cancelled' : `${outcome.kind}: ${outcome.message.split('\n')[0]}`;
  } finally {
    context.dispose();
  }
}
