/** Output for a pipe whose reader is slow, or gone. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Milter, startMilter } from '../program/milter-client.ts';
import { directory, PROGRAM } from '../program/program.ts';

const MOST_IN_PIPE = 65_536;
const DECISIONS = 10_000;

/** Nothing of what it prints is read before it has had the time to print all of it, and end. */
async function readLate(
  t: TestContext,
  args: readonly string[],
): Promise<{ code: number | null; output: string; error: string }> {
  const [command = '', ...before] = PROGRAM;
  const child = spawn(command, [...before, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  let error = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    error += text;
  });
  // The first bytes are there when the pipe is about to be full.
  await once(child.stdout, 'readable');
  await new Promise((resolve) => setTimeout(resolve, 500));
  const pieces: Buffer[] = [];
  for await (const piece of child.stdout) pieces.push(piece);
  const [code] = await ended;
  return { code, output: Buffer.concat(pieces).toString('latin1'), error };
}

function journalIn(t: TestContext): string {
  const journal = join(directory(t), 'journal');
  const decision = {
    time: 1,
    session: 's',
    client: { ip: '192.0.2.7', ptr: '' },
    recipients: [{ address: `${'x'.repeat(900)}@b.example` }],
    recipientCount: 1,
    verdict: 'accept',
    cpuMilliseconds: 0,
    wallMilliseconds: 0,
  };
  const lines = Array.from({ length: DECISIONS }, (_, queueId) =>
    JSON.stringify({ ...decision, queueId: String(queueId) }),
  );
  writeFileSync(journal, `{"journal":1}\n${lines.join('\n')}\n`);
  return journal;
}

test('why prints all of 10 MB, however late it is read', async (t) => {
  const journal = journalIn(t);
  const query = ['why', '--last', String(DECISIONS), '--journal', journal];
  const found = await readLate(t, [...query, '--json']);
  assert.equal(found.error, '');
  assert.equal(found.code, 0);
  assert.ok(found.output.length > 10e6);
  assert.equal(JSON.parse(found.output).length, DECISIONS);
  const text = await readLate(t, query);
  assert.equal(text.code, 0);
  assert.equal(text.output.match(/^ {2}verdict {2}accept/gm)?.length, DECISIONS);
});

test('the exit code is that of the command where its reader goes away', async (t) => {
  const [command = '', ...before] = PROGRAM;
  const args = ['why', '--last', String(DECISIONS), '--json', '--journal', journalIn(t)];
  const child = spawn(command, [...before, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  await once(child.stdout, 'readable');
  child.stdout.destroy();
  assert.deepEqual(await ended, [0, null]);
});

async function manyRecipients(milter: Milter, messages: number): Promise<void> {
  const mta = await milter.connect();
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  for (let message = 0; message < messages; message++) {
    await mta.mail('<a@b.example>');
    for (let i = 0; i < 100; i++) await mta.rcpt(`<r${i}-${'x'.repeat(180)}@b.example>`);
    await mta.abort();
  }
  await mta.quit();
}

test('status and trace lose nothing of their end', async (t) => {
  // A map is named in `status` as the policy opens it.
  const policy = `local tables = {}
    for i = 1, 40 do tables[i] = map.open("inline:{k" .. i .. "=" .. ("x"):rep(8000) .. "}") end
    function smtp.do_rcpt(rcpt) end`;
  const milter = await startMilter(t, policy, ['--workers', '0']);
  const [command = '', ...before] = PROGRAM;
  const trace = spawn(command, [...before, 'trace', '--json', '--spool', milter.spool]);
  t.after(() => trace.kill('SIGKILL'));
  const ended = once(trace, 'exit');
  let error = '';
  const attached = new Promise<void>((resolve) => {
    trace.stderr.setEncoding('utf8').on('data', (text: string) => {
      error += text;
      if (error.includes('attached')) resolve();
    });
  });
  await attached;
  // More than the pipe takes, and less than the server keeps.
  await manyRecipients(milter, 3);
  const status = await readLate(t, ['status', '--json', '--spool', milter.spool]);
  assert.equal(status.code, 0, status.error);
  assert.ok(status.output.length > 4 * MOST_IN_PIPE, `${status.output.length}`);
  assert.equal(JSON.parse(status.output).maps.length, 40);
  trace.kill('SIGINT');
  await new Promise((resolve) => setTimeout(resolve, 300));
  const pieces: Buffer[] = [];
  for await (const piece of trace.stdout) pieces.push(piece);
  assert.deepEqual(await ended, [0, null]);
  const lines = Buffer.concat(pieces).toString().trimEnd().split('\n');
  for (const line of lines) JSON.parse(line);
  assert.ok(lines.length > 100, `${lines.length}`);
});
