/**
 * One SMTP session as the MTA sent it, with all that the policy was told meanwhile: what a recording keeps, and what a
 * replay plays again. Plain data; text is latin1.
 */
import type { Modification, Reply } from '../milter/reply.ts';
import type { Redaction } from '../options/option-table.ts';
import type { Operation } from '../store/operation.ts';

/** The answer of a service, as `src/asking/answer.ts` has it, with plain data as its value. */
export type KeptAnswer =
  | { readonly kind: 'known'; readonly value: unknown }
  | { readonly kind: 'unknown'; readonly failure: string; readonly reason: string };

/** What happened, in order. */
export type Entry =
  /** A packet of the MTA: its command byte and what follows; milliseconds since the session began. */
  | readonly ['command', Buffer, number]
  /** What the MTA was answered. */
  | readonly ['reply', Reply]
  | readonly ['edit', Modification]
  /** A callback has ended: its name, and the `file:line` that it returned from. */
  | readonly ['call', string, string]
  /** A service was asked: its name, the question, the answer. */
  | readonly ['answer', string, string, KeptAnswer]
  /** What the policy read from the clock, in milliseconds since the epoch. */
  | readonly ['clock', number]
  /** What `math.random` got. */
  | readonly ['random', number];

export interface RecordedSession {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly began: number;
  /** Hash of the script that served it; undefined where none could run. */
  readonly script: string | undefined;
  readonly redacted: readonly Redaction[];
  readonly entries: readonly Entry[];
}

/** A session on tape, with what is of use in this process alone. */
export interface TapedSession extends Omit<RecordedSession, 'redacted' | 'entries'> {
  /** Undefined where it was too long. */
  readonly entries: readonly Entry[] | undefined;
  /** What the store was asked, by the entry of the answer. */
  readonly operations: ReadonlyMap<Entry, Operation<unknown>>;
  /** It was the candidate of `--canary` that served it. */
  readonly isCanary: boolean;
  /** Callbacks that failed, in order. */
  readonly failed: readonly string[];
}
