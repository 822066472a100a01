/** Worker processes: they share the work, are replaced when they end or hang, and end with their supervisor. */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../helpers/loopback.ts';
import { Mta } from '../helpers/mta.ts';
import { mta as packet } from '../helpers/packet-builder.ts';
import {
  childrenOf,
  isAlive,
  type Milter,
  mailReply,
  startMilter,
  statusOf,
  until,
} from '../program/milter-client.ts';
import { directory, run, start } from '../program/program.ts';

/** The reply to MAIL names the session, whose id names the process: `lq3k9x2a-2.1` is the first of the second. */
const NAMES_ITSELF = 'function smtp.do_mail() return 450, smtp.sess.id end';

const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'only root can become another user' };

const withoutDaemon = existsSync('/dev/log') ? { skip: 'a syslog daemon runs here' } : {};

/** How many-th process that was started serves this connection. */
async function processOf(mta: Mta): Promise<number> {
  const { text } = await mta.mail('<a@b.example>');
  const match = /^450 4\.0\.0 [0-9a-z]+-(\d+)\.[0-9a-z]+$/.exec(text);
  assert.ok(match, text);
  mta.abort();
  return Number(match[1]);
}

/** A connection to each of two workers. */
async function oneToEach(milter: Milter): Promise<[Mta, Mta]> {
  const found = new Map<number, Mta>();
  while (found.size < 2) {
    const mta = await milter.connect();
    const number = await processOf(mta);
    if (found.has(number)) await mta.quit();
    else found.set(number, mta);
  }
  const [first, second] = [found.get(1), found.get(2)];
  assert.ok(first && second);
  return [first, second];
}

async function pidOf(milter: Milter, worker: number): Promise<number> {
  const { workers } = await statusOf(milter);
  const pid = workers.find(({ number }) => number === worker)?.pid;
  assert.ok(pid !== undefined);
  return pid;
}

function count(text: string, pattern: RegExp): number {
  return text.match(new RegExp(pattern, 'g'))?.length ?? 0;
}

describe('two workers', { concurrency: 2 }, () => {
  test('both serve, and the operator sees one program', async (t) => {
    const milter = await startMilter(t, NAMES_ITSELF, ['--workers', '2']);
    const { running } = milter;
    const workers = childrenOf(running.child.pid);
    assert.equal(workers.length, 2);
    await oneToEach(milter);
    assert.deepEqual([await pidOf(milter, 1), await pidOf(milter, 2)].sort(), workers.sort());
    running.child.kill('SIGTERM');
    await running.until('stderr', /SIGTERM: stopping, 2 connections open/);
    assert.equal(await running.ended(), 0);
    assert.equal(count(running.stderr, /listening on/), 1);
    assert.equal(count(running.stderr, /callbacks: do_mail/), 1);
    assert.equal(count(running.stderr, /running as root/), process.getuid?.() === 0 ? 1 : 0);
    assert.match(running.stderr, /stopped, 2 connections cut off/);
    assert.ok(!workers.some(isAlive));
  });

  test('connections in the queue when it is told to stop are served', async (t) => {
    const milter = await startMilter(t, NAMES_ITSELF, ['--workers', '2', '--grace', '60']);
    const { running } = milter;
    const workers = childrenOf(running.child.pid);
    for (const worker of workers) process.kill(worker, 'SIGSTOP');
    running.child.kill('SIGTERM');
    await pause(300); // The workers have been told before the connections come.
    const connecting = Array.from({ length: 8 }, () => milter.connect());
    await pause(200);
    for (const worker of workers) process.kill(worker, 'SIGCONT');
    const mtas = await Promise.all(connecting);
    for (const mta of mtas) {
      await processOf(mta);
      await mta.quit();
    }
    assert.equal(await running.ended(), 0);
  });

  test('sessions may end before the program does', async (t) => {
    const milter = await startMilter(t, NAMES_ITSELF, ['--workers', '2', '--grace', '60']);
    const both = await oneToEach(milter);
    milter.running.child.kill('SIGTERM');
    await milter.running.until('stderr', /SIGTERM: stopping, 2 connections open/);
    await assert.rejects(milter.connect());
    for (const mta of both) {
      await processOf(mta);
      await mta.quit();
    }
    assert.equal(await milter.running.ended(), 0);
    assert.match(milter.running.stderr, /notice .*: stopped$/m);
  });

  test('one that is killed is replaced, and the sessions of the other go on', async (t) => {
    const milter = await startMilter(t, NAMES_ITSELF, ['--workers', '2']);
    const { running } = milter;
    const [first, second] = await oneToEach(milter);
    const victim = await pidOf(milter, 1);
    process.kill(victim, 'SIGKILL');
    await assert.rejects(processOf(first));
    await running.until(
      'stderr',
      new RegExp(`error .*worker 1 \\(process ${victim}\\) ended: SIGKILL; another`),
    );
    assert.equal(await processOf(second), 2);
    await running.until('stderr', /notice .*worker 1 \(process \d+\) started/);
    let newest = 0;
    while (newest !== 3) newest = await processOf(await milter.connect());
    assert.equal((await statusOf(milter)).restarts, 1);
    assert.equal(childrenOf(running.child.pid).length, 2);
    assert.equal(await running.stop(), 0);
  });

  test('one that stops answering is replaced, and the sessions of the other go on', async (t) => {
    const milter = await startMilter(t, NAMES_ITSELF, ['--workers', '2', '--worker-timeout', '5']);
    const { running } = milter;
    const [, second] = await oneToEach(milter);
    const victim = await pidOf(milter, 1);
    process.kill(victim, 'SIGSTOP');
    assert.equal(await processOf(second), 2);
    await running.until(
      'stderr',
      new RegExp(`worker 1 \\(process ${victim}\\) has not answered for \\d+ s: killed`),
    );
    await running.until('stderr', /notice .*worker 1 \(process \d+\) started/);
    assert.equal(await processOf(second), 2);
    assert.equal(count(running.stderr, /has not answered/), 1);
    assert.ok(!isAlive(victim));
  });

  test('a bug of ours ends one of them, with its stack in the log', async (t) => {
    const planted = join(directory(t), 'planted.mjs');
    writeFileSync(planted, "process.on('SIGUSR2', () => { throw new Error('planted'); });\n");
    const path = join(directory(t), 'milter.sock');
    const args = ['--listen', `unix:${path}`, '--workers', '2'];
    const running = start(t, args, { NODE_OPTIONS: `--import=${planted}` });
    await running.ready();
    const [victim = 0] = childrenOf(running.child.pid);
    process.kill(victim, 'SIGUSR2');
    await running.until(
      'stderr',
      /worker \d \(process \d+\) ended: exit code 70; another is started in 0\.1 s/,
    );
    assert.match(running.stderr, /error .*internal error, ending: Error: planted.* at /);
    await running.until('stderr', /notice .*worker \d \(process \d+\) started/);
    assert.equal(await running.stop(), 0);
  });

  test('is replaced within a second where no other one serves, however often it ends', async (t) => {
    const milter = await startMilter(t, NAMES_ITSELF, ['--workers', '1']);
    const { running } = milter;
    for (let kills = 1; kills <= 6; kills += 1) {
      process.kill(await pidOf(milter, 1), 'SIGKILL');
      await until(() => count(running.stderr, /worker 1 \(process \d+\) started/) === kills);
    }
    const pauses = [...running.stderr.matchAll(/another is started in ([\d.]+) s/g)].map(([, s]) => s);
    assert.deepEqual(pauses, ['0.1', '0.2', '0.4', '0.8', '1', '1']);
    assert.equal(await running.stop(), 0);
  });

  test('the message file of one that is killed is removed by its successor', async (t) => {
    const milter = await startMilter(t, 'function smtp.do_dot(path) last = path end', ['--workers', '1']);
    const messages = () => readdirSync(milter.spool).filter((name) => name.endsWith('.eml'));
    const mta = await milter.connect();
    await mta.connect('192.0.2.7');
    await mta.mail('<a@b.example>');
    await mta.rcpt('<c@d.example>');
    await mta.data();
    mta.socket.write(packet.header('Subject', ' x'));
    mta.socket.write(packet.eoh());
    for (let chunk = 0; chunk < 8; chunk++) mta.socket.write(packet.body(Buffer.alloc(65_000, 'x')));
    await until(() => messages().length === 1);
    process.kill(await pidOf(milter, 1), 'SIGKILL');
    await milter.running.until('stderr', /notice .*worker 1 \(process \d+\) started/);
    assert.deepEqual(messages(), []);
  });
});

describe('the supervisor', { concurrency: 2 }, () => {
  test('is all there is with --workers 0', async (t) => {
    const milter = await startMilter(t, 'function smtp.do_mail() return 451, "later" end', [
      '--workers',
      '0',
    ]);
    assert.deepEqual(childrenOf(milter.running.child.pid), []);
    assert.equal(await mailReply(milter), '451 4.0.0 later');
    assert.equal((await statusOf(milter)).workers.length, 1);
    assert.equal(await milter.running.stop(), 0);
  });

  test('takes its workers with it, and the next start has the address', async (t) => {
    const address = `inet:${await freePort()}@127.0.0.1`;
    const args = ['--workers', '2', '--worker-timeout', '3600', '--listen', address];
    const milter = await startMilter(t, NAMES_ITSELF, args);
    const workers = childrenOf(milter.running.child.pid);
    await milter.connect();
    milter.running.child.kill('SIGKILL');
    const next = start(t, ['--listen', address, '--script', milter.script]);
    await next.ready();
    await until(() => !workers.some(isAlive));
    const mta = await Mta.open({ port: await next.port() });
    assert.ok((await processOf(mta)) <= 2);
    await mta.quit();
  });

  test('keeps connections waiting while there is no worker', async (t) => {
    const milter = await startMilter(t, NAMES_ITSELF, ['--workers', '1']);
    process.kill(await pidOf(milter, 1), 'SIGKILL');
    const mta = await milter.connect();
    assert.equal(await processOf(mta), 2);
  });

  test('binds a unix socket with its mode, replaces a stale one, and removes it', async (t) => {
    const path = join(directory(t), 'milter.sock');
    const args = ['--listen', `unix:${path}`, '--socket-mode', '0620', '--workers', '2'];
    const first = start(t, args);
    await first.ready();
    assert.equal(lstatSync(path).mode & 0o777, 0o620);
    const refused = await run([...args, '--spool', join(directory(t), 'spool'), '--syslog', 'none']);
    assert.deepEqual([refused.code, refused.stdout], [75, '']);
    assert.match(refused.stderr, /address in use: a milter answers there/);
    const workers = childrenOf(first.child.pid);
    first.child.kill('SIGKILL');
    await until(() => !workers.some(isAlive));
    assert.ok(lstatSync(path).isSocket());
    const second = start(t, args);
    await second.ready();
    assert.equal(await second.stop(), 0);
    assert.equal(existsSync(path), false);
  });

  test(
    'says once that there is no syslog daemon, and all log to one place',
    withoutDaemon,
    async (t: TestContext) => {
      const milter = await startMilter(t, NAMES_ITSELF, ['--workers', '2', '--syslog', 'local']);
      await Promise.all((await oneToEach(milter)).map((mta) => mta.quit()));
      const decisions = () => count(milter.running.stderr, /info .*: tempfail: smtp\.do_mail: 450 /);
      await until(() => decisions() >= 2);
      assert.equal(await milter.running.stop(), 0);
      assert.equal(count(milter.running.stderr, /logging to stderr/), 1);
    },
  );

  test('logs that the script is missing each time it is, whichever worker finds out', async (t) => {
    const milter = await startMilter(t, NAMES_ITSELF, ['--workers', '2', '--worker-timeout', '60']);
    const { running, script } = milter;
    const first = await pidOf(milter, 1);
    const missing = () => count(running.stderr, /error .*cannot read .*policy\.lua/);
    const mailToSecond = async (): Promise<void> => {
      process.kill(first, 'SIGSTOP');
      await mailReply(milter);
      process.kill(first, 'SIGCONT');
    };
    rmSync(script);
    await mailToSecond();
    await until(() => missing() === 1);
    milter.edit(`${NAMES_ITSELF} -- again`);
    // It is the first worker that looks.
    running.child.kill('SIGHUP');
    await running.until('stderr', /SIGHUP: script .*callbacks: do_mail/);
    // In step with the second.
    await statusOf(milter);
    rmSync(script);
    await mailToSecond();
    await until(() => missing() === 2);
  });

  test('gives up the rights of root, and so do its workers', needsRoot, async (t: TestContext) => {
    const running = start(t, [
      ...['--listen', 'inet:0@127.0.0.1', '--workers', '2', '--user', 'nobody'],
      ...['--spool', join('/tmp', `smtpf-milter-test-nobody-${process.pid}`)],
    ]);
    await running.ready();
    for (const pid of [running.child.pid, ...childrenOf(running.child.pid)]) {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      assert.match(status, /^Uid:\t65534\t65534\t65534\t65534$/m);
      assert.match(status, /^Groups:\t65534 *$/m);
      assert.match(status, /^CapEff:\t0+$/m);
    }
    assert.equal(await running.stop(), 0);
  });
});
