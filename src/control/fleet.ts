/** What the control socket asks of the processes that serve, be they several or one. */
import type { Snapshot } from './metrics-page.ts';
import type { OpenSessions } from './open-sessions.ts';
import type { ReloadResult } from './reload.ts';
import type { Status } from './status.ts';
import type { TraceFilter, TraceRecord } from './trace.ts';

export interface Trace {
  /** Settles when no session is missed any more. */
  readonly attached: Promise<void>;
  detach(): void;
}

export interface Fleet {
  status(): Promise<Status>;
  /** The sessions in progress. */
  sessions(): Promise<OpenSessions>;
  /** As the processes have told it last, without asking them. */
  snapshot(): Snapshot;
  /** Has the edited policy taken now, where it can be; settles when all that serve have it. @throws Error when none answers */
  reload(): Promise<ReloadResult>;
  /** What a candidate would have done otherwise; undefined without one. @param isReset begins to count anew */
  shadow(isReset: boolean): object | undefined;
  trace(filter: TraceFilter, deliver: (record: TraceRecord) => void): Trace;
}
