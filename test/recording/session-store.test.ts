/** The files of a recording: bounded, and read again as they were written, damaged ones too. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { RecordedSession } from '../../src/recording/recorded-session.ts';
import { redacted } from '../../src/recording/redaction.ts';
import { blockOf, indexSessions, readSession } from '../../src/recording/session-file.ts';
import { SessionStore } from '../../src/recording/session-store.ts';
import { directory } from '../program/program.ts';

const log = { warning: (text: string) => assert.fail(text), notice: () => {} };

function session(id: string, bytes = 100): RecordedSession {
  const entries = [['command', Buffer.concat([Buffer.from('B'), randomBytes(bytes)]), 0] as const];
  return { id, began: 1, script: undefined, redacted: [], entries };
}

test('the oldest sessions go, and all files together stay within the bound', async (t) => {
  const folder = directory(t);
  const maxBytes = 360_000;
  const store = new SessionStore({ directory: folder, maxBytes, writers: 1, instance: 'a', log });
  const bytes = () => readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  for (let i = 0; i < 100; i++) {
    store.add(await blockOf(session(String(i), 10_000)));
    assert.ok(bytes() <= maxBytes);
  }
  store.add(await blockOf(session('too long', store.fileBytes + 1)));
  await store.close();
  assert.deepEqual(store.counts, { kept: 100, lost: 1 });
  assert.ok(bytes() > maxBytes / 2);
  const ids = indexSessions(folder).places.map((place) => readSession(place).id);
  assert.equal(ids.at(-1), '99');
  assert.deepEqual(
    ids,
    Array.from({ length: ids.length }, (_, i) => String(100 - ids.length + i)),
  );
});

test('files that are begun in the same millisecond are two', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_000 });
  const store = new SessionStore({
    directory: directory(t),
    maxBytes: 90_000,
    writers: 1,
    instance: 'a',
    log,
  });
  for (let i = 0; i < 5; i++) store.add(await blockOf(session(String(i), 9_000)));
  await store.close();
  assert.deepEqual(store.counts, { kept: 5, lost: 0 });
});

test('what is damaged is said, and hides nothing else', async (t) => {
  const folder = directory(t);
  const store = new SessionStore({ directory: folder, maxBytes: 1 << 24, writers: 1, instance: 'a', log });
  const sent = [session('1'), session('2'), session('3')];
  for (const one of sent) store.add(await blockOf(one));
  await store.close();
  const [name = ''] = readdirSync(folder);
  const path = join(folder, name);
  const { places } = indexSessions(folder);
  assert.deepEqual(places.map(readSession), sent);
  truncateSync(path, statSync(path).size - 1);
  const bytes = readFileSync(path);
  const at = (places[0]?.at ?? 0) + 20;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(path, bytes);
  writeFileSync(join(folder, '20260101T000000000Z-x.sessions'), 'something else that is long enough');
  const { places: left, problems } = indexSessions(folder);
  assert.equal(problems.length, 2);
  assert.match(problems[0] ?? '', /x\.sessions: is no recording of this version$/);
  assert.match(problems[1] ?? '', /its last session is cut off: \d+ bytes$/);
  const [first, second, ...more] = left;
  assert.ok(first && second && more.length === 0);
  assert.throws(() => readSession(first), /damaged/);
  assert.deepEqual(readSession(second), sent[1]);
});

test('addresses without end, and lines without blanks, are redacted in little time', async () => {
  const packet = Buffer.concat([Buffer.from('B'), Buffer.alloc(65_000, 'a'), Buffer.from('@x ')]);
  const many = Buffer.from(`B${Array.from({ length: 20_000 }, (_, i) => `u${i}@x`).join(' ')}`);
  const entries = [
    ...Array.from({ length: 20 }, () => ['command', packet, 0] as const),
    ['command', many, 0] as const,
  ];
  const before = process.cpuUsage();
  const [first, ...others] = await redacted(entries, ['addresses']);
  const { user } = process.cpuUsage(before);
  assert.ok(user < 20e6, `${user}`);
  assert.equal(first?.[0] === 'command' && first[1].length, packet.length);
  assert.equal(first?.[0] === 'command' && first[1].includes('a'.repeat(16)), false);
  assert.equal(others.length, 20);
});
