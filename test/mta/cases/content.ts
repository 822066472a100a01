/** Envelope and content byte for byte: parameters, addresses, headers, bodies. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  argsOf,
  DATA,
  EHLO,
  GREETING,
  MAIL,
  type MailCase,
  MESSAGE,
  mailWith,
  message,
  PLAIN,
  PLAIN_ARRIVAL,
  QUIT,
  RCPT,
  say,
  WHOLE_SESSION,
} from '../mail-case.ts';

// 300 KiB in lines whose bytes differ, so that a lost, doubled or swapped chunk shows.
const LARGE = mailWith(
  ['Subject: large'],
  Array.from(
    { length: 4800 },
    (_, n) => `${String(n).padStart(8, '0')} ${'0123456789abcdef'.repeat(3)}12345\r\n`,
  ).join(''),
);

const HEADERS = [
  'Subject: 8-bit \xe9\xff and a fold\r\n\tthat begins with a tab',
  'X-No-Space:value',
  'X-Two-Spaces:  value',
  'X-Folded: one\r\n two\r\n  three',
  'X-UTF-8: caf\xc3\xa9',
  'X-Same: first',
  'x-same: second',
];

// What fills two packets of an MTA to the last byte.
const TWO_PACKETS = mailWith(
  ['Subject: two packets'],
  `${`${'a'.repeat(98)}\r\n`.repeat(1310)}${'z'.repeat(68)}\r\n`,
);

// Sendmail takes 32 KiB of headers in all.
const MANY_HEADERS = [
  ...Array.from({ length: 300 }, (_, n) => `X-Number: ${n}`),
  `X-Long: ${Array.from({ length: 200 }, (_, n) => `${n}${'x'.repeat(80)}`).join('\r\n\t')}`,
];

const COPY = `
function answer.dot(path)
  local from = assert(io.open(path, 'rb'))
  local to = assert(io.open('{directory}/copy', 'wb'))
  assert(to:write(from:read('a')))
  to:close()
  from:close()
  trace('path', path)
end
`;

export const CONTENT: readonly MailCase[] = [
  {
    name: 'body of 300 KiB, also in the file of do_dot and in the chunks',
    policy: `${COPY}
      local size, pieces = 0, {}
      function answer.chunk(chunk, length)
        if #chunk ~= length then error('size') end
        size = size + length
        pieces[#pieces + 1] = chunk
      end
      function answer.rset()
        local file = assert(io.open('{directory}/chunks', 'wb'))
        assert(file:write(table.concat(pieces)))
        file:close()
      end`,
    sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, message(LARGE, '250'), QUIT]],
    calls: ['connect helo mail rcpt data headers chunk chunk chunk chunk chunk dot path rset close'],
    arrives: [{ ...PLAIN_ARRIVAL, content: LARGE }],
    check(seen) {
      const sent = LARGE.replaceAll('{mark}', seen.mark);
      const copy = readFileSync(join(seen.directory, 'copy'), 'latin1');
      assert.equal(copy.length, sent.length);
      assert.ok(copy === sent, 'the file of do_dot');
      const chunks = readFileSync(join(seen.directory, 'chunks'), 'latin1');
      assert.ok(chunks === sent.slice(sent.indexOf('\r\n\r\n') + 4), 'the chunks');
      const path = argsOf(seen, 'path')[0]![0]!;
      assert.throws(() => readFileSync(path), { code: 'ENOENT' }, 'the file is gone after the callback');
    },
  },
  {
    name: '8-bit and folded headers, byte for byte',
    policy: COPY,
    sessions: [
      [
        GREETING,
        EHLO,
        say('MAIL FROM:<a@src.test> BODY=8BITMIME', '250'),
        RCPT,
        DATA,
        message(mailWith(HEADERS, 'caf\xe9\r\n'), '250'),
        QUIT,
      ],
    ],
    calls: ['connect helo mail rcpt data headers chunk dot path rset close'],
    arrives: [{ ...PLAIN_ARRIVAL, content: mailWith(HEADERS, 'caf\xe9\r\n') }],
    check(seen) {
      const sent = mailWith(HEADERS, 'caf\xe9\r\n').replaceAll('{mark}', seen.mark);
      const headers = argsOf(seen, 'headers')[0]!;
      assert.deepEqual(headers.slice(4), HEADERS);
      assert.equal(`${headers.join('\r\n')}\r\n\r\ncaf\xe9\r\n`, sent);
      assert.equal(readFileSync(join(seen.directory, 'copy'), 'latin1'), sent);
    },
  },
  {
    name: 'body that fills two packets to the last byte',
    policy: '',
    sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, message(TWO_PACKETS, '250'), QUIT]],
    calls: ['connect helo mail rcpt data headers chunk chunk dot rset close'],
    arrives: [{ ...PLAIN_ARRIVAL, content: TWO_PACKETS }],
    check: (seen) => assert.deepEqual(argsOf(seen, 'chunk').flat(), ['65535', '65535']),
  },
  {
    name: 'body refused at its first chunk of five',
    policy: "function answer.chunk() return 554, '5.6.0 no more of it' end",
    sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, message(LARGE, '554 5.6.0 no more of it'), QUIT]],
    calls: ['connect helo mail rcpt data headers chunk rset close'],
    arrives: [],
  },
  {
    name: '300 headers, and one of 200 folds',
    policy: '',
    sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, message(mailWith(MANY_HEADERS, 'x\r\n'), '250'), QUIT]],
    calls: [WHOLE_SESSION],
    arrives: [{ ...PLAIN_ARRIVAL, content: mailWith(MANY_HEADERS, 'x\r\n') }],
    check: (seen) => assert.deepEqual(argsOf(seen, 'headers')[0]!.slice(4), MANY_HEADERS),
  },
  {
    name: 'no body at all',
    policy: COPY,
    sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, message(mailWith(['Subject: empty'], ''), '250'), QUIT]],
    calls: ['connect helo mail rcpt data headers dot path rset close'],
    arrives: [{ ...PLAIN_ARRIVAL, content: mailWith(['Subject: empty'], '') }],
    check(seen) {
      const sent = mailWith(['Subject: empty'], '').replaceAll('{mark}', seen.mark);
      assert.equal(readFileSync(join(seen.directory, 'copy'), 'latin1'), sent);
    },
  },
  {
    name: 'null sender',
    policy: "function answer.mail(sender) trace('sender', #sender, #smtp.tran.sender) end",
    sessions: [[GREETING, EHLO, say('MAIL FROM:<>', '250'), RCPT, DATA, MESSAGE, QUIT]],
    calls: ['connect helo mail sender rcpt data headers chunk dot rset close'],
    arrives: [{ ...PLAIN_ARRIVAL, mail: '<>' }],
    check: (seen) => assert.deepEqual(argsOf(seen, 'sender'), [['0', '0']]),
  },
  {
    name: 'addresses in their canonical form, and as the client wrote them',
    policy: `
      function answer.data()
        trace('raw', smtp.tran.raw_sender, smtp.tran.rcpts[1].raw, smtp.tran.rcpts[2].raw)
      end`,
    sessions: [
      [
        ...[GREETING, EHLO, say('MAIL FROM:<Some.One@SRC.test>', '250')],
        ...[say('RCPT TO:<@relay.test:B@dest.test>', '250'), say('RCPT TO:<"quoted part"@dest.test>', '250')],
        ...[DATA, MESSAGE, QUIT],
      ],
    ],
    calls: ['connect helo mail rcpt rcpt data raw headers chunk dot rset close'],
    arrives: [
      {
        mail: /^<Some\.One@src\.test>/i,
        rcpts: [/^<B@dest\.test>|^<@relay\.test:B@dest\.test>/i, /^<"quoted part"@dest\.test>/],
        content: PLAIN,
      },
    ],
    check(seen) {
      const addresses = seen.calls
        .filter(({ name }) => name === 'mail' || name === 'rcpt')
        .map(({ args }) => args[0]);
      assert.deepEqual(addresses, ['Some.One@src.test', 'B@dest.test', '"quoted part"@dest.test']);
      assert.deepEqual(argsOf(seen, 'raw'), [
        ['<Some.One@SRC.test>', '<@relay.test:B@dest.test>', '<"quoted part"@dest.test>'],
      ]);
    },
  },
  {
    name: 'ESMTP parameters',
    policy: `
      function answer.mail(_, params) trace('named', params.SIZE, params.BODY, params.RET, params.ENVID, #params) end
      function answer.rcpt(_, params) trace('named', params.NOTIFY, params.ORCPT, #params) end`,
    sessions: [
      [
        GREETING,
        EHLO,
        say('MAIL FROM:<a@src.test> size=1000 BODY=8BITMIME RET=HDRS ENVID=QQ314159', '250'),
        say('RCPT TO:<b@dest.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b@dest.test', '250'),
        DATA,
        MESSAGE,
        QUIT,
      ],
    ],
    calls: ['connect helo mail named rcpt named data headers chunk dot rset close'],
    arrives: [
      {
        mail: /^<a@src\.test>(?=.* RET=HDRS)(?=.* ENVID=QQ314159)/,
        rcpts: [/^<b@dest\.test>(?=.* NOTIFY=FAILURE,DELAY)(?=.* ORCPT=rfc822;b@dest\.test)/],
        content: PLAIN,
      },
    ],
    check(seen) {
      const args = seen.calls
        .filter(({ name }) => ['mail', 'rcpt', 'named'].includes(name))
        .map((call) => call.args);
      assert.deepEqual(args, [
        ['a@src.test', 'size=1000', 'BODY=8BITMIME', 'RET=HDRS', 'ENVID=QQ314159'],
        ['1000', '8BITMIME', 'HDRS', 'QQ314159', '4'],
        ['b@dest.test', 'NOTIFY=FAILURE,DELAY', 'ORCPT=rfc822;b@dest.test'],
        ['FAILURE,DELAY', 'rfc822;b@dest.test', '2'],
      ]);
    },
  },
  {
    name: 'a policy without callbacks',
    bare: true,
    policy: '',
    sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, MESSAGE, QUIT]],
    calls: [],
    arrives: [PLAIN_ARRIVAL],
  },
  {
    name: 'results that mean go on: none, nil, 0, 250, 211, and a code as a string',
    policy: `
      function answer.connect() return 0 end
      function answer.helo() return nil end
      function answer.mail() return smtp.code.ok, 'fine' end
      function answer.rcpt() return 211 end
      function answer.data() return end
      function answer.headers() return '250' end`,
    sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, MESSAGE, QUIT]],
    calls: [WHOLE_SESSION],
    arrives: [PLAIN_ARRIVAL],
  },
];
