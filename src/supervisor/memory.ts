/**
 * The memory of a process that serves connections: how much it should have, and what it does when that runs short.
 *
 * V8 ends a process whose heap is full, with all its sessions. So before that new messages are deferred, and near the end
 * new connections are closed unread; messages in progress go on, and give back what they have. Most of what is in the heap
 * may be garbage that nobody has looked for yet: it is collected before memory is called short.
 */
import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import { collectInSteps } from '../lua/context/garbage.ts';
import type { Room } from '../milter/transaction.ts';
import type { Options } from '../options/option-table.ts';
import type { Logger } from '../syslog/log.ts';

const MIB = 1024 * 1024;

/** Part of the machine's memory, or of what its control group allows, that all processes may have together. */
const SHARE_OF_MACHINE = 0.8;
/** Part of that which is V8's heap; buffers and the strings of scripts are outside. */
const HEAP_SHARE = 0.6;
/** V8's own bounds are as large; one that is larger takes long to look through. */
const LEAST_HEAP = 128 * MIB;
const MOST_HEAP = 4096 * MIB;
/** From which on more room for new objects is a small part of it. */
const ROOMY_HEAP_MIB = 1024;

/** In parts of the heap, or of the process's share of the machine, whichever is fuller. */
const SHORT_AT = 0.65;
const ENOUGH_AT = 0.55;
const FULL_AT = 0.85;
/** Growth after which garbage is looked for again. */
const STEP = 0.05;

/** Part of the heap that the headers of all messages may have: the script's copies of them come on top. */
const HEADERS_SHARE = 1 / 8;
/** So much of a message's headers may have what is left when others have taken that, up to half as much again. */
const SMALL_HEADERS = 64 * 1024;

/** After a collection nothing is collected for so many times as long, and at least so long: V8 does so by itself too. */
const PAUSE_FACTOR = 4;
const LEAST_PAUSE_MS = 500;

const POLL_MS = 10;
/** Between two polls where nothing happens. */
const REST_MS = 250;

/** The memory that each of the processes may have, heap and all. */
export function shareOfMachine(workers: number): number {
  const allowed = process.constrainedMemory();
  const machine = allowed > 0 ? Math.min(allowed, totalmem()) : totalmem();
  return (machine * SHARE_OF_MACHINE) / Math.max(workers, 1);
}

/** How large the heap of a worker process may grow, in MiB; undefined where whoever starts Node has said so already. */
export function heapMegabytes({
  heapBytes,
  workers,
}: Pick<Options, 'heapBytes' | 'workers'>): number | undefined {
  if (heapBytes > 0) return heapBytes / MIB;
  const given = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ');
  if (/--max[-_]old[-_]space[-_]size/.test(given)) return undefined;
  const heap = shareOfMachine(workers) * HEAP_SHARE;
  return Math.floor(Math.min(Math.max(heap, LEAST_HEAP), MOST_HEAP) / MIB);
}

/**
 * Half of the room for new objects, in MiB. V8's own bound, 16, is full with a thousand sessions while most of them are at
 * work still: what they have is copied twice and then looked through with all of the heap, which took a third of the time.
 *
 * @param heap of the process, in MiB
 */
export function youngMegabytes(heap: number): number {
  return heap < ROOMY_HEAP_MIB ? 16 : 32;
}

export class MemoryWatch implements Room {
  readonly #log: Logger;
  readonly #share: number;
  readonly #roomForHeaders = getHeapStatistics().heap_size_limit * HEADERS_SHARE;
  readonly #timer: NodeJS.Timeout;
  #headers = 0;
  #isShort = false;
  #polledAt = 0;
  /** What garbage is collected at. */
  #collectAt = SHORT_AT;
  #collecting = false;
  #collectNotBefore = 0;
  #tempfailed = 0;
  #refused = 0;

  /** @param workers how many processes share the machine */
  constructor(log: Logger, workers: number) {
    this.#log = log;
    this.#share = shareOfMachine(workers);
    this.#timer = setInterval(() => this.#poll(), REST_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** As of the last poll. */
  get isShort(): boolean {
    return this.#isShort;
  }

  admitsMessage(): boolean {
    this.#pollNow();
    if (this.#isShort) this.#tempfailed += 1;
    return !this.#isShort;
  }

  /** Whether a new connection is to be served. */
  admitsConnection(): boolean {
    this.#pollNow();
    if (!this.#isShort || inUse(this.#share) < FULL_AT) return true;
    this.#refused += 1;
    return false;
  }

  take(bytes: number, taken: number): boolean {
    const room = taken + bytes > SMALL_HEADERS ? this.#roomForHeaders : this.#roomForHeaders * 1.5;
    if (this.#headers + bytes > room) return false;
    this.#headers += bytes;
    return true;
  }

  free(bytes: number): void {
    this.#headers -= bytes;
  }

  #pollNow(): void {
    if (performance.now() - this.#polledAt > POLL_MS) this.#poll();
  }

  #poll(): void {
    this.#polledAt = performance.now();
    const part = inUse(this.#share);
    if (part > FULL_AT) this.#begin();
    if (this.#collecting || this.#polledAt < this.#collectNotBefore) return;
    if (this.#isShort || part > this.#collectAt) void this.#collect();
  }

  async #collect(): Promise<void> {
    this.#collecting = true;
    const began = performance.now();
    await collectInSteps();
    this.#collecting = false;
    const now = performance.now();
    this.#collectNotBefore = now + Math.max(LEAST_PAUSE_MS, PAUSE_FACTOR * (now - began));
    const part = inUse(this.#share);
    this.#collectAt = Math.max(SHORT_AT, part + STEP);
    if (part > SHORT_AT) this.#begin();
    else if (part < ENOUGH_AT) this.#end();
  }

  #begin(): void {
    if (this.#isShort) return;
    this.#isShort = true;
    const { used_heap_size, heap_size_limit, external_memory } = getHeapStatistics();
    const [heap, limit, beside] = [used_heap_size, heap_size_limit, external_memory].map(inMib);
    this.#log.warning(
      `memory is short: ${heap} of a heap of ${limit} are in use, ${beside} beside it, and ${inMib(this.#share)} is this process's share of the machine: new messages get 451 4.3.2, and near the end connections are refused, until it is not`,
    );
  }

  #end(): void {
    if (!this.#isShort) return;
    this.#isShort = false;
    this.#log.notice(
      `memory is not short any more: ${this.#tempfailed} messages were deferred, ${this.#refused} connections refused`,
    );
    this.#tempfailed = 0;
    this.#refused = 0;
  }
}

/** How full the heap or the share is, whichever is fuller. */
function inUse(share: number): number {
  const { used_heap_size, heap_size_limit, external_memory } = getHeapStatistics();
  return Math.max(used_heap_size / heap_size_limit, (used_heap_size + external_memory) / share);
}

function inMib(bytes: number): string {
  return `${Math.round(bytes / MIB)} MiB`;
}
