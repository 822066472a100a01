import type { StoreStatus } from '../store/store.ts';
import type { Counts } from './counts.ts';

/** How one process that serves connections is doing. */
export interface ProcessStatus {
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly connections: number;
  readonly openSessions: number;
  readonly memoryBytes: number;
  /** New messages are deferred, until there is more. */
  readonly memoryShort: boolean;
  readonly logDrops: number;
  /** Events of the policy that were lost before they left the process. */
  readonly eventDrops: number;
  readonly counts: Counts;
  /** Maps that its sessions have opened. */
  readonly maps: readonly MapStatus[];
  /** Files of --geo. */
  readonly geo: readonly GeoStatus[];
  readonly measures?: ProcessMeasures;
  /** What its sessions remember. */
  readonly store: StoreStatus;
  /** Where sessions are recorded. */
  readonly recording?: RecordingStatus;
}

/** `--record`, in one process. Text is for people. */
export interface RecordingStatus {
  readonly directory: string;
  /** Sessions that were written, and those that were not: too long, too many, or the disk did not take them. */
  readonly kept: number;
  readonly lost: number;
  /** Why nothing is written now; undefined where all is well. */
  readonly problem: string | undefined;
}

/** Measured where `--metrics` has somebody to tell. */
export interface ProcessMeasures {
  readonly cpuSeconds: number;
  readonly loop: LoopDelay;
  /** Servers of each service that do not answer and are left alone. */
  readonly down: Readonly<Record<string, number>>;
}

export interface LoopDelay {
  readonly meanMs: number;
  readonly p99Ms: number;
  /** Of the last minute. */
  readonly maxMs: number;
}

export interface GeoStatus {
  readonly path: string;
  /** Of which kind it is, as it says itself. */
  readonly type?: string | undefined;
  /** Milliseconds since 1970: when it was made, and when it was read. */
  readonly builtAt?: number | undefined;
  readonly readAt?: number | undefined;
  /** Why it does not serve as it is there; undefined where all is well. */
  readonly problem?: string | undefined;
}

/** Text is latin1. */
export interface MapStatus {
  /** As a policy opens it. */
  readonly spec: string;
  /** Of a table in memory. */
  readonly entries?: number | undefined;
  /** Milliseconds since 1970: when its file was read. */
  readonly readAt?: number | undefined;
  /** Why it does not serve as it is there, or does not answer; undefined where all is well. */
  readonly problem?: string | undefined;
}
