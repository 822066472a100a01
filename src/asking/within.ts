/** The end of a patience, for services that have none of their own. */
import { type Answer, type Patience, unknown } from './answer.ts';

/**
 * The answer, if it comes in time.
 * @param subject what is asked, for reasons: `ldap at 127.0.0.1:389`
 * @param answer never rejects
 */
export function within<Value>(
  { timeoutMs, cancelled }: Patience,
  subject: string,
  answer: Promise<Answer<Value>>,
): Promise<Answer<Value>> {
  if (cancelled.aborted) return Promise.resolve(unknown('unavailable', `${subject}: cancelled`));
  return new Promise((resolve) => {
    const settle = (settled: Answer<Value>) => {
      clearTimeout(timer);
      cancelled.removeEventListener('abort', cancel);
      resolve(settled);
    };
    const cancel = () => settle(unknown('unavailable', `${subject}: cancelled`));
    const timer = setTimeout(
      () => settle(unknown('timeout', `${subject}: no answer in ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    cancelled.addEventListener('abort', cancel, { once: true });
    void answer.then(settle);
  });
}
