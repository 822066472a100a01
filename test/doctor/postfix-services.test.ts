/** `doctor` and the services of master.cf, other milters and macros: each mistake is found, and its line mends it. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Finding } from '../../src/doctor/finding.ts';
import { postfixUnavailable } from '../mta/postfix.ts';
import { PostfixSite } from './postfix-site.ts';
import { only, sharedServer } from './site.ts';

const unavailable = postfixUnavailable();
const skip = unavailable === undefined || process.env.CI === 'true' ? {} : { skip: unavailable };

const SUBMISSION = 'submission inet n - y - - smtpd';
/** As the README of amavis has it: mail comes back to a port of its own. */
const CONTENT_FILTER = [
  'smtp-amavis unix - - y - 2 smtp',
  '127.0.0.1:10025 inet n - y - - smtpd',
  '  -o content_filter=',
  '  -o mynetworks=127.0.0.0/8',
];

const shared = sharedServer(unavailable);

/** @param change makes the mistake @param lines what mends it, without `postconf -c DIR` @param policy of a server of its own */
function mistake(
  name: string,
  id: string,
  change: (site: PostfixSite, port: number) => void,
  check: (finding: Finding, lines: readonly string[]) => void,
  own?: { readonly policy: string; readonly options?: readonly string[] },
): void {
  it(`${id}: ${name}`, skip, async (t: TestContext) => {
    const site = new PostfixSite(t, own ? { policy: own.policy } : { server: shared() });
    site.options.push(...(own?.options ?? []));
    change(site, await site.overTcp());
    const finding = await only(site, id);
    const lines = finding.mend.map(({ line }) => line.replace(`postconf -c ${site.configuration} `, ''));
    check(finding, lines);
    if ((await site.mend(finding)).length > 0) return;
    assert.deepEqual((await site.doctor()).findings, []);
  });
}

describe('doctor and the services of Postfix', () => {
  mistake(
    'submission without milters',
    'postfix-override',
    (site) => site.addServices(SUBMISSION, '  -o syslog_name=postfix/submission', '  -o smtpd_milters='),
    (finding, lines) => {
      assert.match(finding.where, /master\.cf:\d+: -o smtpd_milters$/);
      assert.match(finding.problem, /comes in by submission\/inet passes this milter by/);
      assert.deepEqual(lines, ['-PX submission/inet/smtpd_milters']);
    },
  );

  mistake(
    'submissions with another milter alone',
    'postfix-override',
    (site, port) => {
      // It leads to a milter that listens, which is not the one looked at: two servers.
      site.addServices('submissions inet n - y - - smtpd', `  -o smtpd_milters=inet:127.0.0.1:${port}`);
      site.postconf('-e', 'smtpd_milters =');
    },
    (finding, lines) => {
      assert.match(
        finding.problem,
        /comes in by smtp\/inet passes this milter by, as other services alone name it/,
      );
      assert.match(lines.join(), /^-e 'smtpd_milters = inet:127\.0\.0\.1:\d+'$/);
    },
  );

  mistake(
    'milters of postscreen',
    'postfix-postscreen',
    (site, port) => {
      site.postconf('-M#', 'smtp/inet');
      site.postconf('-X', 'smtpd_milters');
      site.addServices(
        'smtp inet n - y - 1 postscreen',
        `  -o smtpd_milters=inet:127.0.0.1:${port}`,
        'smtpd pass - - y - - smtpd',
        SUBMISSION,
        `  -o smtpd_milters=inet:127.0.0.1:${port}`,
      );
    },
    () => {},
  );

  mistake(
    'no_milters for everybody',
    'postfix-no-milters',
    (site) => site.postconf('-e', 'receive_override_options = no_milters, no_address_mappings'),
    (_finding, lines) => assert.deepEqual(lines, ["-e 'receive_override_options = no_address_mappings'"]),
  );

  mistake(
    'no_milters on one service',
    'postfix-no-milters',
    (site) => site.postconf('-P', 'smtp/inet/receive_override_options=no_milters'),
    (_finding, lines) => assert.deepEqual(lines, ['-PX smtp/inet/receive_override_options']),
  );

  mistake(
    'mail from the content filter',
    'postfix-twice',
    (site) => {
      site.addServices(...CONTENT_FILTER);
      site.postconf('-e', 'content_filter = smtp-amavis:[127.0.0.1]:10024');
    },
    (_finding, lines) =>
      assert.deepEqual(lines, ['-P 127.0.0.1:10025/inet/receive_override_options=no_milters']),
  );

  mistake(
    'mail of sendmail(1) goes nowhere',
    'postfix-nobody',
    (site) => site.postconf('-e', 'non_smtpd_milters = unix:/run/nowhere.sock'),
    (finding, lines) => {
      assert.match(finding.where, /main\.cf: non_smtpd_milters$/);
      assert.match(finding.problem, /\(in the chroot: .*\/queue\/run\/nowhere\.sock\)/);
      assert.match(lines.join(), /^-e 'non_smtpd_milters = inet:127\.0\.0\.1:\d+'$/);
    },
  );

  mistake(
    'a misspelt parameter',
    'postfix-unused',
    (site) => site.postconf('-e', 'milter_defualt_action = tempfail'),
    (finding, lines) => {
      assert.match(finding.problem, /no parameter milter_defualt_action/);
      assert.deepEqual(lines, ['-X milter_defualt_action']);
    },
  );
});

describe('doctor and other milters, and macros, of Postfix', () => {
  it('milter-order: a milter that signs, before one that changes headers', skip, async (t) => {
    // To judge by its name, it signs.
    const signer = new PostfixSite(t);
    const signing = `${signer.makeDirectory('opendkim', 'mail:postfix', '2750')}/opendkim.sock`;
    signer.options.push('--listen', `unix:${signing}`);
    await signer.serve();
    const site = new PostfixSite(t, { policy: 'function smtp.do_dot() header.set("X-Seen", "yes") end\n' });
    const ours = `inet:127.0.0.1:${await site.overTcp()}`;
    site.postconf('-F', 'smtp/inet/chroot=n');
    site.postconf('-e', `smtpd_milters = unix:${signing}, ${ours}`);
    const { findings } = await site.doctor();
    assert.deepEqual(
      findings.map(({ id }) => id),
      ['milter-order'],
    );
    const [finding] = findings;
    assert.ok(finding);
    assert.deepEqual(
      finding.mend.map(({ line }) => line),
      [`postconf -c ${site.configuration} -e 'smtpd_milters = ${ours}, unix:${signing}'`],
    );
    // Parts, and what a scanner asks for, are changes too.
    for (const [change, breaks] of [
      ['for _, part in ipairs(mime.parts) do part:replace { data = "x" } end', true],
      ['mime.parts[2]:remove()', true],
      ['mime.banner { text = "x" }', true],
      ['must(scan.rspamd()):apply()', true],
      ['for _, part in ipairs(mime.parts) do print(part.name) end', false],
    ] as const) {
      site.write('smtpf.lua', `function smtp.do_dot() ${change} end\n`);
      const found = (await site.doctor()).findings.map(({ id }) => id);
      assert.equal(found.includes('milter-order'), breaks, change);
    }
    site.write('smtpf.lua', 'function smtp.do_dot() header.set("X-Seen", "yes") end\n');
    await site.mend(finding);
    assert.deepEqual((await site.doctor()).findings, []);
  });

  mistake(
    'a policy reads what Postfix has not',
    'macro-unknown',
    () => {},
    (finding, lines) => {
      assert.match(finding.where, /smtpf\.lua:2$/);
      assert.match(finding.problem, /the macro \{client_rate\}, which Postfix does not have/);
      assert.match(lines.join(), /do without \{client_rate\}/);
    },
    {
      policy:
        'function smtp.do_mail()\n  if smtp.macro("client_rate") == "9" then return 450, "4.7.1 later" end\nend\n',
    },
  );

  mistake(
    'a macro that nobody is asked for by its name',
    'macro-unasked',
    (site) => site.postconf('-e', 'milter_macro_defaults = site_tag=a'),
    (finding, lines) => {
      assert.match(finding.problem, /"site_tag", for which the milter asks no MTA by this name/);
      assert.deepEqual(lines, ['smtp.macro "{site_tag}"']);
    },
    {
      policy:
        'function smtp.do_mail()\n  if smtp.macro "site_tag" == "x" then return 450, "4.7.1 later" end\nend\n',
    },
  );

  mistake(
    'a macro that Postfix is not told to send',
    'macro-not-sent',
    () => {},
    (_finding, lines) =>
      assert.deepEqual(lines, [
        "-e 'milter_connect_macros = j {daemon_name} {daemon_addr} v _ {client_port}'",
      ]),
    {
      policy:
        'function smtp.do_mail()\n  if smtp.macro "{client_port}" == "1" then return 450, "4.7.1 later" end\nend\n',
      options: ['--macros', 'none'],
    },
  );
});

describe('doctor finds nothing wrong with Postfix', () => {
  const right = (name: string, change: (site: PostfixSite, port: number) => void): void => {
    it(name, skip, async (t) => {
      const site = new PostfixSite(t, { server: shared() });
      change(site, await site.overTcp());
      assert.deepEqual((await site.doctor()).findings, []);
    });
  };

  right('over TCP', () => {});

  right('with postscreen, submission and mail of sendmail(1)', (site, port) => {
    site.postconf('-M#', 'smtp/inet');
    site.addServices('smtp inet n - y - 1 postscreen', 'smtpd pass - - y - - smtpd', SUBMISSION);
    site.postconf('-e', `non_smtpd_milters = inet:127.0.0.1:${port}`);
  });

  right('with a content filter whose mail comes back unfiltered', (site) => {
    site.addServices(...CONTENT_FILTER, '  -o receive_override_options=no_milters');
    site.postconf('-e', 'content_filter = smtp-amavis:[127.0.0.1]:10024');
  });

  right('with the list in a parameter of its own, and settings in braces', (site, port) => {
    site.postconf('-e', `our_milters = { inet:127.0.0.1:${port}, default_action = tempfail }`);
    site.postconf('-e', 'smtpd_milters = $our_milters');
  });

  it('over a unix socket in the chroot, also for services outside of it', skip, async (t) => {
    const site = new PostfixSite(t);
    await site.overUnix();
    site.addServices('submission inet n - n - - smtpd');
    site.postconf('-e', 'non_smtpd_milters = $smtpd_milters');
    assert.deepEqual((await site.doctor()).findings, []);
  });
});
