/** `doctor` for a service that does not start, as a package has it, on a machine whose /etc and /run are its own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { PROGRAM } from '../program/program.ts';
import type { Report } from './site.ts';

const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'only root can make a mount namespace' };

/** What systemd says of the unit; a start is written down. */
const SYSTEMCTL = `#!/bin/sh
case $1 in
show) printf 'LoadState=loaded\\nUser=mail\\nGroup=\\nSupplementaryGroups=news\\n' ;;
*) echo "$@" >>/run/asked ;;
esac
`;

const MACHINE = `set -e
mount -t tmpfs -o mode=755 none /run
mount -t tmpfs -o mode=755 none /var/spool
mkdir /run/etc /run/bin
cp -a /etc/. /run/etc
mount --bind /run/etc /etc
rm -rf /etc/postfix /etc/mail /etc/smtpf-milter
mkdir /etc/mail /etc/smtpf-milter
printf '%s' "$SYSTEMCTL" >/run/bin/systemctl
chmod 755 /run/bin/systemctl
PATH=/run/bin:$PATH
umask 077
echo '{ "listen": ["unix:/run/gone/milter.sock"] }' >/etc/smtpf-milter/config.json
echo 'function smtp.do_mail() end' >/etc/mail/smtpf.lua
`;

/** What a script of root prints there. `doctor` is the command, `milter` the program. */
function onMachine(script: string): string {
  const program = PROGRAM.map((word) => `'${word}'`).join(' ');
  const { stdout, stderr, status } = spawnSync(
    'unshare',
    [
      '-m',
      'sh',
      '-c',
      `${MACHINE}\ndoctor() { ${program} doctor "$@" || test $? = 1; }\nmilter() { ${program} "$@"; }\n${script}`,
    ],
    { encoding: 'utf8', env: { ...process.env, SYSTEMCTL } },
  );
  assert.equal(status, 0, stderr);
  return stdout;
}

test("what hinders the start is found for the unit's user, in the options of its file", needsRoot, () => {
  const { findings } = JSON.parse(onMachine('doctor --json')) as Report;
  assert.deepEqual(
    findings.map(({ id, where, mend }) => [id, where, mend.map(({ line }) => line)]),
    [
      [
        'config-unreadable',
        '/etc/smtpf-milter/config.json',
        ['chgrp mail /etc/smtpf-milter/config.json', 'chmod g+r /etc/smtpf-milter/config.json'],
      ],
      ['listen-rights', '/run/gone', ['install -d -o mail /run/gone']],
      [
        'policy-unreadable',
        '/etc/mail/smtpf.lua',
        ['chgrp mail /etc/mail/smtpf.lua', 'chmod g+r /etc/mail/smtpf.lua'],
      ],
      ['server-down', 'server', ['systemctl start smtpf-milter', 'journalctl -u smtpf-milter -n 20']],
    ],
  );
  assert.match(
    findings.at(-1)?.problem ?? '',
    /^no milter listens on unix:\/run\/gone\/milter\.sock: no server/,
  );
});

test('the script mends that before it starts the service', needsRoot, () => {
  const printed = onMachine(`
umask 022
doctor --fix >/run/mend.sh
sh /run/mend.sh
cat /run/asked
doctor --json`);
  const [asked = '', ...report] = printed.split('\n');
  assert.equal(asked, 'start smtpf-milter');
  const { findings } = JSON.parse(report.join('\n')) as Report;
  assert.deepEqual(
    findings.map(({ id }) => id),
    ['server-down'],
  );
});

test(
  "a socket is meant to be in the directory that was made for the unit's user, where Postfix looks",
  needsRoot,
  () => {
    const report = onMachine(`
umask 022
install -d -o mail -g news -m 2750 /var/spool/postfix/smtpf
mkdir /etc/postfix
cat >/etc/postfix/main.cf <<END
mail_owner = news
smtpd_milters = unix:smtpf/milter.sock
milter_default_action = tempfail
END
echo 'smtp inet n - y - - smtpd' >/etc/postfix/master.cf
chmod 644 /etc/smtpf-milter/config.json /etc/mail/smtpf.lua
doctor --json`);
    const { findings } = JSON.parse(report) as Report;
    assert.deepEqual(
      findings.map(({ id, mend: [first] }) => [id, first]),
      [
        ['listen-rights', { kind: 'option', line: '--listen unix:/var/spool/postfix/smtpf/milter.sock' }],
        ['server-down', { kind: 'shell', line: 'systemctl start smtpf-milter' }],
      ],
    );
  },
);

test('a server that finds the directory of its socket read-only says how a unit opens it', needsRoot, () => {
  const said = onMachine(`
mkdir /run/closed
mount -t tmpfs -o ro none /run/closed
milter --listen unix:/run/closed/milter.sock --script /etc/mail/smtpf.lua --syslog none 2>&1 || true`);
  assert.match(
    said,
    /^smtpf-milter: --listen unix:\/run\/closed\/milter\.sock: the file system is read-only; under systemd ReadWritePaths=\/run\/closed opens the directory$/m,
  );
});
