/** The words of `smtpf-milter store`: keys, areas, values and times as an operator writes them. */

import { valueFrom } from '../../store/dump.ts';
import { passedData, passesData } from '../../store/grey.ts';
import { AREAS, type Area, parseStoreKey, type StoreName, storeKey } from '../../store/key.ts';
import { encodeValue, Float, MAX_FIELDS, MAX_VALUE_BYTES, type Value } from '../../store/value.ts';
import { EXIT, OperatorError } from '../../text/operator-error.ts';
import { latin1Of, visible } from '../../text/visible.ts';

/** An area, and in `kv` a space of it. */
export interface Field {
  readonly area: Area;
  readonly space: string;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const MAX_SECONDS = 315_360_000;
const MAX_PASSES = 1_000_000;

export const AREA_WORDS = 'kv, kv:NAME, rate, grey, client or limit';

export function wrongUse(message: string): OperatorError {
  return new OperatorError(`store ${message}`, EXIT.usage);
}

/** `kv`, `kv:NAME` of `kv.open "NAME"`, `rate`, `grey`, `client`, `limit`; undefined for anything else. */
export function fieldOf(word: string): Field | undefined {
  const [, space] = /^kv:([a-z0-9_.-]{1,32})$/.exec(word) ?? [];
  if (space !== undefined) return { area: 'kv', space };
  const area = AREAS.find((name) => name === word);
  return area === undefined ? undefined : { area, space: '' };
}

export function fieldText({ area, space }: Field): string {
  return space === '' ? area : `${area}:${space}`;
}

/** @throws OperatorError */
export function checkField(action: string, word: string): Field {
  const field = fieldOf(word);
  if (field === undefined) throw wrongUse(`${action}: ${JSON.stringify(word)}: must be ${AREA_WORDS}`);
  return field;
}

/** Bytes in one line, which `readBytes` reads: a backslash is two. */
export function bytesText(bytes: Buffer): string {
  const text = visible(bytes.toString('latin1').replaceAll('\\', '\\\\'));
  return Buffer.from(text, 'latin1').toString('utf8');
}

/** Bytes as `bytesText` shows them. @throws OperatorError */
export function readBytes(action: string, word: string): Buffer {
  const text = latin1Of(word).replace(
    /\\(?:([nrt\\])|x([0-9a-fA-F]{2})|u\{([0-9a-fA-F]{1,6})\}|)/g,
    (written, letter: string | undefined, hex: string | undefined, point: string | undefined) => {
      if (letter !== undefined) return { n: '\n', r: '\r', t: '\t' }[letter] ?? letter;
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      const code = Number.parseInt(point ?? '', 16);
      if (code <= 0x10ffff) return latin1Of(String.fromCodePoint(code));
      throw wrongUse(
        `${action}: ${JSON.stringify(word)}: ${written} is no escape: write \\\\ for a backslash, \\xHH for a byte`,
      );
    },
  );
  return Buffer.from(text, 'latin1');
}

/** @throws OperatorError where it is empty */
export function readKey(action: string, word: string): Buffer {
  const key = readBytes(action, word);
  if (key.length === 0) throw wrongUse(`${action}: an empty string is no key`);
  return key;
}

/** A key of the store by area and key. @param spec of `rate` */
export function nameOf({ area, space }: Field, key: Buffer, spec = ''): StoreName {
  const bytes = storeKey(area, key, area === 'kv' ? space : undefined, area === 'rate' ? spec : undefined);
  const name = parseStoreKey(bytes);
  if (name === undefined) throw new TypeError('a key of the store expected');
  return name;
}

/** `90`, `90s`, `30m`, `2h`, `7d`, in milliseconds. @throws OperatorError */
export function readLifetime(word: string): number {
  const [, digits = '', unit = 's'] = /^(\d{1,9}(?:\.\d{1,3})?)([smhd])?$/.exec(word) ?? [];
  const seconds = Number(digits) * (SECONDS[unit] ?? 1);
  if (seconds > 0 && seconds <= MAX_SECONDS) return seconds * 1000;
  throw wrongUse(
    `set: --ttl ${JSON.stringify(word)}: must be a time of at most ten years, such as 90, 30m, 2h or 7d`,
  );
}

/**
 * What is to stand under a key, as bytes.
 * @param isString it is taken as it stands @throws OperatorError
 */
export function readContent({ area }: Field, word: string, isString: boolean): Buffer {
  if (area === 'kv') {
    const data = encodeValue(isString ? Buffer.from(word, 'utf8') : readValue(word));
    // A byte says what it is.
    if (data.length > MAX_VALUE_BYTES + 1)
      throw wrongUse(`set: a value has at most ${MAX_VALUE_BYTES} bytes`);
    return data;
  }
  if (area === 'grey') {
    if (word === 'known') return passedData();
    throw wrongUse(`set grey: ${JSON.stringify(word)}: must be known: the attempt passes from now on`);
  }
  if (area === 'client') {
    const passes = Number(word);
    if (/^\d+$/.test(word) && passes >= 1 && passes <= MAX_PASSES) return passesData(passes);
    throw wrongUse(`set client: ${JSON.stringify(word)}: must be a number of passes, 1 to ${MAX_PASSES}`);
  }
  throw wrongUse(`set ${area}: cannot be set: \`store del ${area} KEY\` forgets what was counted`);
}

/** A number, true or false, a table as JSON (`{"a":1}`, `["x"]`), or a string with escapes. */
function readValue(word: string): Value {
  if (word === 'true' || word === 'false') return word === 'true';
  if (/^-?\d+$/.test(word) && Number.isSafeInteger(Number(word))) return Number(word) + 0;
  if (/^-?\d+\.\d+(?:e[+-]?\d+)?$/i.test(word)) return new Float(Number(word));
  return /^[[{]/.test(word) ? readTable(word) : readBytes('set', word);
}

function readTable(word: string): Value {
  const wrong = () =>
    wrongUse(`set: ${JSON.stringify(word)}: no table: write a flat one as JSON, or give --string`);
  let json: unknown;
  try {
    json = JSON.parse(word);
  } catch {
    throw wrong();
  }
  const fields: unknown[] = Array.isArray(json)
    ? json.map((item, index) => [index + 1, item])
    : Object.entries(json as Readonly<Record<string, unknown>>);
  if (fields.length > MAX_FIELDS) throw wrongUse(`set: a table has at most ${MAX_FIELDS} fields`);
  const value = valueFrom({ table: fields });
  if (value === undefined) throw wrong();
  return value;
}
