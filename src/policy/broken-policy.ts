/** The policy in place of a script that cannot run: all callbacks are skipped, and the configured action is taken. */
import type { Interests, Policy, PolicyEvent, Verdict } from '../milter/policy.ts';
import { interestsOf } from './interests.ts';
import { type OnError, onErrorVerdict } from './policy-settings.ts';

export class BrokenPolicy implements Policy {
  readonly interests: Interests;
  readonly #onError: OnError;

  constructor(onError: OnError) {
    this.#onError = onError;
    // At MAIL the action is taken. The rest is for the log and the journal: who was let in unfiltered, and to whom.
    const mail = onError === 'continue' ? 'data' : 'verdict';
    this.interests = { ...interestsOf(new Set()), connect: 'data', helo: 'data', mail, rcpt: 'data' };
  }

  handle(event: PolicyEvent): Verdict {
    return event.kind === 'mail' ? onErrorVerdict(this.#onError) : { kind: 'continue' };
  }

  cancel(): void {}

  dispose(): void {}
}
