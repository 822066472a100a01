/** Each policy of examples/, as it is but for its configuration: what it is for, as an SMTP client sees it. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import {
  DATA,
  EHLO,
  GREETING,
  MAIL,
  type MailCase,
  MESSAGE,
  mailWith,
  message,
  PLAIN_ARRIVAL,
  QUIT,
  RCPT,
  RSET,
  say,
} from '../mail-case.ts';
import { logged } from './logged.ts';

const EXAMPLES = new URL('../../../examples/', import.meta.url);

/** A policy with its configuration changed. */
function example(name: string, changes: Readonly<Record<string, string>> = {}): string {
  let text = readFileSync(new URL(name, EXAMPLES), 'latin1');
  for (const [from, to] of Object.entries(changes)) {
    assert.ok(text.includes(from), `${name} has ${from}`);
    text = text.replace(from, to);
  }
  return text;
}

/** The policy, where the table of access.lua holds this line. */
function access(line: string): string {
  const table = `do local f = assert(io.open("{directory}/access", "w")) f:write("${line}\\n") f:close() end`;
  return `${table}\n${example('access.lua', { '"/etc/mail/smtpf-access"': '"{directory}/access"' })}`;
}

/** The policy with these two tables. */
function senders(ofSenders: string, ofRecipients: string): string {
  const tables = [
    ['senders', ofSenders],
    ['recipients', ofRecipients],
  ].map(
    ([name, lines]) =>
      `do local f = assert(io.open("{directory}/${name}", "w")) f:write("${lines}") f:close() end`,
  );
  const policy = example('senders.lua', {
    'os.getenv("SMTPF_SENDERS")': '"hash:{directory}/senders"',
    'os.getenv("SMTPF_RECIPIENTS")': '"hash:{directory}/recipients"',
  });
  return [...tables, policy].join('\n');
}

function withAttachment(name: string): string {
  return mailWith(
    ['MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=b'],
    [
      ...['--b', 'Content-Type: text/plain', '', 'see there'],
      ...['--b', `Content-Disposition: attachment; filename="${name}"`, '', 'AAAA', '--b--', ''],
    ].join('\r\n'),
  );
}

/** Sendmail puts the address before the text of some codes, at MAIL and RCPT. */
function refusal(code: number, text: string): RegExp {
  return new RegExp(`^${code} (5\\.\\d\\.\\d) (<[^>]*>\\.\\.\\. )?${text}$`);
}

const CASES: Readonly<Record<string, readonly Omit<MailCase, 'bare' | 'calls'>[]>> = {
  'access.lua': [
    {
      name: 'a client in its table is refused',
      policy: access('127.0.0.0/8 REJECT 5.7.1 we have had enough of you'),
      sessions: [[GREETING, EHLO, say(MAIL.line, refusal(550, 'we have had enough of you')), QUIT]],
      arrives: [],
    },
    {
      name: 'a client that a more specific line lets in may send',
      policy: access('127.0.0.0/8 REJECT\\n127.0.0.1 OK'),
      sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, MESSAGE, QUIT]],
      arrives: [PLAIN_ARRIVAL],
    },
  ],
  'attachments.lua': [
    {
      name: 'a program is refused as an attachment, a picture is not',
      policy: example('attachments.lua'),
      sessions: [
        [
          ...[GREETING, EHLO, MAIL, RCPT, DATA],
          message(withAttachment('invoice.exe'), '550 5.7.1 attachments of type .exe are not accepted here'),
          ...[MAIL, RCPT, DATA, message(withAttachment('invoice.png'), '250'), QUIT],
        ],
      ],
      arrives: [{ ...PLAIN_ARRIVAL, content: withAttachment('invoice.png') }],
    },
  ],
  'closed-list.lua': [
    {
      name: 'a closed list refuses strangers, and the other recipients get the message',
      policy: example('closed-list.lua'),
      sessions: [
        [
          ...[GREETING, EHLO, MAIL, RCPT],
          say('RCPT TO:<customers@example.com>', refusal(550, 'this list is closed: you may not send to it')),
          say('RCPT TO:<all-staff@example.com>', '250'),
          ...[DATA, MESSAGE, QUIT],
        ],
      ],
      arrives: [{ ...PLAIN_ARRIVAL, rcpts: ['<b@dest.test>', '<all-staff@example.com>'] }],
    },
  ],
  'dmarc.lua': [
    {
      name: 'a message with two From fields is refused',
      policy: example('dmarc.lua', { ' or smtp.sess.ip == "127.0.0.1"': '' }),
      sessions: [
        [
          ...[GREETING, EHLO, MAIL, RCPT, DATA],
          message(
            mailWith(['From: a@src.test, b@dest.test', 'Subject: two'], 'Hello\r\n'),
            '550 5.7.1 From is not the address of one author: multiple from fields',
          ),
          QUIT,
        ],
      ],
      arrives: [],
    },
    {
      name: 'our own mail is not checked',
      policy: example('dmarc.lua'),
      sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, MESSAGE, QUIT]],
      arrives: [PLAIN_ARRIVAL],
    },
  ],
  'greylist.lua': [
    {
      name: 'who is not known is asked to come again, who is near is not',
      policy: example('greylist.lua', { '"127.0.0.0/8", "::1", ': '' }),
      sessions: [
        [
          ...[GREETING, EHLO, MAIL],
          say(RCPT.line, /^451 4\.7\.1 (<[^>]*>\.\.\. )?greylisted, try again in \d+ seconds$/),
          QUIT,
        ],
      ],
      arrives: [],
    },
    {
      name: 'networks of our own are not greylisted',
      policy: example('greylist.lua'),
      sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, MESSAGE, QUIT]],
      arrives: [PLAIN_ARRIVAL],
    },
  ],
  'helo.lua': [
    {
      name: 'who says that it is us is refused, who gives its own name is not',
      policy: example('helo.lua', { '"127.0.0.0/8",': '' }),
      sessions: [
        [
          ...[GREETING, say('EHLO mail.example.com', '250')],
          ...[say(MAIL.line, refusal(550, 'you are not me: that is my name')), QUIT],
        ],
        [GREETING, EHLO, MAIL, RCPT, DATA, MESSAGE, QUIT],
      ],
      arrives: [PLAIN_ARRIVAL],
    },
  ],
  'notify.lua': [
    {
      name: 'who has not logged in is nobody’s affair',
      policy: example('notify.lua'),
      sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, MESSAGE, QUIT]],
      arrives: [PLAIN_ARRIVAL],
    },
  ],
  'senders.lua': [
    {
      name: 'a table like those of Postfix refuses a sender, and one recipient',
      policy: senders('src.test OK\\nbad.test REJECT not from there\\n', 'gone@dest.test 550 5.1.6 moved\\n'),
      sessions: [
        [
          ...[GREETING, EHLO, say('MAIL FROM:<x@bad.test>', refusal(550, 'not from there')), MAIL, RCPT],
          ...[say('RCPT TO:<gone@dest.test>', refusal(550, 'moved')), DATA, MESSAGE, QUIT],
        ],
      ],
      arrives: [PLAIN_ARRIVAL],
    },
  ],
  // What is signed and sealed is verified in signatures.test.ts.
  'sign.lua': [
    {
      name: 'what users send for other domains is left as it is',
      policy: example('sign.lua', { 'if smtp.sess.auth then': 'if smtp.sess.ip ~= "" then' }),
      sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, MESSAGE, QUIT]],
      arrives: [PLAIN_ARRIVAL],
    },
  ],
  'smtpf.lua': [
    {
      name: 'the tour logs every callback and refuses nothing',
      policy: example('smtpf.lua'),
      sessions: [[GREETING, EHLO, MAIL, RSET, MAIL, RCPT, DATA, MESSAGE, QUIT]],
      arrives: [PLAIN_ARRIVAL],
      async check(seen) {
        for (const line of [
          /connect ip="127\.0\.0\.1" ptr="/,
          /helo "client\.test"/,
          /mail "a@src\.test" /,
          /rcpt "b@dest\.test" /,
          /data helo="client\.test" sender="a@src\.test"/,
          /header \d+ "Subject: plain"/,
          /chunk of \d+ bytes/,
          /dot \/\S+ of \d+ bytes/,
          /rset tran=\S+\.1 /,
          /rset tran=\S+\.2 /,
        ]) {
          await logged(seen, line);
        }
      },
    },
  ],
};

assert.deepEqual(
  Object.keys(CASES),
  readdirSync(EXAMPLES).filter((name) => /(?<!_test)\.lua$/.test(name)),
  'there are cases for each policy in examples/',
);

export const EXAMPLE_CASES: readonly MailCase[] = Object.entries(CASES).flatMap(([file, cases]) =>
  cases.map((one) => ({ ...one, name: `examples/${file}: ${one.name}`, bare: true, calls: [] })),
);
