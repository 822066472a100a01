/** Which descriptors the program was started with, as systemd says it in the environment. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeHandedDescriptors } from '../../src/system/handed-descriptors.ts';

const PID = 4711;

function taken(environment: Record<string, string>): unknown {
  const found = takeHandedDescriptors(environment, PID);
  assert.deepEqual(Object.keys(environment), ['OTHER']);
  return found;
}

test('they begin at 3, each with its name, and leave the environment', () => {
  assert.deepEqual(
    taken({ OTHER: 'x', LISTEN_PID: '4711', LISTEN_FDS: '3', LISTEN_FDNAMES: 'milter:milter:metrics' }),
    [
      { fd: 3, name: 'milter' },
      { fd: 4, name: 'milter' },
      { fd: 5, name: 'metrics' },
    ],
  );
});

test('one without a name is unknown', () => {
  assert.deepEqual(taken({ OTHER: 'x', LISTEN_PID: '4711', LISTEN_FDS: '2', LISTEN_FDNAMES: 'a' }), [
    { fd: 3, name: 'a' },
    { fd: 4, name: 'unknown' },
  ]);
});

test('those of another process, and what is no count, are none', () => {
  assert.deepEqual(taken({ OTHER: 'x', LISTEN_PID: '4712', LISTEN_FDS: '1' }), []);
  assert.deepEqual(taken({ OTHER: 'x', LISTEN_FDS: '1' }), []);
  for (const count of ['', '0', '-1', '1.5', '0x3', '99999', '1000000'])
    assert.deepEqual(taken({ OTHER: 'x', LISTEN_PID: '4711', LISTEN_FDS: count }), [], count);
});
