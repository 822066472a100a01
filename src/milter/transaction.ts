/** What the session keeps of one message, and how much of it. */
import type { Verdict } from './policy.ts';
import type { Stage } from './verdict-effect.ts';

/** Bounds of one message: one with more headers or a longer body is refused, more recipients are deferred. */
export interface MessageLimits {
  /** All headers together. */
  readonly headerBytes: number;
  readonly bodyBytes: number;
  readonly recipients: number;
}

export const DEFAULT_MESSAGE_LIMITS: MessageLimits = {
  headerBytes: 4 * 1024 * 1024,
  bodyBytes: Number.POSITIVE_INFINITY,
  recipients: 20_000,
};

const HEADER_TOO_LARGE: Verdict = {
  kind: 'reply',
  code: 552,
  enhanced: '5.3.4',
  lines: ['Message header too large'],
};
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

  /** Keeps a header line, folds with CRLF; too much of them decides the message. */
  addHeader(line: string, limits: MessageLimits): void {
    if (this.held) return;
    this.#headerBytes += line.length + 2;
    if (this.#headerBytes > limits.headerBytes) this.held = HEADER_TOO_LARGE;
    else this.headerLines.push(line);
  }

  /** Counts bytes of the body; too many of them decide the message. */
  countBody(bytes: number, limits: MessageLimits): void {
    this.#bodyBytes += bytes;
    if (this.#bodyBytes > limits.bodyBytes) this.held ??= BODY_TOO_LARGE;
  }
}
