/** Runs in a room: the README's recipes for Postfix, with smtpd and cleanup in a chroot and without. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { until } from '../deadline.ts';
import { run } from '../mail-server.ts';
import { blocks, code, readme, section } from './documents.ts';
import { expectPolicy, Milter, setting, settle, shell } from './machine.ts';

const chapter = section(readme(), 'Attaching Postfix');
const [tcp, directory, unix, ...others] = blocks(chapter).map(({ text }) => text);
assert.deepEqual(others, [], 'every recipe is tried');
assert.ok(tcp && directory && unix);
const listen = code(chapter, '--listen ').split(' ');
const socket = listen[1]?.replace('unix:', '') ?? '';

const LOG = '/var/log/postfix.log';
const log = () => (existsSync(LOG) ? readFileSync(LOG, 'latin1') : '');

/** What a Debian system has, but for mail that goes nowhere. */
const MAIN_CF = `
compatibility_level = 3.6
myhostname = mta.test
mydestination = example.com
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
local_recipient_maps =
local_transport = discard:
default_transport = discard:
alias_maps =
smtpd_peername_lookup = no
maillog_file = ${LOG}
`;

settle();
shell('install -d -o postfix /var/lib/postfix');
const masterCf = readFileSync('/usr/share/postfix/master.cf.dist', 'latin1');

/** Tries settings of main.cf with and without chroot. */
async function tryWith(settings: string, milter: Milter): Promise<void> {
  for (const chroot of ['y', 'n']) {
    rmSync(LOG, { force: true });
    // The fifth column of the services that talk to milters.
    const service = /^(smtp +inet|cleanup +unix)( +\S+ +\S+ +)\S+/gm;
    const services = masterCf.replace(service, `$1$2${chroot}`);
    assert.equal(
      services.match(new RegExp(`^(smtp +inet|cleanup +unix) +\\S+ +\\S+ +${chroot} `, 'gm'))?.length,
      2,
    );
    writeFileSync('/etc/postfix/master.cf', services);
    writeFileSync('/etc/postfix/main.cf', `${MAIN_CF}${settings}\n`);
    assert.equal(run('/usr/sbin/postfix', ['check']), '');
    run('/usr/sbin/postfix', ['start']);
    try {
      await expectPolicy(log);
      if (settings.includes('non_smtpd_milters')) await submit(milter);
      assert.doesNotMatch(log(), /warning: (connect to Milter|milter )/);
    } finally {
      run('/usr/sbin/postfix', ['stop']);
    }
    const complaints = log().match(/postfix-script.*(not owned|group or other|warning).*/);
    assert.equal(complaints?.[0], undefined);
  }
}

/** Mail of a local user comes to the milter by way of cleanup. */
async function submit(milter: Milter): Promise<void> {
  const mark = `local${Math.random().toString(36).slice(2)}@example.com`;
  execFileSync('/usr/sbin/sendmail', ['-f', 'a@src.test', mark], { input: 'Subject: local\n\nHello\n' });
  await until(
    () => (milter.stderr.includes(mark) ? true : undefined),
    () => `the milter sees local mail: ${milter.stderr}\n${log()}`,
  );
}

/** What the milter says at its start is what the README says. */
function expectAnnounced(settings: string, milter: Milter): void {
  assert.equal(milter.announced('For Postfix, in main.cf:'), settings.split('\n')[0]);
}

function non(setting: string): string {
  return setting.replace(/^smtpd_milters/m, 'non_smtpd_milters').split('\n')[0] ?? '';
}

test('TCP', async () => {
  const milter = await Milter.ofUnit();
  assert.equal(code(chapter, 'non_smtpd_milters'), non(tcp));
  expectAnnounced(tcp, milter);
  await tryWith(`${tcp}${code(chapter, 'non_smtpd_milters')}`, milter);
  await milter.stop();
});

test('the milter is down: what milter_default_action says', async () => {
  writeFileSync('/etc/postfix/main.cf', `${MAIN_CF}${tcp}`);
  run('/usr/sbin/postfix', ['start']);
  await expectPolicy(log, true);
  run('/usr/sbin/postfix', ['stop']);
});

test('a unix socket in a directory that hands its group on', async () => {
  shell(directory);
  const milter = await Milter.ofUnit(...listen);
  assert.match(milter.stdout, /^open to user smtpf and group postfix \(mode 0660\)$/m);
  expectAnnounced(unix, milter);
  await tryWith(`${unix}${non(unix)}`, milter);
  run('/usr/sbin/postfix', ['set-permissions']);
  const { uid, mode } = lstatSync(dirname(socket));
  assert.deepEqual([uid, mode & 0o7777], [Number(run('/usr/bin/id', ['-u', 'smtpf'])), 0o2750]);
  await milter.stop();
  assert.equal(existsSync(socket), false);
});

test('--socket-group, started by root', async () => {
  rmSync(dirname(socket), { recursive: true, force: true });
  shell(`install -d -o smtpf -m 0755 ${dirname(socket)}`);
  const group = code(chapter, '--socket-group ').split(' ');
  const user = code(chapter, '--user ').split(' ');
  const milter = await Milter.start([...setting('ExecStart').split(' '), ...listen, ...group, ...user]);
  expectAnnounced(unix, milter);
  await tryWith(unix, milter);
  await milter.stop();
});

test('--socket-group, by a member of the group', async () => {
  const group = code(chapter, '--socket-group ').split(' ');
  await assert.rejects(
    Milter.ofUnit(...listen, ...group),
    /ended with 78: .*no member of group postfix: usermod/,
  );
  shell(code(chapter, 'usermod '));
  const milter = await Milter.ofUnit(...listen, ...group);
  expectAnnounced(unix, milter);
  await tryWith(unix, milter);
  await milter.stop();
});

test('a socket outside of the queue directory is found without a chroot only, and the milter says so', async () => {
  shell('install -d -o smtpf -g postfix -m 2750 /run/smtpf');
  const milter = await Milter.ofUnit('--listen', 'unix:/run/smtpf/milter.sock');
  const line = milter.announced(
    'For Postfix, in main.cf (without a chroot only; a socket below /var/spool/postfix',
  );
  assert.equal(line, 'smtpd_milters = unix:/run/smtpf/milter.sock');
  for (const chroot of ['y', 'n']) {
    const services = masterCf.replace(/^(smtp +inet +\S+ +\S+ +)\S+/gm, `$1${chroot}`);
    writeFileSync('/etc/postfix/master.cf', services);
    writeFileSync('/etc/postfix/main.cf', `${MAIN_CF}${line}\nmilter_default_action = tempfail\n`);
    run('/usr/sbin/postfix', ['start']);
    await expectPolicy(log, chroot === 'y');
    run('/usr/sbin/postfix', ['stop']);
  }
  await milter.stop();
});
