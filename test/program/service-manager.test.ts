/** systemd and the program: what is told of its life, and sockets that are handed over. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Mta } from '../helpers/mta.ts';
import { NotifySocket } from '../helpers/notify-socket.ts';
import { childrenOf, mailReply } from './milter-client.ts';
import { directory, PROGRAM, Running, start } from './program.ts';

/** A policy that tells what it can see of systemd. */
const SEES = `
function smtp.do_mail()
  local seen = {}
  for _, name in ipairs { "NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES" } do
    seen[#seen + 1] = os.getenv(name)
  end
  return 450, "4.0.0 sees " .. (#seen == 0 and "nothing" or table.concat(seen, " "))
end`;

function policy(t: TestContext, lua = SEES): string {
  const script = join(directory(t), 'policy.lua');
  writeFileSync(script, lua);
  return script;
}

for (const workers of ['0', '1']) {
  test(`with --workers ${workers}, systemd is told of start, reload and end, and the watchdog hears of it`, async (t) => {
    const systemd = new NotifySocket(t, directory(t));
    const script = policy(t);
    const args = [
      '--listen',
      'inet:0@127.0.0.1',
      '--workers',
      workers,
      '--script',
      script,
      '--control',
      'none',
    ];
    const running = start(t, args, { NOTIFY_SOCKET: systemd.path, WATCHDOG_USEC: '300000' });
    await systemd.until(([ready]) => ready !== undefined);
    const port = await running.port();
    assert.match(
      systemd.messages[0] ?? '',
      /^READY=1\nSTATUS=script \S+\/policy\.lua \([0-9a-f]+\), callbacks: do_mail$/,
    );
    assert.equal(await mailReply({ port }), '450 4.0.0 sees nothing');
    await systemd.until((messages) => messages.includes('WATCHDOG=1'));
    await running.ready();
    writeFileSync(script, 'smtp.do_mail = ');
    running.child.kill('SIGHUP');
    const later = () => systemd.messages.filter((message) => message !== 'WATCHDOG=1').slice(1);
    await systemd.until(() => later().length >= 2);
    const [reloading = '', again = ''] = later();
    assert.match(reloading, /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
    assert.match(again, /^READY=1\nSTATUS=.*policy\.lua:1/);
    assert.equal(await running.stop(), 0);
    await systemd.until(() => later().length >= 3);
    assert.match(later()[2] ?? '', /^STOPPING=1\nSTATUS=SIGTERM: stopping, 0 connections open$/);
  });
}

test('a start that fails is not told as one that serves', async (t) => {
  const systemd = new NotifySocket(t, directory(t));
  const args = [
    '--listen',
    'inet:0@127.0.0.1',
    '--script',
    policy(t, 'smtp.do_mail = '),
    '--on-bad-start',
    'exit',
  ];
  const running = start(t, args, { NOTIFY_SOCKET: systemd.path });
  assert.equal(await running.ended(), 78);
  assert.deepEqual(systemd.messages, []);
});

/**
 * Binds sockets and keeps them, as systemd does: NAME=PATH, or NAME=PORT on the loopback address; then, for each line that
 * it reads, starts the program with them.
 */
const KEEPER = `
import os, socket, sys
end = sys.argv.index('--')
handed, names = [], []
for word in sys.argv[1:end]:
    name, place = word.split('=', 1)
    kind = socket.SOCK_DGRAM if place.startswith('dgram:') else socket.SOCK_STREAM
    place = place.replace('dgram:', '')
    if place.startswith('/'):
        s = socket.socket(socket.AF_UNIX, kind)
        s.bind(place)
    else:
        s = socket.socket(socket.AF_INET6 if place.startswith('[') else socket.AF_INET, kind)
        s.bind(('::1' if place.startswith('[') else '127.0.0.1', 0))
        print('bound', s.getsockname()[1], flush=True)
    if kind == socket.SOCK_STREAM:
        s.listen(16)
    handed.append(s)
    names.append(name)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        copies = [os.dup(s.fileno()) for s in handed]
        for number, copy in enumerate(copies):
            os.dup2(copy, 3 + number + 50)
        for number in range(len(copies)):
            os.dup2(3 + number + 50, 3 + number)
        os.closerange(3 + len(copies), 200)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(copies)), LISTEN_FDNAMES=':'.join(names))
        os.execvp(sys.argv[end + 1], sys.argv[end + 1:])
    print('started', child, flush=True)
    status = os.waitpid(child, 0)[1]
    print('ended', os.waitstatus_to_exitcode(status), flush=True)
`;

interface Keeper {
  readonly running: Running;
  readonly child: ChildProcess;
  /** @returns its process id */
  start(): Promise<number>;
}

function keep(t: TestContext, sockets: readonly string[], args: readonly string[]): Keeper {
  const spool = join(directory(t), 'spool');
  const child = spawn('python3', ['-c', KEEPER, ...sockets, '--', ...PROGRAM, ...args, '--spool', spool], {
    env: {
      ...process.env,
      SMTPF_MILTER_WARM_UP: '0',
      SMTPF_MILTER_SYSLOG: 'stderr',
      SMTPF_MILTER_GRACE: '0.1',
    },
  });
  const running = new Running(child);
  let pid = 0;
  t.after(() => {
    child.kill('SIGKILL');
    try {
      if (pid > 0) process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  });
  return {
    running,
    child,
    start: async () => {
      running.stdout = '';
      child.stdin?.write('start\n');
      pid = Number((await running.until('stdout', /^started (\d+)$/m))[1]);
      return pid;
    },
  };
}

async function endOf({ running }: Keeper): Promise<number> {
  return Number((await running.until('stdout', /^ended (-?\d+)$/m))[1]);
}

describe('--listen fd:NAME', () => {
  for (const workers of ['0', '2']) {
    test(`with --workers ${workers}, serves the sockets of a name, and those wait while it is away`, async (t) => {
      const path = join(directory(t), 'milter.sock');
      const ino = () => lstatSync(path).ino;
      const args = [
        '--listen',
        'fd:milter',
        '--script',
        policy(t),
        '--workers',
        workers,
        '--on-error',
        'tempfail',
      ];
      const keeper = keep(t, [`milter=${path}`, 'milter=0', 'milter=[0]'], args);
      const { running } = keeper;
      await running.until('stdout', /^bound \d+\nbound \d+\n/m);
      const [, port = '', port6 = ''] = /bound (\d+)\nbound (\d+)/.exec(running.stdout) ?? [];
      const before = ino();
      let pid = await keeper.start();
      await running.until('stderr', /callbacks: do_mail/);
      const places = `listening on unix:${path} inet:${port}@127.0.0.1 inet6:${port6}@::1`;
      assert.ok(running.stderr.includes(places), running.stderr);
      assert.equal(await mailReply({ port: Number(port) }), '450 4.0.0 sees nothing');
      assert.doesNotMatch(running.stderr + running.stdout, /stays behind/);
      // What the program starts has none of them but its workers, and these once.
      for (const worker of childrenOf(pid)) assert.equal(listeningIn(worker).length, 3);
      process.kill(pid, 'SIGTERM');
      assert.equal(await endOf(keeper), 0);
      // The file stays, and so do the sockets: a connection waits for the next start.
      assert.ok(existsSync(path));
      assert.equal(ino(), before);
      const waiting = Mta.open({ port: Number(port) });
      pid = await keeper.start();
      const mta = await waiting;
      t.after(() => mta.socket.destroy());
      await mta.connect('192.0.2.7', 'mx.example');
      await mta.helo('mx.example');
      assert.equal((await mta.mail('<a@b.example>')).text, '450 4.0.0 sees nothing');
      process.kill(pid, 'SIGTERM');
      assert.equal(await endOf(keeper), 0);
    });
  }

  test('--metrics takes one too', async (t) => {
    const args = ['--listen', 'fd:a', '--metrics', 'fd:b', '--script', policy(t), '--workers', '0'];
    const keeper = keep(t, ['a=0', 'b=0'], args);
    await keeper.running.until('stdout', /^bound \d+\nbound \d+\n/m);
    const [, , port] = /bound (\d+)\nbound (\d+)/.exec(keeper.running.stdout) ?? [];
    await keeper.start();
    await keeper.running.until('stderr', /metrics at inet:/);
    assert.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200);
  });

  const refused: readonly [string, readonly string[], readonly string[], RegExp][] = [
    [
      'nothing was handed over',
      [],
      ['fd:x'],
      /--listen fd:x: the program was started without sockets: FileDescr/,
    ],
    [
      'another name',
      ['y=0'],
      ['fd:x'],
      /--listen fd:x: the sockets it was started with are y: FileDescriptorName=/,
    ],
    ['a name twice', ['x=0'], ['fd:x', 'fd:x'], /--listen fd:x: the program was started without sockets/],
    [
      'a datagram socket',
      ['x=dgram:0'],
      ['fd:x'],
      /descriptor 3 \(x\) is no stream socket that listens: ListenStream=/,
    ],
    [
      'one that nobody names',
      ['x=0', 'y=0'],
      ['fd:x'],
      /systemd hands over a socket "y" \(descriptor 4\) that no option names: --listen fd:y/,
    ],
  ];
  for (const [name, sockets, listen, line] of refused) {
    test(`${name}: one line, and exit code 78`, async (t) => {
      const args = listen.flatMap((address) => ['--listen', address]);
      const keeper = keep(t, sockets, [...args, '--script', policy(t), '--control', 'none']);
      await keeper.start();
      assert.equal(await endOf(keeper), 78);
      await keeper.running.until('stderr', line);
      assert.equal(keeper.running.stderr.trim().split('\n').length, 1);
    });
  }
});

/** Descriptors of sockets that listen. */
function listeningIn(pid: number): string[] {
  const listening = ['tcp', 'tcp6', 'unix'].flatMap((file) =>
    readFileSync(`/proc/${pid}/net/${file}`, 'latin1')
      .split('\n')
      .filter((line) => (file === 'unix' ? / 00010000 0001 /.test(line) : / 0A /.test(line)))
      .map((line) => line.trim().split(/\s+/)[file === 'unix' ? 6 : 9]),
  );
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? [];
      return inode !== undefined && listening.includes(inode);
    } catch {
      return false;
    }
  });
}
