/** What keeps the program from starting: the text says what was seen, the exit code whether to start it again. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { freePort, hasIPv6 } from '../helpers/loopback.ts';
import { unheld } from '../helpers/unheld.ts';
import { directory, type Ended, PROGRAM, run, start } from '../program/program.ts';

const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'only root can become another user' };
const onLinux = process.platform === 'linux' ? {} : { skip: 'only Linux shows who holds an address' };

const LOOPBACK = ['--listen', 'inet:0@127.0.0.1'];
const NOBODY = 65534;

/** Runs it to its end, which comes before it listens: one line, and this exit code. */
async function refused(
  t: TestContext,
  args: readonly string[],
  code: number,
  message: string | RegExp,
  variables: Readonly<Record<string, string>> = {},
): Promise<void> {
  const ended: Ended = await run(args, { SMTPF_MILTER_SPOOL: join(directory(t), 'spool'), ...variables });
  assert.match(ended.stderr, /^smtpf-milter: [^\n]*\n$/);
  const line = ended.stderr.slice('smtpf-milter: '.length, -1);
  if (typeof message === 'string') assert.equal(line, message);
  else assert.match(line, message);
  assert.deepEqual({ code: ended.code, stdout: ended.stdout }, { code, stdout: '' });
}

async function listening(
  t: TestContext,
  where: { port?: number; host?: string; path?: string },
): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => {})).listen(where);
  t.after(() => server.close());
  await once(server, 'listening');
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** For a process of another user: who may not see what root's processes hold. */
function asUser(uid: number, gid: number, ...groups: number[]): string[] {
  const supplementary = groups.length > 0 ? `--groups=${groups.join()}` : '--clear-groups';
  return ['/usr/bin/setpriv', `--reuid=${uid}`, `--regid=${gid}`, supplementary];
}

function groupId(name: string): number {
  return Number(new RegExp(`^${name}:[^:]*:(\\d+):`, 'm').exec(readFileSync('/etc/group', 'utf8'))?.[1]);
}

for (const workers of ['0', '1']) {
  describe(`an address that cannot be had, --workers ${workers}`, { concurrency: 3 }, () => {
    const mode = { SMTPF_MILTER_WORKERS: workers };

    test('one that no interface has yet: 75', (t) =>
      refused(
        t,
        ['--listen', 'inet:8895@192.0.2.55'],
        75,
        '--listen inet:8895@192.0.2.55: not an address of this machine at present',
        mode,
      ));

    test('a name that does not resolve yet: 75', (t) =>
      refused(
        t,
        ['--listen', 'inet:8895@no-such-host.invalid'],
        75,
        /^--listen inet:8895@no-such-host\.invalid: the host name (has no address|cannot be looked up at present)$/,
        mode,
      ));

    test('a port on which another program listens: 75, and which it is', onLinux, async (t) => {
      const port = portOf(await listening(t, { host: '127.0.0.1', port: 0 }));
      const written = `inet:${port}@127.0.0.1`;
      await refused(
        t,
        ['--listen', written],
        75,
        new RegExp(`^--listen ${written}: address in use: process ${process.pid} \\(.+\\) listens there$`),
        mode,
      );
    });

    test('a port on all addresses of which another program listens', onLinux, async (t) => {
      const port = portOf(await listening(t, { host: '0.0.0.0', port: 0 }));
      const seen = `address in use: process ${process.pid} \\(.+\\) listens at inet:${port}@0\\.0\\.0\\.0`;
      await refused(t, ['--listen', `inet:${port}@127.0.0.1`], 75, new RegExp(`: ${seen}$`), mode);
    });

    test(
      'a port held by an outgoing connection: 75, and it is said that nobody listens',
      onLinux,
      async (t) => {
        const peer = await listening(t, { host: '127.0.0.1', port: 0 });
        const port = await freePort();
        // Not by Node, which lets others share the port (SO_REUSEADDR).
        const source = `use IO::Socket::INET;
        my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => ${port}, PeerAddr => '127.0.0.1',
          PeerPort => ${portOf(peer)}) or die $!;
        $| = 1; print "connected\\n"; <STDIN>;`;
        const holder = spawn('/usr/bin/perl', ['-e', source], { stdio: ['pipe', 'pipe', 'inherit'] });
        t.after(() => holder.kill());
        await once(holder.stdout, 'data');
        await refused(
          t,
          ['--listen', `inet:${port}@127.0.0.1`],
          75,
          `--listen inet:${port}@127.0.0.1: address in use: nobody listens there, but process ${holder.pid} (perl) has a connection from it to inet:${portOf(peer)}@127.0.0.1`,
          mode,
        );
      },
    );

    test('a port of a connection that has ended a moment ago', onLinux, async (t) => {
      const peer = createServer((socket) =>
        socket
          .resume()
          .on('end', () => socket.end())
          .on('error', () => {}),
      );
      t.after(() => peer.close());
      await once(peer.listen(0, '127.0.0.1'), 'listening');
      const port = await freePort();
      const source = `use IO::Socket::INET;
        my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => ${port}, PeerAddr => '127.0.0.1',
          PeerPort => ${portOf(peer)}) or die $!;
        shutdown($s, 1); <$s>;`;
      const holder = spawn('/usr/bin/perl', ['-e', source], { stdio: 'inherit' });
      assert.deepEqual(await once(holder, 'exit'), [0, null]);
      const written = `inet:${port}@127.0.0.1`;
      const seen = `address in use: nobody listens there, but the system keeps a connection from it to inet:${portOf(peer)}@127.0.0.1 that has ended (TIME_WAIT)`;
      await refused(t, ['--listen', written], 75, `--listen ${written}: ${seen}`, mode);
    });

    test('a unix socket on which somebody listens: 75', async (t) => {
      const path = join(directory(t), 'milter.sock');
      await listening(t, { path });
      const seen = 'address in use: a program listens there, and does not answer as a milter';
      await refused(t, ['--listen', `unix:${path}`], 75, `--listen unix:${path}: ${seen}`, mode);
    });

    test('a unix socket in a directory that is not there yet: 75', async (t) => {
      const folder = join(directory(t), 'none');
      const path = join(folder, 'milter.sock');
      await refused(
        t,
        ['--listen', `unix:${path}`],
        75,
        `--listen unix:${path}: there is no directory ${folder} (install -d -o ${userInfo().username} ${folder})`,
        mode,
      );
    });

    test('a file that is no socket in its place: 78', async (t) => {
      const path = join(directory(t), 'milter.sock');
      writeFileSync(path, '');
      const seen = 'there is something that is not a socket, and it is left alone';
      await refused(t, ['--listen', `unix:${path}`], 78, `--listen unix:${path}: ${seen}`, mode);
    });

    test('another smtpf-milter: its process, and that it answers as a milter', onLinux, async (t) => {
      const path = join(directory(t), 'milter.sock');
      const first = start(t, ['--listen', 'inet:0@127.0.0.1', '--listen', `unix:${path}`], mode);
      const port = await first.port();
      await first.ready();
      await refused(
        t,
        ['--listen', `inet:${port}@127.0.0.1`],
        75,
        `--listen inet:${port}@127.0.0.1: address in use: process ${first.child.pid} (smtpf-milter) listens there, and answers as a milter`,
        mode,
      );
      const seen = `--listen unix:${path}: address in use: a milter answers there`;
      await refused(t, ['--listen', `unix:${path}`], 75, seen, mode);
      assert.equal(await first.stop(), 0);
      assert.doesNotMatch(first.stderr, /(error|warning) .*(negotiat|protocol)/);
    });
  });
}

test('IPv6: a program that listens on all addresses is seen', { skip: !hasIPv6() && 'no ::1' }, async (t) => {
  const port = portOf(await listening(t, { host: '::', port: 0 }));
  const seen = `address in use: process ${process.pid} \\(.+\\) listens at inet6:${port}@::`;
  await refused(t, ['--listen', `inet:${port}@127.0.0.1`], 75, new RegExp(`: ${seen}$`));
  await refused(t, ['--listen', `inet6:${port}@::1`], 75, new RegExp(`: ${seen}$`));
});

test('a port that is free again within a second is waited for', async (t) => {
  for (const workers of ['0', '1']) {
    // It gives up while this process, which holds the port, is held itself.
    await unheld(100, async () => {
      const server = await listening(t, { host: '127.0.0.1', port: await freePort() });
      const port = portOf(server);
      const milter = start(t, ['--listen', `inet:${port}@127.0.0.1`], { SMTPF_MILTER_WORKERS: workers });
      // Its first connection is none: it looks for who holds the port only when it has waited.
      setTimeout(() => server.close(), 600);
      assert.equal(await milter.port(), port);
      assert.equal(await milter.stop(), 0);
    });
  }
});

describe('as another user', { ...needsRoot, concurrency: 3 }, () => {
  /** A directory that this user owns, and every user may look into. */
  function owned(t: TestContext, uid: number, gid: number, mode: number): string {
    const folder = directory(t);
    chmodSync(folder, 0o755);
    const path = join(folder, 'of-user');
    mkdirSync(path);
    chownSync(path, uid, gid);
    chmodSync(path, mode);
    return path;
  }

  const away = { SMTPF_MILTER_CONTROL: 'none' };

  test('a holder that this user cannot see is not guessed at', onLinux, async (t) => {
    const port = portOf(await listening(t, { host: '127.0.0.1', port: 0 }));
    const variables = { ...away, SMTPF_MILTER_SPOOL: join(owned(t, NOBODY, NOBODY, 0o755), 'spool') };
    const milter = start(t, ['--listen', `inet:${port}@127.0.0.1`], variables, asUser(NOBODY, NOBODY));
    assert.equal(await milter.ended(), 75);
    const seen = 'address in use: a process that user nobody cannot see listens there';
    assert.equal(milter.stderr, `smtpf-milter: --listen inet:${port}@127.0.0.1: ${seen}\n`);
  });

  test('a directory that is closed to the user: 78', async (t) => {
    const folder = directory(t);
    chmodSync(folder, 0o755);
    const path = join(folder, 'milter.sock');
    const variables = { ...away, SMTPF_MILTER_SPOOL: join(owned(t, NOBODY, NOBODY, 0o755), 'spool') };
    const milter = start(t, ['--listen', `unix:${path}`], variables, asUser(NOBODY, NOBODY));
    assert.equal(await milter.ended(), 78);
    assert.equal(
      milter.stderr,
      `smtpf-milter: --listen unix:${path}: user nobody may not write to ${folder}\n`,
    );
  });

  test('a journal, or its key, that the user may not make: 78, and the file and the user are named', async (t) => {
    const closed = directory(t);
    chmodSync(closed, 0o755);
    const open = owned(t, NOBODY, NOBODY, 0o755);
    const variables = { ...away, SMTPF_MILTER_SPOOL: join(open, 'spool') };
    const redacted = ['--journal', join(open, 'journal'), '--journal-redact'];
    for (const [args, seen] of [
      [['--journal', join(closed, 'j')], `--journal ${closed}/j: permission denied to user nobody`],
      [
        [...redacted, '--journal-key', join(closed, 'k')],
        `--journal-key ${closed}/k: permission denied to user nobody`,
      ],
    ] as const) {
      const milter = start(t, [...LOOPBACK, ...args, '--user', 'nobody'], variables);
      assert.equal(await milter.ended(), 78);
      assert.equal(milter.stderr, `smtpf-milter: ${seen}\n`);
    }
    const gone = [...redacted, '--journal-key', join(open, 'none', 'k')];
    await refused(
      t,
      [...LOOPBACK, ...gone],
      75,
      `--journal-key ${open}/none/k: there is no directory ${open}/none`,
    );
  });

  test('a socket that the user may not connect to is left alone: 78', async (t) => {
    const folder = owned(t, NOBODY, NOBODY, 0o755);
    const path = join(folder, 'milter.sock');
    await listening(t, { path });
    chmodSync(path, 0o600);
    const variables = { ...away, SMTPF_MILTER_SPOOL: join(folder, 'spool') };
    const milter = start(t, ['--listen', `unix:${path}`], variables, asUser(NOBODY, NOBODY));
    assert.equal(await milter.ended(), 78);
    const seen = 'there is a socket that user nobody may not connect to, and it is left alone';
    assert.equal(milter.stderr, `smtpf-milter: --listen unix:${path}: ${seen}\n`);
    assert.ok(lstatSync(path).isSocket());
  });

  test('--socket-group that the user is not in: 78, named, with what to do', async (t) => {
    const folder = owned(t, NOBODY, NOBODY, 0o755);
    const path = join(folder, 'milter.sock');
    const variables = { ...away, SMTPF_MILTER_SPOOL: join(folder, 'spool') };
    const args = ['--listen', `unix:${path}`, '--socket-group'];
    const milter = start(t, [...args, 'mail'], variables, asUser(NOBODY, NOBODY));
    assert.equal(await milter.ended(), 78);
    const todo = 'usermod --append --groups mail nobody, or start as root with --user nobody';
    assert.equal(
      milter.stderr,
      `smtpf-milter: --listen unix:${path}: --socket-group mail: user nobody is no member of group mail: ${todo}\n`,
    );
    // A member, but of a process that began before it was one.
    const early = start(t, [...args, 'nogroup'], variables, asUser(NOBODY, groupId('daemon')));
    assert.equal(await early.ended(), 78);
    assert.match(
      early.stderr,
      /user nobody is a member of group nogroup, but this process was started without it/,
    );
  });

  test('--socket-group of a member, and of a directory that hands its group on, are taken', async (t) => {
    const mail = groupId('mail');
    for (const [groups, mode] of [
      [[mail], 0o755],
      [[], 0o2755],
    ] as const) {
      const folder = owned(t, NOBODY, mail, mode);
      const path = join(folder, 'milter.sock');
      const variables = { ...away, SMTPF_MILTER_SPOOL: join(folder, 'spool') };
      const args = ['--listen', `unix:${path}`, '--socket-group', 'mail'];
      const milter = start(t, args, variables, asUser(NOBODY, NOBODY, ...groups));
      await milter.ready();
      assert.deepEqual([lstatSync(path).gid, lstatSync(path).mode & 0o777], [mail, 0o660]);
      assert.match(milter.stdout, /^open to user nobody and group mail \(mode 0660\)$/m);
      assert.doesNotMatch(milter.stdout, /stays behind/);
      assert.equal(await milter.stop(), 0);
    }
  });

  test('without --socket-group the setgid directory decides the group', async (t) => {
    const folder = owned(t, NOBODY, groupId('mail'), 0o2755);
    const path = join(folder, 'milter.sock');
    const variables = { ...away, SMTPF_MILTER_SPOOL: join(folder, 'spool') };
    const milter = start(t, ['--listen', `unix:${path}`], variables, asUser(NOBODY, NOBODY));
    await milter.ready();
    assert.equal(lstatSync(path).gid, groupId('mail'));
    assert.equal(await milter.stop(), 0);
  });

  test(
    'a worker process that the machine has no room for is replaced when there is room',
    onLinux,
    async (t) => {
      const uid = 54_399; // Of nobody else: the limit counts all processes of the user.
      const folder = owned(t, uid, uid, 0o755);
      const variables = { ...away, SMTPF_MILTER_SPOOL: join(folder, 'spool'), SMTPF_MILTER_WORKERS: '1' };
      const milter = start(t, LOOPBACK, variables, asUser(uid, uid));
      await milter.ready();
      const supervisor = String(milter.child.pid);
      const [limiter = '', ...before] = [...asUser(uid, uid), '/usr/bin/prlimit', '--pid', supervisor];
      const limit = (processes: string) => execFileSync(limiter, [...before, `--nproc=${processes}:`]);
      const [worker] = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, 'utf8')
        .trim()
        .split(' ');
      limit('1');
      process.kill(Number(worker), 'SIGKILL');
      await milter.until('stderr', /error .*worker 1 cannot be run: EAGAIN; another is started in/);
      limit('1000');
      await milter.until('stderr', /worker 1 \(process \d+\) started/);
      assert.equal(await milter.stop(), 0);
    },
  );
});

describe('what else a start needs', { concurrency: 3 }, () => {
  test('a journal in a directory that is not there yet: 75; a file that is no journal: 78', async (t) => {
    const folder = directory(t);
    const journal = join(folder, 'none', 'journal');
    const seen = `--journal ${journal}: there is no directory ${folder}/none`;
    await refused(t, [...LOOPBACK, '--journal', journal], 75, seen);
    const file = join(folder, 'file');
    writeFileSync(file, 'precious');
    await refused(t, [...LOOPBACK, '--journal', file], 78, `--journal ${file}: is not a journal`);
  });

  test('a control socket that was asked for and cannot be had: 75', async (t) => {
    const path = join(directory(t), 'control');
    await listening(t, { path });
    const seen = 'address in use: a program listens there, and does not answer as a milter';
    await refused(t, [...LOOPBACK, '--control', path], 75, `--control ${path}: ${seen}`);
    const none = join(directory(t), 'none', 'control');
    await refused(t, [...LOOPBACK, '--control', none], 75, /there is no directory /);
  });

  test(
    'a user database that does not answer: 75; one that does not know the name: 78',
    needsRoot,
    async (t) => {
      const programs = directory(t);
      writeFileSync(join(programs, 'getent'), '#!/bin/sh\nkill -TERM $$\n', { mode: 0o755 });
      const path = { PATH: `${programs}:${process.env.PATH}` };
      const silent = 'getent passwd nobody: gives no answer: SIGTERM';
      await refused(t, [...LOOPBACK, '--user', 'nobody'], 75, silent, path);
      const unknown = '--user no-such-user: no such user';
      await refused(t, [...LOOPBACK, '--user', 'no-such-user'], 78, unknown);
    },
  );

  test('a full file system: 75', needsRoot, async (t) => {
    const folder = directory(t);
    const script = `mount -t tmpfs -o size=4k tmpfs ${folder} && head -c 5000 /dev/zero >${folder}/full 2>/dev/null
      exec "$0" "$@"`;
    const args = ['--mount', '--propagation', 'private', '/bin/sh', '-c', script, ...PROGRAM];
    const options = [
      ...LOOPBACK,
      '--journal',
      join(folder, 'journal'),
      '--spool',
      join(directory(t), 'spool'),
    ];
    const ended = spawnSync('/usr/bin/unshare', [...args, ...options], { encoding: 'utf8' });
    if (ended.stderr.startsWith('unshare:')) return t.skip('no namespaces here');
    assert.equal(ended.stderr, `smtpf-milter: --journal ${folder}/journal: no space left on the device\n`);
    assert.equal(ended.status, 75);
  });

  test('what is no regular file is not waited for: 78, named', async (t) => {
    const folder = directory(t);
    const fifo = join(folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const journal = ['--journal', join(folder, 'journal')];
    const config = join(folder, 'smtpf.json');
    writeFileSync(config, JSON.stringify({ listen: ['inet:0@127.0.0.1'], journal: fifo }));
    const reason = 'is a FIFO, not a regular file';
    for (const [args, message] of [
      [['--config', fifo], `--config ${fifo}: cannot be read: ${reason}`],
      [['--config', '/dev/zero'], '--config /dev/zero: cannot be read: is a device, not a regular file'],
      [['--config', config], `--journal ${fifo}: ${reason}`],
      [[...LOOPBACK, '--journal', fifo], `--journal ${fifo}: ${reason}`],
      [[...LOOPBACK, '--journal', folder], `--journal ${folder}: is a directory`],
      [[...LOOPBACK, '--journal', '/dev/null'], '--journal /dev/null: is a device, not a regular file'],
      [
        [...LOOPBACK, ...journal, '--journal-redact', '--journal-key', fifo],
        `journal key ${fifo}: cannot be read: ${reason}`,
      ],
      [[...LOOPBACK, '--spool', fifo], `--spool ${fifo}: is not a directory`],
      [
        [...LOOPBACK, '--control', fifo],
        `--control ${fifo}: there is something that is not a socket, and it is left alone`,
      ],
    ] as const) {
      await refused(t, args, 78, message);
    }
  });

  test('a script that is a FIFO is one that cannot be read', async (t) => {
    const fifo = join(directory(t), 'fifo');
    execFileSync('mkfifo', [fifo]);
    const milter = start(t, [...LOOPBACK, '--script', fifo]);
    await milter.ready();
    assert.match(milter.stderr, /error .*cannot read .*fifo: not a regular file/);
    assert.equal(await milter.stop(), 0);
  });

  test('a config file that is not there: 78, a wrong option: 64', async (t) => {
    const config = join(directory(t), 'none.json');
    const seen = `--config ${config}: cannot be read: no such file or directory`;
    await refused(t, ['--config', config], 78, seen);
    await refused(t, ['--listen', 'nowhere'], 64, /^--listen: "nowhere" must be /);
  });
});
