/** `--shadow`: a candidate beside the live policy finds what replay finds, and touches nothing. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ReplayReport } from '../../src/commands/replay/replay-report.ts';
import { askServer } from '../../src/control/control-client.ts';
import { resolveOptions } from '../../src/options/options.ts';
import { indexSessions } from '../../src/recording/session-file.ts';
import { newKeys, SessionReplay } from '../../src/replay/session-replay.ts';
import type { ShadowReport } from '../../src/shadow/shadow-state.ts';
import { type Milter, startMilter, statusOf, until } from '../program/milter-client.ts';
import { directory, type Ended, run } from '../program/program.ts';
import { type Mail, sendAll, sendMail } from '../replay/traffic.ts';

const LUA = `
function smtp.do_connect(ip) smtp.note.dice = math.random(1000000) end
function smtp.do_rcpt(rcpt)
  local n = kv.incr("n:" .. smtp.sess.ip)
  if not rate.take(smtp.sess.ip, "5/h") then return 450, "4.7.1 slow down" end
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

const MAILS: readonly Mail[] = Array.from({ length: 80 }, (_, i) => ({
  ip: `192.0.2.${i % 20}`,
  sender: `u${i % 40}@example.net`,
  rcpt: i % 25 === 0 ? 'bad@example.com' : i % 15 === 0 ? 'list@example.com' : 'joe@example.com',
  subject: i % 13 === 3 ? 'spam' : `mail ${i}`,
}));

interface Shadowed {
  readonly milter: Milter;
  /** The file of the candidate. */
  readonly candidate: string;
}

async function startShadow(
  t: TestContext,
  live: string,
  lua: string,
  args: readonly string[] = [],
  workers = '2',
): Promise<Shadowed> {
  const candidate = join(directory(t), 'new.lua');
  writeFileSync(candidate, lua);
  const milter = await startMilter(t, live, ['--shadow', candidate, '--workers', workers, ...args]);
  return { milter, candidate };
}

function report({ milter }: Shadowed, ...args: readonly string[]): Promise<Ended> {
  return run(['shadow', 'report', '--spool', milter.spool, ...args]);
}

/** Once so many sessions were compared, or left out. */
async function reportOf({ milter }: Shadowed, sessions: number, words = {}): Promise<ShadowReport> {
  const options = resolveOptions(new Map([['spool', [milter.spool]]]), {});
  for (;;) {
    for await (const answer of askServer(options, { command: 'shadow', ...words })) {
      const found = answer['shadow'] as ShadowReport;
      const { busy, long, broken } = found.notCompared;
      if (found.compared + busy + long + broken >= sessions) return found;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const base = (where: string) => where.replace(/.*\//, '');

test('it finds the sessions that replay finds in a recording of the same traffic', {
  timeout: 600_000,
}, async (t) => {
  const folder = join(directory(t), 'sessions');
  const lua = `-- one line more\n${LUA}`
    .replace('"5.7.1 spam"', '"5.7.1 looks like spam"')
    .replace('rcpt == "bad@example.com"', 'rcpt == "nobody@example.com"')
    .replace('"X-Time"', '"X-When"')
    .replace('local n =', 'kv.set("mark", rcpt) local n =');
  const shadowed = await startShadow(t, LUA, lua, ['--record', folder]);
  await sendAll(shadowed.milter, MAILS);
  const found = await reportOf(shadowed, MAILS.length);
  assert.deepEqual(found.notCompared, { busy: 0, long: 0, broken: 0 });

  await t.test('the status says so', async () => {
    const { shadow } = await statusOf(shadowed.milter);
    assert.deepEqual(
      [shadow?.compared, shadow?.different, shadow?.failed, shadow?.notCompared],
      [MAILS.length, found.different, 0, 0],
    );
  });

  await t.test('the log has a line for each kind, once', async () => {
    const { running } = shadowed.milter;
    const told = () => running.stderr.match(/shadow: \w+: .*first in session/g) ?? [];
    await until(() => told().length >= found.groups.length);
    assert.equal(running.stderr.match(/shadow: \S+new\.lua \([0-9a-f]+\), callbacks: do_/g)?.length, 1);
    const lines = told();
    assert.equal(lines.length, found.groups.length, lines.join('\n'));
    assert.ok(
      lines.some((line) =>
        /shadow: message: text \S+new\.lua:11 \(was \S+policy\.lua:10\): 554 5\.7\.1 spam -> 554 5\.7\.1 looks like spam; first/.test(
          line,
        ),
      ),
      lines.join('\n'),
    );
  });

  assert.equal(await shadowed.milter.running.stop(), 0);
  const kept = await run(['store', 'list', '--spool', shadowed.milter.spool]);
  assert.match(kept.stdout, /^kv +n:192\.0\.2\.1 /m);
  assert.doesNotMatch(kept.stdout, /mark/);
  const { stdout } = await run(['replay', shadowed.candidate, folder, '--json']);
  const replayed: ReplayReport = JSON.parse(stdout);
  const told = (groups: ReplayReport['groups']) =>
    groups
      .map(
        ({ kind, stage, before, after, sessions }) =>
          `${sessions} ${stage} ${kind} ${base(before)} > ${base(after)}`,
      )
      .sort();
  assert.equal(replayed.sessions, MAILS.length);
  assert.equal(found.different, replayed.changed);
  assert.ok(found.groups.length >= 3);
  assert.deepEqual(told(found.groups), told(replayed.groups));

  const { places } = indexSessions(folder);
  const options = resolveOptions(new Map([['script', [shadowed.candidate]]]), {});
  const replay = new SessionReplay({ options, against: undefined, keys: newKeys() });
  t.after(() => replay.close());
  const changed: string[] = [];
  for (const place of places) {
    const finding = await replay.replay(place);
    if ('changes' in finding && finding.changes.length > 0) changed.push(finding.session);
  }
  const ids = new Set(found.groups.flatMap((group) => group.ids));
  assert.deepEqual([...ids].sort(), changed.sort());
});

test('what it stores, writes, sends and logs stays with it', async (t) => {
  const mark = join(directory(t), 'mark');
  const live = `function smtp.do_rcpt(rcpt) if kv.get "blocked" then return 550, "5.7.1 blocked" end end`;
  const lua = `function smtp.do_rcpt(rcpt)
  local seen = kv.incr "seen"
  kv.set("blocked", true)
  local file = assert(io.open("${mark}", "w"))
  file:write("x") file:close()
  os.remove "${mark}"
  os.rename("${mark}", "${mark}.2")
  print("seen", seen)
  log.event("seen", { n = seen })
  metric.count("seen")
  local sent, why = smtp.send { from = "", to = "postmaster@example.com", message = "Subject: x\\n\\nx" }
  local posted = http.post("http://192.0.2.1/", "x")
  assert(sent == nil and posted == nil, why)
  return 550, "5.7.1 seen " .. seen
end`;
  const shadowed = await startShadow(
    t,
    live,
    lua,
    ['--http-allow', '192.0.2.0/24', '--store', 'memory'],
    '1',
  );
  const mail = { ip: '192.0.2.1', sender: 'a@example.net', rcpt: 'joe@example.com', subject: 'x' };
  for (let i = 0; i < 3; i++) assert.equal(await sendMail(shadowed.milter, mail), 'c');
  const { failed, failures, groups, unasked } = await reportOf(shadowed, 3);
  assert.deepEqual([failed, failures], [0, []]);
  // What it has stored it finds again; sessions may overtake each other.
  assert.match(
    groups
      .map(({ sessions, example }) => `${sessions} ${example.before.answer} > ${example.after.answer}`)
      .join(', '),
    /^3 continue > 550 5\.7\.1 seen [123]$/,
  );
  assert.deepEqual(unasked.map(({ question }) => question.replace(/ .*/, '')).sort(), ['http', 'send']);
  await shadowed.milter.running.until('stderr', /shadow: \S+ seen#0113/);
  assert.ok(!existsSync(mark));
  assert.equal(await shadowed.milter.running.stop(), 0);
});

test('the store answers it as it answered the live policy, but for what it has stored itself', async (t) => {
  const live = `function smtp.do_rcpt(rcpt)
  kv.set("mode", "old")
  local n, mode = kv.incr "n", kv.get "mode"
  if n > 2 then return 450, "4.7.1 " .. mode .. n end
end
function smtp.do_dot(path) end`;
  const lua = live.replace('"old"', '"new"').replace(
    'path) end',
    `path)
  for line in io.lines(path) do
    if line:find "this is a message" then return 550, "5.7.1 read it" end
  end
end`,
  );
  const shadowed = await startShadow(t, live, lua, ['--store', 'memory'], '1');
  const mail = { ip: '192.0.2.1', sender: 'a@example.net', rcpt: 'joe@example.com', subject: 'x' };
  for (let i = 0; i < 4; i++) await sendMail(shadowed.milter, mail);
  const { groups, failed } = await reportOf(shadowed, 4);
  assert.equal(failed, 0);
  assert.deepEqual(
    groups.map(
      ({ stage, sessions, example }) =>
        `${sessions} ${stage} ${example.before.answer} > ${example.after.answer}`,
    ),
    ['2 message accept > 550 5.7.1 read it', '2 rcpt 450 4.7.1 old3 > 450 4.7.1 new3'],
  );
});

test('the MTA is asked for what the candidate needs besides', async (t) => {
  const lua = `function smtp.do_dot(path)
  return 550, "5.7.1 " .. header.get("Subject") .. " " .. tostring(smtp.macro "{mine}")
end`;
  const shadowed = await startShadow(t, 'function smtp.do_mail() end', lua, [], '1');
  const mail = { ip: '192.0.2.1', sender: 'a@example.net', rcpt: 'joe@example.com', subject: 'x' };
  // What the candidate needs is known soon.
  for (let sent = 1; ; sent++) {
    assert.equal(await sendMail(shadowed.milter, mail), 'c');
    const { groups } = await reportOf(shadowed, sent);
    const [group] = groups;
    if (group === undefined) continue;
    assert.equal(group.example.after.answer, '550 5.7.1 x nil');
    break;
  }
});

test('what fails in it is counted, and no session of the MTA sees it', async (t) => {
  const live = `function smtp.do_mail() end`;
  const lua = `function smtp.do_mail(sender)
  if sender == "loop@example.net" then while true do end end
  error("no " .. sender)
end`;
  const shadowed = await startShadow(t, live, lua, ['--on-error', 'tempfail', '--cpu-ms', '50']);
  const mail = { ip: '192.0.2.1', sender: 'a@example.net', rcpt: 'joe@example.com', subject: 'x' };
  assert.equal(await sendMail(shadowed.milter, mail), 'c');
  assert.equal(await sendMail(shadowed.milter, { ...mail, sender: 'loop@example.net' }), 'c');
  const { compared, different, failed, failures } = await reportOf(shadowed, 2);
  assert.deepEqual([compared, different, failed], [2, 2, 2]);
  assert.deepEqual(
    failures.map(({ where, callback, message }) => `${base(where)} ${callback} ${message}`).sort(),
    ['new.lua:2 smtp.do_mail more than 50 ms of CPU time used', 'new.lua:3 smtp.do_mail no a@example.net'],
  );
  assert.equal((await statusOf(shadowed.milter)).scriptErrors, 0);
  const { code, stdout } = await report(shadowed);
  assert.equal(code, 1);
  assert.match(
    stdout,
    /^2 sessions, 2 would be different, 2 failed\n\S+new\.lua \([0-9a-f]+\) beside [0-9a-f]+, since /,
  );
  assert.match(
    stdout,
    /\n +1 {2}failed {2}\S+new\.lua:3, smtp\.do_mail\n +session .*, client 192\.0\.2\.1, from <?a@example\.net/,
  );
});

test('a process without time to spare leaves sessions out, says so, and answers the MTA', async (t) => {
  const live = 'function smtp.do_dot() end';
  const lua = `function smtp.do_mail(sender) while sender == "loop@example.net" do end end\n${live}`;
  const shadowed = await startShadow(t, live, lua, ['--cpu-ms', '3600000', '--deadline', '3600'], '1');
  const mail = { ip: '192.0.2.1', sender: 'loop@example.net', rcpt: 'joe@example.com', subject: 'x' };
  assert.equal(await sendMail(shadowed.milter, mail), 'c');
  // What waits for its turn beside the one that does not end is soon more than 32 MiB.
  const body = Array<Buffer>(192).fill(Buffer.alloc(65_535, 'x'));
  const large = { ...mail, sender: 'a@example.net', body };
  let left = 0;
  while (left === 0) {
    assert.equal(await sendMail(shadowed.milter, large), 'c');
    left = (await reportOf(shadowed, 0)).notCompared.busy;
  }
  const { code, stdout } = await report(shadowed);
  assert.equal(code, 0, stdout);
  const [, told] =
    /\nwarning: (\d+) sessions? not compared: the process was short of time or memory\n/.exec(stdout) ?? [];
  assert.ok(Number(told) >= left, stdout);
  const { shadow } = await statusOf(shadowed.milter);
  assert.ok((shadow?.notCompared ?? 0) >= left);
});

test('an edited candidate is counted anew, a broken one is said, and the live policy goes on', async (t) => {
  const live = `function smtp.do_rcpt() end`;
  const shadowed = await startShadow(t, live, `function smtp.do_rcpt() return 550, "5.7.1 one" end`);
  const mail = { ip: '192.0.2.1', sender: 'a@example.net', rcpt: 'joe@example.com', subject: 'x' };
  await sendMail(shadowed.milter, mail);
  const first = await reportOf(shadowed, 1);
  assert.deepEqual(
    first.groups.map(({ example }) => example.after.answer),
    ['550 5.7.1 one'],
  );

  writeFileSync(shadowed.candidate, 'function smtp.do_rcpt(');
  assert.equal(await sendMail(shadowed.milter, mail), 'c');
  await shadowed.milter.running.until(
    'stderr',
    /shadow: \S+new\.lua: does not run, and no session is compared: /,
  );
  const broken = await reportOf(shadowed, 2);
  assert.deepEqual([broken.compared, broken.notCompared.broken], [1, 1]);
  assert.match(broken.problem ?? '', /new\.lua:1/);
  assert.match((await statusOf(shadowed.milter)).shadow?.problem ?? '', /new\.lua:1/);
  const { code, stdout } = await report(shadowed);
  assert.equal(code, 3);
  assert.match(stdout, /\ndoes not run: \S+new\.lua:1/);

  writeFileSync(shadowed.candidate, `function smtp.do_rcpt() return 550, "5.7.1 two" end`);
  await sendMail(shadowed.milter, mail);
  let last = await reportOf(shadowed, 1);
  while (last.candidate === first.candidate) last = await reportOf(shadowed, 1);
  assert.deepEqual(
    [last.compared, last.groups.map(({ example }) => example.after.answer), last.problem],
    [1, ['550 5.7.1 two'], undefined],
  );

  const reset: ShadowReport = JSON.parse((await report(shadowed, '--json', '--reset')).stdout);
  assert.equal(reset.compared, 1);
  assert.equal((await reportOf(shadowed, 0)).compared, 0);
});

test('names of people are left out where the journal leaves them out', async (t) => {
  const lua = `function smtp.do_rcpt(rcpt) return 550, "5.7.1 no " .. rcpt end`;
  const journal = join(directory(t), 'journal');
  const shadowed = await startShadow(
    t,
    'function smtp.do_rcpt() end',
    lua,
    [...['--journal', journal, '--journal-redact']],
    '0',
  );
  await sendMail(shadowed.milter, {
    ip: '192.0.2.77',
    sender: 'alice@example.net',
    rcpt: 'robert@example.com',
    subject: 'x',
  });
  const { groups } = await reportOf(shadowed, 1);
  const [example] = groups.map(({ example }) => example);
  assert.deepEqual(
    [example?.client, example?.sender, example?.command, example?.after.answer],
    ['192.0.2.0', '<...@example.net>', 'RCPT TO:<...@example.com>', '550 5.7.1 no ...@example.com'],
  );
  assert.equal(readFileSync(journal, 'latin1').includes('robert'), false);
});

test('without a candidate there is nothing to report', async (t) => {
  const milter = await startMilter(t, 'function smtp.do_mail() end', []);
  const { code, stderr } = await run(['shadow', 'report', '--spool', milter.spool]);
  assert.equal(code, 69);
  assert.match(stderr, /no candidate beside its policy: start it with --shadow\n$/);
  assert.equal((await statusOf(milter)).shadow, undefined);
  const wrong = await run(['shadow', 'list', '--spool', milter.spool]);
  assert.deepEqual(
    [wrong.code, wrong.stderr],
    [64, 'smtpf-milter: shadow list: no such action: report expected\n'],
  );
});
