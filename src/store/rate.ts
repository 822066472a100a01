/**
 * Limits of a rate, by the generic cell rate algorithm: a bucket is one number, the theoretical arrival time (TAT), which
 * each take puts off by a step.
 *
 * The TAT is kept multiplied by the count of the rate, in which a step is the period: all numbers are whole then, and
 * "7/s" lets through 7, not 6 after some rounding. One further than the burst beyond now (the clock was set back) is cut
 * to it, and written back even where the take is refused: nobody is locked out for longer than one period.
 */
import { type Answer, known } from '../asking/answer.ts';
import { storeKey } from './key.ts';
import { removal } from './kv.ts';
import type { Change, Operation } from './operation.ts';
import { textsOf } from './reply.ts';
import { KIND, numberData, numberIn, type Stored } from './stored.ts';

export interface Rate {
  /** The rate in its shortest form: `200/h`, or `200/h,50`. */
  readonly spec: string;
  readonly count: number;
  readonly periodMs: number;
  readonly burst: number;
}

export type Taken =
  | { readonly kind: 'taken'; readonly left: number }
  /** @property retryMs until a take of this cost is let through @property spec the rate that refuses, as it was written */
  | { readonly kind: 'refused'; readonly retryMs: number; readonly spec: string };

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
export const MAX_COUNT = 1_000_000;

/** `200/h`, or `200/h,50` with a burst of 50; undefined for anything else. */
export function parseRate(text: string): Rate | undefined {
  const [, number, unit = '', most] = /^(\d{1,7})\/([smhd])(?:,(\d{1,7}))?$/.exec(text) ?? [];
  const periodMs = UNITS[unit];
  const count = Number(number);
  const burst = Number(most ?? number);
  if (periodMs === undefined || !isCount(count) || !isCount(burst)) return undefined;
  return { spec: `${count}/${unit}${burst === count ? '' : `,${burst}`}`, count, periodMs, burst };
}

function isCount(number: number): boolean {
  return number >= 1 && number <= MAX_COUNT;
}

/** Within Redis: cost, then count, period and burst of each rate. */
const TAKE = `local time, cost = now(), tonumber(ARGV[1])
  local tats, cuts, left, refused, longest = {}, {}, nil, nil, -1
  for i, key in ipairs(KEYS) do
    local count, period, burst = tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i]), tonumber(ARGV[3*i+1])
    local data = redis.call('GET', key)
    local at, tau = time * count, period * burst
    local tat = (data and data:sub(1, 1) == 'R' and #data == 9) and struct.unpack('>d', data:sub(2)) or at
    if tat > at + tau then tat = at + tau cuts[i] = tat end
    if tat < at then tat = at end
    local new = tat + period * cost
    local over = (new - at - tau) / count
    if over > 0 and over > longest then refused, longest = i, over end
    local rest = math.floor((tau - (new - at)) / period)
    if not left or rest < left then left = rest end
    tats[i] = new
  end
  for i, key in ipairs(KEYS) do
    local count = tonumber(ARGV[3*i-1])
    local tat = cuts[i]
    if not refused and cost > 0 then tat = tats[i] end
    if tat then put(key, 'R' .. struct.pack('>d', tat), math.ceil(tat / count) - time) end
  end
  if refused then return { 'refused', tostring(refused), string.format('%.17g', longest) } end
  return { 'taken', tostring(left) }`;

/** Takes from all buckets, or from none where one refuses: of several that do, the one that does so for longest is told. */
class Take implements Operation<Taken> {
  readonly keys: readonly Buffer[];
  readonly writesMostly: boolean;
  readonly script = TAKE;
  readonly #key: Buffer;
  readonly #rates: readonly Rate[];
  readonly #cost: number;

  constructor(key: Buffer, rates: readonly Rate[], cost: number) {
    this.#key = key;
    this.#rates = rates;
    this.#cost = cost;
    this.writesMostly = cost > 0;
    this.keys = rates.map(({ spec }) => bucketKey(key, spec));
  }

  get question(): string {
    const specs = this.#rates.map(({ spec }) => spec).join(' ');
    return `rate.take ${this.#key.toString('latin1')} ${specs}${this.#cost === 1 ? '' : ` cost ${this.#cost}`}`;
  }

  get args(): readonly string[] {
    const rates = this.#rates.flatMap(({ count, periodMs, burst }) => [count, periodMs, burst]);
    return [this.#cost, ...rates].map(String);
  }

  change(found: readonly (Stored | undefined)[], now: number): Change<Taken> {
    return taking(found, now, this.#rates, this.#cost);
  }

  read(reply: unknown): Answer<Taken> {
    const [kind, first, second] = textsOf(reply);
    if (kind === 'taken') return known({ kind, left: Number(first) });
    const spec = this.#rates[Number(first) - 1]?.spec ?? '';
    return known({ kind: 'refused', retryMs: Number(second), spec });
  }
}

/** @param rates different ones, at least one @param cost whole, at most the least burst; 0 looks */
export function take(key: Buffer, rates: readonly Rate[], cost: number): Operation<Taken> {
  return new Take(key, rates, cost);
}

/** Empties a bucket; false where it was. */
export function reset(key: Buffer, { spec }: Rate): Operation<boolean> {
  return removal(`rate.reset ${key.toString('latin1')} ${spec}`, [bucketKey(key, spec)]);
}

function bucketKey(key: Buffer, spec: string): Buffer {
  return storeKey('rate', key, undefined, spec);
}

function taking(
  found: readonly (Stored | undefined)[],
  time: number,
  rates: readonly Rate[],
  cost: number,
): Change<Taken> {
  const now = Math.floor(time);
  let left = Number.POSITIVE_INFINITY;
  let refused: { spec: string; retryMs: number } | undefined;
  const levels = rates.map(({ spec, count, periodMs, burst }, index) => {
    const at = now * count;
    const tau = periodMs * burst;
    const kept = numberIn(KIND.bucket, found[index]) ?? at;
    const tat = Math.max(at, Math.min(kept, at + tau));
    const next = tat + periodMs * cost;
    const retryMs = (next - at - tau) / count;
    if (retryMs > (refused?.retryMs ?? 0)) refused = { spec, retryMs };
    left = Math.min(left, Math.floor((tau - (next - at)) / periodMs));
    return { next, cut: kept > at + tau ? tat : undefined, count };
  });
  const takes = refused === undefined && cost > 0;
  const writes = levels.map(({ next, cut, count }) => {
    const tat = takes ? next : cut;
    return tat === undefined
      ? undefined
      : { data: numberData(KIND.bucket, tat), expires: Math.ceil(tat / count) };
  });
  return { writes, answer: known(refused ? { kind: 'refused', ...refused } : { kind: 'taken', left }) };
}

/** How full a bucket is. */
export interface Level {
  readonly taken: number;
  readonly left: number;
  readonly burst: number;
  /** Until one more may be taken; 0 where one may. */
  readonly nextMs: number;
}

/** For those who look by hand; undefined where it is no bucket. @param spec as in the key */
export function levelOf(found: Stored, spec: string, now: number): Level | undefined {
  const rate = parseRate(spec);
  const tat = numberIn(KIND.bucket, found);
  if (rate === undefined || tat === undefined) return undefined;
  const { count, periodMs, burst } = rate;
  const tau = periodMs * burst;
  const ahead = Math.min(Math.max(0, tat - Math.floor(now) * count), tau);
  const left = Math.floor((tau - ahead) / periodMs);
  return { taken: burst - left, left, burst, nextMs: Math.max(0, (ahead + periodMs - tau) / count) };
}
