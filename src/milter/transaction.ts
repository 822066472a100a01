/** What the session keeps of one message, and how much of it. */
import type { Verdict } from './policy.ts';
import type { Stage } from './verdict-effect.ts';

/** Bounds of one message: one with more headers or a longer body is refused, more recipients are deferred. */
export interface MessageLimits {
  /** All headers together. */
  readonly headerBytes: number;
  /** How many there may be. */
  readonly headers: number;
  readonly bodyBytes: number;
  readonly recipients: number;
}

/** What the messages of a process may keep, all together. */
export interface Room {
  /** Whether there is enough for one message more. */
  admitsMessage(): boolean;
  /** Takes bytes for a message that has `taken` already. @returns false where there are not so many; none is taken then. */
  take(bytes: number, taken: number): boolean;
  free(bytes: number): void;
}

export const DEFAULT_MESSAGE_LIMITS: MessageLimits = {
  headerBytes: 4 * 1024 * 1024,
  headers: 10_000,
  bodyBytes: Number.POSITIVE_INFINITY,
  recipients: 20_000,
};

const HEADER_TOO_LARGE: Verdict = {
  kind: 'reply',
  code: 552,
  enhanced: '5.3.4',
  lines: ['Message header too large'],
};
const TOO_MANY_HEADERS: Verdict = {
  kind: 'reply',
  code: 552,
  enhanced: '5.3.4',
  lines: ['Message has too many headers'],
};
const SHORT_OF_MEMORY: Verdict = {
  kind: 'reply',
  code: 451,
  enhanced: '4.3.2',
  lines: ['Insufficient memory, try again later'],
};
/** What a header line takes in memory beside its bytes. */
const LINE_OVERHEAD_BYTES = 100;
const BODY_TOO_LARGE: Verdict = { kind: 'reply', code: 552, enhanced: '5.3.4', lines: ['Message too large'] };

/** One message, from MAIL to whatever ends it; a new one is a new object. */
export class Transaction {
  readonly headerLines: string[] = [];
  #headerBytes = 0;
  #bodyBytes = 0;
  recipients = 0;
  dataAsked = false;
  /** Header, body or end has come: the envelope is complete. */
  contentBegun = false;
  headersAsked = false;
  /** The policy wants no more events of these kinds. */
  readonly skipped = new Set<Stage>();
  /** A verdict that waits for an event which takes a reply. */
  held: Verdict | undefined;
  /** The policy is told nothing of its end. */
  unseen = false;
  readonly #room: Room | undefined;
  #taken = 0;

  /** @param room undefined: without bound */
  constructor(room?: Room) {
    this.#room = room;
  }

  /** Answers a new message with a tempfail where there is no room for one more. @returns that verdict */
  tempfailWhenShort(): Verdict | undefined {
    if (this.#room?.admitsMessage() !== false) return undefined;
    this.unseen = true;
    this.held = SHORT_OF_MEMORY;
    return this.held;
  }

  /** Gives back what it has taken. Harmless when repeated. */
  free(): void {
    if (this.#taken > 0) this.#room?.free(this.#taken);
    this.#taken = 0;
  }

  /** Keeps a header line, folds with CRLF; too much of them decides the message. */
  addHeader(line: string, limits: MessageLimits): void {
    if (this.held) return;
    this.#headerBytes += line.length + 2;
    if (this.#headerBytes > limits.headerBytes) this.#refuse(HEADER_TOO_LARGE);
    else if (this.headerLines.length >= limits.headers) this.#refuse(TOO_MANY_HEADERS);
    else if (!this.#take(line.length + LINE_OVERHEAD_BYTES)) this.#refuse(SHORT_OF_MEMORY);
    else this.headerLines.push(line);
  }

  #take(bytes: number): boolean {
    if (this.#room?.take(bytes, this.#taken) === false) return false;
    this.#taken += bytes;
    return true;
  }

  /** Nobody will see its headers. */
  #refuse(verdict: Verdict): void {
    this.held = verdict;
    this.headerLines.length = 0;
    this.free();
  }

  /** Counts bytes of the body; too many of them decide the message. */
  countBody(bytes: number, limits: MessageLimits): void {
    this.#bodyBytes += bytes;
    if (this.#bodyBytes > limits.bodyBytes) this.held ??= BODY_TOO_LARGE;
  }
}
