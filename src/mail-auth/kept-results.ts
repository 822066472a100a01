/**
 * Results that follow from a question and from what the DNS says to it, and from nothing else: kept, and found again for
 * as long as the DNS module still has the very answers of which they were made. So none is older than its records.
 */
import { TimedCache } from '../dns/cache.ts';
import type { MailExchanger } from '../dns/records.ts';
import type { Asker, LookUps } from './look-ups.ts';

const MOST_RESULTS = 2000;
const MOST_BYTES = 4 * 1024 * 1024;
/** Of one result: what takes more is found anew each time. */
const MOST_QUESTIONS = 20;
const MOST_BYTES_OF_ONE = 8 * 1024;
/** The DNS module keeps no answer for longer. */
const LIFETIME_MS = 3_600_000;

type Made = NonNullable<LookUps['questions']>;

export class KeptResults<Result> {
  readonly #kept = new TimedCache<{ readonly result: Result; readonly made: Made }>(MOST_RESULTS, MOST_BYTES);

  /**
   * @param key all that the result depends on besides the DNS
   * @param asker counts what the result was made of as if it were asked now, where it counts
   */
  find(key: string, asker: Pick<Asker, 'recall'>): Result | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    for (const { type, name, answer } of kept.made) {
      if (asker.recall(type, name) !== answer) return undefined;
    }
    return kept.result;
  }

  /** @param lookUps that were asked for this result alone */
  keep(key: string, lookUps: LookUps, result: Result): void {
    const made = lookUps.questions;
    if (made === undefined || made.length > MOST_QUESTIONS) return;
    const bytes = made.reduce((sum, { name, answer }) => {
      const records: readonly (string | MailExchanger)[] = answer.kind === 'known' ? answer.value : [];
      const texts = records.map((record) => (typeof record === 'string' ? record : record.host));
      return sum + 200 + name.length + texts.join('').length;
    }, key.length * 2);
    if (bytes <= MOST_BYTES_OF_ONE) this.#kept.set(key, { result, made }, bytes, LIFETIME_MS);
  }
}
