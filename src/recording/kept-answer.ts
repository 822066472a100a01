/** Answers of services as plain data, for a file, and what they were again. */
import type { Answer, Failure } from '../asking/answer.ts';
import type { ServiceName } from '../services/services.ts';
import { Float } from '../store/value.ts';
import type { KeptAnswer } from './recorded-session.ts';

/** A number that Lua holds as a float. */
interface KeptFloat {
  readonly kind: 'float';
  readonly value: number;
}

/** @param service a key that signs is never kept: of it there is only the algorithm */
export function keptAnswer(service: ServiceName, answer: Answer<unknown>): KeptAnswer {
  if (answer.kind === 'unknown') return answer;
  return { kind: 'known', value: service === 'keys' ? algorithmOf(answer.value) : packed(answer.value) };
}

/** @returns undefined where it is a key, for which something else must stand */
export function answerOf(kept: KeptAnswer): Answer<unknown> {
  if (kept.kind === 'unknown') return { ...kept, failure: kept.failure as Failure };
  return { kind: 'known', value: unpacked(kept.value) };
}

/** Bytes that it takes in memory, more or less. */
export function weightOf(value: unknown): number {
  if (typeof value === 'string') return value.length + 16;
  if (typeof value !== 'object' || value === null) return 16;
  if (value instanceof Uint8Array) return value.length + 64;
  const items = value instanceof Map ? [...value].flat() : Object.values(value);
  return items.reduce((sum: number, item) => sum + weightOf(item), 64);
}

function algorithmOf(key: unknown): unknown {
  return typeof key === 'object' && key !== null && 'algorithm' in key ? key.algorithm : null;
}

function packed(value: unknown): unknown {
  if (value instanceof Float) return { kind: 'float', value: value.value } satisfies KeptFloat;
  return mapped(value, packed);
}

function unpacked(value: unknown): unknown {
  if (isKeptFloat(value)) return new Float(value.value);
  return mapped(value, unpacked);
}

/** Plain data with each part made anew; what is no data is left out. */
function mapped(value: unknown, map: (part: unknown) => unknown): unknown {
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(map);
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [map(key), map(item)]));
  if (value instanceof Set) return new Set([...value].map(map));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, map(item)]));
}

function isKeptFloat(value: unknown): value is KeptFloat {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'float';
}
