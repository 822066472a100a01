/** What a session's watch finds to have been decided, from the events and verdicts of the session. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Decision } from '../../src/control/decision.ts';
import { SessionStats } from '../../src/control/session-stats.ts';
import type { PolicyEvent, Verdict } from '../../src/milter/policy.ts';
import type { Failure } from '../../src/policy/failure.ts';
import type { OnError } from '../../src/policy/policy-settings.ts';
import { Logger } from '../../src/syslog/log.ts';
import { sinkTo } from '../../src/syslog/log-sink.ts';
import { EVERYTHING } from '../helpers/interests.ts';

const CONTINUE: Verdict = { kind: 'continue' };
const ACCEPT: Verdict = { kind: 'accept' };
const DISCARD: Verdict = { kind: 'discard' };
const reply = (code: number, text: string): Verdict => ({ kind: 'reply', code, lines: [text] });

const EVENTS = {
  connect: {
    kind: 'connect',
    hostname: 'mx.example',
    client: { family: 'inet4', address: '192.0.2.7', port: 25 },
  },
  helo: { kind: 'helo', name: 'mx.example' },
  mail: { kind: 'mail', address: 'a@b.example', written: '<a@b.example>', params: ['SIZE=900'] },
  data: { kind: 'data' },
  headers: { kind: 'headers', lines: ['Subject: x', 'To: y'] },
  chunk: { kind: 'chunk', bytes: Buffer.from('body\r\n') },
  end: { kind: 'endOfMessage' },
  unknown: { kind: 'unknown', line: 'FOO' },
  reset: { kind: 'reset' },
  close: { kind: 'close' },
} as const satisfies Readonly<Record<string, PolicyEvent>>;

const rcpt = (address: string): PolicyEvent => ({
  kind: 'rcpt',
  address,
  written: `<${address}>`,
  params: [],
});

/** A session whose policy answers as each step says. */
class Watched {
  readonly stats: SessionStats;
  readonly decisions: Decision[] = [];
  readonly lines: string[] = [];
  readonly watch;
  readonly #macros = new Map<string, string>();
  #verdict: Verdict = CONTINUE;
  #callback: string | undefined;
  #failure: Failure | undefined;

  constructor() {
    const log = new Logger(
      sinkTo(({ text }) => this.lines.push(text)),
      'info',
    );
    this.stats = new SessionStats(log, (decision) => this.decisions.push(decision));
    this.watch = this.stats.watch({
      id: 's1',
      macros: { get: (name) => this.#macros.get(name) },
      grantedActions: () => 0,
    });
    this.watch.of({
      interests: EVERYTHING,
      handle: (event) => {
        const [name, verdict, failure] = [this.#callback, this.#verdict, this.#failure];
        if (name !== undefined) {
          const times = { cpuMilliseconds: 1.5, wallMilliseconds: 20 };
          this.watch.called({ name, verdict, where: () => 'p.lua:7', failure, ...times }, event);
        }
        return verdict;
      },
      cancel: () => {},
      dispose: () => {},
    });
  }

  /** @param callback that the event leads to, if any */
  step(event: PolicyEvent, verdict: Verdict = CONTINUE, callback?: string, failure?: Failure): this {
    [this.#verdict, this.#callback, this.#failure] = [verdict, callback, failure];
    assert.equal(this.watch.handle(event), verdict, 'verdicts pass unchanged');
    return this;
  }

  macro(name: string, value: string): this {
    this.#macros.set(name, value);
    return this;
  }

  /** Up to MAIL. */
  begin(): this {
    return this.step(EVENTS.connect).step(EVENTS.helo).step(EVENTS.mail);
  }

  /** From DATA to the end of the transaction. */
  deliver(verdict: Verdict = CONTINUE, callback?: string): this {
    const { data, headers, chunk, end, reset } = EVENTS;
    return this.step(data).step(headers).step(chunk).step(end, verdict, callback).step(reset);
  }

  get decision(): Decision {
    const [first, ...others] = this.decisions;
    assert.ok(first, 'nothing was decided');
    assert.equal(others.length, 0, 'more than one decision');
    return first;
  }
}

const failureOf = (action: OnError, endsScript = false): Failure => ({
  message: 'p.lua:7: oops',
  where: 'p.lua:7',
  traceback: '',
  action,
  endsScript,
  droppedEdits: 0,
});

describe('a message', () => {
  test('that nobody objects to is accepted, with what is known of it', () => {
    const session = new Watched().macro('i', '4FX').begin().step(rcpt('c@d.example')).deliver();
    const { time, ...decision } = session.decision;
    assert.ok(Math.abs(time - Date.now()) < 60_000);
    assert.deepEqual(decision, {
      session: 's1',
      transaction: 's1.1',
      sender: 'a@b.example',
      queueId: '4FX',
      client: { ip: '192.0.2.7', ptr: 'mx.example', helo: 'mx.example' },
      recipients: [{ address: 'c@d.example' }],
      recipientCount: 1,
      // Two header lines with their ends, the empty line, the body.
      size: 12 + 7 + 2 + 6,
      verdict: 'accept',
      cpuMilliseconds: 0,
      wallMilliseconds: 0,
    });
    assert.equal(session.stats.counts.messages.accept, 1);
    assert.match(session.lines.join('\n'), /^s1\.1: 4FX: client=mx\.example\[192\.0\.2\.7\]: accept: /);
  });

  test('is counted with what its callbacks took, and named after the one that decided', () => {
    const session = new Watched()
      .begin()
      .step(rcpt('c@d.example'), CONTINUE, 'smtp.do_rcpt')
      .deliver(reply(550, 'no'), 'smtp.do_dot');
    const { verdict, code, text, callback, where, cpuMilliseconds, wallMilliseconds } = session.decision;
    assert.deepEqual(
      { verdict, code, text, callback, where, cpuMilliseconds, wallMilliseconds },
      {
        verdict: 'reject',
        code: 550,
        text: 'no',
        callback: 'smtp.do_dot',
        where: 'p.lua:7',
        cpuMilliseconds: 3,
        wallMilliseconds: 40,
      },
    );
    assert.equal(session.stats.counts.callbacks['smtp.do_rcpt']?.calls, 1);
  });

  const { mail, data, end, reset } = EVENTS;
  const REFUSAL = reply(550, '5.1.1 no');
  const LATER = reply(450, '4.7.1 later');
  const outcomes: Readonly<Record<string, [play: (session: Watched) => void, verdict: string]>> = {
    'whose only recipient is refused is refused': [
      (s) => s.begin().step(rcpt('x@d'), REFUSAL, 'smtp.do_rcpt').step(reset),
      'reject',
    ],
    'whose last refused recipient may come again is for later': [
      (s) => s.begin().step(rcpt('x@d'), REFUSAL).step(rcpt('y@d'), LATER).step(reset),
      'tempfail',
    ],
    'with one of two recipients left is what becomes of that one': [
      (s) => s.begin().step(rcpt('x@d'), REFUSAL).step(rcpt('c@d')).deliver(),
      'accept',
    ],
    'that the client gives up is abandoned, refused recipients or not': [
      (s) => s.begin().step(rcpt('x@d'), REFUSAL).step(rcpt('c@d')).step(reset),
      'abandoned',
    ],
    'that is given up after its last recipient was refused is abandoned, as another was not': [
      (s) => s.begin().step(rcpt('c@d')).step(rcpt('x@d'), REFUSAL).step(reset),
      'abandoned',
    ],
    'discarded for one recipient stays so when another has it accepted': [
      (s) => s.begin().step(rcpt('c@d'), DISCARD).step(rcpt('e@d'), ACCEPT).deliver(),
      'discard',
    ],
    'that ends before any recipient is abandoned': [(s) => s.begin().step(reset), 'abandoned'],
    'whose DATA is refused is refused': [
      (s) => s.begin().step(rcpt('c@d')).step(data, REFUSAL).step(reset),
      'reject',
    ],
    'whose DATA is refused and that gets another recipient goes on': [
      (s) => s.begin().step(rcpt('c@d')).step(data, REFUSAL).step(rcpt('e@d')).step(reset),
      'abandoned',
    ],
    'refused at MAIL is refused': [(s) => s.step(EVENTS.connect).step(mail, LATER).step(reset), 'tempfail'],
    'accepted at MAIL stays so, whatever is said later': [
      (s) => s.step(mail, ACCEPT).step(rcpt('c@d'), REFUSAL).step(end, REFUSAL).step(reset),
      'accept',
    ],
    'discarded for one recipient is discarded': [
      (s) => s.begin().step(rcpt('c@d'), DISCARD).step(rcpt('e@d'), REFUSAL).step(reset),
      'discard',
    ],
    'refused by the MTA’s own words': [
      (s) => s.begin().step(rcpt('c@d')).step(end, { kind: 'tempfail' }).step(reset),
      'tempfail',
    ],
  };
  for (const [name, [play, verdict]] of Object.entries(outcomes)) {
    test(name, () => {
      const session = new Watched();
      play(session);
      assert.equal(session.decision.verdict, verdict);
      const counted = Object.entries(session.stats.counts.messages).filter(([, count]) => count > 0);
      assert.deepEqual(counted, [[verdict, 1]]);
    });
  }

  test('that is held has the reason of smtp.quarantine, unless it is refused after all', () => {
    const held = (kind: 'accept' | 'continue'): Verdict => ({
      kind,
      modifications: [{ kind: 'quarantine', reason: 'looks odd' }],
    });
    for (const kind of ['accept', 'continue'] as const) {
      const session = new Watched().begin().step(rcpt('c@d')).deliver(held(kind), 'smtp.do_dot');
      const { verdict, text, callback } = session.decision;
      assert.deepEqual([verdict, text, callback], ['quarantine', 'looks odd', undefined]);
    }
    const discarded = new Watched().begin().step(rcpt('c@d'), DISCARD).deliver(held('accept'));
    assert.equal(discarded.decision.verdict, 'discard');
  });

  test('that a bound of the protocol’s side ends has the words that the MTA was told', () => {
    for (const [text, verdict, code, words] of [
      ['552 5.3.4 100%% full', 'reject', 552, '5.3.4 100% full'],
      ['451 4.3.2 Insufficient memory', 'tempfail', 451, '4.3.2 Insufficient memory'],
    ] as const) {
      const session = new Watched().begin().step(rcpt('c@d'));
      session.watch.replied({ kind: 'replyCode', text });
      const { decision } = session.step(reset);
      assert.deepEqual(
        [decision.verdict, decision.code, decision.text, decision.callback],
        [verdict, code, words, undefined],
      );
    }
  });

  test('of which MAIL was not told begins at its end, with the MTA’s macro for the sender', () => {
    const session = new Watched().step(EVENTS.connect).macro('{mail_addr}', 'm@b.example').step(end);
    const { decision } = session.step(reset);
    assert.deepEqual([decision.verdict, decision.sender], ['accept', 'm@b.example']);
  });

  test('keeps its first 20 recipients, and counts all', () => {
    const session = new Watched().begin();
    for (let i = 1; i <= 25; i++) session.step(rcpt(`r${i}@d`), i === 20 ? REFUSAL : CONTINUE);
    const { recipients, recipientCount } = session.deliver().decision;
    assert.deepEqual([recipients.length, recipientCount], [20, 25]);
    assert.deepEqual(recipients[19], { address: 'r20@d', refused: { code: 550, text: '5.1.1 no' } });
  });

  test('has an id of its own in the session, and the size that the client declared where no more came', () => {
    const session = new Watched().begin().step(rcpt('c@d'), REFUSAL).step(reset);
    session.step(mail).step(rcpt('c@d')).deliver();
    assert.deepEqual(
      session.decisions.map(({ transaction, size, verdict }) => [transaction, size, verdict]),
      [
        ['s1.1', 900, 'reject'],
        ['s1.2', 27, 'accept'],
      ],
    );
  });
});

describe('a session', () => {
  test('that is refused is decided without a message, and not counted as one', () => {
    const session = new Watched().step(EVENTS.connect, reply(554, 'no'), 'smtp.do_connect');
    const { transaction, verdict, callback, cpuMilliseconds } = session.decision;
    assert.deepEqual([transaction, verdict, callback], [undefined, 'reject', 'smtp.do_connect']);
    assert.equal(cpuMilliseconds, 1.5);
    assert.equal(session.stats.counts.refusedSessions, 1);
    assert.ok(Object.values(session.stats.counts.messages).every((count) => count === 0));
  });

  test('in which an unknown command is refused has that written, and nothing counted', () => {
    const session = new Watched().begin().step(rcpt('c@d')).step(EVENTS.unknown, reply(502, 'no'));
    assert.deepEqual(
      session.decisions.map(({ transaction, verdict }) => [transaction, verdict]),
      [[undefined, 'reject']],
    );
    assert.equal(session.stats.counts.refusedSessions, 0);
    session.deliver();
    assert.equal(session.decisions[1]?.verdict, 'accept');
  });

  test('is open from its first event until it is disposed of, once', () => {
    const session = new Watched();
    assert.deepEqual([session.stats.counts.sessions, session.stats.openSessions], [0, 0]);
    session.step(EVENTS.connect).step(EVENTS.helo);
    assert.deepEqual([session.stats.counts.sessions, session.stats.openSessions], [1, 1]);
    session.watch.dispose();
    session.watch.dispose();
    assert.deepEqual([session.stats.counts.sessions, session.stats.openSessions], [1, 0]);
    const negotiated = new Watched();
    negotiated.watch.dispose();
    assert.deepEqual([negotiated.stats.counts.sessions, negotiated.stats.openSessions], [0, 0]);
  });

  test('answers by promises as well', async () => {
    const session = new Watched();
    const slow = {
      interests: EVERYTHING,
      handle: async () => reply(554, 'later'),
      cancel: () => {},
      dispose: () => {},
    };
    const policy = session.stats.watch({
      id: 's2',
      macros: { get: () => undefined },
      grantedActions: () => 0,
    });
    assert.deepEqual(await policy.of(slow).handle(EVENTS.connect), reply(554, 'later'));
    assert.equal(session.decision.session, 's2');
  });
});

describe('a callback that failed', () => {
  test('is told with the message, and is the cause where --on-error decided', () => {
    for (const [action, verdict] of [
      ['continue', 'accept'],
      ['accept', 'accept'],
      ['tempfail', 'tempfail'],
      ['reject', 'reject'],
    ] as const) {
      const session = new Watched().begin().step(rcpt('c@d'));
      session.step(EVENTS.end, { kind: action }, 'smtp.do_dot', failureOf(action)).step(EVENTS.reset);
      const { decision } = session;
      assert.deepEqual([decision.verdict, decision.onError], [verdict, action]);
      assert.deepEqual(decision.failures, [
        { callback: 'smtp.do_dot', where: 'p.lua:7', message: 'p.lua:7: oops', action, times: 1 },
      ]);
      assert.equal(session.stats.counts.scriptErrors, 1);
    }
  });

  test('is told once for a place, with how often, and not as the cause of what another decided', () => {
    const session = new Watched().begin();
    for (const name of ['c@d', 'e@d']) {
      session.step(rcpt(name), CONTINUE, 'smtp.do_rcpt', failureOf('continue'));
    }
    const { decision } = session.deliver(reply(550, 'no'), 'smtp.do_dot');
    assert.deepEqual([decision.verdict, decision.onError], ['reject', undefined]);
    assert.deepEqual(
      decision.failures?.map(({ callback, times }) => [callback, times]),
      [['smtp.do_rcpt', 2]],
    );
  });

  test('before a message bears on each of the session; after its end on none, unless it ends the script', () => {
    const names = (decision: Decision | undefined) => decision?.failures?.map(({ callback }) => callback);
    const session = new Watched().step(EVENTS.connect, CONTINUE, 'smtp.do_connect', failureOf('continue'));
    session.step(EVENTS.mail).step(rcpt('c@d')).step(EVENTS.end);
    session.step(EVENTS.reset, CONTINUE, 'smtp.rset', failureOf('continue'));
    session.step(EVENTS.mail).step(rcpt('c@d')).step(EVENTS.end);
    session.step(EVENTS.reset, CONTINUE, 'smtp.rset', failureOf('continue', true));
    session.step(EVENTS.mail).step(rcpt('c@d')).step(EVENTS.end).step(EVENTS.reset);
    assert.deepEqual(session.decisions.map(names), [
      ['smtp.do_connect'],
      // The event that ends it is told of before the decision is made.
      ['smtp.do_connect'],
      ['smtp.do_connect', 'smtp.rset'],
    ]);
  });

  test('of a script that does not run decides by --on-error, without a callback', () => {
    const session = new Watched();
    session.watch.failed(failureOf('tempfail', true));
    session.step(EVENTS.connect).step(EVENTS.mail, { kind: 'tempfail' }).step(EVENTS.reset);
    const { verdict, onError, callback, script } = session.decision;
    assert.deepEqual([verdict, onError, callback, script], ['tempfail', 'tempfail', undefined, undefined]);
  });
});

test('nothing is put together where nobody wants a record; all is counted', () => {
  const stats = new SessionStats(
    new Logger(
      sinkTo(() => assert.fail('a line was written')),
      'warning',
    ),
  );
  const policy = stats
    .watch({ id: 's1', macros: { get: () => assert.fail('a macro was read') }, grantedActions: () => 0 })
    .of({ interests: EVERYTHING, handle: () => CONTINUE, cancel: () => {}, dispose: () => {} });
  for (const event of [EVENTS.connect, EVENTS.mail, rcpt('c@d'), EVENTS.end, EVENTS.reset])
    policy.handle(event);
  assert.equal(stats.counts.messages.accept, 1);
});

test('a session that has written its share is counted, and no more written', () => {
  const decisions: Decision[] = [];
  const stats = new SessionStats(
    new Logger(
      sinkTo(() => {}),
      'info',
    ),
    (decision) => decisions.push(decision),
  );
  const asked: number[] = [];
  const policy = stats
    .watch({
      id: 's1',
      macros: { get: () => undefined },
      grantedActions: () => 0,
      mayLog: (bytes) => asked.push(bytes) === 1,
    })
    .of({ interests: EVERYTHING, handle: () => CONTINUE, cancel: () => {}, dispose: () => {} });
  for (let i = 0; i < 3; i++) {
    for (const event of [EVENTS.mail, rcpt('c@d'), EVENTS.end, EVENTS.reset]) policy.handle(event);
  }
  assert.deepEqual([stats.counts.messages.accept, decisions.length, asked.length], [3, 1, 3]);
  assert.ok(asked.every((bytes) => bytes > 50));
});
