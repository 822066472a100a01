/** What the policy is shown: payloads, macros, and nothing of another message. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PolicyEvent } from '../../src/milter/policy.ts';
import { Session } from '../../src/milter/session.ts';
import { EVERYTHING, NOTHING } from '../helpers/interests.ts';
import { FULL, NO_BITS, play } from './session-driver.ts';

test('each event carries what the MTA said', () => {
  const { events } = play('O C1 H2 M3 R4 T L5 L6 N B7 Elast U8 Q');
  assert.deepEqual(events, [
    {
      kind: 'connect',
      hostname: 'mx1.example',
      client: { family: 'inet4', address: '192.0.2.7', port: 4242 },
    },
    { kind: 'helo', name: 'helo2.example' },
    { kind: 'mail', address: 'sender3@a.example', written: '<sender3@a.example>', params: ['SIZE=3'] },
    { kind: 'rcpt', address: 'rcpt4@b.example', written: '<rcpt4@b.example>', params: [] },
    { kind: 'data' },
    { kind: 'headers', lines: ['X-5: value5', 'X-6: value6'] },
    { kind: 'chunk', bytes: Buffer.from('body7\r\n') },
    { kind: 'chunk', bytes: Buffer.from('last') },
    { kind: 'endOfMessage' },
    { kind: 'reset' },
    { kind: 'unknown', line: 'WHAT8' },
    { kind: 'close' },
  ] satisfies PolicyEvent[]);
});

describe('header lines', () => {
  const linesOf = (protocol: number, ...headers: readonly (readonly [string, string])[]) => {
    const session = new Session(EVERYTHING);
    session.receive({ kind: 'negotiate', ...FULL, protocol });
    session.receive({ kind: 'mail', address: '<>', params: [] });
    session.answer({ kind: 'continue' });
    for (const [name, value] of headers) session.receive({ kind: 'header', name, value });
    const [step] = session.receive({ kind: 'endOfHeaders' });
    return step?.kind === 'ask' && step.event.kind === 'headers' ? step.event.lines : step;
  };

  test('are byte-exact where the MTA leaves the white space in', () => {
    assert.deepEqual(
      linesOf(0x1fffff, ['X', 'v'], ['X', ' v'], ['X', '  v'], ['X', '\tv'], ['X', ''], ['X', ' \xe9\xff']),
      ['X:v', 'X: v', 'X:  v', 'X:\tv', 'X:', 'X: \xe9\xff'],
    );
  });
  test('have one space after the colon where it does not', () => {
    assert.deepEqual(linesOf(0x0fffff, ['X', 'v'], ['X', ' v'], ['X', '\tv'], ['X', '']), [
      'X: v',
      'X:  v',
      'X: \tv',
      'X: ',
    ]);
  });
  test('have CR LF in their folds, whether the MTA writes LF or CR LF', () => {
    assert.deepEqual(linesOf(0x1fffff, ['X', ' a\n\tb\n c'], ['Y', '\n folded at once'], ['Z', ' a\r\n b']), [
      'X: a\r\n\tb\r\n c',
      'Y:\r\n folded at once',
      'Z: a\r\n b',
    ]);
  });
});

describe('nothing of one message shows in the next', () => {
  const SECOND = 'M2 R2 T L2 N B2 E';
  const shown = (events: readonly PolicyEvent[]) => {
    const from = events.findLastIndex(({ kind }) => kind === 'mail');
    return events.slice(from);
  };
  const alone = shown(play(`O C H ${SECOND}`).events);
  for (const [name, first] of [
    ['a whole message', 'M1 R1 T L1 N B1 E'],
    ['a message with aborts after it', 'M1 R1 T L1 N B1 E A A'],
    ['a message without an end', 'M1 R1 T L1 N B1'],
    ['aborted headers', 'M1 R1 T L1 L1 A'],
    ['headers ended by HELO', 'M1 R1 T L1 L1 H'],
    ['an envelope', 'M1 R1 R1'],
  ] as const) {
    test(name, () => assert.deepEqual(shown(play(`O C H ${first} ${SECOND}`).events), alone));
    test(`${name}, refused and skipped wherever the policy could`, () => {
      for (const letter of ['r', 'y', 'a', 'd', 's']) {
        let messages = 0;
        const { events } = play(`O C H ${first} ${SECOND}`, {
          decide: ({ kind }) => {
            if (kind === 'mail') messages += 1;
            return messages === 1 && (kind === 'headers' || kind === 'chunk') ? letter : undefined;
          },
        });
        assert.deepEqual(shown(events), alone);
      }
    });
  }

  test('the lines given to the policy never change afterwards', () => {
    let given: readonly string[] = [];
    play('O C H M1 T L1 N B E M2 T L2 N E', {
      onEvent: (event) => {
        if (event.kind === 'headers' && given.length === 0) given = event.lines;
      },
    });
    assert.deepEqual(given, ['X-1: value1']);
  });
});

describe('macros', () => {
  /** Value of `i` at each event. */
  const seen = (commands: string, how = {}) => {
    const values: string[] = [];
    play(commands, {
      ...how,
      onEvent: ({ kind }, { macros }) => values.push(`${kind}=${macros.get('i') ?? '-'}`),
    });
    return values.join(' ');
  };

  for (const [name, commands, values] of [
    [
      'stay until the next of their stage',
      'O DC1 C DH2 H DM3 M DR4 R DR5 R DT6 T DN7 N DE8 E',
      'connect=Q1 helo=Q2 mail=Q3 rcpt=Q4 rcpt=Q5 data=Q6 headers=Q7 endOfMessage=Q8 reset=Q8 close=Q8',
    ],
    [
      'are readable while the policy is told of the end of a transaction, and gone at the next command',
      'O C H DM1 M DR2 R A M2 A',
      'connect=- helo=- mail=Q1 rcpt=Q2 reset=Q2 mail=- reset=- close=-',
    ],
    ['reset by HELO', 'O C H DM1 M DR2 R H', 'connect=- helo=- mail=Q1 rcpt=Q2 reset=Q2 helo=- close=-'],
    [
      'reset by HELO that has macros of its own',
      'O C H DM1 M DR2 R DH3 H M',
      'connect=- helo=- mail=Q1 rcpt=Q2 reset=Q2 helo=Q3 mail=Q3 reset=Q3 close=Q3',
    ],
    [
      'reset by MAIL',
      'O C H DM1 M DR2 R DM3 M R',
      'connect=- helo=- mail=Q1 rcpt=Q2 reset=Q2 mail=Q3 rcpt=Q3 reset=Q3 close=Q3',
    ],
    ['reset by QUIT', 'O C H DM1 M DR2 R Q', 'connect=- helo=- mail=Q1 rcpt=Q2 reset=Q2 close=Q2'],
    [
      'QUIT_NC ends them all, after reset and close',
      'O DC1 C DM2 M K C M',
      'connect=Q1 mail=Q2 reset=Q2 close=Q2 connect=- mail=- reset=- close=-',
    ],
    [
      'those of a second CONNECT are its own',
      'O DC1 C DH2 H DM3 M DC4 C M',
      'connect=Q1 helo=Q2 mail=Q3 reset=Q3 close=Q3 connect=Q4 mail=Q4 reset=Q4 close=Q4',
    ],
    ['a refused MAIL', 'O C DM1 M A M', 'connect=- mail=Q1 reset=Q1 mail=- reset=- close=-'],
    [
      'of the session survive its messages',
      'O DC1 C M E A A M E',
      'connect=Q1 mail=Q1 headers=Q1 endOfMessage=Q1 reset=Q1 mail=Q1 headers=Q1 endOfMessage=Q1 reset=Q1 close=Q1',
    ],
    [
      'an unknown command disturbs none',
      'O C DM1 M DU2 U R',
      'connect=- mail=Q1 unknown=Q1 rcpt=Q1 reset=Q1 close=Q1',
    ],
  ] as const) {
    test(name, () => {
      const how = { verdicts: { mail: name === 'a refused MAIL' ? 'r' : 'c' }, offer: NO_BITS };
      assert.equal(seen(commands, how), values);
    });
  }

  test('of a MAIL that was negotiated away belong to the message they announce', () => {
    const how = { interests: { ...NOTHING, rcpt: 'verdict' } };
    assert.equal(seen('O DM1 R DM2 R DM3', how), 'rcpt=Q1 reset=Q1 rcpt=Q2 reset=Q2 close=Q3');
  });

  test('a malformed packet changes nothing', () => {
    const { session } = play('O DC1');
    session.receive({ kind: 'macro', stage: 0x43, text: '', malformed: true });
    assert.equal(session.macros.get('i'), 'Q1');
  });
});
