/** The figures of all processes, added up, for who prints them: what grows without bound is bounded here. */
import { type Family, histogram, type Sample } from './family.ts';
import {
  keyOf,
  type Labels,
  MAX_ALL_SETS,
  MAX_METRICS,
  MAX_SETS,
  type MetricDelta,
  type MetricKind,
  OTHER,
  printedName,
  TIME_BUCKETS,
} from './metric.ts';

interface Total {
  readonly labels: Labels;
  value: number;
  readonly buckets: number[];
}

interface Metric {
  readonly kind: MetricKind;
  readonly name: string;
  readonly sets: Map<string, Total>;
  /** It was said that it has too many. */
  isFull: boolean;
}

const FAMILY_TYPES = { count: 'counter', set: 'gauge', time: 'histogram' } as const;

export class MetricTotals {
  readonly #warn: (line: string) => void;
  /** By printed name. */
  readonly #metrics = new Map<string, Metric>();
  /** Names of which it was said that they are not kept; not more than there may be metrics. */
  readonly #refused = new Set<string>();
  #sets = 0;

  /** @param warn is told once of each metric of which there is too much */
  constructor(warn: (line: string) => void) {
    this.#warn = warn;
  }

  add(deltas: readonly MetricDelta[]): void {
    for (const delta of deltas) this.#add(delta);
  }

  #add(delta: MetricDelta): void {
    const metric = this.#metricOf(delta);
    if (metric === undefined) return;
    const total = this.#totalOf(metric, delta.labels);
    if (delta.kind !== 'time') total.value = delta.kind === 'set' ? delta.value : total.value + delta.value;
    else {
      total.value += delta.sum;
      for (const [index, count] of delta.buckets.entries()) {
        total.buckets[index] = (total.buckets[index] ?? 0) + count;
      }
    }
  }

  #metricOf({ kind, name }: MetricDelta): Metric | undefined {
    const printed = printedName(kind, name);
    const known = this.#metrics.get(printed);
    if (known?.kind === kind) return known;
    if (known !== undefined || this.#metrics.size >= MAX_METRICS) {
      const why =
        known === undefined
          ? `there are ${MAX_METRICS} metrics already`
          : `${printed} is a ${FAMILY_TYPES[known.kind]} already`;
      if (this.#refused.has(printed) || this.#refused.size >= MAX_METRICS) return undefined;
      this.#refused.add(printed);
      this.#warn(`metric.${kind} "${name}" is not kept: ${why}`);
      return undefined;
    }
    const metric = { kind, name, sets: new Map(), isFull: false };
    this.#metrics.set(printed, metric);
    return metric;
  }

  #totalOf(metric: Metric, labels: Labels): Total {
    const { kind, name, sets } = metric;
    const known = sets.get(keyOf(labels));
    if (known !== undefined) return known;
    const isOther = labels === OTHER || keyOf(labels) === keyOf(OTHER);
    if (!isOther) {
      const many = sets.size >= MAX_SETS;
      if (many || this.#sets >= MAX_ALL_SETS) {
        if (!metric.isFull) {
          metric.isFull = true;
          const why = many
            ? `it has ${MAX_SETS} sets of labels`
            : `all metrics together have ${MAX_ALL_SETS} sets of labels`;
          this.#warn(`metric.${kind} "${name}": ${why}: further ones are counted as other="true"`);
        }
        return this.#totalOf(metric, OTHER);
      }
      this.#sets += 1;
    }
    const total = { labels, value: 0, buckets: kind === 'time' ? TIME_BUCKETS.map(() => 0).concat(0) : [] };
    sets.set(keyOf(labels), total);
    return total;
  }

  /** In the order in which they first came. */
  families(): Family[] {
    return [...this.#metrics].map(([printed, { kind, name, sets }]) => ({
      name: printed,
      help: `metric.${kind} "${name}" of the policy`,
      type: FAMILY_TYPES[kind],
      samples: [...sets.values()].flatMap((total) => samplesOf(kind, total)),
    }));
  }
}

function samplesOf(kind: MetricKind, { labels, value, buckets }: Total): Sample[] {
  return kind === 'time' ? histogram(labels, TIME_BUCKETS, buckets, value) : [{ labels, value }];
}
