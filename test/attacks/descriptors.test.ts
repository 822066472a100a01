/** A machine, or a unit, that lets a process have few files open. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { mta } from '../helpers/packet-builder.ts';
import { childrenOf, mailReply, startMilter, statusUntil } from '../program/milter-client.ts';
import { start } from '../program/program.ts';

const limited = (files: number): string[] => ['sh', '-c', `ulimit -n ${files}; exec "$0" "$@"`];

test('with 64 files at most the program says what it needs, and ends', async (t) => {
  const running = start(t, ['--listen', 'inet:0@127.0.0.1'], {}, limited(64));
  assert.equal(await running.ended(), 78);
  assert.match(
    running.stderr,
    /^smtpf-milter: a process may open only 64 files here, and 128 is the least .*ulimit -n.*\n$/,
  );
  assert.equal(running.stdout, '');
});

test('more connections than there are descriptors take nothing from those who are served', async (t) => {
  // Each session opens files of its own besides.
  const milter = await startMilter(
    t,
    'function smtp.do_mail(sender) return 550, io.open("/etc/passwd") and "5.7.1 read" or "5.7.1 unread" end',
    ['--workers', '1', '--warm-up', '0'],
    limited(192),
  );
  await milter.running.until('stderr', /--max-connections 5000: no more than 96 at a time, .*192 files/);
  const workers = childrenOf(milter.running.child.pid);
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  let refused = 0;
  for (let i = 0; i < 400; i++) {
    const socket = connect(milter.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.on('close', () => {
      refused += 1;
    });
    sockets.push(socket);
    await once(socket, 'connect');
    socket.write(mta.optneg(6, 0x1ff, 0x1fffff));
  }
  while (refused < 304) await new Promise((resolve) => setTimeout(resolve, 20));
  await statusUntil(milter, ({ connections }) => connections === 96);
  await milter.running.until('stderr', /connection refused: 96 are open in this process/);

  // One of those who are served is served as ever.
  const [first] = sockets;
  assert.ok(first);
  first.write(mta.mail('<a@b.example>'));
  const [reply] = (await once(first, 'data')) as [Buffer];
  assert.match(reply.toString('latin1'), /550 5\.7\.1 read|O/);

  for (const socket of sockets) socket.destroy();
  let text = '';
  for (let tries = 0; tries < 200 && text === ''; tries++) {
    text = await mailReply(milter).catch(() => '');
    if (text === '') await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(text, '550 5.7.1 read');
  assert.deepEqual(childrenOf(milter.running.child.pid), workers);
});
