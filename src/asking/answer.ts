/**
 * What comes of asking a service (the DNS, a store, a map, a scanner), whichever it is.
 *
 * The rule of all that is built on it: "no" and "could not find out" never mix. A firm "no" is a known answer (false, an
 * empty list); everything else that is not an answer is `unknown`.
 */

/** Why something could not be found out. */
export type Failure = (typeof FAILURES)[number];

export const FAILURES = ['timeout', 'servfail', 'refused', 'unavailable', 'protocol', 'limit'] as const;

export function isFailure(word: string): word is Failure {
  return FAILURES.some((failure) => failure === word);
}

export type Answer<Value> =
  | { readonly kind: 'known'; readonly value: Value }
  /** `reason` is ASCII and begins with the failure. */
  | { readonly kind: 'unknown'; readonly failure: Failure; readonly reason: string };

/** How long somebody waits for an answer: until the time is over or the signal fires. */
export interface Patience {
  readonly timeoutMs: number;
  readonly cancelled: AbortSignal;
}

export function known<Value>(value: Value): Answer<Value> {
  return { kind: 'known', value };
}

/** `detail` follows the word of the failure; bytes that are not printable ASCII become `?`. */
export function unknown(failure: Failure, detail: string): Answer<never> {
  return { kind: 'unknown', failure, reason: `${failure} ${detail.replace(/[^\x20-\x7e]/g, '?')}` };
}
