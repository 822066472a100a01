/**
 * Watches over the worker processes: starts them, replaces those that end or hang, and stands between them and the
 * operator, who sees one program.
 */
import type { Binding } from '../binding.ts';
import { addCounts, noCounts } from '../control/counts.ts';
import type { Decision } from '../control/decision.ts';
import type { Fleet, Trace } from '../control/fleet.ts';
import { type Status, statusOf } from '../control/status.ts';
import type { TraceFilter, TraceRecord } from '../control/trace.ts';
import { formatListenAddress } from '../listen-address.ts';
import type { Logger } from '../log.ts';
import { EXIT, OperatorError } from '../operator-error.ts';
import type { Options } from '../option-table.ts';
import type { ScriptReport } from '../policy-source.ts';
import { refusalText, Throttle } from '../server.ts';
import type { LogSink } from '../syslog/log-sink.ts';
import type { FromWorker, ProcessStatus, ToWorker } from './messages.ts';
import type { PassiveSocket } from './passive-socket.ts';
import { ownPlaces, PlacePool } from './places.ts';
import { Questions } from './questions.ts';
import { ScriptState } from './script-state.ts';
import { WorkerProcess } from './worker-process.ts';

/** The pause before a worker is replaced doubles from `first` to `most`; one that lived for `soundMs` was sound. */
const PAUSE_MS = { first: 100, most: 30_000, soundMs: 60_000 };

const STATUS_MS = 1_000;
/** A main chunk may wait. */
const EXAMINATION_MS = 60_000;
/** What workers may take to end beyond the time they are given. */
const END_MS = 5_000;
/** The same complaint of several workers is one. */
const SAME_COMPLAINT_MS = 10_000;

export interface SupervisorSettings {
  readonly options: Options;
  readonly version: string;
  readonly spool: string;
  readonly bindings: readonly Binding<PassiveSocket>[];
  readonly log: Logger;
  readonly sink: LogSink;
  readonly complain: (message: string) => void;
  readonly journal: ((decision: Decision) => void) | undefined;
}

export class Supervisor implements Fleet {
  readonly #settings: SupervisorSettings;
  readonly #instance = Date.now().toString(36);
  readonly #startedAt = Date.now();
  readonly #workers = new Map<number, WorkerProcess>();
  readonly #pool: PlacePool;
  readonly #script: ScriptState;
  readonly #past = noCounts();
  readonly #statuses = new Questions<ProcessStatus>();
  readonly #examinations = new Questions<ScriptReport>();
  readonly #traces = new Map<number, { filter: TraceFilter; deliver: (record: TraceRecord) => void }>();
  readonly #refusals: Throttle;
  readonly #complaints = new Map<string, number>();
  #forks = 0;
  #lastTrace = 0;
  #restarts = 0;
  #pauseMs = PAUSE_MS.first;
  /** How the start, or the end, goes on. */
  #changed: (() => void) | undefined;
  #failure: OperatorError | undefined;
  #isStarted = false;
  #isStopping = false;
  #announced = 0;
  #openAtStop = 0;
  #cutOff = 0;

  constructor(settings: SupervisorSettings) {
    this.#settings = settings;
    this.#refusals = new Throttle((message) => settings.log.warning(message));
    this.#pool = new PlacePool(settings.options.maxConnections, settings.options.workers);
    this.#script = new ScriptState(settings.options.script, settings.log);
  }

  /**
   * Starts all workers.
   * @returns what one of them found the script to be, when all of them accept connections.
   * @throws OperatorError when one cannot.
   */
  async start(): Promise<ScriptReport> {
    const { workers } = this.#settings.options;
    for (let slot = 1; slot <= workers; slot++) this.#fork(slot);
    const isReady = () => [...this.#workers.values()].every((worker) => worker.isReady);
    await this.#until(() => this.#failure !== undefined || isReady());
    if (this.#failure === undefined) {
      const report = await this.examine();
      this.#isStarted = true;
      if (report !== undefined) return report;
    }
    this.#isStopping = true;
    for (const worker of this.#workers.values()) worker.kill();
    throw this.#failure ?? new OperatorError('no worker process answers', EXIT.software);
  }

  /** Has the script looked at, once for all workers. @returns undefined when no worker answers. */
  async examine(): Promise<ScriptReport | undefined> {
    for (const worker of [...this.#workers.values()].filter(({ isReady }) => isReady)) {
      const report = await this.#examinations.put(EXAMINATION_MS, (id) =>
        worker.send({ kind: 'examine', id }),
      );
      if (report !== undefined) return report;
    }
    return undefined;
  }

  /**
   * Lets sessions end up to `graceMs`, or until `hurry` fires.
   * @param announce is told how many connections were open.
   * @returns how many were cut off.
   */
  async stop(graceMs: number, hurry: AbortSignal, announce: (connections: number) => void): Promise<number> {
    this.#isStopping = true;
    const all = this.#workers.size;
    this.#sendAll({ kind: 'stop', graceMs });
    hurry.addEventListener('abort', () => this.#sendAll({ kind: 'hurry' }));
    if (hurry.aborted) this.#sendAll({ kind: 'hurry' });
    await this.#until(() => this.#announced >= all || this.#workers.size === 0, STATUS_MS);
    announce(this.#openAtStop);
    await this.#until(() => this.#workers.size === 0 || hurry.aborted, graceMs + END_MS);
    await this.#until(() => this.#workers.size === 0, END_MS);
    for (const worker of this.#workers.values()) worker.kill();
    return this.#cutOff;
  }

  async status(): Promise<Status> {
    const { version, bindings, sink } = this.#settings;
    const asked = [...this.#workers.values()].map(async (worker) => {
      const status = await this.#statusOf(worker);
      return status ? [{ number: worker.number, status }] : [];
    });
    return statusOf({
      version,
      startedAt: this.#startedAt,
      listening: bindings.map(({ address }) => formatListenAddress(address)),
      processes: (await Promise.all(asked)).flat(),
      restarts: this.#restarts,
      script: this.#script.status,
      past: this.#past,
      logDrops: sink.dropped,
    });
  }

  trace(filter: TraceFilter, deliver: (record: TraceRecord) => void): Trace {
    this.#lastTrace += 1;
    const id = this.#lastTrace;
    this.#traces.set(id, { filter, deliver });
    this.#sendAll({ kind: 'trace', id, filter });
    // A worker answers in order: when it has said how it is, it has attached.
    const attached = Promise.all([...this.#workers.values()].map((worker) => this.#statusOf(worker)));
    return {
      attached: attached.then(() => {}),
      detach: () => {
        this.#traces.delete(id);
        this.#sendAll({ kind: 'untrace', id });
      },
    };
  }

  async #statusOf(worker: WorkerProcess): Promise<ProcessStatus | undefined> {
    const answer = await this.#statuses.put(STATUS_MS, (id) => worker.send({ kind: 'status', id }));
    return answer ?? worker.status;
  }

  #fork(slot: number): void {
    const { options, spool, bindings } = this.#settings;
    this.#forks += 1;
    const fork = this.#forks;
    const sockets = bindings.map(({ socket, address }) => ({ fd: socket.fd, address }));
    const start = {
      options,
      spool,
      number: slot,
      instance: `${this.#instance}-${fork.toString(36)}`,
      ownPlaces: ownPlaces(options.maxConnections, options.workers),
      lastGood: this.#script.lastGood,
    };
    const worker: WorkerProcess = new WorkerProcess(start, sockets, {
      heard: (message) => this.#hear(worker, message),
      hung: (silentMs) => {
        const silence = `has not answered for ${Math.round(silentMs / 1000)} s`;
        this.#settings.log.error(`worker ${slot} (process ${worker.pid}) ${silence}: killed`);
      },
      ended: (how) => this.#ended(worker, slot, how),
    });
    this.#workers.set(slot, worker);
    for (const [id, { filter }] of this.#traces) worker.send({ kind: 'trace', id, filter });
  }

  #ended(worker: WorkerProcess, slot: number, how: string): void {
    this.#workers.delete(slot);
    this.#pool.takeAllBack(slot);
    if (worker.status) addCounts(this.#past, worker.status.counts);
    if (!this.#isStarted) {
      this.#failure ??= new OperatorError(`a worker process ended while it started: ${how}`, EXIT.software);
    } else if (!this.#isStopping) {
      this.#replace(worker, slot, how);
    }
    this.#changed?.();
  }

  #replace(worker: WorkerProcess, slot: number, how: string): void {
    this.#restarts += 1;
    if (performance.now() - worker.startedAt > PAUSE_MS.soundMs) this.#pauseMs = PAUSE_MS.first;
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(pauseMs * 2, PAUSE_MS.most);
    const what = `worker ${slot} (process ${worker.pid}) ended: ${how}`;
    this.#settings.log.error(`${what}; another is started in ${pauseMs / 1000} s`);
    setTimeout(() => {
      if (!this.#isStopping) this.#fork(slot);
    }, pauseMs);
  }

  #hear(worker: WorkerProcess, message: FromWorker): void {
    switch (message.kind) {
      case 'loaded':
      case 'beat':
        break;
      case 'ready':
        if (this.#isStarted)
          this.#settings.log.notice(`worker ${worker.number} (process ${worker.pid}) started`);
        break;
      case 'failed':
        this.#failure ??= new OperatorError(message.message, message.exitCode);
        if (this.#isStarted) this.#settings.log.error(`worker ${worker.number}: ${message.message}`);
        break;
      case 'examined':
        this.#script.examined(message.report, message.source);
        this.#passOn(message.report.problem === undefined ? message.report.hash : undefined);
        this.#examinations.answer(message.id, message.report);
        break;
      case 'notice': {
        const { hash, passed } = message.notice;
        if (this.#script.noticed(message.notice, message.source)) this.#passOn(passed ? hash : undefined);
        break;
      }
      case 'status':
        this.#statuses.answer(message.id, message.status);
        break;
      case 'traced':
        this.#traces.get(message.id)?.deliver(message.record);
        break;
      case 'decided':
        this.#settings.journal?.(message.decision);
        break;
      case 'complaint':
        this.#complain(message.message);
        break;
      case 'placeWanted':
        this.#lendPlace(worker);
        break;
      case 'placeFree':
        this.#pool.takeBack(worker.number);
        break;
      case 'stopping':
        this.#announced += 1;
        this.#openAtStop += message.connections;
        break;
      case 'stopped':
        this.#cutOff += message.cutOff;
        break;
      default:
        message satisfies never;
    }
    this.#changed?.();
  }

  #lendPlace(worker: WorkerProcess): void {
    const granted = this.#pool.lend(worker.number);
    worker.send({ kind: 'place', granted });
    if (!granted) this.#refusals.say(refusalText(this.#settings.options.maxConnections));
  }

  /** The others need not try this version. */
  #passOn(hash: string | undefined): void {
    if (hash !== undefined) this.#sendAll({ kind: 'trust', hash, source: this.#script.lastGood });
  }

  #complain(message: string): void {
    const now = performance.now();
    const before = this.#complaints.get(message);
    if (before !== undefined && now - before < SAME_COMPLAINT_MS) return;
    if (this.#complaints.size > 100) this.#complaints.clear();
    this.#complaints.set(message, now);
    this.#settings.complain(message);
  }

  #sendAll(message: ToWorker): void {
    for (const worker of this.#workers.values()) worker.send(message);
  }

  /** Waits until something has changed so that `holds`, or the time is over. */
  async #until(holds: () => boolean, timeoutMs?: number): Promise<void> {
    let isOver = false;
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            isOver = true;
            this.#changed?.();
          }, timeoutMs);
    while (!isOver && !holds()) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    clearTimeout(timer);
  }
}
