/**
 * What a policy finds out about signatures behind real mail servers: the message as they received it, byte for byte, with
 * a real name server, and the header that says it downstream.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { keyRecord } from '../../src/mail-auth/signing-key.ts';
import { Nsd } from '../dns/nsd.ts';
import { withDkimpy } from '../mail-auth/dkimpy.ts';
import { SAMPLES } from '../mail-auth/samples.ts';
import type { MtaName } from './mail-server.ts';
import { postfixUnavailable, startPostfix } from './postfix.ts';
import { sendmailUnavailable, startSendmail } from './sendmail.ts';
import { SmtpClient } from './smtp-client.ts';
import { MtaSetup } from './suite.ts';

const IN_CI = process.env.CI === 'true';
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

const POLICY = `
function smtp.do_dot()
  local found, err = auth.check { add = true }
  if not found then return 451, "4.7.1 " .. err end
  local seen = {}
  for i, one in ipairs(found.dkim) do seen[i] = one.result .. " " .. one.reason end
  if smtp.tran.rcpts[1].addr:find "^deliver" then return end
  return 550, "5.7.1 spf=" .. found.spf.result .. " dmarc=" .. found.dmarc.result .. " dkim=" .. table.concat(seen, ",")
end`;

/** Signed messages by their names, in latin1. Lines of SMTP end with CRLF, and have bounds. */
const MESSAGES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    Object.entries(SAMPLES).filter(([name]) => !/long line|no body at all|last line end|NUL/.test(name)),
  ),
  'a NUL': 'From: jane@example.com\r\n\r\nnul \0 here\r\n',
  'dots at the beginning of lines': `From: jane@example.com\r\n\r\n.\r\n..\r\n.x\r\n`,
};

/** Each, signed by dkimpy in both canonical forms. */
function signedMessages(): Record<string, string> {
  const input = Object.entries(MESSAGES).flatMap(([name, text]) =>
    ['relaxed', 'simple'].map((form) => [`${name}, ${form}`, form, text]),
  );
  return withDkimpy(
    `
made = {}
for name, form, text in input['messages']:
    message = text.encode('latin1')
    header = dkim.sign(message, b's1', b'example.com', input['key'].encode(), canonicalize=(form.encode(), form.encode()))
    made[name] = (header + message).decode('latin1')
print(json.dumps(made))`,
    { messages: input, key: privateKey.export({ type: 'pkcs1', format: 'pem' }) },
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
    let dns: Nsd;
    before(async () => {
      const record = keyRecord(privateKey).match(/.{1,200}/g) ?? [];
      dns = await Nsd.start({
        'example.com': `@ 60 IN TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc 60 IN TXT "v=DMARC1; p=reject"
s1._domainkey 60 IN TXT ${record.map((part) => `"${part}"`).join(' ')}
`,
      });
      await setup.open(start);
      await setup.startMilter('tempfail', POLICY, 1, ['--dns-server', dns.server]);
    });
    after(async () => {
      await setup.close();
      await dns.stop();
    });

    /** The reply to a message, which comes with its sender and recipient. */
    async function replyTo(message: string, rcpt = 'b@dest.test', eol = '\r\n'): Promise<string> {
      const client = await SmtpClient.connect('127.0.0.1', setup.running().server.smtpPorts.tcp);
      try {
        await client.reply();
        for (const line of [
          'EHLO client.test',
          'MAIL FROM:<jane@example.com> BODY=8BITMIME',
          `RCPT TO:<${rcpt}>`,
          'DATA',
        ]) {
          client.send(`${line}\r\n`);
          await client.reply();
        }
        const stuffed = message.replace(/^\./gm, '..');
        client.send(`${stuffed.replaceAll('\r\n', eol)}\r\n.\r\n`.replace(/(?:\r\n){2}\.\r\n$/, '\r\n.\r\n'));
        return await client.reply();
      } finally {
        client.close();
      }
    }

    test('those that another implementation has made verify', async (t) => {
      for (const [of, message] of Object.entries(signedMessages())) {
        await t.test(of, async () => {
          assert.match(
            await replyTo(message),
            /^550 5\.7\.1 (<.*>\.\.\. )?spf=pass dmarc=\w+ dkim=pass ?$/,
            of,
          );
        });
      }
    });

    test('lines that end with LF alone, and a NUL, are what the mail server made of them', async (t) => {
      const messages = signedMessages();
      // Sendmail refuses lines that end with LF alone.
      const bare = name === 'postfix' ? ['a short message, simple', 'folded fields, relaxed'] : [];
      for (const of of [...bare, 'a NUL, simple']) {
        await t.test(of, async () => {
          const eol = of.includes('NUL') ? '\r\n' : '\n';
          assert.match(await replyTo(messages[of] ?? '', 'b@dest.test', eol), /^550 .* dkim=pass ?$/);
        });
      }
    });

    test('those of a message that was changed do not', async () => {
      const [message = ''] = Object.values(signedMessages());
      for (const changed of [
        message.replace('Hello', 'Hallo'),
        message.replace('A day', 'A night'),
        message.replace('From: Jane', 'From: June'),
        `${message}x\r\n`,
        message.replace('From:', 'Subject: other\r\nFrom:').replace(/Subject: A day\r\n/, ''),
      ]) {
        assert.match(await replyTo(changed), /^550 .*dmarc=pass dkim=fail /, changed);
      }
    });

    test('the results go on in the header, and forged ones do not', async () => {
      const [message = ''] = Object.values(signedMessages());
      const { sink } = setup.running();
      const first = await replyTo(message, 'deliver@dest.test');
      assert.match(first, /^250 /);
      const [{ content } = { content: '' }] = await sink.claim('Subject: A day', 1);
      const [, host = ''] = /^Authentication-Results: (\S+);\r\n\tspf=pass/m.exec(content) ?? [];
      assert.notEqual(host, '', content);
      assert.match(content, /dkim=pass header\.d=example\.com header\.s=s1/);
      const forged = `Authentication-Results: ${host.toUpperCase()}; dmarc=pass header.from=bank.example\r\n${message}`;
      await replyTo(forged, 'deliver@dest.test');
      const [{ content: second } = { content: '' }] = await sink.claim('Subject: A day', 1);
      assert.doesNotMatch(second, /bank\.example/);
      assert.equal(second.match(/^Authentication-Results:/gm)?.length, 1, second);
    });
  });
}
