/** The sessions in progress, as `top` shows them. Plain data; texts are latin1. */
import type { PolicyEvent } from '../milter/policy.ts';

/**
 * A worker tells of the first so many, which are its oldest, and of all of these as many are shown: an answer is one line,
 * and hostile clients must not make it longer than one may be.
 */
export const MAX_TOLD = 1000;

export interface OpenSession {
  readonly session: string;
  /** Since it began. */
  readonly ageMs: number;
  readonly ip: string;
  readonly ptr: string;
  readonly helo?: string;
  /** Of the message in progress; '' is the null sender. */
  readonly sender?: string;
  /** The last one that was named. */
  readonly recipient?: string;
  readonly recipientCount: number;
  readonly queueId?: string;
  /** Messages that it has begun. */
  readonly messages: number;
  /** The callback under way: what the policy waits for is not there yet. */
  readonly callback?: string;
  readonly callbackMs?: number;
}

export interface OpenSessionsOfProcess {
  readonly open: number;
  readonly sessions: readonly OpenSession[];
}

export interface OpenSessions {
  /** ISO 8601 */
  readonly time: string;
  /** All of them, also those that are not told of. */
  readonly open: number;
  /** The longest callback first, then the oldest; at most MAX_TOLD. */
  readonly sessions: readonly (OpenSession & { readonly worker: number })[];
  /** Workers that did not answer, whose sessions are not known. */
  readonly silentWorkers: readonly number[];
}

/** @param processes by number; undefined where one did not answer */
export function openSessionsOf(
  processes: readonly (readonly [worker: number, told: OpenSessionsOfProcess | undefined])[],
): OpenSessions {
  const sessions = processes.flatMap(([worker, told]) =>
    (told?.sessions ?? []).map((session) => ({ worker, ...session })),
  );
  const waits = ({ callbackMs }: OpenSession) => callbackMs ?? -1;
  return {
    time: new Date().toISOString(),
    open: processes.reduce((sum, [, told]) => sum + (told?.open ?? 0), 0),
    sessions: sessions
      .sort((one, other) => waits(other) - waits(one) || other.ageMs - one.ageMs)
      .slice(0, MAX_TOLD),
    silentWorkers: processes.filter(([, told]) => told === undefined).map(([worker]) => worker),
  };
}

/** The callback to which an event leads. */
export const CALLBACK_OF: Readonly<Record<PolicyEvent['kind'], string>> = {
  connect: 'smtp.do_connect',
  helo: 'smtp.do_helo',
  mail: 'smtp.do_mail',
  rcpt: 'smtp.do_rcpt',
  data: 'smtp.do_data',
  headers: 'smtp.do_headers',
  chunk: 'smtp.do_chunk',
  endOfMessage: 'smtp.do_dot',
  unknown: 'smtp.do_unknown',
  reset: 'smtp.rset',
  close: 'smtp.close',
};
