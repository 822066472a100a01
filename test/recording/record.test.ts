/** `--record`: what is kept of sessions, and that keeping it never holds one. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Entry, RecordedSession } from '../../src/recording/recorded-session.ts';
import { indexSessions, readSession } from '../../src/recording/session-file.ts';
import { mta as packets } from '../helpers/packet-builder.ts';
import { type Milter, startMilter, statusOf } from '../program/milter-client.ts';
import { directory } from '../program/program.ts';

const LUA = `
function smtp.do_connect() smtp.note.dice = math.random(1000000) end
function smtp.do_rcpt(rcpt)
  local n = kv.incr("n:" .. rcpt)
  smtp.delay(0.05)
  if rcpt == "bad@example.com" then
    return 550, "5.7.1 no, " .. rcpt .. " " .. n
  end
end
function smtp.do_dot(path)
  header.add("X-Dice", tostring(smtp.note.dice))
  header.add("X-Time", tostring(os.time()))
end`;

/** The sessions in a directory, by the sender. */
function sessionsIn(folder: string): RecordedSession[] {
  const { places, problems } = indexSessions(folder);
  assert.deepEqual(problems, []);
  return places.map(readSession);
}

function packetsOf({ entries }: RecordedSession): Buffer[] {
  return entries.flatMap((entry) => (entry[0] === 'command' ? [entry[1]] : []));
}

function of<Kind extends Entry[0]>(
  session: RecordedSession,
  kind: Kind,
): Extract<Entry, readonly [Kind, ...unknown[]]>[] {
  return session.entries.filter(
    (entry): entry is Extract<Entry, readonly [Kind, ...unknown[]]> => entry[0] === kind,
  );
}

async function send(milter: Milter, rcpt: string, body = 'Hello\xff\r\n'): Promise<string> {
  const mta = await milter.connect();
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  mta.macro('M', 'i', 'Q1', '{auth_authen}', 'joey');
  await mta.mail('<joey@example.net>', 'SIZE=10');
  const { text } = await mta.rcpt(`<${rcpt}>`);
  const end = await mta.content([['Subject', ' hi joey@example.net']], Buffer.from(body, 'latin1'));
  await mta.quit();
  return `${text}${end.letter}`;
}

/** Sessions are written behind their end. */
async function stopped(
  t: TestContext,
  args: readonly string[],
  use: (milter: Milter) => Promise<void>,
): Promise<RecordedSession[]> {
  const folder = join(directory(t), 'sessions');
  const milter = await startMilter(t, LUA, [
    '--record',
    folder,
    '--store',
    'memory',
    '--workers',
    '1',
    ...args,
  ]);
  await use(milter);
  assert.equal(await milter.running.stop(), 0);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
  return sessionsIn(folder);
}

test('a session is kept byte for byte, with answers, edits, clock and random numbers, and no other’s', async (t) => {
  const sessions = await stopped(t, [], async (milter) => {
    // Both wait in the policy at the same time.
    await Promise.all([send(milter, 'a@example.com'), send(milter, 'b@example.com')]);
    await send(milter, 'bad@example.com');
  });
  assert.equal(sessions.length, 3);
  const questions = sessions.map((session) => of(session, 'answer').map((entry) => entry.slice(1)));
  const asked = (rcpt: string) => [['store', `kv.incr n:${rcpt}`, { kind: 'known', value: 1 }]];
  assert.deepEqual(
    questions.sort((x, y) => JSON.stringify(x).localeCompare(JSON.stringify(y))),
    ['a', 'b', 'bad'].map((name) => asked(`${name}@example.com`)),
  );
  const session = sessions.find((found) =>
    packetsOf(found).some((packet) => packet.includes('<a@example.com>')),
  );
  assert.ok(session);
  assert.match(session.script ?? '', /^[0-9a-f]+$/);
  const sent = [
    packets.optneg(6, 0x1ff, 0x1fffff),
    packets.connect('mx.example', '4', 4242, '192.0.2.7'),
    packets.macro('M', 'i', 'Q1', '{auth_authen}', 'joey'),
    packets.rcpt('<a@example.com>'),
    packets.header('Subject', ' hi joey@example.net'),
    packets.body(Buffer.from('Hello\xff\r\n', 'latin1')),
    packets.quit(),
  ].map((packet) => packet.subarray(4).toString('latin1'));
  const kept = packetsOf(session).map((packet) => packet.toString('latin1'));
  assert.deepEqual(
    sent.filter((packet) => !kept.includes(packet)),
    [],
  );
  assert.deepEqual(
    of(session, 'call').map(([, name, where]) => `${name} ${where.replace(/.*:/, '')}`),
    ['smtp.do_connect 2', 'smtp.do_rcpt 9', 'smtp.do_dot 13'],
  );
  const [dice, time] = of(session, 'edit').map(([, edit]) => ('value' in edit ? edit.value.trim() : ''));
  const [[, random] = []] = of(session, 'random');
  assert.equal(dice, String(Math.floor((random ?? 0) * 1_000_000) + 1));
  assert.ok(of(session, 'clock').some(([, ms]) => String(Math.floor(ms / 1000)) === time));
  const bad = sessions.find((found) => packetsOf(found).some((packet) => packet.includes('<bad@')));
  assert.ok(bad);
  const replies = of(bad, 'reply').map(([, reply]) => (reply.kind === 'replyCode' ? reply.text : reply.kind));
  assert.ok(replies.includes('550 5.7.1 no, bad@example.com 1'), replies.join());
});

test('what is redacted is nowhere in the file, and packets keep their lengths', async (t) => {
  const lengths = (sessions: readonly RecordedSession[]) =>
    sessions.map((session) => packetsOf(session).map(({ length }) => length));
  const use = async (milter: Milter): Promise<void> => {
    await send(milter, 'bad@example.com', 'Dear joey, my secret');
  };
  const plain = await stopped(t, [], use);
  const hidden = await stopped(t, ['--record-redact', 'all'], use);
  assert.deepEqual(lengths(hidden), lengths(plain));
  const text = (sessions: unknown) => JSON.stringify(sessions, (_, value) => latin1Of(value));
  for (const word of ['joey', 'bad@', 'secret', 'hi joey']) assert.ok(text(plain).includes(word), word);
  for (const word of ['joey', 'bad@', 'secret', ' hi ']) assert.ok(!text(hidden).includes(word), word);
  const [session] = hidden;
  assert.ok(session);
  assert.deepEqual(session.redacted, ['body', 'headers', 'addresses']);
  // The same name everywhere.
  const [, name = ''] = /RCPT|R<(\w+)@example\.com>/.exec(packetsOf(session).join('\n')) ?? [];
  const [[, , question] = []] = of(session, 'answer');
  assert.equal(question, `kv.incr n:${name}@example.com`);
});

function latin1Of(value: unknown): unknown {
  const isBuffer = typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer';
  return isBuffer && 'data' in value ? Buffer.from(value.data as number[]).toString('latin1') : value;
}

test('a directory that goes is said once, holds nobody, and is written again when it is there', async (t) => {
  const folder = join(directory(t), 'sessions');
  const milter = await startMilter(t, LUA, ['--record', folder, '--store', 'memory', '--workers', '1']);
  rmSync(folder, { recursive: true });
  for (let i = 0; i < 3; i++) assert.equal(await send(milter, 'a@example.com'), 'c');
  await milter.running.until('stderr', /--record .*: no such file or directory: no session is recorded/);
  assert.equal(milter.running.stderr.match(/no session is recorded/g)?.length, 1);
  let { recording } = await statusOf(milter);
  assert.deepEqual(
    { ...recording, lost: (recording?.lost ?? 0) > 0 },
    { directory: folder, kept: 0, lost: true, problem: 'no such file or directory' },
  );
  mkdirSync(folder, { mode: 0o700 });
  for (let i = 0; !milter.running.stderr.includes('recorded again') && i < 600; i++) {
    await send(milter, 'a@example.com');
  }
  await milter.running.until('stderr', /sessions are recorded again; \d+ were not/);
  recording = (await statusOf(milter)).recording;
  assert.equal(recording?.problem, null);
  assert.ok((recording?.kept ?? 0) > 0 && (recording?.lost ?? 0) >= 3, JSON.stringify(recording));
  assert.equal(await milter.running.stop(), 0);
  assert.ok(sessionsIn(folder).length > 0);
});

test('only a share is kept, and none of those who said nothing', async (t) => {
  const sessions = await stopped(t, ['--record-sample', '0.000001%'], async (milter) => {
    await send(milter, 'a@example.com');
  });
  assert.deepEqual(sessions, []);
  const silent = await stopped(t, [], async (milter) => {
    const mta = await milter.connect();
    await mta.quit();
  });
  assert.deepEqual(silent, []);
});
