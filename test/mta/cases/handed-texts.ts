/**
 * Texts that a script hands to the mail server. Those that would put its replies out of step, or inject a header, a
 * recipient or a command, are errors with the line of the script; those that pass take effect, and every command of the
 * client gets exactly its reply.
 */
import assert from 'node:assert/strict';
import {
  type Arrival,
  argsOf,
  DATA,
  EHLO,
  GREETING,
  type MailCase,
  mailWith,
  message,
  type Pattern,
  PLAIN,
  PLAIN_ARRIVAL,
  QUIT,
  RCPT,
  RSET,
  say,
} from '../mail-case.ts';
import { logged } from './logged.ts';

/** A Lua string literal of any bytes. */
function lua(text: string): string {
  const escaped = text.replace(/[^ !#-[\]-~]/g, (char) => `\\${String(char.charCodeAt(0)).padStart(3, '0')}`);
  return `"${escaped}"`;
}

const NOT_PARAMETERS = {
  rcpt: [
    ...[
      'FOO=bar',
      'FOO',
      '=',
      'SIZE=10',
      'RET=FULL',
      'SMTPUTF8',
      'BY=100;R',
      'CONPERM',
      'RRVS=2014-04-03T23:01:00Z',
    ],
    ...[
      'NOTIFY',
      'NOTIFY=',
      'NOTIFY=BOGUS',
      'NOTIFY=NEVER,SUCCESS',
      'NOTIFY=SUCCESS, FAILURE',
      'NOTIFY=SUCCESS,',
    ],
    ...[
      'NOTIFY=NEVER NOTIFY=NEVER',
      'NOTIFY=NEVER;x',
      'NOTIFY=NEVER\tORCPT=rfc822;a',
      'NOTIFY=NEVER\r\nQUIT',
    ],
    ...[
      'ORCPT',
      'ORCPT=',
      'ORCPT=nonsense',
      'ORCPT=;x',
      'ORCPT=rfc822;a+GG',
      'ORCPT=rfc822;a=b',
      'ORCPT=rfc 822;a',
    ],
    ...[
      'ORCPT=rfc822;a+00b',
      'ORCPT=rfc822;a+0Ab',
      'ORCPT=\xe9;x',
      'ORCPT=rfc822;\xe9',
      `ORCPT=a;${'x'.repeat(500)}`,
    ],
  ],
  mail: [
    ...[
      'FOO=bar',
      'RET',
      'RET=X',
      'RET=FULL RET=HDRS',
      'NOTIFY=NEVER',
      'REQUIRETLS',
      'MT-PRIORITY=3',
      'BY=100;R',
    ],
    ...[
      'HOLDFOR=100',
      'ENVID',
      'ENVID=',
      'ENVID=a=b',
      'ENVID=a+GG',
      'ENVID=a+0A',
      'ENVID=\xe9',
      `ENVID=${'x'.repeat(101)}`,
    ],
    ...[
      'SIZE',
      'SIZE=abc',
      'SIZE=-1',
      'BODY',
      'BODY=X',
      'BODY=BINARYMIME',
      'SMTPUTF8=x',
      'AUTH',
      'AUTH=',
      'AUTH=+GG',
    ],
    ...['RET=FULL\r\nRCPT TO:<evil@dest.test>', 'RET=FULL\0ENVID=x', 'RET=FULL\nENVID=x'],
  ],
};

const NOT_ADDRESSES = [
  ...[
    'c@dest.test,evil@dest.test',
    'c@dest.test evil@dest.test',
    'c@dest.test>,<evil@dest.test',
    '<c@dest.test>x',
  ],
  ...[
    'c@dest.test\r\nRCPT TO:<evil@dest.test>',
    'c@dest.test\nx',
    'c@dest.test\rx',
    'c\0@dest.test',
    '"c\r\n"@dest.test',
  ],
  ...[
    'c@b@dest.test',
    '"c@dest.test',
    'c@[192.0.2.1]x',
    'c@',
    ':include:/etc/passwd',
    '<<c@dest.test>>',
    '<c@dest.test',
  ],
  'x'.repeat(20_000),
];
/** Well formed, and more than Sendmail can take: Postfix does with them what it can, and no harm. */
const NOT_FOR_SENDMAIL = [
  ...[
    'c@dest..test',
    'c@.dest.test',
    '\x81c@dest.test',
    '"\xff"@dest.test',
    '|c',
    '/c',
    `${'x'.repeat(244)}@dest.test`,
  ],
];

const NOT_NAMES = ['', 'X Y', 'X:Y', 'X\r\nY', 'X\nY', 'X\0Y', 'X\xe9', 'X\t', 'x'.repeat(999)];
const NOT_VALUES = [
  ...[
    'a\r\nX-Evil: b',
    'a\nX-Evil: b',
    'a\rX-Evil: b',
    'a\r\n\r\nbody',
    'a\n\nbody',
    'a\r\n \r\nb',
    'a\r\n',
    'a\0b',
  ],
  ...['\r', '\n'],
];
/** Too long as they are; where the text may be folded and cut, they are taken. */
const NOT_RAW_VALUES = ['x'.repeat(1000), `a\r\n ${'x'.repeat(1000)}`, 'x '.repeat(40_000)];

/** Calls that must fail on both servers: function and arguments, as Lua. */
const REFUSED: readonly string[] = [
  ...NOT_PARAMETERS.rcpt.map((params) => `smtp.add_rcpt, "c@dest.test", ${lua(params)}`),
  ...NOT_PARAMETERS.rcpt.map(
    (params) => `smtp.add_rcpt, "c@dest.test", { "ORCPT=rfc822;x", ${lua(params)} }`,
  ),
  ...NOT_PARAMETERS.mail.map((params) => `smtp.set_sender, "c@dest.test", ${lua(params)}`),
  ...NOT_PARAMETERS.mail.map((params) => `smtp.set_sender, "", { "ENVID=x", ${lua(params)} }`),
  ...NOT_ADDRESSES.flatMap((address) => [
    `smtp.add_rcpt, ${lua(address)}`,
    `smtp.add_rcpt, ${lua(address)}, "NOTIFY=NEVER"`,
    `smtp.del_rcpt, ${lua(address)}`,
    `smtp.set_sender, ${lua(address)}`,
  ]),
  ...NOT_NAMES.flatMap((name) => [
    `header.add, ${lua(name)}, "v"`,
    `header.set, ${lua(name)}, "v"`,
    `header.modify, ${lua(name)}, 1, "v"`,
    `header.delete, ${lua(name)}`,
  ]),
  ...NOT_VALUES.flatMap((value) => [
    `header.add, "X-A", ${lua(value)}`,
    `header.add, ${lua(`X-A: ${value}`)}`,
    `header.set, "Subject", ${lua(value)}`,
    `header.modify, "Subject", 1, ${lua(value)}`,
    `header.insert, ${lua(`X-A: ${value}`)}, 1`,
  ]),
  ...NOT_RAW_VALUES.flatMap((value) => [
    `header.add, "X-A", ${lua(value)}, { raw = true }`,
    `header.set, "Subject", ${lua(value)}, { raw = true }`,
    `header.modify, "Subject", 1, ${lua(value)}, { raw = true }`,
  ]),
  ...['-1', '1.5', '"x"', '{}'].map((index) => `header.insert, "X-A: b", ${index}`),
  ...['""', '" \\r\\n\\0"', '{}'].map((reason) => `smtp.quarantine, ${reason}`),
  ...['', '{}'].map((body) => `body.replace${body && `, ${body}`}`),
];

/** A call that must succeed, and what it makes of the message. */
interface Taken {
  readonly call: string;
  readonly mail?: Pattern;
  /** Beside the recipient of the client. */
  readonly rcpt?: Pattern;
  readonly headers?: readonly string[];
  readonly body?: string;
}

const FTEXT = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index))
  .filter((char) => char !== ':')
  .join('');
const CONTROLS = Array.from({ length: 31 }, (_, index) => String.fromCharCode(1 + index))
  .filter((char) => !'\r\n'.includes(char))
  .join('');
const LONG_ADDRESS = `${'x'.repeat(243)}@dest.test`;
const NASTY_BODY = 'a\r\n.\r\nMAIL FROM:<evil@src.test>\r\n..\r\nQUIT\r\n\0\x81\xff$j %s\r\n.\r\n';

const TAKEN: readonly Taken[] = [
  { call: 'smtp.add_rcpt("c@dest.test", "NOTIFY=NEVER")', rcpt: /^<c@dest\.test>.* NOTIFY=NEVER$/ },
  {
    call: 'smtp.add_rcpt("c@dest.test", { "orcpt=RFC822;x+2By@z.test", "notify=success,Delay" })',
    rcpt: /^<c@dest\.test>(?=.* ORCPT=RFC822;x\+2By@z\.test)(?=.* NOTIFY=SUCCESS,DELAY)/,
  },
  {
    call: `smtp.add_rcpt("c@dest.test", "ORCPT=rfc822;${'x'.repeat(493)}")`,
    rcpt: new RegExp(`^<c@dest\\.test> ORCPT=rfc822;${'x'.repeat(493)}$`),
  },
  // What the client gave.
  {
    call: 'smtp.add_rcpt("c@dest.test", smtp.tran.rcpts[1].params)',
    rcpt: /^<c@dest\.test>(?=.* NOTIFY=FAILURE)(?=.* ORCPT=rfc822;orig@dest\.test)/,
  },
  {
    call: 'smtp.set_sender("new@src.test", smtp.tran.params)',
    mail: /^<new@src\.test>(?=.* RET=HDRS)(?=.* ENVID=own\+2Bid)/,
  },
  {
    call: 'smtp.set_sender("two@src.test", "ENVID=a+20b ret=full")',
    mail: /^<two@src\.test>(?=.* ENVID=a\+20b)(?=.* RET=FULL)/,
  },
  {
    call: 'smtp.set_sender("all@src.test", { "SMTPUTF8", "SIZE=1000", "BODY=8BITMIME", "AUTH=<>", "ENVID=q", "RET=HDRS" })',
    mail: /^<all@src\.test>(?=.* RET=HDRS)(?=.* ENVID=q)/,
  },
  { call: 'smtp.set_sender("", "RET=HDRS")', mail: /^<>.* RET=HDRS/ },
  { call: `smtp.add_rcpt("${LONG_ADDRESS}", "NOTIFY=NEVER")`, rcpt: `<${LONG_ADDRESS}>` },
  {
    call: `smtp.add_rcpt(${lua('"a, b>\\"c;"@dest.test')}, "NOTIFY=NEVER")`,
    rcpt: '<"a, b>\\"c;"@dest.test>',
  },
  { call: 'smtp.add_rcpt("$x{y}|z@dest.test", "NOTIFY=NEVER")', rcpt: '<$x{y}|z@dest.test>' },
  { call: `header.add(${lua(FTEXT)}, "v")`, headers: [`${FTEXT}: v`] },
  {
    call: `header.add("X-A", ${lua(`$j %s ${CONTROLS}z`)}, { raw = true })`,
    headers: [`X-A: $j %s ${CONTROLS}z`],
  },
  {
    call: `header.add("X-A", ${lua(`$j %s ${CONTROLS}z`)})`,
    headers: ['X-A: $j %s =?utf-8?B?AQIDBAUGBwgJCwwODxAREhMUFRYXGBkaGxwdHh96?='],
  },
  { call: `header.add("X-A:" .. ("x"):rep(994))`, headers: [`X-A:${'x'.repeat(994)}`] },
  { call: 'header.add("X-A", "a\\r\\n\\tX-B: b")', headers: ['X-A: a\r\n\tX-B: b'] },
  { call: 'header.insert("X-A: last", 2147483647)', headers: ['X-A: last'] },
  { call: `body.replace(${lua(NASTY_BODY)})`, body: NASTY_BODY },
  // A lone CR is none of theirs: next hops may take `CR . CR LF` for the end of the message.
  {
    call: 'body.replace("a\\r.\\rb\\r\\n\\r.\\r\\nMAIL FROM:<evil@src.test>\\r")',
    body: 'a\r\n.\r\nb\r\n\r\n.\r\nMAIL FROM:<evil@src.test>\r\n',
  },
  { call: 'body.replace(".")', body: '.\r\n' },
  { call: 'body.replace("a\\n.\\nb")', body: 'a\r\n.\r\nb\r\n' },
];

const BODY = 'Hello\r\n';
const MESSAGES = TAKEN.map((taken, row) => ({
  ...taken,
  sent: mailWith([`Subject: ${row + 1}`], BODY),
  content: mailWith([`Subject: ${row + 1}`, ...(taken.headers ?? [])], taken.body ?? BODY),
}));

export const HANDED_TEXTS: readonly MailCase[] = [
  {
    name: 'what a script may not hand over is an error with its line',
    policy: `
      local tried = {}
      local function refused(...)
        local ok, reason = pcall(...)
        tried[#tried + 1] = tostring(ok) .. ' ' .. tostring(reason)
      end
      function answer.dot()
        ${REFUSED.map((call) => `refused(${call})`).join('\n        ')}
        if not (smtp.macro('v') or ''):find('Postfix') then
          ${NOT_FOR_SENDMAIL.flatMap((address) => [
            `smtp.add_rcpt, ${lua(address)}`,
            `smtp.add_rcpt, ${lua(address)}, "NOTIFY=NEVER"`,
            `smtp.set_sender, ${lua(address)}`,
          ])
            .map((call) => `refused(${call})`)
            .join('\n          ')}
        end
        trace('tried', table.unpack(tried))
      end`,
    sessions: [
      [
        ...[GREETING, EHLO, say('MAIL FROM:<a@src.test>', '250'), RCPT, DATA, message(PLAIN, '250')],
        ...[say('NOOP', '250'), RSET, say('VRFY b@dest.test', '252'), QUIT],
      ],
    ],
    calls: ['connect helo mail rcpt data headers chunk dot tried rset close'],
    arrives: [PLAIN_ARRIVAL],
    check(seen) {
      const [tried = []] = argsOf(seen, 'tried');
      const count = REFUSED.length + (seen.mta === 'sendmail' ? 3 * NOT_FOR_SENDMAIL.length : 0);
      assert.equal(tried.length, count);
      for (const [index, outcome] of tried.entries()) {
        assert.match(outcome, /^false bad argument #\d to '/, REFUSED[index]);
      }
    },
  },
  {
    name: 'an error in a call names the line of the script, and the message goes as it was',
    bare: true,
    policy:
      'function smtp.do_dot()\n  header.add("X-A", "b")\n  smtp.add_rcpt("c@dest.test", "FOO=bar")\nend',
    sessions: [
      [
        ...[GREETING, EHLO, say('MAIL FROM:<a@src.test>', '250'), RCPT, DATA, message(PLAIN, /^[24]\d\d /)],
        ...[say('NOOP', '250'), QUIT],
      ],
    ],
    calls: [],
    arrives: [],
    onError: 'tempfail',
    async check(seen) {
      await logged(
        seen,
        /policy\.lua:3: .*bad argument #2 to 'add_rcpt' \(FOO is no parameter of RCPT that Postfix and Sendmail take/,
      );
    },
  },
  {
    name: 'what a script may hand over takes effect, and the replies stay in step',
    policy: `
      function answer.dot()
        local row = tonumber(header.get('Subject'))
        ${TAKEN.map(({ call }, row) => `if row == ${row + 1} then assert(${call}) end`).join('\n        ')}
      end`,
    sessions: [
      [
        ...[GREETING, EHLO],
        ...MESSAGES.flatMap(({ sent }, row) => [
          say(`MAIL FROM:<row${row + 1}@src.test> BODY=8BITMIME RET=HDRS ENVID=own+2Bid`, '250'),
          say('RCPT TO:<b@dest.test> NOTIFY=FAILURE ORCPT=rfc822;orig@dest.test', '250'),
          ...[DATA, message(sent, '250'), say('NOOP', '250')],
        ]),
        ...[RSET, QUIT],
      ],
    ],
    calls: [`connect helo ${'mail rcpt data headers chunk dot rset '.repeat(TAKEN.length)}close`],
    arrives: MESSAGES.map(
      ({ mail, rcpt, content }, row): Arrival => ({
        mail: mail ?? `<row${row + 1}@src.test>`,
        rcpts: ['<b@dest.test>', ...(rcpt === undefined ? [] : [rcpt])],
        content,
      }),
    ),
  },
];
