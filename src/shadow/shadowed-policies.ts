/** The live policy where a candidate is told of the same sessions: the MTA is asked for what that one needs as well. */
import type {
  Interests,
  Policy,
  PolicyEvent,
  PolicyFactory,
  SessionInfo,
  Verdict,
} from '../milter/policy.ts';
import type { Reply } from '../milter/reply.ts';
import { bothInterests } from '../policy/both-interests.ts';

export class ShadowedPolicies implements PolicyFactory {
  readonly #live: PolicyFactory;
  readonly #besides: () => Interests | undefined;

  /** @param besides what the candidate is to be told; undefined as long as that is not known */
  constructor(live: PolicyFactory, besides: () => Interests | undefined) {
    this.#live = live;
    this.#besides = besides;
  }

  open(session: SessionInfo): Policy | Promise<Policy> {
    const opened = this.#live.open(session);
    return opened instanceof Promise ? opened.then((policy) => this.#of(policy)) : this.#of(opened);
  }

  #of(policy: Policy): Policy {
    const besides = this.#besides();
    return besides === undefined ? policy : new ShadowedPolicy(policy, besides);
  }
}

class ShadowedPolicy implements Policy {
  readonly interests: Interests;
  readonly #policy: Policy;

  constructor(policy: Policy, besides: Interests) {
    this.#policy = policy;
    this.interests = bothInterests(policy.interests, besides);
  }

  handle(event: PolicyEvent): Verdict | Promise<Verdict> {
    return this.#policy.handle(event);
  }

  replied(reply: Reply): void {
    this.#policy.replied?.(reply);
  }

  cancel(): void {
    this.#policy.cancel();
  }

  dispose(): void {
    this.#policy.dispose();
  }
}
