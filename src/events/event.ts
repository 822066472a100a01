/** An event that a policy tells programs of: one JSON object in one line. */
import { jsonOf } from '../text/json-text.ts';

/** A value in it; text is latin1. */
export type EventValue = string | number | boolean;

/** Text is latin1. */
export interface PolicyEventRecord {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly event: string;
  /** Absent where there is none, as in a main chunk that is looked at. */
  readonly session?: string;
  /** Of the message; absent outside of one. */
  readonly transaction?: string;
  readonly fields: readonly (readonly [name: string, value: EventValue])[];
}

/** The port by which a policy's function reaches those who read events. */
export interface Events {
  /** Takes an event, and returns at once: what cannot be kept is lost. */
  tell(event: PolicyEventRecord): void;
}

export const EVENT_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;
export const FIELD_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;
/** Names of what each event says by itself. */
export const OWN_FIELDS = ['time', 'event', 'session', 'transaction', 'truncated'];
export const MAX_FIELDS = 64;
/** Of a line, with its end. */
export const MAX_LINE_BYTES = 8192;

/** Texts that are cut keep so much. */
const LEAST_TEXT = 16;

/**
 * The event as one line of JSON, ASCII only, without line end. Bytes that are no UTF-8 stand for themselves, as `\u00e4`.
 * In a line that would be longer the longest texts are cut, and `truncated` is true.
 * @param mostBytes of the line with its end
 */
export function eventLine(
  { fields, ...event }: PolicyEventRecord,
  mostBytes: number = MAX_LINE_BYTES,
): string {
  const head = { ...event, time: new Date(event.time).toISOString() };
  const line = jsonOf({ ...head, ...Object.fromEntries(fields) });
  if (line.length < mostBytes) return line;
  let shown = fields;
  // A byte takes six characters at most.
  for (let most = mostBytes / 2; most >= LEAST_TEXT; most /= 2) {
    shown = fields.map(([name, value]) => [name, typeof value === 'string' ? cut(value, most) : value]);
    const short = jsonOf({ ...head, ...Object.fromEntries(shown), truncated: true });
    if (short.length < mostBytes) return short;
  }
  return jsonOf({ ...head, truncated: true });
}

function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  let end = most;
  // Not in the middle of a character of UTF-8.
  for (let i = 0; i < 3 && /[\x80-\xbf]/.test(text.charAt(end)); i++) end--;
  return `${text.slice(0, end)}...`;
}
