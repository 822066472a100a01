/** What a policy sends through the very mail server that it serves: it arrives, once, and nothing is sent because of it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { logged } from './cases/logged.ts';
import type { MtaName } from './mail-server.ts';
import { postfixUnavailable, startPostfix } from './postfix.ts';
import { sendmailUnavailable, startSendmail } from './sendmail.ts';
import { SmtpClient } from './smtp-client.ts';
import { MtaSetup } from './suite.ts';

const IN_CI = process.env.CI === 'true';

const POLICY = `
local function send(where, to, message)
  local sent, reply = smtp.send { to = to, message = message }
  syslog.info(("%s %s %s %s"):format(where, tostring(sent), reply, smtp.sess.tls and "encrypted" or "plain"))
end
function smtp.do_rcpt(rcpt)
  if rcpt:find "^rcpt" or rcpt:find "^note" then
    send("rcpt", "note@dest.test", { headers = { From = "f@mta.test", Subject = "note of " .. rcpt }, text = "\\xc3\\xa4\\n.\\n" })
  end
end
function smtp.do_dot(path)
  if header.get "Subject" == "copy" then
    local file = assert(io.open(path, "rb"))
    send("dot", "archive@dest.test", file:read "a")
    file:close()
  end
end`;

for (const [name, unavailable, start] of [
  ['postfix', postfixUnavailable(), startPostfix],
  ['sendmail', sendmailUnavailable(), startSendmail],
] as const) {
  if (unavailable && !IN_CI) {
    test(`${name}: what a policy sends`, { skip: unavailable }, () => {});
    continue;
  }
  describe(`${name}: what a policy sends`, () => {
    const setup = new MtaSetup(name satisfies MtaName);
    before(async () => {
      await setup.open(start);
      const { tcp } = setup.started().server.smtpPorts;
      await setup.startMilter('tempfail', POLICY, 2, ['--smarthost', `127.0.0.1:${tcp}`]);
    });
    after(() => setup.close());

    async function mail(rcpt: string, message: string): Promise<void> {
      const client = await SmtpClient.connect('127.0.0.1', setup.running().server.smtpPorts.tcp);
      try {
        await client.reply();
        for (const line of ['EHLO client.test', 'MAIL FROM:<a@src.test>', `RCPT TO:<${rcpt}>`, 'DATA']) {
          client.send(`${line}\r\n`);
          assert.match(await client.reply(), /^[23]/, line);
        }
        client.send(`${message}\r\n.\r\n`);
        assert.match(await client.reply(), /^250 /);
      } finally {
        client.close();
      }
    }

    test('a copy of a message arrives, byte for byte, and no copy of the copy', async () => {
      const mark = `mark-${Math.random().toString(36).slice(2)}`;
      await mail('copied@dest.test', `From: a@src.test\r\nSubject: copy\r\n\r\n${mark} \xe4\xff\r\n..\r\n`);
      const { sink, milter } = setup.running();
      const arrived = await sink.claim(mark, 2);
      const copy = arrived.find(({ rcpts }) => rcpts.some((rcpt) => rcpt.startsWith('<archive@')));
      assert.match(copy?.mail ?? '', /^<>/);
      assert.match(copy?.content ?? '', /^X-Loop: smtpf-milter-[0-9a-f]{32}\r$/m);
      // The MTA adds headers of its own.
      assert.match(copy?.content ?? '', /\r\nSubject: copy\r\n/);
      assert.ok(copy?.content.endsWith(`\r\n\r\n${mark} \xe4\xff\r\n.\r\n\r\n`), copy?.content);
      await logged(milter, /dot true 250 /);
      await logged(milter, /dot nil refused .*mail loop encrypted/);
      await setup.expectNothingLeft();
    });

    test('a note that is sent at RCPT leads to no other note', async () => {
      const { sink, milter } = setup.running();
      await mail('rcpt@dest.test', 'From: a@src.test\r\nSubject: x\r\n\r\ntext of rcpt\r\n');
      const [note] = await sink.claim('Subject: note of rcpt@dest.test', 1);
      await sink.claim('text of rcpt', 1);
      assert.match(
        note?.content ?? '',
        /\r\nContent-Transfer-Encoding: quoted-printable\r\n[\s\S]*=C3=A4\r\n\.\r\n$/,
      );
      await logged(milter, /rcpt true 250 /);
      await logged(milter, /rcpt nil refused .*mail loop/);
      await setup.expectNothingLeft();
    });
  });
}
