/** Arguments that the functions of several modules take. */
import type { LuaState } from 'fengari';
import { ascii, latin1Of, lauxlib, lua } from '../lua/engine/engine.ts';
import { readBytes, readLatin1 } from '../lua/engine/values.ts';
import { argumentError } from '../lua/lib/arguments.ts';

/** A callback's deadline ends a wait long before. */
export const MAX_SECONDS = 86_400;

const TIMEOUT_EXPECTED = `seconds expected, more than 0 and at most ${MAX_SECONDS}`;

/** Time-out argument `arg`, seconds with decimals, in milliseconds; undefined when it is nil or missing. */
export function optTimeout(L: LuaState, arg: number): number | undefined {
  if (lua.lua_isnoneornil(L, arg)) return undefined;
  const seconds = lauxlib.luaL_checknumber(L, arg);
  return isTimeout(seconds) ? seconds * 1000 : argumentError(L, arg, TIMEOUT_EXPECTED);
}

function isTimeout(seconds: number): boolean {
  return seconds > 0 && seconds <= MAX_SECONDS;
}

/** String argument `arg` as latin1 text: of one longer than `most` bytes so much that this can be seen. */
export function checkText(L: LuaState, arg: number, most: number): string {
  return latin1Of(lauxlib.luaL_checkstring(L, arg).subarray(0, most + 1));
}

/**
 * The fields of a table of options, argument `arg`, which may be nil or missing. Metamethods are not called. A field of
 * another name than `names` has raises an error, and so does a value of another type than is asked for.
 */
export class OptionTable {
  readonly #L: LuaState;
  readonly #arg: number;
  readonly #isGiven: boolean;

  constructor(L: LuaState, arg: number, names: readonly string[]) {
    this.#L = L;
    this.#arg = arg;
    this.#isGiven = !lua.lua_isnoneornil(L, arg);
    if (!this.#isGiven) return;
    lauxlib.luaL_checktype(L, arg, lua.LUA_TTABLE);
    lua.lua_checkstack(L, 3);
    lua.lua_pushnil(L);
    while (lua.lua_next(L, arg)) {
      lua.lua_pop(L, 1);
      const name = lua.lua_type(L, -1) === lua.LUA_TSTRING ? readLatin1(L, -1, 100) : undefined;
      if (name === undefined || !names.includes(name)) {
        argumentError(L, arg, `options are ${names.join(', ')}`);
      }
    }
  }

  /** latin1, as `checkText` gives it. */
  text(name: string, most: number): string | undefined {
    return this.#read(name, 'string', (L) => readLatin1(L, -1, most + 1));
  }

  /** A copy of the bytes. */
  bytes(name: string): Buffer | undefined {
    return this.#read(name, 'string', (L) => readBytes(L, -1));
  }

  number(name: string): number | undefined {
    return this.#read(name, 'number', (L) => (lua.lua_isnumber(L, -1) ? lua.lua_tonumber(L, -1) : undefined));
  }

  boolean(name: string): boolean | undefined {
    return this.#read(name, 'boolean', (L) =>
      lua.lua_type(L, -1) === lua.LUA_TBOOLEAN ? lua.lua_toboolean(L, -1) : undefined,
    );
  }

  /** An array of texts, each as `text` gives it. */
  texts(name: string, mostTexts: number, most: number): string[] | undefined {
    return this.#read(name, 'table', (L) => {
      if (lua.lua_type(L, -1) !== lua.LUA_TTABLE) return undefined;
      const count = lua.lua_rawlen(L, -1);
      if (count > mostTexts) return this.complain(name, `at most ${mostTexts} texts expected`);
      lua.lua_checkstack(L, 1);
      return Array.from({ length: count }, (_, i) => {
        lua.lua_rawgeti(L, -1, i + 1);
        if (lua.lua_type(L, -1) !== lua.LUA_TSTRING)
          return this.complain(name, 'an array of strings expected');
        const text = readLatin1(L, -1, most + 1) ?? '';
        lua.lua_pop(L, 1);
        return text;
      });
    });
  }

  /** The field `timeout`, seconds with decimals, in milliseconds. */
  timeoutMs(): number | undefined {
    const seconds = this.number('timeout');
    if (seconds === undefined) return undefined;
    return isTimeout(seconds) ? seconds * 1000 : this.complain('timeout', TIMEOUT_EXPECTED);
  }

  /** Raises an error that names the option. `complaint` is ASCII. */
  complain(name: string, complaint: string): never {
    return argumentError(this.#L, this.#arg, `option ${name}: ${complaint}`);
  }

  #read<Value>(name: string, type: string, read: (L: LuaState) => Value | undefined): Value | undefined {
    if (!this.#isGiven) return undefined;
    const L = this.#L;
    lua.lua_checkstack(L, 1);
    lua.lua_pushstring(L, ascii(name));
    lua.lua_rawget(L, this.#arg);
    const value = lua.lua_isnil(L, -1) ? undefined : (read(L) ?? this.#complainOfType(name, type));
    lua.lua_pop(L, 1);
    return value;
  }

  #complainOfType(name: string, type: string): never {
    const given = latin1Of(lauxlib.luaL_typename(this.#L, -1));
    return this.complain(name, `${type} expected, got ${given}`);
  }
}
