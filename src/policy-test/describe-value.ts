/** Lua values as text for people, the same text for values that are equal in content. */
import type { LuaState } from 'fengari';
import { latin1Of, lua } from '../lua/engine/engine.ts';
import { readLatin1 } from '../lua/engine/values.ts';
import { escapeByte } from '../text/lua-escape.ts';

/** A table that fits is written in one line. */
const LINE = 76;
const MAX_DEPTH = 20;

/** Numbers of functions, threads and userdata, which have no content to show. */
export type Numbers = Map<unknown, number>;

/**
 * The value at `index` as lines of latin1 text: strings in quotes, keys in order, metatables left out.
 * @param numbers the same for values that are compared
 */
export function describeValue(L: LuaState, index: number, numbers: Numbers): string[] {
  return new Description(L, numbers).lines(lua.lua_absindex(L, index), 0);
}

class Description {
  readonly #L: LuaState;
  readonly #numbers: Numbers;

  constructor(L: LuaState, numbers: Numbers) {
    this.#L = L;
    this.#numbers = numbers;
  }

  lines(index: number, depth: number): string[] {
    const L = this.#L;
    switch (lua.lua_type(L, index)) {
      case lua.LUA_TNIL:
      case lua.LUA_TNONE:
        return ['nil'];
      case lua.LUA_TBOOLEAN:
        return [String(lua.lua_toboolean(L, index))];
      case lua.LUA_TNUMBER:
        return [String(lua.lua_tonumber(L, index))];
      case lua.LUA_TSTRING:
        return [quote(readLatin1(L, index) ?? '')];
      case lua.LUA_TTABLE:
        return depth < MAX_DEPTH ? this.#table(index, depth) : ['{ ... }'];
      default:
        return [this.#opaque(index)];
    }
  }

  #table(index: number, depth: number): string[] {
    const entries = this.#entries(index, depth);
    if (entries.length === 0) return ['{}'];
    const flat = `{ ${entries.map((entry) => entry.join(' ')).join(', ')} }`;
    if (flat.length <= LINE && entries.every((entry) => entry.length === 1)) return [flat];
    const inner = entries.flatMap((entry) =>
      entry.map((line, i) => `  ${line}${i === entry.length - 1 ? ',' : ''}`),
    );
    return ['{', ...inner, '}'];
  }

  /** The sequence first, then the other keys by their text. */
  #entries(table: number, depth: number): string[][] {
    const L = this.#L;
    lua.lua_checkstack(L, 4);
    const entries: string[][] = [];
    let length = 0;
    for (;;) {
      const isLast = lua.lua_rawgeti(L, table, length + 1) === lua.LUA_TNIL;
      if (!isLast) entries.push(this.lines(lua.lua_gettop(L), depth + 1));
      lua.lua_pop(L, 1);
      if (isLast) break;
      length += 1;
    }
    const named: [key: string, value: string[]][] = [];
    lua.lua_pushnil(L);
    while (lua.lua_next(L, table) !== 0) {
      const value = lua.lua_gettop(L);
      const isCounted =
        lua.lua_isinteger(L, value - 1) &&
        lua.lua_tonumber(L, value - 1) >= 1 &&
        lua.lua_tonumber(L, value - 1) <= length;
      if (!isCounted) named.push([this.#key(value - 1, depth), this.lines(value, depth + 1)]);
      lua.lua_pop(L, 1);
    }
    named.sort(([one], [other]) => (one < other ? -1 : 1));
    for (const [key, [first = '', ...rest]] of named) entries.push([`${key} = ${first}`, ...rest]);
    return entries;
  }

  #key(index: number, depth: number): string {
    const name = lua.lua_type(this.#L, index) === lua.LUA_TSTRING ? readLatin1(this.#L, index) : undefined;
    if (name !== undefined && /^[A-Za-z_]\w*$/.test(name)) return name;
    return `[${this.lines(index, depth + 1).join(' ')}]`;
  }

  #opaque(index: number): string {
    const object = lua.lua_topointer(this.#L, index);
    const number = this.#numbers.get(object) ?? this.#numbers.size + 1;
    this.#numbers.set(object, number);
    return `${latin1Of(lua.lua_typename(this.#L, lua.lua_type(this.#L, index)))} ${number}`;
  }
}

const UTF8 = /([\xc2-\xdf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3})/;

/** In double quotes; other bytes than printable ASCII and UTF-8 as Lua escapes. */
export function quote(text: string): string {
  const escaped = text
    .split(UTF8)
    .map((part, index) => (index % 2 === 1 ? part : withEscapes(part)))
    .join('');
  return `"${escaped}"`;
}

function withEscapes(text: string): string {
  return text.replace(/["\\]|[^\x20-\x7e]/g, (char) =>
    char === '"' || char === '\\' ? `\\${char}` : escapeByte(char),
  );
}
