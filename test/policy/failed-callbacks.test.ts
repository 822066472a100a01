/**
 * Mail that passed, or did not, because a callback failed: the log, the journal, `status`, `trace`, `why`, `try` and `test`
 * name the callback, the line and the action of --on-error.
 */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { startServer, type TestServer } from '../helpers/milter-server.ts';
import { Mta } from '../helpers/mta.ts';
import { failureOf } from '../policy-test/run-tests.ts';
import { startMilter, statusOf, view } from '../program/milter-client.ts';
import { directory, run } from '../program/program.ts';

const CALLBACKS = ['connect', 'helo', 'mail', 'rcpt', 'data', 'headers', 'chunk', 'dot'] as const;
const ACTIONS = ['continue', 'tempfail', 'reject', 'accept'] as const;
const VERDICTS = { continue: 'accept', tempfail: 'tempfail', reject: 'reject', accept: 'accept' } as const;
/** Line 3 fails. */
const failing = (callback: string): string =>
  `-- A policy\nfunction smtp.do_${callback}()\n  local x = nothing.at_all\nend\n`;

/** One session with so many messages, or as much of it as the milter lets through. */
async function send(milter: { readonly port: number }, messages = 1, macro = 'Q'): Promise<void> {
  const mta = await Mta.open(milter);
  const say = async (reply: Promise<{ readonly letter: string }>): Promise<boolean> =>
    (await reply).letter === 'c';
  if ((await say(mta.connect('192.0.2.7', 'mx.example'))) && (await say(mta.helo('helo.example')))) {
    for (let message = 1; message <= messages; message++) {
      mta.macro('M', 'i', `${macro}${message}`);
      if (!(await say(mta.mail('<a@b.example>')))) continue;
      if (!(await say(mta.rcpt('<c@d.example>')))) continue;
      if (await say(mta.data())) await mta.content([['Subject', ' x']], 'text\r\n');
    }
  }
  await mta.quit();
}

/** The decisions that are logged for what `drive` does. */
async function decisionsOn(
  t: TestContext,
  source: string,
  drive: (server: TestServer) => Promise<void> = (server) => send(server),
  options: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const server = await startServer({ source }, options);
  t.after(() => server.close());
  await drive(server);
  await server.whenIdle();
  return server.log.lines.filter((line) => line.includes(' (script '));
}

async function twoRecipients(server: TestServer): Promise<void> {
  const mta = await Mta.open(server);
  await mta.mail('<a@b.example>');
  for (const recipient of ['<c@d.example>', '<e@d.example>']) await mta.rcpt(recipient);
  await mta.data();
  await mta.content([], 'text\r\n');
  await mta.quit();
}

describe('the decision line', () => {
  for (const onError of ACTIONS) {
    test(`names the callback that failed, its line and --on-error ${onError}`, async (t) => {
      for (const callback of CALLBACKS) {
        const [line = '', ...more] = await decisionsOn(t, failing(callback), send, { 'on-error': onError });
        const cause = `smtp\\.do_${callback} failed at \\S+smtpf\\.lua:3, --on-error ${onError}`;
        const verdict = VERDICTS[onError];
        assert.match(line, new RegExp(`: ${verdict}: ${cause} \\(script [0-9a-f]{12}\\), `), callback);
        assert.deepEqual(more, []);
      }
    });
  }

  test('says it of each message of a session that began with a failure', async (t) => {
    const source = `${failing('helo')}function smtp.do_mail() end\n`;
    const lines = await decisionsOn(t, source, (server) => send(server, 2));
    assert.equal(lines.length, 2);
    for (const line of lines)
      assert.match(line, /: accept: smtp\.do_helo failed at \S+:3, --on-error continue/);
  });

  test('says it of the message in which it happened, and not of the next', async (t) => {
    const source =
      'function smtp.do_mail()\n  count = (count or 0) + 1\n  if count == 1 then error("x") end\nend';
    const [first = '', second = ''] = await decisionsOn(t, source, (server) => send(server, 2));
    assert.match(first, /: accept: smtp\.do_mail failed at \S+:3, --on-error continue/);
    assert.match(second, /: accept: no callback objected \(script /);
  });

  test('a failing smtp.rset has no mail to bear on', async (t) => {
    const lines = await decisionsOn(t, failing('rset'), (server) => send(server, 2));
    for (const line of lines) assert.match(line, /: accept: no callback objected \(script /);
  });

  test('counts failures in one place, and tells of those in others', async (t) => {
    const source = `function smtp.do_rcpt()\n error("x")\nend\nfunction smtp.do_dot()\n error("y")\nend`;
    assert.match(
      (await decisionsOn(t, source, twoRecipients)).join('\n'),
      /: accept: smtp\.do_rcpt failed at \S+:2 \(2 times\), smtp\.do_dot failed at \S+:5, --on-error continue \(script /,
    );
  });

  test('a callback that has ended the script is named for all messages that follow in the session', async (t) => {
    const source = 'function smtp.do_mail()\n  while true do end\nend\nfunction smtp.do_dot() end';
    const drive = async (server: TestServer): Promise<void> => {
      await send(server, 2);
      await server.log.until(
        / smtp\.do_mail: .*; --on-error continue; the script runs no more in this session$/,
      );
    };
    const lines = await decisionsOn(t, source, drive, { 'cpu-ms': '50' });
    assert.equal(lines.length, 2);
    for (const line of lines)
      assert.match(line, /: accept: smtp\.do_mail failed at \S+:2, --on-error continue/);
  });

  test('what another callback has refused is its own decision, with the failure behind it', async (t) => {
    const source = `${failing('mail')}function smtp.do_rcpt() return 550, "5.1.1 no" end`;
    assert.match(
      (await decisionsOn(t, source)).join('\n'),
      /: reject: smtp\.do_rcpt: 550 5\.1\.1 no at \S+:5; smtp\.do_mail failed at \S+:3, --on-error continue \(script /,
    );
  });

  test('a refused DATA is a decision', async (t) => {
    const lines = await decisionsOn(t, 'function smtp.do_data() return 451, "4.7.1 later" end');
    assert.match(lines.join('\n'), /: tempfail: smtp\.do_data: 451 4\.7\.1 later at \S+:1 \(script /);
  });

  test('a recipient that was refused because do_rcpt failed', async (t) => {
    const source = `function smtp.do_rcpt(r)\n  if r:find("^c") then error("x") end\nend\nfunction smtp.do_dot() end`;
    const lines = await decisionsOn(t, source, twoRecipients, { 'on-error': 'tempfail' });
    assert.match(
      lines.join('\n'),
      /: accept: no callback objected; smtp\.do_rcpt failed at .* to=<c@d\.example> \(failed at \S+:2, --on-error tempfail\),<e@d\.example>/,
    );
  });

  test('a do_dot that returned nothing has not objected', async (t) => {
    const lines = await decisionsOn(t, 'function smtp.do_dot() end');
    assert.match(lines.join('\n'), /: accept: no callback objected \(script /);
  });

  test('a message that is put into quarantine, by whichever callback', async (t) => {
    const lines = await decisionsOn(t, 'function smtp.do_rcpt() smtp.quarantine "odd" end');
    assert.match(lines.join('\n'), /: quarantine: smtp\.quarantine: odd \(script /);
  });

  test('a message file that cannot be written is a do_dot that failed', async (t) => {
    const path = join(directory(t), 'policy.lua');
    writeFileSync(path, 'function smtp.do_dot(path) return 550, path end');
    const server = await startServer({ path });
    t.after(() => server.close());
    // A directory that has gone would be made again.
    const spool = join(server.directory, 'spool');
    rmSync(spool, { recursive: true });
    writeFileSync(spool, '');
    await send(server);
    await server.log.until(/ smtp\.do_dot: message file: .*; --on-error continue$/);
    await server.log.until(/: accept: smtp\.do_dot failed: message file: .*, --on-error continue \(script /);
  });

  test('a policy that looks at no message, or that does not run: each message leaves its line', async (t) => {
    for (const [source, cause] of [
      [failing('connect'), 'smtp\\.do_connect failed at \\S+:3, --on-error continue'],
      ['function smtp.do_connect() end', 'no callback objected'],
      ['\nerror("oops")', 'main chunk failed at \\S+smtpf\\.lua:2, --on-error continue'],
      ['\nfunction smtp.do_rcpt(', 'the script does not run \\(\\S+smtpf\\.lua:2\\), --on-error continue'],
    ] as const) {
      const lines = await decisionsOn(t, source, (server) => send(server, 2));
      assert.equal(lines.length, 2);
      for (const line of lines) assert.match(line, new RegExp(`: accept: ${cause} \\(script `));
    }
  });
});

test('a message that passes as the script does not run: its line names client, HELO, sender and recipient', async (t) => {
  for (const source of ['\nerror("oops")', '\nfunction smtp.do_rcpt(']) {
    const [line] = await decisionsOn(t, source, (server) => send(server));
    assert.match(
      line ?? '',
      /: client=(?!unknown\[\])\S+\[[\d.]+\]: accept: .* helo=<\S+> from=<\S+> to=<\S+>$/,
    );
  }
});

for (const workers of ['0', '2']) {
  test(`status, trace, why and the journal tell of it, with --workers ${workers}`, async (t) => {
    const journal = join(directory(t), 'journal');
    const milter = await startMilter(t, failing('dot'), ['--workers', workers, '--journal', journal]);
    const viewer = view(t, ['trace', '--spool', milter.spool]);
    await viewer.until('stderr', /attached/);
    const objects = view(t, ['trace', '--json', '--spool', milter.spool]);
    await objects.until('stderr', /attached/);
    await send(milter, 1, '4Fail');
    await send(milter);
    await viewer.until('stdout', /4Fail1: client=\S+: accept: /);
    assert.match(
      viewer.stdout,
      /: smtp\.do_dot\(\) -> failed at \S+policy\.lua:3, --on-error continue, cpu \d+\.\d+ ms, wall \d+\.\d+ ms: attempt to index a nil value/,
    );
    await objects.until('stdout', /"decision".*\n/);
    const [call, decision] = objects.stdout
      .split('\n')
      .slice(0, 2)
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      [call.callback, call.result, call.where, call.onError],
      ['smtp.do_dot', 'continue', `${milter.script}:3`, 'continue'],
    );
    assert.equal(decision.onError, 'continue');
    assert.deepEqual(decision.failures, [
      {
        callback: 'smtp.do_dot',
        where: `${milter.script}:3`,
        message: call.failure,
        action: 'continue',
        times: 1,
      },
    ]);

    const found = await statusOf(milter);
    const dot = found.callbacks.find(({ name }) => name === 'smtp.do_dot');
    assert.equal(dot?.failures, 2);
    assert.deepEqual([dot.lastFailure?.where, dot.lastFailure?.action], [`${milter.script}:3`, 'continue']);
    assert.equal(found.scriptErrors, 2);
    const status = await run(['status', '--spool', milter.spool]);
    assert.match(
      status.stdout,
      /^failed {6}smtp\.do_dot, 2 times; last at \S+policy\.lua:3, 20\S+Z, --on-error continue: attempt to index/m,
    );

    const why = await run(['why', '4Fail1', '--spool', milter.spool]);
    assert.match(
      why.stdout,
      /^ {2}verdict {2}accept: smtp\.do_dot failed at \S+policy\.lua:3, --on-error continue$/m,
    );
    assert.match(
      why.stdout,
      /^ {2}failed {3}smtp\.do_dot at \S+policy\.lua:3: .*attempt to index a nil value .* \(--on-error continue\)$/m,
    );
  });
}

test('--log-format json', async (t) => {
  const args = ['--workers', '0', '--log-format', 'json', '--on-error', 'tempfail'];
  const milter = await startMilter(t, failing('rcpt'), args);
  await send(milter);
  await milter.running.stop();
  const decision = milter.running.stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
    .find(({ event }) => event === 'decision');
  const { verdict, callback, where, onError, failures, recipients } = decision;
  const place = `${milter.script}:3`;
  assert.deepEqual(
    { verdict, callback, where, onError },
    { verdict: 'tempfail', callback: 'smtp.do_rcpt', where: place, onError: 'tempfail' },
  );
  assert.deepEqual(recipients[0].refused, { where: place, onError: 'tempfail' });
  assert.deepEqual(
    failures.map(({ message: _, ...rest }: { message: string }) => rest),
    [{ callback: 'smtp.do_rcpt', where: place, action: 'tempfail', times: 1 }],
  );
});

test('the journal, redacted, keeps no address of an error message', async (t) => {
  const journal = join(directory(t), 'journal');
  const source = 'function smtp.do_rcpt(rcpt) error("cannot find " .. rcpt) end';
  const milter = await startMilter(t, source, ['--journal', journal, '--journal-redact', '--workers', '0']);
  await send(milter, 1, '4Fail');
  await milter.running.stop();
  const { stdout } = await run(['why', '4Fail1', '--journal', journal]);
  assert.match(stdout, /failed {3}smtp\.do_rcpt at \S+:1: cannot find \.\.\.@d\.example/);
  assert.doesNotMatch(stdout, /\bc@d/);
});

describe('try', () => {
  const tryIt = async (t: TestContext, source: string, ...args: string[]) => {
    const policy = join(directory(t), 'policy.lua');
    writeFileSync(policy, source);
    return run(['try', policy, ...args]);
  };

  test('its summary says which callbacks failed, and what was done about it', async (t) => {
    for (const callback of ['connect', 'rcpt', 'dot']) {
      const { code, stdout } = await tryIt(t, failing(callback));
      assert.equal(code, 3);
      assert.match(
        stdout,
        new RegExp(
          `^The message is accepted\nsmtp\\.do_${callback} failed: \\S+policy\\.lua:3: attempt to index .* \\(--on-error continue\\)$`,
          'm',
        ),
      );
    }
    const deferred = await tryIt(t, failing('dot'), '--on-error', 'tempfail');
    assert.match(
      deferred.stdout,
      /^The message is deferred\nsmtp\.do_dot failed: .* \(--on-error tempfail\)$/m,
    );
    const broken = await tryIt(t, '\nerror("oops")');
    assert.match(
      broken.stdout,
      /^The message is accepted\nThe script does not run: \S+policy\.lua:2: oops \(--on-error continue\)$/m,
    );
  });

  test('--json', async (t) => {
    const { stdout } = await tryIt(t, failing('helo'), '--json');
    const { failures, calls } = JSON.parse(stdout);
    assert.equal(failures.length, 1);
    assert.deepEqual([failures[0].callback, failures[0].on_error], ['smtp.do_helo', 'continue']);
    assert.match(failures[0].where, /policy\.lua:3$/);
    assert.match(failures[0].error, /attempt to index a nil value/);
    assert.equal(calls[0].on_error, 'continue');
  });
});

test('test: an assertion that fails says which callback had failed', async (t) => {
  const message = await failureOf(
    t,
    failing('dot'),
    `local s = test.session { helo = "x", on_error = "continue" }
     s:mail "a@b.example" s:rcpt "c@d.example"
     test.refused(s:message { body = "x" })`,
  );
  assert.match(
    message,
    /\n {2}failed: {3}smtp\.do_dot, DIR\/p\.lua:3: attempt to index a nil value .* \(--on-error continue\)$/,
  );
});
