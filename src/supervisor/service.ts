/** What serves connections in one process: its log, the policies, and the server; see worker.ts and serve.ts. */
import { setFlagsFromString } from 'node:v8';
import { Connection, type ConnectionSettings, type ConnectionTimeouts } from '../connection.ts';
import { Account } from '../control/account.ts';
import type { Decision } from '../control/decision.ts';
import type { Listener } from '../listener.ts';
import { Logger } from '../log.ts';
import type { ScriptNotice } from '../lua/lua-policies.ts';
import { Spool } from '../message-file.ts';
import type { PolicyFactory } from '../milter/policy.ts';
import { EXIT, systemReason } from '../operator-error.ts';
import type { Options } from '../option-table.ts';
import { messageLimitsOf } from '../options.ts';
import { openPolicySource, type PolicySource } from '../policy-source.ts';
import { type Admission, Server } from '../server.ts';
import type { LogSink } from '../syslog/log-sink.ts';
import { openSink } from '../syslog/open-sink.ts';
import { warmUp } from '../warm-up/warm-up.ts';
import type { ProcessStatus } from './messages.ts';

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
const HEAP_GROWTH_PERCENT = 400;

export interface ServiceSettings {
  readonly options: Options;
  readonly spool: string;
  /** What the ids of sessions begin with. */
  readonly instance: string;
  /** Tells the operator, beside the log. */
  readonly complain: (message: string) => void;
  /** Takes what is to be said of a new version of the script; without it, that goes to the log. */
  readonly announce?: (notice: ScriptNotice) => void;
  /** Source of the last version of the script that could run. */
  readonly lastGood?: Uint8Array | undefined;
  /** Takes every decision. */
  readonly journal?: ((decision: Decision) => void) | undefined;
  readonly admission?: Admission | undefined;
}

export class Service {
  readonly log: Logger;
  readonly sink: LogSink;
  readonly account: Account;
  readonly policies: PolicySource;
  readonly #settings: ServiceSettings;
  readonly #startedAt = Date.now();
  readonly #stopping = new AbortController();
  #server: Server | undefined;
  #warmingUp: Promise<void> | undefined;

  /** Reads no script yet and listens nowhere. */
  constructor(settings: ServiceSettings) {
    const { options, spool, complain, announce, lastGood, journal } = settings;
    setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`);
    this.#settings = settings;
    this.sink = openSink(options.syslog, complain, options.logFormat);
    this.log = new Logger(this.sink, options.logLevel);
    this.account = new Account(this.log, journal);
    this.policies = openPolicySource({
      options,
      log: this.log,
      sink: this.sink,
      spool,
      account: this.account,
      ...(announce && { announce }),
      lastGood,
    });
  }

  get connections(): number {
    return this.#server?.connections ?? 0;
  }

  serve(listeners: readonly Listener[]): void {
    const { options, admission } = this.#settings;
    const settings = this.#connectionSettings(this.policies, this.log);
    this.#server = new Server(listeners, {
      maxConnections: options.maxConnections,
      admission,
      serve: (socket) => new Connection(socket, settings),
      warn: (message) => this.log.warning(message),
    });
    if (options.warmUpSessions > 0) this.#warmingUp = this.#warmUp();
  }

  #connectionSettings(policies: PolicyFactory, log: Logger): ConnectionSettings {
    const { options, instance } = this.#settings;
    return {
      policies,
      log,
      timeouts: { ...TIMEOUTS, idleMs: options.idleTimeoutMs },
      limits: messageLimitsOf(options),
      nextSessionId: sessionIds(instance),
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
    await this.#server?.acceptQueued();
    const stopped = this.#server?.shutdown(graceMs, hurry);
    announce(this.connections);
    const [cutOff] = await Promise.all([stopped, this.#warmingUp]);
    return cutOff ?? 0;
  }

  status(): ProcessStatus {
    return {
      pid: process.pid,
      startedAt: this.#startedAt,
      connections: this.connections,
      openSessions: this.account.openSessions,
      memoryBytes: process.memoryUsage.rss(),
      logDrops: this.sink.dropped,
      counts: this.account.counts,
    };
  }
}

/** What escapes every handler is our bug, after which nothing can be relied on: the process ends when `last` is done. */
export function endOnOurBugs(
  log: Logger,
  complain: (message: string) => void,
  last: () => Promise<void>,
): void {
  process.on('uncaughtException', (error) => {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log.error(`internal error, ending: ${stack}`);
    complain(`internal error: ${stack}`);
    last().finally(() => process.exit(EXIT.software));
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
