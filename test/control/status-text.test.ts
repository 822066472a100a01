/** What `status` prints for people, with values as large as they come. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CallbackStatus, type Status, statusText } from '../../src/control/status.ts';
import { table } from '../../src/text/text-table.ts';

function statusWith(callbacks: CallbackStatus[], workers: Status['workers']): Status {
  return {
    version: '0.1.0',
    pid: 4194304,
    startedAt: '2026-01-01T00:00:00.000Z',
    uptimeSeconds: 400_000_000,
    listening: ['inet:8895@127.0.0.1'],
    workers,
    restarts: 0,
    script: {
      path: '/etc/mail/smtpf.lua',
      hash: '0123456789ab',
      since: '2026-01-01T00:00:00.000Z',
      callbacks: ['do_rcpt'],
      onError: 'continue',
    },
    deadlines: { callbackMs: 8000, endOfMessageMs: 240_000 },
    connections: 1,
    sessions: { open: 0, total: 0, refused: 0 },
    messages: { accept: 0, reject: 0, tempfail: 0, discard: 0, quarantine: 0, abandoned: 0 },
    rates: {
      overSeconds: 60,
      sessions: 1.5,
      messages: { accept: 0.1, reject: 0.2, tempfail: 0, discard: 0, quarantine: 0, abandoned: 0 },
      scriptErrors: 0,
    },
    callbacks,
    scriptErrors: 0,
    logDrops: 0,
    eventDrops: 0,
    maps: [],
    geo: [],
    store: null,
    recording: null,
  };
}

/** The lines of one table, from its heading to the next empty line, cut where the heading's columns begin. */
function cellsOf(text: string, heading: string): string[][] {
  const lines = text.split('\n');
  const from = lines.findIndex((line) => line.startsWith(heading));
  const to = lines.indexOf('', from);
  const starts = [...(lines[from] ?? '').matchAll(/(?<=^| {2})\S/g)].map(({ index }) => index);
  return lines.slice(from, to).map((line) =>
    starts.map((start, column) => {
      const cell = line.slice(start, starts[column + 1]);
      if (column + 1 < starts.length) assert.match(cell, / {2}$/, `a gap behind each column: ${line}`);
      return cell.trimEnd();
    }),
  );
}

describe('status', () => {
  const callback = (name: string, value: number): CallbackStatus => ({
    name,
    calls: value,
    wallMeanMs: value,
    wallP95Ms: value,
    wallMaxMs: value,
    cpuMeanMs: value,
    cpuMaxMs: value,
    failures: 0,
  });

  test('keeps long names and large numbers of callbacks apart', () => {
    const callbacks = [callback('smtp.do_'.padEnd(60, 'x'), 123456789.123), callback('smtp.rset', 0.001)];
    assert.deepEqual(cellsOf(statusText(statusWith(callbacks, [])), 'callback'), [
      ['callback', 'calls', 'wall ms: mean', '95 %', 'max', 'cpu ms: mean', 'max'],
      ['smtp.do_'.padEnd(60, 'x'), ...new Array(6).fill('123456789.123')],
      ['smtp.rset', ...new Array(6).fill('0.001')],
    ]);
  });

  test('keeps hundreds of workers with large numbers apart', () => {
    const workers = Array.from({ length: 512 }, (_, index) => ({
      number: index * 1_000_000,
      pid: 4194304,
      uptimeSeconds: 400_000_000,
      connections: 1_000_000_000_000,
      openSessions: index,
      memoryBytes: 2 ** 45,
      memoryShort: false,
    }));
    const [heading, ...rows] = cellsOf(statusText(statusWith([], workers)), 'worker');
    assert.deepEqual(heading, ['worker', 'pid', 'up', 'connections', 'sessions', 'memory']);
    assert.equal(rows.length, 512);
    assert.deepEqual(rows[511], [
      '511000000',
      '4194304',
      '4629 d 15 h',
      '1000000000000',
      '511',
      '33554432 MiB',
    ]);
  });
});

test('a column is as wide as its characters, not its bytes', () => {
  const utf8 = Buffer.from('Ä€').toString('latin1');
  assert.deepEqual(
    table([
      [utf8, 'x'],
      ['abc', 'y'],
      ['\xff\xfe', 'z'],
    ]),
    [`${utf8}   x`, 'abc  y', '\xff\xfe   z'],
  );
});

test('status says what is recorded, and what is lost', () => {
  const directory = '/var/lib/smtpf-milter/sessions';
  const linesWith = (recording: Status['recording']) => {
    const lines = statusText({ ...statusWith([], []), recording }).split('\n');
    const at = lines.findIndex((line) => line.startsWith('recording '));
    return lines.slice(at, at + 2);
  };
  assert.deepEqual(linesWith({ directory, kept: 12, lost: 3, problem: 'no space left on the device' }), [
    `recording   ${directory}, 12 sessions kept, 3 lost`,
    '            nothing is recorded now: no space left on the device',
  ]);
});
