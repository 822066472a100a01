/**
 * `--canary`: the candidate decides for a share of the clients, the live policy for the others. Which it is is known at
 * CONNECT; until then both are there, and the MTA is asked for what either needs.
 */
import { createHash } from 'node:crypto';
import { parseAddress } from '../dns/name.ts';
import { addressOf } from '../milter/connect.ts';
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
import type { Failure } from '../policy/failure.ts';
import type { Call, SessionObserver, SessionWatcher } from '../policy/policy-settings.ts';

/** Parts of an IPv6 address that count: a client has all addresses of such a network. */
const PARTS_OF_64 = 4;

/**
 * Whether the candidate decides for a client: the same in each process and after each start. By the address, of IPv6 by
 * its /64; never where the MTA names none.
 * @param ip as smtp.do_connect gets it @param share from 0 to 1
 */
export function isCanary(ip: string, share: number): boolean {
  const address = parseAddress(ip);
  if (address === undefined) return false;
  const { family, parts } = address;
  const client = family === 4 ? parts : parts.slice(0, PARTS_OF_64);
  const hash = createHash('sha256').update(client.join('.')).digest();
  return hash.readUIntBE(0, 6) / 2 ** 48 < share;
}

export class CanaryPolicies implements PolicyFactory {
  readonly #live: PolicyFactory;
  readonly #candidate: PolicyFactory;
  readonly #share: number;
  #watcher: CanaryWatcher | undefined;

  /**
   * @param open a source of the candidate, whose sessions are told to this observer
   * @param observer is told of sessions for which the candidate decides
   */
  constructor(
    live: PolicyFactory,
    open: (observer: SessionObserver) => PolicyFactory,
    observer: SessionObserver,
    share: number,
  ) {
    this.#live = live;
    this.#share = share;
    this.#candidate = open({
      watch: (session) => {
        this.#watcher = new CanaryWatcher(observer.watch(session));
        return this.#watcher;
      },
    });
  }

  open(session: SessionInfo): Policy | Promise<Policy> {
    const candidate = this.#candidate.open(session);
    const watcher = this.#watcher; // Made before anything was waited for.
    const live = this.#live.open(session);
    if (watcher === undefined) throw new Error('a candidate without a watcher');
    const chosen = (one: Policy, other: Policy) => new ChosenPolicy(one, other, watcher, this.#share);
    if (!(live instanceof Promise) && !(candidate instanceof Promise)) return chosen(live, candidate);
    return Promise.all([live, candidate]).then(([one, other]) => chosen(one, other));
  }
}

/** Holds back what it is told of the beginning, until the candidate has been chosen. */
class CanaryWatcher implements SessionWatcher {
  readonly #watcher: SessionWatcher;
  #hash: string | undefined;
  /** The candidate does not run in this session. */
  isBroken = false;

  constructor(watcher: SessionWatcher) {
    this.#watcher = watcher;
  }

  of(policy: Policy): Policy {
    return this.#watcher.of(policy);
  }

  began(hash: string): void {
    this.#hash = hash;
  }

  chosen(): void {
    if (this.#hash !== undefined) this.#watcher.began(this.#hash);
  }

  called(call: Call, event: PolicyEvent): void {
    this.#watcher.called(call, event);
  }

  failed(_: Failure): void {
    this.isBroken = true;
  }
}

class ChosenPolicy implements Policy {
  readonly interests: Interests;
  readonly #live: Policy;
  readonly #candidate: Policy;
  readonly #watcher: CanaryWatcher;
  readonly #share: number;
  #chosen: Policy | undefined;

  constructor(live: Policy, candidate: Policy, watcher: CanaryWatcher, share: number) {
    this.#live = live;
    this.#candidate = candidate;
    this.#watcher = watcher;
    this.#share = share;
    const both = watcher.isBroken ? live.interests : bothInterests(live.interests, candidate.interests);
    // By the client it is chosen.
    this.interests = both.connect === 'none' ? withConnect(both) : both;
  }

  handle(event: PolicyEvent): Verdict | Promise<Verdict> {
    this.#chosen ??= this.#choose(event);
    return this.#chosen.handle(event);
  }

  replied(reply: Reply): void {
    this.#chosen?.replied?.(reply);
  }

  cancel(): void {
    this.#chosen?.cancel();
  }

  dispose(): void {
    if (this.#chosen !== undefined) this.#chosen.dispose();
    else for (const policy of [this.#live, this.#candidate]) policy.dispose();
  }

  /** An MTA that tells of no client gets the live policy. */
  #choose(event: PolicyEvent): Policy {
    const isChosen =
      event.kind === 'connect' && !this.#watcher.isBroken && isCanary(addressOf(event.client), this.#share);
    if (isChosen) {
      this.#watcher.chosen();
      this.#live.dispose();
      return this.#candidate;
    }
    this.#candidate.dispose();
    return this.#live;
  }
}

/** What was made last: sessions of one server share the object. */
let lastWith: { readonly without: Interests; readonly interests: Interests } | undefined;

function withConnect(without: Interests): Interests {
  if (lastWith?.without !== without) lastWith = { without, interests: { ...without, connect: 'data' } };
  return lastWith.interests;
}
