/** Runs in a room: the README's recipes for Sendmail. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { withinLimit } from '../deadline.ts';
import { run } from '../mail-server.ts';
import { blocks, code, readme, section } from './documents.ts';
import { expectPolicy, Milter, settle, shell } from './machine.ts';

const PREFIX = process.env.SENDMAIL_PREFIX ?? '/opt/smtpf-milter-sendmail';
const PROGRAM = `${PREFIX}/usr/libexec/sendmail/sendmail`;

const chapter = section(readme(), 'Attaching Sendmail');
const [tcp, directory, unix, ...others] = blocks(chapter).map(({ text }) => text);
assert.deepEqual(others, [], 'every recipe is tried');
assert.ok(tcp && directory && unix);
const listen = code(chapter, '--listen ').split(' ');
const socket = listen[1]?.replace('unix:', '') ?? '';

settle();
shell(
  'install -d -m 0700 /var/spool/mqueue; touch /etc/mail/statistics /etc/mail/helpfile; useradd --system smmta',
);

/** Mail is taken and stays in the queue. */
function configure(...settings: readonly string[]): void {
  writeFileSync(
    '/etc/mail/sendmail.mc',
    `divert(-1)
include(\`${PREFIX}/usr/share/sendmail/cf/m4/cf.m4')
divert(0)
OSTYPE(\`linux')dnl
define(\`confDOMAIN_NAME', \`mta.test')dnl
define(\`confDONT_PROBE_INTERFACES', \`True')dnl
define(\`confPID_FILE', \`/run/sendmail.pid')dnl
define(\`confCW_FILE', \`-o /etc/mail/local-host-names')dnl
define(\`confCONTROL_SOCKET_NAME', \`')dnl
define(\`STATUS_FILE', \`/etc/mail/statistics')dnl
define(\`HELP_FILE', \`/etc/mail/helpfile')dnl
define(\`confDELIVERY_MODE', \`queueonly')dnl
define(\`confTO_IDENT', \`0')dnl
define(\`confREFUSE_LA', \`1000')dnl
define(\`confPRIVACY_FLAGS', \`')dnl
define(\`SMART_HOST', \`relay:[127.0.0.1]')dnl
undefine(\`ALIAS_FILE')dnl
FEATURE(\`nocanonify')dnl
FEATURE(\`accept_unresolvable_domains')dnl
FEATURE(\`relay_entire_domain')dnl
FEATURE(\`no_default_msa')dnl
DAEMON_OPTIONS(\`Name=MTA, Family=inet, Addr=127.0.0.1, Port=25')dnl
${settings.join('\n')}
MAILER(\`smtp')dnl
`,
  );
  const macros = [`-D_CF_DIR_=${PREFIX}/usr/share/sendmail/cf/`, '/etc/mail/sendmail.mc'];
  writeFileSync('/etc/mail/sendmail.cf', run('/usr/bin/m4', macros), 'latin1');
  writeFileSync('/etc/mail/service.switch', 'hosts files\npasswd files\naliases files\n');
  writeFileSync('/etc/mail/relay-domains', 'example.com\n127.0.0.1\n');
}

async function tryWith(...settings: readonly string[]): Promise<void> {
  configure(...settings);
  const daemon: ChildProcess = spawn(PROGRAM, ['-C', '/etc/mail/sendmail.cf', '-bD'], {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [daemon.stdout, daemon.stderr]) {
    stream?.setEncoding('latin1').on('data', (text: string) => {
      said += text;
    });
  }
  try {
    await expectPolicy(() => `sendmail: ${daemon.exitCode} ${said}`);
  } finally {
    const exit = daemon.exitCode === null ? once(daemon, 'exit') : undefined;
    daemon.kill('SIGTERM');
    if (exit) await withinLimit(exit, 'the end of Sendmail');
  }
}

/** What Sendmail prints when it does not start. */
function refusal(setting: string): string {
  configure(setting);
  const ended = spawnSync(PROGRAM, ['-C', '/etc/mail/sendmail.cf', '-bD'], {
    encoding: 'latin1',
    timeout: 60_000,
  });
  assert.notEqual(ended.status, 0, 'Sendmail starts');
  return `${ended.stdout}${ended.stderr}`;
}

test('TCP', async () => {
  const milter = await Milter.ofUnit();
  assert.equal(`${milter.announced('For Sendmail, in sendmail.mc:')}\n`, tcp);
  await tryWith(tcp);
  await milter.stop();
});

test('a unix socket in a directory of the milter', async () => {
  shell(directory);
  const milter = await Milter.ofUnit(...listen);
  assert.equal(`${milter.announced('For Sendmail, in sendmail.mc:')}\n`, unix);
  await tryWith(unix);
  await milter.stop();
  assert.equal(existsSync(socket), false);
});

test('the socket of Postfix’s recipe', async () => {
  const postfix = section(readme(), 'Attaching Postfix');
  shell(blocks(postfix)[1]?.text ?? '');
  const milter = await Milter.ofUnit(...code(postfix, '--listen ').split(' '));
  await tryWith(milter.announced('For Sendmail, in sendmail.mc:'));
  await milter.stop();
});

test('confRUN_AS_USER: the socket belongs to the group of that user', async () => {
  shell('install -d -o smmta /var/spool/mqueue; chown smmta /etc/mail/statistics');
  const runAs = "define(`confRUN_AS_USER', `smmta')dnl";
  shell('usermod --append --groups smmta smtpf');
  const milter = await Milter.ofUnit(...listen, '--socket-group', 'smmta');
  await tryWith(runAs, unix);
  await milter.stop();
  shell('install -d -o root /var/spool/mqueue; chown root /etc/mail/statistics');
});

test('others may write to the directory, or one above it: Sendmail does not start, and the milter says so', async () => {
  for (const [make, path, reason] of [
    [`chmod 0775 ${dirname(socket)}`, socket, 'Group writable directory'],
    [`chmod 1777 ${dirname(socket)}`, socket, 'World writable directory'],
    [
      'install -d -m 1777 /run/shared; install -d -o smtpf /run/shared/smtpf',
      '/run/shared/smtpf/milter.sock',
      'World writable directory',
    ],
  ] as const) {
    shell(make);
    const milter = await Milter.ofUnit('--listen', `unix:${path}`);
    const shared = path.startsWith('/run/shared') ? '/run/shared' : '/run/smtpf';
    const line = milter.announced(
      `For Sendmail, in sendmail.mc (Sendmail does not start with it, as others than its owner may write to ${shared}):`,
    );
    assert.ok(refusal(line).includes(`local socket name ${path} unsafe: ${reason}`));
    await milter.stop();
  }
});
