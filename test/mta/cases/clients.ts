/** What SMTP clients may do besides the usual: TLS, pipelining, many recipients, many at once, wrong commands. */
import assert from 'node:assert/strict';
import {
  argsOf,
  CLOSED,
  DATA,
  EHLO,
  GREETING,
  MAIL,
  type MailCase,
  MESSAGE,
  PLAIN,
  PLAIN_ARRIVAL,
  pipeline,
  QUIT,
  RCPT,
  STARTTLS,
  say,
  WHOLE_SESSION,
} from '../mail-case.ts';

const numbered = (count: number) => Array.from({ length: count }, (_, n) => `r${n}@dest.test`);
const REFUSE_ODD = `
function answer.rcpt(rcpt)
  local n = tonumber(rcpt:match('^r(%d+)@'))
  if n % 2 == 1 then return 551, '5.1.6 number ' .. n end
end
`;

export const CLIENTS: readonly MailCase[] = [
  {
    name: 'client that says nothing but QUIT',
    policy: '',
    sessions: [[GREETING, QUIT]],
    calls: ['connect close'],
    arrives: [],
  },
  {
    name: 'HELO again after STARTTLS',
    policy: "function answer.helo() trace('tran', smtp.tran.id) end",
    sessions: [
      [GREETING, EHLO, ...STARTTLS, say('EHLO over-tls.test', '250'), MAIL, RCPT, DATA, MESSAGE, QUIT],
    ],
    calls: ['connect helo tran helo tran mail rcpt data headers chunk dot rset close'],
    arrives: [PLAIN_ARRIVAL],
    check(seen) {
      assert.deepEqual(argsOf(seen, 'helo'), [['client.test'], ['over-tls.test']]);
      assert.deepEqual(argsOf(seen, 'tran'), [['nil'], ['nil']]);
    },
  },
  {
    name: 'refusals over TLS',
    policy: "function answer.rcpt(rcpt) if rcpt == 'no@dest.test' then return 451, '4.7.1 later' end end",
    sessions: [
      [
        ...[GREETING, EHLO, ...STARTTLS, EHLO, MAIL, say('RCPT TO:<no@dest.test>', '451 4.7.1 later'), RCPT],
        ...[DATA, MESSAGE, QUIT],
      ],
    ],
    calls: ['connect helo helo mail rcpt rcpt data headers chunk dot rset close'],
    arrives: [PLAIN_ARRIVAL],
  },
  {
    name: 'every recipient refused',
    policy: "function answer.rcpt() return 551, '5.1.6 nobody here' end",
    sessions: [
      [
        ...[GREETING, EHLO, MAIL, say('RCPT TO:<b@dest.test>', '551 5.1.6 nobody here')],
        ...[say('RCPT TO:<c@dest.test>', '551 5.1.6 nobody here'), say('DATA', /^5\d\d /), QUIT],
      ],
    ],
    calls: ['connect helo mail rcpt rcpt rset close'],
    arrives: [],
  },
  {
    name: 'pipelined commands, DATA refused',
    policy: "function answer.data() return 554, '5.7.1 no data' end",
    sessions: [[GREETING, EHLO, pipeline(MAIL, RCPT, say('DATA', '554 5.7.1 no data')), QUIT]],
    calls: ['connect helo mail rcpt data rset close'],
    arrives: [],
  },
  {
    name: 'pipelined commands, MAIL refused',
    policy: "function answer.mail() return 451, '4.7.1 not from you' end",
    sessions: [
      [
        GREETING,
        EHLO,
        pipeline(
          say('MAIL FROM:<a@src.test>', '451 4.7.1 not from you'),
          say('RCPT TO:<b@dest.test>', '503'),
          say('DATA', '503'),
          QUIT,
        ),
      ],
    ],
    calls: ['connect helo mail rset close'],
    arrives: [],
  },
  {
    name: '60 recipients in one write, every other one refused',
    policy: REFUSE_ODD,
    sessions: [
      [
        GREETING,
        EHLO,
        MAIL,
        pipeline(
          ...numbered(60).map((rcpt, n) =>
            say(`RCPT TO:<${rcpt}>`, n % 2 === 1 ? `551 5.1.6 number ${n}` : '250'),
          ),
        ),
        DATA,
        MESSAGE,
        QUIT,
      ],
    ],
    calls: [`connect helo mail ${'rcpt '.repeat(60)}data headers chunk dot rset close`],
    arrives: [
      {
        ...PLAIN_ARRIVAL,
        rcpts: numbered(60)
          .filter((_rcpt, n) => n % 2 === 0)
          .map((rcpt) => `<${rcpt}>`),
      },
    ],
    check: (seen) => assert.deepEqual(argsOf(seen, 'rcpt').flat(), numbered(60)),
  },
  {
    name: '12 sessions at once, each with an answer of its own',
    atOnce: true,
    policy: `
      function answer.mail(sender) mine = sender end
      function answer.rcpt(rcpt) return 554, '5.7.1 ' .. mine .. ' to ' .. rcpt .. ' of ' .. smtp.sess.helo end`,
    sessions: numbered(12).map((who, n) => [
      GREETING,
      say(`EHLO h${n}.test`, '250'),
      say(`MAIL FROM:<${who}>`, '250'),
      say('RCPT TO:<b@dest.test>', `554 5.7.1 ${who} to b@dest.test of h${n}.test`),
      say('RSET', '250'),
      say(`MAIL FROM:<again-${who}>`, '250'),
      say('RCPT TO:<c@dest.test>', `554 5.7.1 again-${who} to c@dest.test of h${n}.test`),
      QUIT,
    ]),
    calls: numbered(12).map(() => 'connect helo mail rcpt rset mail rcpt rset close'),
    arrives: [],
  },
  {
    name: 'unknown commands and NOOP in between',
    policy: '',
    sessions: [
      [
        ...[
          GREETING,
          EHLO,
          say('NONSENSE with words', '500'),
          say('NOOP', '250'),
          MAIL,
          say('NONSENSE', '500'),
        ],
        ...[RCPT, say('NOOP', '250'), DATA, MESSAGE, QUIT],
      ],
    ],
    calls: [WHOLE_SESSION],
    arrives: [PLAIN_ARRIVAL],
  },
  {
    name: '421 in the second transaction ends both',
    policy:
      "function answer.mail(s) if s == 'second@src.test' then return smtp.code.closing, '4.3.2 enough' end end",
    sessions: [
      [
        ...[GREETING, EHLO, MAIL, RCPT, DATA, MESSAGE],
        ...[say('MAIL FROM:<second@src.test>', '421 4.3.2 enough'), CLOSED],
      ],
    ],
    calls: ['connect helo mail rcpt data headers chunk dot rset mail rset close'],
    arrives: [PLAIN_ARRIVAL],
  },
  {
    name: 'addresses without brackets',
    policy: '',
    sessions: [
      [
        GREETING,
        EHLO,
        say('MAIL FROM:a@src.test', '250'),
        say('RCPT TO:b@dest.test', '250'),
        DATA,
        MESSAGE,
        QUIT,
      ],
    ],
    calls: [WHOLE_SESSION],
    arrives: [PLAIN_ARRIVAL],
    check(seen) {
      assert.deepEqual(argsOf(seen, 'mail'), [['a@src.test']]);
      assert.deepEqual(argsOf(seen, 'rcpt'), [['b@dest.test']]);
    },
  },
];

/** What only Postfix offers. */
export const POSTFIX_CLIENTS: readonly MailCase[] = [
  {
    name: 'BDAT instead of DATA',
    policy: '',
    sessions: [
      [...[GREETING, EHLO, MAIL, RCPT], ...[{ kind: 'bdat' as const, content: PLAIN, expect: '250' }, QUIT]],
    ],
    calls: [WHOLE_SESSION],
    arrives: [PLAIN_ARRIVAL],
  },
  {
    name: 'a client of which a proxy knows no address',
    policy: '',
    sessions: [
      [
        ...[GREETING, EHLO, say('XCLIENT NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE]', '220')],
        ...[EHLO, MAIL, QUIT],
      ],
    ],
    calls: ['connect helo close', 'connect helo mail rset close'],
    arrives: [],
    check: (seen) => assert.deepEqual(argsOf(seen, 'connect').at(-1), ['', '']),
  },
  {
    name: 'SMTPUTF8 addresses as bytes',
    policy: '',
    sessions: [
      [
        ...[GREETING, EHLO, say('MAIL FROM:<j\xc3\xb6@src.test> SMTPUTF8', '250')],
        ...[say('RCPT TO:<\xe4\xb8\xad@dest.test>', '250'), DATA, MESSAGE, QUIT],
      ],
    ],
    calls: [WHOLE_SESSION],
    arrives: [{ ...PLAIN_ARRIVAL, mail: '<j\xc3\xb6@src.test>', rcpts: ['<\xe4\xb8\xad@dest.test>'] }],
    check(seen) {
      assert.deepEqual(argsOf(seen, 'mail'), [['j\xc3\xb6@src.test', 'SMTPUTF8']]);
      assert.deepEqual(argsOf(seen, 'rcpt'), [['\xe4\xb8\xad@dest.test']]);
    },
  },
];
