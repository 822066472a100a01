/** Somebody else at the control socket: what root is shown is the server's, or an error. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { directory, run } from '../program/program.ts';

const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'only root can be another user' };
const STRANGER = 54_398;

/** Answers as a server, at `path`, as this user. */
async function squat(t: TestContext, path: string, uid: number): Promise<void> {
  const source = `require('node:net').createServer((socket) => socket.end('{"decisions":[]}\\n'))
    .listen(process.argv[1], () => console.log('there'))`;
  const child = spawn(process.execPath, ['-e', source, path], {
    uid,
    gid: uid,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
}

test('a socket of somebody else is not asked', needsRoot, async (t) => {
  const top = directory(t);
  chmodSync(top, 0o755);
  const places = [
    ['shared', 0, 0o1777, 'it belongs to uid'],
    ['open', 0, 0o777, 'others than its owner may write to'],
  ] as const;
  for (const [name, uid, mode, reason] of places) {
    const folder = join(top, name);
    mkdirSync(folder);
    chownSync(folder, uid, uid);
    chmodSync(folder, mode);
    const path = join(folder, 'spool.control');
    await squat(t, path, STRANGER);
    const { code, stdout, stderr } = await run(['why', 'x', '--spool', join(folder, 'spool')]);
    assert.deepEqual({ code, stdout }, { code: 69, stdout: '' });
    assert.ok(stderr.startsWith(`smtpf-milter: ${path} is not to be relied on: ${reason}`), stderr);
  }
});

test('a socket in a directory that root has made for a user is asked', needsRoot, async (t) => {
  const top = directory(t);
  chmodSync(top, 0o755);
  const own = join(top, 'own');
  mkdirSync(own);
  chownSync(own, STRANGER, STRANGER);
  await squat(t, join(own, 'spool.control'), STRANGER);
  const asked = await run(['why', 'x', '--spool', join(own, 'spool')]);
  assert.deepEqual(asked, { code: 1, stdout: 'nothing in the journal about x\n', stderr: '' });
});

test('a line without an end ends the client, not its memory', async (t) => {
  const path = join(directory(t), 'control');
  const server = createServer((socket) => {
    const more = () => {
      while (socket.write(Buffer.alloc(1 << 20, 97)));
    };
    socket.on('drain', more).on('error', () => {});
    more();
  }).listen(path);
  t.after(() => server.close());
  await once(server, 'listening');
  const { code, stdout, stderr } = await run(['status', '--control', path]);
  assert.deepEqual({ code, stdout }, { code: 69, stdout: '' });
  assert.match(
    stderr,
    /^smtpf-milter: .*control: a line of more than 16 MiB is no answer of this program\n$/,
  );
});
