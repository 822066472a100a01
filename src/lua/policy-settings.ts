/** What a policy is made with, whom it tells what it does, and what it tells them. */
import type { PolicyEvent, Verdict } from '../milter/policy.ts';
import type { Modification } from '../milter/reply.ts';

/** What is done about mail when the script fails. */
export type OnError = 'continue' | 'tempfail' | 'reject' | 'accept';

/** The part of the program's log in use. Text is latin1. */
export interface PolicyLog {
  error(text: string): void;
  warning(text: string): void;
  info(text: string): void;
  debug(text: string): void;
}

/** A message on disk, for do_dot; see message-file.ts. */
export interface MessageStore {
  readonly path: string;
  append(...pieces: readonly Buffer[]): void | Promise<void>;
  finish(): void | Promise<void>;
  remove(): void;
}

export interface PolicySettings {
  readonly onError: OnError;
  readonly log: PolicyLog;
  readonly createMessageFile: () => MessageStore;
  /** Time until a callback must have ended, in milliseconds; at end of message, where the MTA can be told to wait. */
  readonly deadlineMs: number;
  readonly endOfMessageDeadlineMs: number;
  readonly observer?: PolicyObserver | undefined;
}

/** One callback as it went. */
export interface CallRecord {
  /** As the script spells it: `smtp.do_rcpt`. */
  readonly name: string;
  readonly event: PolicyEvent;
  readonly verdict: Verdict;
  /** `file:line` it returned from; '' when that is not in the script's own file. */
  readonly where: string;
  /** What was wrong, when the verdict is the --on-error action. */
  readonly failure?: string | undefined;
  /** The changes to the message that are asked for so far. */
  readonly edits: readonly Modification[];
  /** Ids of session or transaction, and queue, as in log lines. */
  readonly ids: string;
  readonly milliseconds: number;
}

/** Is told what a policy does: for commands that show one at work. */
export interface PolicyObserver {
  /** A callback has ended. */
  called(call: CallRecord): void;
  /** A line of `print` or io.write, which then does not go to the log. Text is latin1. */
  printed?(line: string): void;
}

/** A callback of the session as it went, without what is costly to find out. */
export interface Call extends Pick<CallRecord, 'name' | 'verdict' | 'failure' | 'milliseconds'> {
  /** `file:line` it returned from; '' when that is not in the script's own file. */
  where(): string;
}

/** Is told of the callbacks of one session. */
export interface CallWatcher {
  /** Callbacks of the script with this hash will follow. */
  began(hash: string): void;
  /** `event` may hold much of the mail: who keeps the call should not keep it. */
  called(call: Call, event: PolicyEvent): void;
  /** The main chunk could not be run in this session. */
  failed(): void;
}

export function onErrorVerdict(onError: OnError): Verdict {
  return { kind: onError };
}
