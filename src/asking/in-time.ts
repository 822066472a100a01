/** Waiting for a promise that may take longer than somebody waits. */
import { type Answer, type Patience, unknown } from './answer.ts';

/**
 * What the promise gives, or a time-out. What it gives later, or that it fails later, is nobody's concern.
 * @param about says in the reason what was asked
 */
export function inTime<Value>(
  promise: Promise<Answer<Value>>,
  { timeoutMs, cancelled }: Patience,
  about: string,
): Promise<Answer<Value>> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      cancelled.removeEventListener('abort', giveUp);
    };
    const giveUp = (): void => {
      end();
      resolve(unknown('timeout', about));
    };
    const timer = setTimeout(giveUp, timeoutMs);
    if (cancelled.aborted) giveUp();
    else cancelled.addEventListener('abort', giveUp);
    promise.finally(end).then(resolve, reject);
  });
}
