/** Paths as operators write them: relative, from another directory, with blanks and signs, over symbolic links. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Mta } from '../helpers/mta.ts';
import { directory, Running } from './program.ts';

const PROGRAM = [fileURLToPath(new URL('../../dist/main.js', import.meta.url))];
const ODD = 'a b#c%41+ü\'"';

const POLICY = `local js = require "js"
local found = require("own").word .. " " .. js.require("pkg").word .. " " .. js.require("./beside.js").word
function smtp.do_connect()
  local file, why = io.open(os.getenv("KEPT") or "/nowhere/file", "a")
  return 550, "5.7.1 " .. found .. ". " .. tostring(why)
end`;

/** A policy with its modules and a test, in a directory with an odd name; returns where that stands. */
function site(t: TestContext): string {
  const root = directory(t);
  const odd = join(root, ODD);
  mkdirSync(join(odd, 'node_modules', 'pkg'), { recursive: true });
  writeFileSync(join(odd, 'p.lua'), POLICY);
  writeFileSync(join(odd, 'own.lua'), 'return { word = "lua" }');
  writeFileSync(join(odd, 'beside.js'), 'exports.word = "file";');
  writeFileSync(join(odd, 'node_modules', 'pkg', 'index.js'), 'exports.word = "package";');
  writeFileSync(
    join(odd, 'p_test.lua'),
    'test.case("all modules", function() test.reply(test.session {}:mail "a@b.example", 550) end)',
  );
  return root;
}

function runIn(cwd: string, ...args: string[]): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...PROGRAM, ...args], {
    cwd,
    encoding: 'utf8',
  });
  return { status, said: stdout + stderr };
}

for (const [from, script, tests] of [
  [ODD, 'p.lua', 'p_test.lua'],
  [ODD, './p.lua', '.'],
  ['.', `${ODD}/p.lua`, ODD],
  ['.', `./${ODD}/../${ODD}/p.lua`, `./${ODD}/p_test.lua`],
] as const) {
  test(`check, try and test with --allow-js in ${from}: ${script} ${tests}`, (t) => {
    const cwd = join(site(t), from);
    const checked = runIn(cwd, 'check', '--allow-js', script);
    assert.match(checked.said, /callbacks: do_connect/);
    assert.equal(checked.status, 0);
    assert.match(runIn(cwd, 'try', '--allow-js', script).said, /550 5\.7\.1 lua package file\./);
    const tested = runIn(cwd, 'test', '--allow-js', tests);
    assert.match(tested.said, /1 passed/);
    assert.equal(tested.status, 0);
  });
}

test('modules are looked for beside a symbolic link to the script, not beside its target', (t) => {
  const root = site(t);
  symlinkSync(join(root, ODD, 'p.lua'), join(root, 'link.lua'));
  assert.match(runIn(root, 'check', '--allow-js', 'link.lua').said, /module 'own' not found/);
  for (const name of ['own.lua', 'node_modules', 'beside.js'])
    symlinkSync(join(root, ODD, name), join(root, name));
  assert.equal(runIn(root, 'check', '--allow-js', 'link.lua').status, 0);
});

test('--package-path is relative to where the program was started', (t) => {
  const root = site(t);
  mkdirSync(join(root, 'lib é'));
  writeFileSync(join(root, 'lib é', 'word.lua'), 'return "there"');
  writeFileSync(join(root, 'q.lua'), 'function smtp.do_connect() return 550, "5.7.1 " .. require "word" end');
  assert.match(runIn(root, 'try', 'q.lua', '--package-path', 'lib é/?.lua').said, /550 5\.7\.1 there/);
});

test('the server takes relative paths for all its files, and keeps them from the policy', async (t) => {
  const root = site(t);
  const config = {
    script: `${ODD}/p.lua`,
    spool: `${ODD}/spööl`,
    journal: `${ODD}/jöurnal`,
    control: './c ü',
  };
  writeFileSync(join(root, 'config ü.json'), JSON.stringify(config));
  const env = { ...process.env, KEPT: join(root, config.journal), SMTPF_MILTER_WARM_UP: '0' };
  const options = [
    '--config',
    'config ü.json',
    '--allow-js',
    '--listen',
    'inet:0@127.0.0.1',
    '--syslog',
    'stderr',
  ];
  const server = new Running(spawn(process.execPath, [...PROGRAM, ...options], { cwd: root, env }));
  t.after(() => server.child.kill('SIGKILL'));
  const [, port] = await server.until('stderr', /listening on \S*?inet:(\d+)@/);
  for (const path of [config.spool, config.journal, config.control]) {
    assert.ok(existsSync(join(root, path)), path);
  }
  assert.match(runIn(root, 'status', '--control', config.control).said, /p\.lua/);
  const mta = await Mta.open({ port: Number(port) });
  const reply = await mta.connect('192.0.2.7');
  assert.match(reply.text, /lua package file\. .*this program keeps its files there/);
  await mta.quit();
});
