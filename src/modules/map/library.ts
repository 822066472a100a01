/** The module `map`: tables that others keep. */
import type { LuaFunction, LuaState } from 'fengari';
import { type Answer, known, type Patience, unknown } from '../../asking/answer.ts';
import { lua } from '../../lua/engine/engine.ts';
import { hostOf, unchanging } from '../../lua/engine/host.ts';
import { pushLatin1 } from '../../lua/engine/values.ts';
import { raise } from '../../lua/lib/arguments.ts';
import { requireReadable } from '../../lua/lib/open-checked.ts';
import { addressKeys } from '../../maps/address-keys.ts';
import { parseMapSpec, takesWholeKeys } from '../../maps/map-spec.ts';
import type { MapSource } from '../../maps/maps.ts';
import { lowered } from '../../maps/text-table.ts';
import { checkText, optTimeout } from '../arguments.ts';
import { type Operation, type Results, resultsOf, task, waiting } from '../job.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import { checkObject, pushObject } from '../objects.ts';
import type { mapApi } from './api.ts';

const CLASS = 'map.table';
const TIMEOUT_MS = 2000;
const MAX_SPEC = 65_536;
/** Bytes of a key that are looked up: an address has 320, a header may have thousands. */
const MAX_KEY = 65_536;
/** A look-up, in steps of Host.charge(). */
const STEPS_PER_KEY = 400;

/** What a script holds. */
class OpenMap {
  readonly spec: string;
  readonly takesWholeKeys: boolean;

  constructor(spec: string) {
    this.spec = spec;
    this.takesWholeKeys = takesWholeKeys(parseMapSpec(spec));
  }
}

const TOO_LONG = unknown('limit', `a key of more than ${MAX_KEY} bytes`);

/** A value and the key that it stands under; undefined where there is none. */
type Match = { readonly value: string; readonly key: string } | undefined;

export function openMap({ maps }: ServicesOf<typeof mapApi>): FunctionsOf<typeof mapApi> {
  return {
    open: waiting(opening(maps)),
    'table:get': lookingUp(maps, (key) => [key], pushValue),
    'table:addr': lookingUp(
      maps,
      (address, map) => (map.takesWholeKeys ? [address] : addressKeys(address)),
      pushMatch,
    ),
  };
}

/** map.open(spec) */
function opening(maps: MapSource): Operation {
  return (L, first) => {
    const spec = checkText(L, first, MAX_SPEC);
    const place = placeOf(L, spec);
    const pushMap: Results = (to) => {
      pushObject(to, CLASS, unchanging(new OpenMap(spec)));
      return 1;
    };
    const begin = async (): Promise<Results> => {
      try {
        await maps.open(spec, place);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        return (to) => raise(to, `map.open: ${reason}`);
      }
      return pushMap;
    };
    return maps.isOpen(spec) ? { begin, known: pushMap } : { begin };
  };
}

/** Where the file of a map is. Raises an error for what is no map, and for a file that is no policy's. */
function placeOf(L: LuaState, spec: string): Buffer | undefined {
  const host = hostOf(L);
  try {
    const parsed = parseMapSpec(spec);
    if (!('path' in parsed)) return undefined;
    const place = host.locate(Buffer.from(parsed.path, 'latin1'));
    requireReadable(host, place);
    return place;
  } catch (error) {
    return raise(L, `map.open: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** A function that looks up the keys that `keysOf` makes of its argument, and gives what the first has. */
function lookingUp(
  maps: MapSource,
  keysOf: (text: string, map: OpenMap) => readonly string[],
  push: (L: LuaState, match: Match) => number,
): LuaFunction {
  return waiting((L, first) => {
    const map = checkObject(L, first, CLASS, OpenMap);
    const { spec } = map;
    const text = checkText(L, first + 1, MAX_KEY);
    const timeoutMs = optTimeout(L, first + 2) ?? TIMEOUT_MS;
    // To say "no" would be to let through whoever makes it long.
    const isLong = text.length > MAX_KEY;
    const keys = isLong ? [] : keysOf(text, map);
    hostOf(L).charge(L, STEPS_PER_KEY * Math.max(1, keys.length));
    const atOnce = isLong ? TOO_LONG : recallFirst(maps, spec, keys);
    if (atOnce !== undefined)
      return { ...task({ timeoutMs, ask: async () => atOnce, push }), known: resultsOf(atOnce, push) };
    return task({ timeoutMs, push, ask: (patience) => queryFirst(maps, spec, keys, patience) });
  });
}

/** What is known without asking; undefined where somebody must be asked. */
function recallFirst(maps: MapSource, spec: string, keys: readonly string[]): Answer<Match> | undefined {
  for (const key of keys) {
    const answer = maps.recall(spec, key);
    if (answer === undefined || answer.kind === 'unknown') return answer;
    if (answer.value !== null) return known({ value: answer.value, key });
  }
  return known(undefined);
}

/** All questions together have one time. */
async function queryFirst(
  maps: MapSource,
  spec: string,
  keys: readonly string[],
  { timeoutMs, cancelled }: Patience,
): Promise<Answer<Match>> {
  const end = performance.now() + timeoutMs;
  for (const key of keys) {
    const left = Math.max(1, Math.ceil(end - performance.now()));
    const answer = maps.recall(spec, key) ?? (await maps.query(spec, key, { timeoutMs: left, cancelled }));
    if (answer.kind === 'unknown') return answer;
    if (answer.value !== null) return known({ value: answer.value, key });
  }
  return known(undefined);
}

function pushValue(L: LuaState, match: Match): number {
  if (match === undefined) lua.lua_pushnil(L);
  else pushLatin1(L, match.value);
  return 1;
}

function pushMatch(L: LuaState, match: Match): number {
  pushValue(L, match);
  if (match === undefined) return 1;
  pushLatin1(L, lowered(match.key));
  return 2;
}
