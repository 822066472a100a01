/** --confine: workers under Node's permission model serve as ever, and a policy opens no file but those it is meant to. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { requireConfinement } from '../../src/supervisor/confinement.ts';
import { Mta } from '../helpers/mta.ts';
import { childrenOf, mailReply, until } from './milter-client.ts';
import { directory, Running, run } from './program.ts';

/** As it is installed: what runs TypeScript needs other files. */
const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

const TO_STDERR = ['--syslog', 'stderr'];

function startConfined(t: TestContext, folder: string, args: readonly string[]): Running {
  const child = spawn(process.execPath, [
    ...[MAIN, '--listen', 'inet:0@127.0.0.1', '--script', join(folder, 'mail', 'policy.lua'), '--confine'],
    ...['--spool', join(folder, 'spool'), '--workers', '2', '--warm-up', '5', '--grace', '0.1'],
    ...args,
  ]);
  t.after(() => child.kill('SIGKILL'));
  return new Running(child);
}

function site(t: TestContext, lua: string): string {
  const folder = directory(t);
  for (const name of ['mail', 'lists', 'out']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'mail', 'word.lua'), 'return "module"');
  writeFileSync(join(folder, 'mail', 'list'), 'beside\n');
  writeFileSync(join(folder, 'lists', 'list'), 'list\n');
  writeFileSync(join(folder, 'secret'), 'secret\n');
  writeFileSync(join(folder, 'mail', 'policy.lua'), lua);
  return folder;
}

test('a policy reads and writes what it may, and is told of the rest as Lua tells it', async (t) => {
  const folder = site(t, '');
  writeFileSync(
    join(folder, 'mail', 'policy.lua'),
    `local word = require "word"
    local function tell(name, mode)
      local file, why, code = io.open(name, mode)
      if file == nil then return tostring(why) .. " " .. tostring(code) end
      local text = mode == nil and file:read("l") or "written"
      if mode then file:write("x") end
      file:close()
      return text
    end
    function smtp.do_mail(sender)
      local answers = {
        word, tell("${folder}/mail/list"), tell("${folder}/lists/list"), tell("${folder}/out/x", "w"),
        tell("${folder}/secret"), tell("/etc/passwd"), tell("${folder}/mail/list", "w"), tell("${folder}/lists/list", "w"),
        tell("/etc/shadow"), tell("${folder}/mail/../secret"), tostring(select(2, os.remove("${folder}/secret"))),
      }
      return 550, table.concat(answers, "; ")
    end
    function smtp.do_dot(path)
      local file = assert(io.open(path, "rb"))
      return 551, "5.7.1 " .. #file:read("a")
    end`,
  );
  const read = ['lists', 'mail/list', 'mailx', 'lists/list'].map((name) => [
    '--confine-read',
    join(folder, name),
  ]);
  const more = [...read.flat(), '--confine-write', join(folder, 'out')];
  const milter = startConfined(t, folder, [...TO_STDERR, ...more, '--journal', join(folder, 'journal')]);
  const port = await milter.port();
  await milter.ready();
  const denied = (name: string) => `${name}: Permission denied 13`;
  assert.equal(
    (await mailReply({ port })).replace(/\s+/g, ' '),
    `550 5.0.0 ${[
      ...['module', 'beside', 'list', 'written', denied(`${folder}/secret`), denied('/etc/passwd')],
      ...[denied(`${folder}/mail/list`), denied(`${folder}/lists/list`), denied('/etc/shadow')],
      ...[denied(`${folder}/mail/../secret`), `${folder}/secret: Permission denied`],
    ].join('; ')}`,
  );
  const asked = await run(['status', '--spool', join(folder, 'spool')]);
  assert.equal(asked.code, 0, asked.stderr);

  // A worker in the place of another is confined too, and a message file comes to the policy.
  const lua = `function smtp.do_mail(sender) if sender == "" then return 550, tostring(select(2, io.open("/etc/passwd"))) end end
    function smtp.do_dot(path) return 551, "5.7.1 " .. #assert(io.open(path, "rb")):read("a") end`;
  writeFileSync(join(folder, 'mail', 'policy.lua'), lua);
  milter.child.kill('SIGHUP');
  await milter.until('stderr', /SIGHUP: script/);
  const pids = childrenOf(milter.child.pid);
  process.kill(pids[0] ?? 0, 'SIGKILL');
  await milter.until('stderr', /worker \d \(process \d+\) started/);
  for (let i = 0; i < 4; i++)
    assert.match(await mailReply({ port }, '<>'), /^550 5\.0\.0 \/etc\/passwd: Permission denied$/);
  const mta = await Mta.open({ port });
  t.after(() => mta.socket.destroy());
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  await mta.mail('<a@b.example>');
  await mta.rcpt('<c@d.example>');
  const { text } = await mta.content([['Subject', ' x']], 'body\r\n');
  assert.match(text, /^551 5\.7\.1 \d+$/);
  await mta.quit();
  assert.equal(await milter.stop(), 0);
  assert.doesNotMatch(milter.stderr, /Warning|internal error/);
});

test('programs are run only with --allow-execute, and then under no such rule', async (t) => {
  const folder = site(
    t,
    'function smtp.do_mail() return 550, "5.7.1 " .. io.popen("head -c 4 /etc/passwd"):read("a") end',
  );
  const milter = startConfined(t, folder, [...TO_STDERR, '--allow-execute', '--control', 'none']);
  const port = await milter.port();
  assert.equal(await mailReply({ port }), '550 5.7.1 root');
  await milter.stop();
});

test('the log of this machine can be had', async (t) => {
  const folder = site(t, 'function smtp.do_mail() return 550, "5.7.1 no" end');
  const milter = startConfined(t, folder, ['--control', 'none', '--syslog', 'local']);
  const port = await milter.port();
  assert.equal(await mailReply({ port }), '550 5.7.1 no');
  await until(() => childrenOf(milter.child.pid).length === 2);
  await milter.stop();
  assert.doesNotMatch(milter.stderr, /ACCESS_DENIED|ERR_DLOPEN/);
});

test('where it cannot be had, one line says so', async () => {
  const ended = await run(['--confine', '--workers', '0']);
  assert.deepEqual(ended, {
    code: 78,
    stdout: '',
    stderr: 'smtpf-milter: --confine: worker processes are confined, and there are none with --workers 0\n',
  });
  assert.throws(() => requireConfinement({ confine: true, workers: 1 }, new Set(['--inspect'])), {
    name: 'OperatorError',
    exitCode: 78,
    message: /^--confine: Node\.js v[\d.]+ has no permission model that a worker could run under/,
  });
});
