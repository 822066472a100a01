/**
 * Values that a policy keeps, as bytes: one letter for the type, then the value. Strings are bytes and stay as they are,
 * numbers are doubles, which hold integers up to 2^53 exactly; that a number is an integer in Lua is kept.
 */
import { KIND } from './stored.ts';

/** A number that Lua holds as a float, `3.0` included; plain numbers are integers. */
export class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

export type Scalar = Buffer | number | Float | boolean;
/** Fields by their keys: strings and integers. */
export type Fields = readonly (readonly [key: Buffer | number, value: Scalar])[];
export type Value = Scalar | Fields;

export const MAX_FIELDS = 64;
export const MAX_VALUE_BYTES = 65_536;

export function encodeValue(value: Value): Buffer {
  if (!isFields(value)) return encodeScalar(value);
  const parts: Buffer[] = [Buffer.from([KIND.table])];
  for (const field of value) {
    for (const part of field) {
      const bytes = encodeScalar(part);
      const length = Buffer.allocUnsafe(4);
      length.writeUInt32BE(bytes.length);
      parts.push(length, bytes);
    }
  }
  return Buffer.concat(parts);
}

/** What `encodeValue` was given; undefined for bytes that are no value. */
export function decodeValue(data: Buffer): Value | undefined {
  if (data[0] !== KIND.table) return decodeScalar(data);
  const items: Scalar[] = [];
  let at = 1;
  while (at + 4 <= data.length) {
    const end = at + 4 + data.readUInt32BE(at);
    const item = decodeScalar(data.subarray(at + 4, end));
    if (item === undefined || end > data.length) return undefined;
    items.push(item);
    at = end;
  }
  const fields: [Buffer | number, Scalar][] = [];
  for (let index = 0; index + 1 < items.length; index += 2) {
    const [key, value] = [items[index], items[index + 1]];
    if (value === undefined || (typeof key !== 'number' && !Buffer.isBuffer(key))) return undefined;
    fields.push([key, value]);
  }
  return at === data.length && fields.length * 2 === items.length ? fields : undefined;
}

export function isFields(value: Value): value is Fields {
  return Array.isArray(value);
}

function encodeScalar(value: Scalar): Buffer {
  if (Buffer.isBuffer(value)) return Buffer.concat([Buffer.from([KIND.string]), value]);
  if (typeof value === 'boolean') return Buffer.from([KIND.boolean, value ? 1 : 0]);
  const bytes = Buffer.allocUnsafe(9);
  bytes[0] = typeof value === 'number' ? KIND.integer : KIND.float;
  bytes.writeDoubleBE(typeof value === 'number' ? value : value.value, 1);
  return bytes;
}

function decodeScalar(data: Buffer): Scalar | undefined {
  switch (data[0]) {
    case KIND.string:
      return Buffer.from(data.subarray(1));
    case KIND.boolean:
      return data.length === 2 ? data[1] === 1 : undefined;
    case KIND.integer:
      return data.length === 9 ? data.readDoubleBE(1) : undefined;
    case KIND.float:
      return data.length === 9 ? new Float(data.readDoubleBE(1)) : undefined;
    default:
      return undefined;
  }
}
