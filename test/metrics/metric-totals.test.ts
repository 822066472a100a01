/** Figures on their way from processes to the text that Prometheus reads. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { expose } from '../../src/metrics/exposition.ts';
import { MAX_ALL_SETS, MAX_METRICS, MAX_SETS, type Metrics } from '../../src/metrics/metric.ts';
import { MetricBatch } from '../../src/metrics/metric-batch.ts';
import { MetricTotals } from '../../src/metrics/metric-totals.ts';

/** What two processes note, in turn, as it is printed; and what is said of it. */
async function printed(...notes: ((metrics: Metrics) => void)[]): Promise<{ text: string; said: string[] }> {
  const said: string[] = [];
  const totals = new MetricTotals((line) => said.push(line));
  const batches = [new MetricBatch(), new MetricBatch()];
  for (const [index, note] of notes.entries()) {
    const batch = batches[index % 2] as MetricBatch;
    note(batch);
    totals.add(batch.take());
  }
  return { text: (await expose(totals.families())).text, said };
}

describe('figures of a policy', () => {
  it('are added up over processes, and printed as Prometheus wants them', async () => {
    const { text } = await printed(
      (metrics) => {
        metrics.note('count', 'logins', [['result', 'ok']], 1);
        metrics.note('count', 'logins', [['result', 'ok']], 2);
        metrics.note('set', 'networks', [], 17);
        metrics.note('time', 'scan', [['by', 'a"b\\c\nd']], 0.003);
        metrics.note('time', 'wait_seconds', [], 0.001);
      },
      (metrics) => {
        metrics.note('count', 'logins', [['result', 'ok']], 0.5);
        metrics.note('count', 'logins', [], 1);
        metrics.note('set', 'networks', [], -1.5);
        metrics.note('time', 'scan', [['by', 'a"b\\c\nd']], 400);
      },
    );
    const bucket = (le: string, count: number) =>
      `smtpf_policy_scan_seconds_bucket{by="a\\"b\\\\c\\nd",le="${le}"} ${count}`;
    assert.deepEqual(text.split('\n').slice(0, 28), [
      '# HELP smtpf_policy_logins_total metric.count "logins" of the policy',
      '# TYPE smtpf_policy_logins_total counter',
      'smtpf_policy_logins_total{result="ok"} 3.5',
      'smtpf_policy_logins_total 1',
      '# HELP smtpf_policy_networks metric.set "networks" of the policy',
      '# TYPE smtpf_policy_networks gauge',
      'smtpf_policy_networks -1.5',
      '# HELP smtpf_policy_scan_seconds metric.time "scan" of the policy',
      '# TYPE smtpf_policy_scan_seconds histogram',
      ...['0.001', '0.0025'].map((le) => bucket(le, 0)),
      ...['0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5'].map((le) => bucket(le, 1)),
      ...['1', '2.5', '5', '10', '30', '60', '300'].map((le) => bucket(le, 1)),
      bucket('+Inf', 2),
      'smtpf_policy_scan_seconds_sum{by="a\\"b\\\\c\\nd"} 400.003',
      'smtpf_policy_scan_seconds_count{by="a\\"b\\\\c\\nd"} 2',
    ]);
    assert.match(text, /^smtpf_policy_wait_seconds_bucket\{le="0.001"\} 1$/m);
  });

  it('are told once: what was taken is not taken again', () => {
    const batch = new MetricBatch();
    batch.note('count', 'a', [], 1);
    assert.deepEqual(batch.take(), [{ kind: 'count', name: 'a', labels: [], value: 1 }]);
    assert.deepEqual(batch.take(), []);
  });

  it('know the same labels in another order', async () => {
    const { text } = await printed(
      (metrics) =>
        metrics.note(
          'count',
          'a',
          [
            ['x', '1'],
            ['y', '2'],
          ],
          1,
        ),
      (metrics) =>
        metrics.note(
          'count',
          'a',
          [
            ['y', '2'],
            ['x', '1'],
          ],
          1,
        ),
    );
    assert.match(text, /^smtpf_policy_a_total\{x="1",y="2"\} 2$/m);
  });

  it('have so many sets of labels; further ones are one, and that is said once', async () => {
    const flood = (from: number) => (metrics: Metrics) => {
      for (let i = from; i < from + 250; i++) metrics.note('count', 'who', [['name', `n${i}`]], 1);
    };
    // The second process does not know what the first one has told.
    const { text, said } = await printed(flood(0), flood(1000), flood(2000));
    assert.equal([...text.matchAll(/^smtpf_policy_who_total\{name=/gm)].length, MAX_SETS);
    assert.match(text, new RegExp(`^smtpf_policy_who_total\\{other="true"\\} ${750 - MAX_SETS}$`, 'm'));
    assert.deepEqual(said, [
      'metric.count "who": it has 200 sets of labels: further ones are counted as other="true"',
    ]);
  });

  it('have so many sets together, and so many names', async () => {
    const { text, said } = await printed(
      ...Array.from({ length: 12 }, (_, metric) => (metrics: Metrics) => {
        const name = 'abcdefghijkl'.charAt(metric);
        for (let i = 0; i < MAX_SETS; i++) metrics.note('set', name, [['i', String(i)]], i);
      }),
    );
    assert.equal([...text.matchAll(/^smtpf_policy_.\{i=/gm)].length, MAX_ALL_SETS);
    assert.equal(said.length, 2);
    const names = await printed((metrics) => {
      for (let i = 0; i < 150; i++) metrics.note('count', 'a'.repeat(i + 1), [], 1);
    });
    assert.equal([...names.text.matchAll(/^# TYPE/gm)].length, MAX_METRICS);
  });

  it('of two kinds have two names; where these are the same the first stays', async () => {
    const { text, said } = await printed(
      (metrics) => metrics.note('count', 'a', [], 1),
      (metrics) => metrics.note('set', 'a', [], 5),
      (metrics) => metrics.note('set', 'b_seconds', [], 5),
      (metrics) => metrics.note('time', 'b', [], 1),
    );
    assert.match(text, /^smtpf_policy_a_total 1$/m);
    assert.match(text, /^smtpf_policy_a 5$/m);
    assert.match(text, /^smtpf_policy_b_seconds 5$/m);
    assert.deepEqual(said, ['metric.time "b" is not kept: smtpf_policy_b_seconds is a gauge already']);
  });
});
