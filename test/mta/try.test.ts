/** What `try` predicts, beside what a real mail server says to its client and delivers: the same policies, the same words. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readPlan } from '../../src/commands/try/try-options.ts';
import { TryRun } from '../../src/commands/try/try-run.ts';
import { followScript, openScript } from '../../src/commands/try/try-session.ts';
import { resolveOptions } from '../../src/options/options.ts';
import { replyLines } from '../../src/workbench/client-reply.ts';
import { formatMessage } from '../../src/workbench/mail-message.ts';
import { stuffDots } from './dialogue.ts';
import type { MtaName } from './mail-server.ts';
import type { OnError } from './milter.ts';
import { writePolicy } from './milter.ts';
import { postfixUnavailable, startPostfix } from './postfix.ts';
import { sendmailUnavailable, startSendmail } from './sendmail.ts';
import { SmtpClient } from './smtp-client.ts';
import { MtaSetup } from './suite.ts';

const IN_CI = process.env.CI === 'true';

/** A message that has what the mail servers would add. `{mark}` is a word that is new with each run. */
const WHOLE = `From: a@src.test
To: b@dest.test
Date: Sun, 22 Nov 2026 12:00:00 +0000
Message-ID: <{mark}@src.test>
Subject: old

Hello
.a dot
`;

const BEGIN = ['EHLO client.test'];
const ENVELOPE = [...BEGIN, 'MAIL FROM:<a@src.test>', 'RCPT TO:<b@dest.test>'];

interface Case {
  readonly name: string;
  readonly policy: string;
  /** SMTP commands; DATA is followed by the message in the next entry. */
  readonly says: readonly string[];
  readonly onError?: OnError;
}

function whole(message = WHOLE): string[] {
  return [...ENVELOPE, 'DATA', message, 'QUIT'];
}

/** A callback that returns, or does, this. */
function callback(name: string, body: string): string {
  return `function smtp.do_${name}(a, b) ${body} end`;
}

function edits(name: string, body: string, message = WHOLE): Case {
  return { name, policy: callback('dot', body), says: whole(message) };
}

const AT_EACH: readonly Case[] = [
  'connect',
  'helo',
  'mail',
  'rcpt',
  'data',
  'headers',
  'chunk',
  'dot',
].flatMap((stage) =>
  [
    ['550, "5.7.1 no way, 100%"', 'refusal'],
    ['450, "one\\ntwo"', 'deferral of two lines'],
    ['421, "4.3.2 bye"', '421'],
    ['521, "5.7.1 bye"', '521'],
    ['554, "5.6.0 with 554"', 'refusal with 554'],
    ['smtp.code.discard', 'discard'],
    ['smtp.code.accept', 'accept'],
  ].map(([result, word]) => ({
    name: `${word} at ${stage}`,
    policy: callback(stage, `return ${result}`),
    says: [...whole(), ...(result?.startsWith('5') ? ['MAIL FROM:<next@src.test>', 'QUIT'] : [])],
  })),
);

const ERRORS: readonly Case[] = (['reject', 'tempfail', 'accept'] as const).flatMap((onError) =>
  ['connect', 'helo', 'mail', 'rcpt', 'data', 'dot'].map((stage) => ({
    name: `error at ${stage}, --on-error ${onError}`,
    policy: callback(stage, 'error("x")'),
    says: whole(),
    onError,
  })),
);

const CASES: readonly Case[] = [
  { name: 'nothing to say', policy: '', says: whole() },
  ...AT_EACH,
  {
    name: 'one of three recipients refused, one deferred, one named twice',
    policy: callback(
      'rcpt',
      'if a:find("^no") then return 553, "5.7.1 no" elseif a:find("^later") then return 452, "full" end',
    ),
    says: [
      ...BEGIN,
      'MAIL FROM:<a@src.test> SIZE=100',
      'RCPT TO:<no@dest.test>',
      'RCPT TO:<b@dest.test>',
      'RCPT TO:<later@dest.test>',
      'RCPT TO:<b@dest.test>',
      'DATA',
      WHOLE,
      'QUIT',
    ],
  },
  {
    name: 'long recipients refused with long texts',
    policy: callback(
      'rcpt',
      'if #a > 100 then return 550, ("x"):rep(998) elseif a:find("^f") then return 553, ("x "):rep(9000) end',
    ),
    says: [
      ...BEGIN,
      'MAIL FROM:<a@src.test>',
      ...[201, 202, 203, 250].map((length) => `RCPT TO:<${'r'.repeat(length - 12)}@dest.test>`),
      'RCPT TO:<folded@dest.test>',
      'DATA',
      'QUIT',
    ],
  },
  {
    name: 'all recipients refused, and DATA all the same',
    policy: callback('rcpt', 'return 550, "5.1.1 nobody"'),
    says: [...ENVELOPE, 'RCPT TO:<c@dest.test>', 'DATA', 'QUIT'],
  },
  {
    name: 'commands out of order',
    policy: callback('mail', ''),
    says: [
      ...BEGIN,
      'RCPT TO:<b@dest.test>',
      'DATA',
      'MAIL FROM:<a@src.test>',
      'MAIL FROM:<a@src.test>',
      'DATA',
      'RSET',
      'NOOP',
      'MAIL',
      'MAIL FROM:<a@src.test> FOO=bar',
      'FOO bar',
      'HELO',
      'QUIT',
    ],
  },
  {
    name: 'unknown commands refused',
    policy:
      'function smtp.do_unknown(line) if line:find("FOO") then return 550, "5.5.9 what" else return 450, "hm" end end',
    says: [...BEGIN, 'FOO bar', 'BAR foo', 'QUIT'],
  },
  {
    name: 'a HELO refused, then another in mid-transaction',
    policy: callback('helo', 'if a == "b" then return 550, "5.7.1 no b" end'),
    says: [
      'EHLO a',
      'MAIL FROM:<a@src.test>',
      'EHLO b',
      'MAIL FROM:<a@src.test>',
      'RSET',
      'EHLO a',
      'MAIL FROM:<a@src.test>',
      'QUIT',
    ],
  },
  {
    name: 'two messages, the first refused at its end',
    policy:
      'local n = 0 function smtp.do_dot() n = n + 1 if n == 1 then return 550, "5.7.1 first" end header.add("X-N", n) end',
    says: [...whole().slice(0, -1), 'MAIL FROM:<a@src.test>', 'RCPT TO:<b@dest.test>', 'DATA', WHOLE, 'QUIT'],
  },
  ...ERRORS,
  edits(
    'headers added, set, deleted',
    `header.add("X-New", "v") header.add("subject", "second") header.set("To", "x@dest.test") header.delete("Date")
     header.add("X-Bare:v") header.add("X-Empty", "") header.add("X-Fold", "a\\n\\tb\\n c") header.add("X-8bit", "caf\\xe9")`,
  ),
  edits(
    'inserted from the last place to the first',
    'for i = 12, 0, -1 do header.insert("X-I" .. i .. ": " .. i, i) end',
  ),
  edits(
    'inserted from the first place to the last',
    'for i = 0, 12 do header.insert("X-I" .. i .. ": " .. i, i) end',
  ),
  edits(
    'headers that the mail server adds, added',
    'for _, n in ipairs { "Date", "From", "Message-Id" } do header.add(n, "added@src.test") end',
  ),
  edits(
    'headers that are missing, added and changed',
    'header.add("Message-Id", "<one@x>") header.add("Message-Id", "<two@x>") header.modify("Date", 1, "d") header.modify("X-No", 2, "v")',
    'Subject: {mark}\n\nHello\n',
  ),
  edits('a number that there is not', 'header.modify("Subject", 2, "two") header.modify("Date", 3, "d3")'),
  edits(
    'several of a name',
    'header.delete("X-S", 2) header.modify("x-s", 2, "changed") header.delete("X-S", 3)',
    WHOLE.replace('Subject', 'X-S: 1\nX-S: 2\nX-S: 3\nX-S: 4\nSubject'),
  ),
  edits(
    'envelope',
    'smtp.set_sender("z@src.test") smtp.add_rcpt("c@dest.test") smtp.add_rcpt("c@dest.test") smtp.del_rcpt("b@dest.test") smtp.add_rcpt("d@dest.test")',
  ),
  edits(
    'envelope with parameters',
    'smtp.set_sender("z@src.test", "RET=HDRS ENVID=q") smtp.add_rcpt("c@dest.test", "NOTIFY=NEVER ORCPT=rfc822;x")',
  ),
  ...(['continue', 'tempfail'] as const).flatMap((onError) =>
    [
      ['add_rcpt', 'FOO=bar'],
      ['add_rcpt', 'NOTIFY=BOGUS'],
      ['add_rcpt', 'ORCPT=nonsense'],
      ['set_sender', 'SIZE=abc'],
      ['set_sender', 'RET'],
    ].map(([name, params]) => ({
      ...edits(`${name} with ${params}, --on-error ${onError}`, `smtp.${name}("c@dest.test", "${params}")`),
      onError,
    })),
  ),
  edits('all recipients gone', 'smtp.del_rcpt("b@dest.test")'),
  edits('body with all kinds of line ends', 'body.replace("a\\nb\\r\\n.\\n..x\\nend")'),
  edits('body emptied', 'body.replace("")'),
  {
    name: 'edits and accept at once',
    policy: callback('mail', 'smtp.set_sender("") return smtp.code.accept'),
    says: whole(),
  },
  {
    name: 'edits and a refusal',
    policy: callback('dot', 'header.add("X", "y") return 550, "5.7.1 no"'),
    says: whole(),
  },
  {
    name: 'TLS',
    policy: `local n = 0 function smtp.do_helo() n = n + 1 end
      function smtp.do_dot()
        local tls = smtp.sess.tls
        header.add("X-TLS", n .. " " .. tls.version .. " " .. tls.cipher .. " " .. tls.bits .. " " .. tostring(tls.verified))
      end`,
    says: [...BEGIN, 'STARTTLS', ...whole()],
  },
  { name: 'no headers', policy: callback('dot', ''), says: whole('\nbody {mark}\n') },
  { name: 'no body', policy: callback('dot', ''), says: whole('Subject: {mark}\n\n') },
  {
    name: 'body without an empty line before',
    policy: callback('dot', ''),
    says: whole('Subject: {mark}\nthis is no header\nbody\n'),
  },
  {
    name: 'headers that are taken out',
    policy: callback('headers', 'header.add("X-Seen", #a)'),
    says: whole(
      `Return-Path: <x@y>\nBcc: secret@dest.test\nContent-Length: 5\nReceived: from x by y\n${WHOLE}`,
    ),
  },
  {
    name: 'a Bcc alone',
    policy: callback('headers', ''),
    says: whole('Bcc: secret@dest.test\nFrom: a@src.test\nSubject: {mark}\n\nx\n'),
  },
  { name: 'bare CR', policy: callback('headers', ''), says: whole(`${WHOLE}a\rb\n`) },
  {
    name: 'long, folded and 8-bit headers',
    policy: callback('headers', 'header.add("X-Bytes", #table.concat(a, "\\r\\n"))'),
    says: whole(
      `X-Fold: a\n\tb\n   c\nX-Bare:x\nX-Name : y\nX-Empty:\nSubject: caf\xe9 \xc3\xa9\n${WHOLE}\xff\xfe\n`,
    ),
  },
  {
    name: 'macros in a header',
    policy: callback(
      'dot',
      `for _, n in ipairs { "j", "_", "client_addr", "client_name", "client_ptr", "mail_addr", "rcpt_addr", "daemon_addr", "v", "auth_type", "tls_version", "r", "s", "nrcpts" } do
         header.add("X-" .. (n == "_" and "u" or n), tostring(smtp.macro(n)))
       end
       header.add("X-Host", tostring(smtp.sess.host)) header.add("X-Q", tostring(smtp.tran.queue_id ~= nil))`,
    ),
    says: whole(),
  },
];

interface Seen {
  /** One a command, lines joined by LF. */
  readonly replies: readonly string[];
  readonly delivered: readonly string[];
}

for (const name of ['postfix', 'sendmail'] as const) {
  const unavailable = name === 'postfix' ? postfixUnavailable() : sendmailUnavailable();
  if (unavailable !== undefined) {
    test(`${name}: what try predicts`, { skip: IN_CI ? false : unavailable }, () => assert.fail(unavailable));
    if (!IN_CI) console.log(`not run: what try predicts, beside a real ${name}. ${unavailable}`);
    continue;
  }
  describe(`${name}: what try predicts`, () => {
    const setup = new MtaSetup(name);
    before(() => setup.open(name === 'postfix' ? startPostfix : startSendmail));
    after(() => setup.close());
    for (const onError of ['continue', 'reject', 'tempfail', 'accept'] as const) {
      describe(`--on-error ${onError}`, () => {
        before(() => setup.startMilter(onError));
        after(() => setup.stopMilter());
        for (const given of CASES.filter((one) => (one.onError ?? 'continue') === onError)) {
          test(given.name, async () => {
            const mark = `case${randomBytes(6).toString('hex')}`;
            const says = given.says.map((line) => line.replaceAll('{mark}', mark));
            const policy = `${given.policy}\n-- ${mark}\n`;
            const predicted = await predict(name, policy, says, onError);
            const real = await observe(setup, policy, says, mark, predicted.delivered.length);
            assert.deepEqual(predicted, real);
          });
        }
      });
    }
  });
}

/** The real mail server, with the milter as its own process. */
async function observe(
  setup: MtaSetup,
  policy: string,
  says: readonly string[],
  mark: string,
  deliveries: number,
): Promise<Seen> {
  const { server, sink, script } = setup.running();
  writePolicy(script, policy);
  const client = await SmtpClient.connect('127.0.0.1', server.smtpPorts.tcp);
  const replies: string[] = [];
  try {
    replies.push(await client.reply());
    await converse(says, async (line, isMessage) => {
      client.send(isMessage ? `${stuffDots(line.replaceAll('\n', '\r\n'))}.\r\n` : `${line}\r\n`);
      const reply = await client.reply();
      if (reply !== '') replies.push(reply);
      if (line === 'STARTTLS') await client.startTls();
      return reply;
    });
  } finally {
    client.close();
  }
  const arrived = await sink.claim(mark, deliveries);
  const delivered = arrived.map(({ mail, rcpts, content }) => {
    const address = (path: string) => path.replace(/ .*/, '');
    return transcript(address(mail), rcpts.map(address), content);
  });
  return { replies: replies.map(stable), delivered };
}

/** The command's own parts, in this process. */
async function predict(
  mta: MtaName,
  policy: string,
  says: readonly string[],
  onError: OnError,
): Promise<Seen> {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-try-test-'));
  const path = join(directory, 'policy.lua');
  const session = join(directory, 'session');
  try {
    writePolicy(path, policy);
    const lines: string[] = [];
    says.forEach((line, index) => {
      if (says[index - 1] === 'DATA' && line.includes('\n')) lines.push(`${stuffDots(line)}.`);
      else lines.push(line);
    });
    writeFileSync(session, `${lines.join('\n')}\n`, 'latin1');
    const macro = ['j=mta.test', ...(mta === 'sendmail' ? ['daemon_name=MTA-v4'] : [])];
    const plan = readPlan({ policy: path, session, mta, ip: '127.0.0.1', ptr: 'localhost', macro });
    const options = resolveOptions(
      new Map([
        ['script', [path]],
        ['on-error', [onError]],
      ]),
      {},
    );
    const run = new TryRun(options, plan);
    try {
      const replies: string[] = [];
      const dialogue = run.openSession(({ reply }) => {
        if (reply) replies.push(replyLines(reply).join('\n'));
      });
      await followScript(dialogue, await openScript(session));
      const delivered = dialogue.messages.flatMap(({ delivery }) => {
        if (delivery?.action !== 'delivered') return [];
        const { envelope, message } = delivery;
        const rcpts = envelope.recipients.map(({ address }) => `<${address}>`);
        return [transcript(`<${envelope.sender}>`, rcpts, formatMessage(message).toString('latin1'))];
      });
      return { replies: replies.map(stable), delivered };
    } finally {
      run.close();
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Says it all; a message only where DATA was answered 354, and nothing after the server has closed. */
async function converse(
  says: readonly string[],
  say: (line: string, isMessage: boolean) => Promise<string>,
): Promise<void> {
  let last = '';
  for (const [index, line] of says.entries()) {
    const isMessage = says[index - 1] === 'DATA' && line.includes('\n');
    if (isMessage && !last.startsWith('354')) continue;
    last = await say(line, isMessage);
    if (last === '') return;
  }
}

/** A reply without what is new in each session: ids, dates, and what EHLO lists. */
function stable(reply: string): string {
  return reply
    .replace(/^250[ -]mta\.test.*/s, '250 EHLO')
    .replace(/; \w{3}, .*/, '')
    .replace(/queued as \w+/, 'queued as ID')
    .replace(/2\.0\.0 \w+ Message/, '2.0.0 ID Message');
}

/** Envelope and message, without the trace of the mail server and what is new with each message. */
function transcript(mail: string, rcpts: readonly string[], content: string): string {
  const message = content
    .replace(/(?<=^|\r\n)Received: from client\.test.*?\r\n(?![ \t])/s, '')
    .replace(/<\d{12,14}\.\w+@mta\.test>/g, '<DATE.ID@mta.test>')
    .replace(/^((?:Resent-)?Date): .*2\d:?.*(?:GMT|\(UTC\))\r$/gm, '$1: NOW\r');
  return `${mail} -> ${[...rcpts].sort().join(' ')}\n${message.replaceAll('\r\n', '\n')}`;
}
