/** One worker process as the supervisor sees it: started, listened to, and killed when it does not answer. */
import type { ProcessStatus } from '../control/process-status.ts';
import type { BoundAddress } from '../net/listen-address.ts';
import { EXIT, exitCodeOf, systemReason } from '../text/operator-error.ts';
import { confinementArguments } from './confinement.ts';
import { FIRST_SOCKET_FD, type Launch, type LaunchedProcess } from './launch.ts';
import { heapMegabytes, youngMegabytes } from './memory.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';
import { workerEnvironment } from './orphans.ts';

/** Between two polls of whether it has answered. */
const POLL_MS = 500;

/** How long the program may take to be loaded. */
const LOADING_MS = 60_000;

export interface WorkerEvents {
  heard(message: FromWorker): void;
  /** It does not answer any more, and is being killed. */
  hung(silentMs: number): void;
  /**
   * @param how `exit code 70`, `SIGKILL`
   * @param exitCode of the whole program, where this happens at its start
   */
  ended(how: string, exitCode: number): void;
}

export class WorkerProcess {
  readonly number: number;
  readonly startedAt = performance.now();
  isReady = false;
  /** It can be asked, whether or not it serves yet. */
  isPrepared = false;
  /** Number of the last order to take a version that it has carried out. */
  taken = 0;
  /** As of its last heartbeat. */
  status: ProcessStatus | undefined;
  readonly #process: LaunchedProcess;
  readonly #silenceMs: number;
  readonly #events: WorkerEvents;
  readonly #polling: NodeJS.Timeout;
  #heardAt = performance.now();
  #polledAt = performance.now();
  #isLoaded = false;
  #isKilled = false;

  /**
   * @param addresses of the sockets that `launch` hands down, in their order
   * @param launch starts the process
   */
  constructor(
    start: Omit<WorkerStart, 'kind' | 'sockets'>,
    addresses: readonly BoundAddress[],
    launch: Launch,
    events: WorkerEvents,
  ) {
    this.number = start.number;
    this.#events = events;
    this.#silenceMs = start.options.workerTimeoutMs;
    const heap = heapMegabytes(start.options);
    this.#process = launch(
      {
        program: 'worker',
        // The last one counts.
        execArgv: [
          ...process.execArgv,
          ...(heap === undefined
            ? []
            : [`--max-old-space-size=${heap}`, `--max-semi-space-size=${youngMegabytes(heap)}`]),
          ...confinementArguments(start.options, start.spool),
        ],
        env: { ...process.env, ...workerEnvironment(start.spool) },
      },
      {
        heard: (message) => this.#hear(message),
        failed: (error) => this.#end(`cannot be run: ${systemReason(error)}`, exitCodeOf(error)),
        ended: (code, signal) => this.#end(signal ?? `exit code ${code}`, EXIT.software),
      },
    );
    this.#polling = setInterval(() => this.#poll(), POLL_MS);
    const sockets = addresses.map((address, index) => ({ fd: FIRST_SOCKET_FD + index, address }));
    this.send({ kind: 'start', ...start, sockets });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  send(message: ToWorker): void {
    this.#process.send(message);
  }

  kill(): void {
    this.#isKilled = true;
    this.#process.kill();
  }

  #end(how: string, exitCode: number): void {
    clearInterval(this.#polling);
    this.isReady = false;
    this.isPrepared = false;
    this.#events.ended(how, exitCode);
  }

  #hear(message: FromWorker): void {
    this.#heardAt = performance.now();
    if (message.kind === 'loaded') this.#isLoaded = true;
    else if (message.kind === 'prepared') this.isPrepared = true;
    else if (message.kind === 'ready') {
      this.isPrepared = true;
      this.isReady = true;
    }
    if (message.kind === 'heartbeat') this.status = message.status;
    this.#events.heard(message);
  }

  #poll(): void {
    const now = performance.now();
    // This process itself may have stood still: then what the worker has said is still unread.
    if (now - this.#polledAt > 4 * POLL_MS) this.#heardAt = now;
    this.#polledAt = now;
    const silentMs = now - this.#heardAt;
    if (this.#isKilled || silentMs <= (this.#isLoaded ? this.#silenceMs : LOADING_MS)) return;
    this.kill();
    this.#events.hung(silentMs);
  }
}
