import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LuaContext, type Outcome } from '../../src/lua/context/context.ts';
import { ascii, lua } from '../../src/lua/engine/engine.ts';
import { withPackagePath } from '../../src/lua/lib/package.ts';
import { compile } from '../../src/lua/script/compilation.ts';
import { callGlobal, contextOf, template } from '../helpers/lua-context.ts';

type Failed = Extract<Outcome<unknown>, { kind: 'failed' }>;

async function failure(source: string): Promise<Failed> {
  const outcome = await contextOf(source).run();
  assert.equal(outcome.kind, 'failed', JSON.stringify(outcome));
  return outcome as Failed;
}

describe('a script error', () => {
  it('names file and line, and how the script got there', async () => {
    const { message, where, traceback } = await failure(
      'local function check(s)\n  return s.size + 1\nend\nfunction main()\n  local n = check({})\n  return n\nend\nmain()',
    );
    assert.equal(message, "test.lua:2: attempt to perform arithmetic on a nil value (field 'size')");
    assert.equal(where, 'test.lua:2');
    assert.equal(
      traceback,
      [
        'stack traceback:',
        "\ttest.lua:2: in upvalue 'check'",
        "\ttest.lua:5: in global 'main'",
        '\ttest.lua:8: in main chunk',
      ].join('\n'),
    );
  });

  it('is told with no more of its text than a log line has room for', async () => {
    const { message, where } = await failure('error(("x"):rep(30000000 // 1 | 0))');
    assert.equal(where, 'test.lua:1');
    assert.equal(message.length, 65_536);
  });

  it('in a library function names the line that called it', async () => {
    const { message, where, traceback } = await failure('\n\nstring.rep()');
    assert.equal(message, "test.lua:3: bad argument #1 to 'rep' (string expected, got no value)");
    assert.equal(where, 'test.lua:3');
    assert.equal(traceback, "stack traceback:\n\t[C]: in field 'rep'\n\ttest.lua:3: in main chunk");
  });

  it('without a position in its message has the line all the same', async () => {
    const { message, where } = await failure('\nerror("no position", 0)');
    assert.equal(message, 'no position');
    assert.equal(where, 'test.lua:2');
  });

  it('of a level above names that line', async () => {
    const { message, where } = await failure('local function f()\n  error("your fault", 2)\nend\n\nf()');
    assert.equal(message, 'test.lua:5: your fault');
    assert.equal(where, 'test.lua:5');
  });

  it('may be any value, as in lua.c', async () => {
    assert.equal((await failure('error({})')).message, '(error object is a table value)');
    assert.equal((await failure('error()')).message, '(error object is a nil value)');
    assert.equal((await failure('error(print)')).message, '(error object is a function value)');
    assert.equal((await failure('error(42)')).message, '42');
    assert.equal((await failure('error("\\xe9\\0\\n")')).message, 'test.lua:1: \xe9\0\n');
    const object = (body: string) => `error(setmetatable({}, { __tostring = function() ${body} end }))`;
    assert.equal((await failure(object('return "an object"'))).message, 'an object');
    assert.equal((await failure(object('return {}'))).message, '(error object is a table value)');
    assert.equal((await failure(object('error("again")'))).message, '(error object is a table value)');
    assert.equal((await failure(object('wait("x") return "y"'))).message, '(error object is a table value)');
    assert.equal((await failure(object('while true do end'))).message, '(error object is a table value)');
  });

  it('leaves the context usable', async () => {
    const context = contextOf(
      'function f() error(setmetatable({}, { __tostring = function() while true do end end })) end function g() return 1 end',
    );
    context.run();
    for (let i = 0; i < 3; i++) {
      assert.equal((await callGlobal(context, 'f')).kind, 'failed');
      assert.equal(context.usable, true);
      assert.deepEqual(callGlobal(context, 'g'), { kind: 'done', value: '1' });
    }
  });

  it('in a deep recursion has a traceback of bounded length', async () => {
    const { message, traceback } = await failure('local function f(n) return 1 + f(n + 1) end f(1)');
    assert.match(message, /stack overflow/);
    const lines = traceback.split('\n');
    assert.equal(lines.length, 1 + 10 + 1 + 11);
    assert.equal(lines[11], '\t...');
    assert.equal(lines.at(-1), '\ttest.lua:1: in main chunk');
  });

  it('in a coroutine of the script is the error of the callback', async () => {
    const { message } = await failure('\ncoroutine.wrap(function()\n  error("inside")\nend)()');
    assert.equal(message, 'test.lua:2: test.lua:3: inside');
  });
});

describe('a callback', () => {
  it('sees what earlier ones of its context have left', () => {
    const context = contextOf('local n = 0 function f(s) n = n + #s return n end');
    context.run();
    assert.deepEqual(callGlobal(context, 'f', ['abc']), { kind: 'done', value: '3' });
    assert.deepEqual(callGlobal(context, 'f', ['de']), { kind: 'done', value: '5' });
  });

  it('that is no function is a script error', () => {
    const context = contextOf('f = 5');
    context.run();
    const outcome = callGlobal(context, 'f');
    assert.ok(!(outcome instanceof Promise) && outcome.kind === 'failed');
    assert.match(outcome.message, /attempt to call a number value/);
    assert.equal(outcome.where, '');
  });

  it('whose results cannot be read by us breaks the context, not the process', () => {
    const context = contextOf('function f() return 1 end');
    context.run();
    const outcome = context.call(
      (L) => {
        lua.lua_getglobal(L, ascii('f'));
        return 0;
      },
      () => {
        throw new Error('our bug');
      },
    );
    assert.ok(!(outcome instanceof Promise) && outcome.kind === 'failed');
    assert.equal(outcome.message, 'internal error: Error: our bug');
    assert.match(outcome.traceback, /context\.test/);
    assert.equal(context.broken, true);
  });
});

describe('a context', () => {
  it('gives library functions the host that it was made with', async () => {
    const lines: string[] = [];
    const context = new LuaContext({
      template: withPackagePath(template, '/site/?.lua'),
      script: compile(Buffer.from('print("a", 1, nil) print("\xe9") print(package.path)', 'latin1'), 'x'),
      sessionId: 'S1',
      print: (line) => lines.push(Buffer.from(line).toString('latin1')),
    });
    assert.equal((await context.run()).kind, 'done');
    assert.deepEqual(lines, ['a\t1\tnil', '\xe9', '/site/?.lua']);
    assert.equal(context.sessionId, 'S1');
  });

  it('can be cancelled and disposed of when nothing runs, and more than once', () => {
    const context = contextOf('x = 1');
    context.run();
    context.cancel();
    assert.equal(context.usable, true);
    context.dispose();
    context.dispose();
    assert.equal(context.usable, false);
    assert.equal(context.state, null);
    assert.throws(() => context.run(), /usable/);
  });
});
