/** Messages that a policy has edited, signed and sealed, as real mail servers deliver them: other programs verify them. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { keyRecord } from '../../src/mail-auth/signing-key.ts';
import { KEYS_OF_INPUT, withDkimpy } from '../mail-auth/dkimpy.ts';
import { opendkim } from '../mail-auth/opendkim.ts';
import type { MtaName } from './mail-server.ts';
import { postfixUnavailable, startPostfix } from './postfix.ts';
import { sendmailUnavailable, startSendmail } from './sendmail.ts';
import { SmtpClient } from './smtp-client.ts';
import { MtaSetup } from './suite.ts';

const IN_CI = process.env.CI === 'true';
const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-signatures-'));
after(() => rmSync(directory, { recursive: true }));

const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const { privateKey: ed25519 } = generateKeyPairSync('ed25519');
const KEYS = {
  'rsa._domainkey.example.com': keyRecord(rsa),
  'ed._domainkey.example.com': keyRecord(ed25519),
};
for (const [name, key] of Object.entries({ rsa, ed: ed25519 })) {
  writeFileSync(join(directory, `${name}.pem`), key.export({ type: 'pkcs8', format: 'pem' }), {
    mode: 0o600,
  });
}
writeFileSync(join(directory, 'keys'), `rsa._domainkey.example.com ${KEYS['rsa._domainkey.example.com']}\n`);

const signer = (selector: string) =>
  `{ domain = "example.com", selector = "${selector}", key = "${directory}/${selector}.pem" }`;

/** Edits stand in the message itself; those that sign come before, between and after them. */
const POLICY = `
function smtp.do_dot()
  local case = header.get "X-Case"
  must(auth.sign ${signer('ed')})
  if case:find "subject" then header.set("Subject", "[EXTERNAL] " .. header.get "Subject") end
  if case:find "fields" then
    header.add("Reply-To", "added@example.com")
    header.insert("Reply-To: inserted@example.com", 0)
    header.insert("List-Id: a list\\r\\n\\t<list.example.com>", 1)
    header.insert("Cc: third@example.com", 3)
    header.delete "X-Gone"
    header.set("Date", "Sun, 29 Nov 2026 10:00:00 +0000")
  end
  if case:find "places" then
    header.insert("Date: Sun, 29 Nov 2026 10:00:00 +0000", 1)
    header.insert("Message-ID: <inserted@example.com>", 50)
    header.add("Resent-To", "added@example.com")
  end
  if case:find "body" then body.replace "New  body \\r\\nwith a line\\nand more\\t\\r\\n\\r\\n" end
  must(auth.sign ${signer('rsa')})
  if case:find "seal" then
    auth.check { partial = true, timeout = 1 }
    assert(auth.seal ${signer('rsa')})
  end
  header.add("X-Late", "x")
end`;

const HEAD = 'From: Jane <jane@example.com>\r\nTo: bob@example.net\r\nSubject: A day\r\n';
const DATE = 'Date: Sat, 28 Nov 2026 10:00:00 +0000\r\n';

/** Each with what the policy makes of it. */
const MESSAGES: Readonly<Record<string, readonly [edits: string, message: string]>> = {
  'as it came': ['none', `${HEAD}${DATE}\r\nHello\r\n`],
  'another Subject': ['subject', `${HEAD}${DATE}\r\nHello\r\n`],
  'a Subject in encoded words': [
    'subject',
    `${HEAD.replace('A day', '=?utf-8?q?Gr=C3=BC=C3=9Fe_an_alle?=')}${DATE}\r\nHello\r\n`,
  ],
  'fields added, inserted, deleted and changed': [
    'subject fields',
    `Reply-To: one@example.com\r\n${HEAD}X-Gone: 1\r\nReply-To: two@example.com\r\nx-gone: 2\r\n${DATE}\r\nHello\r\n`,
  ],
  'another body': ['body', `${HEAD}${DATE}\r\nHello\r\n`],
  'all of it, and a seal': ['subject fields body seal', `${HEAD}${DATE}\r\nHello\r\n`],
  'a seal alone': ['seal', `${HEAD}${DATE}\r\nHello\r\n`],
  'no Date': ['subject', `${HEAD}\r\nHello\r\n`],
  'fields inserted that Sendmail puts in itself': ['places', `${HEAD}\r\nHello\r\n`],
  'the same in a message that was passed on': [
    'places',
    `Resent-From: kim@example.org\r\n${HEAD}${DATE}\r\nHello\r\n`,
  ],
  'no Subject and no To': ['body', `From: jane@example.com\r\n${DATE}\r\nHello\r\n`],
  'folded fields': ['none', `${HEAD.replace('A day', 'A day\r\n\tin  \r\n November')}${DATE}\r\nHello\r\n`],
  'blanks around values': [
    'none',
    `From:jane@example.com\r\nTo:   bob@example.net  \r\nSubject:\t\tA \t day \r\n${DATE}\r\nHello\r\n`,
  ],
  'bytes above 127': ['none', `${HEAD.replace('A day', 'Gr\xfc\xdfe')}${DATE}\r\nGr\xfc\xdfe\r\n`],
  'several recipients in a line': [
    'none',
    `${HEAD.replace('To: bob@example.net', 'To: Bob <bob@example.net>, jim@example.org,\r\n "J. Doe" <doe@example.org>')}${DATE}\r\nHello\r\n`,
  ],
  'several recipients without blanks': [
    'none',
    `${HEAD.replace('To: bob@example.net', 'To: bob@example.net,jim@example.org,<doe@example.org>')}${DATE}\r\nHello\r\n`,
  ],
  'commas of all kinds': [
    'none',
    `${HEAD.replace(
      'To: bob@example.net',
      'To: "Doe, Jane" <doe@example.org>,bob@example.net (a, comment),,<jim@example.org> , Kim <k@example.org>\r\nCc: A group:a@example.org,b@example.org;,c@example.org',
    )}${DATE}\r\nHello\r\n`,
  ],
  'white space in the body': [
    'subject',
    `${HEAD}${DATE}\r\nHello  \t there \t\r\n\t indented\r\n   \r\n.dot\r\n\r\n\r\n`,
  ],
  'no body': ['subject', `${HEAD}${DATE}\r\n`],
  'a large body': ['subject', `${HEAD}${DATE}\r\n${`${'x'.repeat(70)}\r\n`.repeat(5000)}`],
};

/** What dkimpy finds: a word for each DKIM signature from the top, and one for the chain. */
function verified(messages: readonly string[]): { dkim: boolean[]; arc: string }[] {
  return withDkimpy(
    `${KEYS_OF_INPUT}
import re
found = []
for text in input['messages']:
    message = text.encode('latin1')
    count = len(re.findall(rb'(?m)^DKIM-Signature:', message))
    words = []
    for i in range(count):
        try:
            words.append(dkim.DKIM(message).verify(idx=i, dnsfunc=dnsfunc))
        except dkim.DKIMException as error:
            words.append(False)
    cv, results, reason = dkim.arc_verify(message, dnsfunc=dnsfunc)
    found.append({'dkim': words, 'arc': cv.decode()})
print(json.dumps(found))`,
    { messages, keys: KEYS },
  );
}

for (const [name, unavailable, start] of [
  ['postfix', postfixUnavailable(), startPostfix],
  ['sendmail', sendmailUnavailable(), startSendmail],
] as const) {
  if (unavailable && !IN_CI) {
    test(`${name}: signatures`, { skip: unavailable }, () => {});
    continue;
  }
  describe(`${name}: signatures`, () => {
    const setup = new MtaSetup(name satisfies MtaName);
    const delivered = new Map<string, string>();
    before(async () => {
      await setup.open(start);
      await setup.startMilter('tempfail', POLICY);
      for (const [title, [edits, message]] of Object.entries(MESSAGES)) {
        delivered.set(title, await send(`X-Case: ${edits}\r\n${message}`));
      }
    });
    after(() => setup.close());

    /** @returns the message as it is delivered */
    async function send(message: string): Promise<string> {
      const { server, sink, milter } = setup.running();
      const mark = `X-Mark: ${randomBytes(8).toString('hex')}`;
      const client = await SmtpClient.connect('127.0.0.1', server.smtpPorts.tcp);
      try {
        await client.reply();
        const lines = [
          'EHLO client.test',
          'MAIL FROM:<a@src.test> BODY=8BITMIME',
          'RCPT TO:<b@dest.test>',
          'DATA',
        ];
        for (const line of lines) {
          client.send(`${line}\r\n`);
          const reply = await client.reply();
          assert.match(reply, /^[23]/, `${reply}\n${milter.log()}`);
        }
        client.send(`${mark}\r\n${message.replace(/^\./gm, '..')}.\r\n`);
        const reply = await client.reply();
        assert.match(reply, /^250/, `${reply}\n${milter.log()}`);
      } finally {
        client.close();
      }
      const [delivery] = await sink.claim(mark, 1);
      return delivery?.content ?? '';
    }

    test('verify for dkimpy, RSA and Ed25519', () => {
      const titles = [...delivered.keys()];
      const found = verified([...delivered.values()]);
      const expected = Object.entries(MESSAGES).map(([title, [edits]]) => ({
        title,
        ...{ dkim: [true, true], arc: edits.includes('seal') ? 'pass' : 'none' },
      }));
      assert.deepEqual(
        found.map((each, i) => ({ title: titles[i], ...each })),
        expected,
      );
    });

    test('verify for OpenDKIM', () => {
      const settings = { Mode: 'v', TestPublicKeys: join(directory, 'keys'), AlwaysAddARHeader: 'yes' };
      const found = opendkim(directory, settings, [...delivered.values()]).map(
        (value) => /dkim=(\w+)/.exec(value)?.[1],
      );
      assert.deepEqual(
        found,
        [...delivered].map(() => 'pass'),
      );
    });

    test('are none of what somebody changed since', () => {
      const whole = delivered.get('all of it, and a seal') ?? '';
      const [head = '', body = ''] = whole.split(/\r\n\r\n(.*)$/s);
      const mutations: Readonly<Record<string, string>> = {
        'another Subject': whole.replace('[EXTERNAL]', '[INTERNAL]'),
        'another From': whole.replace('Jane <jane@', 'Jane <mary@'),
        'a second Subject on top': `Subject: other\r\n${whole}`,
        'a second From on top': `From: mary@example.com\r\n${whole}`,
        'a second To on top': `To: mary@example.com\r\n${whole}`,
        'a second Date on top': `Date: Mon, 30 Nov 2026 10:00:00 +0000\r\n${whole}`,
        'a field less': whole.replace(/^Reply-To: added.*\r\n/m, ''),
        'a line of the body more': `${whole}more\r\n`,
        'a byte of the body changed': `${head}\r\n\r\n${body.replace('New', 'Now')}`,
        'a name less in h=': whole.replaceAll(/(h=From:)From:/g, '$1'),
      };
      for (const [title, mutation] of Object.entries(mutations)) assert.notEqual(mutation, whole, title);
      const found = verified(Object.values(mutations));
      const settings = { Mode: 'v', TestPublicKeys: join(directory, 'keys'), AlwaysAddARHeader: 'yes' };
      const words = opendkim(directory, settings, Object.values(mutations)).map((value) =>
        /dkim=pass/.test(value),
      );
      assert.deepEqual(
        Object.keys(mutations).map((title, i) => [title, found[i]?.dkim, words[i]]),
        Object.keys(mutations).map((title) => [title, [false, false], false]),
      );
    });
  });
}
