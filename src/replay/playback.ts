/**
 * The world of one recorded session: the services answer as they did then, clock and random numbers are those of the
 * recording. What was not asked then is not known now, and is noted.
 */
import { type Answer, unknown } from '../asking/answer.ts';
import { answerOf } from '../recording/kept-answer.ts';
import type { Entry, KeptAnswer, RecordedSession } from '../recording/recorded-session.ts';
import { askedOf } from '../services/asked.ts';
import type { ServiceName } from '../services/services.ts';
import type { Operation } from '../store/operation.ts';

/** The answer to a question changes with what is asked: it is not given a second time. */
const CHANGING: ReadonlySet<string> = new Set(['store']);

interface Answers {
  readonly kept: KeptAnswer[];
  next: number;
}

/** An operation of the store, and what came of it. */
interface Done {
  readonly operation: Operation<unknown>;
  readonly kept: KeptAnswer;
}

export class Playback {
  readonly #answers = new Map<string, Answers>();
  readonly #done: Done[] = [];
  /** What was read during each command, by its number; -1: before the first. */
  readonly #clock = new Map<number, number[]>();
  readonly #random = new Map<number, number[]>();
  readonly #times: number[] = [];
  #command = -1;
  #now: number;
  #seed: number;
  #unrecorded: string[] = [];

  /** @param operations of the store, by the entries of their answers, where they are known */
  constructor(
    { id, began, entries }: RecordedSession,
    operations: ReadonlyMap<Entry, Operation<unknown>> = new Map(),
  ) {
    this.#now = began;
    this.#seed = [...id].reduce((sum, letter) => (Math.imul(sum, 31) + letter.charCodeAt(0)) | 0, 1);
    let command = -1;
    for (const entry of entries) {
      switch (entry[0]) {
        case 'command':
          command += 1;
          this.#times.push(began + entry[2]);
          break;
        case 'clock':
          push(this.#clock, command, entry[1]);
          break;
        case 'random':
          push(this.#random, command, entry[1]);
          break;
        case 'answer': {
          const operation = operations.get(entry);
          if (operation) this.#done.push({ operation, kept: entry[3] });
          const key = `${entry[1]} ${entry[2]}`;
          const known = this.#answers.get(key);
          if (known) known.kept.push(entry[3]);
          else this.#answers.set(key, { kept: [entry[3]], next: 0 });
          break;
        }
        default:
      }
    }
  }

  /** The next command is handled. */
  step(): void {
    this.#command += 1;
    this.#now = Math.max(this.#now, this.#times[this.#command] ?? this.#now);
  }

  /** What was asked since the last time and was not recorded. */
  takeUnrecorded(): string[] {
    const found = this.#unrecorded;
    this.#unrecorded = [];
    return found;
  }

  now(): number {
    this.#now = this.#clock.get(this.#command)?.shift() ?? this.#now;
    return this.#now;
  }

  /** Takes no time but that of the recording. */
  wait(milliseconds: number): void {
    this.#now += milliseconds;
  }

  random(): number {
    const recorded = this.#random.get(this.#command)?.shift();
    if (recorded !== undefined) return recorded;
    this.#seed = (Math.imul(1103515245, this.#seed) + 12345) & 0x7fffffff;
    return this.#seed / 0x80000000;
  }

  /** The recorded answer, if there is one. */
  recall(service: ServiceName, method: string, args: readonly unknown[]): Answer<unknown> | undefined {
    const { service: name, question } = askedOf(service, method, args, false);
    const answers = this.#answers.get(`${name} ${question}`);
    if (answers === undefined) return undefined;
    const kept = answers.kept[answers.next] ?? (CHANGING.has(name) ? undefined : answers.kept.at(-1));
    answers.next += 1;
    return kept && answerOf(kept);
  }

  /** What came of the same operation, all that it was given included; each is given once. */
  recallOperation(operation: Operation<unknown>): Answer<unknown> | undefined {
    const at = this.#done.findIndex(({ operation: done }) => isSame(done, operation));
    const [found] = at < 0 ? [] : this.#done.splice(at, 1);
    return found && answerOf(found.kept);
  }

  /** The recorded answer, or that there is none. */
  ask(service: ServiceName, method: string, args: readonly unknown[]): Answer<unknown> {
    const answer = this.recall(service, method, args);
    if (answer !== undefined) return answer;
    const { service: name, question } = askedOf(service, method, args, false);
    this.#unrecorded.push(`${name} ${question}`);
    return unknown('unavailable', `${name} ${question}: not in the recording`);
  }
}

function push(lists: Map<number, number[]>, key: number, value: number): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

function isSame(one: Operation<unknown>, other: Operation<unknown>): boolean {
  return (
    one.question === other.question &&
    one.args.length === other.args.length &&
    one.args.every((arg, i) => {
      const its = other.args[i] ?? '';
      return typeof arg === 'string' || typeof its === 'string' ? arg === its : arg.equals(its);
    })
  );
}
