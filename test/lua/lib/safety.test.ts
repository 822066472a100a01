/** What a policy finds refused, and that nothing it finds leads out of Lua. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outputOf, runLua } from './run-lua.ts';

test('os.exit ends the callback with an error, not the process', async () => {
  const { outcome } = await runLua('os.exit(1)');
  assert.equal(outcome.kind, 'failed');
  assert.match(
    outcome.kind === 'failed' ? outcome.message : '',
    /^test\.lua:1: os\.exit is not allowed in a policy$/,
  );
});

test('what could switch off a budget or reach the registry is refused by name', async () => {
  for (const name of [
    'sethook',
    'getregistry',
    'setmetatable',
    'setupvalue',
    'upvaluejoin',
    'setlocal',
    'setuservalue',
    'debug',
  ]) {
    assert.equal(
      await outputOf(`print(select(2, pcall(debug.${name}, function() end, 1, 2, 3)))`),
      `debug.${name} is not available in a policy\n`,
    );
  }
});

test('debug.getinfo takes no function from the stack of its C', async () => {
  assert.equal(
    await outputOf(`print(pcall(debug.getinfo, 1, '>S')) print(pcall(debug.getinfo, coroutine.running(), 0, '>'))
      print(debug.getinfo(print, 'S').what)`),
    "false\tbad argument #2 to 'debug.getinfo' (invalid option)\nfalse\tbad argument #3 to 'debug.getinfo' (invalid option)\nC\n",
  );
});

test('precompiled code is neither written nor read', async () => {
  const output = await outputOf(`
    print(pcall(string.dump, print))
    print(load('\\27Lua'))
    print(load('\\27Lua', 'x', 'b'))`);
  assert.match(output, /^false\tstring\.dump is not available/);
  assert.doesNotMatch(output, /function:/);
});

test('package finds no code but Lua files', async () => {
  assert.equal(
    await outputOf(`print(package.loadlib('x.js', '*')) print(package.jspath, package.cpath, #package.searchers)
      print(pcall(require, 'fs'))`),
    'nil\tdynamic libraries not enabled; check your Lua installation\tabsent\nnil\t\t2\n' +
      "false\tmodule 'fs' not found:\n\tno field package.preload['fs']\n\tno file './fs.lua'\n",
  );
});

test('locals and upvalues of host functions are not shown', async () => {
  const output = await outputOf(`
    local function show(...) print(select('#', ...), ...) end
    local it = ('a b'):gmatch('%a') show(debug.getupvalue(it, 1)) show(pcall(debug.upvalueid, it, 1))
    local lines = io.lines('/dev/null') show(debug.getupvalue(lines, 1));
    ('x'):gsub('x', function() show(debug.getlocal(2, 1)) end)`);
  assert.equal(
    output,
    "0\n2\tfalse\tbad argument #2 to 'debug.upvalueid' (invalid upvalue index)\n0\n1\tnil\n",
  );
});

test('no value that a script can reach is an object of JavaScript', async () => {
  const output = await outputOf(`
    local seen, kinds = {}, {}
    local function visit(v)
      kinds[type(v)] = true
      if type(v) == 'userdata' then assert(io.type(v), tostring(v)) end
      if type(v) ~= 'table' and type(v) ~= 'function' and type(v) ~= 'userdata' or seen[v] then return end
      seen[v] = true
      local mt = debug.getmetatable(v) if mt then visit(mt) end
      if type(v) == 'table' then for k, w in next, v do visit(k) visit(w) end end
      if type(v) == 'function' then
        for i = 1, 250 do local n, w = debug.getupvalue(v, i) if not n then break end visit(w) end
      end
    end
    visit(_G) visit(debug.getmetatable('')) visit(coroutine.running())
    print(kinds.userdata, kinds.thread)`);
  assert.equal(output, 'true\ttrue\n');
});
