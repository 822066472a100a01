/** What becomes of each verdict at each event. The notation is in session-driver.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Interests } from '../../src/milter/policy.ts';
import type { Modification } from '../../src/milter/reply.ts';
import { Session } from '../../src/milter/session.ts';
import { EVERYTHING, NOTHING } from '../helpers/interests.ts';
import { FULL, NO_BITS, play } from './session-driver.ts';

const QUESTIONS = [
  'connect',
  'helo',
  'mail',
  'rcpt',
  'data',
  'headers',
  'chunk',
  'endOfMessage',
  'unknown',
] as const;
type Question = (typeof QUESTIONS)[number];

/** The commands that lead to the event, and the column of the trace that shows its reply. */
const WAY: Readonly<Record<Question, string>> = {
  connect: 'O C',
  helo: 'O C H',
  mail: 'O C H M',
  rcpt: 'O C H M R',
  data: 'O C H M R T',
  headers: 'O C H M R T L N',
  chunk: 'O C H M R T L N B',
  endOfMessage: 'O C H M R T L N B E',
  unknown: 'O C H M R T U',
};

/** The page's table of legal replies, with the safe equivalent where a reply would do harm. */
const EFFECT: Readonly<Record<Question, Readonly<Record<string, string>>>> = {
  //              accept             reject             tempfail           a text             discard            skip
  connect: { a: 'a', r: 'r', t: 't', y: 'y', z: 'y', d: 'c', s: 'c' },
  helo: { a: 'a', r: 'r', t: 't', y: 'y', z: 'y', d: 'c', s: 'c' },
  mail: { a: 'a reset!', r: 'r reset!', t: 't reset!', y: 'y reset!', z: 'y reset!', d: 'd reset!', s: 'c' },
  rcpt: { a: 'a reset!', r: 'r', t: 't', y: 'y', z: 'y', d: 'd reset!', s: 'c' },
  data: { a: 'a reset!', r: 'r', t: 't', y: 'y', z: 'y', d: 'd reset!', s: 'c' },
  headers: {
    a: 'a reset!',
    r: 'r reset!',
    t: 't reset!',
    y: 'y reset!',
    z: 'y reset!',
    d: 'd reset!',
    s: 'c',
  },
  chunk: { a: 'a reset!', r: 'r reset!', t: 't reset!', y: 'y reset!', z: 'y reset!', d: 'd reset!', s: 'c' },
  endOfMessage: {
    a: 'a reset!',
    r: 'r reset!',
    t: 't reset!',
    y: 'y reset!',
    z: 'y reset!',
    d: 'd reset!',
    s: 'c reset!',
  },
  unknown: { a: 'c', r: 'r', t: 't', y: 'y', z: 'y', d: 'c', s: 'c' },
};

describe('the reply to each verdict, for a peer that takes one after each event', () => {
  for (const event of QUESTIONS) {
    for (const [letter, effect] of Object.entries(EFFECT[event])) {
      test(`${letter} at ${event}`, () => {
        const { trace } = play(WAY[event], { offer: NO_BITS, verdicts: { [event]: letter } });
        assert.equal(trace.split(' | ').at(-2), `${event}? ${effect}`);
      });
    }
  }
});

test('SKIP is sent for the body alone, and only where it was agreed on and a reply is due', () => {
  const verdicts = { rcpt: 's', headers: 's', chunk: 's' };
  const commands = 'O C H M R T L N B B2 E';
  const replies = (protocol: number) => play(commands, { offer: { ...FULL, protocol }, verdicts }).trace;
  assert.match(replies(0x400), /rcpt\? c \| data\? c \| c \| headers\? c \| chunk\? s \| c \| end/);
  assert.match(replies(0x40000000), /rcpt\? c \| data\? c \| c \| headers\? c \| chunk\? c \| c \| end/);
  assert.match(replies(0x1fffff), /rcpt\? c \| data\? c \| {2}\| headers\? \| chunk\? \| {2}\| end/);
});

describe('skip: the policy is not asked again in this message, and is in the next', () => {
  for (const [event, commands, asked] of [
    ['rcpt', 'O C H M R R R M R', 2],
    ['chunk', 'O C H M T L N B B B E M T N B E', 2],
    ['unknown', 'O C H M U U A U', 2],
    ['data', 'O C H M R T R T A M R T', 2],
  ] as const) {
    test(event, () => {
      for (const offer of [FULL, NO_BITS]) {
        const { events } = play(commands, { offer, verdicts: { [event]: 's' } });
        assert.equal(events.filter(({ kind }) => kind === event).length, asked);
      }
    });
  }
});

describe('a verdict on the SMTP session', () => {
  for (const event of ['connect', 'helo'] as const) {
    for (const [letter, reply] of [
      ['a', 'a'],
      ['r', 'r'],
      ['t', 't'],
      ['y', 'y'],
    ] as const) {
      test(`${letter} at ${event} is given at each event after it; the policy is not asked, nor told of messages`, () => {
        const { trace } = play('O C H M A M Q', { verdicts: { [event]: letter } });
        const columns = trace.split(' | ').slice(1);
        const expected =
          event === 'connect'
            ? [`connect? ${reply}`, reply, reply, '', reply, 'close! #', '']
            : ['connect? c', `helo? ${reply}`, reply, '', reply, 'close! #', ''];
        assert.deepEqual(
          columns.map((column) => column.replace(/ ?\|$/, '')),
          expected.slice(0, columns.length),
        );
      });
    }

    test(`discard at ${event} is said at each MAIL, where both MTAs understand it`, () => {
      const { trace } = play('O C H M A M2 M3 U Q', { verdicts: { [event]: 'd' } });
      const begin = event === 'connect' ? 'O | connect? c | c' : 'O | connect? c | helo? c';
      assert.equal(trace, `${begin} | d |  | d | d | unknown? c | close! # |`);
    });

    test(`discard at ${event} where MAIL was negotiated away is said at the first event of a message`, () => {
      const interests: Interests = { ...EVERYTHING, mail: 'none', rcpt: 'none' };
      const { trace } = play('O C H T A T', { interests, verdicts: { [event]: 'd' } });
      assert.match(trace, / \| d \| {2}\| d \| close!$/);
    });

    test(`a verdict at ${event} that was negotiated to have no reply comes at the next event that has one`, () => {
      const interests: Interests = { ...EVERYTHING, connect: 'data', helo: 'data', mail: 'data' };
      const { trace } = play('O C H M R A M R', { interests, verdicts: { [event]: 'y' } });
      assert.match(trace, / \| {2}\| y \| {2}\| {2}\| y \| close!$/);
    });
  }

  test('another HELO is asked anew', () => {
    const { trace } = play('O C H M H2 M A', { verdicts: { helo: 'yc' } });
    assert.equal(trace, 'O | connect? c | helo? y | y | helo? c | mail? c | reset! | close!');
  });

  test('another HELO does not undo a verdict on the connection', () => {
    const { trace } = play('O C H M H2 M', { verdicts: { connect: 'r' } });
    assert.equal(trace, 'O | connect? r | r | r | r | r | close!');
  });

  test('it ends with the session: QUIT_NC', () => {
    const { trace } = play('O C H K C2 H M', { verdicts: { connect: 'rc' } });
    assert.equal(trace, 'O | connect? r | r | close! | connect? c | helo? c | mail? c | reset! close!');
  });

  test('an unknown command is asked about all the same', () => {
    assert.equal(
      play('O C U', { verdicts: { connect: 'r', unknown: 't' } }).trace,
      'O | connect? r | unknown? t | close!',
    );
  });
});

describe('a verdict where the MTA waits for none', () => {
  for (const letter of ['a', 'r', 't', 'y', 'd']) {
    test(`${letter} on the headers comes at the end of message, and the policy sees no more of it`, () => {
      const { trace } = play('O C H M R T L N B B E A M2 A', { verdicts: { headers: letter } });
      assert.match(
        trace,
        new RegExp(`headers\\? \\|  \\|  \\| ${letter} reset! \\|  \\| mail\\? c \\| reset! \\| close!$`),
      );
    });

    test(`${letter} on a chunk comes at the end of message`, () => {
      const { trace } = play('O C H M R T L N B B E', { verdicts: { chunk: letter } });
      assert.match(trace, new RegExp(`headers\\? \\| chunk\\? \\|  \\| ${letter} reset! \\| close!$`));
    });

    test(`${letter} on the chunk in an end of message`, () => {
      const { trace } = play('O C H M R T N Elast', { verdicts: { chunk: letter } });
      assert.match(trace, new RegExp(`headers\\? \\| chunk\\? ${letter} reset! \\| close!$`));
    });

    test(`${letter} on headers without an end`, () => {
      const { trace } = play('O C H M R T L B E', { verdicts: { headers: letter } });
      assert.match(trace, new RegExp(` \\| headers\\? \\| ${letter} reset! \\| close!$`));
    });
  }

  test('a recipient that could not be refused alone: the whole message is', () => {
    const interests: Interests = { ...EVERYTHING, rcpt: 'data' };
    const { trace } = play('O C H M R R2 T A M R T', { interests, verdicts: { rcpt: 'ycc' } });
    assert.match(
      trace,
      /mail\? c \| rcpt\? \| {2}\| y \| reset! \| mail\? c \| rcpt\? \| data\? c \| reset! close!$/,
    );
  });

  test('an unknown command never decides about a message', () => {
    const interests: Interests = { ...EVERYTHING, unknown: 'data' };
    const { trace } = play('O C H M U R T N E', { interests, verdicts: { unknown: 'r' } });
    assert.match(
      trace,
      /mail\? c \| unknown\? \| rcpt\? c \| data\? c \| headers\? \| endOfMessage\? c reset! \| close!$/,
    );
  });

  test('nothing held is left for the next message', () => {
    const { trace } = play('O C H M R T N B A M R T N E', { verdicts: { headers: 'rc' } });
    assert.match(
      trace,
      /headers\? \| {2}\| reset! \| mail\? c .* headers\? \| endOfMessage\? c reset! \| close!$/,
    );
  });
});

describe('modifications', () => {
  const modifications: readonly Modification[] = [
    { kind: 'addHeader', name: 'X-A', value: ' b' },
    { kind: 'deleteRecipient', address: '<rcpt@b.example>' },
  ];
  const endingWith = (
    verdict: Parameters<Session['answer']>[0],
    at: 'endOfMessage' | 'headers' = 'endOfMessage',
  ) => {
    const session = new Session(EVERYTHING);
    session.receive({ kind: 'negotiate', ...FULL });
    session.receive({ kind: 'mail', address: '<a@b.example>', params: [] });
    session.answer({ kind: 'continue' });
    session.receive({ kind: 'endOfHeaders' });
    session.answer(at === 'headers' ? verdict : { kind: 'continue' });
    const steps = session.receive({ kind: 'endOfMessage', bytes: Buffer.alloc(0) });
    return at === 'headers' ? steps : session.answer(verdict);
  };
  const words = (steps: ReturnType<typeof endingWith>) =>
    steps.map((step) => {
      if (step.kind === 'modify') return step.modification.kind;
      return step.kind === 'send' ? step.reply.kind : step.kind;
    });

  for (const kind of ['continue', 'accept'] as const) {
    test(`go out in their order before ${kind}`, () => {
      assert.deepEqual(words(endingWith({ kind, modifications })), [
        'addHeader',
        'deleteRecipient',
        kind,
        'tell',
      ]);
    });
  }
  test('go with an accept that was held', () => {
    assert.deepEqual(words(endingWith({ kind: 'accept', modifications }, 'headers')), [
      'addHeader',
      'deleteRecipient',
      'accept',
      'tell',
    ]);
  });
  test('are sent nowhere else', () => {
    for (const answerable of [
      'mail',
      'rcpt',
      'data',
      'headers',
      'chunk',
      'connect',
      'helo',
      'unknown',
    ] as const) {
      const session = new Session(EVERYTHING);
      session.receive({ kind: 'negotiate', ...NO_BITS });
      const commands = {
        connect: { kind: 'connect', hostname: 'x', client: { family: 'unknown' } },
        helo: { kind: 'helo', name: 'x' },
        mail: { kind: 'mail', address: '<>', params: [] },
        rcpt: { kind: 'rcpt', address: '<x@y>', params: [] },
        data: { kind: 'data' },
        headers: { kind: 'endOfHeaders' },
        chunk: { kind: 'body', bytes: Buffer.from('x') },
        unknown: { kind: 'unknown', line: 'x' },
      } as const;
      for (const event of [
        'connect',
        'helo',
        'unknown',
        'mail',
        'rcpt',
        'data',
        'headers',
        'chunk',
      ] as const) {
        session.receive(commands[event]);
        const steps = session.answer({
          kind: 'continue',
          ...(event === answerable ? { modifications } : {}),
        });
        assert.deepEqual(words(steps), ['continue']);
      }
    }
  });
});

describe('limits', () => {
  const limits = { headerBytes: 100, headers: 10_000, bodyBytes: 10_000, recipients: 2 };

  test('recipients above the limit are deferred without asking; the message goes on', () => {
    const { trace, steps } = play('O C H M R R R R T N E M R', { limits });
    assert.match(
      trace,
      /mail\? c \| rcpt\? c \| rcpt\? c \| y \| y \| data\? c .* endOfMessage\? c reset! \| mail\? c \| rcpt\? c/,
    );
    const texts = steps.flatMap((step) =>
      step.kind === 'send' && step.reply.kind === 'replyCode' ? step.reply.text : [],
    );
    assert.deepEqual(texts, ['452 4.5.3 Too many recipients', '452 4.5.3 Too many recipients']);
  });

  test('headers above the limit refuse the message at its end; the policy is asked nothing more', () => {
    const headers = Array.from({ length: 20 }, () => 'L').join(' ');
    const { trace, steps } = play(`O C H M R T ${headers} N B E A M R T L N E`, { limits });
    assert.match(
      trace,
      /data\? c( \| )+y reset! \| {2}\| mail\? c .* headers\? \| endOfMessage\? c reset! \| close!$/,
    );
    const text = steps.flatMap((step) =>
      step.kind === 'send' && step.reply.kind === 'replyCode' ? step.reply.text : [],
    );
    assert.deepEqual(text, ['552 5.3.4 Message header too large']);
  });

  test('headers that nobody needs are not counted', () => {
    const { trace } = play('O L L L L L L L L L L L L L L L E', { limits, interests: NOTHING });
    assert.match(trace, /endOfMessage\? c reset! \| close!$/);
  });
});

test('PROGRESS may be sent while the MTA waits at the end of a message, and at no other time', () => {
  const cases = [
    [FULL, () => false, ['endOfMessage']],
    // Headers and body were streamed, and the end has come behind them.
    [FULL, () => true, ['headers', 'chunk', 'endOfMessage']],
    // Every event takes its own reply: what is queued has no right to be.
    [NO_BITS, () => true, ['endOfMessage']],
  ] as const;
  for (const [offer, endIsQueued, expected] of cases) {
    const seen = new Map<string, boolean>();
    const { session } = play('O C H M R T L N B E U A Q', {
      offer,
      onEvent: ({ kind }, machine) => seen.set(kind, machine.mayReportProgress(endIsQueued)),
    });
    assert.deepEqual(
      [...seen].filter(([, may]) => may).map(([kind]) => kind),
      expected,
    );
    assert.equal(session.mayReportProgress(endIsQueued), false);
  }
});

test('a reply that had to be changed is reported', () => {
  const session = new Session(EVERYTHING);
  session.receive({ kind: 'negotiate', ...FULL });
  session.receive({ kind: 'helo', name: 'x' });
  const steps = session.answer({ kind: 'reply', code: 550, enhanced: '4.7.1', lines: ['No'] });
  assert.deepEqual(
    steps.map(({ kind }) => kind),
    ['warn', 'send'],
  );
});

test('a verdict on the session: nothing is asked in place of a DATA event that the version does not have', () => {
  const offer = { version: 2, actions: 0x1ff, protocol: 0x7f };
  const interests: Interests = { ...NOTHING, helo: 'verdict', data: 'verdict' };
  assert.equal(
    play('O H R L', { offer, interests, verdicts: { helo: 'd' } }).trace,
    'O | helo? c | d | d | close!',
  );
});

describe('an MTA that goes on with a message that is decided gets the same reply, and the policy is not asked', () => {
  for (const letter of ['a', 'r', 't', 'y', 'd']) {
    test(letter, () => {
      const { trace } = play('O C H M R T L N B E M R', { offer: NO_BITS, verdicts: { mail: `${letter}c` } });
      const repeated = Array(6).fill(letter).join(' | ');
      assert.equal(
        trace,
        `O | connect? c | helo? c | mail? ${letter} reset! | ${repeated} | mail? c | rcpt? c | reset! close!`,
      );
    });
  }
  test('until an abort', () => {
    const { trace } = play('O C H M R R A R', { verdicts: { rcpt: 'a' } });
    assert.equal(trace, 'O | connect? c | helo? c | mail? c | rcpt? a reset! | a |  | X | close!');
  });
});

test('a body over the bound is refused at the end of the message, and the policy sees no more of it', () => {
  const session = new Session(
    { ...NOTHING, mail: 'data', body: 'verdict' },
    { headerBytes: 1000, headers: 10_000, bodyBytes: 10, recipients: 10 },
  );
  session.receive({ kind: 'negotiate', version: 6, actions: 0x1ff, protocol: 0x1fffff });
  session.receive({ kind: 'connect', hostname: 'x', client: { family: 'unknown' } });
  session.receive({ kind: 'mail', address: '<a@b>', params: [] });
  session.answer({ kind: 'continue' });
  const asked = session.receive({ kind: 'body', bytes: Buffer.alloc(10) });
  assert.equal(asked.at(-1)?.kind, 'ask');
  session.answer({ kind: 'continue' });
  assert.deepEqual(session.receive({ kind: 'body', bytes: Buffer.alloc(1) }), []);
  const steps = session.receive({ kind: 'endOfMessage', bytes: Buffer.alloc(0) });
  assert.deepEqual(steps[0], {
    kind: 'send',
    reply: { kind: 'replyCode', text: '552 5.3.4 Message too large' },
  });
});
