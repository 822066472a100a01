/** One worker process as the supervisor sees it: started, listened to, and killed when it does not answer. */
import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FromWorker, ProcessStatus, ToWorker, WorkerStart } from './messages.ts';

/** Beside this file, compiled or not as this file is. */
const PROGRAM = fileURLToPath(new URL(`worker${extname(import.meta.url)}`, import.meta.url));

/** stdin, stdout, stderr and the channel come before the sockets. */
const FIRST_SOCKET_FD = 4;

/** Between two looks at whether it has answered. */
const LOOK_MS = 500;

/** How long the program may take to be loaded. */
const LOADING_MS = 60_000;

export interface WorkerEvents {
  heard(message: FromWorker): void;
  /** It does not answer any more, and is being killed. */
  hung(silentMs: number): void;
  /** @param how `exit code 70`, `SIGKILL` */
  ended(how: string): void;
}

export class WorkerProcess {
  readonly number: number;
  readonly startedAt = performance.now();
  isReady = false;
  /** As of its last beat. */
  status: ProcessStatus | undefined;
  readonly #child: ChildProcess;
  readonly #silenceMs: number;
  readonly #events: WorkerEvents;
  readonly #looking: NodeJS.Timeout;
  #heardAt = performance.now();
  #lookedAt = performance.now();
  #isLoaded = false;
  #isKilled = false;

  /** @param descriptors of the sockets, as they are in this process */
  constructor(
    start: Omit<WorkerStart, 'kind' | 'sockets'>,
    sockets: readonly { readonly fd: number; readonly address: WorkerStart['sockets'][number]['address'] }[],
    events: WorkerEvents,
  ) {
    this.number = start.number;
    this.#events = events;
    this.#silenceMs = start.options.workerTimeoutMs;
    this.#child = fork(PROGRAM, [], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...sockets.map(({ fd }) => fd)],
      serialization: 'advanced',
    });
    this.#child.on('message', (message: FromWorker) => this.#hear(message));
    this.#child.on('error', () => {});
    this.#child.on('exit', (code, signal) => {
      clearInterval(this.#looking);
      this.isReady = false;
      events.ended(signal ?? `exit code ${code}`);
    });
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
    const inherited = sockets.map(({ address }, index) => ({ fd: FIRST_SOCKET_FD + index, address }));
    this.send({ kind: 'start', ...start, sockets: inherited });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(message: ToWorker): void {
    // It may end at any moment: what could not be sent is of no consequence then.
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  kill(): void {
    this.#isKilled = true;
    this.#child.kill('SIGKILL');
  }

  #hear(message: FromWorker): void {
    this.#heardAt = performance.now();
    if (message.kind === 'loaded') this.#isLoaded = true;
    else if (message.kind === 'ready') this.isReady = true;
    else if (message.kind === 'beat') this.status = message.status;
    this.#events.heard(message);
  }

  #look(): void {
    const now = performance.now();
    // This process itself may have stood still: then what the worker has said is still unread.
    if (now - this.#lookedAt > 4 * LOOK_MS) this.#heardAt = now;
    this.#lookedAt = now;
    const silentMs = now - this.#heardAt;
    if (this.#isKilled || silentMs <= (this.#isLoaded ? this.#silenceMs : LOADING_MS)) return;
    this.kill();
    this.#events.hung(silentMs);
  }
}
