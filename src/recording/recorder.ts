/**
 * `--record`: a tape for each connection that is recorded, and what lets the parts of the program that serve it write on it.
 *
 * Services, clock and watchers are those of the process: which session asks them follows from the asynchronous context in
 * which the connection has its policy work. Without `--record` none of this exists.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import type { Answer } from '../asking/answer.ts';
import { type Surroundings, SYSTEM } from '../lua/engine/surroundings.ts';
import type { Interests, Policy, PolicyEvent, Verdict } from '../milter/policy.ts';
import type { Modification, Reply } from '../milter/reply.ts';
import type { Redaction } from '../options/option-table.ts';
import type { Failure } from '../policy/failure.ts';
import type { Call, SessionObserver, SessionWatcher } from '../policy/policy-settings.ts';
import { isAsked } from '../services/asked.ts';
import type { ServiceName, Services } from '../services/services.ts';
import type { Entry } from './recorded-session.ts';
import { redacted } from './redaction.ts';
import { blockOf } from './session-file.ts';
import { SessionStore, type SessionStoreSettings } from './session-store.ts';
import { Tape, type TapeKeeper } from './tape.ts';

export interface RecorderSettings extends SessionStoreSettings {
  /** Share of the connections that are recorded, from 0 to 1. */
  readonly sample: number;
  readonly redact: readonly Redaction[];
}

/** Sessions that go on may keep so much in memory together. */
const MAX_HELD_BYTES = 64 << 20;
/** Of one session. */
const MAX_SESSION_BYTES = 16 << 20;
/** Ended sessions that wait to be packed; more are lost. */
const MAX_PACKING_BYTES = 32 << 20;

export class Recorder implements TapeKeeper {
  readonly #settings: RecorderSettings;
  readonly #store: SessionStore;
  readonly #current = new AsyncLocalStorage<Tape>();
  readonly sessionBytes: number;
  #heldBytes = 0;
  #packing = new Set<Promise<void>>();
  #packingBytes = 0;
  /** Sessions that did not come to be written, and connections that were not begun with. */
  #lost = 0;

  constructor(settings: RecorderSettings) {
    this.#settings = settings;
    this.#store = new SessionStore(settings);
    this.sessionBytes = Math.min(MAX_SESSION_BYTES, this.#store.fileBytes - 1024);
  }

  /** For a connection that begins; undefined where it is not among those that are recorded. */
  begin(): ConnectionTape | undefined {
    const { sample } = this.#settings;
    if (sample < 1 && Math.random() >= sample) return undefined;
    if (this.#store.takes) return new ConnectionTape(new Tape(this), this.#current);
    this.#lost += 1;
    return undefined;
  }

  /** What has become of the sessions that were to be kept. */
  get status() {
    const { counts, problem } = this.#store;
    const { directory } = this.#settings;
    return { directory, kept: counts.kept, lost: counts.lost + this.#lost, problem };
  }

  /** For work that goes on in a turn that another session may have asked for. */
  readonly bind = <Work extends () => void>(work: Work): Work => AsyncResource.bind(work) as Work;

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

  /** The same observer, whose sessions are recorded too. */
  observe(observer: SessionObserver): SessionObserver {
    return {
      watch: (session) => {
        const watcher = observer.watch(session);
        const tape = this.#current.getStore();
        if (tape === undefined) return watcher;
        tape.opened(session.id);
        return new TapedWatcher(watcher, tape);
      },
    };
  }

  /** Writes what has ended. Never rejects. */
  async close(): Promise<void> {
    await Promise.all(this.#packing);
    await this.#store.close();
  }

  reserve(bytes: number): boolean {
    if (this.#heldBytes + bytes > MAX_HELD_BYTES) return false;
    this.#heldBytes += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
  }

  ended(id: string, began: number, script: string | undefined, entries: readonly Entry[] | undefined): void {
    const bytes =
      entries?.reduce((sum, entry) => sum + (entry[0] === 'command' ? entry[1].length : 64), 0) ?? 0;
    const hasRoom = this.#store.takes && this.#packingBytes + bytes <= MAX_PACKING_BYTES;
    if (entries === undefined || !hasRoom) {
      this.#lost += 1;
      return;
    }
    this.#packingBytes += bytes;
    const packed = this.#current
      .exit(() => this.#pack(id, began, script, entries))
      .finally(() => {
        this.#packingBytes -= bytes;
        this.#packing.delete(packed);
      });
    this.#packing.add(packed);
  }

  async #pack(
    id: string,
    began: number,
    script: string | undefined,
    entries: readonly Entry[],
  ): Promise<void> {
    const { redact } = this.#settings;
    const kept = await redacted(entries, redact);
    this.#store.add(await blockOf({ id, began, script, redacted: redact, entries: kept }));
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
  readonly #current: AsyncLocalStorage<Tape>;

  constructor(tape: Tape, current: AsyncLocalStorage<Tape>) {
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

  constructor(watcher: SessionWatcher, tape: Tape) {
    this.#watcher = watcher;
    this.#tape = tape;
  }

  get interests(): Interests {
    return this.#watcher.interests;
  }

  of(policy: Policy): Policy {
    this.#watcher.of(policy);
    return this;
  }

  handle(event: PolicyEvent): Verdict | Promise<Verdict> {
    return this.#watcher.handle(event);
  }

  replied(reply: Reply): void {
    this.#watcher.replied?.(reply);
  }

  cancel(): void {
    this.#watcher.cancel();
  }

  dispose(): void {
    this.#watcher.dispose();
  }

  began(hash: string): void {
    this.#tape.served(hash);
    this.#watcher.began(hash);
  }

  called(call: Call, event: PolicyEvent): void {
    this.#tape.called(call.name, call.where());
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
