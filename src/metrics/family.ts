/** What an answer to Prometheus is made of. */
import type { Labels } from './metric.ts';

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly samples: readonly Sample[];
}

export interface Sample {
  /** Behind the family's name: of a histogram's lines. */
  readonly suffix?: '_bucket' | '_sum' | '_count';
  readonly labels: Labels;
  readonly value: number;
}

/**
 * The lines of a histogram.
 * @param bounds upper ones @param counts of each bucket without those below; one more than there are bounds, or as many
 */
export function histogram(
  labels: Labels,
  bounds: readonly number[],
  counts: readonly number[],
  sum: number,
): Sample[] {
  let below = 0;
  const samples: Sample[] = bounds.map((bound, index) => {
    below += counts[index] ?? 0;
    return { suffix: '_bucket', labels: [...labels, ['le', String(bound)]], value: below };
  });
  const all = below + (counts[bounds.length] ?? 0);
  return [
    ...samples,
    { suffix: '_bucket', labels: [...labels, ['le', '+Inf']], value: all },
    { suffix: '_sum', labels, value: sum },
    { suffix: '_count', labels, value: all },
  ];
}
