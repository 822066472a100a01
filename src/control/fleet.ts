/** What the control socket asks of the processes that serve, be they several or one. */
import type { Status } from './status.ts';
import type { TraceFilter, TraceRecord } from './trace.ts';

export interface Trace {
  /** Settles when no session is missed any more. */
  readonly attached: Promise<void>;
  detach(): void;
}

export interface Fleet {
  status(): Promise<Status>;
  trace(filter: TraceFilter, deliver: (record: TraceRecord) => void): Trace;
}
