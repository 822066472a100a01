/** Runs in a room: the README's commands for a policy, the unit, and the examples of `--help`. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { COMMANDS } from '../../../src/commands/command-table.ts';
import { blocks, code, readme, section } from './documents.ts';
import { Milter, setting, settle, shell, unit } from './machine.ts';

const policy = blocks(section(readme(), 'A policy'));
const service = section(readme(), 'Running it as a service');

settle();

/** Runs a line of a document, and gives what became of it. */
function result(line: string): { readonly status: number | null; readonly stdout: string } {
  return spawnSync('/bin/sh', ['-c', line], { encoding: 'utf8' });
}

test('the policy is checked and tried, and its tests pass', () => {
  const [check = '', attempt = '', ...more] = policy[1]?.text.trimEnd().split('\n') ?? [];
  assert.deepEqual(more, []);
  assert.equal(result(check).status, 0);
  const tried = result(attempt);
  assert.equal(tried.status, 1);
  assert.ok(tried.stdout.includes(policy[2]?.text ?? 'no output'), tried.stdout);
  writeFileSync('/etc/mail/smtpf_test.lua', policy[3]?.text ?? '');
  assert.match(shell(policy[4]?.text ?? ''), /1 passed/);
});

test('systemd finds no fault with the unit', { skip: !existsSync('/usr/bin/systemd-analyze') }, () => {
  const file = code(service, '/etc/systemd/system/');
  writeFileSync(file, unit());
  const { stdout, stderr, status } = spawnSync('/usr/bin/systemd-analyze', ['verify', file], {
    encoding: 'utf8',
  });
  // Of units of others on this machine it may say what it likes.
  const ours = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('/lib/systemd/system/'));
  assert.deepEqual({ stdout, ours, status }, { stdout: '', ours: [], status: 0 });
});

test('the unit starts the program again after what passes by itself, without an end, and after nothing else', () => {
  assert.equal(setting('Restart'), 'on-failure');
  assert.equal(setting('RestartPreventExitStatus'), '64 78');
  assert.equal(setting('StartLimitIntervalSec'), '0');
});

test('the running service tells its status', async () => {
  const milter = await Milter.ofUnit();
  assert.match(shell(code(service, 'smtpf-milter status')), /inet:8895@127\.0\.0\.1/);
  await milter.stop();
});

test('the examples of serve --help start', async () => {
  shell(blocks(section(readme(), 'Attaching Postfix'))[1]?.text ?? '');
  const help = shell('smtpf-milter serve --help');
  const { examples } = COMMANDS.find(({ name }) => name === 'serve') ?? { examples: [] };
  assert.ok(examples.length > 3);
  for (const [example] of examples) {
    const command = example.replace('$0', 'smtpf-milter');
    assert.ok(help.includes(`  ${command}\n`), command);
    if (command.includes(' check ')) {
      shell(command);
    } else {
      const words = command.split(' ');
      const milter = await Milter.start([...words, '--spool', '/run/spool-of-examples', '--control', 'none']);
      await milter.stop();
      shell('rm -rf /run/spool-of-examples');
    }
  }
});
