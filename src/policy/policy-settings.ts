/** What a policy is made with, whom it tells what it does, and what it tells them. */
import type { Policy, PolicyEvent, SessionInfo, Verdict } from '../milter/policy.ts';
import type { Modification } from '../milter/reply.ts';
import type { Failure } from './failure.ts';

/** What is done about mail when the script fails. */
export type OnError = 'continue' | 'tempfail' | 'reject' | 'accept';

/** The part of the program's log in use. Text is latin1. */
export interface PolicyLog {
  /** @param fields for logs in JSON, beside the text */
  error(text: string, fields?: () => Readonly<Record<string, unknown>>): void;
  warning(text: string): void;
  notice(text: string): void;
  info(text: string): void;
  debug(text: string): void;
}

/** A message on disk, for do_dot; see message-file.ts. */
export interface MessageStore {
  readonly path: string;
  /** Bytes of the message that are in memory. */
  readonly heldBytes: number;
  /** All of it, where it is complete and in no file. */
  readonly pieces: readonly Buffer[] | undefined;
  append(pieces: readonly Buffer[]): void | Promise<void>;
  finish(): void | Promise<void>;
  remove(): void;
}

/**
 * What somebody needs of a message at its end: its bytes, which a function of a module reads, a file where the script takes
 * its path, or a file in any case.
 */
export type MessageNeed = 'memory' | 'path' | 'file';

export interface PolicySettings {
  readonly onError: OnError;
  readonly log: PolicyLog;
  readonly createMessageFile: (need: MessageNeed) => MessageStore;
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
  /** `file:line` it returned from, '' when that is not in the script's own file; or that it failed at. */
  readonly where: string;
  /** What was wrong, when the verdict is the --on-error action. */
  readonly failure?: Failure | undefined;
  /** The changes to the message that are asked for so far. */
  readonly edits: readonly Modification[];
  /** What is to be said of them at the end of the message: `breaks d=example.com: h= covers Subject`. Latin1. */
  readonly notes: readonly string[];
  /** Ids of session or transaction, and queue, as in log lines. */
  readonly ids: string;
  /** CPU time, as the budget of --cpu-ms counts it. */
  readonly cpuMilliseconds: number;
  /** Waiting, and the turns of other sessions, included. */
  readonly wallMilliseconds: number;
}

/** Is told what a policy does: for commands that show one at work. What it is told of does not go to the log. */
export interface PolicyObserver {
  /** A callback has ended. */
  called(call: CallRecord): void;
  /** The main chunk could not be run in a session. */
  scriptFailed?(failure: Failure): void;
  /** A line of `print` or io.write. Text is latin1. */
  printed?(line: string): void;
}

/** A callback of the session as it went, without what is costly to find out. */
export interface Call
  extends Pick<CallRecord, 'name' | 'verdict' | 'failure' | 'cpuMilliseconds' | 'wallMilliseconds'> {
  /** `file:line` as in CallRecord. */
  where(): string;
}

/** Is told of the callbacks of one session. */
export interface CallbackWatcher {
  /** Callbacks of the script with this hash will follow. */
  began(hash: string): void;
  /** `event` may hold much of the mail: who keeps the call should not keep it. */
  called(call: Call, event: PolicyEvent): void;
  /** The script does not run in this session: no callback is called. */
  failed(failure: Failure): void;
}

/** Watches the callbacks of one session. */
export interface SessionWatcher extends CallbackWatcher {
  /** @returns the policy to use in the place of the one given */
  of(policy: Policy): Policy;
}

/** Is told of sessions. */
export interface SessionObserver {
  /** For a session that may begin. */
  watch(session: SessionInfo): SessionWatcher;
}

export function onErrorVerdict(onError: OnError): Verdict {
  return { kind: onError };
}
