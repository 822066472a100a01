/** The module `log`. */
import type { LuaState } from 'fengari';
import { type EventValue, MAX_FIELDS, MAX_LINE_BYTES, type PolicyEventRecord } from '../../events/event.ts';
import { latin1Of, lauxlib, lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { readLatin1 } from '../../lua/engine/values.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import { checkText } from '../arguments.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import { factsOf } from '../session.ts';
import { type logApi, wrongEvent, wrongField } from './api.ts';

const MAX_NAME = 64;
/** So much of a text can be in a line. */
const MAX_TEXT = MAX_LINE_BYTES;

export function openLog({ events }: ServicesOf<typeof logApi>): FunctionsOf<typeof logApi> {
  return {
    event: (L) => {
      const event = checkEvent(L, 1);
      const fields = checkFields(L, 2);
      const { sessionId: session } = hostOf(L);
      const { transaction } = factsOf(L);
      const record: PolicyEventRecord = {
        time: hostOf(L).now(),
        event,
        ...(session !== '' && { session }),
        ...(transaction !== undefined && { transaction }),
        fields,
      };
      events.tell(record);
      lua.lua_pushboolean(L, true);
      return 1;
    },
  };
}

/** The name of an event. */
export function checkEvent(L: LuaState, arg: number): string {
  const name = checkText(L, arg, MAX_NAME);
  const wrong = wrongEvent(name);
  return wrong === undefined ? name : argumentError(L, arg, wrong);
}

/** Fields in a table, which may be nil or missing, in the order of their names. Metamethods are not called. */
function checkFields(L: LuaState, arg: number): PolicyEventRecord['fields'] {
  if (lua.lua_isnoneornil(L, arg)) return [];
  lauxlib.luaL_checktype(L, arg, lua.LUA_TTABLE);
  const fields: [name: string, value: EventValue][] = [];
  lua.lua_checkstack(L, 3);
  lua.lua_pushnil(L);
  while (lua.lua_next(L, arg)) {
    if (fields.length === MAX_FIELDS) return argumentError(L, arg, `at most ${MAX_FIELDS} fields expected`);
    const name = lua.lua_type(L, -2) === lua.LUA_TSTRING ? readLatin1(L, -2, MAX_NAME + 1) : '';
    const wrong = wrongField(name ?? '');
    if (wrong !== undefined) return argumentError(L, arg, wrong);
    fields.push([name ?? '', valueAt(L, arg, name ?? '')]);
    lua.lua_pop(L, 1);
  }
  return fields.sort(([one], [other]) => (one < other ? -1 : 1));
}

/** The value on top of the stack. */
function valueAt(L: LuaState, arg: number, name: string): EventValue {
  switch (lua.lua_type(L, -1)) {
    case lua.LUA_TBOOLEAN:
      return lua.lua_toboolean(L, -1);
    case lua.LUA_TNUMBER: {
      const number = lua.lua_tonumber(L, -1);
      // JSON has no other numbers.
      return Number.isFinite(number) ? number : String(number);
    }
    case lua.LUA_TSTRING: {
      const text = readLatin1(L, -1, MAX_TEXT) ?? '';
      hostOf(L).charge(L, text.length);
      return text;
    }
    default: {
      const type = latin1Of(lauxlib.luaL_typename(L, -1));
      return argumentError(L, arg, `field ${name}: a string, a number or a boolean expected, got ${type}`);
    }
  }
}
