/** `doctor` beside Postfix: each mistake that was made is found, with the line that mends it, and that line mends it. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Finding } from '../../src/doctor/finding.ts';
import { postfixUnavailable } from '../mta/postfix.ts';
import { PostfixSite } from './postfix-site.ts';
import { only, type Site, sharedServer } from './site.ts';

const unavailable = postfixUnavailable();
const skip = unavailable === undefined || process.env.CI === 'true' ? {} : { skip: unavailable };

/** The one finding. */
async function nothing(site: Site): Promise<void> {
  const { findings } = await site.doctor();
  assert.deepEqual(findings, []);
}

const lines = ({ mend }: Finding) => mend.map(({ line }) => line);

/** @param make a site with one mistake @param check what is said of it */
function mistake(
  name: string,
  id: string,
  make: (t: TestContext) => Promise<PostfixSite>,
  check: (finding: Finding, site: PostfixSite) => void,
): void {
  it(`${id}: ${name}`, skip, async (t) => {
    const site = await make(t);
    const finding = await only(site, id);
    check(finding, site);
    await site.mend(finding);
    await nothing(site);
  });
}

const shared = sharedServer(unavailable);

/** Over TCP, with a change to the configuration. */
const tcp =
  (change: (site: PostfixSite, port: number) => void, own?: { policy: string }) => async (t: TestContext) => {
    const site = new PostfixSite(t, own ?? { server: shared() });
    change(site, await site.overTcp());
    return site;
  };

const unix = (change: (site: PostfixSite, socket: string) => void) => async (t: TestContext) => {
  const site = new PostfixSite(t);
  change(site, await site.overUnix());
  return site;
};

describe('doctor and Postfix: the socket', () => {
  mistake(
    'an absolute path, and smtpd in a chroot',
    'postfix-chroot',
    unix((site, socket) => site.postconf('-e', `smtpd_milters = unix:${socket}`)),
    (finding, site) => {
      assert.match(finding.problem, /smtp\/inet works in the chroot/);
      assert.deepEqual(lines(finding), [
        `postconf -c ${site.configuration} -e 'smtpd_milters = unix:smtpf/milter.sock'`,
      ]);
    },
  );

  mistake(
    'a path of a chroot, and smtpd in none',
    'postfix-chroot',
    unix((site) => {
      site.postconf('-F', 'smtp/inet/chroot=n');
      site.postconf('-e', 'smtpd_milters = unix:/smtpf/milter.sock');
    }),
    (finding) => assert.match(finding.problem, /a path of a chroot/),
  );

  mistake(
    'a socket that no chroot has',
    'postfix-chroot',
    async (t) => {
      const site = new PostfixSite(t);
      const socket = `${site.makeDirectory('own', 'mail:postfix', '2750')}/milter.sock`;
      site.options.push('--listen', `unix:${socket}`);
      await site.serve();
      site.postconf('-e', `smtpd_milters = unix:${socket}`);
      return site;
    },
    (finding, site) =>
      assert.deepEqual(lines(finding), [
        `install -d -o mail -g postfix -m 2750 ${site.queue}/smtpf`,
        `--listen unix:${site.queue}/smtpf/milter.sock`,
        `postconf -c ${site.configuration} -e 'smtpd_milters = unix:smtpf/milter.sock'`,
      ]),
  );

  mistake(
    'a directory that is its owner’s alone',
    'socket-rights',
    unix((site) => site.shell(`chgrp mail ${site.queue}/smtpf && chmod 0700 ${site.queue}/smtpf`)),
    (finding, site) => {
      assert.match(
        finding.problem,
        /user postfix cannot connect to smtpf\/milter\.sock: .*may not enter .*\/smtpf \(owner mail, group mail, mode 2700\)/,
      );
      assert.deepEqual(lines(finding), [
        `chgrp postfix ${site.queue}/smtpf`,
        `chmod g+xs ${site.queue}/smtpf`,
      ]);
    },
  );

  mistake(
    'a socket of mode 0600',
    'socket-rights',
    async (t) => {
      const site = new PostfixSite(t);
      site.options.push('--socket-mode', '0600');
      await site.overUnix();
      return site;
    },
    (finding, site) =>
      assert.deepEqual(lines(finding), ['--socket-mode 0660', `chmod g+rw ${site.queue}/smtpf/milter.sock`]),
  );

  mistake(
    'a socket of another group',
    'socket-rights',
    unix((site, socket) =>
      site.shell(`chgrp mail ${site.queue}/smtpf ${socket} && chmod 0755 ${site.queue}/smtpf`),
    ),
    (finding) =>
      assert.match(finding.problem, /may not write to .*milter\.sock \(owner mail, group mail, mode 0660\)/),
  );

  mistake(
    'a directory above it that is closed to others',
    'socket-rights',
    async (t) => {
      const site = new PostfixSite(t);
      const socket = `${site.makeDirectory('above/own', 'mail:postfix', '2750')}/milter.sock`;
      site.options.push('--listen', `unix:${socket}`);
      await site.serve();
      site.postconf('-F', 'smtp/inet/chroot=n');
      site.postconf('-e', `smtpd_milters = unix:${socket}`);
      site.shell(`chmod 0700 ${site.directory}/above`);
      return site;
    },
    (finding, site) => assert.deepEqual(lines(finding), [`chmod o+x ${site.directory}/above`]),
  );

  mistake(
    'a socket that was removed',
    'socket-missing',
    unix((site, socket) => site.shell(`rm ${socket}`)),
    (finding) => assert.deepEqual(lines(finding), ['systemctl restart smtpf-milter']),
  );

  mistake(
    'another port',
    'postfix-nobody',
    tcp((site) => site.postconf('-e', 'smtpd_milters = inet:127.0.0.1:9')),
    (finding) =>
      assert.match(finding.problem, /nobody listens at inet:127\.0\.0\.1:9; this milter listens on 127/),
  );

  mistake(
    'the form of Sendmail',
    'postfix-syntax',
    tcp((site, port) => site.postconf('-e', `smtpd_milters = inet:${port}@127.0.0.1`)),
    (finding) => assert.match(lines(finding).join('\n'), /-e 'smtpd_milters = inet:127\.0\.0\.1:\d+'$/),
  );

  mistake(
    'nothing in main.cf',
    'postfix-not-attached',
    tcp((site) => site.postconf('-X', 'smtpd_milters')),
    (finding) => assert.match(lines(finding).join('\n'), /-e 'smtpd_milters = inet:127\.0\.0\.1:\d+'$/),
  );

  mistake(
    'a server that is not there',
    'server-down',
    async (t) => {
      const site = new PostfixSite(t);
      const port = await site.overTcp();
      await site.stop();
      site.options.splice(site.options.indexOf('--listen'), 2, '--listen', `inet:${port}@127.0.0.1`);
      return site;
    },
    (finding) => {
      assert.match(finding.problem, /no milter listens on inet:\d+@127\.0\.0\.1/);
      assert.deepEqual(lines(finding), ['systemctl start smtpf-milter', 'journalctl -u smtpf-milter -n 20']);
    },
  );
});

describe('doctor and Postfix: what it does without an answer', () => {
  mistake(
    'mail passes',
    'fails-open',
    tcp((site) => site.postconf('-e', 'milter_default_action = accept')),
    (finding, site) => {
      assert.match(finding.problem, /passes unfiltered .*though --on-error tempfail holds it up/);
      assert.deepEqual(lines(finding), [
        `postconf -c ${site.configuration} -e 'milter_default_action = tempfail'`,
      ]);
    },
  );

  mistake(
    'mail passes by the settings of one milter',
    'fails-open',
    tcp((site, port) =>
      site.postconf(
        '-e',
        `smtpd_milters = { inet:127.0.0.1:${port}, default_action=accept, command_timeout=20s }`,
      ),
    ),
    (finding) => assert.match(lines(finding).join('\n'), /default_action=tempfail, command_timeout=20s \}'$/),
  );

  mistake(
    'a misspelt action',
    'postfix-action',
    tcp((site) => site.postconf('-e', 'milter_default_action = tempfial')),
    (finding) => assert.match(finding.problem, /"tempfial"/),
  );

  mistake(
    'it waits less than a callback may take',
    'postfix-timeout',
    tcp((site) => site.postconf('-e', 'milter_command_timeout = 5s')),
    (finding, site) => {
      assert.match(finding.problem, /waits 5 s .* may take 8 s \(--deadline\)/);
      assert.deepEqual(lines(finding), [
        `postconf -c ${site.configuration} -e 'milter_command_timeout = 30s'`,
      ]);
    },
  );

  mistake(
    'a longer --deadline',
    'postfix-timeout',
    async (t) => {
      const site = new PostfixSite(t, { server: shared() });
      site.options.push('--deadline', '60');
      await site.overTcp();
      return site;
    },
    (finding) => assert.match(lines(finding).join(), /milter_command_timeout = 62s/),
  );

  mistake(
    'a longer --deadline of the server that runs, of which doctor is not told',
    'postfix-timeout',
    async (t) => {
      const site = new PostfixSite(t);
      site.options.push('--deadline', '60', '--listen', 'inet:0@127.0.0.1');
      await site.serve();
      site.options.splice(site.options.indexOf('--deadline'), 2);
      await site.overTcp();
      return site;
    },
    (finding) => {
      assert.match(finding.problem, /waits 30 s .* may take 60 s \(--deadline\)/);
      assert.match(lines(finding).join(), /milter_command_timeout = 62s/);
    },
  );

  mistake(
    'it waits less for the content',
    'postfix-timeout',
    tcp((site) => site.postconf('-e', 'milter_content_timeout = 3')),
    (finding) => assert.match(lines(finding).join(), /milter_content_timeout = 300s/),
  );

  mistake(
    'an old protocol',
    'postfix-protocol',
    tcp((site) => site.postconf('-e', 'milter_protocol = 2')),
    (finding) => assert.match(lines(finding).join(), /milter_protocol = 6/),
  );
});

describe('doctor and Postfix: smtpd_milter_maps', () => {
  mistake(
    'strangers pass the milter by',
    'postfix-milter-maps',
    tcp((site, port) => {
      const file = site.write(
        'milter_map',
        [
          '# The site itself.',
          '127.0.0.0/8 DISABLE',
          '2001:db8::/32 DISABLE',
          '8.8.8.0/24   DISABLE',
          `9.9.9.9 inet:127.0.0.1:${port}`,
          '0.0.0.0/0 inet:127.0.0.1:9',
          '',
        ].join('\n'),
      );
      site.postconf('-e', `smtpd_milter_maps = cidr:${file}`, 'mynetworks = 127.0.0.0/8 [2001:db8::]/32');
    }),
    (finding, site) => {
      assert.match(finding.problem, /^mail of 8\.8\.8\.0\/24, 0\.0\.0\.0\/0 passes this milter by/);
      assert.equal(finding.where, `${site.directory}/milter_map:4`);
      assert.equal(finding.mend.length, 2);
    },
  );

  mistake(
    'an entry in main.cf',
    'postfix-milter-maps',
    tcp((site) => site.postconf('-e', 'smtpd_milter_maps = inline:{ 10.1.1.1=DISABLE, 8.8.4.4=DISABLE }')),
    (finding) =>
      assert.match(
        lines(finding).join(),
        /smtpd_milter_maps = inline:\{ 10\.1\.1\.1=DISABLE, 8\.8\.4\.4=inet:127\.0\.0\.1:\d+ \}'$/,
      ),
  );

  it('where only the map names the milter, it is attached', skip, async (t) => {
    const site = new PostfixSite(t, { server: shared() });
    const port = await site.overTcp();
    site.postconf('-e', 'smtpd_milters =', `smtpd_milter_maps = inline:{ 8.8.4.4=inet:127.0.0.1:${port} }`);
    const { findings, remarks } = await site.doctor();
    assert.deepEqual(findings, []);
    assert.ok(remarks.some(({ text }) => text.includes('for which smtpd_milter_maps names it')));
  });
});
