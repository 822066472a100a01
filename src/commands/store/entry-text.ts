/** An entry of the store in one line, for people and for programs. */
import { jsonBytes, jsonValue } from '../../store/dump.ts';
import type { StoreName } from '../../store/key.ts';
import { type Look, lookAt } from '../../store/look.ts';
import { FOREVER, type Stored } from '../../store/stored.ts';
import { Float, isFields, type Scalar, type Value } from '../../store/value.ts';
import { asciiJson } from '../../text/json-text.ts';
import { bytesText, fieldText } from './store-words.ts';

const AREA_WIDTH = 7;
const KEY_WIDTH = 40;

/** Without its line end. @param now milliseconds since the epoch */
export function entryText(name: StoreName, stored: Stored, now: number): string {
  const key = `${bytesText(name.key)}${name.isHashed ? ' (shortened)' : ''}`;
  const words = lookText(lookAt(name, stored, now), name.spec, stored.expires, now);
  return `${fieldText(name).padEnd(AREA_WIDTH)}  ${key.padEnd(KEY_WIDTH)}  ${words}`;
}

/** The same as an object of one line. */
export function entryJson(name: StoreName, stored: Stored, now: number): string {
  const { area, space, key, isHashed, spec } = name;
  return asciiJson({
    area,
    ...(space === '' ? {} : { space }),
    key: jsonBytes(key),
    ...(isHashed ? { hashed: true } : {}),
    ...(area === 'rate' ? { spec } : {}),
    ...lookJson(lookAt(name, stored, now), now),
    expires: stored.expires === FOREVER ? null : time(stored.expires),
  });
}

/** ISO 8601, with milliseconds only where there are some; in words where it is no time at all. */
function time(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? 'an unknown time' : date.toISOString().replace('.000Z', 'Z');
}

/** For people: whole seconds. */
function second(milliseconds: number): string {
  return time(Math.ceil(milliseconds / 1000) * 1000);
}

function lookText(look: Look, spec: string, expires: number, now: number): string {
  const until = expires === FOREVER ? '' : `, until ${second(expires)}`;
  switch (look.kind) {
    case 'value':
      return `${valueText(look.value)}${until}`;
    case 'rate': {
      const next = look.nextMs > 0 ? `, one more at ${second(now + look.nextMs)}` : '';
      return `${spec}: ${look.taken} of ${look.burst} taken, ${look.left} left${next}, all free at ${second(expires)}`;
    }
    case 'waiting': {
      const passes = look.passesAt === undefined ? '' : `, passes from ${second(look.passesAt)}`;
      return `waiting since ${second(look.since)}${passes}${until}`;
    }
    case 'known':
      return `known${until}`;
    case 'client':
      return `${look.passes} ${look.passes === 1 ? 'attempt' : 'attempts'} passed${until}`;
    case 'limit':
      return `${look.ends.length} ${look.ends.length === 1 ? 'place' : 'places'} taken${until}`;
    case 'foreign':
      return `${look.data.length} bytes that are no entry of this version${until}`;
    default:
      return look satisfies never;
  }
}

function lookJson(look: Look, now: number): object {
  switch (look.kind) {
    case 'value':
      return { value: jsonValue(look.value) };
    case 'rate':
      return { taken: look.taken, left: look.left, burst: look.burst, nextAt: time(now + look.nextMs) };
    case 'waiting':
      return {
        state: 'waiting',
        since: time(look.since),
        passesAt: look.passesAt === undefined ? null : time(look.passesAt),
      };
    case 'known':
      return { state: 'known' };
    case 'client':
      return { passes: look.passes };
    case 'limit':
      return { places: look.ends.length, ends: look.ends.map(time) };
    case 'foreign':
      return { data: jsonBytes(look.data) };
    default:
      return look satisfies never;
  }
}

/** As Lua would write it. */
function valueText(value: Value): string {
  if (!isFields(value)) return scalarText(value);
  const fields = value.map(([key, field]) => `[${scalarText(key)}] = ${scalarText(field)}`);
  return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`;
}

function scalarText(value: Scalar): string {
  if (Buffer.isBuffer(value)) return `"${bytesText(value).replaceAll('"', '\\"')}"`;
  if (!(value instanceof Float)) return String(value);
  return Number.isInteger(value.value) ? `${value.value}.0` : String(value.value);
}
