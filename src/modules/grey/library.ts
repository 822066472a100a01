/** The module `grey`. */
import type { LuaState } from 'fengari';
import { type Answer, known } from '../../asking/answer.ts';
import { parseAddress } from '../../dns/name.ts';
import { lua } from '../../lua/engine/engine.ts';
import { type Host, hostOf, PerState } from '../../lua/engine/host.ts';
import { pushLatin1, pushNumber } from '../../lua/engine/values.ts';
import { type Attempt, check, type Sighting } from '../../store/grey.ts';
import { OptionTable } from '../arguments.ts';
import { settled, task, waiting } from '../job.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import { prefixOf } from '../net/prefix.ts';
import { factsOf } from '../session.ts';
import { MAX_STORE_KEY } from '../store-arguments.ts';
import type { greyApi } from './api.ts';
import { plainSender } from './sender.ts';

const TIMEOUT_MS = 1000;
const STEPS_PER_CALL = 1000;
const MAX_SECONDS = 315_360_000;
const MAX_AUTO = 1_000_000;
/** Attempts of one session that were put off: what it names again is no further attempt. */
const MAX_PUT_OFF = 1000;

/** What was said of attempts in this session that may not pass yet, by their keys. */
const putOff = new PerState<Map<string, Sighting>>();

function putOffIn(host: Host): Map<string, Sighting> {
  let attempts = putOff.get(host);
  if (attempts === undefined) {
    attempts = new Map();
    putOff.set(host, attempts);
  }
  return attempts;
}

type Seen = Sighting | 'auth';

export function openGrey({ store }: ServicesOf<typeof greyApi>): FunctionsOf<typeof greyApi> {
  return {
    check: waiting((L, first) => {
      const attempt = attemptAt(L, first);
      hostOf(L).charge(L, STEPS_PER_CALL);
      if (factsOf(L).user !== undefined) return settled(known<Seen>('auth'), push);
      const { timeoutMs, ...sight } = attempt;
      const attempts = putOffIn(hostOf(L));
      const name = sight.key.toString('latin1');
      const before = attempts.get(name);
      if (before !== undefined) return settled(known<Seen>(before), push);
      const remembered = (answer: Answer<Sighting>): Answer<Seen> => {
        if (answer.kind === 'known' && !answer.value.passed && attempts.size < MAX_PUT_OFF) {
          attempts.set(name, { ...answer.value, why: 'early' });
        }
        return answer;
      };
      const operation = check(sight);
      const answer = store.now?.(operation);
      if (answer !== undefined) return settled(remembered(answer), push);
      return task({
        timeoutMs,
        push,
        ask: async (patience) => remembered(await store.run(operation, patience)),
      });
    }),
  };
}

function attemptAt(L: LuaState, arg: number): Attempt & { readonly timeoutMs: number } {
  const options = new OptionTable(L, arg, ['key', 'delay', 'window', 'ttl', 'auto', 'timeout']);
  const milliseconds = (name: string, absent: number): number => {
    const seconds = options.number(name) ?? absent;
    return seconds > 0 && seconds <= MAX_SECONDS
      ? seconds * 1000
      : options.complain(name, 'seconds expected');
  };
  const auto = options.number('auto') ?? 5;
  if (!Number.isInteger(auto) || auto < 0 || auto > MAX_AUTO)
    return options.complain('auto', 'a whole number expected');
  const { ip, sender = '', recipient } = factsOf(L);
  const network = networkOf(ip);
  const parts = [network, plainSender(sender), ...(recipient === undefined ? [] : [recipient.toLowerCase()])];
  const key = options.bytes('key') ?? Buffer.from(parts.join('|'), 'latin1');
  if (key.length === 0) return options.complain('key', 'an empty string is no key');
  if (key.length > MAX_STORE_KEY) return options.complain('key', `at most ${MAX_STORE_KEY} bytes expected`);
  return {
    key,
    network: Buffer.from(network, 'latin1'),
    delayMs: milliseconds('delay', 300),
    windowMs: milliseconds('window', 172_800),
    ttlMs: milliseconds('ttl', 3_024_000),
    auto,
    timeoutMs: options.timeoutMs() ?? TIMEOUT_MS,
  };
}

/** The last one: a client names several recipients. */
let client = { ip: '', network: '' };

function networkOf(ip: string): string {
  if (client.ip !== ip) {
    const address = parseAddress(ip);
    const network = address === undefined ? ip : prefixOf(address, address.family === 4 ? 24 : 64);
    client = { ip, network };
  }
  return client.network;
}

function push(L: LuaState, seen: Seen): number {
  lua.lua_checkstack(L, 3);
  const isThrough = seen === 'auth' || seen.passed;
  lua.lua_pushboolean(L, isThrough);
  if (isThrough) {
    pushLatin1(L, seen === 'auth' ? seen : seen.why);
    return 2;
  }
  pushNumber(L, Math.ceil(seen.leftMs / 1000));
  pushLatin1(L, seen.why);
  return 3;
}
