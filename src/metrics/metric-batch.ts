/** Figures of a process that serves, on their way to the one that prints them: nothing is kept here beyond that. */
import {
  bucketOf,
  keyOf,
  type Labels,
  MAX_ALL_SETS,
  MAX_METRICS,
  MAX_SETS,
  type MetricDelta,
  type MetricKind,
  type Metrics,
  OTHER,
  TIME_BUCKETS,
} from './metric.ts';

interface Noted {
  readonly labels: Labels;
  value: number;
  /** Of times. */
  buckets: number[] | undefined;
}

export class MetricBatch implements Metrics {
  /** By kind and name, then by labels. */
  #noted = new Map<string, { kind: MetricKind; name: string; sets: Map<string, Noted> }>();
  #sets = 0;

  note(kind: MetricKind, name: string, labels: Labels, value: number): void {
    const key = `${kind} ${name}`;
    let metric = this.#noted.get(key);
    if (metric === undefined) {
      if (this.#noted.size >= MAX_METRICS) return;
      metric = { kind, name, sets: new Map() };
      this.#noted.set(key, metric);
    }
    const { sets } = metric;
    const noted = sets.get(keyOf(labels)) ?? this.#newSet(sets, labels);
    if (kind === 'set') noted.value = value;
    else noted.value += value;
    if (kind !== 'time') return;
    noted.buckets ??= new Array<number>(TIME_BUCKETS.length + 1).fill(0);
    const bucket = bucketOf(value);
    noted.buckets[bucket] = (noted.buckets[bucket] ?? 0) + 1;
  }

  #newSet(sets: Map<string, Noted>, labels: Labels): Noted {
    const fits = sets.size < MAX_SETS && this.#sets < MAX_ALL_SETS;
    const kept = fits ? labels : OTHER;
    const key = keyOf(kept);
    let noted = sets.get(key);
    if (noted === undefined) {
      noted = { labels: kept, value: 0, buckets: undefined };
      sets.set(key, noted);
      this.#sets += 1;
    }
    return noted;
  }

  /** What has come since the last time. */
  take(): MetricDelta[] {
    if (this.#noted.size === 0) return [];
    const deltas = [...this.#noted.values()].flatMap(({ kind, name, sets }) =>
      [...sets.values()].map(
        ({ labels, value, buckets }): MetricDelta =>
          kind === 'time'
            ? { kind, name, labels, buckets: buckets ?? [], sum: value }
            : { kind, name, labels, value },
      ),
    );
    this.#noted = new Map();
    this.#sets = 0;
    return deltas;
  }
}
