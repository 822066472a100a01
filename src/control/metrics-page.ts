/** What Prometheus finds of the server, whichever of its processes has done it. */
import { type Family, histogram, type Sample } from '../metrics/family.ts';
import type { Labels } from '../metrics/metric.ts';
import type { StoreStatus } from '../store/store.ts';
import { type Counts, inSeconds, VERDICT_NAMES } from './counts.ts';
import type { ProcessStatus } from './process-status.ts';
import { countsOf, isFiltering, type ShadowStatus, type StatusParts } from './status.ts';

/** What the processes have told, at once and without asking them. */
export interface Snapshot extends StatusParts {
  /** Processes that there should be. */
  readonly workers: number;
  /** Processes that accept connections. */
  readonly ready: number;
  readonly isStopping: boolean;
  /** The policy's own. */
  readonly policy: readonly Family[];
}

/** Why mail should not be sent here; undefined where it may. */
export function notReady({ script, ready, isStopping }: Snapshot): string | undefined {
  if (isStopping) return 'the server is stopping';
  if (ready === 0) return 'no process accepts connections';
  if (script.hash === undefined) return 'the script does not run';
  return isFiltering(script) ? undefined : 'the script defines no callback';
}

export function familiesOf(snapshot: Snapshot): Family[] {
  const { version, startedAt, processes, restarts, script, workers, ready } = snapshot;
  const counts = countsOf(snapshot);
  const total = (of: (status: ProcessStatus) => number) =>
    processes.reduce((sum, { status }) => sum + of(status), 0);
  return [
    gauge('smtpf_build_info', 'The program', [{ labels: [['version', version]], value: 1 }]),
    gauge('smtpf_start_time_seconds', 'When the server began, since 1970', startedAt / 1000),
    gauge('smtpf_ready', 'Whether mail may be sent here, as /readyz says', notReady(snapshot) ? 0 : 1),
    gauge('smtpf_workers', 'Processes that accept connections', ready),
    gauge('smtpf_workers_wanted', 'Processes that should accept connections', workers),
    counter('smtpf_worker_restarts_total', 'Processes that ended before their time', restarts),
    gauge(
      'smtpf_script_serving',
      'Whether a version of the script filters mail',
      isFiltering(script) ? 1 : 0,
    ),
    gauge(
      'smtpf_script_problem',
      'Whether the file as it is now cannot serve',
      script.problem === undefined ? 0 : 1,
    ),
    gauge(
      'smtpf_connections',
      'Connections of MTAs',
      total(({ connections }) => connections),
    ),
    gauge(
      'smtpf_sessions',
      'SMTP sessions in progress',
      total(({ openSessions }) => openSessions),
    ),
    counter('smtpf_sessions_total', 'SMTP sessions that began', counts.sessions),
    counter(
      'smtpf_sessions_refused_total',
      'Connections and HELOs that were refused',
      counts.refusedSessions,
    ),
    family(
      'counter',
      'smtpf_messages_total',
      'Messages by what became of them',
      VERDICT_NAMES.map((verdict) => ({
        labels: [['verdict', verdict]],
        value: counts.messages[verdict],
      })),
    ),
    ...callbackFamilies(counts),
    ...serviceFamilies(
      counts,
      processes.map(({ status }) => status),
    ),
    ...processFamilies(snapshot),
    counter(
      'smtpf_log_lines_lost_total',
      'Log lines that could not be kept',
      snapshot.logDrops + total(({ logDrops }) => logDrops),
    ),
    counter(
      'smtpf_events_lost_total',
      'Events of log.event that could not be kept',
      snapshot.eventDrops + total(({ eventDrops }) => eventDrops),
    ),
    ...storeFamilies(processes.map(({ status }) => status.store)),
    ...shadowFamilies(snapshot.shadow),
    ...(snapshot.canary === undefined
      ? []
      : [
          counter(
            'smtpf_canary_sessions_total',
            'SMTP sessions for which the candidate decided',
            counts.canarySessions,
          ),
        ]),
    ...snapshot.policy,
  ].filter(({ samples }) => samples.length > 0);
}

function callbackFamilies({ callbacks, scriptErrors }: Counts): Family[] {
  const all = Object.entries(callbacks);
  // The main chunk is not called.
  const called = all.filter(([, { calls }]) => calls > 0);
  return [
    family(
      'histogram',
      'smtpf_callback_seconds',
      'How long callbacks took, waiting included',
      called.flatMap(([callback, { buckets, wallTotalMs }]) =>
        timed([['callback', callback]], buckets, wallTotalMs),
      ),
    ),
    family(
      'counter',
      'smtpf_callback_cpu_seconds_total',
      'CPU time of callbacks',
      called.map(([callback, { cpuTotalMs }]) => ({
        labels: [['callback', callback]],
        value: cpuTotalMs / 1000,
      })),
    ),
    family(
      'counter',
      'smtpf_callback_results_total',
      'Calls of callbacks by what they came to; error: they failed',
      called.flatMap(([callback, { results }]) => each(results, 'result', [['callback', callback]])),
    ),
    counter('smtpf_script_errors_total', 'Callbacks, and main chunks, that failed', scriptErrors),
    family(
      'counter',
      'smtpf_callback_failures_total',
      'The same by callback',
      all.map(([callback, { failures }]) => ({ labels: [['callback', callback]], value: failures })),
    ),
    family(
      'counter',
      'smtpf_budget_ends_total',
      'Callbacks that were ended as they went over a budget',
      all.flatMap(([callback, { budgetEnds }]) => each(budgetEnds, 'budget', [['callback', callback]])),
    ),
  ];
}

function serviceFamilies({ services }: Counts, processes: readonly ProcessStatus[]): Family[] {
  const down = new Map<string, number>();
  for (const { measures } of processes) {
    for (const [service, count] of Object.entries(measures?.down ?? {})) {
      down.set(service, (down.get(service) ?? 0) + count);
    }
  }
  return [
    family(
      'counter',
      'smtpf_lookups_total',
      'Questions of policies to services; ok: there was an answer, else the word of nil, err',
      Object.entries(services).flatMap(([service, { outcomes }]) =>
        each(outcomes, 'outcome', [['service', service]]),
      ),
    ),
    family(
      'histogram',
      'smtpf_lookup_seconds',
      'How long these took',
      Object.entries(services).flatMap(([service, { buckets, wallTotalMs }]) =>
        timed([['service', service]], buckets, wallTotalMs),
      ),
    ),
    family(
      'gauge',
      'smtpf_services_down',
      'Servers that do not answer and are left alone for a while, counted in each process',
      [...down].map(([service, value]) => ({ labels: [['service', service]], value })),
    ),
  ];
}

/** The most that any process knows of: it is one store. */
function storeFamilies(states: readonly StoreStatus[]): Family[] {
  const known = (of: (state: StoreStatus) => number | undefined) =>
    states.flatMap((state): Sample[] => {
      const value = of(state);
      return value === undefined ? [] : [{ labels: [], value }];
    });
  const most = (samples: readonly Sample[]) => samples.toSorted((a, b) => b.value - a.value).slice(0, 1);
  return [
    gauge('smtpf_store_bytes', 'What is in the store', most(known(({ usedBytes }) => usedBytes))),
    gauge(
      'smtpf_store_bytes_max',
      'From which on it takes nothing more',
      most(known(({ maxBytes }) => maxBytes)),
    ),
  ];
}

function shadowFamilies(shadow: ShadowStatus | undefined): Family[] {
  if (shadow === undefined) return [];
  const { compared, different, failed, notCompared } = shadow;
  const of = Object.entries({ compared, different, failed, 'not-compared': notCompared });
  return [
    family(
      'gauge',
      'smtpf_shadow_sessions',
      'Sessions played to --shadow, since the policies are what they are; some are different and failed',
      of.map(([result, value]) => ({ labels: [['result', result]], value })),
    ),
    gauge('smtpf_shadow_problem', 'Whether the candidate cannot run', shadow.problem === undefined ? 0 : 1),
  ];
}

function processFamilies({ processes }: Snapshot): Family[] {
  const of = (
    name: string,
    help: string,
    value: (status: ProcessStatus) => number | undefined,
    type: Family['type'] = 'gauge',
  ) =>
    family(
      type,
      name,
      help,
      processes.flatMap(({ number, status }): Sample[] => {
        const found = value(status);
        return found === undefined ? [] : [{ labels: [['worker', String(number)]], value: found }];
      }),
    );
  return [
    of('smtpf_worker_memory_bytes', 'Memory of a process', ({ memoryBytes }) => memoryBytes),
    of('smtpf_worker_memory_short', 'Whether it defers messages until there is more', ({ memoryShort }) =>
      memoryShort ? 1 : 0,
    ),
    of('smtpf_worker_sessions', 'SMTP sessions in progress in it', ({ openSessions }) => openSessions),
    of('smtpf_worker_cpu_seconds_total', 'CPU time of it', ({ measures }) => measures?.cpuSeconds, 'counter'),
    of(
      'smtpf_worker_event_loop_delay_mean_seconds',
      'How long its event loop kept others waiting, in the last second',
      ({ measures }) => seconds(measures?.loop.meanMs),
    ),
    of('smtpf_worker_event_loop_delay_p99_seconds', 'The same, of the slowest in a hundred', ({ measures }) =>
      seconds(measures?.loop.p99Ms),
    ),
    of('smtpf_worker_event_loop_delay_max_seconds', 'The longest of the last minute', ({ measures }) =>
      seconds(measures?.loop.maxMs),
    ),
  ];
}

const seconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);

function timed(labels: Labels, buckets: readonly number[], totalMs: number): Sample[] {
  const { bounds, counts } = inSeconds(buckets);
  return histogram(labels, bounds, counts, totalMs / 1000);
}

function each(values: Readonly<Record<string, number>>, label: string, labels: Labels): Sample[] {
  return Object.entries(values).map(([name, value]) => ({ labels: [...labels, [label, name]], value }));
}

function family(type: Family['type'], name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type, samples };
}

function counter(name: string, help: string, value: number): Family {
  return family('counter', name, help, [{ labels: [], value }]);
}

function gauge(name: string, help: string, value: number | readonly Sample[]): Family {
  return family('gauge', name, help, typeof value === 'number' ? [{ labels: [], value }] : value);
}
