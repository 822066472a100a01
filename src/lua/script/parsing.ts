/** Compiling Lua text, which can be left in the middle (see engine-parser.ts). */
import type { LClosure, LuaState, LuaString } from 'fengari';
import { internals, lua, passOn } from '../engine/engine.ts';
import { globalsOf, tableValue } from '../engine/values.ts';

/** First byte of a precompiled chunk. */
export const ESCAPE = 0x1b;

/** Where the text comes from. */
export interface LuaInput {
  /** Whether the parser should be left at the next place where it can be. */
  readonly due: boolean;
  /** The next piece, not empty; null, also when asked again, at the end. */
  read(): LuaString | null;
}

/** Text in pieces of so many bytes. */
export class Pieces {
  readonly #text: LuaString;
  readonly #size: number;
  #position = 0;

  constructor(text: LuaString, size: number) {
    this.#text = text;
    this.#size = size;
  }

  next(): LuaString | null {
    if (this.#position >= this.#text.length) return null;
    const piece = this.#text.subarray(this.#position, this.#position + this.#size);
    this.#position += piece.length;
    return piece;
  }
}

/**
 * Pushes the text compiled to a function with L's globals, or the parser's message, and returns Lua's status. Yields where
 * `input` is due; L's stack must be left as it is meanwhile.
 *
 * @param input Lua text: the caller refuses precompiled chunks
 */
export function* parse(
  L: LuaState,
  input: LuaInput,
  chunkName: LuaString,
): Generator<undefined, number, undefined> {
  const { ldo, lparser, lzio } = internals;
  const z = new lzio.ZIO(L, () => input.read(), input);
  const steps = lparser.luaY_steps(L, z, new lzio.MBuffer(), new lparser.Dyndata(), chunkName, z.zgetc());
  const bottom = L.top;
  let closure: LClosure | undefined;
  const step = (): void => {
    const { value, done } = steps.next();
    if (done) closure = value;
  };
  for (;;) {
    L.nny++; // What the parser calls cannot yield.
    const status = ldo.luaD_pcall(L, step, null, bottom, L.errfunc);
    L.nny--;
    if (passOn(L, status) !== lua.LUA_OK) return status;
    if (closure !== undefined) break;
    yield;
  }
  closure.upvals[0] = tableValue(globalsOf(L)); // A main chunk has one upvalue, _ENV.
  return lua.LUA_OK;
}
