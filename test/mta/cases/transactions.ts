/** Whole sessions: what a policy is told, in which order, and what becomes of the mail. */
import assert from 'node:assert/strict';
import {
  argsOf,
  DATA,
  DROP,
  EHLO,
  GREETING,
  MAIL,
  type MailCase,
  MESSAGE,
  message,
  PLAIN,
  PLAIN_ARRIVAL,
  pipeline,
  QUIT,
  RCPT,
  RSET,
  type Seen,
  say,
  WHOLE_SESSION,
} from '../mail-case.ts';

// Traces the ids where they must be set, and where they must be nil.
const TRACE_IDS = `
local function ids(where)
  local tran, sess = smtp.tran, smtp.sess
  trace('ids', where, sess.id, sess.helo, tran.id, tran.sender)
end
function answer.connect() ids('connect') end
function answer.helo() ids('helo') end
function answer.mail() ids('mail') end
function answer.dot() ids('dot') trace('queue_id', smtp.tran.queue_id) end
function answer.rset() ids('rset') end
-- In this order, as the case ends with the call of that name.
function smtp.close() ids('close') trace('close') end
`;

function checkIds(seen: Seen): void {
  const rows = argsOf(seen, 'ids');
  const sessionIds = new Set(rows.map(([, id]) => id));
  assert.equal(sessionIds.size, 1);
  const transactionIds = rows.filter(([where]) => where === 'mail').map((row) => row[3]);
  assert.equal(new Set(transactionIds).size, 2, 'each message has an id of its own');
  const [first, second] = transactionIds;
  const [session] = sessionIds;
  assert.deepEqual(
    rows.map(([where, , ...rest]) => [where, ...rest].join(' ')),
    [
      'connect nil nil nil',
      'helo client.test nil nil',
      `mail client.test ${first} a@src.test`,
      `dot client.test ${first} a@src.test`,
      `rset client.test ${first} a@src.test`,
      `mail client.test ${second} second@src.test`,
      `dot client.test ${second} second@src.test`,
      `rset client.test ${second} second@src.test`,
      'close client.test nil nil',
    ],
  );
  assert.ok(seen.calls.every((call) => call.session === session));
  // Both mail servers write their queue id into their Received line.
  const queueIds = argsOf(seen, 'queue_id').map(([id]) => id);
  const received = seen.delivered.map(({ content }) => /\bid (\w+)/.exec(content)?.[1]);
  assert.deepEqual(queueIds, received);
}

const second = {
  ...PLAIN_ARRIVAL,
  mail: '<second@src.test>',
  rcpts: ['<c@dest.test>', '<d@dest.test>'],
};
const SECOND = [
  say('MAIL FROM:<second@src.test>', '250'),
  say('RCPT TO:<c@dest.test>', '250'),
  say('RCPT TO:<d@dest.test>', '250'),
];

export const TRANSACTIONS: readonly MailCase[] = [
  {
    name: 'plain message',
    policy: '',
    sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, MESSAGE, QUIT]],
    calls: [WHOLE_SESSION],
    arrives: [PLAIN_ARRIVAL],
    check(seen) {
      const [ip, ptr] = argsOf(seen, 'connect')[0]!;
      assert.equal(ip, '127.0.0.1');
      assert.match(ptr!, /^(|[\w.-]+)$/, 'a name, or nothing: no address in brackets');
      assert.deepEqual(argsOf(seen, 'helo'), [['client.test']]);
      assert.equal(argsOf(seen, 'mail')[0]![0], 'a@src.test');
      assert.equal(argsOf(seen, 'rcpt')[0]![0], 'b@dest.test');
    },
  },
  {
    name: 'HELO instead of EHLO, and no QUIT',
    policy: '',
    sessions: [[GREETING, say('HELO client.test', '250'), MAIL, RCPT, DATA, MESSAGE]],
    calls: [WHOLE_SESSION],
    arrives: [PLAIN_ARRIVAL],
  },
  {
    name: 'MAIL without HELO',
    policy: "function answer.mail() trace('sess.helo', smtp.sess.helo) end",
    sessions: [[GREETING, MAIL, RCPT, DATA, MESSAGE, QUIT]],
    calls: ['connect mail sess.helo rcpt data headers chunk dot rset close'],
    arrives: [PLAIN_ARRIVAL],
    check: (seen) => assert.deepEqual(argsOf(seen, 'sess.helo'), [['nil']]),
  },
  {
    name: 'RSET in mid-transaction',
    policy: '',
    // Postfix keeps its ABORT back until it has more to say.
    sessions: [
      [
        ...[GREETING, EHLO, MAIL, RCPT, RSET, { kind: 'called', name: 'rset', on: 'sendmail' } as const],
        ...[...SECOND, DATA, MESSAGE, QUIT],
      ],
    ],
    calls: ['connect helo mail rcpt rset mail rcpt rcpt data headers chunk dot rset close'],
    arrives: [second],
  },
  {
    name: 'RSET between transactions',
    policy: '',
    sessions: [[GREETING, EHLO, RSET, MAIL, RCPT, DATA, MESSAGE, RSET, RSET, QUIT]],
    calls: [WHOLE_SESSION],
    arrives: [PLAIN_ARRIVAL],
  },
  {
    name: 'EHLO in mid-transaction',
    policy: "function answer.helo() trace('tran', smtp.tran.id, smtp.tran.sender) end",
    sessions: [[GREETING, EHLO, MAIL, RCPT, say('EHLO other.test', '250'), ...SECOND, DATA, MESSAGE, QUIT]],
    calls: ['connect helo tran mail rcpt rset helo tran mail rcpt rcpt data headers chunk dot rset close'],
    arrives: [second],
    check(seen) {
      assert.deepEqual(argsOf(seen, 'helo'), [['client.test'], ['other.test']]);
      assert.deepEqual(argsOf(seen, 'tran'), [
        ['nil', 'nil'],
        ['nil', 'nil'],
      ]);
    },
  },
  {
    name: 'two messages on a connection',
    policy: TRACE_IDS,
    sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, MESSAGE, ...SECOND, DATA, MESSAGE, QUIT]],
    calls: [
      'connect ids helo ids mail ids rcpt data headers chunk dot ids queue_id rset ids ' +
        'mail ids rcpt rcpt data headers chunk dot ids queue_id rset ids ids close',
    ],
    arrives: [PLAIN_ARRIVAL, second],
    check: checkIds,
  },
  {
    name: 'a message after a refused one on the same connection',
    policy:
      "local n = 0\nfunction answer.dot() n = n + 1 if n == 1 then return 550, '5.7.1 not this one' end end",
    sessions: [
      [
        GREETING,
        EHLO,
        MAIL,
        RCPT,
        DATA,
        message(PLAIN, '550 5.7.1 not this one'),
        ...SECOND,
        DATA,
        MESSAGE,
        QUIT,
      ],
    ],
    calls: [
      'connect helo mail rcpt data headers chunk dot rset mail rcpt rcpt data headers chunk dot rset close',
    ],
    arrives: [second],
  },
  {
    name: 'a transaction after a refused MAIL',
    policy: "function answer.mail(sender) if sender == 'a@src.test' then return 451, '4.7.1 not now' end end",
    sessions: [
      [GREETING, EHLO, say('MAIL FROM:<a@src.test>', '451 4.7.1 not now'), ...SECOND, DATA, MESSAGE, QUIT],
    ],
    calls: ['connect helo mail rset mail rcpt rcpt data headers chunk dot rset close'],
    arrives: [second],
  },
  {
    name: 'a transaction that lives on after a refused DATA',
    policy:
      "local n = 0\nfunction answer.data() n = n + 1 if n == 1 then return 451, '4.7.1 not now' end end",
    sessions: [
      [
        ...[GREETING, EHLO, MAIL, RCPT, say('DATA', '451 4.7.1 not now')],
        ...[say('RCPT TO:<c@dest.test>', '250'), DATA, MESSAGE, QUIT],
      ],
    ],
    calls: ['connect helo mail rcpt data rcpt data headers chunk dot rset close'],
    arrives: [{ ...PLAIN_ARRIVAL, rcpts: ['<b@dest.test>', '<c@dest.test>'] }],
  },
  {
    name: 'pipelined commands, one recipient refused',
    policy:
      "function answer.rcpt(rcpt) if rcpt == 'no@dest.test' then return 551, '5.1.6 moved away' end end",
    sessions: [
      [
        GREETING,
        EHLO,
        pipeline(
          MAIL,
          RCPT,
          say('RCPT TO:<no@dest.test>', '551 5.1.6 moved away'),
          say('RCPT TO:<c@dest.test>', '250'),
          DATA,
        ),
        MESSAGE,
        QUIT,
      ],
    ],
    calls: ['connect helo mail rcpt rcpt rcpt data headers chunk dot rset close'],
    arrives: [{ ...PLAIN_ARRIVAL, rcpts: ['<b@dest.test>', '<c@dest.test>'] }],
  },
  {
    name: 'a recipient that the mail server refuses itself',
    policy: '',
    sessions: [
      [
        GREETING,
        EHLO,
        MAIL,
        say('RCPT TO:<unknown@dest.test>', /^550 5\.1\.1 .*no such user$/),
        RCPT,
        DATA,
        MESSAGE,
        QUIT,
      ],
    ],
    calls: [WHOLE_SESSION],
    arrives: [PLAIN_ARRIVAL],
    check: (seen) => assert.equal(argsOf(seen, 'rcpt')[0]![0], 'b@dest.test'),
  },
  {
    name: 'client drops the connection in mid-DATA',
    policy: '',
    sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, { kind: 'send', text: PLAIN.slice(0, -8) }, DROP]],
    calls: ['connect helo mail rcpt data rset close'],
    arrives: [],
  },
  {
    name: 'client drops the connection after RCPT',
    policy: '',
    sessions: [[GREETING, EHLO, MAIL, RCPT, DROP]],
    calls: ['connect helo mail rcpt rset close'],
    arrives: [],
  },
  {
    name: 'client over IPv6',
    ipv6: true,
    policy: '',
    sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, MESSAGE, QUIT]],
    calls: [WHOLE_SESSION],
    arrives: [PLAIN_ARRIVAL],
    check(seen) {
      const [ip, ptr] = argsOf(seen, 'connect')[0]!;
      // Sendmail says IPv6:0:0:0:0:0:0:0:1.
      assert.equal(ip, '::1');
      assert.match(ptr!, /^(|[\w.-]+)$/, 'a name, or nothing: no address in brackets');
    },
  },
];
