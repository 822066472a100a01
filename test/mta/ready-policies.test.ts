/**
 * The three policies that everybody writes and that let mail through when they fail, in ten lines, behind real mail servers
 * and two workers: greylisting, a limit, and programs in archives.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { zip } from '../mime/zip-builder.ts';
import type { MtaName } from './mail-server.ts';
import { postfixUnavailable, startPostfix } from './postfix.ts';
import { sendmailUnavailable, startSendmail } from './sendmail.ts';
import { SmtpClient } from './smtp-client.ts';
import { MtaSetup } from './suite.ts';

const IN_CI = process.env.CI === 'true';
const DELAY = 2;
const LIMIT = 12;

// Clients of a test come from this machine, which is ours without `networks`.
const POLICY = `
return require "policy.use" {
  require "policy.ratelimit" { per_client = "${LIMIT}/d", networks = {}, timeout = 5 },
  require "policy.greylist" { delay = ${DELAY}, networks = {}, except = { "known@dest.test" }, timeout = 5 },
  require "policy.attachments" {},
}`;

/** More than a megabyte of text a policy would have to go through by hand. */
const LONG = 'A line of text that stands before what matters, and is only there to be long.\r\n'.repeat(
  60_000,
);

function withArchive(name: string, text: string): string {
  const archive = zip([{ name, data: Buffer.from('MZ') }]).toString('base64');
  return [
    ...[
      `Subject: ${name}`,
      'From: a@src.test',
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed; boundary=b',
      '',
    ],
    ...['--b', 'Content-Type: text/plain', '', text],
    ...['--b', 'Content-Type: application/zip; name=docs.zip', 'Content-Transfer-Encoding: base64', ''],
    ...[archive, '--b--', ''],
  ].join('\r\n');
}

for (const [name, unavailable, start] of [
  ['postfix', postfixUnavailable(), startPostfix],
  ['sendmail', sendmailUnavailable(), startSendmail],
] as const) {
  if (unavailable && !IN_CI) {
    test(`${name}: ready policies`, { skip: unavailable }, () => {});
    continue;
  }
  describe(`${name}: ready policies`, () => {
    const setup = new MtaSetup(name satisfies MtaName);
    before(async () => {
      await setup.open(start);
      await setup.startMilter('tempfail', POLICY, 2);
    });
    after(() => setup.close());

    /** The reply to RCPT, or to the message where there is one. */
    async function send(recipient: string, content?: string): Promise<string> {
      const client = await SmtpClient.connect('127.0.0.1', setup.running().server.smtpPorts.tcp);
      const say = async (text: string) => {
        client.send(`${text}\r\n`);
        return client.reply();
      };
      try {
        await client.reply();
        await say('EHLO client.test');
        await say('MAIL FROM:<a@src.test>');
        const reply = await say(`RCPT TO:<${recipient}>`);
        if (content === undefined || !reply.startsWith('250 ')) return reply;
        assert.match(await say('DATA'), /^354 /);
        return await say(`${content}.`);
      } finally {
        client.close();
      }
    }

    test('who sends for the first time comes again', async () => {
      assert.match(await send('new@dest.test'), /^451 4\.7\.1 .*greylisted, try again in 2 seconds$/);
      await sleep(DELAY * 1000 + 100);
      assert.match(await send('new@dest.test'), /^250 /);
    });

    test('a program in an archive is refused, however long the message is', async () => {
      const { sink } = setup.running();
      const refused = /^550 5\.7\.1 attachments of type \.exe are not accepted here$/;
      assert.match(await send('known@dest.test', withArchive('docs/invoice.exe', 'hello')), refused);
      assert.match(await send('known@dest.test', withArchive('docs/invoice.exe', LONG)), refused);
      assert.match(await send('known@dest.test', withArchive('docs/notes.txt', 'hello')), /^250 /);
      await sink.claim('docs/notes.txt', 1);
      assert.deepEqual(sink.unclaimed, []);
    });

    test('a limit lets through what it says, whichever worker is asked', async () => {
      // Each RCPT so far was one, refused or not.
      const replies = await Promise.all(Array.from({ length: 10 }, () => send('known@dest.test')));
      assert.equal(replies.filter((reply) => /^250 /.test(reply)).length, LIMIT - 5, replies.join('\n'));
      const limited = replies.filter((reply) =>
        /^451 4\.7\.1 .*too much mail, try again in \d+ minutes$/.test(reply),
      );
      assert.equal(limited.length, 10 - (LIMIT - 5), replies.join('\n'));
    });

    test('without a store nothing passes', async () => {
      await setup.stopMilter();
      await setup.startMilter('tempfail', POLICY, 1, ['--store', 'redis://127.0.0.1:1']);
      assert.match(await send('known@dest.test'), /^451 /);
      await setup.expectNothingLeft();
    });
  });
}
