/**
 * Recorded sessions without what people wrote, or who they are. Lengths stay as they are, and the same word becomes the
 * same word in all of a session: in packets, questions, answers and replies.
 *
 * The words are made with a key of the session's own that nobody keeps: they tell nothing, and no two sessions apart.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { SMFIC } from '../milter/constants.ts';
import type { Modification } from '../milter/reply.ts';
import type { Redaction } from '../options/option-table.ts';
import type { Entry } from './recorded-session.ts';

/** What ends the local part before an `@`, seen from there: blanks, brackets, and signs between addresses. */
const ENDS = new Set(' \t\r\n\v\f<>@"(),;:=\\[]|/\0');
const LOGIN_MACROS = /^\{?auth_(?:authen|author)\}?$/;
/** Shorter ones stand in any word. */
const LEAST_NAME = 3;
/** Names of a session that are told apart. */
const MAX_NAMES = 10_000;
/** How long it works before others have their turn. */
const TURN_MS = 3;

export async function redacted(
  entries: readonly Entry[],
  what: readonly Redaction[],
): Promise<readonly Entry[]> {
  if (what.length === 0) return entries;
  const names = what.includes('addresses') ? new Pseudonyms(entries) : undefined;
  const text = (value: string): string => names?.inText(value) ?? value;
  const kept: Entry[] = [];
  let began = performance.now();
  for (const entry of entries) {
    kept.push(redactedEntry(entry, what, text));
    if (performance.now() - began < TURN_MS) continue;
    await setImmediate();
    began = performance.now();
  }
  return kept;
}

function redactedEntry(entry: Entry, what: readonly Redaction[], text: (value: string) => string): Entry {
  switch (entry[0]) {
    case 'command': {
      const [, packet, at] = entry;
      return ['command', redactedPacket(packet, what, text), at];
    }
    case 'reply':
      return ['reply', mapTexts(entry[1], text)];
    case 'edit':
      return ['edit', redactedEdit(mapTexts(entry[1], text), what)];
    case 'answer': {
      const [, service, question, answer] = entry;
      return ['answer', service, text(question), mapTexts(answer, text)];
    }
    default:
      return entry;
  }
}

function redactedPacket(packet: Buffer, what: readonly Redaction[], text: (value: string) => string): Buffer {
  const command = packet[0];
  if (command === SMFIC.OPTNEG) return packet;
  const isBody = command === SMFIC.BODY || command === SMFIC.BODYEOB;
  if (isBody && what.includes('body')) return blanked(packet, 1);
  if (command === SMFIC.HEADER && what.includes('headers')) return blanked(packet, packet.indexOf(0) + 1);
  return Buffer.from(text(packet.toString('latin1')), 'latin1');
}

/** Letters in the place of all that is no white space, from `at` on. */
function blanked(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  for (let i = at; i < copy.length; i++) if ((copy[i] ?? 0) > 0x20) copy[i] = 0x78;
  return copy;
}

/** What a policy makes of a message may hold it. */
function redactedEdit(edit: Modification, what: readonly Redaction[]): Modification {
  if (edit.kind === 'replaceBody' && what.includes('body')) return { ...edit, bytes: blanked(edit.bytes, 0) };
  if ('value' in edit && what.includes('headers')) {
    return { ...edit, value: blanked(Buffer.from(edit.value, 'latin1'), 0).toString('latin1') };
  }
  return edit;
}

class Pseudonyms {
  readonly #key = randomBytes(32);
  readonly #known = new Map<string, string>();
  readonly #logins: RegExp | undefined;

  constructor(entries: readonly Entry[]) {
    const logins = new Set(entries.flatMap(loginsIn));
    const words = [...logins].filter((login) => login.length >= LEAST_NAME);
    if (words.length === 0) return;
    const escaped = words.map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
    this.#logins = new RegExp(`(?<![A-Za-z0-9])(?:${escaped.join('|')})(?![A-Za-z0-9@])`, 'gi');
  }

  inText(text: string): string {
    const shown = this.#inAddresses(text);
    return this.#logins === undefined ? shown : shown.replace(this.#logins, (name) => this.#of(name));
  }

  #inAddresses(text: string): string {
    let shown = '';
    let done = 0;
    for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
      let from = at;
      while (from > done && !ENDS.has(text.charAt(from - 1))) from -= 1;
      shown += text.slice(done, from) + this.#of(text.slice(from, at));
      done = at;
    }
    return shown + text.slice(done);
  }

  /** As long as the name. */
  #of(name: string): string {
    const low = name.toLowerCase();
    let word = this.#known.get(low);
    if (word === undefined) {
      if (this.#known.size >= MAX_NAMES) return 'x'.repeat(name.length);
      word = this.#new(low);
      this.#known.set(low, word);
    }
    return word;
  }

  #new(name: string): string {
    let letters = '';
    for (let i = 0; letters.length < name.length; i++) {
      const digest = createHmac('sha256', this.#key).update(`${i} ${name}`, 'latin1').digest();
      for (const byte of digest) letters += String.fromCharCode(0x61 + (byte % 26));
    }
    return letters.slice(0, name.length);
  }
}

/** Who has logged in, as the MTA's macros say. */
function loginsIn(entry: Entry): string[] {
  if (entry[0] !== 'command' || entry[1][0] !== SMFIC.MACRO) return [];
  const parts = entry[1].toString('latin1', 2).split('\0');
  return parts.flatMap((name, i) => {
    const value = parts[i + 1];
    if (i % 2 !== 0 || value === undefined || !LOGIN_MACROS.test(name)) return [];
    return [value.replace(/@.*$/, '')];
  });
}

/** The same with other texts; bytes are texts too. */
export function mapTexts<Value>(value: Value, text: (latin1: string) => string): Value;
export function mapTexts(value: unknown, text: (latin1: string) => string): unknown {
  if (typeof value === 'string') return text(value);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) {
    return Buffer.from(text(Buffer.from(value).toString('latin1')), 'latin1');
  }
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, text));
  if (value instanceof Map) {
    return new Map([...value].map(([key, item]) => [mapTexts(key, text), mapTexts(item, text)]));
  }
  // What tells one form from another is a word of ours.
  const fields = Object.entries(value).map(([key, item]) => [
    key,
    key === 'kind' ? item : mapTexts(item, text),
  ]);
  return Object.fromEntries(fields);
}
