/** A map that others edit while mail comes in, behind real mail servers and two workers: no look-up sees half a file. */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { until } from './deadline.ts';
import type { MtaName } from './mail-server.ts';
import { postfixUnavailable, startPostfix } from './postfix.ts';
import { sendmailUnavailable, startSendmail } from './sendmail.ts';
import { SmtpClient } from './smtp-client.ts';
import { MtaSetup } from './suite.ts';

const IN_CI = process.env.CI === 'true';
const SENDERS = 3;
const LINES = 50_000;

/** The recipient's line is the last but one: whoever sees half of a file does not see it. */
function mapOf(generation: number): string {
  const lines = Array.from({ length: LINES }, (_, i) => `user${i}@example${i % 97}.test OK\n`);
  return `${lines.join('')}b@dest.test REJECT generation ${generation}\nlast.test OK\n`;
}

const policy = (path: string) => `
local access = map.open "hash:${path}"
function smtp.do_rcpt(rcpt)
  local value = must(access:addr(rcpt))
  if value and value:find "^REJECT" then
    return 550, "5.7.1 " .. smtp.sess.id:match "^[^.]*" .. " " .. value:match "^REJECT (.*)$"
  end
end`;

for (const [name, unavailable, start] of [
  ['postfix', postfixUnavailable(), startPostfix],
  ['sendmail', sendmailUnavailable(), startSendmail],
] as const) {
  if (unavailable && !IN_CI) {
    test(`${name}: maps`, { skip: unavailable }, () => {});
    continue;
  }
  describe(`${name}: maps`, () => {
    const setup = new MtaSetup(name satisfies MtaName);
    let path = '';
    before(async () => {
      await setup.open(start);
      path = join(setup.script, '..', 'access');
      writeFileSync(path, mapOf(0));
      await setup.startMilter('tempfail', policy(path), 2);
    });
    after(() => setup.close());

    test('an access map is edited under load', async () => {
      const { server, milter } = setup.running();
      const replies: string[] = [];
      const wrong: string[] = [];
      let sending = true;
      /** What was written last, and the last that each worker was heard to know. */
      let written = 0;
      const known = new Map<string, number>();
      const send = async (): Promise<void> => {
        while (sending) {
          const before = new Map(known);
          const client = await SmtpClient.connect('127.0.0.1', server.smtpPorts.tcp);
          try {
            await client.reply();
            let reply = '';
            for (const line of ['EHLO client.test', 'MAIL FROM:<a@src.test>', 'RCPT TO:<b@dest.test>']) {
              client.send(`${line}\r\n`);
              reply = await client.reply();
            }
            replies.push(reply);
            const [, worker = '', generation] = /^550 5\.7\.1 .*?(\S+) generation (\d)$/.exec(reply) ?? [];
            const found = Number(generation);
            if (found > (known.get(worker) ?? -1)) known.set(worker, found);
            // Other sessions may have gone ahead of this one, but not before it began.
            if (!(found >= (before.get(worker) ?? 0) && found <= written)) wrong.push(reply);
          } finally {
            client.close();
          }
        }
      };
      /** Both workers have taken what is written, and so many replies have come. */
      const comesTo = async (generation: number, count: number): Promise<void> => {
        const from = replies.length;
        await until(
          () => {
            assert.deepEqual(wrong, []);
            const late = [...known.values()].filter((found) => found === generation);
            return late.length === 2 && replies.length >= from + count ? true : undefined;
          },
          () => `generation ${generation} serves: ${replies.slice(-3).join(' | ')}`,
        );
      };
      const senders = Array.from({ length: SENDERS }, send);
      try {
        await comesTo(0, 12);
        for (let generation = 1; generation <= 3; generation++) {
          written = generation;
          // In its place, and by another in its place.
          if (generation === 2) {
            writeFileSync(`${path}.new`, mapOf(generation));
            renameSync(`${path}.new`, path);
          } else writeFileSync(path, mapOf(generation));
          await comesTo(generation, 24);
        }
        writeFileSync(path, `${mapOf(4)}broken\n`);
        const line = new RegExp(`access:${LINES + 3}: a key without a value`, 'g');
        await until(
          () => ((milter.log().match(line)?.length ?? 0) >= 2 ? true : undefined),
          () => `both workers say what is wrong\n${milter.log()}`,
        );
        await comesTo(3, 24);
        written = 4;
        writeFileSync(path, mapOf(4));
        await comesTo(4, 24);
      } finally {
        sending = false;
        await Promise.all(senders);
      }
      assert.deepEqual(wrong, []);
    });
  });
}
