/** `smtpf-milter top`: the sessions of a running server as they are now. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { describe, type TestContext, test } from 'node:test';
import { type OpenSessions, openSessionsOf } from '../../src/control/open-sessions.ts';
import { jsonOf } from '../../src/text/json-text.ts';
import { type Milter, startMilter, view } from '../program/milter-client.ts';
import { PROGRAM, Running, run } from '../program/program.ts';

const POLICY = `
function smtp.do_connect() end
function smtp.do_helo() end
function smtp.do_mail(sender) if sender:match "^slow" then smtp.delay(60) end end
function smtp.do_rcpt() end`;

const OPTIONS = ['--deadline', '100'];

async function look(milter: Milter): Promise<OpenSessions> {
  const { code, stdout, stderr } = await run(['top', '--once', '--json', '--spool', milter.spool]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  return JSON.parse(stdout) as OpenSessions;
}

/**
 * Sessions are told of as soon as the server has heard of what they wait for. A worker that is held for a second on a busy
 * machine is silent.
 */
async function lookUntil(milter: Milter, holds: (found: OpenSessions) => boolean): Promise<OpenSessions> {
  const end = performance.now() + 60_000;
  for (;;) {
    const found = await look(milter);
    if (found.silentWorkers.length === 0 && holds(found)) return found;
    assert.ok(performance.now() < end, JSON.stringify(found));
  }
}

for (const workers of ['0', '2']) {
  describe(`with --workers ${workers}`, { concurrency: 2 }, () => {
    test('a look tells of each session, and the callback that it waits for first', async (t) => {
      const milter = await startMilter(t, POLICY, ['--workers', workers, ...OPTIONS]);
      assert.deepEqual((await look(milter)).sessions, []);
      const idle = await milter.connect();
      await idle.connect('192.0.2.7', 'mx.example.net');
      await idle.helo('helo.example');
      await idle.mail('<a@b.example>');
      await idle.rcpt('<joe@example.com>');
      idle.macro('R', 'i', '4Queue');
      await idle.rcpt('<ann@example.com>');
      const slow = await milter.connect();
      await slow.connect('2001:db8::7', 'slow.example');
      await slow.helo('slow.example');
      slow.mail('<slow@b.example>').catch(() => {});
      const found = await lookUntil(milter, ({ sessions }) =>
        sessions.some(({ callback }) => callback !== undefined),
      );
      assert.equal(found.open, 2);
      const [first, second] = found.sessions.map(
        ({ session: _s, worker: _w, ageMs: _a, callbackMs: _c, ...rest }) => rest,
      );
      assert.deepEqual(first, {
        ip: '2001:db8::7',
        ptr: 'slow.example',
        helo: 'slow.example',
        sender: 'slow@b.example',
        recipientCount: 0,
        messages: 1,
        callback: 'smtp.do_mail',
      });
      assert.deepEqual(second, {
        ip: '192.0.2.7',
        ptr: 'mx.example.net',
        helo: 'helo.example',
        sender: 'a@b.example',
        recipient: 'ann@example.com',
        recipientCount: 2,
        queueId: '4Queue',
        messages: 1,
      });
      for (const { ageMs, worker } of found.sessions) {
        assert.ok(ageMs >= 0 && ageMs < 600_000);
        assert.ok(workers === '0' ? worker === 0 : worker === 1 || worker === 2);
      }
      let stdout = '';
      while (!/ 2 sessions open/.test(stdout))
        ({ stdout } = await run(['top', '--once', '--spool', milter.spool]));
      const lines = stdout.trimEnd().split('\n');
      assert.match(lines[0] ?? '', /^\d\d:\d\d:\d\d UTC {2}2 sessions open, 1 in a callback$/);
      assert.match(lines[2] ?? '', /^callback +for +age +worker +client +helo +sender +recipients +session$/);
      assert.match(lines[3] ?? '', /^smtp\.do_mail +\S.* 2001:db8::7 slow\.example .* <slow@b\.example> +- /);
      assert.match(lines[4] ?? '', / <a@b\.example> +<ann@example\.com> of 2 +\S+ 4Queue$/);
      await idle.quit();
      assert.equal((await lookUntil(milter, ({ open }) => open === 1)).sessions.length, 1);
    });
  });
}

test('--json prints a line for each look, and ends with SIGINT', async (t) => {
  const milter = await startMilter(t, POLICY, ['--workers', '0']);
  const viewer = view(t, ['top', '--json', '--interval', '0.1', '--spool', milter.spool]);
  await viewer.until('stdout', /\n.*\n.*\n/);
  viewer.child.kill('SIGINT');
  assert.equal(await viewer.ended(), 0);
  assert.equal(viewer.stderr, '');
  for (const line of viewer.stdout.trimEnd().split('\n')) assert.equal(JSON.parse(line).open, 0);
});

test('no server, one that ends, and a wrong interval are told in a line', async (t) => {
  const milter = await startMilter(t, POLICY, ['--workers', '0']);
  const viewer = view(t, ['top', '--interval', '0.1', '--spool', milter.spool]);
  await viewer.until('stdout', /0 sessions open/);
  await milter.running.stop();
  assert.equal(await viewer.ended(), 69);
  assert.match(viewer.stderr, /^smtpf-milter: (no server answers at |the server has ended).*\n$/);
  for (const interval of ['0', 'x', '-1', '3601', '1e3']) {
    const { code, stderr } = await run(['top', `--interval=${interval}`]);
    assert.equal(code, 64);
    assert.equal(stderr, `smtpf-milter: --interval: "${interval}" must be seconds, from 0.1 to 3600\n`);
  }
});

test('an answer has at most 1,000 sessions, those that wait longest, and stays shorter than a line may be', () => {
  const hostile = '\x01'.repeat(100);
  const session = (callbackMs: number) => ({
    session: hostile,
    ageMs: 1,
    ip: hostile,
    ptr: hostile,
    helo: hostile,
    sender: hostile,
    recipient: hostile,
    recipientCount: 1,
    queueId: hostile,
    messages: 1,
    callback: 'smtp.do_dot',
    callbackMs,
  });
  const told = { open: 5000, sessions: Array.from({ length: 1000 }, (_, i) => session(i)) };
  const found = openSessionsOf([
    [1, told],
    [2, told],
    [3, undefined],
  ]);
  assert.equal(found.open, 10_000);
  assert.equal(found.sessions.length, 1000);
  assert.ok(found.sessions.every(({ callbackMs = 0 }) => callbackMs >= 500));
  assert.deepEqual(found.silentWorkers, [3]);
  assert.ok(jsonOf(found).length < 8 << 20);
});

/** In a terminal, which `script` makes. */
function atTerminal(t: TestContext, args: readonly string[]): { child: ChildProcess; running: Running } {
  const command = [...PROGRAM, ...args].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qec', `stty rows 10 cols 60; ${command}`, '/dev/null'], {
    env: { ...process.env, TERM: 'xterm' },
  });
  t.after(() => child.kill('SIGKILL'));
  return { child, running: new Running(child) };
}

for (const [name, key] of [
  ['q', 'q'],
  ['Ctrl-C', '\x03'],
] as const) {
  test(`at a terminal the table is drawn again, and ${name} leaves it as it was`, async (t) => {
    const milter = await startMilter(t, POLICY, ['--workers', '0']);
    for (let i = 0; i < 9; i++) await (await milter.connect()).connect(`192.0.2.${i}`);
    const { child, running } = atTerminal(t, ['top', '--interval', '0.1', '--spool', milter.spool]);
    await running.until('stdout', /9 sessions open[\s\S]*\.\.\. 3 more[\s\S]*9 sessions open/);
    child.stdin?.write(key);
    // Behind all that it has written, which `exit` need not be.
    assert.equal(await running.ended(), 0);
    const [, frame = ''] = running.stdout.split('\x1b[H');
    assert.equal(frame.split('\r\n').length, 10);
    assert.ok(running.stdout.startsWith('\x1b[?1049h\x1b[?25l\x1b[?7l'), JSON.stringify(running.stdout));
    assert.ok(running.stdout.endsWith('\x1b[?7h\x1b[?25h\x1b[?1049l'), JSON.stringify(running.stdout));
  });
}
