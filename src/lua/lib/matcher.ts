/**
 * Matching a compiled pattern: lstrlib.c's match with its recursion laid out as a list of points to go back to, so that
 * a long search can be put aside at any of them and taken up again.
 */
import {
  BACK_REFERENCE,
  BALANCED,
  BYTE,
  CLOSE,
  END_OF_SUBJECT,
  FEWEST,
  FRONTIER,
  MALFORMED,
  MATCH,
  MOST,
  OPEN,
  OPTIONAL,
  type Pattern,
  POSITION,
  SET,
  type Step,
} from './pattern.ts';

/** MAXCCALLS of lstrlib.c: how deep its match may be nested. */
const MAX_DEPTH = 200;

export type Progress = 'matched' | 'failed' | 'paused';

/** A pattern that cannot be matched; the message is Lua's. */
export class PatternError extends Error {}

/** Bytes that are looked at in one go; after them the search may be paused. */
const STRETCH = 65_536;

/** Step, position and, for MOST, the smallest end still to be tried: three numbers for each point to go back to. */
const POINT = 3;
const UNFINISHED = -2;

export class Matcher {
  readonly subject: Uint8Array;
  readonly pattern: Pattern;
  /** Where each capture begins and ends; a position capture has the end -1. */
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  /** The match found last: bytes [start, end) of the subject. */
  start = 0;
  end = 0;
  /** How many steps may be made until the search is paused; the caller fills it up. */
  fuel = 0;
  readonly #anchored: boolean;
  readonly #points: number[] = [];
  #depth = 0;
  /** In the middle of a match; #resumeAt: before the one that begins there; #scanned: how far a long item has been taken. */
  #paused = false;
  #resumeAt: number | null = null;
  #scanned = -1;
  /** How many brackets were open there. */
  #open = 0;
  #index = 0;
  #at = 0;

  constructor(subject: Uint8Array, pattern: Pattern, anchored: boolean) {
    this.subject = subject;
    this.pattern = pattern;
    this.#anchored = anchored;
  }

  /**
   * Looks for the first match that begins at `from` or behind it, or goes on with a search that was paused.
   * @throws PatternError
   */
  search(from: number): Progress {
    let progress: Progress = 'failed';
    let next = this.#resumeAt ?? from;
    this.#resumeAt = null;
    if (this.#paused) {
      this.#paused = false;
      if (this.#scanned >= 0) progress = this.#run(this.#index, this.#at);
      else progress = this.#retreat() ?? this.#run(this.#index + 1, this.#at);
      if (progress !== 'failed' || this.#anchored) return progress;
      next = this.start + 1;
    }
    for (;;) {
      if (this.fuel < 0) {
        this.#resumeAt = next;
        return 'paused';
      }
      const start = this.#nextStart(next);
      if (start < 0) return 'failed';
      this.fuel--;
      if (start - next >= STRETCH) {
        next = start; // What was passed counts first.
        continue;
      }
      progress = this.#match(start);
      if (progress !== 'failed' || this.#anchored) return progress;
      next = start + 1;
    }
  }

  /**
   * The first place at `from` or behind it where a match can begin, or -1; a place STRETCH bytes or more behind `from`
   * may be none.
   */
  #nextStart(from: number): number {
    const { subject, pattern } = this;
    if (from > subject.length) return -1;
    if (this.#anchored || pattern.first === null) return from;
    if (pattern.firstByte >= 0) {
      const found = subject.indexOf(pattern.firstByte, from);
      this.fuel -= ((found < 0 ? subject.length : found) - from) >> 4;
      return found;
    }
    const { first } = pattern;
    const end = Math.min(subject.length, from + STRETCH);
    let at = from;
    while (at < end && first[subject[at] ?? 0] !== 1) at++;
    this.fuel -= at - from;
    return at < subject.length ? at : -1;
  }

  #match(start: number): Progress {
    this.start = start;
    this.#depth = 0;
    return this.#run(0, start);
  }

  /** Matches from step `index` at `position` on, going back where it does not fit. */
  #run(index: number, position: number): Progress {
    const { subject, starts, ends } = this;
    const { steps } = this.pattern;
    const length = subject.length;
    let at = position;
    for (let i = index; ; i++) {
      const step = steps[i];
      if (step === undefined) return 'failed';
      let next = at; // Where the match goes on behind this step; -1 when the step does not fit.
      switch (step.op) {
        case MATCH:
          this.fuel -= 4;
          this.end = at;
          return 'matched';
        case BYTE:
          next = at < length && subject[at] === step.byte ? at + 1 : -1;
          break;
        case SET:
          next = at < length && step.set[subject[at] ?? 0] === 1 ? at + 1 : -1;
          break;
        case MOST: {
          const { set } = step;
          if (this.#scanned >= 0) next = this.#scanned;
          this.#scanned = -1;
          const from = next;
          const stretch = Math.min(length, from + STRETCH);
          while (next < stretch && set[subject[next] ?? 0] === 1) next++;
          this.fuel -= next - from;
          if (next === stretch && next < length) {
            this.#pauseAt(i, at, next);
            return 'paused';
          }
          const least = at + step.least;
          if (next > least) this.#push(i, next, least);
          else if (next < least) next = -1;
          break;
        }
        case FEWEST:
          this.#push(i, at, 0);
          break;
        case OPTIONAL:
          if (at < length && step.set[subject[at] ?? 0] === 1) {
            this.#push(i, at, 0);
            next = at + 1;
          }
          break;
        case OPEN:
          starts[step.capture] = at;
          break;
        case CLOSE:
          ends[step.capture] = at;
          break;
        case POSITION:
          starts[step.capture] = at;
          ends[step.capture] = -1;
          break;
        case END_OF_SUBJECT:
          next = at === length ? at : -1;
          break;
        default:
          next = this.#rare(step, at);
          if (next === UNFINISHED) {
            this.#pauseAt(i, at, this.#scanned);
            return 'paused';
          }
      }
      if (next < 0) {
        const retreat = this.#retreat();
        if (retreat !== null) return retreat;
        i = this.#index;
        next = this.#at;
      }
      at = next;
    }
  }

  /** Remembers that the long item `index`, which begins at `at`, has been taken up to `scanned`. */
  #pauseAt(index: number, at: number, scanned: number): void {
    this.#paused = true;
    this.#index = index;
    this.#at = at;
    this.#scanned = scanned;
  }

  /** Where the match goes on behind `step`, or -1; UNFINISHED when there is more to look at. */
  #rare(step: Step, at: number): number {
    const { subject } = this;
    switch (step.op) {
      case BACK_REFERENCE: {
        const from = this.starts[step.capture] ?? 0;
        const size = (this.ends[step.capture] ?? 0) - from;
        // A position capture has no text; lstrlib.c compares its length, which is huge, and fails.
        if (size < 0 || subject.length - at < size) return -1;
        this.fuel -= size;
        return Buffer.compare(subject.subarray(from, from + size), subject.subarray(at, at + size)) === 0
          ? at + size
          : -1;
      }
      case BALANCED:
        return this.#balanced(step, at);
      case FRONTIER: {
        const before = at === 0 ? 0 : (subject[at - 1] ?? 0);
        return step.set[before] === 0 && step.set[subject[at] ?? 0] === 1 ? at : -1;
      }
      case MALFORMED:
        throw new PatternError(step.message);
      default:
        throw new Error(`pattern step ${step.op}`);
    }
  }

  #balanced(step: Step, at: number): number {
    const { subject } = this;
    if (at >= subject.length || subject[at] !== step.byte) return -1;
    const resumed = this.#scanned >= 0;
    const from = resumed ? this.#scanned : at + 1;
    let open = resumed ? this.#open : 1;
    this.#scanned = -1;
    const stretch = Math.min(subject.length, from + STRETCH);
    for (let i = from; i < stretch; i++) {
      const byte = subject[i];
      if (byte === step.closing) {
        if (--open === 0) {
          this.fuel -= i - from;
          return i + 1;
        }
      } else if (byte === step.byte) open++;
    }
    this.fuel -= stretch - from;
    if (stretch === subject.length) return -1;
    this.#scanned = stretch;
    this.#open = open;
    return UNFINISHED;
  }

  /** Remembers a place to go back to. */
  #push(index: number, at: number, least: number): void {
    if (this.#depth >= MAX_DEPTH) throw new PatternError('pattern too complex');
    const points = this.#points;
    const base = this.#depth++ * POINT;
    points[base] = index;
    points[base + 1] = at;
    points[base + 2] = least;
  }

  /** Goes back to the last place where there is another way: null, with the place in #index and #at, when there is. */
  #retreat(): 'failed' | 'paused' | null {
    const points = this.#points;
    while (this.#depth > 0) {
      if (--this.fuel < 0) {
        this.#paused = true;
        return 'paused';
      }
      const base = (this.#depth - 1) * POINT;
      const index = points[base] ?? 0;
      const at = points[base + 1] ?? 0;
      const least = points[base + 2] ?? 0;
      const step = this.pattern.steps[index];
      let next = at;
      if (step?.op === MOST) next = this.#shorter(step, at, least);
      else if (step?.op === FEWEST) next = this.#longer(step, at);
      points[base + 1] = next;
      if (next < 0 || step?.op === OPTIONAL || (step?.op === MOST && next === least)) this.#depth--;
      if (next < 0) continue;
      this.#index = index;
      this.#at = next;
      return null;
    }
    return 'failed';
  }

  /** For MOST: the next smaller end after which the pattern can go on, or -1; in a long stretch, one where it may not. */
  #shorter(step: Step, at: number, least: number): number {
    const stop = Math.max(least, at - STRETCH);
    let end = at - 1;
    if (step.next >= 0) while (end > stop && this.subject[end] !== step.next) end--;
    this.fuel -= at - end;
    return end >= least ? end : -1;
  }

  /** For FEWEST: the next larger end after which the pattern can go on, or -1; in a long stretch, one where it may not. */
  #longer(step: Step, at: number): number {
    const { subject } = this;
    const { set, next } = step;
    const stop = at + STRETCH;
    let end = at;
    while (end < subject.length && set[subject[end] ?? 0] === 1) {
      end++;
      if (next < 0 || subject[end] === next || end === stop) {
        this.fuel -= end - at;
        return end;
      }
    }
    this.fuel -= end - at;
    return -1;
  }
}
