/**
 * Measures what one callback uses: CPU time and memory, summed over the stretches in which it runs, and time passed.
 */
import { getHeapStatistics } from 'node:v8';
import type { Budget, Limits } from '../engine/host.ts';
import { collectNow } from './garbage.ts';
import { SLICE_MS, type SliceQueue } from './slice-queue.ts';

/** How much longer than a slice a callback may go on where it cannot be suspended. */
const HOLD_MS = 9;
/**
 * What counts of the time between two looks there, some 0.1 ms: the collector at work and code that is compiled for the
 * first time are not the callback's doing.
 */
const HOLD_STEP_MS = 3;
/** From here on others share a turn of the event loop with a stretch. */
const LONG_MS = 1;
/** Up to here the process's CPU time is not asked for, which takes about 1 µs, and 100 where its other threads are at work. */
const SHORT_STRETCH_MS = 1;
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
  readonly #slices: SliceQueue;
  #cpuLimit: number;
  /** Milliseconds used in earlier stretches. */
  #used = 0;
  #start = 0;
  /** When the process's CPU time was first read in the stretch, and what it was in ms then; NaN before. */
  #firstCheck = 0;
  #cpuStart = Number.NaN;
  /** Whether the stretch that begins next is short more often than not: the first one, or one after a wait. */
  #maybeShort = true;
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
  /** Most bytes that the callback may have of its own, while it is to be looked at what it has; NaN else. */
  #suspectedOf = Number.NaN;
  /** By how much the process's memory had grown then. */
  #suspectedFor = 0;
  /** It was found to have more. */
  #hasTooMuch = false;
  #sliceOver = false;
  /** Since the slice was over: milliseconds, the time of the last look, and the process's CPU time at the first. */
  #held = 0;
  #heldLook = 0;
  #heldCpu = 0;
  /** Whether this stretch has been told of as a long one. */
  #isLong = false;

  /** @param slices is told of stretches that are long */
  constructor(limits: Limits, slices: SliceQueue) {
    this.#limits = limits;
    this.#slices = slices;
    this.#cpuLimit = limits.cpuMs;
  }

  /** A callback begins. `deadlineMs` counts from now, waiting included. */
  begin(deadlineMs: number | undefined): void {
    this.#cpuLimit = this.#limits.cpuMs;
    this.#used = 0;
    this.#maybeShort = true;
    this.#memoryStart = Number.NaN;
    this.#memoryOfOthers = 0;
    this.#collectAt = this.#limits.memoryBytes;
    this.#collectFullAt = HEAP_SHARE;
    this.#stringBytes = 0;
    this.#collections = 0;
    this.#collectionDue = false;
    this.#suspectedOf = Number.NaN;
    this.#hasTooMuch = false;
    this.#deadline = deadlineMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + deadlineMs;
  }

  /** CPU time that the callback has used up to `now`, in milliseconds. A short stretch is taken for what the clock says. */
  cpuMs(now: number): number {
    const stretch = now - this.#start < SHORT_STRETCH_MS ? now - this.#start : this.#stretch(now);
    return this.#used + stretch;
  }

  /** Milliseconds until the deadline. */
  remainingMs(): number {
    return Math.max(0, this.#deadline - performance.now());
  }

  /** From here on no more than `ms` of CPU time. */
  allowOnly(ms: number): void {
    this.#cpuLimit = Math.min(this.#cpuLimit, this.#used + ms);
  }

  /** The callback runs again. */
  resume(): void {
    this.#start = performance.now();
    this.#isLong = false;
    this.#firstCheck = this.#start;
    this.#cpuStart = this.#maybeShort ? Number.NaN : processCpu();
    if (!Number.isNaN(this.#memoryStart)) this.#memoryOfOthers += memoryInUse() - this.#memoryLeft;
    this.#sliceOver = false;
    this.#held = 0;
  }

  /** The callback waits, or others have their turn. */
  suspend(waits: boolean): void {
    this.#used += this.#stretch(performance.now());
    this.#maybeShort = waits;
    if (!Number.isNaN(this.#memoryStart)) this.#memoryLeft = memoryInUse();
  }

  /** So much more CPU time is the callback's: work that it causes and that is done while it does not run. */
  spend(ms: number): void {
    this.#used += ms;
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

  /** Does it now, where the callback cannot be suspended. */
  collect(): void {
    this.#collectionDue = false;
    this.#collections = ENOUGH_COLLECTIONS;
    collectNow();
    this.#checkHeap();
  }

  /**
   * Most bytes that the callback may have added to what its session keeps; NaN where there is no suspicion that it has
   * more. The process's memory has grown by more, but so it does by the work of others, when garbage of this one has been
   * collected meanwhile: `found` is to be called with what is the callback's own before it goes on.
   */
  get suspectedOf(): number {
    return this.#suspectedOf;
  }

  /** @param own bytes that the callback has added, as counted in its own state; some milliseconds went into that */
  found(own: number, ms: number): void {
    const most = this.#suspectedOf;
    this.#suspectedOf = Number.NaN;
    this.#used += ms;
    // What host functions keep for a script may not be seen there: no doubt is left where the process would end else.
    if (own > most || (this.#suspectedFor > this.#limits.memoryBytes && heapIsAtItsEnd())) {
      this.#hasTooMuch = true;
      return;
    }
    this.#memoryStart = memoryInUse() - own;
    this.#memoryLeft = memoryInUse();
    this.#memoryOfOthers = 0;
    this.#withinBounds(own);
  }

  /** Looks at the clock, and at the memory now and then; what is overrun, if anything. */
  check(): Overrun | null {
    const now = performance.now();
    if (Number.isNaN(this.#cpuStart) && now - this.#start >= SHORT_STRETCH_MS) {
      this.#firstCheck = now;
      this.#cpuStart = processCpu();
    }
    if (Number.isNaN(this.#memoryStart)) this.#memoryStart = memoryInUse();
    if (!this.#isLong && now - this.#start > LONG_MS) {
      this.#isLong = true;
      this.#slices.noteLong(this.#start);
    }
    if (this.#sliceOver) {
      this.#held += Math.min(now - this.#heldLook, HOLD_STEP_MS);
      this.#heldLook = now;
    } else if (this.#mustStop || now - this.#start > SLICE_MS) {
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
    if (this.#hasTooMuch) return this.#tooMuch();
    if (this.#mustStop) return null;
    if (this.#collections > 0 || ++this.#checks % CHECKS_PER_HEAP_LOOK === 0) this.#checkHeap();
    return null;
  }

  /** Whether the callback may not go on before its memory has been looked at. */
  get #mustStop(): boolean {
    return this.#collectionDue || !Number.isNaN(this.#suspectedOf);
  }

  #tooMuch(): Overrun {
    const limit = Math.floor(this.#limits.memoryBytes / 1048576);
    return { budget: 'memory', message: `memory grew by more than ${limit} MiB` };
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
    if (!this.#mustStop) this.#checkHeap();
    return this.check();
  }

  /**
   * CPU time of this stretch. Under load the clock on the wall runs faster than the CPU works for us, so the smaller of
   * the two counts; the process's CPU time holds the work of other threads too, never less than ours. In a callback's
   * first stretch, and after a wait, it is not read in the first millisecond, to keep short ones cheap: until then the
   * wall counts.
   */
  #stretch(now: number): number {
    if (Number.isNaN(this.#cpuStart)) return now - this.#start;
    return this.#firstCheck - this.#start + Math.min(now - this.#firstCheck, processCpu() - this.#cpuStart);
  }

  /** Garbage is in it, and garbage collected between stretches is not held against others. */
  #growth(): number {
    return memoryInUse() - this.#memoryStart - Math.max(0, this.#memoryOfOthers);
  }

  #checkHeap(): void {
    const limit = this.#limits.memoryBytes;
    const growth = this.#growth();
    const isFull = growth > HEAP_SHARE && heapIsFull(limit);
    if (this.#collections === 0) {
      if (growth > this.#collectAt || (isFull && growth > this.#collectFullAt)) this.#askForCollection();
    } else if (growth <= limit && !isFull) {
      this.#withinBounds(growth);
    } else if (this.#collections < ENOUGH_COLLECTIONS) {
      this.#askForCollection();
    } else {
      this.#suspectedOf = isFull ? HEAP_SHARE : limit;
      this.#suspectedFor = growth;
      this.#stop();
    }
  }

  /** Not looked at again for every bit more. */
  #withinBounds(growth: number): void {
    const limit = this.#limits.memoryBytes;
    this.#collections = 0;
    this.#collectAt = Math.max(limit, growth + limit / 4);
    this.#collectFullAt = growth + HEAP_SHARE;
  }

  #askForCollection(): void {
    if (heapIsAtItsEnd()) {
      this.collect();
      return;
    }
    this.#collectionDue = true;
    this.#stop();
  }

  #stop(): void {
    if (!this.#sliceOver) this.#endSlice(performance.now());
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
