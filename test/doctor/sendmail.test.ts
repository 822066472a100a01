/** `doctor` and a sendmail.cf: each mistake that was made is found, with the line that mends it, and that line mends it. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Finding } from '../../src/doctor/finding.ts';
import { SendmailSite, sendmailUnbuildable } from './sendmail-site.ts';
import { only, sharedServer } from './site.ts';

const unavailable = sendmailUnbuildable();
const skip = unavailable === undefined || process.env.CI === 'true' ? {} : { skip: unavailable };

let port: number;
const shared = sharedServer(unavailable, async (server) => {
  port = await server.port();
});

function mistake(
  name: string,
  id: string,
  make: (t: TestContext) => Promise<SendmailSite>,
  check: (finding: Finding, lines: readonly string[]) => void,
): void {
  it(`${id}: ${name}`, skip, async (t) => {
    const site = await make(t);
    const finding = await only(site, id);
    check(
      finding,
      finding.mend.map(({ line }) => line),
    );
    for (const line of await site.mend(finding)) site.put(line);
    assert.deepEqual((await site.doctor()).findings, []);
  });
}

/** @param lines of sendmail.mc */
const tcp =
  (lines: () => readonly string[], options: readonly string[] = []) =>
  async (t: TestContext) => {
    const site = new SendmailSite(t, { server: shared() });
    site.options.push(...options);
    await site.overTcp();
    site.build(...lines());
    return site;
  };

const RIGHT_TIMES = 'T=S:10s;R:10s;E:5m';
const filter = (equates: string, name = 'smtpf') => `INPUT_MAIL_FILTER(\`${name}', \`${equates}')dnl`;
const right = () => filter(`S=inet:${port}@127.0.0.1, F=T, ${RIGHT_TIMES}`);

describe('doctor and Sendmail', () => {
  mistake(
    'no filter',
    'sendmail-not-attached',
    tcp(() => []),
    (_finding, lines) =>
      assert.deepEqual(lines, [filter(`S=inet:${port}@127.0.0.1, F=T, ${RIGHT_TIMES}`).slice(0, -3)]),
  );

  mistake(
    'a filter that is not called',
    'sendmail-not-listed',
    tcp(() => [right().replace('INPUT_MAIL_FILTER', 'MAIL_FILTER')]),
    (_finding, lines) => assert.deepEqual(lines, ["define(`confINPUT_MAIL_FILTERS', `smtpf')"]),
  );

  mistake(
    'a filter that is called and not defined',
    'sendmail-undefined',
    tcp(() => [right(), "define(`confINPUT_MAIL_FILTERS', `smtpf, smtpg')dnl"]),
    (finding) => assert.match(finding.problem, /no mail filter "smtpg": Sendmail does not start/),
  );

  mistake(
    'a daemon with other filters',
    'sendmail-daemon',
    tcp(() => [
      right(),
      "DAEMON_OPTIONS(`Name=Submission, Port=587, InputMailFilters=')dnl",
      "FEATURE(`no_default_msa')dnl",
    ]),
    (_finding, lines) =>
      assert.deepEqual(lines, ["DAEMON_OPTIONS(`Name=Submission, Port=587, InputMailFilters=smtpf')"]),
  );

  mistake(
    'the form of Postfix',
    'sendmail-syntax',
    tcp(() => [filter(`S=inet:127.0.0.1:${port}, F=T`)]),
    (finding, lines) => {
      assert.match(finding.problem, /it must be inet:PORT@HOST/);
      assert.match(lines.join(), new RegExp(`S=inet:${port}@127\\.0\\.0\\.1, F=T`));
    },
  );

  mistake(
    'commas between times',
    'sendmail-syntax',
    tcp(() => [filter(`S=inet:${port}@127.0.0.1, F=T, T=S:10s,R:10s,E:5m`)]),
    (finding) => assert.match(finding.problem, /semicolons between: T=S:10s;/),
  );

  mistake(
    'another port',
    'sendmail-nobody',
    tcp(() => [filter(`S=inet:9@127.0.0.1, F=T, ${RIGHT_TIMES}`)]),
    (finding) => assert.match(finding.problem, /nobody listens at inet:9@127\.0\.0\.1/),
  );

  mistake(
    'no flag',
    'fails-open',
    tcp(() => [filter(`S=inet:${port}@127.0.0.1, ${RIGHT_TIMES}`)]),
    (_finding, lines) => assert.match(lines.join(), /F=T, T=S:10s;R:10s;E:5m'\)$/),
  );

  mistake(
    'R is shorter than a callback',
    'sendmail-timeout',
    tcp(() => [filter(`S=inet:${port}@127.0.0.1, F=T, T=S:10s;R:5s;E:5m`)]),
    (finding, lines) => {
      assert.match(finding.problem, /waits 5 s \(R of T=\), and a callback may take 8 s \(--deadline\)/);
      assert.match(lines.join(), /T=S:10s;E:5m;R:10s'\)$/);
    },
  );

  mistake(
    'the default of R, and a longer --deadline',
    'sendmail-timeout',
    tcp(() => [filter(`S=inet:${port}@127.0.0.1, F=T`)], ['--deadline', '30']),
    (_finding, lines) => assert.match(lines.join(), /R:32s'\)$/),
  );

  mistake(
    'E is shorter than the end of a message',
    'sendmail-timeout',
    tcp(() => [filter(`S=inet:${port}@127.0.0.1, F=T, T=R:10s;E:1m`)]),
    (finding) =>
      assert.match(
        finding.problem,
        /waits 60 s \(E of T=\), and a callback may take 240 s \(--eom-deadline\)/,
      ),
  );

  mistake(
    'a directory that the group may write to',
    'sendmail-unsafe',
    async (t) => {
      const site = new SendmailSite(t);
      const socket = await site.overUnix();
      site.build(filter(`S=unix:${socket}, F=T, ${RIGHT_TIMES}`));
      site.shell(`chmod 2775 ${site.directory}/milter`);
      return site;
    },
    (finding, lines) => {
      assert.match(finding.problem, /unsafe and does not start, .*\/milter \(mode 2775\)/);
      assert.match(lines.join(), /^chmod go-w \/run\/.*\/milter$/);
    },
  );

  mistake(
    'a Sendmail that is another user',
    'socket-rights',
    async (t) => {
      const site = new SendmailSite(t);
      const socket = await site.overUnix();
      site.build(
        filter(`S=unix:${socket}, F=T, ${RIGHT_TIMES}`),
        "define(`confRUN_AS_USER', `daemon:daemon')dnl",
      );
      return site;
    },
    (finding) =>
      assert.match(finding.problem, /user daemon cannot connect .*may not write to .*milter\.sock/),
  );

  mistake(
    'a filter that signs comes before',
    'milter-order',
    async (t) => {
      const site = new SendmailSite(t, {
        policy: 'function smtp.do_dot() header.add("X-Seen", "yes") end\n',
      });
      const own = await site.overTcp();
      // Another milter, to judge by its name one that signs.
      site.build(
        filter(`S=inet:${port}@127.0.0.1, F=T, ${RIGHT_TIMES}`, 'opendkim'),
        filter(`S=inet:${own}@127.0.0.1, F=T, ${RIGHT_TIMES}`),
      );
      return site;
    },
    (_finding, lines) => assert.deepEqual(lines, ["define(`confINPUT_MAIL_FILTERS', `smtpf, opendkim')"]),
  );

  mistake(
    'a macro that is not sent',
    'macro-not-sent',
    async (t) => {
      const site = new SendmailSite(t, {
        policy:
          'function smtp.do_mail() if smtp.macro "{client_port}" == "25" then return 550, "5.7.1 no" end end\n',
      });
      site.options.push('--macros', 'none');
      const own = await site.overTcp();
      site.build(filter(`S=inet:${own}@127.0.0.1, F=T, ${RIGHT_TIMES}`));
      return site;
    },
    (finding, lines) => {
      assert.match(finding.where, /smtpf\.lua:1$/);
      assert.match(lines.join(), /^define\(`confMILTER_MACROS_CONNECT', `j, _, .*, \{client_port\}'\)$/);
    },
  );

  it('finds nothing over TCP, and nothing over a unix socket', skip, async (t) => {
    const overTcp = await tcp(() => [right()])(t);
    assert.deepEqual((await overTcp.doctor()).findings, []);
    const site = new SendmailSite(t);
    const socket = await site.overUnix();
    site.build(
      filter(`S=local:${socket}, F=T, ${RIGHT_TIMES}`),
      `DAEMON_OPTIONS(\`Name=MTA, Port=25, InputMailFilters=smtpf')dnl`,
    );
    const { findings, remarks } = await site.doctor();
    assert.deepEqual(findings, []);
    assert.ok(remarks.some(({ kind, text }) => kind === 'right' && text.includes('user root may connect')));
  });
});
