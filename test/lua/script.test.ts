import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { LuaContext } from '../../src/lua/context/context.ts';
import { ascii, lua } from '../../src/lua/engine/engine.ts';
import { compile, ScriptError } from '../../src/lua/script/compilation.ts';
import { ScriptFile } from '../../src/lua/script/script-file.ts';
import { evaluate, template } from '../helpers/lua-context.ts';

const folder = mkdtempSync(join(tmpdir(), 'script-'));
after(() => rmSync(folder, { recursive: true }));

const BYTECODE = Buffer.from('\x1bLua\x53\0\x19\x93\r\n\x1a\n', 'latin1');

async function run(source: string | Buffer): Promise<string> {
  const outcome = await evaluate(new LuaContext({ template, script: compile(Buffer.from(source), 'x.lua') }));
  return outcome.kind === 'done' ? outcome.value : JSON.stringify(outcome);
}

describe('compile', () => {
  it('gives the script its path and the head of its SHA-256', () => {
    const source = Buffer.from('return 1');
    const script = compile(source, '/etc/mail/smtpf.lua');
    assert.equal(script.path, '/etc/mail/smtpf.lua');
    assert.equal(script.hash, createHash('sha256').update(source).digest('hex').slice(0, 12));
  });

  it('names file, line and problem of a syntax error', () => {
    assert.throws(
      () => compile(Buffer.from('x = 1\nif x then\n'), '/etc/mail/smtpf.lua'),
      (error: Error) => {
        assert.ok(error instanceof ScriptError);
        assert.equal(
          error.message,
          "/etc/mail/smtpf.lua:3: 'end' expected (to close 'if' at line 2) near <eof>",
        );
        return true;
      },
    );
  });

  it('skips a first line that starts with # and a byte order mark, and counts lines as the file has them', async () => {
    assert.equal(await run('#!/usr/bin/lua\nreturn 1'), '1');
    assert.equal(await run('\ufeffreturn 2'), '2');
    assert.equal(await run('\ufeff# first\nreturn 3'), '3');
    assert.equal(await run('# no more'), '');
    assert.throws(() => compile(Buffer.from('#!/usr/bin/lua\nx ='), 'x'), /^ScriptError: x:2: /);
  });

  it('takes any byte in strings and comments', async () => {
    assert.equal(await run(Buffer.from('return "\xe9\xff\x01" -- \xfe', 'latin1')), '\xe9\xff\x01');
  });

  it('refuses precompiled chunks, wherever they begin', () => {
    for (const head of ['', '\ufeff', '#!x\n', '\ufeff#\n']) {
      const source = Buffer.concat([Buffer.from(head), BYTECODE]);
      assert.throws(
        () => compile(source, 'x.luac'),
        /^ScriptError: x\.luac: precompiled chunks are not accepted/,
      );
    }
  });

  it('collects the strings of a script, those of inner functions too', () => {
    const source =
      'local x = smtp.macro("{auth_type}") function smtp.do_mail() return function() return "\xe9" end end';
    const names = compile(Buffer.from(source, 'latin1'), 'x').names();
    for (const name of ['smtp', 'macro', '{auth_type}', 'do_mail', '\xe9']) assert.ok(names.has(name), name);
    assert.ok(!names.has('do_rcpt'));
    assert.ok(!names.has('x'));
  });
});

describe('load, loadfile and dofile', () => {
  const luac = join(folder, 'chunk.luac');
  writeFileSync(luac, BYTECODE);
  const text = join(folder, 'text.lua');
  writeFileSync(text, '#!shebang\nreturn ..., "text"');

  it('refuse precompiled chunks in every mode', async () => {
    const binary = '"\\27Lua\\x53\\0\\x19\\x93\\r\\n\\x1a\\n"';
    for (const call of [
      `load(${binary})`,
      `load(${binary}, "x", "b")`,
      `load(${binary}, "x", "bt")`,
      `load((function() local s = ${binary} return function() local r = s s = nil return r end end)())`,
      `load((function() local s = ${binary} return function() local r = s s = nil return r end end)(), "x", "b")`,
      `loadfile("${luac}")`,
      `loadfile("${luac}", "b")`,
      `pcall(dofile, "${luac}")`,
    ]) {
      assert.match(
        await run(`return ${call}`),
        /^(nil|false) .*(attempt to load a|precompiled chunks)/,
        call,
      );
    }
  });

  it('refuse what string.dump makes, if it makes anything', async () => {
    const source =
      'local ok, dumped = pcall(string.dump, function() end) if not ok then return nil end return (load(dumped))';
    assert.equal(await run(source), 'nil');
  });

  it('do what they do in Lua', async () => {
    assert.equal(await run('return load("return 1 + 1")()'), '2');
    assert.equal(await run('return load("x =")'), 'nil [string "x ="]:1: unexpected symbol near <eof>');
    assert.equal(await run('return load("return x", "=name", "t", { x = 5 })()'), '5');
    assert.equal(
      await run(
        'local t = { "return ", "7", nil } local i = 0 return load(function() i = i + 1 return t[i] end)()',
      ),
      '7',
    );
    assert.equal(
      await run('return pcall(load, function() return {} end)'),
      'true nil reader function must return a string',
    );
    assert.equal(
      await run('return load("return 1", "x", "b")'),
      "nil attempt to load a text chunk (mode is 'b')",
    );
    assert.equal(await run(`return loadfile("${text}")("a")`), 'a text');
    assert.equal(await run(`return loadfile("${text}", "t", {})("b")`), 'b text');
    assert.equal(await run(`return dofile("${text}")`), 'nil text');
    assert.equal(
      await run('return loadfile("/absent.lua")'),
      'nil cannot open /absent.lua: No such file or directory',
    );
    assert.equal(
      await run('return pcall(dofile, "/absent.lua")'),
      'false cannot open /absent.lua: No such file or directory',
    );
    assert.equal(await run(`return loadfile("${folder}")`), `nil cannot read ${folder}: Is a directory`);
    assert.match(await run('return loadfile()'), /^nil cannot read stdin/);
    // Root would wait there for the kernel to say something.
    assert.match(await run('return loadfile("/proc/kmsg")'), /^nil cannot (open|read) \/proc\/kmsg: /);
  });

  it('parse long texts right across pieces', async () => {
    const source =
      'local s = "local t = {" for i = 1, 3000 do s = s .. "\\"" .. i .. "\\"," end return #load(s .. "} return t")()';
    assert.equal(await run(source), '3000');
  });
});

describe('a script file', () => {
  /** A file whose times are old, so that only a change makes a difference. */
  function fileWith(name: string, text: string): string {
    const path = join(folder, name);
    write(path, text);
    return path;
  }
  let age = 1_600_000_000;
  function write(path: string, text: string): void {
    writeFileSync(path, text);
    age += 1;
    utimesSync(path, age, age);
  }

  it('is compiled once for each version', () => {
    const path = fileWith('a.lua', 'return 1');
    const file = new ScriptFile(path);
    const first = file.current();
    assert.ok(first.script);
    assert.equal(file.current(), first);
    write(path, 'return 22');
    const second = file.current();
    assert.ok(second.script && second.script !== first.script);
    assert.equal(file.current(), second);
    assert.notEqual(second.script.hash, first.script.hash);
  });

  it('is found changed when it was replaced by a file of the same size and time', () => {
    const path = fileWith('b.lua', 'return 1');
    const file = new ScriptFile(path);
    const { hash } = file.current().script ?? {};
    const { mtime } = statSync(path);
    writeFileSync(`${path}.new`, 'return 2');
    utimesSync(`${path}.new`, mtime, mtime);
    renameSync(`${path}.new`, path);
    assert.notEqual(file.current().script?.hash, hash);
  });

  it('is found changed by edits at short intervals', () => {
    const path = join(folder, 'c.lua');
    const file = new ScriptFile(path);
    for (let i = 10; i < 99; i++) {
      writeFileSync(path, `return ${i}`);
      const { script } = file.current();
      assert.equal(script?.hash, createHash('sha256').update(`return ${i}`).digest('hex').slice(0, 12));
      assert.equal(file.current().script, script);
    }
  });

  it('keeps one failure for each version', () => {
    const path = fileWith('d.lua', 'x = = 1');
    const file = new ScriptFile(path);
    const { failure } = file.current();
    assert.equal(failure?.message, `${short(path)}:1: unexpected symbol near '='`);
    assert.equal(file.current().failure, failure);
    write(path, 'y = = 1');
    const next = file.current().failure;
    assert.ok(next && next !== failure && next.version !== failure?.version);
    write(path, 'y = 1');
    assert.equal(file.current().failure, undefined);
    assert.ok(file.current().script);
  });

  it('that is missing is one failure until it is there', () => {
    const path = join(folder, 'e.lua');
    const file = new ScriptFile(path);
    const { failure } = file.current();
    assert.equal(failure?.message, `cannot read ${path}: No such file or directory`);
    assert.equal(file.current().failure, failure);
    write(path, 'return 1');
    assert.ok(file.current().script);
    rmSync(path);
    assert.equal(file.current().failure?.message, failure?.message);
  });

  it('is compiled in turns when it is long', async () => {
    const path = fileWith('long.lua', 'a = b < c\n'.repeat(50_000));
    const file = new ScriptFile(path);
    const awaited = file.latest();
    assert.ok(awaited instanceof Promise);
    assert.equal(file.latest(), awaited);
    let turns = 0;
    let going = true;
    const turn = (): void => {
      turns++;
      if (going) setImmediate(turn);
    };
    setImmediate(turn);
    const current = await awaited;
    going = false;
    assert.ok(current.script);
    assert.ok(turns > 5, `${turns} turns`);
    assert.equal(file.latest(), current);
    assert.equal(file.current(), current);
  });

  it('that is edited while it is compiled is the edited one', async () => {
    const path = fileWith('edited.lua', 'a = b < c\n'.repeat(50_000));
    const file = new ScriptFile(path);
    const awaited = file.latest();
    assert.ok(awaited instanceof Promise);
    write(path, 'return 1');
    const current = await file.latest();
    assert.equal(current.script?.hash, createHash('sha256').update('return 1').digest('hex').slice(0, 12));
    assert.equal(await awaited, current);
  });

  it('that is looked at anew is as it is now, however short ago it was looked at', async () => {
    const path = fileWith('anew.lua', 'return 0');
    const file = new ScriptFile(path);
    for (let i = 1; i <= 20; i++) {
      const source = `return ${i}`;
      await file.latest();
      write(path, source);
      const { script } = await file.anew();
      assert.equal(script?.hash, createHash('sha256').update(source).digest('hex').slice(0, 12));
    }
  });

  it('that is a folder or a pipe is a failure, not a hang', () => {
    const inner = join(folder, 'folder.lua');
    mkdirSync(inner);
    assert.equal(new ScriptFile(inner).current().failure?.message, `cannot read ${inner}: Is a directory`);
    const pipe = join(folder, 'pipe.lua');
    execFileSync('mkfifo', [pipe]);
    assert.equal(new ScriptFile(pipe).current().failure?.message, `cannot read ${pipe}: not a regular file`);
  });

  it('that may not be read is a failure', { skip: process.getuid?.() === 0 && 'root reads anything' }, () => {
    const path = fileWith('f.lua', 'return 1');
    chmodSync(path, 0);
    assert.equal(new ScriptFile(path).current().failure?.message, `cannot read ${path}: Permission denied`);
  });

  it('with a precompiled chunk is a failure', () => {
    const path = join(folder, 'g.luac');
    writeFileSync(path, BYTECODE);
    assert.match(
      new ScriptFile(path).current().failure?.message ?? '',
      /g\.luac: precompiled chunks are not accepted/,
    );
  });

  /** Lua shortens long file names in messages. */
  function short(path: string): string {
    return path.length < 60 ? path : `...${path.slice(-56)}`;
  }
});

it('sessions in progress keep the script they began with', () => {
  const path = join(folder, 'h.lua');
  writeFileSync(path, 'function f() return "old" end');
  const file = new ScriptFile(path);
  const open = () => {
    const { script } = file.current();
    assert.ok(script);
    const context = new LuaContext({ template, script });
    context.run();
    return context;
  };
  const call = (context: LuaContext) =>
    context.call(
      (L) => {
        lua.lua_getglobal(L, ascii('f'));
        return 0;
      },
      (L) => lua.lua_tojsstring(L, 1),
    );
  const old = open();
  writeFileSync(path, 'function f() return "new" end');
  assert.deepEqual(call(open()), { kind: 'done', value: 'new' });
  assert.deepEqual(call(old), { kind: 'done', value: 'old' });
});
