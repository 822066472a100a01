/** The module `geo`. */
import type { LuaFunction, LuaState } from 'fengari';
import { type Address, parseAddress } from '../../dns/name.ts';
import type { Geo, Place, Question } from '../../geo/geo.ts';
import { lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { pushLatin1, pushNumber } from '../../lua/engine/values.ts';
import { checkText, optTimeout } from '../arguments.ts';
import { resultsOf, type Task, task, waiting } from '../job.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import type { geoApi } from './api.ts';

const TIMEOUT_MS = 2000;
const MAX_ADDRESS = 128;
/** A walk down the tree and the reading of a record, in steps of Host.charge(). */
const STEPS = 5000;

export const openGeo = ({ geo }: ServicesOf<typeof geoApi>): FunctionsOf<typeof geoApi> => ({
  country: asking(geo, 'country'),
  asn: asking(geo, 'asn'),
});

function asking(geo: Geo, question: Question): LuaFunction {
  return waiting((L, first): Task => {
    const address = parseAddress(checkText(L, first, MAX_ADDRESS));
    const timeoutMs = optTimeout(L, first + 1) ?? TIMEOUT_MS;
    if (address === undefined) return at(pushNothing);
    hostOf(L).charge(L, STEPS);
    const text = textOf(address);
    const found = geo.recall(question, text);
    if (found !== undefined) return at(resultsOf(found, pushPlace));
    return task({ timeoutMs, ask: (patience) => geo.query(question, text, patience), push: pushPlace });
  });
}

function at(results: (L: LuaState) => number): Task {
  return { begin: async () => results, known: results };
}

function textOf({ family, parts }: Address): string {
  return family === 4 ? parts.join('.') : parts.map((part) => part.toString(16)).join(':');
}

function pushNothing(L: LuaState): number {
  lua.lua_checkstack(L, 1);
  lua.lua_pushnil(L);
  return 1;
}

function pushPlace(L: LuaState, place: Place | null): number {
  if (place === null) return pushNothing(L);
  if (typeof place === 'string') {
    pushLatin1(L, place);
    return 1;
  }
  lua.lua_checkstack(L, 2);
  pushNumber(L, place.number);
  pushLatin1(L, place.name);
  return 2;
}
