/** Figures of a policy's own: what is counted, set and timed, and how much of it there may be. */

/** A counter, a gauge, or a histogram of seconds. */
export type MetricKind = 'count' | 'set' | 'time';

/** By name in ASCII; values are text, not bytes. */
export type Labels = readonly (readonly [name: string, value: string])[];

/** The port by which a policy's functions reach the figures. */
export interface Metrics {
  /**
   * Takes note of a figure, and returns at once.
   * @param name as the policy writes it, see `NAME` @param value what is added, the new value, or seconds
   */
  note(kind: MetricKind, name: string, labels: Labels, value: number): void;
}

/** What has come since the figures were last taken. */
export type MetricDelta =
  | { readonly kind: 'count' | 'set'; readonly name: string; readonly labels: Labels; readonly value: number }
  | {
      readonly kind: 'time';
      readonly name: string;
      readonly labels: Labels;
      /** By TIME_BUCKETS, each without those below; the last holds what is longer. */
      readonly buckets: readonly number[];
      readonly sum: number;
    };

/** Names of metrics and of labels. */
export const NAME = /^[a-z_]{1,64}$/;
export const LABEL_NAME = /^[a-z_]{1,64}$/;
/** Labels of which others make something else: of histograms, of Prometheus itself, and of what is too much here. */
export const TAKEN_LABELS = ['le', 'quantile', 'job', 'instance', 'other'];
/** Endings with which Prometheus, or this program, marks what kind a metric is. */
export const TAKEN_ENDING = /_(?:total|sum|count|bucket|info|created)$/;

export const MAX_LABELS = 5;
export const MAX_LABEL_BYTES = 64;
/** Label sets of one metric, and of all together, those that are named `other` not counted. */
export const MAX_SETS = 200;
export const MAX_ALL_SETS = 2000;
export const MAX_METRICS = 100;

/** Where what does not fit is counted. */
export const OTHER: Labels = [['other', 'true']];

/** Upper bounds, in seconds. */
export const TIME_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];

const PREFIX = 'smtpf_policy_';

/** As it is printed; Prometheus wants to see the kind. */
export function printedName(kind: MetricKind, name: string): string {
  if (kind === 'count') return `${PREFIX}${name}_total`;
  return kind === 'set' || name.endsWith('_seconds') ? `${PREFIX}${name}` : `${PREFIX}${name}_seconds`;
}

/** The index in a histogram's buckets. */
export function bucketOf(seconds: number): number {
  const index = TIME_BUCKETS.findIndex((bound) => seconds <= bound);
  return index < 0 ? TIME_BUCKETS.length : index;
}

/** The same for the same labels, in whichever order. */
export function keyOf(labels: Labels): string {
  if (labels.length === 0) return '';
  const sorted = labels.length === 1 ? labels : labels.toSorted(([one], [other]) => (one < other ? -1 : 1));
  return JSON.stringify(sorted);
}
