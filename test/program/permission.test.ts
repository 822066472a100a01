/** Node's permission model: the program runs under it, and a policy reads no more than it allows. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { mailReply } from './milter-client.ts';
import { directory } from './program.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FLAG = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission';

test('a policy serves under it, and is kept from other files', async (t) => {
  const folder = directory(t);
  const spool = join(folder, 'spool');
  mkdirSync(spool, { mode: 0o700 });
  const script = join(folder, 'policy.lua');
  writeFileSync(join(folder, 'list'), 'allowed\n');
  writeFileSync(
    script,
    `function smtp.do_mail()
      local own = assert(io.open("${folder}/list")):read("l")
      local ok, f = pcall(io.open, "/etc/passwd")
      return 550, "5.7.1 " .. own .. ", " .. (ok and f and "read" or "kept out")
    end`,
  );
  const permissions = [
    FLAG,
    ...[ROOT, `${folder}/*`, '/proc/self/*', '/etc/resolv.conf'].map((path) => `--allow-fs-read=${path}`),
    `--allow-fs-write=${spool}/*`,
  ];
  const checked = spawnSync(process.execPath, [...permissions, MAIN, 'check', script], { encoding: 'utf8' });
  assert.equal(checked.status, 0, checked.stderr);
  assert.match(checked.stdout, /callbacks: do_mail/);

  const child = spawn(process.execPath, [
    ...permissions,
    MAIN,
    ...['--listen', 'inet:0@127.0.0.1', '--script', script, '--spool', spool, '--control', 'none'],
    ...['--workers', '0', '--warm-up', '0', '--syslog', 'none'],
  ]);
  t.after(() => child.kill('SIGKILL'));
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  while (!/^script /m.test(text)) {
    assert.equal(child.exitCode, null, text);
    await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  }
  const port = Number(/inet:(\d+)@/.exec(text)?.[1]);
  assert.equal(await mailReply({ port }), '550 5.7.1 allowed, kept out');
});
