/** The module `json`: values are read and made in slices, so that a large one holds nobody up. */
import type { LuaState } from 'fengari';
import { bytesOf, latin1Of, lauxlib, lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { pushLatin1, pushNumber, readLatin1 } from '../../lua/engine/values.ts';
import { runSteps, type Steps } from '../../lua/lib/steps.ts';
import type { FunctionsOf } from '../module.ts';
import type { jsonApi } from './api.ts';

const MAX_BYTES = 1024 * 1024;
const MAX_DEPTH = 64;
/** Values between two pauses, and what one costs in steps of Host.charge(), as each byte of text does. */
const BATCH = 1000;
const STEPS_PER_VALUE = 100;
const STEPS_PER_BYTE = 2;

const LARGE = 'limit more than 1 MiB of JSON';

/** A value that cannot be written or read; the message is what `err` says. */
class Refused extends Error {
  override readonly name = 'Refused';
}

/** Gives what `steps` gives, or `nil, err` where it is refused. */
function* orErr(L: LuaState, steps: Steps): Steps {
  try {
    return yield* steps;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    lua.lua_pushnil(L);
    pushLatin1(L, error.message);
    return 2;
  }
}

function encode(L: LuaState): number {
  lauxlib.luaL_checkany(L, 1);
  lua.lua_settop(L, 1);
  return runSteps(L, orErr(L, encoded(L)));
}

function* encoded(L: LuaState): Steps {
  const writer = new Writer(L);
  yield* writer.value(1, 0);
  pushLatin1(L, writer.text());
  return 1;
}

type Pauses = Generator<'pause', void, void>;

/** Writes JSON, as bytes of UTF-8 in latin1. Metamethods are not called. */
class Writer {
  readonly #L: LuaState;
  readonly #pieces: string[] = [];
  #bytes = 0;
  #values = 0;

  constructor(L: LuaState) {
    this.#L = L;
  }

  text(): string {
    return this.#pieces.join('');
  }

  *value(index: number, depth: number): Pauses {
    const L = this.#L;
    hostOf(L).charge(L, STEPS_PER_VALUE);
    this.#values += 1;
    if (this.#values % BATCH === 0) yield 'pause';
    switch (lua.lua_type(L, index)) {
      case lua.LUA_TNIL:
        return this.#put('null');
      case lua.LUA_TBOOLEAN:
        return this.#put(String(lua.lua_toboolean(L, index)));
      case lua.LUA_TNUMBER:
        return this.#number(lua.lua_tonumber(L, index));
      case lua.LUA_TSTRING:
        return this.#string(index);
      case lua.LUA_TTABLE:
        return yield* this.#table(lua.lua_absindex(L, index), depth);
      default:
        throw new Refused(
          `protocol a ${latin1Of(lua.lua_typename(L, lua.lua_type(L, index)))} has no form in JSON`,
        );
    }
  }

  *#table(table: number, depth: number): Pauses {
    const L = this.#L;
    if (depth >= MAX_DEPTH) throw new Refused(`limit more than ${MAX_DEPTH} levels of JSON`);
    lua.lua_checkstack(L, 4);
    const isArray = lua.lua_rawgeti(L, table, 1) !== lua.LUA_TNIL;
    lua.lua_pop(L, 1);
    if (isArray) {
      this.#put('[');
      for (let i = 1; lua.lua_rawgeti(L, table, i) !== lua.LUA_TNIL; i++) {
        if (i > 1) this.#put(',');
        yield* this.value(-1, depth + 1);
        lua.lua_pop(L, 1);
      }
      lua.lua_pop(L, 1);
      return this.#put(']');
    }
    let isFirst = true;
    lua.lua_pushnil(L);
    while (lua.lua_next(L, table) !== 0) {
      if (lua.lua_type(L, -2) === lua.LUA_TSTRING) {
        this.#put(isFirst ? '{' : ',');
        isFirst = false;
        this.#string(-2);
        this.#put(':');
        yield* this.value(-1, depth + 1);
      }
      lua.lua_pop(L, 1);
    }
    this.#put(isFirst ? '[]' : '}');
  }

  #number(value: number): void {
    if (!Number.isFinite(value)) throw new Refused(`protocol ${value} is no number of JSON`);
    this.#put(String(value));
  }

  #string(index: number): void {
    const L = this.#L;
    const size = lua.lua_rawlen(L, index);
    if (size > MAX_BYTES) throw new Refused(LARGE);
    hostOf(L).charge(L, size * STEPS_PER_BYTE);
    const text = Buffer.from(readLatin1(L, index) ?? '', 'latin1').toString('utf8');
    this.#put(Buffer.from(JSON.stringify(text)).toString('latin1'));
  }

  #put(piece: string): void {
    this.#bytes += piece.length;
    if (this.#bytes > MAX_BYTES) throw new Refused(LARGE);
    this.#pieces.push(piece);
  }
}

function decode(L: LuaState): number {
  const bytes = lauxlib.luaL_checkstring(L, 1);
  return runSteps(L, orErr(L, decoded(L, bytes)));
}

function* decoded(L: LuaState, bytes: Uint8Array): Steps {
  if (bytes.length > MAX_BYTES) throw new Refused(LARGE);
  hostOf(L).charge(L, bytes.length * STEPS_PER_BYTE);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  if (depthOf(text) > MAX_DEPTH) throw new Refused(`limit more than ${MAX_DEPTH} levels of JSON`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'no JSON';
    throw new Refused(`protocol ${reason.replace(/[^\x20-\x7e]/g, '?').slice(0, 200)}`);
  }
  yield* push(L, value, { count: 0 });
  return 1;
}

/** How deep brackets are in each other, outside of texts. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const letter = text.charCodeAt(at);
    if (isQuoted) {
      if (letter === 0x5c) at += 1;
      else if (letter === 0x22) isQuoted = false;
    } else if (letter === 0x22) isQuoted = true;
    else if (letter === 0x5b || letter === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (letter === 0x5d || letter === 0x7d) depth -= 1;
  }
  return deepest;
}

const bytesOfText = (text: string) => Buffer.from(text).toString('latin1');

/** Pushes a value; nulls in objects are left out. */
function* push(L: LuaState, value: unknown, values: { count: number }): Pauses {
  lua.lua_checkstack(L, 3);
  hostOf(L).charge(L, STEPS_PER_VALUE);
  values.count += 1;
  if (values.count % BATCH === 0) yield 'pause';
  if (typeof value === 'string') pushLatin1(L, bytesOfText(value));
  else if (typeof value === 'number') pushNumber(L, value);
  else if (typeof value === 'boolean') lua.lua_pushboolean(L, value);
  else if (typeof value !== 'object' || value === null) lua.lua_pushnil(L);
  else if (Array.isArray(value)) {
    lua.lua_createtable(L, value.length, 0);
    for (const [i, item] of value.entries()) {
      yield* push(L, item, values);
      lua.lua_rawseti(L, -2, i + 1);
    }
  } else {
    lua.lua_newtable(L);
    for (const [key, item] of Object.entries(value)) {
      yield* push(L, item, values);
      lua.lua_setfield(L, -2, bytesOf(bytesOfText(key)));
    }
  }
}

export const openJson = (): FunctionsOf<typeof jsonApi> => ({ encode, decode });
