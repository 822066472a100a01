/** The listening side at work: counts connections, refuses those above the limit, and ends in good order. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { MtaSocket } from './handle-socket.ts';
import type { Listener } from './listener.ts';
import { Slots } from './slots.ts';

/** One connection being served. */
export interface Served {
  /** Settles when the connection is over and what belongs to it is freed. Never rejects. */
  readonly closed: Promise<void>;
  /** Ends it now, whatever is in progress. */
  destroy(): void;
  /** Has the kernel look from time to time whether the other side is still there. Harmless when repeated. */
  keepAlive(): void;
}

/** Bounds the connections at a time, of this process together with others, and says so where one is refused. */
export interface Admission {
  /** Takes a place for a connection. @returns whether there was one. */
  take(): boolean | Promise<boolean>;
  free(): void;
}

export interface ServerSettings {
  /** 0: no limit. */
  readonly maxConnections: number;
  /** What this process can serve without running out of descriptors; refused beyond, whatever others count. */
  readonly withinDescriptors?: number;
  /** Whether there is memory for one more; undefined: there always is. */
  readonly hasMemory?: (() => boolean) | undefined;
  /** Who counts; undefined: this server counts its own. */
  readonly admission?: Admission | undefined;
  readonly serve: (socket: MtaSocket) => Served;
  /** Hears of each connection that is accepted. */
  readonly accepted?: (() => void) | undefined;
  /** Whether it takes long until the event loop looks at its sockets again; undefined: it never does. */
  readonly hurries?: (() => boolean) | undefined;
  readonly warn: (message: string) => void;
  /** Between two looks for connections that last. */
  readonly lookMs?: number;
}

/** Between two log lines on the same problem. */
const WARNING_INTERVAL_MS = 10_000;

/** Most connections are over by then, and were spared the system calls. */
const POLL_MS = 30_000;

/** How long connections are accepted when no more are wanted. */
const QUEUE_MS = 500;

/** How long ended connections have to clean up. */
const CLEAN_UP_MS = 2_000;

export class Server {
  readonly #listeners: readonly Listener[];
  readonly #settings: ServerSettings;
  readonly #served = new Slots<Served>();
  readonly #refusals: Throttle;
  readonly #failures: Throttle;
  readonly #looking: NodeJS.Timeout;
  #emptied: (() => void) | undefined;
  #accepted = 0;

  constructor(listeners: readonly Listener[], settings: ServerSettings) {
    this.#listeners = listeners;
    this.#settings = settings;
    this.#refusals = new Throttle(settings.warn);
    this.#failures = new Throttle(settings.warn);
    this.#looking = setInterval(() => {
      for (const connection of this.#served) connection.keepAlive();
    }, settings.lookMs ?? POLL_MS).unref();
    for (const listener of listeners) {
      listener.serveMtas(
        (socket) => this.#connected(socket),
        (error) => this.#failures.say(`a connection could not be accepted: ${error.message}`),
        settings.hurries,
      );
    }
  }

  get connections(): number {
    return this.#served.size;
  }

  /** Has those connections accepted that the kernel has made already: closing the socket would reset them. */
  async acceptQueued(): Promise<void> {
    const end = performance.now() + QUEUE_MS;
    let seen: number;
    do {
      seen = this.#accepted;
      // Between two of its turns the event loop looks at every socket, and takes one connection from its queue.
      await nextTurn();
      await nextTurn();
    } while (this.#accepted > seen && performance.now() < end);
  }

  /**
   * Stops listening and waits until all connections have ended by themselves, at most `graceMs`, or until `hurry`
   * fires; then ends the rest.
   * @returns how many had to be ended.
   */
  async shutdown(graceMs: number, hurry: AbortSignal): Promise<number> {
    for (const listener of this.#listeners) {
      const problem = listener.close();
      if (problem !== undefined) this.#settings.warn(problem);
    }
    await this.#whenEmpty(graceMs, hurry);
    const rest = [...this.#served];
    for (const connection of rest) connection.destroy();
    await this.#whenEmpty(CLEAN_UP_MS, undefined);
    clearInterval(this.#looking);
    return rest.length;
  }

  #connected(socket: MtaSocket): void | Promise<void> {
    this.#accepted += 1;
    this.#settings.accepted?.();
    const {
      maxConnections,
      admission,
      hasMemory,
      withinDescriptors = Number.POSITIVE_INFINITY,
    } = this.#settings;
    if (this.connections >= withinDescriptors) {
      socket.destroy();
      this.#refusals.say(
        `connection refused: ${withinDescriptors} are open in this process, and its limit of open files allows no more (ulimit -n, LimitNOFILE=)`,
      );
      return;
    }
    if (hasMemory?.() === false) {
      socket.destroy();
      this.#refusals.say('connection refused: memory is nearly full in this process');
      return;
    }
    const admitted = admission ? admission.take() : maxConnections === 0 || this.connections < maxConnections;
    if (admitted === true) this.#serve(socket);
    else if (admitted === false) this.#refuse(socket);
    else return admitted.then((granted) => (granted ? this.#serve(socket) : this.#refuse(socket)));
  }

  #refuse(socket: MtaSocket): void {
    socket.destroy();
    if (!this.#settings.admission) this.#refusals.say(refusalText(this.#settings.maxConnections));
  }

  #serve(socket: MtaSocket): void {
    if (socket.destroyed) {
      // The MTA has gone while it waited to be admitted.
      this.#settings.admission?.free();
      return;
    }
    const connection = this.#settings.serve(socket);
    const slot = this.#served.add(connection);
    connection.closed.then(() => {
      this.#served.remove(slot);
      this.#settings.admission?.free();
      if (this.connections === 0) this.#emptied?.();
    });
  }

  #whenEmpty(timeoutMs: number, hurry: AbortSignal | undefined): Promise<void> {
    if (this.connections === 0 || hurry?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#emptied = () => {
        clearTimeout(timer);
        resolve();
      };
      hurry?.addEventListener('abort', this.#emptied, { once: true });
    });
  }
}

export function refusalText(maxConnections: number): string {
  return `connection refused: ${maxConnections} are open already (--max-connections)`;
}

/** Says a thing at most once in a while, and then how often it was not said. */
export class Throttle {
  readonly #warn: (message: string) => void;
  #quietUntil = 0;
  #unsaid = 0;

  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  say(message: string): void {
    const now = performance.now();
    if (now < this.#quietUntil) {
      this.#unsaid += 1;
      return;
    }
    this.#warn(
      this.#unsaid === 0 ? message : `${message} (and ${this.#unsaid} times since the last such line)`,
    );
    this.#quietUntil = now + WARNING_INTERVAL_MS;
    this.#unsaid = 0;
  }
}
