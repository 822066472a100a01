/** A callback, or the main chunk, that has failed: what was wrong and where, and what was done about its mail. */
import type { Problem } from '../lua/context/diagnosis.ts';
import type { Budget } from '../lua/engine/host.ts';
import { IF_MEANT } from '../lua/script/script-versions.ts';
import type { OnError } from './policy-settings.ts';

/** And what was done about it. */
export interface Failure extends Problem {
  /** The action of `--on-error` that was taken. */
  readonly action: OnError;
  /** The script runs no more in this session. */
  readonly endsScript: boolean;
  /** Changes to the message that the callback had asked for, and that are dropped with it. */
  readonly droppedEdits: number;
  /** The budget that it went over; absent where the script itself failed. */
  readonly budget?: Budget;
}

/** The message with its place in front. */
export function positioned({ message, where }: Problem): string {
  return where === '' || message.startsWith(`${where}:`) ? message : `${where}: ${message}`;
}

/** The message without its place in front, for where that is said beside it. `where`: undefined where there is none. */
export function unpositioned(message: string, where: string | undefined): string {
  return where !== undefined && where !== '' && message.startsWith(`${where}: `)
    ? message.slice(where.length + 2)
    : message;
}

/** Message and traceback in one line. */
export function inOneLine({ message, traceback }: Problem): string {
  return traceback === '' ? message : `${message} (${tracebackLine(traceback)})`;
}

/** What a log in JSON says of a failure beside its line. @param ids as far as they are known */
export function failureFields(
  callback: string,
  { message, where, action, budget }: Pick<Failure, 'message' | 'where' | 'action' | 'budget'>,
  ids: {
    readonly session: string;
    readonly transaction?: string | undefined;
    readonly queueId?: string | undefined;
  },
): Readonly<Record<string, unknown>> {
  const [, file, line] = /^(.*):(\d+)$/s.exec(where) ?? [];
  return {
    event: 'failure',
    ...ids,
    callback,
    ...(file !== undefined && { file, line: Number(line) }),
    error: message,
    ...(budget !== undefined && { budget }),
    onError: action,
  };
}

export function tracebackLine(traceback: string): string {
  return traceback.trim().replace(/\s*\n\s*/g, ' < ');
}

/** What becomes of mail while the script cannot run at all. */
export function consequenceOf(action: OnError): string {
  switch (action) {
    case 'continue':
      return 'its callbacks are skipped: mail passes UNFILTERED (--on-error continue)';
    case 'accept':
      return '--on-error accept is applied: all mail is accepted UNFILTERED';
    case 'tempfail':
      return '--on-error tempfail is applied: all mail is deferred';
    case 'reject':
      return '--on-error reject is applied: all mail is refused';
    default:
      return action satisfies never;
  }
}

/** One line for an operator: the script does not run, and what that means for mail. */
export function scriptDoesNotRun(
  action: OnError,
  reason: string,
  consequence = consequenceOf(action),
): string {
  return `script does not run, ${consequence}: ${reason}`;
}

/** What an operator reads of a script that defines no callback. */
export const NO_CALLBACKS = `mail passes UNFILTERED (${IF_MEANT})`;
