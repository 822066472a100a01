/** A signal to all processes of the program at once, as from a terminal or systemd, while they start. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { childrenOf, isAlive, until } from '../program/milter-client.ts';
import { directory, start } from '../program/program.ts';

test('SIGTERM to the process group during the start is a plain stop', async (t) => {
  const script = join(directory(t), 'policy.lua');
  writeFileSync(script, 'function smtp.do_mail() end');
  const args = ['--listen', 'inet:0@127.0.0.1', '--script', script, '--workers', '2', '--control', 'none'];
  const milter = start(t, args, {}, ['setsid']);
  const { pid = 0 } = milter.child;
  const named = () => childrenOf(pid).length >= 2 && milter.stdout === '';
  await until(() => milter.child.exitCode !== null || named());
  process.kill(-pid, 'SIGTERM');
  assert.equal(await milter.ended(), 0, milter.stderr);
  assert.doesNotMatch(milter.stderr, /ended while it started|internal error/);
  await until(() => !isAlive(pid));
});
