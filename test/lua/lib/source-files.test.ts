/** Files that scripts load: compiled once for all sessions, run anew in each. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { LClosure } from 'fengari';
import { LuaContext } from '../../../src/lua/context/context.ts';
import { bytesOf, lua } from '../../../src/lua/engine/engine.ts';
import { defaultLimits } from '../../../src/lua/engine/host.ts';
import { withPackagePath } from '../../../src/lua/lib/package.ts';
import { pushFile } from '../../../src/lua/lib/source-files.ts';
import { compile } from '../../../src/lua/script/compilation.ts';
import { evaluate, template } from '../../helpers/lua-context.ts';

const folder = mkdtempSync(join(tmpdir(), 'source-files-'));
after(() => rmSync(folder, { recursive: true }));

/** Writes a file that looks as if it had been left alone for a while. */
function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  const old = new Date(Date.now() - 60_000 + text.length);
  utimesSync(path, old, old);
  return path;
}

/** The results of a script in a new context, in one string. */
async function run(source: string): Promise<string> {
  const script = compile(Buffer.from(source), 'test.lua');
  const outcome = await evaluate(
    new LuaContext({ template: withPackagePath(template, `${folder}/?.lua`), script }),
  );
  return outcome.kind === 'done' ? outcome.value : JSON.stringify(outcome);
}

function compiled(path: string): unknown {
  const { state } = new LuaContext({ template, script: compile(Buffer.from(''), 'test.lua') });
  assert.ok(state);
  const steps = pushFile(state, bytesOf(path));
  let step = steps.next();
  while (!step.done) step = steps.next();
  if (step.value !== null) return undefined;
  return (lua.lua_topointer(state, -1) as LClosure).p;
}

describe('a file that scripts load', () => {
  it('is compiled once, and again when it was edited', () => {
    const path = write('once.lua', 'return 1');
    const first = compiled(path);
    assert.ok(first);
    assert.equal(compiled(path), first);
    write('once.lua', 'return 22');
    assert.notEqual(compiled(path), first);
  });

  it('is run anew in each session, with the globals of that session', async () => {
    write(
      'counter.lua',
      'count = (count or 0) + 1 return { count = count, add = function() count = count + 1 end }',
    );
    const twice = 'local a, b = require "counter", require "counter" a.add() return a == b, a.count, count';
    assert.equal(await run(twice), 'true 1 2');
    assert.equal(await run(twice), 'true 1 2');
    const path = JSON.stringify(join(folder, 'counter.lua'));
    assert.equal(await run(`dofile(${path}) return dofile(${path}).count, count`), '2 2');
    assert.equal(await run(`local own = {} loadfile(${path}, "t", own)() return own.count, count`), '1 nil');
  });

  it('does not share variables outside its functions between sessions', async () => {
    write('kept.lua', 'local kept = 0 return function() kept = kept + 1 return kept end');
    assert.equal(await run('local f = require "kept" f() return f()'), '2');
    assert.equal(await run('local f = require "kept" f() return f()'), '2');
  });

  it('that cannot be compiled is an error with file and line, until it is mended', async () => {
    const path = write('broken.lua', 'local x =\n');
    assert.match(
      await run('return select(2, pcall(require, "broken"))'),
      /broken\.lua:\d+: unexpected symbol near/,
    );
    assert.equal(compiled(path), undefined);
    write('broken.lua', 'return "mended"');
    assert.equal(await run('return require "broken"'), 'mended');
  });

  it('has a length of 1 MiB at most', async () => {
    write('long.lua', `return 1 --${'x'.repeat(1024 * 1024 - 11)}`);
    assert.equal(await run('return require "long"'), '1');
    write('long.lua', `return 1 --${'x'.repeat(1024 * 1024)}`);
    assert.match(
      await run('return select(2, pcall(require, "long"))'),
      /cannot read .*: longer than 1024 KiB$/,
    );
  });

  it('with another name than one in ASCII is loaded too, and has a length of 1 MiB at most', async () => {
    const path = JSON.stringify(join(folder, 'n\xe4me.lua')).replace('\xe4', '\\195\\164');
    write('n\xe4me.lua', `return 1 --${'x'.repeat(1024 * 1024 - 11)}`);
    assert.equal(await run(`return dofile(${path})`), '1');
    write('n\xe4me.lua', `return 1 --${'x'.repeat(1024 * 1024)}`);
    assert.match(await run(`return loadfile(${path})`), /^nil cannot read .*: longer than 1024 KiB$/);
  });

  it('is a regular file', async () => {
    const message =
      /^error loading module 'x' from file '\/dev\/zero':\n\tcannot read \/dev\/zero: not a regular file$/;
    assert.match(await run('package.path = "/dev/zero" return select(2, pcall(require, "x"))'), message);
    assert.equal(await run('return loadfile("/dev/zero")'), 'nil cannot read /dev/zero: not a regular file');
  });

  it('does not keep the process with endless lists of jumps', async () => {
    write('jumps.lua', `return a${' or a'.repeat(100_000)}`);
    assert.match(
      await run('return select(2, pcall(require, "jumps"))'),
      /function has too many jumps or labels/,
    );
    write('branches.lua', `if a then${' elseif a then'.repeat(3000)} end return "fine"`);
    assert.equal(await run('return require "branches"'), 'fine');
  });

  it('is compiled by one session after the other where their CPU budget is too small for it', async () => {
    write('large.lua', `do return "large" end ${'a = b < c\n'.repeat(60_000)}`);
    const script = compile(Buffer.from('return require "large"'), 'test.lua');
    const outcomes: string[] = [];
    while (outcomes.at(-1) !== 'large' && outcomes.length < 100) {
      const context = new LuaContext({
        template: withPackagePath(template, `${folder}/?.lua`),
        script,
        limits: { ...defaultLimits, cpuMs: 50 },
      });
      const outcome = await evaluate(context);
      outcomes.push(outcome.kind === 'done' ? outcome.value : outcome.kind);
    }
    assert.ok(outcomes.length > 1, 'too fast for this test');
    assert.deepEqual(new Set(outcomes), new Set(['overBudget', 'large']));
  });

  it('is forgotten when many others were loaded since', () => {
    const path = write('first.lua', 'return 1');
    const first = compiled(path);
    for (let i = 0; i < 256; i++) assert.ok(compiled(write(`other${i}.lua`, 'return 1')));
    assert.notEqual(compiled(path), first);
  });
});
