/** What the entries of a store mean, for those who look by hand. */

import type { StoreName } from './key.ts';
import { placesIn } from './places.ts';
import { type Level, levelOf } from './rate.ts';
import { KIND, numberIn, type Stored } from './stored.ts';
import { decodeValue, type Value } from './value.ts';

/** Times are milliseconds since the epoch. */
export type Look =
  | { readonly kind: 'value'; readonly value: Value }
  | ({ readonly kind: 'rate' } & Level)
  /** @property passesAt by the delay that the policy gave at first; undefined where that was not kept */
  | { readonly kind: 'waiting'; readonly since: number; readonly passesAt: number | undefined }
  | { readonly kind: 'known' }
  | { readonly kind: 'client'; readonly passes: number }
  | { readonly kind: 'limit'; readonly ends: readonly number[] }
  | { readonly kind: 'foreign'; readonly data: Buffer };

export function lookAt({ area, spec }: StoreName, stored: Stored, now: number): Look {
  const foreign: Look = { kind: 'foreign', data: stored.data };
  switch (area) {
    case 'kv': {
      const value = decodeValue(stored.data);
      return value === undefined ? foreign : { kind: 'value', value };
    }
    case 'rate': {
      const level = levelOf(stored, spec, now);
      return level === undefined ? foreign : { kind: 'rate', ...level };
    }
    case 'grey':
      return sightOf(stored) ?? foreign;
    case 'client': {
      const passes = numberIn(KIND.passes, stored);
      return passes === undefined ? foreign : { kind: 'client', passes };
    }
    case 'limit':
      return stored.data[0] === KIND.places ? { kind: 'limit', ends: placesIn(stored, now) } : foreign;
    default:
      return area satisfies never;
  }
}

function sightOf(stored: Stored): Look | undefined {
  const first = numberIn(KIND.sight, stored);
  if (first === undefined) return undefined;
  if (first === 0) return { kind: 'known' };
  const delayMs = stored.data.length === 17 ? stored.data.readDoubleBE(9) : undefined;
  return { kind: 'waiting', since: first, passesAt: delayMs === undefined ? undefined : first + delayMs };
}
