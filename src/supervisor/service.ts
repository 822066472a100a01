/** What serves connections in one process: its log, the policies, and the server; see worker.ts and serve.ts. */
import { setFlagsFromString } from 'node:v8';
import { ownFiles } from '../control/control-path.ts';
import type { Decision } from '../control/decision.ts';
import type { ProcessMeasures, ProcessStatus } from '../control/process-status.ts';
import { SessionStats } from '../control/session-stats.ts';
import { type Events, eventLine } from '../events/event.ts';
import { logEvents } from '../events/log-events.ts';
import { SliceQueue } from '../lua/context/slice-queue.ts';
import { SYSTEM } from '../lua/engine/surroundings.ts';
import { type Release, ReleasedFiles } from '../lua/script/released-files.ts';
import { ScriptFile } from '../lua/script/script-file.ts';
import type { GoodVersion } from '../lua/script/script-versions.ts';
import type { Metrics } from '../metrics/metric.ts';
import type { PolicyFactory, SessionInfo } from '../milter/policy.ts';
import { Connection, type ConnectionSettings, type ConnectionTimeouts } from '../net/connection.ts';
import { Crowd } from '../net/crowd.ts';
import type { Listener } from '../net/listener.ts';
import { type Admission, Server } from '../net/server.ts';
import type { Options } from '../options/option-table.ts';
import { messageLimitsOf } from '../options/options.ts';
import type { ScriptNotice } from '../policy/lua-policies.ts';
import type { SessionObserver } from '../policy/policy-settings.ts';
import {
  openPolicySource,
  type PolicySource,
  type PolicySourceSettings,
  servicesOf,
} from '../policy/policy-source.ts';
import { Recorder } from '../recording/recorder.ts';
import { boundToSession, Tapes } from '../recording/tapes.ts';
import { counted } from '../services/counted.ts';
import type { Services } from '../services/services.ts';
import { CanaryPolicies } from '../shadow/canary.ts';
import type { CandidateVersion } from '../shadow/candidate.ts';
import { Shadow, type Told } from '../shadow/shadow.ts';
import { ShadowedPolicies } from '../shadow/shadowed-policies.ts';
import { Spool } from '../spool/message-file.ts';
import { Logger } from '../syslog/log.ts';
import type { LogSink } from '../syslog/log-sink.ts';
import { openSink } from '../syslog/open-sink.ts';
import { connectionsWithin, openFilesLimit } from '../system/descriptors.ts';
import type { ReadSecret } from '../system/secret-file.ts';
import { systemReason } from '../text/operator-error.ts';
import { warmUp } from '../warm-up/warm-up.ts';
import { EventLoopDelay } from './event-loop-delay.ts';
import { MemoryWatch } from './memory.ts';

/** Both MTAs negotiate at once and write packets whole: what takes longer is no MTA. */
const TIMEOUTS: Omit<ConnectionTimeouts, 'idleMs'> = {
  negotiationMs: 10_000,
  packetMs: 30_000,
  progressMs: 5_000,
};

/**
 * How much the heap may grow, beyond what is alive, until V8 looks through all of it. Every buffer that the network fills
 * counts towards that, dead or alive, up to the next short collection: 30 MB. Where the heap has come to be small, as
 * after a pause, V8's own factor allows for less, and under load it looks through everything twenty times a second.
 */
const HEAP_GROWTH_PERCENT = 200;

export interface ServiceSettings {
  readonly options: Options;
  readonly spool: string;
  /** Whether it takes away what has ended in the store: one process does. */
  readonly sweeps: boolean;
  /** Files with secrets that were read at the start. */
  readonly secrets: readonly ReadSecret[];
  /** What the ids of sessions begin with. */
  readonly instance: string;
  /** Tells the operator, beside the log. */
  readonly complain: (message: string) => void;
  /** Takes what is to be said of a new version of the script; without it, that goes to the log. */
  readonly announce?: (notice: ScriptNotice) => void;
  /** The last version of the script that could run. */
  readonly lastGood?: GoodVersion | undefined;
  /** Takes every decision. */
  readonly journal?: ((decision: Decision) => void) | undefined;
  /** Takes what is to be said of a new version of the candidate of `--shadow`. */
  readonly announceShadow: (version: CandidateVersion) => void;
  readonly admission?: Admission | undefined;
  /** Takes the policy's own figures. */
  readonly metrics?: Metrics | undefined;
  /** Takes a line for each event of the policy, and says whether it can; without it they go where the log goes, or nowhere. */
  readonly tellEvent?: ((line: string) => boolean) | undefined;
}

export class Service {
  readonly log: Logger;
  readonly sink: LogSink;
  readonly stats: SessionStats;
  readonly policies: PolicySource;
  readonly #services: ReturnType<typeof servicesOf>;
  readonly #settings: ServiceSettings;
  readonly #startedAt = Date.now();
  readonly #stopping = new AbortController();
  readonly #recorder: Recorder | undefined;
  readonly #served: PolicyFactory;
  readonly #shadow: Shadow | undefined;
  readonly #tapes: Tapes | undefined;
  readonly #slices: SliceQueue;
  /** Where edits wait for their release. */
  readonly #released: ReleasedFiles | undefined;
  readonly #memory: MemoryWatch;
  readonly #loop: EventLoopDelay | undefined;
  #lastMemoryBytes = 0;
  #eventDrops = 0;
  #listening: readonly { readonly address: string; readonly port: number }[] = [];
  #server: Server | undefined;
  #warmingUp: Promise<void> | undefined;

  /** Reads no script yet and listens nowhere. */
  constructor(settings: ServiceSettings) {
    const { options, spool, complain, announce, lastGood, journal } = settings;
    // V8 ends a process that collects garbage often while its heap is nearly full. Here load is shed before it is.
    setFlagsFromString('--no-detect-ineffective-gcs-near-heap-limit');
    setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`);
    this.#settings = settings;
    this.#loop = options.metrics && new EventLoopDelay();
    this.sink = openSink(options.syslog, complain, options.logFormat);
    this.log = new Logger(this.sink, options.logLevel);
    this.stats = new SessionStats(this.log, journal);
    this.#memory = new MemoryWatch(this.log, options.workers);
    const removed = new Spool(spool).sweep();
    if (removed > 0) this.log.notice(`${removed} message files of an earlier run removed from ${spool}`);
    this.#services = servicesOf(options, this.sink, this.log, {
      ...settings,
      events: this.#events(settings),
      listening: () => this.#listening,
    });
    const { silent: _, ...services } = this.#services;
    this.#recorder = recorderOf(settings, this.log);
    const { shadow, record } = options;
    const wanted = shadow !== undefined || record !== undefined;
    this.#slices = new SliceQueue(wanted ? boundToSession : undefined);
    this.#shadow = shadow === undefined ? undefined : this.#openShadow(shadow, services);
    const takers = [this.#recorder, this.#shadow].filter((taker) => taker !== undefined);
    const tapes = wanted ? new Tapes(takers) : undefined;
    this.#tapes = tapes;
    const ports = options.metrics
      ? counted(services, (service, outcome, milliseconds) =>
          this.stats.asked(service, outcome, milliseconds),
        )
      : this.#services;
    this.#released = options.onReload.length > 0 ? new ReleasedFiles() : undefined;
    const source = {
      log: this.log,
      services: tapes?.listen(ports) ?? ports,
      spool,
      ...(tapes && { surroundings: tapes.surroundings }),
      ownFiles: ownFiles(options),
      slices: this.#slices,
    };
    this.policies = openPolicySource({
      ...source,
      options,
      sessions: tapes?.observe(this.stats) ?? this.stats,
      ...(this.#released && {
        surroundings: this.#released.in(tapes?.surroundings ?? SYSTEM),
        file: new ScriptFile(options.script, this.#released),
      }),
      ...(announce && { announce }),
      lastGood,
    });
    this.#served = this.#servedWith(source);
  }

  /** The policies that sessions get. */
  #servedWith(source: Omit<PolicySourceSettings, 'options'>): PolicyFactory {
    const { options, announceShadow } = this.#settings;
    const { canary, shadow } = options;
    if (shadow === undefined || this.#shadow === undefined) return this.policies;
    if (canary === undefined) return new ShadowedPolicies(this.policies, this.#shadow.interests);
    const observer = { watch: (session: SessionInfo) => this.stats.watch(session, true) };
    const candidate = (sessions: SessionObserver): PolicyFactory =>
      openPolicySource({
        ...source,
        options: { ...options, script: shadow, onBadScript: 'skip' },
        sessions,
        announce: announceShadow,
        consequence: 'the live policy serves',
      });
    return new CanaryPolicies(
      this.policies,
      candidate,
      this.#tapes?.observe(observer, true) ?? observer,
      canary,
    );
  }

  get connections(): number {
    return this.#server?.connections ?? 0;
  }

  /** Has new sessions run the script as it is now, or the release of it; settles when they do. */
  async take(release: Release | undefined): Promise<void> {
    if (release) {
      this.#released?.take(release);
      if (release.good) this.policies.trust(release.good);
    }
    await this.policies.take();
  }

  get isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  serve(listeners: readonly Listener[]): void {
    const { options, admission } = this.#settings;
    const crowd = new Crowd(() => this.connections);
    const settings = { ...this.#connectionSettings(this.#served, this.log), tapes: this.#tapes, crowd };
    this.#listening = listeners.flatMap(({ address }) => (address.kind === 'unix' ? [] : [address]));
    this.#server = new Server(listeners, {
      maxConnections: options.maxConnections,
      withinDescriptors: connectionsWithin(openFilesLimit()),
      hasMemory: () => this.#memory.admitsConnection(),
      admission,
      serve: (socket) => new Connection(socket, settings),
      accepted: () => crowd.joined(),
      hurries: () => this.#slices.isBusy,
      warn: (message) => this.log.warning(message),
    });
    if (options.warmUpSessions > 0) this.#warmingUp = this.#warmUp();
    void this.#shadow?.examine();
  }

  #openShadow(script: string, services: Services): Shadow {
    const { options, spool, announceShadow } = this.#settings;
    return new Shadow({
      options,
      script,
      spool,
      services,
      sink: this.sink,
      slices: this.#slices,
      ownFiles: ownFiles(options),
      announce: announceShadow,
      isShort: () => this.#memory.isShort,
      warn: (text) => this.log.error(text),
    });
  }

  /** What the shadow has compared since the last time. */
  shadowTold(): Told | undefined {
    return this.#shadow?.told();
  }

  #connectionSettings(policies: PolicyFactory, log: Logger): ConnectionSettings {
    const { options, instance } = this.#settings;
    return {
      policies,
      log,
      timeouts: { ...TIMEOUTS, idleMs: options.idleTimeoutMs },
      limits: messageLimitsOf(options),
      nextSessionId: sessionIds(instance),
      slices: this.#slices,
      room: this.#memory,
    };
  }

  async #warmUp(): Promise<void> {
    const { options, spool } = this.#settings;
    const { signal } = this.#stopping;
    const began = performance.now();
    try {
      await warmUp({
        spool: new Spool(spool),
        options,
        settingsOf: (policies, log) => this.#connectionSettings(policies, log),
        idle: () => this.connections === 0,
        stop: signal,
      });
      const milliseconds = Math.round(performance.now() - began);
      this.log.debug(`warm after ${options.warmUpSessions} sessions of its own in ${milliseconds} ms`);
    } catch (error) {
      if (!signal.aborted) this.log.debug(`no warm-up: ${systemReason(error)}`);
    }
  }

  /**
   * Stops listening; connections may go on until `graceMs` are over or `hurry` fires.
   * @param announce is told how many there are, once nobody listens.
   * @returns how many were cut off.
   */
  async stop(graceMs: number, hurry: AbortSignal, announce: (connections: number) => void): Promise<number> {
    this.#stopping.abort();
    this.#memory.stop();
    this.#loop?.stop();
    this.#shadow?.close();
    await this.#server?.acceptQueued();
    const stopped = this.#server?.shutdown(graceMs, hurry);
    announce(this.connections);
    const [cutOff] = await Promise.all([stopped, this.#warmingUp]);
    await this.#recorder?.close();
    await this.#services.store.close();
    return cutOff ?? 0;
  }

  #events({ options, tellEvent }: ServiceSettings): Events | undefined {
    if (options.events.kind === 'log') return logEvents(this.sink);
    if (tellEvent === undefined) return undefined;
    return {
      tell: (event) => {
        if (!tellEvent(eventLine(event))) this.#eventDrops += 1;
      },
    };
  }

  /** What the process has in memory; as last known where there is no descriptor left to find out. */
  #memoryBytes(): number {
    try {
      this.#lastMemoryBytes = process.memoryUsage.rss();
    } catch {
      // The system tells by a file.
    }
    return this.#lastMemoryBytes;
  }

  #measures(loop: EventLoopDelay): ProcessMeasures {
    const { user, system } = process.cpuUsage();
    const { maps, geo, store, silent } = this.#services;
    return {
      cpuSeconds: (user + system) / 1e6,
      loop: loop.latest,
      down: {
        store: store.status.state === 'down' ? 1 : 0,
        map: maps.states.filter(({ problem }) => problem !== undefined).length,
        http: silent.http.size,
        scan: silent.scan.size,
        callahead: silent.callahead.size,
        send: silent.send.size,
        geo: geo.states.filter(({ problem }) => problem !== undefined).length,
      },
    };
  }

  status(): ProcessStatus {
    return {
      pid: process.pid,
      startedAt: this.#startedAt,
      connections: this.connections,
      openSessions: this.stats.openSessions,
      memoryBytes: this.#memoryBytes(),
      memoryShort: this.#memory.isShort,
      logDrops: this.sink.dropped,
      eventDrops: this.#eventDrops,
      counts: this.stats.counts,
      maps: this.#services.maps.states,
      geo: this.#services.geo.states,
      store: this.#services.store.status,
      ...(this.#recorder && { recording: this.#recorder.status }),
      ...(this.#loop && { measures: this.#measures(this.#loop) }),
    };
  }
}

function recorderOf({ options, instance }: ServiceSettings, log: Logger): Recorder | undefined {
  const { record, recordBytes, recordSample, recordRedact, workers } = options;
  if (record === undefined) return undefined;
  return new Recorder({
    directory: record,
    maxBytes: recordBytes,
    sample: recordSample,
    redact: recordRedact,
    writers: Math.max(workers, 1),
    instance,
    log,
  });
}

/** Short, and unlike those of other processes and earlier runs. */
function sessionIds(instance: string): () => string {
  let count = 0;
  return () => {
    count += 1;
    return `${instance}.${count.toString(36)}`;
  };
}
