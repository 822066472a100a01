/** Changes to messages, as the next hop sees them. */
import {
  DATA,
  EHLO,
  GREETING,
  MAIL,
  type MailCase,
  mailWith,
  message,
  PLAIN,
  PLAIN_ARRIVAL,
  QUIT,
  RCPT,
  say,
  WHOLE_SESSION,
} from '../mail-case.ts';

const BODY = 'Hello\r\n';
const HEADERS = [
  'Subject: old',
  'X-Gone: 1',
  'x-gone: 2',
  'X-Kept: \xe9\r\n\tfolded',
  'X-Gone: 3',
  'X-Some: a',
  'X-Some: b',
  'X-Some: c',
  'X-Some: d',
];

export const CHANGES: readonly MailCase[] = [
  {
    name: 'headers added, inserted, changed and deleted, several of a name too',
    policy: `
      function answer.rcpt()
        header.set('Subject', 'new \\233\\r\\n\\tand folded', { raw = true })
        header.delete('X-Gone')
      end
      function answer.dot()
        header.delete('X-Some', 2)
        header.modify('X-Some', 2, 'changed')
        header.delete('X-Some', 3)
        header.add('X-Added', 'value')
        header.add('X-Bare:value')
        header.add('X-Wide:  two\\n   three')
        header.add('X-Empty', '')
        header.insert('X-Top: top', 1)
      end`,
    sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, message(mailWith(HEADERS, BODY), '250'), QUIT]],
    calls: [WHOLE_SESSION],
    arrives: [
      {
        ...PLAIN_ARRIVAL,
        content: `X-Top: top\r\n${mailWith(
          [
            'Subject: new \xe9\r\n\tand folded',
            'X-Kept: \xe9\r\n\tfolded',
            'X-Some: a',
            'X-Some: changed',
            'X-Added: value',
            'X-Bare:value',
            'X-Wide:  two\r\n   three',
            'X-Empty: ',
          ],
          BODY,
        )}`,
      },
    ],
  },
  {
    name: 'sender and recipients changed',
    policy: `
      function answer.mail() smtp.set_sender('"a b"@src.test') end
      function answer.data()
        smtp.add_rcpt('c@dest.test')
        smtp.add_rcpt('<d@dest.test>', { 'NOTIFY=NEVER' })
        assert(smtp.del_rcpt('Gone@DEST.test') == true)
        assert(smtp.del_rcpt('Bare@dest.test') == true)
        assert(smtp.del_rcpt('gone@dest.test') == false)
      end`,
    sessions: [
      [
        GREETING,
        EHLO,
        MAIL,
        RCPT,
        say('RCPT TO:<Gone@dest.test>', '250'),
        say('RCPT TO:<"Bare"@dest.test>', '250'),
        DATA,
        message(PLAIN, '250'),
        QUIT,
      ],
    ],
    calls: ['connect helo mail rcpt rcpt rcpt data headers chunk dot rset close'],
    arrives: [
      {
        ...PLAIN_ARRIVAL,
        mail: '<"a b"@src.test>',
        rcpts: ['<b@dest.test>', '<c@dest.test>', /^<d@dest\.test>/],
      },
    ],
  },
  {
    name: 'null sender set, body replaced by several packets',
    policy: `
      function answer.chunk()
        smtp.set_sender('')
        body.replace('thrown away')
        body.replace(('0123456789abcde\\r\\n'):rep(10000))
        header.add('X-Body', 'new')
      end`,
    sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, message(mailWith(['Subject: s'], BODY), '250'), QUIT]],
    calls: [WHOLE_SESSION],
    arrives: [
      {
        ...PLAIN_ARRIVAL,
        mail: '<>',
        content: mailWith(['Subject: s', 'X-Body: new'], '0123456789abcde\r\n'.repeat(10_000)),
      },
    ],
  },
  {
    name: 'body emptied, and accept before the end',
    policy: `
      function answer.headers()
        body.replace('')
        return smtp.code.accept
      end`,
    sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, message(mailWith(['Subject: s'], BODY), '250'), QUIT]],
    calls: ['connect helo mail rcpt data headers rset close'],
    arrives: [{ ...PLAIN_ARRIVAL, content: mailWith(['Subject: s'], '') }],
  },
  {
    name: 'what would inject is refused, and the message goes through as it was',
    policy: `
      function answer.dot()
        assert(not pcall(header.add, 'X-A', 'b\\r\\nX-Evil: c'))
        assert(not pcall(header.add, 'X-A\\r\\nX-Evil', 'c'))
        assert(not pcall(header.set, 'Subject', 'b\\n\\nbody'))
        assert(not pcall(smtp.add_rcpt, 'c@dest.test,evil@dest.test'))
        assert(not pcall(smtp.set_sender, 'x@src.test>,<evil@dest.test'))
      end`,
    sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, message(PLAIN, '250'), QUIT]],
    calls: [WHOLE_SESSION],
    arrives: [PLAIN_ARRIVAL],
  },
];
