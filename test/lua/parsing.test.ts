/** The parser that can be left in the middle of a text: the same comes of it, wherever it is left. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { LClosure, LuaString, Proto, TString } from 'fengari';
import { ascii, latin1Of, lauxlib, lua } from '../../src/lua/engine/engine.ts';
import { type LuaInput, parse } from '../../src/lua/script/parsing.ts';

const FOLDERS = ['../../examples', './conformance'].map((folder) =>
  fileURLToPath(new URL(folder, import.meta.url)),
);

function luaFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.lua'))
    .map((name) => join(folder, name));
}

/** Hands out one byte at a time, and is always due. */
class Bytes implements LuaInput {
  readonly due = true;
  readonly #text: LuaString;
  #position = 0;

  constructor(text: LuaString) {
    this.#text = text;
  }

  read(): LuaString | null {
    if (this.#position === this.#text.length) return null;
    this.#position += 1;
    return this.#text.subarray(this.#position - 1, this.#position);
  }
}

function inOneGo(text: LuaString): unknown {
  const L = lauxlib.luaL_newstate();
  const status = lauxlib.luaL_loadbufferx(L, text, text.length, ascii('=text'), ascii('t'));
  return status === lua.LUA_OK
    ? described((lua.lua_topointer(L, -1) as LClosure).p)
    : latin1Of(lua.lua_tostring(L, -1) ?? ascii(''));
}

function inPieces(text: LuaString): { result: unknown; pauses: number } {
  const L = lauxlib.luaL_newstate();
  lua.lua_pushliteral(L, 'below');
  const steps = parse(L, new Bytes(text), ascii('=text'));
  let pauses = 0;
  let step = steps.next();
  for (; !step.done; step = steps.next()) pauses += 1;
  const result =
    step.value === lua.LUA_OK
      ? described((lua.lua_topointer(L, -1) as LClosure).p)
      : latin1Of(lua.lua_tostring(L, -1) ?? ascii(''));
  assert.equal(lua.lua_gettop(L), 2);
  assert.equal(lua.lua_tojsstring(L, 1), 'below');
  return { result, pauses };
}

/** All that a compiled function consists of. */
function described(proto: Proto): unknown {
  const { k, p, code, lineinfo, linedefined, upvalues, numparams, is_vararg } = proto;
  return {
    constants: k.map(({ type, value }) => [type, isString(value) ? latin1Of(value.realstring) : value]),
    functions: p.map(described),
    code: code.map(({ opcode, A, B, C }) => [opcode, A, B, C]),
    lines: lineinfo,
    linedefined,
    upvalues: upvalues.map(({ instack, idx }) => [instack, idx]),
    numparams,
    is_vararg,
  };
}

const isString = (value: unknown): value is TString =>
  typeof value === 'object' && value !== null && 'realstring' in value;

describe('a text that is parsed in pieces', () => {
  for (const file of FOLDERS.flatMap(luaFiles)) {
    it(`has the same code: ${file.slice(file.lastIndexOf('/') + 1)}`, () => {
      const text = new Uint8Array(readFileSync(file));
      const { result, pauses } = inPieces(text);
      assert.deepEqual(result, inOneGo(text));
      assert.ok(pauses > 0);
    });
  }

  it('has the same errors', () => {
    for (const file of FOLDERS.flatMap(luaFiles).filter((_, i) => i % 5 === 0)) {
      const whole = new Uint8Array(readFileSync(file));
      for (let i = 1; i <= 20; i++) {
        const text = whole.slice(0, Math.floor((whole.length * i) / 21));
        assert.deepEqual(inPieces(text).result, inOneGo(text), `${file}: ${text.length} bytes`);
      }
    }
  });
});
