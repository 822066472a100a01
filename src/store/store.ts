/**
 * The store of a policy's state as a process has it: opened at the first call, each call within its time, and left alone
 * for a while when it does not answer. It is looked after once a second then, so that it is used again soon.
 */
import { setTimeout as rest } from 'node:timers/promises';
import { type Answer, known, type Patience, unknown } from '../asking/answer.ts';
import { Breaker, type BreakerNews } from '../asking/breaker.ts';
import { inTime } from '../asking/in-time.ts';
import { systemReason } from '../text/operator-error.ts';
import { LocalEngine } from './local-engine.ts';
import { type EngineSettings, openEngine } from './open-engine.ts';
import { type Engine, type Operation, type Page, StoreFailure } from './operation.ts';
import { RedisEngine } from './redis-engine.ts';
import { type StoreAddress, storeName } from './store-address.ts';

export interface Store {
  /** At the end of the patience it is `timeout`, and may happen yet. Never rejects. */
  run<Result>(operation: Operation<Result>, patience: Patience): Promise<Answer<Result>>;
  /** Does the operation where nobody must be waited for; undefined where `run` must be asked. */
  now?<Result>(operation: Operation<Result>): Answer<Result> | undefined;
}

export interface StoreSettings extends EngineSettings {
  /** Whether this process takes away what has ended: one of those that share the store does. */
  readonly sweeps: boolean;
}

export interface StoreLog {
  warning(line: string): void;
  notice(line: string): void;
}

/** For `status`. */
export interface StoreStatus {
  readonly kind: StoreAddress['kind'];
  /** As `--store`, without user and password. */
  readonly address: string;
  /** `unused` until a policy calls it. */
  readonly state: 'unused' | 'up' | 'down';
  /** Milliseconds since 1970: when it was first seen so. */
  readonly since: number;
  /** Why it is down. */
  readonly reason?: string | undefined;
  /** As far as it is known. */
  readonly usedBytes?: number | undefined;
  /** From which on it takes nothing more. */
  readonly maxBytes?: number | undefined;
}

const PROBE_MS = 1000;
/** Who gives it less time than this says nothing of it. */
const LEAST_PATIENCE_MS = 100;
const SWEEP_MS = 60_000;
/** Between two slices of a sweep. */
const REST_MS = 5;

export class SharedStore implements Store {
  readonly #settings: StoreSettings;
  readonly #log: StoreLog;
  readonly #name: string;
  readonly #breaker: Breaker;
  readonly #closed = new AbortController();
  #engine: Promise<Engine> | undefined;
  #opened: Engine | undefined;
  /** Why the last calls failed. */
  #reason: string | undefined;
  /** In which it must answer to be back: the time of the call that waited for it in vain. */
  #patienceMs = Number.POSITIVE_INFINITY;
  /** Why it could not be opened. */
  #obstacle: string | undefined;
  #seen: Pick<StoreStatus, 'state' | 'since'>;
  #probe: NodeJS.Timeout | undefined;
  #sweep: NodeJS.Timeout | undefined;

  constructor(settings: StoreSettings, log: StoreLog) {
    this.#settings = settings;
    this.#log = log;
    this.#name = storeName(settings.address);
    this.#seen = { state: 'unused', since: settings.now() };
    this.#breaker = new Breaker(`store ${this.#name}`, (news) => this.#tell(news));
  }

  get status(): StoreStatus {
    const { state, since } = this.#noteState();
    // A worker that ends is asked once more.
    const usage = this.#closed.signal.aborted ? undefined : this.#opened?.usage;
    return {
      kind: this.#settings.address.kind,
      address: this.#name,
      state,
      since,
      reason: this.#trouble,
      usedBytes: usage?.usedBytes,
      maxBytes: usage?.maxBytes,
    };
  }

  get #trouble(): string | undefined {
    return this.#reason ?? this.#obstacle ?? this.#opened?.trouble;
  }

  /** When it comes to be in a state is when that is first seen. */
  #noteState(): Pick<StoreStatus, 'state' | 'since'> {
    const state = this.#trouble !== undefined ? 'down' : this.#opened === undefined ? 'unused' : 'up';
    if (state !== this.#seen.state) this.#seen = { state, since: this.#settings.now() };
    return this.#seen;
  }

  /** Begins to open it, for those who will call it soon. */
  prepare(): void {
    this.#open().catch(() => {});
  }

  run<Result>(operation: Operation<Result>, patience: Patience): Promise<Answer<Result>> {
    return this.#ask(operation.question, patience, (engine) => engine.run(operation));
  }

  now<Result>(operation: Operation<Result>): Answer<Result> | undefined {
    if (this.#closed.signal.aborted || this.#breaker.isOpen) return undefined;
    if (!(this.#opened instanceof LocalEngine)) return undefined;
    try {
      return this.#opened.now(operation);
    } catch {
      return undefined; // Nothing was done: who runs it meets the same trouble, and tells of it.
    }
  }

  /** Entries whose keys begin so. @param from `next` of the part before */
  list(prefix: Buffer, from: Buffer | undefined, patience: Patience): Promise<Answer<Page>> {
    return this.#ask('store list', patience, async (engine) => known(await engine.list(prefix, from)));
  }

  /** Asks the Redis of the store for what others keep there. @param question in the words of a time-out */
  askRedis<Value>(
    question: string,
    patience: Patience,
    call: (redis: RedisEngine) => Promise<Answer<Value>>,
  ): Promise<Answer<Value>> {
    return this.#ask(question, patience, async (engine) =>
      engine instanceof RedisEngine ? call(engine) : unknown('unavailable', 'the store is no Redis'),
    );
  }

  /** Ends within a second. */
  async close(): Promise<void> {
    this.#closed.abort();
    clearInterval(this.#probe);
    clearInterval(this.#sweep);
    const engine = await this.#engine?.catch(() => undefined);
    await engine?.close();
  }

  /** What an operation says of what it was asked is an answer of the store, whatever it says. */
  async #ask<Value>(
    question: string,
    patience: Patience,
    call: (engine: Engine) => Promise<Answer<Value>>,
  ): Promise<Answer<Value>> {
    if (this.#closed.signal.aborted) return unknown('unavailable', 'the store is closed');
    const asked = async (): Promise<Answer<Answer<Value>>> => {
      try {
        return known(await call(await this.#open()));
      } catch (error) {
        return failureOf(error);
      }
    };
    const answer = await this.#breaker.ask(() => inTime(asked(), patience, question), patience.cancelled);
    if (answer.kind === 'known') return answer.value;
    if (answer.failure === 'timeout') this.#patienceMs = Math.max(patience.timeoutMs, LEAST_PATIENCE_MS);
    return answer;
  }

  #open(): Promise<Engine> {
    this.#engine ??= this.#begin();
    return this.#engine;
  }

  async #begin(): Promise<Engine> {
    try {
      const engine = await openEngine(this.#settings, (line) =>
        this.#log.warning(`store ${this.#name}: ${line}`),
      );
      this.#opened = engine;
      this.#obstacle = undefined;
      this.#noteState();
      if (this.#settings.sweeps && engine instanceof LocalEngine) this.#sweepLater(engine);
      return engine;
    } catch (error) {
      this.#engine = undefined; // The next call tries again.
      const answer = failureOf(error);
      this.#obstacle = answer.kind === 'unknown' ? answer.reason : undefined;
      this.#noteState();
      throw error;
    }
  }

  #tell({ isOpen, reason }: BreakerNews): void {
    this.#reason = isOpen ? reason : undefined;
    this.#noteState();
    clearInterval(this.#probe);
    if (!isOpen) this.#log.notice(`store ${this.#name}: answers again`);
    else {
      this.#log.warning(`store ${this.#name}: does not answer: ${reason}`);
      if (this.#closed.signal.aborted) return;
      this.#probe = setInterval(() => this.#look(), PROBE_MS);
      this.#probe.unref();
    }
  }

  async #look(): Promise<void> {
    try {
      const engine = await this.#open();
      const began = performance.now();
      await engine.ping();
      if (!this.#breaker.isOpen || performance.now() - began > this.#patienceMs) return;
      this.#patienceMs = Number.POSITIVE_INFINITY;
      this.#breaker.seen();
    } catch {
      // It is still away, and has been told to be.
    }
  }

  #sweepLater(engine: LocalEngine): void {
    let isAtWork = false;
    this.#sweep = setInterval(async () => {
      if (isAtWork) return;
      isAtWork = true;
      try {
        await engine.sweep(() => rest(REST_MS, undefined, { signal: this.#closed.signal, ref: false }));
      } catch {
        // Closed meanwhile, or in trouble of which the next call tells.
      }
      isAtWork = false;
    }, SWEEP_MS);
    this.#sweep.unref();
  }
}

function failureOf(error: unknown): Answer<never> {
  if (error instanceof StoreFailure) return unknown(error.failure, error.message);
  const reason = systemReason(error);
  return unknown('unavailable', reason.replace(/^Error: /, ''));
}
