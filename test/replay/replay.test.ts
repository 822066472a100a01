/** `smtpf-milter replay`: exactly the sessions that a changed line touches, found in recordings of real sessions. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ReplayReport } from '../../src/commands/replay/replay-report.ts';
import { indexSessions, readSession } from '../../src/recording/session-file.ts';
import { startMilter } from '../program/milter-client.ts';
import { directory, run } from '../program/program.ts';
import { type Mail, sendAll } from './traffic.ts';

const LUA = `
function smtp.do_connect(ip) smtp.note.dice = math.random(1000000) end
function smtp.do_rcpt(rcpt)
  local n = kv.incr("n:" .. smtp.sess.ip)
  if rcpt == "bad@example.com" then return 550, "5.7.1 no " .. n end
  if rcpt:match("^list") then return 550, "5.7.1 members only" end
end
function smtp.do_headers()
  if header.get("Subject"):find("spam") then return 554, "5.7.1 spam" end
end
function smtp.do_dot(path)
  header.add("X-Dice", tostring(smtp.note.dice))
  header.add("X-Time", tostring(os.time()))
end`;

const MAILS: readonly Mail[] = Array.from({ length: 260 }, (_, i) => ({
  ip: `192.0.2.${i % 20}`,
  sender: `u${i % 40}@example.net`,
  rcpt: i % 50 === 0 ? 'bad@example.com' : i % 30 === 0 ? 'list@example.com' : 'joe@example.com',
  subject: i % 25 === 3 ? 'spam' : `mail ${i}`,
}));

async function record(
  t: TestContext,
  mails: readonly Mail[],
  lua = LUA,
  args: readonly string[] = [],
): Promise<string> {
  const folder = join(directory(t), 'sessions');
  const milter = await startMilter(t, lua, [
    '--record',
    folder,
    '--store',
    'memory',
    '--workers',
    '1',
    ...args,
  ]);
  await sendAll(milter, mails);
  assert.equal(await milter.running.stop(), 0);
  return folder;
}

function policy(t: TestContext, lua: string, name = 'policy.lua'): string {
  const path = join(directory(t), name);
  writeFileSync(path, lua);
  return path;
}

async function replay(args: readonly string[]): Promise<ReplayReport & { readonly code: number | null }> {
  const { code, stdout, stderr } = await run(['replay', ...args, '--json']);
  assert.equal(stderr, '');
  return { ...JSON.parse(stdout), code };
}

const count = (is: (mail: Mail) => boolean) => MAILS.filter(is).length;
const isRefused = ({ rcpt }: Mail) => rcpt !== 'joe@example.com';
const isSpam = (mail: Mail) => !isRefused(mail) && mail.subject === 'spam';

test('some hundred sessions, replayed by two processes', { timeout: 600_000 }, async (t) => {
  const folder = await record(t, MAILS);

  await t.test('the same policy: nothing would change, clock and random numbers included', async (t) => {
    const { code, sessions, changed, groups, unrecorded } = await replay([
      policy(t, LUA),
      folder,
      '--jobs',
      '2',
    ]);
    assert.deepEqual(
      { code, sessions, changed, groups, unrecorded },
      { code: 0, sessions: MAILS.length, changed: 0, groups: [], unrecorded: [] },
    );
  });

  await t.test('a changed line: exactly the sessions that it touches, by line', async (t) => {
    const lua = `-- one line more\n${LUA}`
      .replace('"5.7.1 spam"', '"5.7.1 looks like spam"')
      .replace('rcpt == "bad@example.com"', 'rcpt == "nobody@example.com"')
      .replace('"X-Time"', '"X-When"');
    const report = await replay([policy(t, lua, 'new.lua'), folder, '--jobs', '2']);
    const delivered = count((mail) => !isRefused(mail) && !isSpam(mail));
    const lines = report.groups.map(({ kind, stage, before, after, sessions }) => {
      const places = [before, after].map((where) => where.replace(/.*\//, '')).join(' > ');
      return `${sessions} ${stage} ${kind} ${places}`;
    });
    assert.deepEqual(lines, [
      `${delivered} message edits policy.lua:14 > new.lua:15`,
      `${count(isSpam)} message text policy.lua:9 > new.lua:10`,
      `${count(({ rcpt }) => rcpt === 'bad@example.com')} rcpt verdict policy.lua:5 > new.lua:8`,
    ]);
    assert.equal(report.changed, delivered + count(isSpam) + count(({ rcpt }) => rcpt === 'bad@example.com'));
    assert.equal(report.code, 1);
    const [edits, , verdict] = report.groups.map(({ example }) => example);
    assert.match(edits?.edits.before.join() ?? '', /^add X-Time: \d+$/);
    assert.match(edits?.edits.after.join() ?? '', /^add X-When: \d+$/);
    assert.equal(verdict?.command, 'RCPT TO:<bad@example.com>');
    assert.match(verdict?.before.answer ?? '', /^550 5\.7\.1 no \d+$/);
    assert.equal(verdict?.after.answer, 'continue');
  });

  await t.test('for a person: the line, an example, both answers', async (t) => {
    const path = policy(t, LUA.replace('members only', 'for members'), 'new.lua');
    const { code, stdout, stderr } = await run(['replay', path, folder]);
    assert.equal(stderr, '');
    assert.equal(code, 1);
    const touched = count(({ rcpt }) => rcpt === 'list@example.com');
    assert.match(stdout, new RegExp(`^${MAILS.length} sessions, ${touched} would change\n`));
    assert.match(
      stdout,
      new RegExp(`\n +${touched}  RCPT: text  \\S+/new\\.lua:6 \\(was \\S+/policy\\.lua:6\\)\n`),
    );
    assert.match(stdout, /\n +session \S+, \S+Z, client 192\.0\.2\.\d+, from <u\d+@example\.net>\n/);
    assert.match(stdout, /\n +- 550 5\.7\.1 members only\n +\+ 550 5\.7\.1 for members\n$/);
  });

  await t.test('what was not asked then is said, and is no silent yes', async (t) => {
    const lua = LUA.replace('smtp.note.dice = math', 'dns.a("x.example") smtp.note.dice = math');
    const { code, changed, unrecorded } = await replay([policy(t, lua), folder]);
    assert.deepEqual(
      unrecorded.map(({ question, sessions }) => [question, sessions]),
      [['dns A x.example', MAILS.length]],
    );
    assert.deepEqual({ code, changed }, { code: 1, changed: 0 });
  });

  await t.test('what nobody had asked the MTA for is said', async (t) => {
    const { unseen } = await replay([
      policy(t, `${LUA} function smtp.do_unknown() print(smtp.macro("{x_y}")) end`),
      folder,
    ]);
    const all = MAILS.length;
    assert.ok(
      unseen.some(({ what, sessions }) => what === 'unknown commands' && sessions === all),
      JSON.stringify(unseen),
    );
  });

  await t.test('a session becomes a test that passes', async (t) => {
    const beside = directory(t);
    writeFileSync(join(beside, 'policy.lua'), LUA);
    const sessions = indexSessions(folder).places.map(readSession);
    for (const [i, { id }] of [sessions[0], sessions[3], sessions[7]]
      .flatMap((found) => found ?? [])
      .entries()) {
      const { code, stdout } = await run(['replay', join(beside, 'policy.lua'), folder, '--as-test', id]);
      assert.equal(code, 0);
      writeFileSync(join(beside, `session${i}_test.lua`), stdout);
    }
    const { code, stdout } = await run(['test', beside]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /3 passed in 3 files/);
  });

  await t.test('a policy that does not run, or nothing to replay: one line', async (t) => {
    const broken = await run(['replay', policy(t, 'function smtp.do_mail('), folder]);
    assert.equal(broken.code, 3);
    assert.match(broken.stderr, /^smtpf-milter: replay: \S+policy\.lua:1: .*\n$/);
    const empty = directory(t);
    const nothing = await run(['replay', policy(t, LUA), empty]);
    assert.deepEqual(
      [nothing.code, nothing.stderr],
      [66, `smtpf-milter: replay: ${empty}: no recorded session is there\n`],
    );
    const unknown = await run(['replay', policy(t, LUA), folder, '--as-test', 'x']);
    assert.deepEqual(
      [unknown.code, unknown.stderr],
      [66, 'smtpf-milter: replay --as-test x: no such session in the recording\n'],
    );
  });
});

test('redacted sessions are compared with the policy that served them', async (t) => {
  const lua = 'function smtp.do_rcpt(rcpt) if rcpt == "joe@example.com" then return 550, "5.7.1 no" end end';
  const mails = ['joe@example.com', 'ann@example.com'].map((rcpt) => ({
    ip: '192.0.2.1',
    sender: 'a@example.net',
    rcpt,
    subject: 'x',
  }));
  const folder = await record(t, mails, lua, ['--record-redact', 'all']);
  const old = policy(t, lua, 'old.lua');
  const alone = await replay([old, folder]);
  assert.deepEqual([alone.changed, alone.redacted], [1, 2]);
  const same = await replay([old, folder, '--against', old]);
  assert.deepEqual([same.code, same.changed], [0, 0]);
  const changed = lua.replace('end end', 'end return 450, "4.7.1 later" end');
  assert.equal((await replay([policy(t, changed), folder, '--against', old])).changed, 2);
});
