/** Answers of services as JSON that people can read, and back. */

/** Headers of a response that let in who has them. */
const SECRET_HEADERS = [
  'set-cookie',
  'set-cookie2',
  'www-authenticate',
  'authentication-info',
  'authorization',
];

/** Bytes become a text where they are one; what JSON has no word for stands in an object of one field, `$...`. */
export function encodeAnswer(value: unknown): unknown {
  if (value === undefined) return { $nothing: true };
  if (value instanceof Uint8Array) return bytesOf(Buffer.from(value));
  if (Array.isArray(value)) return value.map(encodeAnswer);
  if (value instanceof Map) return { $map: fieldsOf(value.entries()) };
  if (typeof value !== 'object' || value === null) return value;
  const fields = fieldsOf(Object.entries(value));
  return Object.keys(fields).some((name) => name.startsWith('$')) ? { $object: fields } : fields;
}

function fieldsOf(entries: Iterable<[string, unknown]>): Record<string, unknown> {
  const kept = [...entries].filter(([name]) => !SECRET_HEADERS.includes(name));
  return Object.fromEntries(kept.map(([name, item]) => [name, encodeAnswer(item)]));
}

function bytesOf(bytes: Buffer): unknown {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? { $text: text } : { $base64: bytes.toString('base64') };
}

export function decodeAnswer(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decodeAnswer);
  if (typeof value !== 'object' || value === null) return value;
  const [[name, item] = ['', undefined], ...others] = Object.entries(value);
  if (others.length === 0) {
    if (name === '$nothing') return undefined;
    if (name === '$text') return Buffer.from(String(item), 'utf8');
    if (name === '$base64') return Buffer.from(String(item), 'base64');
    if (name === '$map') return new Map(decoded(item));
    if (name === '$object') return Object.fromEntries(decoded(item));
  }
  return Object.fromEntries(decoded(value));
}

function decoded(fields: unknown): [string, unknown][] {
  if (typeof fields !== 'object' || fields === null) return [];
  return Object.entries(fields).map(([name, item]) => [name, decodeAnswer(item)]);
}
