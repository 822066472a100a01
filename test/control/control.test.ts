/** Seeing the running program: status, trace, why, and the decisions in its log. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFileSync, lstatSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Decision } from '../../src/control/decision.ts';
import { Journal } from '../../src/control/journal.ts';
import { searchJournal } from '../../src/control/journal-search.ts';
import {
  type Milter,
  mailReply,
  startMilter,
  statusOf,
  statusUntil,
  view,
} from '../program/milter-client.ts';
import { directory, run } from '../program/program.ts';

const POLICY = `
function smtp.do_connect(ip)
  if ip == "192.0.2.66" then return 554, "5.7.1 not you" end
end
function smtp.do_rcpt(rcpt)
  if rcpt:match "^no" then return 550, "5.1.1 unknown" end
end
function smtp.do_dot(path)
  if smtp.tran.sender:match "^spam" then return 550, "5.7.1 no spam" end
  if smtp.tran.sender:match "^odd" then smtp.quarantine "odd" end
  if smtp.tran.sender:match "^fail" then error "oops" end
end
`;

interface Sent {
  readonly from: string;
  readonly to: readonly string[];
  readonly ip?: string;
  readonly queueId?: string;
}

async function send(milter: Milter, { from, to, ip = '192.0.2.7', queueId }: Sent): Promise<void> {
  const mta = await milter.connect();
  await mta.connect(ip, 'mx.example');
  await mta.helo('helo.example');
  await mta.mail(`<${from}>`, 'SIZE=99');
  let accepted = 0;
  for (const address of to) if ((await mta.rcpt(`<${address}>`)).letter === 'c') accepted += 1;
  if (queueId !== undefined) mta.macro('T', 'i', queueId);
  if (accepted > 0) {
    await mta.data();
    await mta.content([['Subject', ' x']], 'text\r\n');
  }
  await mta.quit();
}

const JOE: Sent = { from: 'joe@a.example', to: ['no@b.example', 'ann@b.example'], queueId: '4Joe' };
const SPAM: Sent = { from: 'spam@a.example', to: ['ann@b.example'], queueId: '4Spam' };

for (const workers of ['0', '2']) {
  describe(`with --workers ${workers}`, { concurrency: 2 }, () => {
    test('status shows the maps that are open, and what is wrong with them', async (t) => {
      const access = join(directory(t), 'access');
      writeFileSync(access, 'a.example REJECT\nb.example OK\n');
      const policy = `local access = map.open "${access}"
        local users = map.open "socketmap:inet:127.0.0.1:1:users"
        function smtp.do_mail(sender) users:get(tostring(access:get(sender))) end`;
      const milter = await startMilter(t, policy, ['--workers', workers]);
      for (let i = 0; i < 6; i++) await send(milter, JOE);
      const until = async (spec: string, problem: RegExp | null) => {
        const end = performance.now() + 60_000;
        for (;;) {
          const found = (await statusOf(milter)).maps.find((map) => map.spec === spec);
          const said = found?.problem ?? null;
          if (found && (problem === null ? said === null : problem.test(said ?? ''))) return found;
          assert.ok(performance.now() < end, JSON.stringify(found));
          await send(milter, JOE);
        }
      };
      const good = await until(access, null);
      assert.equal(good.entries, 2);
      assert.ok(Math.abs(Date.parse(good.readAt ?? '') - Date.now()) < 60_000);
      writeFileSync(access, 'a.example REJECT\nbroken\n');
      assert.equal((await until(access, /:2: a key without a value$/)).entries, 2);
      await until(
        'socketmap:inet:127.0.0.1:1:users',
        /^does not answer: unavailable socketmap at 127\.0\.0\.1:1: ECONNREFUSED$/,
      );
      const text = (await run(['status', '--spool', milter.spool])).stdout;
      assert.match(text, new RegExp(`^map {9}${access}, 2 entries, read 20.*Z$`, 'm'));
      writeFileSync(access, 'a.example REJECT\nb.example OK\nc.example OK\n');
      assert.equal((await until(access, null)).entries, 3);
    });

    test('status shows what was decided, and how long callbacks took', async (t) => {
      const milter = await startMilter(t, POLICY, ['--workers', workers]);
      await send(milter, JOE);
      await send(milter, SPAM);
      await send(milter, { from: 'odd@a.example', to: ['ann@b.example'] });
      await send(milter, { from: 'fail@a.example', to: ['ann@b.example'] });
      await send(milter, { from: 'x@a.example', to: ['no@b.example'] });
      const refused = await milter.connect();
      await refused.connect('192.0.2.66');
      const found = await statusUntil(
        milter,
        ({ sessions, connections }) => sessions.total === 6 && sessions.open === 1 && connections === 1,
      );
      assert.deepEqual(found.messages, {
        accept: 2,
        reject: 2,
        tempfail: 0,
        discard: 0,
        quarantine: 1,
        abandoned: 0,
      });
      assert.deepEqual(found.sessions, { open: 1, total: 6, refused: 1 });
      assert.equal(found.connections, 1);
      assert.equal(found.scriptErrors, 1);
      assert.equal(found.pid, milter.running.child.pid);
      assert.match(found.script.hash ?? '', /^[0-9a-f]{12}$/);
      const rcpt = found.callbacks.find(({ name }) => name === 'smtp.do_rcpt');
      assert.equal(rcpt?.calls, 6);
      assert.ok(rcpt.wallMaxMs >= rcpt.wallP95Ms && rcpt.wallP95Ms >= rcpt.wallMeanMs / 2);
      assert.ok(rcpt.wallMeanMs >= rcpt.cpuMeanMs && rcpt.cpuMaxMs >= rcpt.cpuMeanMs && rcpt.cpuMeanMs > 0);
      const text = await run(['status', '--spool', milter.spool]);
      assert.equal(text.code, 0);
      assert.match(
        text.stdout,
        /^messages +2 accept, 2 reject, 0 tempfail, 0 discard, 1 quarantine, 0 abandoned$/m,
      );
      const json = await run(['status', '--json', '--spool', milter.spool]);
      assert.deepEqual(JSON.parse(json.stdout).messages, found.messages);
    });

    test('trace shows matching sessions from their first callback, and leaves no trace', async (t) => {
      const milter = await startMilter(t, POLICY, ['--workers', workers]);
      const viewer = view(t, [
        'trace',
        '--spool',
        milter.spool,
        '--rcpt',
        'ANN@b.example',
        '--ip',
        '192.0.2.0/28',
      ]);
      await viewer.until('stderr', /attached/);
      await send(milter, { ...JOE, ip: '192.0.2.77' });
      await send(milter, { ...JOE, to: ['no@b.example', 'bob@b.example'] });
      await send(milter, JOE);
      await viewer.until('stdout', /4Joe: client=\S+: accept: /);
      const lines = viewer.stdout.trimEnd().split('\n');
      assert.equal(lines.length, 5, viewer.stdout);
      assert.match(
        lines[0] ?? '',
        /: smtp\.do_connect\("192\.0\.2\.7", "mx\.example"\) -> continue at \S+:4, cpu \d+\.\d+ ms, wall \d+\.\d+ ms$/,
      );
      assert.match(
        lines[1] ?? '',
        /: smtp\.do_rcpt\("no@b\.example", \{\}\) -> 550 5\.1\.1 unknown at \S+policy\.lua:6, /,
      );
      assert.match(lines[2] ?? '', /: smtp\.do_rcpt\("ann@b\.example", \{\}\) -> continue/);
      assert.match(lines[3] ?? '', /: 4Joe: smtp\.do_dot\(\) -> continue/);
      assert.match(
        lines[4] ?? '',
        /: client=mx\.example\[192\.0\.2\.7\]: .* size=20 cpu=[\d.]+ms wall=[\d.]+ms helo=<helo\.example> from=<joe@a\.example> to=<no@b\.example> \(550 5\.1\.1 unknown at \S+:6\),<ann@b\.example>$/m,
      );
      viewer.child.kill('SIGINT');
      assert.equal(await viewer.ended(), 0);
      assert.equal(await mailReply(milter), 'c');
    });

    test('trace --json prints objects', async (t) => {
      const milter = await startMilter(t, POLICY, ['--workers', workers]);
      const viewer = view(t, ['trace', '--json', '--spool', milter.spool, '--from', 'a.example']);
      await viewer.until('stderr', /attached/);
      await send(milter, SPAM);
      await viewer.until('stdout', /"decision"/);
      const records = viewer.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      assert.deepEqual(
        records.map(({ kind, callback, result, verdict }) => [kind, callback, result ?? verdict]),
        [
          ['call', 'smtp.do_connect', 'continue'],
          ['call', 'smtp.do_rcpt', 'continue'],
          ['call', 'smtp.do_dot', '550 5.7.1 no spam'],
          ['decision', 'smtp.do_dot', 'reject'],
        ],
      );
    });

    test('who traces and does not read is cut off, and sessions go on', async (t) => {
      const milter = await startMilter(t, 'function smtp.do_helo() end', ['--workers', workers]);
      const viewer = connect(`${milter.spool}.control`);
      t.after(() => viewer.destroy());
      viewer.write('{"command":"trace"}\n');
      await new Promise((resolve) => viewer.once('readable', resolve));
      let isCutOff = false;
      const mta = await milter.connect();
      viewer.on('close', () => {
        isCutOff = true;
      });
      await mta.connect('192.0.2.7');
      const name = 'x'.repeat(400);
      while (!isCutOff) {
        for (let helo = 0; helo < 500; helo++) assert.equal((await mta.helo(name)).letter, 'c');
        // It notices the end by reading what is left.
        const { sessions } = await statusOf(milter);
        assert.equal(sessions.open, 1);
        if (helosIn(await statusOf(milter)) > 20_000) viewer.resume();
      }
      assert.equal((await mta.helo(name)).letter, 'c');
    });

    test('why finds a message by its queue id, and by an address', async (t) => {
      const journal = join(directory(t), 'journal');
      const milter = await startMilter(t, POLICY, ['--workers', workers, '--journal', journal]);
      await send(milter, JOE);
      await send(milter, SPAM);
      const about = async (what: string, ...args: string[]) =>
        run(['why', what, '--spool', milter.spool, ...args]);
      const spam = await about('4Spam');
      assert.equal(spam.code, 0);
      assert.match(spam.stdout, /^ {2}verdict {2}reject: 550 5\.7\.1 no spam$/m);
      assert.match(spam.stdout, /^ {2}by {7}smtp\.do_dot at \S+policy\.lua:9$/m);
      const ann = JSON.parse((await about('ann@B.example', '--json')).stdout);
      assert.deepEqual(
        ann.map(({ queueId }: { queueId: string }) => queueId),
        ['4Spam', '4Joe'],
      );
      const nobody = await about('nobody@b.example');
      assert.deepEqual([nobody.code, nobody.stdout], [1, 'nothing in the journal about nobody@b.example\n']);
      assert.equal(await milter.running.stop(), 0);
      const later = await run(['why', '4Joe', '--journal', journal]);
      assert.match(later.stdout, /^ {2}to {7}<no@b\.example> {2}550 5\.1\.1 unknown at \S+policy\.lua:6$/m);
      assert.equal(statSync(journal).mode & 0o777, 0o600);
    });
  });
}

function helosIn({ callbacks }: Awaited<ReturnType<typeof statusOf>>): number {
  return callbacks.find(({ name }) => name === 'smtp.do_helo')?.calls ?? 0;
}

test('the control socket is for the user alone', async (t) => {
  const path = join(directory(t), 'control.sock');
  const milter = await startMilter(t, POLICY, ['--control', path]);
  assert.equal(lstatSync(path).mode & 0o777, 0o600);
  assert.equal((await run(['status', '--control', path])).code, 0);
  assert.equal(await milter.running.stop(), 0);
  assert.throws(() => lstatSync(path));
});

test('--control none: there is no socket', async (t) => {
  const milter = await startMilter(t, POLICY, ['--control', 'none']);
  assert.throws(() => lstatSync(`${milter.spool}.control`));
});

for (const command of [['status'], ['trace'], ['why', '4Joe']]) {
  test(`${command[0]} without a server: one line that names the socket`, async (t) => {
    const path = join(directory(t), 'control.sock');
    const { code, stdout, stderr } = await run([...command, '--control', path]);
    assert.deepEqual([code, stdout], [69, '']);
    assert.match(
      stderr,
      new RegExp(`^smtpf-milter: no server answers at ${path} \\(no such file or directory\\): .*\\n$`),
    );
  });
}

test('why without a journal says how to have one', async (t) => {
  const milter = await startMilter(t, POLICY, []);
  const { code, stderr } = await run(['why', '4Joe', '--spool', milter.spool]);
  assert.deepEqual(
    [code, stderr],
    [69, 'smtpf-milter: the server keeps no journal: start it with --journal\n'],
  );
});

function decisionOn(queueId: string): Decision {
  return {
    time: Date.now(),
    session: 's1',
    queueId,
    client: { ip: '192.0.2.7', ptr: '' },
    sender: 'joe@a.example',
    recipients: [{ address: 'ann@b.example' }],
    recipientCount: 1,
    verdict: 'accept',
    cpuMilliseconds: 1,
    wallMilliseconds: 2,
  };
}

describe('the journal', () => {
  async function journaled(t: TestContext, ...args: string[]): Promise<{ milter: Milter; path: string }> {
    const path = join(directory(t), 'journal');
    return { milter: await startMilter(t, POLICY, ['--journal', path, ...args]), path };
  }

  test('names nobody where it is redacted, and finds addresses all the same', async (t) => {
    const { milter, path } = await journaled(t, '--journal-redact');
    await send(milter, JOE);
    const found = await run(['why', 'joe@a.example', '--spool', milter.spool, '--json']);
    assert.equal(JSON.parse(found.stdout).length, 1, found.stderr);
    const kept = readFileSync(path, 'utf8');
    assert.doesNotMatch(kept, /joe|ann@|no@|192\.0\.2\.7|mx\.example|helo\.example/);
    assert.match(kept, /"ip":"192\.0\.2\.0"/);
  });

  test('tells nobody by texts, half of a quoted name or a dictionary, and nothing without its key', async (t) => {
    const path = join(directory(t), 'journal');
    const settings = {
      path,
      maxBytes: 100_000,
      redact: true,
      warn: (message: string) => assert.fail(message),
    };
    const journal = await Journal.open(settings);
    journal.add({
      ...decisionOn('Q1'),
      client: { ip: '198.51.100.77', ptr: 'joes-pc.example', helo: 'joes-laptop' },
      sender: '"joe the plumber"@a.example',
      recipients: [
        {
          address: 'Ann.Smith@b.example',
          refused: {
            code: 550,
            text: '5.1.1 no "ann smith"@b.example, ann.smith is not here, [198.51.100.78]',
          },
        },
      ],
      text: '5.7.1 joe the plumber from joes-pc.example (198.51.100.77, 2001:db8:1:2::3), a JOES-LAPTOP',
    });
    await journal.close();
    const kept = readFileSync(path, 'utf8');
    assert.doesNotMatch(kept, /joe|plumber|ann|smith|laptop|198\.51\.100\.7|1:2::3/i);
    assert.match(kept, /@a\.example/);
    // The words are there all the same.
    assert.match(kept, /5\.7\.1 \.\.\. from \.\.\. /);
    // A digest is no hash of the name that anybody can make from what the journal holds.
    const [head = ''] = kept.split('\n');
    const { key } = JSON.parse(head) as { key: string };
    for (const algorithm of ['md5', 'sha1', 'sha256', 'sha512']) {
      for (const text of ['', key, `${key} `]) {
        const digest = createHash(algorithm).update(`${text}ann.smith@b.example`).digest('hex').slice(0, 16);
        assert.ok(!kept.includes(digest));
      }
    }
    assert.equal((await searchJournal(path, { what: 'ann.smith@b.example' })).length, 1);
    assert.equal(statSync(`${path}.key`).mode & 0o777, 0o600);
    // Another key: the journal begins anew, the old one stays beside it.
    renameSync(`${path}.key`, `${path}.elsewhere`);
    assert.equal((await searchJournal(path, { what: 'ann.smith@b.example' })).length, 0);
    assert.equal((await searchJournal(path, { what: 'ann.smith@b.example' }, `${path}.elsewhere`)).length, 1);
    const again = await Journal.open(settings);
    again.add(decisionOn('Q2'));
    await again.close();
    assert.equal((await searchJournal(path, { what: 'Q1' })).length, 1);
    assert.equal((await searchJournal(path, { what: 'Q2' })).length, 1);
  });

  test('stays within its size, keeps the newest, and goes on where it was', async (t) => {
    const path = join(directory(t), 'journal');
    const settings = {
      path,
      maxBytes: 100_000,
      redact: false,
      warn: (message: string) => assert.fail(message),
    };
    let last = 0;
    for (let run = 0; run < 2; run++) {
      const journal = await Journal.open(settings);
      for (let n = 0; n < 1000; n++) {
        last += 1;
        journal.add(decisionOn(`Q${last}`));
        if (n % 50 === 0) await journal.flush();
      }
      await journal.close();
      const size = statSync(path).size + statSync(`${path}.1`).size;
      assert.ok(size <= 100_000 && size > 40_000, String(size));
    }
    assert.equal((await searchJournal(path, { what: `q${last}` })).length, 1);
    assert.equal((await searchJournal(path, { what: 'Q1' })).length, 0);
    assert.equal((await searchJournal(path, { what: 'ann@b.example' })).length, 20);
  });

  test('a line that a crash has cut does no harm', async (t) => {
    const path = join(directory(t), 'journal');
    const settings = {
      path,
      maxBytes: 100_000,
      redact: true,
      warn: (message: string) => assert.fail(message),
    };
    const journal = await Journal.open(settings);
    journal.add(decisionOn('Q1'));
    await journal.close();
    appendFileSync(path, '{"session":"s", "queue\n');
    const again = await Journal.open(settings);
    again.add(decisionOn('Q2'));
    await again.close();
    assert.equal((await searchJournal(path, { what: '<Ann@b.example>' })).length, 2);
  });

  test('is not put in the place of another file', async (t) => {
    const path = join(directory(t), 'other');
    writeFileSync(path, 'precious\n');
    const ended = await run([
      '--listen',
      'inet:0@127.0.0.1',
      '--spool',
      join(directory(t), 's'),
      '--journal',
      path,
    ]);
    assert.deepEqual(ended, {
      code: 78,
      stdout: '',
      stderr: `smtpf-milter: --journal ${path}: is not a journal\n`,
    });
    assert.equal(readFileSync(path, 'utf8'), 'precious\n');
  });
});

describe('--log-format json', () => {
  test('each line is an object, a decision with its parts', async (t) => {
    const milter = await startMilter(
      t,
      `require "syslog"\nsyslog.info "caf\\xc3\\xa9"\nsyslog.info "\\xff"\n${POLICY}`,
      ['--log-format', 'json'],
    );
    await send(milter, JOE);
    assert.equal(await milter.running.stop(), 0);
    const records = milter.running.stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const decision = records.find(({ event }) => event === 'decision');
    assert.deepEqual(decision.recipients, [
      {
        address: 'no@b.example',
        refused: { code: 550, text: '5.1.1 unknown', where: `${milter.script}:9` },
      },
      { address: 'ann@b.example' },
    ]);
    const { sender, queueId, verdict, size, client, level, script, cpuMilliseconds, wallMilliseconds } =
      decision;
    assert.deepEqual(
      { sender, queueId, verdict, size, client, level },
      {
        sender: 'joe@a.example',
        queueId: '4Joe',
        verdict: 'accept',
        size: 20,
        client: { ip: '192.0.2.7', ptr: 'mx.example', helo: 'helo.example' },
        level: 'info',
      },
    );
    assert.match(script, /^[0-9a-f]{12}$/);
    assert.ok(cpuMilliseconds > 0 && wallMilliseconds >= cpuMilliseconds);
    assert.ok(records.every(({ time }) => !Number.isNaN(Date.parse(time))));
    const scriptLines = records.filter(({ ident }) => ident === 'smtpf').map(({ message }) => message);
    assert.ok(scriptLines.some((message) => message.endsWith('caf\u00e9')));
    assert.ok(scriptLines.some((message) => message.endsWith('\u00ff')));
  });

  test('no decisions are logged above their level', async (t) => {
    const milter = await startMilter(t, POLICY, ['--log-level', 'notice']);
    await send(milter, JOE);
    assert.equal(await milter.running.stop(), 0);
    assert.doesNotMatch(milter.running.stderr, /accept/);
  });
});

describe('the decision line', () => {
  async function decided(
    t: TestContext,
    lua: string,
    drive: (milter: Milter) => Promise<void>,
  ): Promise<string> {
    const milter = await startMilter(t, lua, ['--workers', '0', '--max-header-mb', '1']);
    await drive(milter);
    return (await milter.running.until('stderr', / info .*\(script [0-9a-f]{12}\), .*/))[0];
  }

  test('of a session that was refused', async (t) => {
    const line = await decided(t, POLICY, async (milter) => {
      const mta = await milter.connect();
      await mta.connect('192.0.2.66');
    });
    assert.match(
      line,
      /\.\d+: client=unknown\[192\.0\.2\.66\]: reject: smtp\.do_connect: 554 5\.7\.1 not you at \S+:3 .* cpu=[\d.]+ms wall=/,
    );
  });

  test('of a message whose recipients were all refused', async (t) => {
    const line = await decided(t, POLICY, (milter) =>
      send(milter, { from: 'a@b.example', to: ['no@b.example'] }),
    );
    assert.match(line, /\.1: client=\S+: reject: smtp\.do_rcpt: 550 5\.1\.1 unknown at \S+:6 .* size=99 /);
  });

  test('of a message that was given up', async (t) => {
    const line = await decided(t, POLICY, async (milter) => {
      const mta = await milter.connect();
      await mta.mail('<a@b.example>');
      await mta.rcpt('<c@d.example>');
      mta.abort();
    });
    assert.match(
      line,
      /\.1: client=\S+: abandoned: given up by the client or the MTA \(script .* from=<a@b\.example> to=<c@d\.example>/,
    );
  });

  test('of messages that no callback decided', async (t) => {
    const anyOne = async (milter: Milter): Promise<void> => {
      await send(milter, { from: 'a@b.example', to: ['c@d.example'] });
    };
    const line = await decided(t, 'function smtp.do_unknown() end', anyOne);
    assert.match(line, /\.1: client=\S+: accept: no callback objected \(script /);
    const one = 'function smtp.do_rcpt(to) if to:find("^no@") then return 550, "no" end end';
    const rest = await decided(t, one, async (milter) => {
      await send(milter, { from: 'a@b.example', to: ['c@d.example', 'no@d.example'] });
    });
    assert.match(
      rest,
      /\.1: client=\S+: accept: no callback objected \(script .* to=<c@d\.example>,<no@d\.example> \(550 no at /,
    );
    const broken = await startMilter(t, 'smtp.do_mail = ', ['--workers', '0', '--on-error', 'tempfail']);
    await (await broken.connect()).mail('<a@b.example>');
    await broken.running.until(
      'stderr',
      /\.1: client=\S+: tempfail: the script does not run \(\S+policy\.lua:1\), --on-error tempfail \(script none\), /,
    );
  });

  test('of a message that a bound refused, without a word of the script', async (t) => {
    const line = await decided(t, POLICY, async (milter) => {
      const mta = await milter.connect();
      await mta.mail('<a@b.example>');
      await mta.rcpt('<c@d.example>');
      await mta.data();
      const long = 'x'.repeat(60_000);
      const headers = Array.from({ length: 20 }, (_, n): [string, string] => [`X-${n}`, long]);
      assert.match((await mta.content(headers, 'text\r\n')).text, /^552 5\.3\.4 /);
    });
    assert.match(line, /\.1: client=\S+: reject: 552 5\.3\.4 \S.* \(script/);
  });
});
