/** What a process tells the one that has started it, which may be stopped: then what is only of interest is dropped. */
import type { FromWorker } from './messages.ts';

/** Messages that are kept for it. */
const MOST_UNTAKEN = 1000;
const OF_INTEREST: ReadonlySet<FromWorker['kind']> = new Set(['heartbeat', 'decided', 'traced', 'told']);

let untaken = 0;

/** Whether messages that are only of interest would be dropped. */
export function isBehind(): boolean {
  return untaken > MOST_UNTAKEN;
}

/**
 * @param kind what a worker has said, which may be on its way in another message
 * @returns whether it goes up
 */
export function postUp(message: object, kind: FromWorker['kind'] | undefined): boolean {
  if (!process.connected || (isBehind() && kind !== undefined && OF_INTEREST.has(kind))) return false;
  untaken += 1;
  process.send?.(message, undefined, undefined, () => {
    untaken -= 1;
  });
  return true;
}
