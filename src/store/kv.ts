/** The operations of `kv`, on values as `encodeValue` made them. */
import { known, unknown } from '../asking/answer.ts';
import { storeKey } from './key.ts';
import type { Operation } from './operation.ts';
import { bytesOf, isOne, replyAnswer } from './reply.ts';
import { FOREVER, KIND, numberData, type Stored } from './stored.ts';
import { decodeValue, encodeValue, type Value } from './value.ts';

/** The largest integer that a double holds together with its neighbours. */
const LARGEST = 2 ** 53;

/** Where a policy keeps it: in which space, `''` for that of `kv` itself, and under which key. */
export interface Place {
  readonly space: string;
  readonly key: Buffer;
}

export function get(place: Place): Operation<Value | undefined> {
  return {
    ...asked('get', place),
    change: ([found]) => ({ answer: known(valueIn(found?.data)) }),
    script: `return redis.call('GET', KEYS[1])`,
    args: [],
    read: (reply) => replyAnswer(reply === null ? undefined : valueIn(bytesOf(reply))),
  };
}

/** @param ttlMs undefined: for ever */
export function set(place: Place, value: Value, ttlMs: number | undefined): Operation<true> {
  const data = encodeValue(value);
  return {
    ...asked('set', place),
    change: (_, now) => ({ answer: known(true as const), writes: [lasting(data, ttlMs, now)] }),
    script: `put(KEYS[1], ARGV[1], tonumber(ARGV[2])) return 1`,
    args: [data, lifetime(ttlMs)],
    read: () => known(true),
  };
}

/** True where nothing stood there. */
export function add(place: Place, value: Value, ttlMs: number | undefined): Operation<boolean> {
  const data = encodeValue(value);
  return {
    ...asked('add', place),
    change: ([found], now) =>
      found === undefined
        ? { answer: known(true), writes: [lasting(data, ttlMs, now)] }
        : { answer: known(false) },
    script: `if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
      put(KEYS[1], ARGV[1], tonumber(ARGV[2])) return 1`,
    args: [data, lifetime(ttlMs)],
    read: (reply) => known(isOne(reply)),
  };
}

/** The sum. The lifetime is that of a number that is made by it. @param by a whole number */
export function incr(place: Place, by: number, ttlMs: number | undefined): Operation<number> {
  const asking = asked('incr', place);
  const tooLarge = unknown('limit', `${asking.question}: beyond 2^53`);
  const noNumber = unknown('protocol', `${asking.question}: holds no number`);
  return {
    ...asking,
    change: ([found], now) => {
      const old = found === undefined ? 0 : valueIn(found.data);
      const isFloat = typeof old === 'object' && 'value' in old;
      const number = isFloat ? old.value : old;
      if (typeof number !== 'number') return { answer: noNumber };
      const sum = number + by;
      // Beyond 2^53 a double has no neighbour that is one away.
      const isLost = Number.isInteger(number) && sum - by !== number;
      if (!(Math.abs(sum) <= LARGEST) || isLost) return { answer: tooLarge };
      const data = numberData(isFloat ? KIND.float : KIND.integer, sum);
      const stored = found === undefined ? lasting(data, ttlMs, now) : { expires: found.expires, data };
      return { answer: known(sum), writes: [stored] };
    },
    script: `local old = redis.call('GET', KEYS[1])
      local kind, number = 'i', 0
      if old then
        kind = old:sub(1, 1)
        if kind ~= 'i' and kind ~= 'f' then return 'protocol' end
        number = struct.unpack('>d', old:sub(2))
      end
      local sum = number + tonumber(ARGV[1])
      if not (math.abs(sum) <= 9007199254740992) then return 'limit' end
      if number == math.floor(number) and sum - tonumber(ARGV[1]) ~= number then return 'limit' end
      local data = kind .. struct.pack('>d', sum)
      if old then keep(KEYS[1], data) else put(KEYS[1], data, tonumber(ARGV[2])) end
      return data`,
    args: [String(by), lifetime(ttlMs)],
    read: (reply) => {
      const data = bytesOf(reply);
      if (data?.length === 9) return known(data.readDoubleBE(1));
      return data?.toString() === 'limit' ? tooLarge : noNumber;
    },
  };
}

/** False where nothing was there. */
export function del(place: Place): Operation<boolean> {
  const { question, keys } = asked('del', place);
  return removal(question, keys);
}

/** Takes away what stands under one key. */
export function removal(question: string, keys: readonly Buffer[]): Operation<boolean> {
  return {
    question,
    keys,
    change: ([found]) => (found ? { answer: known(true), writes: [null] } : { answer: known(false) }),
    script: `return redis.call('DEL', KEYS[1])`,
    args: [],
    read: (reply) => known(isOne(reply)),
  };
}

/** What stands under a key as it stands: for those who look by hand. */
export function lookUp(key: Buffer): Operation<Stored | undefined> {
  return {
    question: `look ${key.toString('latin1')}`,
    keys: [key],
    change: ([found]) => ({ answer: known(found && { data: found.data, expires: found.expires }) }),
    script: `local data = redis.call('GET', KEYS[1])
      if not data then return {} end
      local left = redis.call('PTTL', KEYS[1])
      return { data, left < 0 and '' or string.format('%.17g', now() + left) }`,
    args: [],
    read: (reply) => {
      const [data, end] = Array.isArray(reply) ? reply.map(bytesOf) : [];
      if (data === undefined || end === undefined) return known(undefined);
      return known({ data, expires: end.length === 0 ? FOREVER : Number(end.toString()) });
    },
  };
}

/** Puts an entry there as it stands, or stood in another store: for those who mend by hand. */
export function restore(key: Buffer, stored: Stored): Operation<true> {
  return {
    question: `restore ${key.toString('latin1')}`,
    keys: [key],
    change: () => ({ answer: known(true as const), writes: [stored] }),
    script: `local left = tonumber(ARGV[2])
      if left == 0 then put(KEYS[1], ARGV[1], 0) else
        left = left - now()
        if left > 0 then put(KEYS[1], ARGV[1], left) end
      end
      return 1`,
    args: [stored.data, String(stored.expires === FOREVER ? 0 : Math.ceil(stored.expires))],
    read: () => known(true),
  };
}

function asked(name: string, { space, key }: Place): { question: string; keys: readonly Buffer[] } {
  const where = space === '' ? 'kv' : `kv.open(${space})`;
  return { question: `${where}.${name} ${key.toString('latin1')}`, keys: [storeKey('kv', key, space)] };
}

function valueIn(data: Buffer | undefined): Value | undefined {
  return data === undefined ? undefined : decodeValue(data);
}

function lasting(data: Buffer, ttlMs: number | undefined, now: number): Stored {
  return { data, expires: ttlMs === undefined ? FOREVER : now + ttlMs };
}

/** As `put` of redis-script.ts takes it. */
function lifetime(ttlMs: number | undefined): string {
  return String(ttlMs === undefined ? 0 : Math.max(1, Math.ceil(ttlMs)));
}
