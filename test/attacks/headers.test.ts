/** A message whose headers are many: no policy is switched off by them, and no change is made by half. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MessageHeaders } from '../../src/message/message-headers.ts';
import type { Mta } from '../helpers/mta.ts';
import { mta as packets } from '../helpers/packet-builder.ts';
import { type Milter, startMilter } from '../program/milter-client.ts';
import { Neighbour } from './neighbour.ts';

const POLICY = `function smtp.do_dot()
  header.delete("Authentication-Results")
  header.set("X-Checked", "yes")
end`;
const FORGED: [string, string] = ['Authentication-Results', ' mx.example; dmarc=pass'];

async function send(milter: Milter, headers: [string, string][]): ReturnType<Mta['content']> {
  const mta = await milter.connect();
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  await mta.mail('<a@b.example>');
  await mta.rcpt('<c@d.example>');
  const reply = await mta.content(headers, 'hello\r\n');
  await mta.quit();
  return reply;
}

const start = (t: TestContext, args: readonly string[]): Promise<Milter> =>
  startMilter(t, POLICY, ['--workers', '1', '--warm-up', '0', '--on-error', 'continue', ...args]);

test('125,000 headers are refused, and the neighbour is served meanwhile', async (t) => {
  const milter = await start(t, []);
  const mta = await milter.connect();
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  await mta.mail('<a@b.example>');
  await mta.rcpt('<c@d.example>');
  // All at once, so that to make them keeps this process from nothing.
  const headers = Array<Buffer>(125_000).fill(packets.header('X', ' y'));
  const bytes = Buffer.concat([packets.header(...FORGED), ...headers, packets.eoh(), packets.eom()]);
  const neighbour = await Neighbour.start(t, milter.port);
  mta.socket.write(bytes);
  assert.equal((await mta.reply()).text, '552 5.3.4 Message has too many headers');
  await neighbour.stop(t);
});

test('with more headers than the stack has room for, each forged one is deleted', async (t) => {
  const milter = await start(t, ['--max-headers', '1000000', '--max-header-mb', '64', '--cpu-ms', '60000']);
  const forged = Array.from({ length: 125_000 }, () => FORGED);
  const reply = await send(milter, forged);
  assert.equal(reply.letter, 'c', reply.text);
  const deletions = reply.modifications.filter(
    ({ letter, payload }) =>
      letter === 'm' && payload.toString('latin1').includes('Authentication-Results\0\0'),
  );
  assert.equal(deletions.length, forged.length);
});

test('10,000 headers are taken, one more is not', async (t) => {
  const milter = await start(t, []);
  const headers = Array.from({ length: 10_000 }, (): [string, string] => ['X', ' y']);
  assert.equal((await send(milter, headers)).letter, 'c');
  assert.equal((await send(milter, [...headers, FORGED])).text, '552 5.3.4 Message has too many headers');
});

test('edits of 10,000 headers in a loop keep no neighbour waiting', async (t) => {
  const milter = await startMilter(
    t,
    `function smtp.do_dot()
      if not header.get "X" then return end
      for i = 1, 100000 do header.set("Y" .. i, "z") header.add("X", "z") header.delete("Y" .. i) end
    end`,
    ['--workers', '1', '--warm-up', '0', '--on-error', 'tempfail'],
  );
  const neighbour = await Neighbour.start(t, milter.port);
  const reply = await send(
    milter,
    Array.from({ length: 10_000 }, (): [string, string] => ['X', ' y']),
  );
  assert.equal(reply.letter, 't', 'its CPU budget ends it');
  await neighbour.stop(t);
});

test('a change of very many headers is made whole', () => {
  const headers = new MessageHeaders();
  headers.arrive(Array.from({ length: 300_000 }, () => 'X: y'));
  headers.set({ name: 'X', value: ' z' });
  assert.equal(headers.length, 1);
  assert.equal(headers.compile().length, 300_000);
});
