/**
 * Greylisting: one atomic step for each attempt.
 *
 * A first sight is kept until the end of its window (with the delay, for those who look by hand), one that passed for
 * `ttlMs` from the last pass. A network of which enough attempts passed needs no delay. Ends are moved at most once an
 * hour, so that most attempts of a known sender write nothing.
 */
import { type Answer, known } from '../asking/answer.ts';
import { storeKey } from './key.ts';
import type { Change, Operation } from './operation.ts';
import { textsOf } from './reply.ts';
import { KIND, numberData, numberIn, type Stored } from './stored.ts';

export interface Attempt {
  /** What is greylisted: client, sender and recipient. */
  readonly key: Buffer;
  /** The client's network. */
  readonly network: Buffer;
  readonly delayMs: number;
  readonly windowMs: number;
  readonly ttlMs: number;
  /** Passes after which a network needs no delay; 0: never. */
  readonly auto: number;
}

export type Sighting =
  | { readonly passed: true; readonly why: 'passed' | 'known' | 'client' }
  | { readonly passed: false; readonly why: 'new' | 'early'; readonly leftMs: number };

/** How far an end is moved at least. */
const GRAIN_MS = 3_600_000;
/** Where a sight that passed has the time of the first one. */
const PASSED = 0;

/** Within Redis: delay, window, ttl and auto. */
const CHECK = `local time = now()
  local delay, window, ttl, auto = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
  local grain = math.min(3600000, ttl / 100)
  local function number(key, kind)
    local data = redis.call('GET', key)
    if data and data:sub(1, 1) == kind and (#data == 9 or #data == 17) then return struct.unpack('>d', data:sub(2)), data end
  end
  local function refresh(key, data)
    if redis.call('PTTL', key) < ttl - grain then put(key, data, ttl) end
  end
  local passes, client
  if auto > 0 then passes, client = number(KEYS[2], 'C') end
  if auto > 0 and (passes or 0) >= auto then
    refresh(KEYS[2], client)
    return { 'client', '0' }
  end
  local first, sight = number(KEYS[1], 'G')
  if first == 0 then
    refresh(KEYS[1], sight)
    return { 'known', '0' }
  end
  if not first or first > time or time >= first + window then
    put(KEYS[1], 'G' .. struct.pack('>dd', time, delay), window)
    return { 'new', tostring(delay) }
  end
  if time < first + delay then return { 'early', string.format('%.17g', first + delay - time) } end
  put(KEYS[1], 'G' .. struct.pack('>d', 0), ttl)
  if auto > 0 then put(KEYS[2], 'C' .. struct.pack('>d', (passes or 0) + 1), ttl) end
  return { 'passed', '0' }`;

class Check implements Operation<Sighting> {
  readonly keys: readonly Buffer[];
  readonly script = CHECK;
  readonly #attempt: Attempt;

  constructor(attempt: Attempt) {
    this.#attempt = attempt;
    const sight = storeKey('grey', attempt.key);
    this.keys = attempt.auto > 0 ? [sight, storeKey('client', attempt.network)] : [sight];
  }

  get question(): string {
    return `grey.check ${this.#attempt.key.toString('latin1')}`;
  }

  get args(): readonly string[] {
    const { delayMs, windowMs, ttlMs, auto } = this.#attempt;
    return [delayMs, windowMs, ttlMs, auto].map(String);
  }

  change([sight, passes]: readonly (Stored | undefined)[], now: number): Change<Sighting> {
    return checking(this.#attempt, sight, passes, now);
  }

  read(reply: unknown): Answer<Sighting> {
    const [why, left] = textsOf(reply);
    if (why === 'new' || why === 'early') return known({ passed: false, why, leftMs: Number(left) });
    return known({ passed: true, why: why === 'client' || why === 'known' ? why : 'passed' });
  }
}

export function check(attempt: Attempt): Operation<Sighting> {
  return new Check(attempt);
}

function checking(
  { delayMs, windowMs, ttlMs, auto }: Attempt,
  sight: Stored | undefined,
  client: Stored | undefined,
  time: number,
): Change<Sighting> {
  const now = Math.floor(time);
  const grain = Math.min(GRAIN_MS, ttlMs / 100);
  const expires = now + ttlMs;
  const refreshed = (stored: Stored | undefined): Stored | undefined =>
    stored && stored.expires - now < ttlMs - grain ? { data: stored.data, expires } : undefined;
  const passes = numberIn(KIND.passes, client) ?? 0;
  if (auto > 0 && passes >= auto) {
    return { answer: known({ passed: true, why: 'client' }), writes: [undefined, refreshed(client)] };
  }
  const first = numberIn(KIND.sight, sight);
  if (first === PASSED) {
    return { answer: known({ passed: true, why: 'known' }), writes: [refreshed(sight)] };
  }
  // One of the future was seen before the clock was set back.
  if (first === undefined || first > now || now >= first + windowMs) {
    const seen = { data: numberData(KIND.sight, now, delayMs), expires: now + windowMs };
    return { answer: known({ passed: false, why: 'new', leftMs: delayMs }), writes: [seen] };
  }
  if (now < first + delayMs) {
    return { answer: known({ passed: false, why: 'early', leftMs: first + delayMs - now }) };
  }
  const passed = { data: numberData(KIND.sight, PASSED), expires };
  const counted = auto > 0 ? { data: numberData(KIND.passes, passes + 1), expires } : undefined;
  return { answer: known({ passed: true, why: 'passed' }), writes: [passed, counted] };
}

/** What stands there of an attempt that passed, and of a network with so many passes: for those who mend by hand. */
export function passedData(): Buffer {
  return numberData(KIND.sight, PASSED);
}

export function passesData(passes: number): Buffer {
  return numberData(KIND.passes, passes);
}
