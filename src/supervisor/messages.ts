/** What the supervisor and its workers say to each other. */
import type { Counts } from '../control/counts.ts';
import type { Decision } from '../control/decision.ts';
import type { TraceFilter, TraceRecord } from '../control/trace.ts';
import type { BoundAddress } from '../listen-address.ts';
import type { ScriptNotice } from '../lua/lua-policies.ts';
import type { Options } from '../option-table.ts';
import type { ScriptReport } from '../policy-source.ts';

export interface InheritedSocket {
  readonly fd: number;
  readonly address: BoundAddress;
}

/** All that a worker needs to begin. */
export interface WorkerStart {
  readonly kind: 'start';
  readonly options: Options;
  readonly spool: string;
  readonly sockets: readonly InheritedSocket[];
  readonly number: number;
  /** What the ids of its sessions begin with. */
  readonly instance: string;
  /** Connections it may serve without asking; undefined: any number. */
  readonly ownPlaces: number | undefined;
  /** Source of the last version of the script that could run. */
  readonly lastGood: Uint8Array | undefined;
}

export type ToWorker =
  | WorkerStart
  | { readonly kind: 'examine'; readonly id: number }
  | { readonly kind: 'trust'; readonly hash: string; readonly source: Uint8Array | undefined }
  | { readonly kind: 'status'; readonly id: number }
  | { readonly kind: 'trace'; readonly id: number; readonly filter: TraceFilter }
  | { readonly kind: 'untrace'; readonly id: number }
  | { readonly kind: 'place'; readonly granted: boolean }
  | { readonly kind: 'stop'; readonly graceMs: number }
  | { readonly kind: 'hurry' };

export type FromWorker =
  | { readonly kind: 'loaded' }
  | { readonly kind: 'ready' }
  /** It cannot serve. */
  | { readonly kind: 'failed'; readonly message: string; readonly exitCode: number }
  | { readonly kind: 'beat'; readonly status: ProcessStatus }
  | {
      readonly kind: 'examined';
      readonly id: number;
      readonly report: ScriptReport;
      readonly source: Uint8Array | undefined;
    }
  | { readonly kind: 'notice'; readonly notice: ScriptNotice; readonly source: Uint8Array | undefined }
  | { readonly kind: 'status'; readonly id: number; readonly status: ProcessStatus }
  | { readonly kind: 'traced'; readonly id: number; readonly record: TraceRecord }
  | { readonly kind: 'decided'; readonly decision: Decision }
  | { readonly kind: 'complaint'; readonly message: string }
  | { readonly kind: 'placeWanted' }
  | { readonly kind: 'placeFree' }
  | { readonly kind: 'stopping'; readonly connections: number }
  | { readonly kind: 'stopped'; readonly cutOff: number };

/** How one process that serves connections is doing. */
export interface ProcessStatus {
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly connections: number;
  readonly openSessions: number;
  readonly memoryBytes: number;
  readonly logDrops: number;
  readonly counts: Counts;
}
