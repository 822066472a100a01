/** What the program knows of the script's versions: each is logged once, and status tells of the one that serves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ScriptNotice } from '../../src/policy/lua-policies.ts';
import type { ScriptReport } from '../../src/policy/policy-source.ts';
import { ScriptState } from '../../src/supervisor/script-state.ts';
import { Logger } from '../../src/syslog/log.ts';
import { sinkTo } from '../../src/syslog/log-sink.ts';

function newState(): { state: ScriptState; lines: string[] } {
  const lines: string[] = [];
  const log = new Logger(
    sinkTo(({ severity, text }) => lines.push(`${severity} ${text}`)),
    'info',
  );
  return { state: new ScriptState('/p.lua', 'tempfail', log), lines };
}

const goodOf = (hash: string) => ({ hash, callbacks: ['do_rcpt'], source: Buffer.from(hash) });

const notice = (hash: string, change: Partial<ScriptNotice> = {}): ScriptNotice => ({
  level: 'notice',
  text: `script changed: ${hash}`,
  first: false,
  key: hash,
  hash,
  problem: undefined,
  callbacks: ['do_rcpt'],
  good: goodOf(hash),
  serving: hash,
  ...change,
});

const report = (hash: string, change: Partial<ScriptReport> = {}): ScriptReport => ({
  path: '/p.lua',
  hash,
  callbacks: ['do_rcpt'],
  problem: undefined,
  warnings: [],
  defined: new Set(),
  serving: hash,
  good: goodOf(hash),
  key: hash,
  ...change,
});

test('a version that several workers notice is logged once', () => {
  const { state, lines } = newState();
  state.examined(report('one'));
  assert.deepEqual([state.noticed(notice('two')), state.noticed(notice('two'))], [true, false]);
  assert.deepEqual(lines, ['5 script changed: two']);
  assert.equal(state.status.hash, 'two');
});

test('what the program begins with is told by its start, and by no worker', () => {
  const { state, lines } = newState();
  assert.equal(state.noticed(notice('one', { first: true })), true);
  assert.equal(state.noticed(notice('one', { first: true })), false);
  assert.deepEqual(lines, []);
  assert.equal(state.noticed(notice('two', { first: true })), true, 'of a worker that came later');
  assert.deepEqual(lines, ['5 script changed: two']);
});

test('a version that was examined is no news afterwards', () => {
  const { state, lines } = newState();
  state.examined(report('one'));
  assert.equal(state.noticed(notice('one')), false);
  assert.deepEqual(lines, []);
});

test('a worker that lags does not bring an old version back into the log', () => {
  const { state, lines } = newState();
  for (const hash of ['one', 'two', 'three', 'two', 'one']) state.noticed(notice(hash));
  assert.deepEqual(
    lines.map((line) => line.split(' ').at(-1)),
    ['one', 'two', 'three'],
  );
  assert.equal(state.status.hash, 'three');
});

test('after 64 others a version may be told again', () => {
  const { state, lines } = newState();
  state.noticed(notice('old'));
  for (let i = 0; i < 64; i++) state.noticed(notice(`v${i}`));
  assert.equal(state.noticed(notice('old')), true);
  assert.equal(lines.length, 66);
});

test('a version that cannot run is told by its level, and status keeps what serves beside the problem', () => {
  const { state, lines } = newState();
  state.examined(report('good'));
  const { since } = state.status;
  const bad = { level: 'error', text: 'does not run', problem: 'p.lua:1: oops', good: undefined } as const;
  state.noticed(notice('bad', { ...bad, callbacks: [], serving: 'good' }));
  assert.deepEqual(lines, ['3 does not run']);
  assert.deepEqual(state.status, {
    path: '/p.lua',
    hash: 'good',
    since,
    callbacks: ['do_rcpt'],
    onError: 'tempfail',
    problem: 'p.lua:1: oops',
  });
  assert.equal(state.lastGood?.hash, 'good');
});

test('where nothing serves, status names no callbacks; a mended version clears the problem', () => {
  const { state } = newState();
  state.examined(report('bad', { problem: 'oops', callbacks: [], serving: undefined, good: undefined }));
  assert.deepEqual([state.status.hash, state.status.callbacks], [undefined, []]);
  assert.equal(state.lastGood?.hash, undefined);
  state.noticed(notice('mended'));
  assert.deepEqual(state.status.callbacks, ['do_rcpt']);
  assert.equal('problem' in state.status, false);
  assert.deepEqual([state.status.hash, state.lastGood?.hash], ['mended', 'mended']);
});

test('a version that leaves nothing to serve takes the callbacks with it', () => {
  const { state } = newState();
  state.examined(report('good'));
  state.noticed(notice('bad', { problem: 'oops', callbacks: [], serving: undefined, good: undefined }));
  assert.deepEqual(state.status.callbacks, []);
});

test('status says since when a version serves, which another that cannot run does not change', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_000 });
  const { state } = newState();
  const since = (): number => Date.parse(state.status.since);
  state.examined(report('one'));
  t.mock.timers.tick(5_000);
  state.noticed(notice('bad', { problem: 'oops', callbacks: [], serving: 'one', good: undefined }));
  assert.equal(since(), 1_000);
  state.noticed(notice('two'));
  assert.equal(since(), 6_000);
});

test('a good version without its text is not kept as the last good one', () => {
  const { state } = newState();
  state.noticed(notice('one', { good: { ...goodOf('one'), source: undefined } }));
  assert.equal(state.lastGood, undefined);
});
