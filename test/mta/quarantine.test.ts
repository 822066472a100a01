/** Reasons for a quarantine, on real mail servers: the message is held, and the replies stay in step. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from './deadline.ts';
import type { MtaName } from './mail-server.ts';
import { postfixUnavailable, startPostfix } from './postfix.ts';
import { sendmailUnavailable, startSendmail } from './sendmail.ts';
import { SmtpClient } from './smtp-client.ts';
import { MtaSetup } from './suite.ts';

const IN_CI = process.env.CI === 'true';

const REASONS = [
  '"suspect"',
  '"a\\r\\nRevil@dest.test\\nS<evil@src.test>\\n.\\n"',
  '"caf\\195\\169 \\128\\129\\255 $j %s %n"',
  '("x"):rep(100000)',
  '"\\0\\27[2J, (because) <of> \\"this\\""',
];

const POLICY = `
local REASONS = { ${REASONS.join(', ')} }
function smtp.do_dot() smtp.quarantine(REASONS[tonumber(header.get("Subject"))]) end`;

for (const [name, unavailable, start] of [
  ['postfix', postfixUnavailable(), startPostfix],
  ['sendmail', sendmailUnavailable(), startSendmail],
] as const) {
  if (unavailable && !IN_CI) {
    test(`${name}: quarantine`, { skip: unavailable }, () => {});
    continue;
  }
  describe(`${name}: quarantine`, () => {
    const setup = new MtaSetup(name satisfies MtaName);
    before(async () => {
      await setup.open(start);
      await setup.startMilter('continue', POLICY);
    });
    after(() => setup.close());

    test('messages are held under any reason', async () => {
      const { server, sink } = setup.running();
      const client = await SmtpClient.connect('127.0.0.1', server.smtpPorts.tcp);
      const hears = async (line: string, code: string) => {
        if (line !== '') client.send(`${line}\r\n`);
        const reply = await client.reply();
        assert.equal(reply.slice(0, 4), `${code} `, `${line}: ${reply}`);
      };
      await hears('', '220');
      await hears('HELO client.test', '250');
      for (const row of REASONS.keys()) {
        const queued = server.queued().length;
        await hears('MAIL FROM:<a@src.test>', '250');
        await hears('RCPT TO:<b@dest.test>', '250');
        await hears('DATA', '354');
        await hears(`Subject: ${row + 1}\r\n\r\nHello\r\n.`, '250');
        await hears('NOOP', '250');
        await until(
          () => (server.queued().length > queued ? true : undefined),
          () => `a message in the queue: ${server.queued().join(' ')}\n${server.log()}`,
        );
      }
      await hears('QUIT', '221');
      client.close();
      if (name === 'sendmail') {
        // A file of the queue gets this name at last.
        const held = () => server.queued().filter((file) => file.startsWith('hf')).length;
        await until(
          () => (held() === REASONS.length ? true : undefined),
          () => `${held()} messages are held: ${server.queued().join(' ')}`,
        );
      }
      assert.deepEqual(sink.unclaimed, []);
    });
  });
}
