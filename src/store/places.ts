/**
 * Places of which only so many may be taken at a time: the list of those who have one, each with an end that they put off
 * while they live. Those of a worker that died are free at that end.
 *
 * An entry is its kind and, for each place, 16 bytes of the holder and 8 of the end (a double, milliseconds).
 */
import { known } from '../asking/answer.ts';
import { storeKey } from './key.ts';
import type { Operation } from './operation.ts';
import { isOne } from './reply.ts';
import { KIND, type Stored } from './stored.ts';

export const MAX_PLACES = 1000;
/** Bytes that name a holder. */
export const HOLDER_BYTES = 16;
const PLACE_BYTES = HOLDER_BYTES + 8;
const NOBODY = Buffer.alloc(0);

interface PlaceHeld {
  readonly holder: Buffer;
  readonly expires: number;
}

/** Reads the holders in `data`, without `mine`; an end further away than `ttl` was set before the clock was set back. */
const SCRIPT_PLACES = `local time, ttl, mine = now(), tonumber(ARGV[1]), ARGV[2]
  local data = redis.call('GET', KEYS[1])
  local held = {}
  if data and data:sub(1, 1) == 'L' then
    for at = 2, #data - 23, 24 do
      local ends = math.min(struct.unpack('>d', data:sub(at + 16, at + 23)), time + ttl)
      if ends > time and data:sub(at, at + 15) ~= mine then
        held[#held + 1] = data:sub(at, at + 15) .. struct.pack('>d', ends)
      end
    end
  end
  local function write()
    if #held == 0 then redis.call('DEL', KEYS[1]) else put(KEYS[1], 'L' .. table.concat(held), ttl) end
  end
  local function join() held[#held + 1] = mine .. struct.pack('>d', time + ttl) write() end
`;

/** True where there was one of `places` free: `holder` has it for `ttlMs`. */
export function acquire(key: Buffer, places: number, ttlMs: number, holder: Buffer): Operation<boolean> {
  return {
    ...asked('acquire', key),
    change: ([found], now) => {
      const held = heldIn(found, holder, now, ttlMs);
      if (held.length >= places) return { answer: known(false) };
      return { answer: known(true), writes: [joined(held, holder, now, ttlMs)] };
    },
    script: `${SCRIPT_PLACES} if #held >= tonumber(ARGV[3]) then return 0 end join() return 1`,
    args: [String(ttlMs), holder, String(places)],
    read: (reply) => known(isOne(reply)),
  };
}

/** Puts off the end of a place; takes it anew where it has been lost meanwhile. */
export function renew(key: Buffer, ttlMs: number, holder: Buffer): Operation<true> {
  return {
    ...asked('renew', key),
    change: ([found], now) => ({
      answer: known(true as const),
      writes: [joined(heldIn(found, holder, now, ttlMs), holder, now, ttlMs)],
    }),
    script: `${SCRIPT_PLACES} join() return 1`,
    args: [String(ttlMs), holder],
    read: () => known(true),
  };
}

/** Gives a place back. */
export function release(key: Buffer, ttlMs: number, holder: Buffer): Operation<true> {
  return {
    ...asked('release', key),
    change: ([found], now) => {
      const held = heldIn(found, holder, now, ttlMs);
      return { answer: known(true as const), writes: [held.length === 0 ? null : storedOf(held)] };
    },
    script: `${SCRIPT_PLACES} write() return 1`,
    args: [String(ttlMs), holder],
    read: () => known(true),
  };
}

function asked(name: string, key: Buffer): { question: string; keys: readonly Buffer[] } {
  return { question: `limit.${name} ${key.toString('latin1')}`, keys: [storeKey('limit', key)] };
}

/** When the places end that are taken, for those who look by hand; milliseconds since the epoch. */
export function placesIn(found: Stored, now: number): number[] {
  return heldIn(found, NOBODY, now, Number.POSITIVE_INFINITY).map(({ expires }) => expires);
}

/** Those who have a place, but for one. */
function heldIn(found: Stored | undefined, but: Buffer, now: number, ttlMs: number): PlaceHeld[] {
  const held: PlaceHeld[] = [];
  if (found === undefined || found.data[0] !== KIND.places) return held;
  for (let at = 1; at + PLACE_BYTES <= found.data.length; at += PLACE_BYTES) {
    const holder = found.data.subarray(at, at + HOLDER_BYTES);
    // One further away was set before the clock was set back.
    const expires = Math.min(found.data.readDoubleBE(at + HOLDER_BYTES), now + ttlMs);
    if (expires > now && !holder.equals(but)) held.push({ holder, expires });
  }
  return held;
}

function joined(held: readonly PlaceHeld[], holder: Buffer, now: number, ttlMs: number): Stored {
  return storedOf([...held, { holder, expires: now + ttlMs }]);
}

function storedOf(held: readonly PlaceHeld[]): Stored {
  const data = Buffer.allocUnsafe(1 + held.length * PLACE_BYTES);
  data[0] = KIND.places;
  held.forEach(({ holder, expires }, index) => {
    holder.copy(data, 1 + index * PLACE_BYTES);
    data.writeDoubleBE(expires, 1 + index * PLACE_BYTES + HOLDER_BYTES);
  });
  return { data, expires: held.reduce((last, { expires }) => Math.max(last, expires), 0) };
}
