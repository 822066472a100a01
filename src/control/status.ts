/** How the whole program is doing, as `status` shows it. Texts are latin1. */
import type { ProcessStatus } from '../supervisor/messages.ts';
import { addCounts, type Counts, noCounts, percentile, VERDICT_NAMES, type VerdictName } from './counts.ts';
import { roundedMs } from './decision.ts';

export interface ScriptStatus {
  readonly path: string;
  /** Of the version that serves new sessions; undefined when none can run. */
  readonly hash: string | undefined;
  /** ISO 8601: when this version was first found. */
  readonly since: string;
  /** What keeps the file's present version from running. */
  readonly problem?: string;
}

export interface CallbackStatus {
  readonly name: string;
  readonly calls: number;
  readonly maxMs: number;
  /** 95 of 100 calls took no longer. */
  readonly p95Ms: number;
  readonly meanMs: number;
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
  }[];
  /** Workers that have ended before their time. */
  readonly restarts: number;
  readonly script: ScriptStatus;
  readonly connections: number;
  readonly sessions: { readonly open: number; readonly total: number; readonly refused: number };
  readonly messages: Readonly<Record<VerdictName, number>>;
  /** The slowest first. */
  readonly callbacks: readonly CallbackStatus[];
  readonly scriptErrors: number;
  readonly logDrops: number;
}

export interface StatusParts {
  readonly version: string;
  readonly startedAt: number;
  readonly listening: readonly string[];
  readonly processes: readonly { readonly number: number; readonly status: ProcessStatus }[];
  readonly restarts: number;
  readonly script: ScriptStatus;
  /** Of processes that have ended. */
  readonly past: Counts;
  readonly logDrops: number;
}

export function statusOf(parts: StatusParts): Status {
  const { version, startedAt, listening, processes, restarts, script, past } = parts;
  const now = Date.now();
  const seconds = (since: number) => Math.max(0, Math.round((now - since) / 1000));
  const counts = noCounts();
  addCounts(counts, past);
  for (const { status } of processes) addCounts(counts, status.counts);
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
    })),
    restarts,
    script,
    connections: total(({ connections }) => connections),
    sessions: {
      open: total(({ openSessions }) => openSessions),
      total: counts.sessions,
      refused: counts.refusedSessions,
    },
    messages: counts.messages,
    callbacks: callbacksOf(counts),
    scriptErrors: counts.scriptErrors,
    logDrops: parts.logDrops + total(({ logDrops }) => logDrops),
  };
}

function callbacksOf(counts: Counts): CallbackStatus[] {
  return Object.entries(counts.callbacks)
    .map(([name, callback]) => ({
      name,
      calls: callback.calls,
      maxMs: roundedMs(callback.maxMs),
      p95Ms: roundedMs(percentile(callback, 0.95)),
      meanMs: roundedMs(callback.totalMs / callback.calls),
    }))
    .sort((a, b) => b.maxMs - a.maxMs);
}

/** For a person at a terminal. */
export function statusText(status: Status): string {
  const { script, sessions, messages, workers } = status;
  const lines = [
    `smtpf-milter ${status.version}, process ${status.pid}, up ${duration(status.uptimeSeconds)}`,
    `listening   ${status.listening.join(' ')}`,
    `script      ${script.path} (${script.hash ?? 'does not run'}) since ${script.since}`,
    ...(script.problem === undefined ? [] : [`            as edited it does not run: ${script.problem}`]),
    `sessions    ${sessions.open} open, ${sessions.total} in all, ${sessions.refused} refused`,
    `messages    ${VERDICT_NAMES.map((name) => `${messages[name]} ${name}`).join(', ')}`,
    `errors      ${status.scriptErrors} of the script, ${status.logDrops} log lines lost, ${status.restarts} workers replaced`,
    '',
    'worker      pid      up        connections  sessions  memory',
    ...workers.map(({ number, pid, uptimeSeconds, connections, openSessions, memoryBytes }) =>
      [
        String(number).padEnd(12),
        String(pid).padEnd(9),
        duration(uptimeSeconds).padEnd(10),
        String(connections).padEnd(13),
        String(openSessions).padEnd(10),
        `${Math.round(memoryBytes / 1048576)} MiB`,
      ].join(''),
    ),
  ];
  if (status.callbacks.length > 0)
    lines.push('', 'callback            calls       mean ms     95 % ms     max ms');
  for (const { name, calls, meanMs, p95Ms, maxMs } of status.callbacks) {
    const numbers = [calls, meanMs, p95Ms, maxMs].map((value) => String(value).padEnd(12));
    lines.push(`${name.padEnd(20)}${numbers.join('')}`.trimEnd());
  }
  return `${lines.join('\n')}\n`;
}

function duration(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const [hours, minutes] = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}
