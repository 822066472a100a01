/**
 * Measures what one callback uses: CPU time and memory, summed over the stretches in which it runs, and time passed.
 */
import { getHeapStatistics } from 'node:v8';
import { collectNow } from './garbage.ts';
import type { Budget, Limits } from './host.ts';
import { SLICE_MS } from './slice-queue.ts';

/** How much longer than a slice a callback may go on where it cannot be suspended. */
const HOLD_MS = 9;
/**
 * What counts of the time between two looks there, some 0.1 ms: the collector at work and code that is compiled for the
 * first time are not the callback's doing.
 */
const HOLD_STEP_MS = 3;
/** Looking at the heap costs 0.2 µs, so only at every tenth check. */
const CHECKS_PER_HEAP_LOOK = 10;
/** New strings are looked at sooner: a few can be a gigabyte. */
const BYTES_PER_HEAP_LOOK = 8 * 1024 * 1024;
/** What is alive, that a collection goes through in a millisecond. */
const BYTES_COLLECTED_PER_MS = 1024 * 1024;
/** After so many collections that begin one after the other, what was garbage at first is gone. */
const ENOUGH_COLLECTIONS = 2;
/** Part of V8's heap that must stay free: when it is full the process ends. */
const HEAP_RESERVE = 0.1;
/** What is taken for a full heap where V8's is larger, if it is some callbacks' share: to go through more takes seconds. */
const LARGE_HEAP = 1024 * 1024 * 1024;
const CALLBACKS_OF_LARGE_HEAP = 4;
/** Least growth for which a callback is held responsible for a full heap. */
const HEAP_SHARE = 16 * 1024 * 1024;

export interface Overrun {
  readonly budget: Budget;
  readonly message: string;
}

export class Meter {
  readonly #limits: Limits;
  #cpuLimit: number;
  /** Milliseconds used in earlier stretches. */
  #used = 0;
  #start = 0;
  /** When the stretch was first checked, and the process's CPU time in ms then; NaN before. */
  #firstCheck = 0;
  #cpuStart = Number.NaN;
  /** Whether no stretch has begun yet. */
  #first = true;
  #deadline = Number.POSITIVE_INFINITY;
  #checks = 0;
  /** Bytes in use when the callback was first looked at; NaN before. */
  #memoryStart = Number.NaN;
  /** Bytes in use when the last stretch ended, and how many more came between stretches: the work of others. */
  #memoryLeft = 0;
  #memoryOfOthers = 0;
  /** Growth at which the garbage is collected, and the same where the heap is full. */
  #collectAt = 0;
  #collectFullAt = 0;
  #stringBytes = 0;
  /** Collections since the memory was last found to be within bounds, and whether one more is due. */
  #collections = 0;
  #collectionDue = false;
  #sliceOver = false;
  /** Since the slice was over: milliseconds, the time of the last look, and the process's CPU time at the first. */
  #held = 0;
  #heldLook = 0;
  #heldCpu = 0;
  /** When the callback last began to run in a turn of the event loop of its own. */
  #turnStart = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#cpuLimit = limits.cpuMs;
  }

  /** A callback begins. `deadlineMs` counts from now, waiting included. */
  begin(deadlineMs: number | undefined): void {
    this.#cpuLimit = this.#limits.cpuMs;
    this.#used = 0;
    this.#first = true;
    this.#memoryStart = Number.NaN;
    this.#memoryOfOthers = 0;
    this.#collectAt = this.#limits.memoryBytes;
    this.#collectFullAt = HEAP_SHARE;
    this.#stringBytes = 0;
    this.#collections = 0;
    this.#collectionDue = false;
    this.#deadline = deadlineMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + deadlineMs;
  }

  /** Milliseconds until the deadline. */
  remainingMs(): number {
    return Math.max(0, this.#deadline - performance.now());
  }

  /** From here on no more than `ms` of CPU time. */
  allowOnly(ms: number): void {
    this.#cpuLimit = Math.min(this.#cpuLimit, this.#used + ms);
  }

  /** The callback runs again: in a turn of the event loop of its own, or still in the `sameTurn`. */
  resume(sameTurn = false): void {
    this.#start = performance.now();
    if (!sameTurn) this.#turnStart = this.#start;
    this.#firstCheck = this.#start;
    this.#cpuStart = this.#first ? Number.NaN : processCpu();
    this.#first = false;
    if (!Number.isNaN(this.#memoryStart)) this.#memoryOfOthers += memoryInUse() - this.#memoryLeft;
    this.#sliceOver = false;
    this.#held = 0;
  }

  /** Whether the callback has had so much of this turn of the event loop, waits included, that others should have theirs. */
  get turnOver(): boolean {
    return performance.now() - this.#turnStart > SLICE_MS;
  }

  /** The callback waits, or others have their turn. */
  suspend(): void {
    this.#used += this.#stretch(performance.now());
    if (!Number.isNaN(this.#memoryStart)) this.#memoryLeft = memoryInUse();
  }

  /** Whether others should have their turn now. */
  get sliceOver(): boolean {
    return this.#sliceOver;
  }

  /** Whether garbage is to be collected before the callback goes on, to see what of its memory is alive. */
  get collectionDue(): boolean {
    return this.#collectionDue;
  }

  /** That has been done, in time that is the callback's too. */
  collected(): void {
    this.#collectionDue = false;
    this.#collections += 1;
    this.#used += getHeapStatistics().used_heap_size / BYTES_COLLECTED_PER_MS;
  }

  /** Does it now, where the callback cannot be suspended; what is overrun, if anything. */
  collect(): Overrun | null {
    this.#collectionDue = false;
    this.#collections = ENOUGH_COLLECTIONS;
    collectNow();
    return this.#checkHeap();
  }

  /** Looks at the clock, and at the memory now and then; what is overrun, if anything. */
  check(): Overrun | null {
    const now = performance.now();
    if (Number.isNaN(this.#cpuStart)) {
      this.#firstCheck = now;
      this.#cpuStart = processCpu();
    }
    if (Number.isNaN(this.#memoryStart)) this.#memoryStart = memoryInUse();
    if (this.#sliceOver) {
      this.#held += Math.min(now - this.#heldLook, HOLD_STEP_MS);
      this.#heldLook = now;
    } else if (this.#collectionDue || now - this.#start > SLICE_MS) {
      this.#endSlice(now);
    }
    if (
      this.#used + (now - this.#start) > this.#cpuLimit &&
      this.#used + this.#stretch(now) > this.#cpuLimit
    ) {
      return { budget: 'cpu', message: `more than ${this.#limits.cpuMs} ms of CPU time used` };
    }
    if (this.#held > HOLD_MS && processCpu() - this.#heldCpu > HOLD_MS) return HELD;
    if (now > this.#deadline) return DEADLINE;
    if (this.#collectionDue) return null;
    return this.#collections > 0 || ++this.#checks % CHECKS_PER_HEAP_LOOK === 0 ? this.#checkHeap() : null;
  }

  #endSlice(now: number): void {
    this.#sliceOver = true;
    this.#heldLook = now;
    this.#heldCpu = processCpu();
  }

  /** A string of so many bytes is made; what is overrun, if anything. */
  string(bytes: number): Overrun | null {
    if (Number.isNaN(this.#memoryStart)) this.#memoryStart = memoryInUse();
    this.#stringBytes += bytes;
    if (this.#stringBytes < BYTES_PER_HEAP_LOOK) return null;
    this.#stringBytes = 0;
    return this.#checkHeap() ?? this.check();
  }

  /**
   * CPU time of this stretch. Under load the clock on the wall runs faster than the CPU works for us, so the smaller of
   * the two counts; the process's CPU time holds the work of other threads too, never less than ours. In a callback's
   * first stretch it is not read before the first check, to keep short callbacks cheap: until then the wall counts.
   */
  #stretch(now: number): number {
    if (Number.isNaN(this.#cpuStart)) return now - this.#start;
    return this.#firstCheck - this.#start + Math.min(now - this.#firstCheck, processCpu() - this.#cpuStart);
  }

  /** Garbage is in it, and garbage collected between stretches is not held against others. */
  #growth(): number {
    return memoryInUse() - this.#memoryStart - Math.max(0, this.#memoryOfOthers);
  }

  #checkHeap(): Overrun | null {
    const limit = this.#limits.memoryBytes;
    const growth = this.#growth();
    const isFull = growth > HEAP_SHARE && heapIsFull(limit);
    if (this.#collections === 0) {
      const isLarge = growth > this.#collectAt || (isFull && growth > this.#collectFullAt);
      return isLarge ? this.#askForCollection() : null;
    }
    if (growth <= limit && !isFull) {
      this.#collections = 0;
      // Not again for every bit more.
      this.#collectAt = Math.max(limit, growth + limit / 4);
      this.#collectFullAt = growth + HEAP_SHARE;
      return null;
    }
    if (this.#collections >= ENOUGH_COLLECTIONS) {
      return { budget: 'memory', message: `memory grew by more than ${Math.floor(limit / 1048576)} MiB` };
    }
    return this.#askForCollection();
  }

  #askForCollection(): Overrun | null {
    if (heapIsAtItsEnd()) return this.collect();
    this.#collectionDue = true;
    if (!this.#sliceOver) this.#endSlice(performance.now());
    return null;
  }
}

const HELD: Overrun = {
  budget: 'cpu',
  message:
    `more than ${SLICE_MS + HOLD_MS} ms of CPU time used where others cannot have their turn ` +
    '(in an error handler, or in a function that a library function has called)',
};

export const DEADLINE: Overrun = { budget: 'deadline', message: 'the time for this callback is over' };

/** User and system time of the process, in milliseconds. */
function processCpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Objects in the heap, and strings, which are outside. */
function memoryInUse(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

/** Whether a callback with so much as its limit should not have more. */
function heapIsFull(limit: number): boolean {
  const large = Math.max(LARGE_HEAP, CALLBACKS_OF_LARGE_HEAP * limit);
  return getHeapStatistics().used_heap_size > large || heapIsAtItsEnd();
}

function heapIsAtItsEnd(): boolean {
  const { used_heap_size, heap_size_limit } = getHeapStatistics();
  return used_heap_size > heap_size_limit * (1 - HEAP_RESERVE);
}
