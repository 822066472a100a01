/** The module `metric`. */
import { isIP } from 'node:net';
import type { LuaFunction, LuaState } from 'fengari';
import { latin1Of, lauxlib, lua } from '../../lua/engine/engine.ts';
import { readLatin1 } from '../../lua/engine/values.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import { type Labels, MAX_LABEL_BYTES, MAX_LABELS, type MetricKind } from '../../metrics/metric.ts';
import { checkText } from '../arguments.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import { type metricApi, wrongLabel, wrongName } from './api.ts';

const MAX_NAME = 64;

export function openMetric({ metrics }: ServicesOf<typeof metricApi>): FunctionsOf<typeof metricApi> {
  const note =
    (
      kind: MetricKind,
      read: (L: LuaState) => { readonly labels: Labels; readonly value: number },
    ): LuaFunction =>
    (L) => {
      const name = checkName(L, 1);
      const { labels, value } = read(L);
      metrics.note(kind, name, labels, value);
      lua.lua_pushboolean(L, true);
      return 1;
    };
  return {
    count: note('count', (L) => ({
      labels: checkLabels(L, 2),
      value: lua.lua_isnoneornil(L, 3) ? 1 : checkAmount(L, 3),
    })),
    set: note('set', (L) => ({ value: checkFinite(L, 2), labels: checkLabels(L, 3) })),
    time: note('time', (L) => ({ value: checkAmount(L, 2), labels: checkLabels(L, 3) })),
  };
}

/** The name of a metric. */
export function checkName(L: LuaState, arg: number): string {
  const name = checkText(L, arg, MAX_NAME);
  const wrong = wrongName(name);
  return wrong === undefined ? name : argumentError(L, arg, wrong);
}

function checkFinite(L: LuaState, arg: number): number {
  const value = lauxlib.luaL_checknumber(L, arg);
  return Number.isFinite(value) ? value : argumentError(L, arg, 'a finite number expected');
}

function checkAmount(L: LuaState, arg: number): number {
  const value = checkFinite(L, arg);
  return value >= 0 ? value : argumentError(L, arg, 'a number of at least 0 expected');
}

/** Labels in a table, which may be nil or missing. Metamethods are not called. */
export function checkLabels(L: LuaState, arg: number): Labels {
  if (lua.lua_isnoneornil(L, arg)) return [];
  lauxlib.luaL_checktype(L, arg, lua.LUA_TTABLE);
  const labels: [name: string, value: string][] = [];
  lua.lua_checkstack(L, 3);
  lua.lua_pushnil(L);
  while (lua.lua_next(L, arg)) {
    if (labels.length === MAX_LABELS) return argumentError(L, arg, `at most ${MAX_LABELS} labels expected`);
    const name = lua.lua_type(L, -2) === lua.LUA_TSTRING ? readLatin1(L, -2, MAX_NAME + 1) : '';
    const wrong = wrongLabel(name ?? '');
    if (wrong !== undefined) return argumentError(L, arg, wrong);
    labels.push([name ?? '', valueAt(L, arg)]);
    lua.lua_pop(L, 1);
  }
  return labels;
}

/** The value on top of the stack, as a label has it. */
function valueAt(L: LuaState, arg: number): string {
  if (lua.lua_type(L, -1) === lua.LUA_TBOOLEAN) return String(lua.lua_toboolean(L, -1));
  // What is cut may go on as an address.
  const bytes = readLatin1(L, -1, MAX_LABEL_BYTES + 1);
  if (bytes === undefined) {
    const type = latin1Of(lauxlib.luaL_typename(L, -1));
    return argumentError(L, arg, `strings, numbers and booleans as values of labels expected, got ${type}`);
  }
  if (bytes.includes('@') || isIP(bytes) !== 0) return 'address';
  let end = Math.min(bytes.length, MAX_LABEL_BYTES);
  for (let i = 0; i < 3 && end > 0 && /[\x80-\xbf]/.test(bytes.charAt(end)); i++) end--;
  return Buffer.from(bytes.slice(0, end), 'latin1').toString('utf8');
}
