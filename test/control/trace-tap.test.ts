/** Which sessions an observer is shown: from the record on by which a session fits, and what came before it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type TraceFilter, type TraceRecord, type TraceSubject, TraceTap } from '../../src/control/trace.ts';
import { BadValue } from '../../src/text/bad-value.ts';

const record = (callback: string, session = 's1'): TraceRecord => ({
  kind: 'call',
  time: 0,
  session,
  callback,
  args: [],
  result: 'continue',
  cpuMilliseconds: 0,
  wallMilliseconds: 0,
});

/** A session as the tap sees it, which comes to know more of itself. */
class Subject implements TraceSubject {
  ip = '192.0.2.7';
  sender: string | undefined;
  recipientAddresses: string[] = [];
}

function tapped(filter: TraceFilter): { tap: TraceTap; shown: string[] } {
  const shown: string[] = [];
  const tap = new TraceTap(filter, (one) => shown.push(one.kind === 'call' ? one.callback : one.kind));
  return { tap, shown };
}

/** The callbacks of a session with one message of two recipients. */
function play(tap: TraceTap, subject = new Subject()): void {
  tap.take(subject, record('connect'));
  subject.sender = 'a@b.example';
  tap.take(subject, record('mail'));
  for (const address of ['c@d.example', 'e@f.example']) {
    subject.recipientAddresses = [...subject.recipientAddresses, address];
    tap.take(subject, record(`rcpt ${address}`));
  }
}

const ALL = ['connect', 'mail', 'rcpt c@d.example', 'rcpt e@f.example'];

describe('a session is shown from its beginning', () => {
  const fitting: Readonly<Record<string, TraceFilter>> = {
    'without a filter': {},
    'by its address': { ip: '192.0.2.7' },
    'by its network': { ip: '192.0.2.0/24' },
    'by its sender': { from: 'A@B.example' },
    'by its sender’s domain': { from: '@b.example' },
    'by its sender’s domain without @': { from: 'b.example' },
    'by its last recipient': { rcpt: '<e@f.example>' },
    'by all of them': { ip: '192.0.2.0/25', from: 'a@b.example', rcpt: 'f.example' },
  };
  for (const [name, filter] of Object.entries(fitting)) {
    test(name, () => {
      const { tap, shown } = tapped(filter);
      play(tap);
      assert.deepEqual(shown, ALL);
    });
  }
});

describe('a session is not shown', () => {
  const others: Readonly<Record<string, TraceFilter>> = {
    'of another address': { ip: '192.0.2.8' },
    'of another network': { ip: '2001:db8::/32' },
    'of another sender': { from: 'b.example.org' },
    'of a domain that ends the same': { from: 'xample' },
    'of the null sender': { from: '<>' },
    'of another recipient': { rcpt: 'a@b.example' },
    'that fits in one thing and not in another': { ip: '192.0.2.7', rcpt: 'x.example' },
  };
  for (const [name, filter] of Object.entries(others)) {
    test(name, () => {
      const { tap, shown } = tapped(filter);
      play(tap);
      assert.deepEqual(shown, []);
    });
  }
});

test('the null sender is a sender, and none is not', () => {
  const { tap, shown } = tapped({ from: '<>' });
  const subject = new Subject();
  tap.take(subject, record('connect'));
  assert.deepEqual(shown, []);
  subject.sender = '';
  tap.take(subject, record('mail'));
  assert.deepEqual(shown, ['connect', 'mail']);
});

test('a session that has fitted is shown to its end, whatever follows', () => {
  const { tap, shown } = tapped({ from: 'a@b.example' });
  const subject = new Subject();
  play(tap, subject);
  subject.sender = 'other@x.example';
  tap.take(subject, record('next'));
  assert.deepEqual(shown, [...ALL, 'next']);
});

test('two sessions are kept apart, and one that has ended is forgotten', () => {
  const { tap, shown } = tapped({ from: 'b.example' });
  const [one, other] = [new Subject(), new Subject()];
  tap.take(one, record('first'));
  tap.take(other, record('second'));
  other.sender = 'a@b.example';
  tap.take(other, record('fits'));
  assert.deepEqual(shown, ['second', 'fits']);
  tap.forget(one);
  one.sender = 'a@b.example';
  tap.take(one, record('late'));
  assert.deepEqual(shown, ['second', 'fits', 'late']);
});

test('of a session that may come to fit the first 100 records are kept, and of 1,000 sessions', () => {
  const { tap, shown } = tapped({ from: 'b.example' });
  const subject = new Subject();
  for (let i = 0; i < 150; i++) tap.take(subject, record(`${i}`));
  subject.sender = 'a@b.example';
  tap.take(subject, record('fits'));
  assert.deepEqual([shown.length, shown[0], shown.at(-2), shown.at(-1)], [101, '0', '99', 'fits']);

  const many = tapped({ from: 'b.example' });
  const subjects = Array.from({ length: 1001 }, () => new Subject());
  for (const [i, one] of subjects.entries()) many.tap.take(one, record(`${i}`));
  for (const one of subjects) one.sender = 'a@b.example';
  for (const i of [999, 1000]) many.tap.take(subjects[i] ?? new Subject(), record(`then ${i}`));
  assert.deepEqual(many.shown, ['999', 'then 999', 'then 1000']);
});

test('what is neither an address nor a network is refused', () => {
  for (const ip of [
    '',
    'x',
    '192.0.2',
    '192.0.2.0/33',
    '2001:db8::/129',
    '192.0.2.0/24/1',
    '192.0.2.0/-1',
    '::/',
  ]) {
    assert.throws(() => tapped({ ip }), BadValue, ip);
  }
});
