/** What the supervisor and its workers say to each other. */

import type { Decision } from '../control/decision.ts';
import type { OpenSessionsOfProcess } from '../control/open-sessions.ts';
import type { ProcessStatus } from '../control/process-status.ts';
import type { TraceFilter, TraceRecord } from '../control/trace.ts';
import type { Release } from '../lua/script/released-files.ts';
import type { GoodVersion } from '../lua/script/script-versions.ts';
import type { MetricDelta } from '../metrics/metric.ts';
import type { BoundAddress } from '../net/listen-address.ts';
import type { Options } from '../options/option-table.ts';
import type { ScriptNotice } from '../policy/lua-policies.ts';
import type { ScriptReport } from '../policy/policy-source.ts';
import type { CandidateVersion } from '../shadow/candidate.ts';
import type { Told } from '../shadow/shadow.ts';
import type { ReadSecret } from '../system/secret-file.ts';
import type { Loaded, TrialStart, Verdict } from '../trial/trial.ts';

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
  /** Files with secrets that were read at the start. */
  readonly secrets: readonly ReadSecret[];
  readonly number: number;
  /** What the ids of its sessions begin with. */
  readonly instance: string;
  /** Connections it may serve without asking; undefined: any number. */
  readonly ownPermits: number | undefined;
  /** The last version of the script that could run. */
  readonly lastGood: GoodVersion | undefined;
  /** The version to serve, where edits wait for a release. */
  readonly release: Release | undefined;
  /** Connections are not served before the supervisor says so. */
  readonly waits: boolean;
}

export type ToWorker =
  | WorkerStart
  | { readonly kind: 'serve' }
  | { readonly kind: 'examine'; readonly id: number }
  /** Of new sessions from now on: the script as it is now, or this release of it. */
  | { readonly kind: 'take'; readonly id: number; readonly release: Release | undefined }
  /** To a process that has a version on trial. */
  | { readonly kind: 'try'; readonly start: TrialStart }
  | { readonly kind: 'trust'; readonly version: GoodVersion }
  | { readonly kind: 'status'; readonly id: number }
  | { readonly kind: 'sessions'; readonly id: number }
  | { readonly kind: 'trace'; readonly id: number; readonly filter: TraceFilter }
  | { readonly kind: 'untrace'; readonly id: number }
  | { readonly kind: 'permit'; readonly granted: boolean }
  | { readonly kind: 'stop'; readonly graceMs: number }
  | { readonly kind: 'hurry' };

export type FromWorker =
  | { readonly kind: 'loaded' }
  /** It waits to be told to serve. */
  | { readonly kind: 'prepared' }
  | { readonly kind: 'ready' }
  /** It cannot serve. */
  | { readonly kind: 'failed'; readonly message: string; readonly exitCode: number }
  | { readonly kind: 'heartbeat'; readonly status: ProcessStatus }
  | { readonly kind: 'examined'; readonly id: number; readonly report: ScriptReport }
  | { readonly kind: 'notice'; readonly notice: ScriptNotice }
  | { readonly kind: 'taken'; readonly id: number }
  | { readonly kind: 'trialLoaded'; readonly found: Loaded }
  | { readonly kind: 'trying'; readonly what: string }
  | { readonly kind: 'tried'; readonly verdict: Verdict }
  | { readonly kind: 'status'; readonly id: number; readonly status: ProcessStatus }
  | { readonly kind: 'sessions'; readonly id: number; readonly told: OpenSessionsOfProcess }
  | { readonly kind: 'traced'; readonly id: number; readonly record: TraceRecord }
  | { readonly kind: 'decided'; readonly decision: Decision }
  | { readonly kind: 'shadowed'; readonly told: Told }
  | { readonly kind: 'shadowFound'; readonly version: CandidateVersion }
  /** Figures of the policy. */
  | { readonly kind: 'measured'; readonly deltas: readonly MetricDelta[] }
  /** A line of an event of the policy. */
  | { readonly kind: 'told'; readonly line: string }
  | { readonly kind: 'complaint'; readonly message: string }
  | { readonly kind: 'permitWanted' }
  | { readonly kind: 'permitFree' }
  | { readonly kind: 'stopping'; readonly connections: number }
  | { readonly kind: 'stopped'; readonly cutOff: number };
