/** Reply texts that a mail server mangles or chokes on when they reach it as the script wrote them. */
import {
  DATA,
  EHLO,
  type Expected,
  GREETING,
  MAIL,
  type MailCase,
  message,
  PLAIN,
  PLAIN_ARRIVAL,
  QUIT,
  RCPT,
  say,
} from '../mail-case.ts';

/** `result` is the Lua expression list that do_rcpt and do_dot return. */
function replyText(name: string, result: string, expect: Expected): MailCase {
  return {
    name: `reply text: ${name}`,
    policy: `
      function answer.rcpt(rcpt) if rcpt == 'refused@dest.test' then return ${result} end end
      function answer.dot() return ${result} end`,
    sessions: [
      [
        GREETING,
        EHLO,
        MAIL,
        RCPT,
        say('RCPT TO:<refused@dest.test>', expect),
        // The filter must still be heard: a text it sent wrongly would have put it out for the session.
        DATA,
        message(PLAIN, expect),
        QUIT,
      ],
    ],
    calls: ['connect helo mail rcpt rcpt data headers chunk dot rset close'],
    arrives: [],
  };
}

const LONG = 'x'.repeat(998);
/** About as long as Sendmail takes one; it shows both ends, of 100 bytes each. */
const LONG_RCPT = `<${'r'.repeat(64)}@${'d'.repeat(63)}.${'e'.repeat(63)}.${'f'.repeat(54)}.test>`;
const SHORTENED = `${LONG_RCPT.slice(0, 100)}...${LONG_RCPT.slice(-100)}`;

/** Both servers show a reply of so many lines whole, and a client that waits for its last line hears it. */
function foldedReply(code: number, lines: number): string {
  const line = (end: boolean) => `${code}${end ? ' ' : '-'}5.0.0 ${'x'.repeat(970)}`;
  return Array.from({ length: lines }, (_, index) => line(index === lines - 1)).join('\n');
}

/** What do_rcpt returns for a long recipient, with a code to which Sendmail puts the address in front. */
function atLongRecipient(name: string, result: string, rest: readonly string[]): MailCase {
  const [first = '', ...others] = rest;
  const shown = (address: string) =>
    [`${first.slice(0, 10)}${address}${first.slice(10)}`, ...others].join('\n');
  return {
    name: `reply text: ${name}, at a long recipient`,
    policy: `function answer.rcpt(rcpt) if #rcpt > 100 then return ${result} end end`,
    sessions: [
      [
        ...[GREETING, EHLO, MAIL, RCPT],
        say(`RCPT TO:${LONG_RCPT}`, { postfix: shown(''), sendmail: shown(`${SHORTENED}... `) }),
        ...[say('NOOP', '250'), DATA, message(PLAIN, '250'), QUIT],
      ],
    ],
    calls: ['connect helo mail rcpt rcpt data headers chunk dot rset close'],
    arrives: [PLAIN_ARRIVAL],
  };
}

// Codes to which Sendmail adds no address, so that both servers must pass the same text at RCPT and at the end.
export const REPLY_TEXTS: readonly MailCase[] = [
  replyText('percent signs', "554, '5.7.1 100% sure %s %d %% of it'", '554 5.7.1 100% sure %s %d %% of it'),
  replyText('no enhanced code', "554, 'no'", '554 5.0.0 no'),
  replyText('no enhanced code, 4xx', "452, 'full'", '452 4.0.0 full'),
  replyText('text that begins with a digit', "554, '3 strikes'", '554 5.0.0 3 strikes'),
  replyText('enhanced code of the wrong class', "554, '4.7.1 no'", '554 5.0.0 no'),
  replyText('enhanced code of the wrong class, 4xx', "451, '5.7.1 later'", '451 4.0.0 later'),
  replyText('enhanced code with three digits in its parts', "554, '5.123.456 no'", '554 5.123.456 no'),
  replyText('no text', '554', /^554 5\.\d\.\d \S/),
  replyText('empty text', "451, ''", /^451 4\.\d\.\d \S/),
  replyText('code as a string', "'554', '5.7.1 no'", '554 5.7.1 no'),
  replyText('8-bit bytes', "554, '5.7.1 caf\\xc3\\xa9 \\xff'", /^554 5\.7\.1 caf[ -~]{1,2} ?[ -~]?$/),
  replyText(
    'line ends and controls',
    "554, '5.7.1 one\\r\\n250 two\\0 three\\127'",
    /^554[- ]5\.7\.1 one(?:[ -~]|\n554[- ]5\.7\.1 )+three[ -~]?$/,
  ),
  replyText('998 bytes', `554, '${LONG}'`, `554 5.0.0 ${LONG}`),
  replyText('999 bytes', `554, '${LONG}y'`, `554-5.0.0 ${'x'.repeat(970)}\n554 5.0.0 ${'x'.repeat(28)}y`),
  replyText('more than a reply of Sendmail can hold', "554, ('x'):rep(40000)", foldedReply(554, 14)),
  replyText(
    'a table of long lines, and percent signs',
    "554, { ('%'):rep(600), ('word '):rep(300), 'end' }",
    [
      ...[`${'%'.repeat(485)}`, `${'%'.repeat(115)}`],
      ...['word '.repeat(194).trimEnd(), 'word '.repeat(106).trimEnd(), 'end'],
    ]
      .map((line, index) => `554${index < 4 ? '-' : ' '}5.0.0 ${line}`)
      .join('\n'),
  ),
  atLongRecipient('998 bytes', `550, '${LONG}'`, [`550 5.0.0 ${LONG}`]),
  atLongRecipient('as much as a reply holds', "550, ('x'):rep(40000)", foldedReply(550, 14).split('\n')),
  replyText('the constants', "smtp.code.bad_user, '5.1.6 moved'", '551 5.1.6 moved'),
];
