/** What `require` finds where names meet: the script's own, those of libraries, and modules that require each other. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { LuaContext } from '../../../src/lua/context/context.ts';
import { withPackagePath } from '../../../src/lua/lib/package.ts';
import { compile } from '../../../src/lua/script/compilation.ts';
import { evaluate, template } from '../../helpers/lua-context.ts';

/** Runs one of the files as a script; the others are modules. DIR/ is taken out of what comes of it. */
async function runScript(t: TestContext, name: string, files: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), 'require-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(join(folder, file, '..'), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  const script = compile(Buffer.from(files[name] ?? ''), join(folder, name));
  const path = `${folder}/?.lua;${folder}/?/init.lua`;
  const outcome = await evaluate(new LuaContext({ template: withPackagePath(template, path), script }));
  const text = outcome.kind === 'done' ? outcome.value : outcome.kind === 'failed' ? outcome.message : '';
  return text.replaceAll(`${folder}/`, '');
}

describe('require', () => {
  test('"js" finds no file, whatever the script is called', async (t) => {
    for (const name of ['js.lua', 'policy.lua']) {
      assert.match(
        await runScript(t, name, { [name]: 'return require "js"', 'js.lua': 'return require "js"' }),
        new RegExp(`^${name}:1: module 'js' not found:\n.*\n\tit needs the option --allow-js`),
      );
    }
    const preloaded = 'package.preload.js = function() return "mine" end return require "js"';
    assert.equal(await runScript(t, 'js.lua', { 'js.lua': preloaded }), 'mine');
  });

  test('of a library finds the library, whatever the script is called', async (t) => {
    for (const name of ['string', 'table', 'io', 'utf8', '_G']) {
      const script = `return tostring(require "${name}" == ${name})`;
      assert.equal(await runScript(t, `${name}.lua`, { [`${name}.lua`]: script }), 'true');
    }
  });

  test('of a module that is being loaded is an error with file and line', async (t) => {
    const loop = /module '\w+' is required while it is being loaded/;
    const itself = await runScript(t, 'p.lua', { 'p.lua': '\nreturn require "p"' });
    assert.match(itself, /^p\.lua:2: /);
    assert.match(itself, loop);
    const two = await runScript(t, 'p.lua', {
      'p.lua': 'return require "one"',
      'one.lua': 'return require "two"',
      'two/init.lua': '\n\nreturn (function() return require("one") end)()',
    });
    assert.match(two, /^two\/init\.lua:3: module 'one' is required while it is being loaded/);
  });

  test("of what has been loaded, or of one's own file on a condition, is none", async (t) => {
    const diamond = {
      'p.lua': 'return require("one") .. require("two") .. require("one")',
      'one.lua': 'return require "base" .. 1',
      'two.lua': 'return require "base" .. 2',
      'base.lua': 'return "b"',
    };
    assert.equal(await runScript(t, 'p.lua', diamond), 'b1b2b1');
    const own = { 'p.lua': 'if ... then return "module" end return require "p"' };
    assert.equal(await runScript(t, 'p.lua', own), 'module');
    const retried = {
      'p.lua': 'pcall(require, "m") ready = true return require "m"',
      'm.lua': 'if not ready then error "not yet" end return "loaded"',
    };
    assert.equal(await runScript(t, 'p.lua', retried), 'loaded');
  });
});
