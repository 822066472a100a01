/** How much there is per second, of late. */
import { type Counts, noCounts, VERDICT_NAMES, type VerdictName } from './counts.ts';

/** Per second, over the last minute, or since the start where that is less. */
export interface Rates {
  readonly overSeconds: number;
  readonly sessions: number;
  readonly messages: Readonly<Record<VerdictName, number>>;
  readonly scriptErrors: number;
}

type Counted = Pick<Counts, 'sessions' | 'messages' | 'scriptErrors'>;

/** Between two notes. */
const STEP_MS = 5_000;
const WINDOW_MS = 60_000;

export class RateWindow {
  readonly #read: () => Counted;
  readonly #now: () => number;
  /** The oldest first. */
  #notes: { readonly at: number; readonly counted: Counted }[];
  readonly #timer: NodeJS.Timeout;

  /**
   * @param read gives the counts since the start
   * @param now milliseconds of a clock that never goes back
   */
  constructor(read: () => Counted, now: () => number = () => performance.now()) {
    this.#read = read;
    this.#now = now;
    this.#notes = [{ at: now(), counted: noCounts() }];
    this.#timer = setInterval(() => this.note(), STEP_MS).unref();
  }

  /** Takes note of the counts as they are; once in a while. */
  note(): void {
    const at = this.#now();
    const { sessions, messages, scriptErrors } = this.#read();
    this.#notes = this.#notes.filter((note) => note.at >= at - WINDOW_MS);
    this.#notes.push({ at, counted: { sessions, messages: { ...messages }, scriptErrors } });
  }

  /** @param current the counts as they are now */
  rates(current: Counted): Rates {
    const at = this.#now();
    const oldest = this.#notes.find((note) => note.at >= at - WINDOW_MS) ?? this.#notes.at(-1);
    const seconds = Math.max(1, (at - (oldest?.at ?? at)) / 1000);
    const { counted = noCounts() } = oldest ?? {};
    const rate = (now: number, then: number) => Math.max(0, Math.round(((now - then) / seconds) * 100) / 100);
    const messages = VERDICT_NAMES.map((name) => [
      name,
      rate(current.messages[name], counted.messages[name]),
    ]);
    return {
      overSeconds: Math.round(seconds),
      sessions: rate(current.sessions, counted.sessions),
      messages: Object.fromEntries(messages),
      scriptErrors: rate(current.scriptErrors, counted.scriptErrors),
    };
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
