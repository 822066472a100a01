/** What JSON.parse gives as plain data, with its texts as bytes in UTF-8. */
import type { Plain } from '../../lua/engine/plain.ts';

const DEEPEST = 16;
/** Values of one answer that are taken; the rest is left out. */
const MOST_VALUES = 10_000;

export function plainOf(value: unknown): Plain {
  let left = MOST_VALUES;
  const convert = (item: unknown, depth: number): Plain => {
    if (left-- <= 0 || depth > DEEPEST) return undefined;
    switch (typeof item) {
      case 'string':
        return Buffer.from(item).toString('latin1');
      case 'number':
      case 'boolean':
        return item;
      case 'object':
        break;
      default:
        return undefined;
    }
    if (item === null) return undefined;
    if (Array.isArray(item)) {
      return item.map((element) => convert(element, depth + 1)).filter((element) => element !== undefined);
    }
    const fields: Record<string, Plain> = Object.create(null);
    for (const [key, element] of Object.entries(item)) {
      fields[Buffer.from(key).toString('latin1')] = convert(element, depth + 1);
    }
    return fields;
  };
  return convert(value, 0);
}
