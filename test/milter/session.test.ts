/** In which order an MTA may say things, and what comes of it. The notation is in session-driver.ts. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { EVERYTHING, NOTHING } from '../helpers/interests.ts';
import { FULL, NO_BITS, type Play, play } from './session-driver.ts';

type Row = readonly [name: string, commands: string, trace: string, how?: Play];

function table(rows: readonly Row[]): void {
  for (const [name, commands, trace, how] of rows) {
    test(name, () => assert.equal(play(commands, how).trace, trace));
  }
}

const BEGIN = 'O | connect? c | helo? c';
const ENVELOPE = 'mail? c | rcpt? c | data? c';
/** L N B E where all may come unanswered. */
const STREAMED = ' | headers? | chunk? | endOfMessage? c reset!';

// One message.
table([
  [
    'a message, headers and body streamed',
    'O C H M R T L L N B B E Q',
    `${BEGIN} | ${ENVELOPE} |  |  | headers? | chunk? | chunk? | endOfMessage? c reset! | close! # |`,
  ],
  [
    'a message for a peer that must have a reply to each packet',
    'O C H M R R2 T L L2 N B B2 E Q',
    `${BEGIN} | mail? c | rcpt? c | rcpt? c | data? c | c | c | headers? c | chunk? c | chunk? c | endOfMessage? c reset! | close! # |`,
    { offer: NO_BITS },
  ],
  [
    'a message without headers and body',
    'O C H M R T N E Q',
    `${BEGIN} | ${ENVELOPE} | headers? | endOfMessage? c reset! | close! # |`,
  ],
  [
    'a policy without interest',
    'O C H M R T L N B E U Q',
    'O | c | c | c | c | c | c | c | c | endOfMessage? c reset! | c | close! # |',
    { interests: NOTHING, offer: NO_BITS },
  ],
  [
    'a policy that was sent nothing but the end',
    'O E A E Q',
    'O | endOfMessage? c reset! |  | endOfMessage? c reset! | close! # |',
    { interests: NOTHING },
  ],
  [
    'no HELO',
    'O C M R T N E Q',
    `O | connect? c | ${ENVELOPE} | headers? | endOfMessage? c reset! | close! # |`,
  ],
]);

// Messages in a row.
table([
  [
    'Postfix after a message: two aborts',
    'O C H M R T L N B E A A M2 R2 T L N B E A A Q',
    `${BEGIN} | ${ENVELOPE} | ${STREAMED} |  |  | ${ENVELOPE} | ${STREAMED} |  |  | close! # |`,
  ],
  [
    'Sendmail after a message: the next MAIL',
    'O C H M R T L N B E M2 R2 T L N B E Q',
    `${BEGIN} | ${ENVELOPE} | ${STREAMED} | ${ENVELOPE} | ${STREAMED} | close! # |`,
  ],
  [
    'RSET after RCPT',
    'O C H M R A M2 R2 T N E Q',
    `${BEGIN} | mail? c | rcpt? c | reset! | ${ENVELOPE} | headers? | endOfMessage? c reset! | close! # |`,
  ],
  [
    'RSET where Sendmail sends no abort: the next MAIL ends the transaction',
    'O C H M R M2 R2 T N E Q',
    `${BEGIN} | mail? c | rcpt? c | reset! mail? c | rcpt? c | data? c | headers? | endOfMessage? c reset! | close! # |`,
  ],
  [
    'RSET where MAIL was negotiated away: its macros end the transaction',
    'O DM R A DM2 R DM3 R2 T E Q',
    'O |  | rcpt? c | reset! |  | rcpt? c | reset! | rcpt? c | c | endOfMessage? c reset! | close! # |',
    {
      interests: { ...NOTHING, rcpt: 'verdict' },
      offer: { ...FULL, protocol: 0x04 }, // NOMAIL alone.
    },
  ],
  [
    'MAIL refused, then another',
    'O C H M M2 A M3 R A Q',
    `${BEGIN} | mail? y reset! | mail? y reset! |  | mail? c | rcpt? c | reset! | close! # |`,
    { verdicts: { mail: 'yyc' } },
  ],
  [
    'one of three recipients refused',
    'O C H M R R2 R3 T N E',
    `${BEGIN} | mail? c | rcpt? c | rcpt? y | rcpt? c | data? c | headers? | endOfMessage? c reset! | close!`,
    { verdicts: { rcpt: 'cyc' } },
  ],
  [
    'DATA refused: the transaction lives on, RCPT and DATA come again',
    'O C H M R T R2 T N E M2 A',
    `${BEGIN} | mail? c | rcpt? c | data? y | rcpt? c | data? c | headers? | endOfMessage? c reset! | mail? c | reset! | close!`,
    { verdicts: { data: 'yc' } },
  ],
  [
    'DATA refused, then RSET',
    'O C H M R T A A M R A',
    `${BEGIN} | mail? c | rcpt? c | data? t | reset! |  | mail? c | rcpt? c | reset! | close!`,
    { verdicts: { data: 't' } },
  ],
]);

// HELO.
table([
  ['second HELO, no transaction', 'O C H H2 M A', `${BEGIN} | helo? c | mail? c | reset! | close!`],
  [
    'Postfix, second HELO in a transaction: HELO, then two aborts',
    'O C H M R H2 A A M2 R T N E',
    `${BEGIN} | mail? c | rcpt? c | reset! helo? c |  |  | ${ENVELOPE} | headers? | endOfMessage? c reset! | close!`,
  ],
  [
    'Sendmail, second HELO in a transaction: abort, then HELO',
    'O C H M R A H2 M2 A',
    `${BEGIN} | mail? c | rcpt? c | reset! | helo? c | mail? c | reset! | close!`,
  ],
  [
    'STARTTLS: Postfix sends an abort, then HELO again',
    'O C DH H A DH H DM M A Q',
    'O | connect? c |  | helo? c |  |  | helo? c |  | mail? c | reset! | close! # |',
  ],
]);

// Aborts and ends at every stage.
for (const [stage, commands, trace] of [
  ['CONNECT', 'O C', 'O | connect? c'],
  ['HELO', 'O C H', BEGIN],
  ['a refused MAIL', 'O C H M', `${BEGIN} | mail? r reset!`],
  ['a message', 'O C H M2 R T L N B E', `${BEGIN} | ${ENVELOPE} | ${STREAMED}`],
] as const) {
  const verdicts = { mail: stage === 'a refused MAIL' ? 'r' : 'c' };
  table([
    [`abort after ${stage}`, `${commands} A A A`, `${trace} |  |  |  | close!`, { verdicts }],
    [`end of the connection after ${stage}`, commands, `${trace} | close!`, { verdicts }],
    [`QUIT after ${stage}`, `${commands} Q`, `${trace} | close! # |`, { verdicts }],
    [
      `QUIT_NC after ${stage}`,
      `${commands} K C2 H`,
      `${trace} | close! | connect? c | helo? c | close!`,
      { verdicts },
    ],
  ]);
}
for (const [stage, commands, trace] of [
  ['MAIL', 'M', 'mail? c'],
  ['RCPT', 'M R', 'mail? c | rcpt? c'],
  ['DATA', 'M R T', ENVELOPE],
  ['a refused DATA', 'M R T', 'mail? c | rcpt? c | data? r'],
  ['a header', 'M R T L', `${ENVELOPE} | c`],
  ['the end of headers', 'M R T L N', `${ENVELOPE} | c | headers? c`],
  ['a chunk', 'M R T L N B', `${ENVELOPE} | c | headers? c | chunk? c`],
] as const) {
  const how: Play = { offer: NO_BITS, verdicts: { data: stage === 'a refused DATA' ? 'r' : 'c' } };
  const [before, after] = [`O C H ${commands}`, `${BEGIN} | ${trace}`];
  table([
    [`abort after ${stage}`, `${before} A A M2`, `${after} | reset! |  | mail? c | reset! close!`, how],
    [`end of the connection after ${stage}`, before, `${after} | reset! close!`, how],
    [`QUIT after ${stage}`, `${before} Q`, `${after} | reset! close! # |`, how],
    [`MAIL after ${stage}`, `${before} M2`, `${after} | reset! mail? c | reset! close!`, how],
    [`HELO after ${stage}`, `${before} H2`, `${after} | reset! helo? c | close!`, how],
    [
      `QUIT_NC after ${stage}`,
      `${before} K C2 H M`,
      `${after} | reset! close! | connect? c | helo? c | mail? c | reset! close!`,
      how,
    ],
    [
      `unknown command after ${stage}`,
      `${before} U A`,
      `${after} | unknown? y | reset! | close!`,
      { ...how, verdicts: { ...how.verdicts, unknown: 'y' } },
    ],
  ]);
}

// A health check has no session: nothing is closed.
table([
  ['end of the connection after negotiation', 'O', 'O |'],
  ['QUIT after negotiation', 'O Q', 'O | # |'],
  ['abort after negotiation', 'O A A', 'O |  |  |'],
  ['macros after negotiation', 'O DC A Q', 'O |  |  | # |'],
  ['QUIT_NC after negotiation', 'O K', 'O |  |'],
  ['QUIT_NC after negotiation, then a session', 'O K C2 H', 'O |  | connect? c | helo? c | close!'],
  ['second negotiation', 'O O M', 'O | X |'],
]);

// QUIT_NC and a CONNECT out of place.
table([
  ['QUIT_NC twice', 'O C K K C K', 'O | connect? c | close! |  | connect? c | close! |'],
  ['QUIT_NC, then the end', 'O C K', 'O | connect? c | close! |'],
  ['macros after QUIT_NC begin no session', 'O C K DC A Q', 'O | connect? c | close! |  |  | # |'],
  ['abort and QUIT after QUIT_NC', 'O C K A Q', 'O | connect? c | close! |  | # |'],
  [
    'the session after QUIT_NC where CONNECT was negotiated away',
    'O H M R K H M R Q',
    'O | helo? c | c | rcpt? c | reset! close! | helo? c | c | rcpt? c | reset! close! # |',
    { interests: { ...NOTHING, helo: 'verdict', rcpt: 'verdict' } },
  ],
  [
    'CONNECT twice: the first session is over',
    'O C H M C2 H M',
    `${BEGIN} | mail? c | reset! close! connect? c | helo? c | mail? c | reset! close!`,
  ],
  ['CONNECT after MAIL', 'O M C', 'O | mail? c | reset! connect? c | close!'],
]);

// Unknown commands at places where there is no transaction.
table([
  ['unknown command before CONNECT', 'O U C', 'O | unknown? c | connect? c | close!'],
  [
    'unknown commands between messages',
    'O C U H U M A U',
    'O | connect? c | unknown? c | helo? c | unknown? c | mail? c | reset! | unknown? c | close!',
  ],
  ['unknown command after QUIT_NC', 'O C K U Q', 'O | connect? c | close! | unknown? c | close! # |'],
]);

// Parts that are missing.
table([
  [
    'no end of headers: the policy sees the headers before the body',
    'O C H M R T L B E',
    `${BEGIN} | ${ENVELOPE} |  | headers? chunk? | endOfMessage? c reset! | close!`,
  ],
  [
    'no end of headers and no body',
    'O C H M R T L E',
    `${BEGIN} | ${ENVELOPE} |  | headers? endOfMessage? c reset! | close!`,
  ],
  [
    'body bytes in the end of message',
    'O C H M R T N B Elast',
    `${BEGIN} | ${ENVELOPE} | headers? | chunk? | chunk? endOfMessage? c reset! | close!`,
  ],
  [
    'body bytes in the end of message, nothing before it',
    'O C H M R Elast',
    `${BEGIN} | mail? c | rcpt? c | headers? chunk? endOfMessage? c reset! | close!`,
  ],
  [
    'body bytes in the end of message that nobody needs',
    'O Elast',
    'O | endOfMessage? c reset! | close!',
    { interests: NOTHING },
  ],
  ['end of message right after MAIL', 'O M E', 'O | mail? c | headers? endOfMessage? c reset! | close!'],
]);

// Versions without a DATA event.
for (const version of [2, 3]) {
  const offer = { version, actions: 0x1ff, protocol: version === 2 ? 0x7f : 0x17f };
  table([
    [
      `version ${version}: data is asked at the first header`,
      'O C H M R L L N B E',
      `${BEGIN} | mail? c | rcpt? c | data? c | c | headers? c | chunk? c | endOfMessage? c reset! | close!`,
      { offer },
    ],
    [
      `version ${version}: data is asked at the end of headers`,
      'O C H M R N E',
      `${BEGIN} | mail? c | rcpt? c | data? headers? c | endOfMessage? c reset! | close!`,
      { offer },
    ],
    [
      `version ${version}: data is asked at the end of message`,
      'O C H M R E',
      `${BEGIN} | mail? c | rcpt? c | data? headers? endOfMessage? c reset! | close!`,
      { offer },
    ],
    [
      `version ${version}: data refuses at the first header`,
      'O C H M R L A M2 R2 L',
      `${BEGIN} | mail? c | rcpt? c | data? y reset! |  | mail? c | rcpt? c | data? c | reset! close!`,
      { offer, verdicts: { data: 'yc' } },
    ],
    [
      `version ${version}: data refuses a message without headers`,
      'O C H M R N',
      `${BEGIN} | mail? c | rcpt? c | data? y reset! | close!`,
      { offer, verdicts: { data: 'y' } },
    ],
    [
      `version ${version} with unanswered headers: data refuses at the first header all the same`,
      'O C H M R L',
      `${BEGIN} | mail? c | rcpt? c | data? y reset! | close!`,
      { offer: { ...offer, protocol: offer.protocol | 0x80 }, verdicts: { data: 'y' } },
    ],
    [
      `version ${version}: a policy without do_data is not asked`,
      'O C H M R L N E',
      `${BEGIN} | mail? c | rcpt? c | c | headers? c | endOfMessage? c reset! | close!`,
      { offer, interests: { ...EVERYTHING, data: 'none' } },
    ],
  ]);
}
table([
  [
    'an MTA that knows DATA and leaves it out is not made up for',
    'O C H M R L N E',
    `${BEGIN} | mail? c | rcpt? c |  | headers? | endOfMessage? c reset! | close!`,
  ],
]);

// Orders that mean nothing: the connection is closed.
for (const [name, commands, before] of [
  ['RCPT without MAIL', 'O C H R', BEGIN],
  ['DATA without MAIL', 'O C H T', BEGIN],
  ['a header without MAIL', 'O C H L', BEGIN],
  ['end of headers without MAIL', 'O C H N', BEGIN],
  ['body without MAIL', 'O C H B', BEGIN],
  ['end of message without MAIL', 'O C H E', BEGIN],
  ['RCPT after abort', 'O C H M A R', `${BEGIN} | mail? c | reset!`],
  ['RCPT after the end of message', 'O C H M E R', `${BEGIN} | mail? c | headers? endOfMessage? c reset!`],
  ['end of message twice', 'O C H M E E', `${BEGIN} | mail? c | headers? endOfMessage? c reset!`],
  ['RCPT after QUIT_NC', 'O C H M K R', `${BEGIN} | mail? c | reset! close!`],
] as const) {
  table([[name, `${commands} M`, `${before} | X | close!`]]);
}
table([
  ['RCPT after a header', 'O C H M R T L R M', `${BEGIN} | ${ENVELOPE} |  | X | reset! close!`],
  ['DATA after a header', 'O C H M R T L T M', `${BEGIN} | ${ENVELOPE} |  | X | reset! close!`],
  [
    'DATA after the body',
    'O C H M R B T M',
    `${BEGIN} | mail? c | rcpt? c | headers? chunk? | X | reset! close!`,
  ],
  [
    'a header after the end of headers',
    'O C H M R T N L M',
    `${BEGIN} | ${ENVELOPE} | headers? | X | reset! close!`,
  ],
  [
    'a header after the body',
    'O C H M R T L B L M',
    `${BEGIN} | ${ENVELOPE} |  | headers? chunk? | X | reset! close!`,
  ],
  ['end of headers twice', 'O C H M R T N N M', `${BEGIN} | ${ENVELOPE} | headers? | X | reset! close!`],
  [
    'end of headers after the body',
    'O C H M R T B N M',
    `${BEGIN} | ${ENVELOPE} | headers? chunk? | X | reset! close!`,
  ],
]);
for (const word of ['C', 'H', 'M', 'R', 'T', 'L', 'N', 'B', 'E', 'U', 'A', 'Q', 'K', 'DC']) {
  table([[`${word} before negotiation`, word, 'X |']]);
}
table([['second negotiation after QUIT_NC', 'O C K O C', 'O | connect? c | close! | X |']]);
table([['a version that no MTA speaks', 'O C', 'X |', { offer: { ...FULL, version: 1 } }]]);

test('a command while the policy is being asked is a mistake of the caller', () => {
  const { session } = play('O');
  session.receive({ kind: 'helo', name: 'x' });
  assert.throws(() => session.receive({ kind: 'abort' }), /while the policy is being asked/);
});

test('a verdict that nobody asked for is a mistake of the caller', () => {
  assert.throws(() => play('O C').session.answer({ kind: 'continue' }), /a verdict without a question/);
});

test('the end while the policy is being asked: reset and close once, no verdict wanted any more', () => {
  const { session } = play('O C H');
  session.receive({ kind: 'helo', name: 'x' });
  session.answer({ kind: 'continue' });
  session.receive({ kind: 'mail', address: '<a@b.example>', params: [] });
  assert.deepEqual(
    session.end().map((step) => (step.kind === 'tell' ? step.event.kind : step.kind)),
    ['reset', 'close'],
  );
  assert.deepEqual(session.end(), []);
  assert.throws(() => session.answer({ kind: 'continue' }), /a verdict without a question/);
});

test('the example of test/README.md is as it is played', () => {
  const text = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const [, commands = '', trace = ''] = /^```\n(O C H.*)\n(.*)\n```$/m.exec(text) ?? [];
  assert.equal(play(commands, { interests: NOTHING, offer: NO_BITS }).trace, trace);
});
