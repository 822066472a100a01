/**
 * Sessions on tape, for `--record` and `--shadow`: a tape for each connection that somebody wants, and what lets the parts
 * of the program that serve it write on it.
 *
 * Services, clock and watchers are those of the process: which session asks them follows from the asynchronous context in
 * which the connection has its policy work. Where nobody wants a session none of this exists.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import type { Answer } from '../asking/answer.ts';
import { type Surroundings, SYSTEM } from '../lua/engine/surroundings.ts';
import type { Policy, PolicyEvent } from '../milter/policy.ts';
import type { Modification, Reply } from '../milter/reply.ts';
import type { Failure } from '../policy/failure.ts';
import type { Call, SessionObserver, SessionWatcher } from '../policy/policy-settings.ts';
import { isAsked } from '../services/asked.ts';
import type { ServiceName, Services } from '../services/services.ts';
import type { TapedSession } from './recorded-session.ts';
import { Tape } from './tape.ts';

/** Who wants sessions. */
export interface TapeTaker {
  /** Whether the sessions of a connection that begins are wanted. */
  wants(): boolean;
  take(session: TapedSession): void;
}

/** Sessions that go on may keep so much in memory together. */
const MAX_HELD_BYTES = 64 << 20;
/** Of one session. */
export const MAX_SESSION_BYTES = 16 << 20;

/** For work that goes on in a turn that another session may have asked for. */
export function boundToSession<Work extends () => void>(work: Work): Work {
  return AsyncResource.bind(work) as Work;
}

export class Tapes {
  readonly #takers: readonly TapeTaker[];
  readonly #current = new AsyncLocalStorage<Tape | undefined>();
  #heldBytes = 0;

  constructor(takers: readonly TapeTaker[]) {
    this.#takers = takers;
  }

  /** For a connection that begins; undefined where nobody wants it. */
  begin(): ConnectionTape | undefined {
    const takers = this.#takers.filter((taker) => taker.wants());
    if (takers.length === 0) return undefined;
    const tape = new Tape({
      sessionBytes: MAX_SESSION_BYTES,
      reserve: (bytes) => this.#reserve(bytes),
      release: (bytes) => {
        this.#heldBytes -= bytes;
      },
      ended: (session) => {
        // What they do with it is no work of the session.
        this.#current.run(undefined, () => {
          for (const taker of takers) taker.take(session);
        });
      },
    });
    return new ConnectionTape(tape, this.#current);
  }

  readonly surroundings: Surroundings = {
    ...SYSTEM,
    now: () => this.#time(SYSTEM.now()),
    random: () => {
      const number = Math.random();
      this.#current.getStore()?.random(number);
      return number;
    },
  };

  /** The same services, with answers noted. */
  listen<Ports extends Services>(services: Ports): Ports {
    const heard = Object.entries(services).map(([name, service]) =>
      isAsked(name as ServiceName) && typeof service === 'object'
        ? [name, this.#listenTo(name as ServiceName, service)]
        : [name, service],
    );
    const clock = { ...services.clock, now: () => this.#time(services.clock.now()) };
    return { ...Object.fromEntries(heard), clock };
  }

  /** The same observer, whose sessions are on tape too. @param isCanary the candidate of `--canary` serves them */
  observe(observer: SessionObserver, isCanary = false): SessionObserver {
    return {
      watch: (session) => {
        const watcher = observer.watch(session);
        const tape = this.#current.getStore();
        if (tape === undefined) return watcher;
        tape.opened(session.id);
        return new TapedWatcher(watcher, tape, isCanary);
      },
    };
  }

  #reserve(bytes: number): boolean {
    if (this.#heldBytes + bytes > MAX_HELD_BYTES) return false;
    this.#heldBytes += bytes;
    return true;
  }

  #time(milliseconds: number): number {
    this.#current.getStore()?.clock(milliseconds);
    return milliseconds;
  }

  #listenTo<Service extends object>(name: ServiceName, service: Service): Service {
    // Each method is wrapped once.
    const wrapped = new Map<string, (...args: unknown[]) => unknown>();
    return new Proxy(service, {
      get: (target, key) => {
        const member: unknown = Reflect.get(target, key, target);
        if (typeof member !== 'function' || typeof key !== 'string') return member;
        let method = wrapped.get(key);
        if (method === undefined) {
          method = (...args) => {
            const result: unknown = Reflect.apply(member, target, args);
            const tape = this.#current.getStore();
            return tape === undefined
              ? result
              : noted(result, (answer) => tape.asked(name, key, args, answer));
          };
          wrapped.set(key, method);
        }
        return method;
      },
    });
  }
}

/** What a connection writes on. */
export class ConnectionTape {
  readonly #tape: Tape;
  readonly #current: AsyncLocalStorage<Tape | undefined>;

  constructor(tape: Tape, current: AsyncLocalStorage<Tape | undefined>) {
    this.#tape = tape;
    this.#current = current;
  }

  /** Runs work of this connection: what it asks of services is written on the tape. */
  within(work: () => void): void {
    this.#current.run(this.#tape, work);
  }

  heard(frame: Parameters<Tape['heard']>[0]): void {
    this.#tape.heard(frame);
  }

  said(reply: Reply): void {
    this.#tape.said(reply);
  }

  changed(edit: Modification): void {
    this.#tape.changed(edit);
  }

  ended(): void {
    this.#tape.ended();
  }
}

/** Tells a tape of callbacks, beside the watcher that it stands for. */
class TapedWatcher implements SessionWatcher {
  readonly #watcher: SessionWatcher;
  readonly #tape: Tape;
  readonly #isCanary: boolean;

  constructor(watcher: SessionWatcher, tape: Tape, isCanary: boolean) {
    this.#watcher = watcher;
    this.#tape = tape;
    this.#isCanary = isCanary;
  }

  of(policy: Policy): Policy {
    return this.#watcher.of(policy);
  }

  began(hash: string): void {
    this.#tape.served(hash, this.#isCanary);
    this.#watcher.began(hash);
  }

  called(call: Call, event: PolicyEvent): void {
    this.#tape.called(call.name, call.where(), call.failure !== undefined);
    this.#watcher.called(call, event);
  }

  failed(failure: Failure): void {
    this.#watcher.failed(failure);
  }
}

function noted(result: unknown, note: (answer: Answer<unknown>) => void): unknown {
  if (result instanceof Promise) {
    return result.then((answer: unknown) => {
      if (isAnswer(answer)) note(answer);
      return answer;
    });
  }
  if (isAnswer(result)) note(result);
  return result;
}

function isAnswer(value: unknown): value is Answer<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    (value.kind === 'known' || value.kind === 'unknown')
  );
}
