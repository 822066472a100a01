/** The running program: what it prints, how it ends, what signals do, whose rights it has. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { directory, type Running, run, start } from './program.ts';

const LOOPBACK = ['--listen', 'inet:0@127.0.0.1'];
const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'only root can become another user' };

/** Version 6, actions 0x1ff, protocol 0x1fffff: what Postfix and Sendmail offer. */
const OFFER = Buffer.from('0000000d4f00000006000001ff001fffff', 'hex');

function policy(t: TestContext, lua: string): string {
  const path = join(directory(t), 'policy.lua');
  writeFileSync(path, lua);
  return path;
}

async function connected(t: TestContext, where: string | number): Promise<Socket> {
  const socket = typeof where === 'string' ? connect(where) : connect(where, '127.0.0.1');
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** A connection on which the milter has answered. */
async function negotiated(t: TestContext, where: string | number): Promise<Socket> {
  const socket = await connected(t, where);
  socket.write(OFFER);
  const [answer] = await once(socket, 'data');
  assert.equal(answer.toString('latin1', 4, 5), 'O');
  return socket;
}

/** Whether the milter answers a new connection; false when it closes it. */
async function isServed(t: TestContext, port: number): Promise<boolean> {
  const socket = await connected(t, port);
  socket.write(OFFER);
  return new Promise((resolve) => {
    socket.once('data', () => resolve(true));
    socket.once('close', () => resolve(false));
    socket.on('error', () => {}); // A reset: the offer was not read.
  });
}

describe('start', { concurrency: 3 }, () => {
  test('a spool directory that cannot be made, or is no place for message files, is refused and left alone', async (t) => {
    const refused = async (spool: string, reason: string) => {
      const ended = await run([...LOOPBACK, '--spool', spool]);
      assert.deepEqual(ended, {
        code: 78,
        stdout: '',
        stderr: `smtpf-milter: --spool ${spool}: ${reason}\n`,
      });
    };
    await refused('/proc/smtpf-milter/spool', 'no such file or directory');
    const file = join(directory(t), 'file');
    writeFileSync(file, '');
    await refused(file, 'is not a directory');
    const shared = directory(t);
    chmodSync(shared, 0o755);
    writeFileSync(join(shared, 'of-others'), '');
    await refused(shared, 'is open to other users and holds other files: name a directory of its own');
    assert.equal(statSync(shared).mode & 0o777, 0o755);
  });

  test('a heap of workers is refused where there are none', async () => {
    assert.deepEqual(await run(['--workers', '0', '--heap-mb', '256']), {
      code: 78,
      stdout: '',
      stderr:
        'smtpf-milter: --heap-mb 256: there are no workers with --workers 0: give Node --max-old-space-size\n',
    });
  });

  test('warns of a callback that is no function', async (t) => {
    const lua = 'smtp.do_rcpt = setmetatable({}, { __call = function() end })\nsmtp.mail = "no"\n';
    const script = policy(t, lua);
    const milter = start(t, [...LOOPBACK, '--script', script]);
    await milter.ready();
    assert.match(milter.stdout, /smtp\.do_rcpt is a table and no function: it is never called/);
    assert.match(milter.stdout, /smtp\.mail is a string and no function: it is never called/);
  });

  test('prints addresses, the lines for both MTAs, the script with its hash, and its callbacks', async (t) => {
    const path = join(directory(t), 'milter.sock');
    const script = policy(t, 'function smtp.do_rcpt() end\nfunction smtp.connect() end\n');
    const milter = start(t, [...LOOPBACK, '--listen', `unix:${path}`, '--script', script]);
    const port = await milter.port();
    await milter.ready();
    const lines = milter.stdout.split('\n');
    for (const line of [
      `listening on inet:${port}@127.0.0.1`,
      `smtpd_milters = inet:127.0.0.1:${port}`,
      `INPUT_MAIL_FILTER(\`smtpf', \`S=inet:${port}@127.0.0.1, F=T, T=S:10s;R:10s;E:5m')`,
      `listening on unix:${path}`,
      `smtpd_milters = unix:${path}`,
      `INPUT_MAIL_FILTER(\`smtpf', \`S=unix:${path}, F=T, T=S:10s;R:10s;E:5m')`,
    ]) {
      assert.ok(lines.includes(line), `${line} not in ${milter.stdout}`);
    }
    assert.match(
      milter.stdout,
      new RegExp(`^script ${script} \\([0-9a-f]{12}\\), callbacks: connect do_rcpt$`, 'm'),
    );
    assert.equal(await milter.stop(), 0);
    assert.equal(existsSync(path), false);
  });

  test('a script that does not compile is one error line with file and line, and mail passes', async (t) => {
    const script = policy(t, '\nfunction smtp.do_rcpt(\n');
    const milter = start(t, [...LOOPBACK, '--script', script]);
    await milter.until(
      'stderr',
      /error .*script does not run, its callbacks are skipped: mail passes UNFILTERED \(--on-error continue\): \S+policy\.lua:\d+: /,
    );
    await milter.until(
      'stdout',
      /^script does not run: .*policy\.lua:\d+: .*\n.*mail passes UNFILTERED \(--on-error continue\)$/m,
    );
    await negotiated(t, await milter.port());
    assert.equal(await milter.stop(), 0);
    assert.equal(milter.stderr.match(/policy\.lua:\d+: /g)?.length, 1);
  });

  test('a script that is not there is an error that names it', async (t) => {
    const script = join(directory(t), 'none.lua');
    const milter = start(t, [...LOOPBACK, '--script', script]);
    await milter.until('stderr', /error .*UNFILTERED .*none\.lua: No such file or directory/);
    assert.equal(await milter.stop(), 0);
  });

  for (const workers of ['0', '2']) {
    const mode = { SMTPF_MILTER_WORKERS: workers, SMTPF_MILTER_SYSLOG: 'none' };
    test(`--on-bad-start exit, the default: 78 before anything is served, --workers ${workers}`, async (t) => {
      const folder = directory(t);
      for (const [source, reason] of [
        [undefined, 'cannot read \\S+bad\\.lua: No such file or directory'],
        ['function smtp.do_rcpt(\n', 'bad\\.lua:\\d+: .*expected.*'],
        ['\nerror("oops")\n', 'bad\\.lua:2: oops'],
      ] as const) {
        const script = join(folder, 'bad.lua');
        rmSync(script, { force: true });
        if (source !== undefined) writeFileSync(script, source);
        const args = [...LOOPBACK, '--script', script, '--spool', join(folder, 'spool')];
        const { code, stdout, stderr } = await run([...args, '--on-bad-start', 'exit'], mode);
        assert.deepEqual([code, stdout], [78, ''], stderr);
        const instead = 'then its callbacks are skipped: mail passes UNFILTERED \\(--on-error continue\\)';
        assert.match(
          stderr,
          new RegExp(
            `^smtpf-milter: --script ${script}: does not run: (?:\\S+/)?${reason} \\(--on-bad-start serve starts without it; ${instead}\\)\n$`,
          ),
        );
      }
    });

    test(`no connection is accepted before the script is found good, --workers ${workers}`, async (t) => {
      const folder = directory(t);
      const path = join(folder, 'sock');
      // The trial takes its time: what connects meanwhile is neither served nor answered.
      const script = policy(
        t,
        'local until_ = os.clock() + 0.3 while os.clock() < until_ do end error("late")',
      );
      const args = ['--listen', `unix:${path}`, '--script', script, '--on-bad-start', 'exit'];
      const milter = start(t, args, mode);
      let answered = '';
      let isOver = false;
      const probe = (async () => {
        while (!isOver) {
          const socket = connect(path);
          socket.on('data', (bytes) => {
            answered += bytes.toString('latin1');
          });
          socket.on('error', () => {});
          socket.write(OFFER);
          await new Promise((resolve) => setTimeout(resolve, 5));
          socket.destroy();
        }
      })();
      assert.equal(await milter.ended(), 78);
      isOver = true;
      await probe;
      assert.equal(answered, '');
    });
  }

  test('options come from the config file too', async (t) => {
    const config = join(directory(t), 'smtpf.json');
    writeFileSync(config, JSON.stringify({ listen: 'inet:0@127.0.0.1', script: policy(t, '') }));
    const milter = start(t, ['--config', config]);
    await milter.port();
    assert.equal(await milter.stop(), 0);
  });

  test('options come from the environment too', async (t) => {
    const milter = start(t, [], { SMTPF_MILTER_LISTEN: 'inet:0@127.0.0.1 inet6:0@::1' });
    await milter.port('inet');
    await milter.port('inet6');
    assert.equal(await milter.stop(), 0);
  });

  test('an address that is taken ends it with one line, and nothing listens', async (t) => {
    const folder = directory(t);
    const other = createServer().listen(join(folder, 'taken.sock'));
    await once(other, 'listening');
    t.after(() => other.close());
    const addresses = ['--listen', `unix:${folder}/free.sock`, '--listen', `unix:${folder}/taken.sock`];
    const ended = await run([...addresses, '--spool', join(folder, 'spool')]);
    assert.deepEqual(ended, {
      code: 75,
      stdout: '',
      stderr: `smtpf-milter: --listen unix:${folder}/taken.sock: address in use: a program listens there, and does not answer as a milter\n`,
    });
    assert.equal(existsSync(join(folder, 'free.sock')), false);
  });

  test('after a kill -9 the next start replaces the socket', async (t) => {
    const path = join(directory(t), 'milter.sock');
    const first = start(t, ['--listen', `unix:${path}`]);
    await first.until('stdout', /listening/);
    first.child.kill('SIGKILL');
    await first.ended();
    assert.ok(lstatSync(path).isSocket());
    const second = start(t, ['--listen', `unix:${path}`]);
    await second.until('stdout', /listening/);
    await negotiated(t, path);
    assert.equal(await second.stop(), 0);
  });

  test('1100 connections wait in the queue while the process stands still', async (t) => {
    const milter = start(t, LOOPBACK);
    const port = await milter.port();
    await milter.ready();
    milter.child.kill('SIGSTOP');
    await Promise.all(Array.from({ length: 1100 }, () => connected(t, port)));
    milter.child.kill('SIGCONT');
    await negotiated(t, port);
  });
});

describe('names the system does not know', { concurrency: 3 }, () => {
  for (const [option, value, message] of [
    ['--user', 'no-such-user', '--user no-such-user: no such user'],
    ['--group', 'no-such-group', '--group no-such-group: no such group'],
    ['--socket-group', 'no-such-group', '--socket-group no-such-group: no such group'],
    ['--user', '54321', '--user 54321: no user has this number, so --group must be given too'],
  ] as const) {
    test(`${option} ${value}`, async (t) => {
      const path = join(directory(t), 'milter.sock');
      const args = ['--listen', `unix:${path}`, '--spool', join(directory(t), 'spool'), option, value];
      assert.deepEqual(await run(args), { code: 78, stdout: '', stderr: `smtpf-milter: ${message}\n` });
      assert.equal(existsSync(path), false);
    });
  }
});

describe('the spool directory', { concurrency: 3 }, () => {
  test('is made with mode 0700, parents too', async (t) => {
    const spool = join(directory(t), 'a', 'b');
    const milter = start(t, [...LOOPBACK, '--spool', spool]);
    await milter.ready();
    assert.equal(statSync(spool).mode & 0o777, 0o700);
  });

  test('is closed to others when it was there', async (t) => {
    const spool = join(directory(t), 'spool');
    mkdirSync(spool, { mode: 0o755 });
    const milter = start(t, [...LOOPBACK, '--spool', spool]);
    await milter.ready();
    assert.equal(statSync(spool).mode & 0o777, 0o700);
  });

  for (const [name, make, message] of [
    ['a file', (path: string) => writeFileSync(path, ''), 'is not a directory'],
    ['a symbolic link', (path: string) => symlinkSync('/tmp', path), 'is not a directory'],
    [
      'a directory shared as /tmp is',
      (path: string) => {
        mkdirSync(path);
        chmodSync(path, 0o1777);
      },
      'is shared by all users: name a directory in it',
    ],
  ] as const) {
    test(`is refused when it is ${name}`, async (t) => {
      const spool = join(directory(t), 'spool');
      make(spool);
      const ended = await run([...LOOPBACK, '--spool', spool]);
      assert.deepEqual(ended, {
        code: 78,
        stdout: '',
        stderr: `smtpf-milter: --spool ${spool}: ${message}\n`,
      });
    });
  }
});

describe('signals', { concurrency: 3 }, () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal}: no new connections, the open one goes on until it ends, then exit code 0`, async (t) => {
      const path = join(directory(t), 'milter.sock');
      const milter = start(t, ['--listen', `unix:${path}`, '--grace', '30']);
      await milter.ready();
      const open = await connected(t, path);
      milter.child.kill(signal);
      await milter.until('stderr', new RegExp(`${signal}: stopping`));
      assert.equal(existsSync(path), false);
      open.write(OFFER);
      const [answer] = await once(open, 'data');
      assert.equal(answer.toString('latin1', 4, 5), 'O');
      open.destroy();
      assert.equal(await milter.ended(), 0);
    });
  }

  test('connections still open when --grace is over are ended', async (t) => {
    const milter = start(t, [...LOOPBACK, '--grace', '0.2']);
    const open = await negotiated(t, await milter.port());
    milter.child.kill('SIGTERM');
    await once(open, 'close');
    assert.equal(await milter.ended(), 0);
    assert.match(milter.stderr, /1 connections cut off/);
  });

  test('a second signal ends them at once', async (t) => {
    const milter = start(t, [...LOOPBACK, '--grace', '3600']);
    const open = await negotiated(t, await milter.port());
    milter.child.kill('SIGTERM');
    await milter.until('stderr', /stopping/);
    // One that comes at once is taken for the first: npm passes on what the terminal has sent already.
    const again = setInterval(() => milter.child.kill('SIGTERM'), 50);
    t.after(() => clearInterval(again));
    await once(open, 'close');
    assert.equal(await milter.ended(), 0);
  });

  test('a signal that comes during the start is obeyed', async (t) => {
    const milter = start(t, LOOPBACK);
    await milter.until('stdout', /listening/);
    assert.equal(await milter.stop(), 0);
  });

  test('SIGHUP looks at the script again and logs the result', async (t) => {
    const script = policy(t, 'function smtp.do_rcpt() end\n');
    const milter = start(t, [...LOOPBACK, '--script', script]);
    await milter.ready();
    writeFileSync(script, 'function smtp.do_mail() end\n');
    milter.child.kill('SIGHUP');
    await milter.until('stderr', /notice .*SIGHUP: script .*, callbacks: do_mail$/m);
    writeFileSync(script, 'function\n');
    milter.child.kill('SIGHUP');
    await milter.until('stderr', /error .*SIGHUP: .*UNFILTERED .*policy\.lua:\d+: /);
    assert.equal(await milter.stop(), 0);
  });

  test('a socket that another program has put in its place is left there', async (t) => {
    const path = join(directory(t), 'milter.sock');
    const milter = start(t, ['--listen', `unix:${path}`]);
    await milter.ready();
    rmSync(path);
    const other = createServer().listen(path);
    await once(other, 'listening');
    t.after(() => other.close());
    assert.equal(await milter.stop(), 0);
    assert.ok(lstatSync(path).isSocket());
  });
});

test('a bug of ours that nobody catches: logged with its stack, the socket removed, exit code 70', async (t) => {
  const path = join(directory(t), 'milter.sock');
  const planted = join(directory(t), 'planted.mjs');
  writeFileSync(planted, "process.on('SIGUSR2', () => { throw new Error('planted'); });\n");
  const milter = start(t, ['--listen', `unix:${path}`], { NODE_OPTIONS: `--import=${planted}` });
  await milter.ready();
  milter.child.kill('SIGUSR2');
  assert.equal(await milter.ended(), 70);
  assert.match(milter.stderr, /error .*internal error, ending: Error: planted.* at /);
  assert.equal(existsSync(path), false);
});

test('connections are accepted as handles, or as net.Sockets where those cannot be had', async (t) => {
  const planted = join(directory(t), 'planted.mjs');
  const watch = `import net from 'node:net';
    const { emit } = net.Server.prototype;
    net.Server.prototype.emit = function (event, ...values) {
      if (event === 'connection') process.stdout.write('a net.Socket\\n');
      return emit.call(this, event, ...values);
    };`;
  for (const [binding, sockets] of [
    ['', 0],
    [
      'const { binding } = process; process.binding = (name) => (name === "stream_wrap" ? {} : binding(name));',
      1,
    ],
  ] as const) {
    writeFileSync(planted, `${watch}\n${binding}\n`);
    const milter = start(t, LOOPBACK, {
      NODE_OPTIONS: `--import=${planted}`,
      SMTPF_MILTER_WORKERS: '0',
      SMTPF_MILTER_WARM_UP: '0',
    });
    assert.ok(await isServed(t, await milter.port()));
    assert.equal(await milter.stop(), 0);
    assert.equal(milter.stdout.match(/a net\.Socket/g)?.length ?? 0, sockets);
  }
});

describe('too much', { concurrency: 2 }, () => {
  test('connections above --max-connections are refused, the others go on', async (t) => {
    const milter = start(t, [...LOOPBACK, '--max-connections', '2']);
    const port = await milter.port();
    const first = await negotiated(t, port);
    await negotiated(t, port);
    assert.equal(await isServed(t, port), false);
    await milter.until('stderr', /warning .*connection refused: 2 are open already \(--max-connections\)/);
    first.destroy();
    // The place is free when the server has seen the end.
    while (!(await isServed(t, port)));
    assert.equal(milter.stderr.match(/connection refused/g)?.length, 1, 'one line for many refusals');
  });

  test('without descriptors left it lives, and serves again when there are some', async (t) => {
    // Loading the program's own files takes a good number at once.
    const milter = start(t, LOOPBACK, {}, ['/bin/sh', '-c', 'ulimit -n 250; exec "$0" "$@"']);
    const port = await milter.port();
    await milter.ready();
    const flood = await Promise.all(Array.from({ length: 400 }, () => connected(t, port)));
    for (const socket of flood) socket.on('error', () => {}).destroy();
    while (!(await isServed(t, port)));
    assert.equal(await milter.stop(), 0);
  });
});

/** `Uid:` or `Groups:` of a process, as numbers. */
function identity(milter: Running, field: string): number[] {
  const status = readFileSync(`/proc/${milter.child.pid}/status`, 'utf8');
  const line = new RegExp(`^${field}:(.*)$`, 'm').exec(status);
  return (line?.[1] ?? '').trim().split(/\s+/).filter(Boolean).map(Number);
}

/** Connects as another user. @returns `connected`, or the error's code. */
async function connectAs(uid: number, gid: number, path: string): Promise<string> {
  const source = `require('net').connect(${JSON.stringify(path)})
    .on('connect', function () { console.log('connected'); this.destroy(); })
    .on('error', (error) => console.log(error.code))`;
  const child = spawn(process.execPath, ['-e', source], {
    uid,
    gid,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  await once(child, 'close');
  return output.trim();
}

describe('privileges', needsRoot, () => {
  const nobody = 65534;

  test('it becomes the user for good once it listens, and its socket can be used as the options say', async (t) => {
    const folder = directory(t);
    chmodSync(folder, 0o755);
    const path = join(folder, 'milter.sock');
    const spool = join(folder, 'spool');
    const milter = start(t, [
      ...['--listen', `unix:${path}`, '--listen', 'inet:0@127.0.0.1', '--spool', spool],
      ...['--user', 'nobody', '--socket-group', 'mail', '--socket-mode', '0660'],
    ]);
    await milter.ready();
    assert.deepEqual(identity(milter, 'Uid'), [nobody, nobody, nobody, nobody]);
    assert.deepEqual(identity(milter, 'Gid'), [nobody, nobody, nobody, nobody]);
    assert.deepEqual(identity(milter, 'Groups'), [nobody]);
    assert.deepEqual(identity(milter, 'CapEff'), [0]);
    const socket = lstatSync(path);
    const mail = Number(/^mail:[^:]*:(\d+):/m.exec(readFileSync('/etc/group', 'utf8'))?.[1]);
    assert.deepEqual([socket.uid, socket.gid, socket.mode & 0o777], [nobody, mail, 0o660]);
    assert.deepEqual([statSync(spool).uid, statSync(spool).mode & 0o777], [nobody, 0o700]);
    assert.equal(await connectAs(nobody, nobody, path), 'connected');
    assert.equal(await connectAs(12345, mail, path), 'connected');
    assert.equal(await connectAs(12345, 12345, path), 'EACCES');
    await negotiated(t, path);
    assert.doesNotMatch(milter.stderr, /running as root/);
    assert.equal(await milter.stop(), 0);
    // The directory is root's, so the socket stays; the next start by root replaces it.
    const warning = `unix:${path} stays behind when the milter ends, and only a start by root replaces it: user nobody may not write to ${folder}`;
    assert.ok(milter.stdout.includes(`\nwarning: ${warning}`), milter.stdout);
    assert.ok(milter.stderr.includes(`warning smtpf-milter[${milter.child.pid}]: ${warning}`), milter.stderr);
    assert.match(milter.stderr, /warning .*milter\.sock: cannot be removed: permission denied/);
    const again = start(t, ['--listen', `unix:${path}`]);
    await again.ready();
    assert.equal(await again.stop(), 0);
  });

  test('--group alone changes the group', async (t) => {
    const milter = start(t, [...LOOPBACK, '--group', 'mail']);
    await milter.ready();
    assert.deepEqual(identity(milter, 'Uid'), [0, 0, 0, 0]);
    assert.equal(new Set(identity(milter, 'Gid')).size, 1);
    assert.notEqual(identity(milter, 'Gid')[0], 0);
    await milter.until('stderr', /running as root: choose another user with --user/);
  });

  test('a user may be a number that nobody has, with a group', async (t) => {
    const folder = directory(t);
    chmodSync(folder, 0o755);
    const spool = join(folder, 'spool');
    const milter = start(t, [...LOOPBACK, '--user', '54321', '--group', '54322', '--spool', spool]);
    await milter.ready();
    assert.deepEqual(identity(milter, 'Uid'), [54321, 54321, 54321, 54321]);
    assert.deepEqual(identity(milter, 'Groups'), [54322]);
  });

  test('an empty spool directory that root has made goes to the user, one in use does not', async (t) => {
    const folder = directory(t);
    chmodSync(folder, 0o755);
    const spool = join(folder, 'spool');
    mkdirSync(spool);
    const milter = start(t, [...LOOPBACK, '--spool', spool, '--user', 'nobody']);
    await milter.ready();
    assert.equal(statSync(spool).uid, nobody);
    const used = join(folder, 'used');
    mkdirSync(used);
    writeFileSync(join(used, 'file'), '');
    const ended = await run([...LOOPBACK, '--spool', used, '--user', 'nobody']);
    const message = `--spool ${used}: belongs to uid 0, and the milter runs as uid ${nobody}`;
    assert.deepEqual(ended, { code: 78, stdout: '', stderr: `smtpf-milter: ${message}\n` });
  });

  test('a spool directory that the user cannot reach is refused, and the socket is taken away', async (t) => {
    const folder = directory(t);
    const path = join(folder, 'milter.sock');
    const spool = join(folder, 'closed', 'spool');
    const milter = start(t, ['--listen', `unix:${path}`, '--spool', spool, '--user', 'nobody']);
    assert.equal(await milter.ended(), 78);
    assert.equal(
      milter.stderr,
      `smtpf-milter: --spool ${spool}: cannot be used by uid ${nobody}: permission denied\n`,
    );
    assert.equal(milter.stdout, '');
  });

  test('who is not root cannot become another', async (t) => {
    const asNobody = ['/usr/bin/setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const milter = start(t, [...LOOPBACK, '--user', 'root'], {}, asNobody);
    assert.equal(await milter.ended(), 78);
    assert.equal(
      milter.stderr,
      'smtpf-milter: --user root: only root can become another user, and this is uid 65534\n',
    );
  });
});

describe('check', { concurrency: 3 }, () => {
  test('lists the callbacks of a right script', async (t) => {
    const script = policy(t, 'function smtp.do_rcpt() end\nsmtp.close = function() end\n');
    const { code, stdout } = await run(['check', script]);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: `${script}: callbacks: do_rcpt close\n` });
  });

  test('says file, line and message of what does not compile', async (t) => {
    const script = policy(t, 'local a = 1\nlocal b = = 2\n');
    const { code, stdout } = await run(['check', script]);
    assert.deepEqual({ code, stdout }, { code: 1, stdout: `${script}:2: unexpected symbol near '='\n` });
  });

  test('says file, line and message of what fails in the main chunk', async (t) => {
    const script = policy(t, '\nerror("no list")\n');
    const { code, stdout } = await run(['check', script]);
    assert.deepEqual({ code, stdout }, { code: 1, stdout: `${script}:2: no list\n` });
  });

  test('warns of a callback in both spellings', async (t) => {
    const script = policy(t, 'function smtp.do_rcpt() end\nfunction smtp.rcpt() end\n');
    const { code, stdout } = await run(['check', script]);
    assert.equal(code, 0);
    assert.match(stdout, /both smtp\.do_rcpt and smtp\.rcpt are defined/);
  });
});
