/**
 * The milter is stopped and started while messages are sent without a pause. A message that got 250 is delivered once;
 * one that did not is not delivered: the mail servers are configured to defer mail while the filter is away.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { withinLimit } from './deadline.ts';
import { stuffDots } from './dialogue.ts';
import { PLAIN } from './mail-case.ts';
import type { Transport } from './mail-server.ts';
import { SmtpClient } from './smtp-client.ts';
import type { MtaSetup } from './suite.ts';

const SENDERS = 3;
const RESTARTS = 2;
const BETWEEN = 6; // Messages accepted before each stop, and after the last start.

// A policy that reads the whole message, so that the server is always in the middle of something.
const POLICY = `
function smtp.do_rcpt(rcpt) return smtp.code.ok end
function smtp.do_chunk(chunk, size) return smtp.code.ok end
function smtp.do_dot(path)
  local file = assert(io.open(path, 'rb'))
  local text = file:read('a')
  file:close()
  if not text:find('bye', 1, true) then return 554, '5.6.0 half a message' end
end
`;

/** `end` ends our server, in good order or not. */
export async function restartUnderLoad(
  setup: MtaSetup,
  transport: Transport,
  end: () => Promise<void>,
): Promise<void> {
  const { server, sink } = setup.started();
  const port = server.smtpPorts[transport];
  const outcomes = new EventEmitter();
  const accepted: string[] = [];
  const deferred: string[] = [];
  const wrong: string[] = [];
  let sent = 0;
  let sending = true;
  const run = `load${randomBytes(6).toString('hex')}-`;

  async function sendOn(): Promise<void> {
    while (sending) {
      const mark = `${run}${sent++}-`;
      const reply = await sendMessage(port, mark);
      if (reply.startsWith('250')) accepted.push(mark);
      else if (/^4\d\d /.test(reply)) deferred.push(mark);
      else wrong.push(reply);
      outcomes.emit('outcome');
    }
  }
  async function more(list: readonly string[], count: number, what: string): Promise<void> {
    const goal = list.length + count;
    while (list.length < goal) await withinLimit(once(outcomes, 'outcome'), what);
  }

  await setup.startMilter('continue', POLICY);
  const senders = Array.from({ length: SENDERS }, sendOn);
  try {
    for (let n = 0; n < RESTARTS; n++) {
      await more(accepted, BETWEEN, 'a message is accepted');
      await end();
      await more(deferred, SENDERS, 'a message is deferred while the milter is away');
      await setup.startMilter('continue', POLICY);
    }
    await more(accepted, BETWEEN, 'a message is accepted again');
  } finally {
    sending = false;
    await Promise.all(senders);
  }
  await setup.stopMilter();

  assert.deepEqual(wrong, []);
  const deliveries = await sink.claim(run, accepted.length);
  const delivered = deliveries.map(({ content }) => accepted.find((mark) => content.includes(mark)));
  assert.deepEqual(
    delivered.toSorted(),
    accepted.toSorted(),
    'what got 250 is delivered, each once, and nothing else',
  );
}

/** One message in a session of its own; returns the last reply, the first that was no success. */
async function sendMessage(port: number, mark: string): Promise<string> {
  const client = await SmtpClient.connect('127.0.0.1', port);
  try {
    let reply = await client.reply();
    const content = stuffDots(PLAIN.replaceAll('{mark}', mark));
    for (const text of [
      'EHLO client.test\r\n',
      'MAIL FROM:<a@src.test>\r\n',
      'RCPT TO:<b@dest.test>\r\n',
      'DATA\r\n',
      `${content}.\r\n`,
    ]) {
      if (!/^[23]/.test(reply)) return reply;
      client.send(text);
      reply = await client.reply();
    }
    client.send('QUIT\r\n');
    await client.reply();
    return reply;
  } finally {
    client.close();
  }
}
