/** The policy in place of a script that cannot run: all callbacks are skipped, and the configured action is taken. */
import type { Needs, Policy, PolicyEvent, Verdict } from '../milter/policy.ts';
import { needsOf } from './needs.ts';
import { type OnError, onErrorVerdict } from './policy-settings.ts';

export class BrokenPolicy implements Policy {
  readonly needs: Needs;
  readonly #onError: OnError;

  constructor(onError: OnError) {
    this.#onError = onError;
    // At MAIL the action is taken; `continue` needs no event at all.
    this.needs = { ...needsOf(new Set()), mail: onError === 'continue' ? 'none' : 'verdict' };
  }

  handle(event: PolicyEvent): Verdict {
    return event.kind === 'mail' ? onErrorVerdict(this.#onError) : { kind: 'continue' };
  }

  cancel(): void {}

  dispose(): void {}
}
