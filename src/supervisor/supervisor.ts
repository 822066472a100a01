/**
 * Watches over the worker processes: starts them, replaces those that end or hang, and stands between them and the
 * operator, who sees one program.
 */

import { addCounts, noCounts } from '../control/counts.ts';
import type { Decision } from '../control/decision.ts';
import type { Fleet, Trace } from '../control/fleet.ts';
import type { Snapshot } from '../control/metrics-page.ts';
import { type OpenSessions, type OpenSessionsOfProcess, openSessionsOf } from '../control/open-sessions.ts';
import type { ProcessStatus } from '../control/process-status.ts';
import { RateWindow } from '../control/rates.ts';
import type { ReloadResult } from '../control/reload.ts';
import { countsOf, deadlinesOf, type Status, type StatusParts, statusOf } from '../control/status.ts';
import type { TraceFilter, TraceRecord } from '../control/trace.ts';
import type { EventWriter } from '../events/event-writer.ts';
import type { Release } from '../lua/script/released-files.ts';
import type { GoodVersion } from '../lua/script/script-versions.ts';
import type { MetricTotals } from '../metrics/metric-totals.ts';
import type { Endpoint } from '../net/endpoint.ts';
import { formatListenAddress } from '../net/listen-address.ts';
import type { PassiveSocket } from '../net/passive-socket.ts';
import { refusalText, Throttle } from '../net/server.ts';
import type { Options } from '../options/option-table.ts';
import type { ScriptReport } from '../policy/policy-source.ts';
import { ShadowState } from '../shadow/shadow-state.ts';
import type { Logger } from '../syslog/log.ts';
import type { LogSink } from '../syslog/log-sink.ts';
import type { ReadSecret } from '../system/secret-file.ts';
import { EXIT, OperatorError } from '../text/operator-error.ts';
import { latin1Of } from '../text/visible.ts';
import { ownPermits, PermitPool } from './connection-permits.ts';
import type { Launch } from './launch.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import { PendingRequests } from './pending-requests.ts';
import { ReleaseGate } from './release-gate.ts';
import { reloadNow, type Takers } from './reload-now.ts';
import { badStart, ScriptState } from './script-state.ts';
import { WorkerProcess } from './worker-process.ts';

/**
 * The pause before a worker is replaced doubles from `first` to `most`; one that lived for `soundMs` was sound. Where no
 * other worker serves, nobody answers the MTA meanwhile: it is at most `alone`.
 */
const PAUSE_MS = { first: 100, most: 30_000, alone: 1_000, soundMs: 60_000 };

const STATUS_MS = 1_000;
/** A main chunk may wait. */
const EXAMINATION_MS = 60_000;
/** A long script is compiled by each worker, in turns with its sessions. */
const TAKE_MS = 60_000;
/** What workers may take to end beyond the time they are given. */
const END_MS = 5_000;
/** The same complaint of several workers is one. */
const SAME_COMPLAINT_MS = 10_000;

export interface SupervisorSettings {
  readonly options: Options;
  readonly version: string;
  readonly spool: string;
  /** Files with secrets that were read at the start. */
  readonly secrets: readonly ReadSecret[];
  readonly endpoints: readonly Endpoint<PassiveSocket>[];
  /** Starts a worker that has the sockets of the endpoints. */
  readonly launch: Launch;
  readonly log: Logger;
  readonly sink: LogSink;
  readonly complain: (message: string) => void;
  readonly journal: ((decision: Decision) => void) | undefined;
  /** Take what workers tell of the policy's figures and events. */
  readonly metrics: MetricTotals | undefined;
  readonly events: EventWriter | undefined;
}

export class Supervisor implements Fleet {
  readonly #settings: SupervisorSettings;
  readonly #instance = Date.now().toString(36);
  readonly #startedAt = Date.now();
  readonly #workers = new Map<number, WorkerProcess>();
  readonly #pool: PermitPool;
  readonly #script: ScriptState;
  /** Where edits wait for their trial. */
  readonly #gate: ReleaseGate | undefined;
  readonly #shadow: ShadowState | undefined;
  readonly #past = noCounts();
  readonly #rates = new RateWindow(() => countsOf({ past: this.#past, processes: this.#processes() }));
  readonly #statuses = new PendingRequests<ProcessStatus>();
  readonly #sessions = new PendingRequests<OpenSessionsOfProcess>();
  readonly #examinations = new PendingRequests<ScriptReport>();
  readonly #traces = new Map<number, { filter: TraceFilter; deliver: (record: TraceRecord) => void }>();
  readonly #refusals: Throttle;
  readonly #complaints = new Map<string, number>();
  #forks = 0;
  #lastTrace = 0;
  #lastTake = 0;
  #restarts = 0;
  #pauseMs = PAUSE_MS.first;
  /** How the start, a reload or the end goes on. */
  readonly #waiting = new Set<() => void>();
  #failure: OperatorError | undefined;
  #isStarted = false;
  #isStopping = false;
  #announced = 0;
  #openAtStop = 0;
  #cutOff = 0;

  constructor(settings: SupervisorSettings) {
    this.#settings = settings;
    this.#refusals = new Throttle((message) => settings.log.warning(message));
    this.#pool = new PermitPool(settings.options.maxConnections, settings.options.workers);
    const { script, onError, shadow, canary } = settings.options;
    this.#script = new ScriptState(script, onError, settings.log);
    this.#shadow =
      shadow === undefined
        ? undefined
        : new ShadowState(latin1Of(shadow), canary !== undefined, settings.log);
    if (settings.options.onReload.length > 0)
      this.#gate = new ReleaseGate({
        ...settings,
        script: this.#script,
        release: async (release) => {
          await this.#take(release);
        },
      });
  }

  /**
   * Starts all workers. None accepts a connection before one of them has found that the script may be served.
   * @param stopped settles when the program is to end
   * @returns what it found the script to be, when all of them accept connections.
   * @throws OperatorError when one cannot.
   */
  async start(stopped: Promise<unknown>): Promise<ScriptReport> {
    const { workers } = this.#settings.options;
    const begun = await this.#gate?.begin(stopped);
    const refused = begun && badStart(begun.report, this.#settings.options);
    if (refused !== undefined) throw refused;
    for (let slot = 1; slot <= workers; slot++) this.#fork(slot);
    const all = (holds: (worker: WorkerProcess) => boolean) => [...this.#workers.values()].every(holds);
    await this.#until(() => this.#failure !== undefined || all(({ isPrepared }) => isPrepared));
    const report = this.#failure === undefined ? (begun?.report ?? (await this.#examine())) : undefined;
    if (report !== undefined) {
      this.#failure ??= badStart(report, this.#settings.options);
      if (this.#failure === undefined) this.#sendAll({ kind: 'serve' });
      await this.#until(() => this.#failure !== undefined || all(({ isReady }) => isReady));
      if (this.#failure === undefined) {
        this.#isStarted = true;
        this.#gate?.watch();
        return report;
      }
    }
    this.#isStopping = true;
    for (const worker of this.#workers.values()) worker.kill();
    throw this.#failure ?? new OperatorError('no worker process answers', EXIT.software);
  }

  /** Has the script looked at, once for all workers. @returns undefined when no worker answers. */
  async examine(): Promise<ScriptReport | undefined> {
    return this.#gate ? (await this.#gate.request()).report : this.#examine();
  }

  reload(): Promise<ReloadResult> {
    return reloadNow({
      script: this.#script,
      log: this.#settings.log,
      gate: this.#gate,
      examine: () => this.#examine(),
      take: () => this.#take(undefined),
      takers: () => this.#takers(),
    });
  }

  /** Has all workers take the script as it is now, or a release of it, for new sessions. */
  async #take(release: Release | undefined): Promise<Takers> {
    this.#lastTake += 1;
    this.#sendAll({ kind: 'take', id: this.#lastTake, release });
    await this.#until(() => this.#takers().silent === 0, TAKE_MS);
    return this.#takers();
  }

  #takers(): Takers {
    const all = [...this.#workers.values()];
    const processes = all.filter(({ taken }) => taken === this.#lastTake).length;
    return { processes, silent: all.length - processes };
  }

  async #examine(): Promise<ScriptReport | undefined> {
    for (const worker of [...this.#workers.values()].filter(({ isPrepared }) => isPrepared)) {
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
    this.#gate?.stop();
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
    const { version, endpoints, sink } = this.#settings;
    const asked = [...this.#workers.values()].map(async (worker) => {
      const status = await this.#statusOf(worker);
      return status ? [{ number: worker.number, status }] : [];
    });
    return statusOf({
      version,
      startedAt: this.#startedAt,
      listening: endpoints.map(({ address }) => formatListenAddress(address)),
      processes: (await Promise.all(asked)).flat(),
      restarts: this.#restarts,
      script: this.#script.status,
      deadlines: deadlinesOf(this.#settings.options),
      past: this.#past,
      rates: this.#rates,
      logDrops: sink.dropped,
      eventDrops: this.#settings.events?.dropped ?? 0,
      shadow: this.#shadow?.status,
      canary: this.#settings.options.canary,
    });
  }

  shadow(isReset: boolean): object | undefined {
    return this.#shadow?.report(isReset);
  }

  async sessions(): Promise<OpenSessions> {
    const asked = [...this.#workers.values()].map(async (worker) => {
      const told = await this.#sessions.put(STATUS_MS, (id) => worker.send({ kind: 'sessions', id }));
      return [worker.number, told] as const;
    });
    return openSessionsOf(await Promise.all(asked));
  }

  snapshot(): Snapshot {
    const { version, endpoints, sink, events, metrics, options } = this.#settings;
    const workers = [...this.#workers.values()];
    return {
      version,
      startedAt: this.#startedAt,
      listening: endpoints.map(({ address }) => formatListenAddress(address)),
      processes: this.#processes(),
      restarts: this.#restarts,
      script: this.#script.status,
      deadlines: deadlinesOf(this.#settings.options),
      past: this.#past,
      rates: this.#rates,
      logDrops: sink.dropped,
      eventDrops: events?.dropped ?? 0,
      shadow: this.#shadow?.status,
      canary: options.canary,
      workers: options.workers,
      ready: workers.filter(({ isReady }) => isReady).length,
      isStopping: this.#isStopping,
      policy: metrics?.families() ?? [],
    };
  }

  /** As they have told by themselves. */
  #processes(): StatusParts['processes'] {
    return [...this.#workers.values()].flatMap(({ number, status }) => (status ? [{ number, status }] : []));
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
    const { options, spool, secrets, endpoints, launch } = this.#settings;
    this.#forks += 1;
    const fork = this.#forks;
    const addresses = endpoints.map(({ address }) => address);
    const start = {
      options,
      spool,
      secrets,
      number: slot,
      instance: `${this.#instance}-${fork.toString(36)}`,
      ownPermits: ownPermits(options.maxConnections, options.workers),
      lastGood: this.#script.lastGood,
      release: this.#gate?.release,
      waits: !this.#isStarted,
    };
    const worker: WorkerProcess = new WorkerProcess(start, addresses, launch, {
      heard: (message) => this.#hear(worker, message),
      hung: (silentMs) => {
        const silence = `has not answered for ${Math.round(silentMs / 1000)} s`;
        this.#settings.log.error(`worker ${slot} (process ${worker.pid}) ${silence}: killed`);
      },
      ended: (how, exitCode) => this.#ended(worker, slot, how, exitCode),
    });
    // It begins with what the others have by now.
    worker.taken = this.#lastTake;
    this.#workers.set(slot, worker);
    for (const [id, { filter }] of this.#traces) worker.send({ kind: 'trace', id, filter });
  }

  #ended(worker: WorkerProcess, slot: number, how: string, exitCode: number): void {
    this.#workers.delete(slot);
    this.#pool.takeAllBack(slot);
    if (worker.status) addCounts(this.#past, worker.status.counts);
    if (!this.#isStarted) {
      this.#failure ??= new OperatorError(`a worker process ended while it started: ${how}`, exitCode);
    } else if (!this.#isStopping) {
      this.#replace(worker, slot, how);
    }
    this.#change();
  }

  #replace(worker: WorkerProcess, slot: number, how: string): void {
    this.#restarts += 1;
    if (performance.now() - worker.startedAt > PAUSE_MS.soundMs) this.#pauseMs = PAUSE_MS.first;
    const isServed = [...this.#workers.values()].some(({ isReady }) => isReady);
    const pauseMs = Math.min(this.#pauseMs, isServed ? PAUSE_MS.most : PAUSE_MS.alone);
    this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MS.most);
    const what =
      worker.pid === undefined
        ? `worker ${slot} ${how}`
        : `worker ${slot} (process ${worker.pid}) ended: ${how}`;
    this.#settings.log.error(`${what}; another is started in ${pauseMs / 1000} s`);
    setTimeout(() => {
      if (!this.#isStopping) this.#fork(slot);
    }, pauseMs);
  }

  #hear(worker: WorkerProcess, message: FromWorker): void {
    switch (message.kind) {
      case 'loaded':
      case 'prepared':
      case 'heartbeat':
        break;
      case 'taken':
        worker.taken = message.id;
        break;
      // Of processes that are no workers.
      case 'trialLoaded':
      case 'trying':
      case 'tried':
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
        this.#script.examined(message.report);
        this.#passOn(message.report.good);
        this.#examinations.answer(message.id, message.report);
        break;
      case 'notice':
        if (this.#script.noticed(message.notice)) this.#passOn(message.notice.good);
        break;
      case 'status':
        this.#statuses.answer(message.id, message.status);
        break;
      case 'sessions':
        this.#sessions.answer(message.id, message.told);
        break;
      case 'traced':
        this.#traces.get(message.id)?.deliver(message.record);
        break;
      case 'decided':
        this.#settings.journal?.(message.decision);
        break;
      case 'shadowed':
        this.#shadow?.told(message.told);
        break;
      case 'shadowFound':
        this.#shadow?.found(message.version);
        break;
      case 'measured':
        this.#settings.metrics?.add(message.deltas);
        break;
      case 'told':
        this.#settings.events?.write(message.line);
        break;
      case 'complaint':
        this.#complain(message.message);
        break;
      case 'permitWanted':
        this.#lendPermit(worker);
        break;
      case 'permitFree':
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
    this.#change();
  }

  #lendPermit(worker: WorkerProcess): void {
    const granted = this.#pool.lend(worker.number);
    worker.send({ kind: 'permit', granted });
    if (!granted) this.#refusals.say(refusalText(this.#settings.options.maxConnections));
  }

  /** The others need not try this version. */
  #passOn(version: GoodVersion | undefined): void {
    if (version !== undefined) this.#sendAll({ kind: 'trust', version });
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
            this.#change();
          }, timeoutMs);
    while (!isOver && !holds()) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
    }
    clearTimeout(timer);
  }

  #change(): void {
    for (const goOn of this.#waiting) goOn();
    this.#waiting.clear();
  }
}
