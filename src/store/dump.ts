/**
 * Entries of a store as lines of JSON, which can be read back byte by byte, into a store of another kind too.
 *
 * Bytes are a string where they are UTF-8 without controls, else `{"base64":"..."}`. What `kv` keeps is its `value`; all
 * else, and what would not come back as it is, stands as its bytes in `data`. `expires` is null, or milliseconds since the
 * epoch.
 */
import { isUtf8 } from 'node:buffer';
import { asciiJson } from '../text/json-text.ts';
import { AREAS, keyOf, parseStoreKey } from './key.ts';
import type { Entry } from './operation.ts';
import { FOREVER } from './stored.ts';
import { decodeValue, encodeValue, Float, isFields, type Scalar, type Value } from './value.ts';

/** Stands in the first line. */
export const DUMP_HEAD = asciiJson({ dump: 'smtpf-milter store', version: 1 });

export type JsonBytes = string | { readonly base64: string };

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
const CONTROL = /[\x00-\x1f\x7f]/;

/** Bytes in JSON. */
export function jsonBytes(bytes: Buffer): JsonBytes {
  if (!isUtf8(bytes)) return { base64: bytes.toString('base64') };
  const text = bytes.toString('utf8');
  return CONTROL.test(text) ? { base64: bytes.toString('base64') } : text;
}

/** A value of `kv` in JSON; a float is `{"float":"0.1"}`, a table `{"table":[[key, value], ...]}`. */
export function jsonValue(value: Value): unknown {
  if (!isFields(value)) return jsonScalar(value);
  return { table: value.map(([key, field]) => [jsonScalar(key), jsonScalar(field)]) };
}

function jsonScalar(value: Scalar): unknown {
  if (Buffer.isBuffer(value)) return jsonBytes(value);
  return value instanceof Float ? { float: String(value.value) } : value;
}

/** One line, without its end. */
export function dumpLine({ key, data, expires }: Entry): string {
  const name = parseStoreKey(key);
  const kept = { expires: expires === FOREVER ? null : expires };
  if (name === undefined || !keyOf(name).equals(key))
    return asciiJson({ raw: jsonBytes(key), data: jsonBytes(data), ...kept });
  return asciiJson({
    area: name.area,
    ...(name.space === '' ? {} : { space: name.space }),
    key: jsonBytes(name.key),
    ...(name.isHashed ? { hashed: true } : {}),
    ...(name.area === 'rate' ? { spec: name.spec } : {}),
    ...contentOf(name.area === 'kv' ? decodeValue(data) : undefined, data),
    ...kept,
  });
}

function contentOf(value: Value | undefined, data: Buffer): { value: unknown } | { data: JsonBytes } {
  if (value !== undefined) {
    const json = jsonValue(value);
    const back = valueFrom(JSON.parse(asciiJson(json)));
    if (back !== undefined && encodeValue(back).equals(data)) return { value: json };
  }
  return { data: jsonBytes(data) };
}

/** Reads a line; undefined where it is none of a dump, `'head'` for the first. */
export function readDumpLine(line: string): Entry | 'head' | undefined {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isObject(json)) return undefined;
  if (json.dump !== undefined) return line.trim() === DUMP_HEAD ? 'head' : undefined;
  const key = json.raw === undefined ? namedKey(json) : bytesOf(json.raw);
  const data = dataOf(json);
  const { expires = null } = json;
  if (key === undefined || key.length === 0 || data === undefined || data.length === 0) return undefined;
  if (expires !== null && (typeof expires !== 'number' || !Number.isFinite(expires))) return undefined;
  return { key, data, expires: expires ?? FOREVER };
}

function namedKey({
  area: word,
  space = '',
  key: text,
  hashed = false,
  spec = '',
}: JsonObject): Buffer | undefined {
  const area = AREAS.find((name) => name === word);
  const key = bytesOf(text);
  if (area === undefined || key === undefined || key.length === 0) return undefined;
  if (typeof space !== 'string' || typeof spec !== 'string' || typeof hashed !== 'boolean') return undefined;
  return keyOf({ area, space, key, isHashed: hashed, spec });
}

function dataOf({ value, data }: JsonObject): Buffer | undefined {
  if (data !== undefined) return bytesOf(data);
  const read = valueFrom(value);
  return read === undefined ? undefined : encodeValue(read);
}

/** What `jsonValue` made; undefined for anything else. */
export function valueFrom(json: unknown): Value | undefined {
  if (!isObject(json) || !Array.isArray(json.table)) return scalarOf(json);
  const fields: [Buffer | number, Scalar][] = [];
  for (const pair of json.table) {
    if (!Array.isArray(pair) || pair.length !== 2) return undefined;
    const [key, field] = [scalarOf(pair[0]), scalarOf(pair[1])];
    if (field === undefined || (typeof key !== 'number' && !Buffer.isBuffer(key))) return undefined;
    fields.push([key, field]);
  }
  return fields;
}

function scalarOf(json: unknown): Scalar | undefined {
  if (typeof json === 'boolean') return json;
  if (typeof json === 'number') return Number.isInteger(json) ? json : new Float(json);
  if (isObject(json) && typeof json.float === 'string') return new Float(Number(json.float));
  return bytesOf(json);
}

function bytesOf(json: unknown): Buffer | undefined {
  if (typeof json === 'string') return Buffer.from(json, 'utf8');
  if (!isObject(json) || typeof json.base64 !== 'string') return undefined;
  const bytes = Buffer.from(json.base64, 'base64');
  return bytes.toString('base64') === json.base64 ? bytes : undefined;
}

/** What may stand in a line. */
interface JsonObject {
  readonly dump?: unknown;
  readonly raw?: unknown;
  readonly area?: unknown;
  readonly space?: unknown;
  readonly key?: unknown;
  readonly hashed?: unknown;
  readonly spec?: unknown;
  readonly value?: unknown;
  readonly data?: unknown;
  readonly expires?: unknown;
  readonly table?: unknown;
  readonly float?: unknown;
  readonly base64?: unknown;
}

function isObject(json: unknown): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
