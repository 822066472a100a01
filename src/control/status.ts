/** How the whole program is doing, as `status` shows it. Texts are latin1. */
import type { Options } from '../options/option-table.ts';
import { consequenceOf, NO_CALLBACKS, unpositioned } from '../policy/failure.ts';
import type { OnError } from '../policy/policy-settings.ts';
import type { StoreStatus } from '../store/store.ts';
import { table } from '../text/text-table.ts';
import { latin1Of } from '../text/visible.ts';
import {
  addCounts,
  type Counts,
  type LastFailure,
  noCounts,
  percentile,
  VERDICT_NAMES,
  type VerdictName,
} from './counts.ts';
import { roundedMs } from './decision.ts';
import type { GeoStatus, MapStatus, ProcessStatus, RecordingStatus } from './process-status.ts';
import type { Rates, RateWindow } from './rates.ts';

export interface ScriptStatus {
  readonly path: string;
  /** Of the version that serves new sessions; undefined when none can run. */
  readonly hash: string | undefined;
  /** ISO 8601: when this version was first found. */
  readonly since: string;
  /** Of the version that serves, as the script spells them. */
  readonly callbacks: readonly string[];
  /** What keeps the file's present version from being served. */
  readonly problem?: string;
  /** That version serves all the same: it was refused (`--on-reload`) when there was none before it. */
  readonly unproven?: true;
  /** `--on-error`: what becomes of mail where a callback fails, or no version can run. */
  readonly onError: OnError;
}

/** How long a callback may take: `--deadline`, and `--eom-deadline` at the end of a message. */
export interface Deadlines {
  readonly callbackMs: number;
  readonly endOfMessageMs: number;
}

export interface CallbackStatus {
  readonly name: string;
  readonly calls: number;
  /** From beginning to end, waiting included; 95 of 100 calls took no longer than `wallP95Ms`. */
  readonly wallMeanMs: number;
  readonly wallP95Ms: number;
  readonly wallMaxMs: number;
  readonly cpuMeanMs: number;
  readonly cpuMaxMs: number;
  /** Calls that failed. */
  readonly failures: number;
  readonly lastFailure?: LastFailure;
}

/** Of `--shadow`. */
export interface ShadowStatus {
  readonly path: string;
  /** Of the version to which sessions are played; undefined when none can run. */
  readonly hash: string | undefined;
  /** Why none can. */
  readonly problem?: string;
  /** ISO 8601: since when is counted. */
  readonly since: string;
  /** Sessions: compared, and of these with a difference, and with a callback that failed. */
  readonly compared: number;
  readonly different: number;
  readonly failed: number;
  readonly notCompared: number;
  /** `--canary`: the share of the clients for which it decides, and their sessions. */
  readonly canary?: { readonly share: number; readonly sessions: number };
}

export interface Status {
  readonly version: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  readonly listening: readonly string[];
  readonly workers: readonly {
    readonly number: number;
    readonly pid: number;
    readonly uptimeSeconds: number;
    readonly connections: number;
    readonly openSessions: number;
    readonly memoryBytes: number;
    /** It defers new messages, until there is more. */
    readonly memoryShort: boolean;
  }[];
  /** Workers that have ended before their time. */
  readonly restarts: number;
  readonly script: ScriptStatus;
  readonly deadlines: Deadlines;
  readonly connections: number;
  readonly sessions: { readonly open: number; readonly total: number; readonly refused: number };
  readonly messages: Readonly<Record<VerdictName, number>>;
  readonly rates: Rates;
  /** The slowest first. */
  readonly callbacks: readonly CallbackStatus[];
  readonly scriptErrors: number;
  readonly logDrops: number;
  /** Events of the policy that were lost. */
  readonly eventDrops: number;
  /** Open in any of the workers. */
  readonly maps: readonly MapSummary[];
  /** Files of --geo. */
  readonly geo: readonly GeoSummary[];
  /** What policies remember; null while no worker tells. */
  readonly store: StoreSummary | null;
  /** What `--record` keeps; null without it. */
  readonly recording: RecordingSummary | null;
  /** Absent without `--shadow`. */
  readonly shadow?: ShadowStatus;
}

export interface RecordingSummary {
  readonly directory: string;
  /** Sessions that were written since the workers were started, and those that were not. */
  readonly kept: number;
  readonly lost: number;
  /** Why one of the workers writes nothing now. */
  readonly problem: string | null;
}

export interface StoreSummary {
  readonly kind: StoreStatus['kind'];
  /** Where it is, without user and password. */
  readonly address: string;
  /** `down` where it is for any of the workers, `unused` where no session has called it. */
  readonly state: StoreStatus['state'];
  /** ISO 8601: of `down` for the first worker, of `up` for the last. */
  readonly since: string;
  /** Why it is down. */
  readonly problem: string | null;
  /** As far as they are known. */
  readonly usedBytes: number | null;
  /** From which on it takes nothing more. */
  readonly maxBytes: number | null;
}

export interface MapSummary {
  readonly spec: string;
  /** Of the worker that has the most; null for what is no table in memory. */
  readonly entries: number | null;
  /** ISO 8601: when the last worker has read its file; null where it has none. */
  readonly readAt: string | null;
  /** In any of the workers: `FILE:LINE: ...`, or the server that does not answer. */
  readonly problem: string | null;
}

export interface GeoSummary {
  readonly path: string;
  /** Of which kind it is, as it says itself; null before it was read. */
  readonly type: string | null;
  /** ISO 8601: when it was made; of the worker that has the oldest. */
  readonly builtAt: string | null;
  /** ISO 8601: when the last worker has read it. */
  readonly readAt: string | null;
  /** In any of the workers. */
  readonly problem: string | null;
}

export interface StatusParts {
  readonly version: string;
  readonly startedAt: number;
  readonly listening: readonly string[];
  readonly processes: readonly { readonly number: number; readonly status: ProcessStatus }[];
  readonly restarts: number;
  readonly script: ScriptStatus;
  readonly deadlines: Deadlines;
  /** Of processes that have ended. */
  readonly past: Counts;
  readonly rates: RateWindow;
  /** Of this process. */
  readonly logDrops: number;
  readonly eventDrops: number;
  readonly shadow: ShadowStatus | undefined;
  /** The share of `--canary`, from 0 to 1. */
  readonly canary: number | undefined;
}

/** Of all processes, those that have ended too. */
export function countsOf({ past, processes }: Pick<StatusParts, 'past' | 'processes'>): Counts {
  const counts = noCounts();
  addCounts(counts, past);
  for (const { status } of processes) addCounts(counts, status.counts);
  return counts;
}

export function deadlinesOf({
  deadlineMs,
  endOfMessageDeadlineMs,
}: Pick<Options, 'deadlineMs' | 'endOfMessageDeadlineMs'>): Deadlines {
  return { callbackMs: deadlineMs, endOfMessageMs: endOfMessageDeadlineMs };
}

export function statusOf(parts: StatusParts): Status {
  const { version, startedAt, listening, processes, restarts, script } = parts;
  const now = Date.now();
  const seconds = (since: number) => Math.max(0, Math.round((now - since) / 1000));
  const counts = countsOf(parts);
  const total = (of: (status: ProcessStatus) => number) =>
    processes.reduce((sum, { status }) => sum + of(status), 0);
  return {
    version,
    pid: process.pid,
    startedAt: new Date(startedAt).toISOString(),
    uptimeSeconds: seconds(startedAt),
    listening,
    workers: processes.map(({ number, status }) => ({
      number,
      pid: status.pid,
      uptimeSeconds: seconds(status.startedAt),
      connections: status.connections,
      openSessions: status.openSessions,
      memoryBytes: status.memoryBytes,
      memoryShort: status.memoryShort,
    })),
    restarts,
    script,
    deadlines: parts.deadlines,
    connections: total(({ connections }) => connections),
    sessions: {
      open: total(({ openSessions }) => openSessions),
      total: counts.sessions,
      refused: counts.refusedSessions,
    },
    messages: counts.messages,
    rates: parts.rates.rates(counts),
    callbacks: callbacksOf(counts),
    scriptErrors: counts.scriptErrors,
    logDrops: parts.logDrops + total(({ logDrops }) => logDrops),
    eventDrops: parts.eventDrops + total(({ eventDrops }) => eventDrops),
    maps: mapsOf(processes.flatMap(({ status }) => status.maps)),
    geo: geoOf(processes.flatMap(({ status }) => status.geo)),
    store: storeOf(processes.map(({ status }) => status.store)),
    recording: recordingOf(processes.flatMap(({ status }) => status.recording ?? [])),
    ...(parts.shadow && { shadow: shadowOf(parts.shadow, parts.canary, counts) }),
  };
}

/** Of all workers together. */
function recordingOf(states: readonly RecordingStatus[]): RecordingSummary | null {
  const [first] = states;
  if (first === undefined) return null;
  return {
    directory: latin1Of(first.directory),
    kept: states.reduce((sum, { kept }) => sum + kept, 0),
    lost: states.reduce((sum, { lost }) => sum + lost, 0),
    problem: states.find(({ problem }) => problem !== undefined)?.problem ?? null,
  };
}

function shadowOf(
  shadow: ShadowStatus,
  share: number | undefined,
  { canarySessions: sessions }: Counts,
): ShadowStatus {
  return share === undefined ? shadow : { ...shadow, canary: { share, sessions } };
}

/** One for all workers. */
function storeOf(states: readonly StoreStatus[]): StoreSummary | null {
  const down = states.filter(({ state }) => state === 'down').sort((a, b) => a.since - b.since);
  const up = states.filter(({ state }) => state === 'up').sort((a, b) => b.since - a.since);
  const told = down[0] ?? up[0] ?? states[0];
  if (told === undefined) return null;
  const most = (of: (state: StoreStatus) => number | undefined) =>
    states.reduce<number | null>((found, state) => Math.max(found ?? 0, of(state) ?? 0) || found, null);
  const { kind, address, state, since, reason } = told;
  return {
    kind,
    address,
    state,
    since: new Date(since).toISOString(),
    problem: reason ?? null,
    usedBytes: most(({ usedBytes }) => usedBytes),
    maxBytes: most(({ maxBytes }) => maxBytes),
  };
}

/** One of each, as they are in all workers. */
function geoOf(states: readonly GeoStatus[]): GeoSummary[] {
  return [...new Set(states.map(({ path }) => path))].map((path) => {
    const same = states.filter((state) => state.path === path);
    const [oldest] = same
      .filter(({ builtAt }) => builtAt !== undefined)
      .sort((a, b) => (a.builtAt ?? 0) - (b.builtAt ?? 0));
    const readAt = same.reduce((most, state) => Math.max(most, state.readAt ?? 0), 0);
    return {
      path,
      type: oldest?.type ?? null,
      builtAt: oldest?.builtAt === undefined ? null : new Date(oldest.builtAt).toISOString(),
      readAt: readAt === 0 ? null : new Date(readAt).toISOString(),
      problem: same.find(({ problem }) => problem !== undefined)?.problem ?? null,
    };
  });
}

/** One of each, as they are in all workers. */
function mapsOf(states: readonly MapStatus[]): MapSummary[] {
  const bySpec = new Map<string, MapStatus[]>();
  for (const state of states) bySpec.set(state.spec, [...(bySpec.get(state.spec) ?? []), state]);
  return [...bySpec].map(([spec, same]) => {
    const latest = same.reduce((most, { readAt = 0 }) => Math.max(most, readAt), 0);
    const counts = same.flatMap(({ entries }) => entries ?? []);
    return {
      spec,
      entries: counts.length === 0 ? null : counts.reduce((most, count) => Math.max(most, count), 0),
      readAt: latest === 0 ? null : new Date(latest).toISOString(),
      problem: same.find(({ problem }) => problem !== undefined)?.problem ?? null,
    };
  });
}

function callbacksOf(counts: Counts): CallbackStatus[] {
  return Object.entries(counts.callbacks)
    .map(([name, callback]) => ({
      name,
      calls: callback.calls,
      wallMeanMs: roundedMs(callback.wallTotalMs / Math.max(callback.calls, 1)),
      wallP95Ms: roundedMs(percentile(callback, 0.95)),
      wallMaxMs: roundedMs(callback.wallMaxMs),
      cpuMeanMs: roundedMs(callback.cpuTotalMs / Math.max(callback.calls, 1)),
      cpuMaxMs: roundedMs(callback.cpuMaxMs),
      failures: callback.failures,
      ...(callback.lastFailure && { lastFailure: callback.lastFailure }),
    }))
    .sort((a, b) => b.wallMaxMs - a.wallMaxMs);
}

/** For a person at a terminal. */
export function statusText(status: Status): string {
  const { script, sessions, messages, workers } = status;
  const lines = [
    `smtpf-milter ${status.version}, process ${status.pid}, up ${duration(status.uptimeSeconds)}`,
    `listening   ${status.listening.join(' ')}`,
    ...scriptLines(script),
    ...(status.shadow === undefined ? [] : shadowLines(status.shadow)),
    `sessions    ${sessions.open} open, ${sessions.total} in all, ${sessions.refused} refused`,
    `messages    ${VERDICT_NAMES.map((name) => `${messages[name]} ${name}`).join(', ')}`,
    ratesLine(status.rates),
    ...status.maps.flatMap(mapLines),
    ...status.geo.flatMap(geoLines),
    ...(status.store === null ? [] : storeLines(status.store)),
    ...(status.recording === null ? [] : recordingLines(status.recording)),
    `errors      ${status.scriptErrors} of the script, ${status.logDrops} log lines lost, ${status.eventDrops === 0 ? '' : `${status.eventDrops} events lost, `}${status.restarts} workers replaced`,
    '',
    ...table([
      ['worker', 'pid', 'up', 'connections', 'sessions', 'memory'],
      ...workers.map(
        ({ number, pid, uptimeSeconds, connections, openSessions, memoryBytes, memoryShort }) => [
          String(number),
          String(pid),
          duration(uptimeSeconds),
          String(connections),
          String(openSessions),
          `${Math.round(memoryBytes / 1048576)} MiB${memoryShort ? ', short: new messages are deferred' : ''}`,
        ],
      ),
    ]),
  ];
  // The main chunk is not called.
  const called = status.callbacks.filter(({ calls }) => calls > 0);
  const tables = called.length > 0 ? ['', ...callbackTable(called)] : [];
  const failed = status.callbacks.filter(({ failures }) => failures > 0);
  const failures = failed.length > 0 ? ['', ...failed.map(failureLine)] : [];
  return `${[...lines, ...tables, ...failures].join('\n')}\n`;
}

function ratesLine({ overSeconds, sessions, messages, scriptErrors }: Rates): string {
  const all = VERDICT_NAMES.reduce((sum, name) => sum + messages[name], 0);
  const refused = messages.reject + messages.tempfail;
  const perSecond = [
    `${sessions} sessions`,
    `${rounded(all)} messages (${rounded(refused)} refused)`,
    `${scriptErrors} errors`,
  ];
  return `per second  ${perSecond.join(', ')}, over the last ${overSeconds} s`;
}

function rounded(rate: number): number {
  return Math.round(rate * 100) / 100;
}

/** Whether mail is filtered: a version of the script serves, and it defines callbacks. */
export function isFiltering({ hash, callbacks }: ScriptStatus): boolean {
  return hash !== undefined && callbacks.length > 0;
}

function scriptLines({ path, hash, since, callbacks, problem, unproven, onError }: ScriptStatus): string[] {
  const reason = problem?.replace(/\s*\n\s*/g, ' / ');
  if (hash === undefined) {
    return [
      `script      ${path} (does not run) since ${since}, ${consequenceOf(onError)}`,
      ...(reason === undefined ? [] : [`            ${reason}`]),
    ];
  }
  return [
    `script      ${path} (${hash}) since ${since}`,
    `defines     ${callbacks.join(' ') || `none: ${NO_CALLBACKS}`}`,
    ...(reason === undefined
      ? []
      : [
          unproven
            ? `            it was refused, and serves as there is none before it: ${reason}`
            : `            as edited it does not serve: ${reason}`,
        ]),
  ];
}

function shadowLines({
  path,
  hash,
  problem,
  since,
  compared,
  different,
  failed,
  notCompared,
  canary,
}: ShadowStatus): string[] {
  const version = problem === undefined ? (hash ?? 'not looked at yet') : 'does not run';
  const counts = `${compared} sessions compared, ${different} different, ${failed} failed, ${notCompared} not compared`;
  return [
    `shadow      ${path} (${version}), ${counts}, since ${since}`,
    ...(problem === undefined ? [] : [`            ${problem}`]),
    ...(canary === undefined ? [] : [canaryLine(canary, problem !== undefined)]),
  ];
}

function canaryLine({ share, sessions }: NonNullable<ShadowStatus['canary']>, isBroken: boolean): string {
  const now = isBroken ? 'for whom the live policy decides now' : 'for whom it decides';
  return `canary      ${rounded(share * 100)} % of the clients, ${now}: ${sessions} sessions`;
}

/** Entries in place of a file may be many. */
const LONGEST_SPEC = 80;

function mapLines({ spec, entries, readAt, problem }: MapSummary): string[] {
  const name = spec.length > LONGEST_SPEC ? `${spec.slice(0, LONGEST_SPEC)}...` : spec;
  const size = entries === null ? '' : `, ${entries} ${entries === 1 ? 'entry' : 'entries'}`;
  const line = `map         ${name}${size}${readAt === null ? '' : `, read ${readAt}`}`;
  return problem === null ? [line] : [line, `            ${problem}`];
}

function geoLines({ path, type, builtAt, readAt, problem }: GeoSummary): string[] {
  const read =
    builtAt === null || readAt === null
      ? ', not read yet'
      : `, ${type} of ${builtAt.slice(0, 10)} (${daysSince(builtAt)} days old), read ${readAt}`;
  const line = `geo         ${path}${read}`;
  return problem === null ? [line] : [line, `            ${problem}`];
}

function daysSince(time: string): number {
  return Math.max(0, Math.floor((Date.now() - Date.parse(time)) / 86_400_000));
}

function storeLines({ address, state, since, problem, usedBytes, maxBytes }: StoreSummary): string[] {
  const limit = maxBytes === null ? '' : ` of ${mebibytes(maxBytes)}`;
  const size = usedBytes === null ? '' : `, ${mebibytes(usedBytes)}${limit} MiB used`;
  if (state === 'unused') return [`store       ${address}, not used yet`];
  const line = `store       ${address}, ${state} since ${since}${size}`;
  return problem === null ? [line] : [line, `            ${problem}`];
}

function recordingLines({ directory, kept, lost, problem }: RecordingSummary): string[] {
  const line = `recording   ${directory}, ${kept} sessions kept, ${lost} lost`;
  return problem === null ? [line] : [line, `            nothing is recorded now: ${problem}`];
}

function mebibytes(bytes: number): string {
  return (bytes / 1048576).toFixed(1).replace(/\.0$/, '');
}

function failureLine({ name, failures, lastFailure }: CallbackStatus): string {
  const count = `failed      ${name}, ${failures === 1 ? 'once' : `${failures} times`}`;
  if (!lastFailure) return count;
  const { time, where, message, action } = lastFailure;
  const place = where === undefined ? '' : ` at ${where}`;
  return `${count}; last${place}, ${new Date(time).toISOString()}, --on-error ${action}: ${unpositioned(message, where).replace(/\s*\n\s*/g, ' / ')}`;
}

function callbackTable(callbacks: readonly CallbackStatus[]): string[] {
  return table([
    ['callback', 'calls', 'wall ms: mean', '95 %', 'max', 'cpu ms: mean', 'max'],
    ...callbacks.map(({ name, calls, wallMeanMs, wallP95Ms, wallMaxMs, cpuMeanMs, cpuMaxMs }) => [
      name,
      ...[calls, wallMeanMs, wallP95Ms, wallMaxMs, cpuMeanMs, cpuMaxMs].map(String),
    ]),
  ]);
}

function duration(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const [hours, minutes] = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}
