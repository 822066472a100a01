/**
 * `npm run package:test`: the Debian package in roots of their own, as root.
 *
 *     npm run package:test -- --quick FILE.deb    unpacked beside a C library and a shell alone: no Node.js is there
 *     npm run package:test                        in a Debian that is booted: install, Postfix, upgrade and rollback
 *                                                 under traffic, watchdog, purge; a package is built for it, and
 *                                                 made once more under a newer version
 *     npm run package:test -- OLD.deb [NEW.deb]   with these
 *     npm run package:test -- --keep DIR          with the minimal Debian of an earlier run, or kept there for the next
 *
 * The long one needs mmdebstrap and systemd-container (systemd-nspawn), and a Debian mirror for its first run.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HERE = dirname(fileURLToPath(import.meta.url));
const CONFIG = '/etc/smtpf-milter/config.json';
const SOCKET = '/var/spool/postfix/smtpf/milter.sock';
const BOOT_MS = 120_000;
const WAIT_MS = 120_000;
/** Of traffic that is ended when what happens beside it is over. */
const LONGEST_S = 600;

function out(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', ...options });
  return { status, text: `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}` };
}

function must(command, args, options) {
  const { status, text } = out(command, args, options);
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${text}`);
  return text;
}

// The quick one.

const HELD = [
  '/usr/bin/smtpf-milter',
  '/usr/lib/smtpf-milter/dist/main.js',
  '/usr/lib/smtpf-milter/node_modules/fengari/package.json',
  '/lib/systemd/system/smtpf-milter.service',
  '/lib/systemd/system/smtpf-milter.socket',
  '/usr/lib/sysusers.d/smtpf-milter.conf',
  '/usr/lib/tmpfiles.d/smtpf-milter.conf',
  '/usr/share/man/man8/smtpf-milter.8.gz',
  '/usr/share/man/man3/smtpf-milter-lua.3.gz',
  '/usr/share/man/man5/smtpf-milter.json.5.gz',
  '/usr/share/bash-completion/completions/smtpf-milter',
  '/usr/share/zsh/vendor-completions/_smtpf-milter',
  '/usr/share/fish/vendor_completions.d/smtpf-milter.fish',
  '/usr/share/doc/smtpf-milter/changelog.gz',
  '/usr/share/doc/smtpf-milter/examples/greylist.lua',
];
const CONFFILES = ['/etc/mail/smtpf.lua', '/etc/smtpf-milter/config.json'];

async function quick(work, deb) {
  assert.ok(existsSync(deb), 'the package must be named: npm run package:test -- --quick FILE.deb');
  const root = join(work, 'root');
  must('dpkg-deb', ['--extract', deb, root]);
  must('dpkg-deb', ['--control', deb, join(work, 'control')]);
  const conffiles = readFileSync(join(work, 'control', 'conffiles'), 'utf8')
    .split('\n')
    .filter(Boolean);
  assert.deepEqual(conffiles.sort(), CONFFILES);
  for (const path of [...HELD, ...CONFFILES]) assert.ok(existsSync(join(root, path)), path);
  // A C library, a shell, and what the packaged Node.js is linked with.
  const node = join(root, '/usr/lib/smtpf-milter/node');
  for (const binary of ['/bin/sh', node]) {
    for (const [, path] of must('ldd', [binary]).matchAll(/(\/\S+) \(0x/g)) {
      mkdirSync(join(root, dirname(path)), { recursive: true });
      copyFileSync(realpathSync(path), join(root, path));
    }
  }
  mkdirSync(join(root, 'bin'), { recursive: true });
  for (const name of ['run', 'tmp', 'var/lib/smtpf-milter', 'dev', 'proc'])
    mkdirSync(join(root, name), { recursive: true });
  copyFileSync('/bin/sh', join(root, 'bin/sh'));
  must('mknod', ['-m', '666', join(root, 'dev/null'), 'c', '1', '3']);
  must('mount', ['-t', 'proc', 'proc', join(root, 'proc')]);
  process.prependListener('exit', () => out('umount', ['--lazy', join(root, 'proc')]));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n');
  const inside = (...args) => out('chroot', [root, ...args], { env: { PATH: '/usr/sbin:/usr/bin:/bin' } });
  assert.equal(inside('/bin/sh', '-c', '[ -z "$(command -v node)$(command -v nodejs)" ]').status, 0);
  const { version } = JSON.parse(readFileSync(join(root, '/usr/lib/smtpf-milter/package.json'), 'utf8'));
  assert.deepEqual(inside('smtpf-milter', '--version'), { status: 0, text: `${version}\n` });
  const config = ['--config', '/etc/smtpf-milter/config.json'];
  const checked = inside('smtpf-milter', 'check', ...config, '/etc/mail/smtpf.lua');
  assert.deepEqual(checked, { status: 0, text: '/etc/mail/smtpf.lua: callbacks: do_rcpt\n' });
  const tried = inside('smtpf-milter', 'try', '/etc/mail/smtpf.lua');
  assert.equal(tried.status, 0, tried.text);
  // It serves, with workers, a store in a file and native modules.
  const args = [
    'smtpf-milter',
    ...config,
    '--listen',
    'unix:/run/milter.sock',
    '--syslog',
    'stderr',
    '--warm-up',
    '0',
  ];
  const server = spawn('chroot', [root, ...args], { env: { PATH: '/usr/sbin:/usr/bin:/bin' } });
  let said = '';
  for (const stream of [server.stdout, server.stderr])
    stream.on('data', (bytes) => {
      said += bytes;
    });
  try {
    await until(
      () => existsSync(join(root, 'run/milter.sock')) && /callbacks: do_rcpt/.test(said),
      () => said,
    );
    const status = inside('smtpf-milter', 'status', ...config);
    assert.equal(status.status, 0, status.text);
    assert.match(status.text, /lmdb/, status.text);
  } finally {
    server.kill('SIGTERM');
  }
  await new Promise((resolve) => server.once('exit', resolve));
  assert.equal(server.exitCode, 0, said);
  const megabytes = (bytes) => `${(bytes / 1048576).toFixed(1)} MB`;
  console.log(`${basename(deb)}: ${megabytes(statSync(deb).size)}, runs without a Node.js`);
}

async function until(holds, why, milliseconds = WAIT_MS) {
  const end = performance.now() + milliseconds;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`in ${milliseconds} ms not: ${why()}`);
    await pause(100);
  }
}

// The long one.

/** What is in the minimal Debian besides: Postfix is attached, a mail program is not needed. */
const PACKAGES = ['systemd', 'systemd-sysv', 'postfix', 'procps'];

function build(work) {
  const args = [join(HERE, '..', 'package-deb.mjs'), '--out', work];
  // Its path alone is on standard output.
  const { status, stdout } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  assert.equal(status, 0, 'no package could be built');
  return stdout.trim();
}

/** The same program under a newer version: what dpkg and the scripts of the package do is what is looked at. */
function newer(work, deb) {
  const unpacked = join(work, 'newer');
  must('dpkg-deb', ['--raw-extract', deb, unpacked]);
  const control = join(unpacked, 'DEBIAN', 'control');
  writeFileSync(control, readFileSync(control, 'utf8').replace(/^Version: .*$/m, '$&+next'));
  must('dpkg-deb', ['--build', '--root-owner-group', '-Zxz', '-z1', unpacked, work]);
  rmSync(unpacked, { recursive: true });
  return join(work, basename(deb).replace(/_([^_]*)_/, '_$1+next_'));
}

async function long(work, keep, given) {
  const began = performance.now();
  const step = (text) =>
    console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
  const old = given[0] ?? build(work);
  const next = given[1] ?? newer(work, old);
  step(`packages ${basename(old)} and ${basename(next)}`);

  const minimal = keep ?? join(work, 'minimal');
  if (!existsSync(join(minimal, 'etc'))) {
    const release = /VERSION_CODENAME=(\w+)/.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'bookworm';
    must('mmdebstrap', ['--variant=minbase', `--include=${PACKAGES.join(',')}`, release, minimal], {
      stdio: 'pipe',
    });
    step('a minimal Debian');
  }
  const root = join(work, 'root');
  must('cp', ['-a', minimal, root]);
  for (const deb of [old, next]) copyFileSync(deb, join(root, 'root', basename(deb)));
  cpSync(join(root, '/usr/share/postfix/main.cf.debian'), join(root, '/etc/postfix/main.cf'));

  const container = spawn(
    'systemd-nspawn',
    ['--quiet', '--register=no', '--keep-unit', '--private-network', '--directory', root, '--boot'],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let console_ = '';
  container.stdout.on('data', (bytes) => {
    console_ += bytes;
  });
  let pid;
  process.prependListener('exit', () => {
    container.kill('SIGKILL');
    // All of it ends with its init.
    if (pid !== undefined) spawnSync('kill', ['-KILL', pid]);
  });
  await until(
    () => {
      pid ??= childOf(container.pid);
      return pid !== undefined && inside('systemctl', 'is-system-running').text.match(/running|degraded/);
    },
    () => console_,
    BOOT_MS,
  );
  function inside(...args) {
    return out(
      'nsenter',
      [
        '--target',
        String(pid),
        '--mount',
        '--uts',
        '--ipc',
        '--net',
        '--pid',
        '--cgroup',
        '--root',
        '--wd',
        ...args,
      ],
      {
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
      },
    );
  }
  const ok = (...args) => {
    const { status, text } = inside(...args);
    assert.equal(
      status,
      0,
      `${args.join(' ')}: ${text}\n${inside('journalctl', '-n', '40', '--no-pager').text}`,
    );
    return text.trim();
  };
  const sh = (text) => ok('sh', '-c', text);
  const dropIn = (lines) =>
    sh(
      `mkdir -p /run/systemd/system/smtpf-milter.service.d; printf '${lines}\\n' > /run/systemd/system/smtpf-milter.service.d/test.conf; systemctl daemon-reload`,
    );
  const property = (name) => ok('systemctl', 'show', '--value', '--property', name, 'smtpf-milter.service');
  step('booted');

  assert.equal(
    inside('sh', '-c', '[ -z "$(command -v node)$(command -v nodejs)" ]').status,
    0,
    'a Node.js is there',
  );
  ok('dpkg', '--install', `/root/${basename(old)}`);
  assert.equal(property('ActiveState'), 'active', ok('journalctl', '-n', '40', '--no-pager'));
  assert.match(property('StatusText'), /callbacks: do_rcpt/);
  assert.equal(ok('stat', '-c', '%U:%G %a', '/etc/smtpf-milter/config.json'), 'root:smtpf 640');
  assert.equal(ok('stat', '-c', '%U:%G %a', '/var/spool/postfix/smtpf'), 'smtpf:postfix 2750');
  const security = ok('systemd-analyze', 'security', '--no-pager', 'smtpf-milter.service').split('\n').at(-1);
  const exposure = Number(/([\d.]+) (?:OK|SAFE|MEDIUM|UNSAFE)/.exec(security)?.[1]);
  assert.ok(exposure <= 2, security);
  step(`installed, active; systemd-analyze security: ${exposure}`);

  // As docs/tutorial.md has it: a policy, a unix socket, Postfix.
  sh(`cat > /etc/mail/smtpf.lua <<'END'
function smtp.do_rcpt(recipient)
  if recipient == "refused@example.com" then return 550, "5.7.1 members only" end
end
END`);
  sh(`cat > ${CONFIG} <<'END'
{ "listen": ["unix:${SOCKET}"], "on-error": "tempfail", "on-bad-script": "last-good", "on-reload": "check" }
END`);
  ok('systemctl', 'restart', 'smtpf-milter');
  assert.equal(ok('stat', '-c', '%U:%G %a', SOCKET), 'smtpf:postfix 660');
  for (const line of [
    'smtpd_milters = unix:smtpf/milter.sock',
    'milter_default_action = tempfail',
    'myhostname = mx.example.com',
    'mydestination = example.com',
    'local_recipient_maps =',
    'local_transport = discard:',
    'inet_interfaces = loopback-only',
    'compatibility_level = 3.6',
  ])
    ok('postconf', '-e', line);
  ok('systemctl', 'restart', 'postfix');
  /** @param refused what a recipient gets whom the policy refuses */
  const send = (seconds, refused = '550') => {
    const args = [
      '--target',
      String(pid),
      '--net',
      process.execPath,
      join(HERE, 'traffic.mjs'),
      String(seconds),
      refused,
    ];
    return spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  };
  const first = await totals(send(2));
  assert.ok(first.sessions > 0 && first.wrong.length === 0, JSON.stringify(first));
  step(`Postfix over ${SOCKET}: ${first.sessions} sessions, each with the answers of the policy`);

  // A reload that fails keeps the policy, and says so.
  sh(
    `cp /etc/mail/smtpf.lua /root/good.lua; echo 'smtp.do_rcpt = ' > /etc/mail/smtpf.lua; systemctl reload smtpf-milter`,
  );
  await until(
    () => /last good version/.test(property('StatusText')),
    () => property('StatusText'),
  );
  assert.equal((await totals(send(1))).wrong.length, 0);
  ok('cp', '/root/good.lua', '/etc/mail/smtpf.lua');
  ok('systemctl', 'reload', 'smtpf-milter');
  step('a broken policy: the last good version serves, and systemctl status says so');

  // A start with it fails, once: systemd does not try again what only a person can mend.
  const failsToStart = (reason) => {
    assert.notEqual(inside('systemctl', 'restart', 'smtpf-milter').status, 0);
    assert.deepEqual([property('ActiveState'), property('ExecMainStatus')], ['failed', '78']);
    assert.match(inside('systemctl', 'status', '--no-pager', 'smtpf-milter').text, reason);
  };
  const doctor = () => inside('smtpf-milter', 'doctor', '--config', CONFIG).text;
  const starts = () => {
    ok('systemctl', 'start', 'smtpf-milter');
    assert.equal(property('ActiveState'), 'active');
  };
  sh(`echo 'smtp.do_rcpt = ' > /etc/mail/smtpf.lua`);
  failsToStart(/smtpf\.lua:\d+: unexpected symbol/);
  for (const id of ['server-down', 'policy-broken'])
    assert.match(doctor(), new RegExp(`^error {3}${id}: `, 'm'));
  sh(`{ cat /root/good.lua; echo 'function smtp.do_rcptt() end'; } > /etc/mail/smtpf.lua`);
  failsToStart(/smtpf\.lua:\d+:\d+: /);
  ok('cp', '/root/good.lua', '/etc/mail/smtpf.lua');
  starts();
  sh(`cp -p ${CONFIG} /root/config.json; echo '{ "listen": ' > ${CONFIG}`);
  failsToStart(/config\.json: is not JSON/);
  // As an editor leaves it that writes a new file.
  sh(`rm ${CONFIG}; install -m 0600 /root/config.json ${CONFIG}`);
  failsToStart(/config\.json: cannot be read: permission denied/);
  const [, ...mends] = doctor()
    .match(/^error {3}config-unreadable: .*?\n\n/ms)[0]
    .split('    mend: ');
  for (const line of mends) sh(line.trim());
  starts();
  assert.match(doctor(), /nothing wrong was found/);
  step('a start with a broken policy, or config file, fails once, and doctor names the line that mends it');

  // An upgrade is a start, and says when it has failed; also to the same version.
  sh(`echo 'smtp.do_rcpt = ' > /etc/mail/smtpf.lua`);
  assert.match(
    ok('dpkg', '--install', `/root/${basename(old)}`),
    /the service does not start, and mail is not filtered/,
  );
  assert.equal(property('ActiveState'), 'failed');
  ok('cp', '/root/good.lua', '/etc/mail/smtpf.lua');
  ok('systemctl', 'start', 'smtpf-milter');
  step('upgrade with a broken policy: it says that the service does not start');

  // Socket activation: systemd keeps the socket.
  ok('systemctl', 'stop', 'smtpf-milter');
  sh(`sed -i 's,"unix:[^"]*","fd:smtpf-milter.socket",' /etc/smtpf-milter/config.json`);
  ok('systemctl', 'enable', '--now', 'smtpf-milter.socket');
  ok('systemctl', 'start', 'smtpf-milter');
  assert.equal(property('ActiveState'), 'active');
  assert.equal(ok('stat', '-c', '%U:%G %a', SOCKET), 'smtpf:postfix 660');
  for (const [name, deb] of [
    ['upgrade', next],
    ['rollback', old],
  ]) {
    const client = send(LONGEST_S);
    const result = totals(client);
    await pause(2000);
    const before = property('MainPID');
    const at = performance.now();
    ok('dpkg', '--install', `/root/${basename(deb)}`);
    const took = (performance.now() - at) / 1000;
    assert.notEqual(property('MainPID'), before, 'it was not started anew');
    assert.equal(property('ActiveState'), 'active');
    assert.match(ok('cat', '/etc/mail/smtpf.lua'), /members only/, 'a conffile is lost');
    // Sessions of the new process too.
    await pause(2000);
    client.stdin.end();
    const { sessions, wrong, longest } = await result;
    assert.deepEqual(wrong, [], `of ${sessions} sessions`);
    step(
      `${name} under traffic in ${took.toFixed(1)} s: ${sessions} sessions, none wrong, the longest ${longest} ms`,
    );
  }

  // A connection that waits for a policy that is refused begins a start, and another: not without end. A slow machine
  // does not come to the unit's own limit.
  ok('systemctl', 'stop', 'smtpf-milter.service');
  dropIn('[Unit]\\nStartLimitIntervalSec=600\\nStartLimitBurst=3');
  sh(`echo 'smtp.do_rcpt = ' > /etc/mail/smtpf.lua`);
  const waiting = totals(send(1));
  const ofSocket = () => ok('systemctl', 'show', '--value', '--property=Result', 'smtpf-milter.socket');
  await until(() => ofSocket() === 'service-start-limit-hit', ofSocket);
  assert.equal(property('ActiveState'), 'failed');
  assert.ok((await waiting).wrong.every((replies) => /451|timeout|ECONNRESET/.test(replies)));
  ok('cp', '/root/good.lua', '/etc/mail/smtpf.lua');
  ok('systemctl', 'reset-failed', 'smtpf-milter.service');
  ok('systemctl', 'start', 'smtpf-milter.socket', 'smtpf-milter.service');
  assert.equal((await totals(send(1))).wrong.length, 0);
  step('socket activation with a broken policy: starts have an end, and begin again by hand');

  // A supervisor that stands still is replaced.
  dropIn('[Service]\\nWatchdogSec=3');
  ok('systemctl', 'restart', 'smtpf-milter');
  const stuck = property('MainPID');
  ok('kill', '-STOP', stuck);
  await until(
    () => property('ActiveState') === 'active' && !['0', stuck].includes(property('MainPID')),
    () => property('Result'),
  );
  assert.equal((await totals(send(1))).wrong.length, 0);
  step('watchdog: a supervisor that stood still was replaced, and mail is filtered');

  // What Postfix is told is left to its administrator, who is told the line.
  const mainCf = () => ok('cat', '/etc/postfix/main.cf');
  ok(
    'postconf',
    '-P',
    '-e',
    'smtp/inet/smtpd_milters=inet:127.0.0.1:1,unix:smtpf/milter.sock,inet:127.0.0.1:2',
  );
  const asked = mainCf();
  const removed = ok('dpkg', '--remove', 'smtpf-milter');
  assert.match(ok('cat', '/etc/mail/smtpf.lua'), /members only/);
  const purged = ok('dpkg', '--purge', 'smtpf-milter');
  assert.equal(mainCf(), asked);
  for (const said of [removed, purged])
    assert.match(
      said,
      /To take it out, as root:\n {2}postconf -X smtpd_milters\n {2}postconf -P -e 'smtp\/inet\/smtpd_milters=inet:127\.0\.0\.1:1,inet:127\.0\.0\.1:2'\n {2}postfix reload$/m,
    );
  for (const [line] of purged.matchAll(/(?<=^ {2})(postconf|postfix) .*/gm)) sh(line);
  // Nobody is at those two.
  ok('postconf', '-PX', 'smtp/inet/smtpd_milters');
  ok('postfix', 'reload');
  const last = await totals(send(1, '250'));
  assert.ok(last.sessions > 0 && last.wrong.length === 0, JSON.stringify(last));
  step('removed: Postfix is told by whoever runs it to do without, by the lines that were said');
  const left = sh(
    `find / -xdev \\( -path /proc -o -path /sys -o -path /root \\) -prune -o \\( -name '*smtpf*' -print \\) | grep -v '^/var/log/' || true`,
  )
    .split('\n')
    .filter((line) => line !== '');
  assert.deepEqual(left, []);
  step('purged: nothing is left');
  container.kill('SIGTERM');
  await Promise.race([new Promise((resolve) => container.once('exit', resolve)), pause(20_000)]);
}

/** The init of a container: the only child of systemd-nspawn that is process 1 of its namespace. */
function childOf(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return children.find((child) => /^NSpid:\t\d+\t1$/m.test(readFileSync(`/proc/${child}/status`, 'utf8')));
}

async function totals(child) {
  let text = '';
  child.stdout.on('data', (bytes) => {
    text += bytes;
  });
  await new Promise((resolve) => child.once('close', resolve));
  return JSON.parse(text);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    keep: { type: 'string' },
  },
});
if (process.getuid?.() !== 0) throw new Error('package:test: only root can make such roots');
const work = mkdtempSync(join(tmpdir(), 'smtpf-milter-package-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true, maxRetries: 20 }));
if (values.quick) await quick(work, positionals[0] ?? '');
else await long(work, values.keep, positionals);
console.log('package:test: all is well');
