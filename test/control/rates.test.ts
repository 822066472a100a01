/** Rates over the last minute, with a clock that the test moves. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { noCounts } from '../../src/control/counts.ts';
import { RateWindow } from '../../src/control/rates.ts';

function windowOf(t: { after(fn: () => void): void }) {
  let now = 0;
  const counts = noCounts();
  const rates = new RateWindow(
    () => counts,
    () => now,
  );
  t.after(() => rates.stop());
  /** A second in which so much happens. */
  const second = (sessions: number, rejected: number): void => {
    now += 1000;
    counts.sessions += sessions;
    counts.messages.reject += rejected;
    if (now % 5000 === 0) rates.note();
  };
  return { counts, rates, second };
}

describe('rates', () => {
  it('are over the last minute, whatever was before', (t) => {
    const { counts, rates, second } = windowOf(t);
    for (let i = 0; i < 100; i++) second(50, 10);
    for (let i = 0; i < 60; i++) second(2, 1);
    const found = rates.rates(counts);
    assert.deepEqual([found.overSeconds, found.sessions, found.messages.reject], [60, 2, 1]);
  });

  it('are over the time since the start, where that is less', (t) => {
    const { counts, rates, second } = windowOf(t);
    for (let i = 0; i < 8; i++) second(3, 0);
    const found = rates.rates(counts);
    assert.deepEqual([found.overSeconds, found.sessions, found.messages.accept], [8, 3, 0]);
  });

  it('are not negative where a process that had counted is gone', (t) => {
    const { counts, rates, second } = windowOf(t);
    for (let i = 0; i < 70; i++) second(3, 0);
    assert.equal(rates.rates({ ...counts, sessions: 0 }).sessions, 0);
  });
});
