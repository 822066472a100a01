/**
 * What a candidate would have done otherwise, counted: in a worker since it last told of it, in the supervisor since the
 * versions of both policies are what they are. Plain data goes from one to the other.
 */
import { type ChangeGroup, groupOf } from '../replay/change-group.ts';
import type { Finding } from '../replay/differences.ts';

/** A callback of the candidate that failed where that of the live policy did not. Texts are latin1. */
export interface CandidateFailure {
  readonly callback: string;
  /** `file:line`; '' where no Lua code was at work. */
  readonly where: string;
  readonly message: string;
}

/** What came of one session. */
export interface ShadowFinding
  extends Pick<Finding, 'session' | 'began' | 'client' | 'sender' | 'changes' | 'unrecorded' | 'unseen'> {
  readonly failures: readonly CandidateFailure[];
}

export interface ShadowGroup extends ChangeGroup {
  /** The same for the same change in every process. */
  readonly key: string;
  /** Sessions, the newest last; not all where they are many. */
  readonly ids: readonly string[];
}

export interface FailureGroup extends CandidateFailure {
  readonly sessions: number;
  readonly ids: readonly string[];
  readonly example: {
    readonly session: string;
    readonly time: string;
    readonly client: string;
    readonly sender: string;
  };
}

/** Of sessions that were compared. */
export interface Compared {
  /** With the candidate. */
  readonly compared: number;
  /** Of these, in which something would have been otherwise; in which a callback of the candidate failed. */
  readonly different: number;
  readonly failed: number;
  readonly groups: readonly ShadowGroup[];
  readonly failures: readonly FailureGroup[];
  /** Sessions with changes or failures beyond those that are listed. */
  readonly unlisted: number;
  /** What the candidate asked, the live policy did not, and a shadow may not ask. */
  readonly unasked: readonly {
    readonly question: string;
    readonly sessions: number;
    readonly example: string;
  }[];
  /** What the candidate would be told, and the MTA was not asked for. */
  readonly unseen: readonly { readonly what: string; readonly sessions: number }[];
}

const MAX_GROUPS = 200;
const MAX_FAILURES = 100;
const MAX_IDS = 100;
const MAX_QUESTIONS = 100;

interface Growing<Item> {
  readonly item: Item;
  sessions: number;
  ids: string[];
}

export class Tally {
  #compared = 0;
  #different = 0;
  #failed = 0;
  #unlisted = 0;
  readonly #groups = new Map<string, Growing<Omit<ShadowGroup, 'sessions' | 'ids'>>>();
  readonly #failures = new Map<string, Growing<Omit<FailureGroup, 'sessions' | 'ids'>>>();
  readonly #unasked = new Map<string, { sessions: number; readonly example: string }>();
  readonly #unseen = new Map<string, number>();

  /** One more session, of which there is nothing to tell. */
  notePlain(): void {
    this.#compared += 1;
  }

  /** One more session. */
  note(finding: ShadowFinding): void {
    const { session, began, client, sender, changes, failures, unrecorded, unseen } = finding;
    this.#compared += 1;
    if (changes.length > 0) this.#different += 1;
    if (failures.length > 0) this.#failed += 1;
    // Of one session each counts once.
    for (const [key, change] of new Map(changes.map((change) => [change.group, change]))) {
      const { sessions: _, ...group } = groupOf(change, finding);
      this.#grow(this.#groups, MAX_GROUPS, key, { ...group, key }, 1, [session]);
    }
    for (const [key, failure] of new Map(failures.map((failure) => [keyOf(failure), failure]))) {
      const example = { session, time: new Date(began).toISOString(), client, sender };
      this.#grow(this.#failures, MAX_FAILURES, key, { ...failure, example }, 1, [session]);
    }
    for (const question of new Set(unrecorded)) this.#ask(question, 1, session);
    for (const what of unseen) this.#miss(what, 1);
  }

  /** What was counted elsewhere. @returns what is new among it */
  add(more: Compared): Pick<Compared, 'groups' | 'failures'> {
    this.#compared += more.compared;
    this.#different += more.different;
    this.#failed += more.failed;
    this.#unlisted += more.unlisted;
    const groups = more.groups.filter(({ sessions, ids, ...group }) =>
      this.#grow(this.#groups, MAX_GROUPS, group.key, group, sessions, ids),
    );
    const failures = more.failures.filter(({ sessions, ids, ...failure }) =>
      this.#grow(this.#failures, MAX_FAILURES, keyOf(failure), failure, sessions, ids),
    );
    for (const { question, sessions, example } of more.unasked) this.#ask(question, sessions, example);
    for (const { what, sessions } of more.unseen) this.#miss(what, sessions);
    return { groups, failures };
  }

  /** The commonest first. */
  get all(): Compared {
    return {
      compared: this.#compared,
      different: this.#different,
      failed: this.#failed,
      groups: grown(this.#groups),
      failures: grown(this.#failures),
      unlisted: this.#unlisted,
      unasked: [...this.#unasked]
        .map(([question, { sessions, example }]) => ({ question, sessions, example }))
        .sort((one, other) => other.sessions - one.sessions),
      unseen: [...this.#unseen].map(([what, sessions]) => ({ what, sessions })),
    };
  }

  /** @returns whether it is new and listed */
  #grow<Item>(
    groups: Map<string, Growing<Item>>,
    most: number,
    key: string,
    item: Item,
    sessions: number,
    ids: readonly string[],
  ): boolean {
    const known = groups.get(key);
    if (known !== undefined) {
      known.sessions += sessions;
      known.ids = [...known.ids, ...ids].slice(-MAX_IDS);
      return false;
    }
    if (groups.size >= most) {
      this.#unlisted += sessions;
      return false;
    }
    groups.set(key, { item, sessions, ids: [...ids] });
    return true;
  }

  #ask(question: string, sessions: number, example: string): void {
    const known = this.#unasked.get(question);
    if (known) known.sessions += sessions;
    else if (this.#unasked.size < MAX_QUESTIONS) this.#unasked.set(question, { sessions, example });
  }

  #miss(what: string, sessions: number): void {
    this.#unseen.set(what, (this.#unseen.get(what) ?? 0) + sessions);
  }
}

function grown<Item>(
  groups: ReadonlyMap<string, Growing<Item>>,
): (Item & { sessions: number; ids: string[] })[] {
  return [...groups.values()]
    .map(({ item, sessions, ids }) => ({ ...item, sessions, ids }))
    .sort((one, other) => other.sessions - one.sessions);
}

function keyOf({ callback, where, message }: CandidateFailure): string {
  return [callback, where || message].join('\n');
}
