/** Runs in a room: the tutorial, from its beginning to its end, as it stands. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { run } from '../mail-server.ts';
import { documents } from './documents.ts';
import { Milter, shell } from './machine.ts';

const TUTORIAL = documents().get('docs/tutorial.md') ?? '';
const LOG = '/var/log/postfix.log';
/** What the tutorial makes outside of what is private to the room. */
const COPY = '/root/new-policy';

/** Blocks, each with the text before it. */
const STEPS = [...TUTORIAL.matchAll(/([\s\S]*?)^```(\w*)\n([\s\S]*?)^```$/gm)].map(
  ([, before = '', language = '', text = '']) => ({ before, language, text }),
);

function withoutTimes(text: string): string {
  return text.replace(/\d+(\.\d+)? (ms|s)\b/g, 'N $2');
}

/** What Debian has, but for mail that goes nowhere, smtpd in its chroot. */
function startPostfix(): void {
  rmSync(COPY, { recursive: true, force: true });
  shell('install -d -o postfix /var/lib/postfix');
  const services = readFileSync('/usr/share/postfix/master.cf.dist', 'latin1');
  writeFileSync('/etc/postfix/master.cf', services);
  assert.match(services, /^smtp +inet +\S+ +\S+ +y /m);
  writeFileSync(
    '/etc/postfix/main.cf',
    `compatibility_level = 3.6
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
`,
  );
  run('/usr/sbin/postfix', ['start']);
}

test('every step does what the tutorial says', async () => {
  startPostfix();
  let milter: Milter | undefined;
  let unit = '';
  let printed = '';
  const tried = { sh: 0, console: 0, written: 0 };
  try {
    for (const { before, language, text } of STEPS) {
      // The last file that the text before names.
      const file = [...before.matchAll(/`(\/etc\/[^`]*)`/g)].at(-1)?.[1] ?? '';
      if (language === 'sh') {
        const services = text.split('\n').filter((line) => line.startsWith('systemctl '));
        for (const line of text.trim().split('\n')) {
          if (line === 'systemctl restart smtpf-milter') milter = await Milter.asSystemd(unit);
          else if (!line.startsWith('systemctl ')) printed = shell(line);
        }
        assert.ok(
          services.every((line) => / (daemon-reload|enable smtpf-milter|restart smtpf-milter)$/.test(line)),
        );
        tried.sh += 1;
      } else if (language === 'console') {
        const [, command = '', shown = ''] = /^\$ (.*)\n([\s\S]*)$/.exec(text) ?? [];
        const { stdout, stderr } = spawnSync('/bin/sh', ['-c', command], { encoding: 'utf8' });
        assert.equal(withoutTimes(stdout + stderr), withoutTimes(shown), command);
        tried.console += 1;
      } else if (language === '') {
        assert.ok(printed.includes(text), `${text} in: ${printed}`);
      } else {
        writeFileSync(file, text);
        if (language === 'ini') unit = text;
        tried.written += 1;
      }
    }
    assert.match(shell('smtpf-milter why all-staff@example.com'), /members only/);
    assert.deepEqual(tried, { sh: 9, console: 5, written: 4 });
    assert.match(readFileSync('/etc/mail/smtpf.lua', 'utf8'), /this list is for members only/);
  } finally {
    await milter?.stop();
    run('/usr/sbin/postfix', ['stop']);
    rmSync(COPY, { recursive: true, force: true });
  }
});
