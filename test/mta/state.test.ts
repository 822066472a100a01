/** What a policy remembers, behind real mail servers and two workers: exact under load, and over a kill and a restart. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MtaName } from './mail-server.ts';
import { postfixUnavailable, startPostfix } from './postfix.ts';
import { sendmailUnavailable, startSendmail } from './sendmail.ts';
import { SmtpClient } from './smtp-client.ts';
import { MtaSetup } from './suite.ts';

const IN_CI = process.env.CI === 'true';
const DELAY = 2;

const POLICY = `
function smtp.do_rcpt(rcpt)
  if rcpt:find "^limited" then
    local ok, seconds = must(rate.take("limited", "15/d", 1, 5))
    if not ok then return 451, "4.7.1 too many" end
  elseif rcpt:find "^grey" then
    local ok, seconds = must(grey.check { delay = ${DELAY}, timeout = 5 })
    if not ok then return 451, "4.7.1 greylisted" end
  end
end`;

for (const [name, unavailable, start] of [
  ['postfix', postfixUnavailable(), startPostfix],
  ['sendmail', sendmailUnavailable(), startSendmail],
] as const) {
  if (unavailable && !IN_CI) {
    test(`${name}: state`, { skip: unavailable }, () => {});
    continue;
  }
  describe(`${name}: state`, () => {
    const setup = new MtaSetup(name satisfies MtaName);
    before(async () => {
      await setup.open(start);
      await setup.startMilter('tempfail', POLICY, 2);
    });
    after(() => setup.close());

    /** The replies to these recipients of one message. */
    async function recipients(...addresses: readonly string[]): Promise<string[]> {
      const client = await SmtpClient.connect('127.0.0.1', setup.running().server.smtpPorts.tcp);
      try {
        await client.reply();
        for (const line of ['EHLO client.test', 'MAIL FROM:<a@src.test>']) {
          client.send(`${line}\r\n`);
          await client.reply();
        }
        const replies: string[] = [];
        for (const address of addresses) {
          client.send(`RCPT TO:<${address}>\r\n`);
          replies.push(await client.reply());
        }
        return replies;
      } finally {
        client.close();
      }
    }

    test('a rate lets through what it says, whichever worker is asked', async () => {
      const sessions = Array.from({ length: 6 }, (_, session) =>
        recipients(...Array.from({ length: 5 }, (_, i) => `limited${session}-${i}@dest.test`)),
      );
      const replies = (await Promise.all(sessions)).flat();
      assert.equal(replies.filter((reply) => /^250 /.test(reply)).length, 15, replies.join('\n'));
      assert.equal(
        replies.filter((reply) => /^451 4\.7\.1 .*too many/.test(reply)).length,
        15,
        replies.join('\n'),
      );
    });

    test('greylisting knows who has passed, after the milter was killed and after it was restarted', async () => {
      const attempt = async () => (await recipients('grey@dest.test')).join('');
      assert.match(await attempt(), /greylisted/);
      await sleep(DELAY * 1000 + 100);
      assert.match(await attempt(), /^250 /);
      await setup.killMilter();
      await setup.startMilter('tempfail', POLICY, 2);
      assert.match(await attempt(), /^250 /);
      await setup.stopMilter();
      await setup.startMilter('tempfail', POLICY, 2);
      assert.match(await attempt(), /^250 /);
      const [known, other] = await recipients('grey@dest.test', 'grey-other@dest.test');
      assert.match(known ?? '', /^250 /);
      assert.match(other ?? '', /greylisted/);
    });
  });
}
