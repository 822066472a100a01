/** The module `metric`. */
import {
  LABEL_NAME,
  MAX_ALL_SETS,
  MAX_LABEL_BYTES,
  MAX_LABELS,
  MAX_METRICS,
  MAX_SETS,
  NAME,
  TAKEN_ENDING,
  TAKEN_LABELS,
} from '../../metrics/metric.ts';
import type { Chapter } from '../entry.ts';

/** What is wrong with the name of a metric. ASCII */
export function wrongName(name: string): string | undefined {
  if (!NAME.test(name)) return 'a name of 1 to 64 small letters and _ expected';
  const [ending] = TAKEN_ENDING.exec(name) ?? [];
  return ending === undefined ? undefined : `a name that does not end in ${ending} expected`;
}

/** What is wrong with the name of a label. ASCII */
export function wrongLabel(name: string): string | undefined {
  if (!LABEL_NAME.test(name)) return 'names of labels of 1 to 64 small letters and _ expected';
  const isTaken = TAKEN_LABELS.includes(name) || name.startsWith('__');
  return isTaken ? `another label than ${name} expected` : undefined;
}

const METRIC = {
  name: 'name',
  type: 'string',
  sample: '"logins"',
  check: (text: string) => wrongName(text),
  doc: '1 to 64 small letters and `_`',
} as const;

const LABELS = {
  name: 'labels',
  type: 'table',
  optional: true,
  sample: '{ result = "ok" }',
  doc: `at most ${MAX_LABELS} labels: values by name, text, numbers or booleans. Of text ${MAX_LABEL_BYTES} bytes are kept, bytes that are no UTF-8 become U+FFFD, and what is a mail address or an IP address becomes \`address\``,
} as const;

const RESULTS = [{ type: 'boolean', doc: 'true' }] as const;

export const metricApi = {
  title: 'Metrics',
  doc: `Figures of the policy's own, for Prometheus: with \`--metrics\` they are printed beside those of the program, added up over all
workers; without it a call does nothing. None waits. A metric has at most ${MAX_SETS} different sets of labels, all have ${MAX_ALL_SETS} together, and there
may be ${MAX_METRICS}: further sets are counted as \`other="true"\`, and one line in the log says so. So labels are for what has few values, such as a
result or a list, and not for who sends or receives. Up to a second of what a worker has counted is lost when it is killed; what it has
told before stays.`,
  uses: ['metrics'],
  entries: [
    {
      kind: 'function',
      name: 'metric.count',
      params: [
        METRIC,
        LABELS,
        { name: 'n', type: 'number', optional: true, doc: 'how many, 1 without it; not less than 0' },
      ],
      results: RESULTS,
      doc: 'Adds to a counter: `smtpf_policy_NAME_total`.',
      example: 'metric.count("greylisted", { new = true })',
    },
    {
      kind: 'function',
      name: 'metric.set',
      params: [METRIC, { name: 'value', type: 'number', doc: 'neither infinite nor NaN' }, LABELS],
      results: RESULTS,
      doc: 'Sets a gauge: `smtpf_policy_NAME`. Of several workers, the last one that has set it counts.',
      example: 'metric.set("blocked_networks", 17)',
    },
    {
      kind: 'function',
      name: 'metric.time',
      params: [METRIC, { name: 'seconds', type: 'number', doc: 'with decimals; not less than 0' }, LABELS],
      results: RESULTS,
      doc: 'Adds a duration, or another length of time, to a histogram: `smtpf_policy_NAME_seconds`, of which Prometheus can tell how many took longer than 1 ms, 2.5 ms and so on to 300 s.',
      example: 'metric.time("message_age", os.time() - sent_at, { list = "staff" })',
    },
  ],
} as const satisfies Chapter;
