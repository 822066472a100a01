/** Compiling a text for one session. */
import type { LuaState, LuaString } from 'fengari';
import { ascii, lua } from '../engine/engine.ts';
import { type Host, hostOf } from '../engine/host.ts';
import { ESCAPE, type LuaInput, Pieces, parse } from '../script/parsing.ts';

/** Longest text of `load`, in bytes. */
export const LONGEST_CHUNK = 1024 * 1024;
export const CHUNK_TOO_LONG = `chunk longer than ${LONGEST_CHUNK / 1024} KiB`;
/** The same where the callback cannot be suspended: some 5 ms of work. */
export const LONGEST_HELD_CHUNK = 16 * 1024;
export const HELD_CHUNK_TOO_LONG = `longer than ${LONGEST_HELD_CHUNK / 1024} KiB where other sessions cannot have their turn (in an error handler, or in a function that a library function has called)`;

/** Of the text, between two looks at the clock. */
const PIECE_BYTES = 1024;
/** Compiling takes about 100 ns for a byte. */
export const STEPS_PER_BYTE = 10;

const BINARY = "attempt to load a binary chunk (mode is 't')";
const LONGEST_NAME = 65_536;

/** The parser's work is charged where it can be left: the count hook does not see it. */
class Input implements LuaInput {
  readonly #L: LuaState;
  readonly #host: Host;
  readonly #pieces: Pieces;
  readonly #mayPause: boolean;
  /** Bytes read and not yet charged. */
  #read = 0;

  constructor(L: LuaState, text: LuaString) {
    this.#L = L;
    this.#host = hostOf(L);
    this.#pieces = new Pieces(text, PIECE_BYTES);
    this.#mayPause = lua.lua_isyieldable(L); // Not while the parser is at work.
  }

  get due(): boolean {
    this.charge();
    return this.#mayPause && this.#host.sliceOver;
  }

  charge(): void {
    if (this.#read === 0) return;
    const steps = this.#read * STEPS_PER_BYTE;
    this.#read = 0;
    this.#host.charge(this.#L, steps);
  }

  read(): LuaString | null {
    const piece = this.#pieces.next();
    this.#read += piece?.length ?? 0;
    return piece;
  }
}

/** Pushes `text` compiled to a function, or why it cannot be; returns the status. */
export function* loadText(
  L: LuaState,
  text: LuaString,
  chunkName: LuaString,
): Generator<'pause', number, void> {
  const problem = problemOf(L, text);
  if (problem !== undefined) {
    lua.lua_pushstring(L, ascii(problem));
    return lua.LUA_ERRSYNTAX;
  }
  const input = new Input(L, text);
  const steps = parse(L, input, chunkName.subarray(0, LONGEST_NAME));
  for (;;) {
    const { value, done } = steps.next();
    if (done) {
      input.charge();
      return value;
    }
    yield 'pause';
  }
}

function problemOf(L: LuaState, text: LuaString): string | undefined {
  if (text[0] === ESCAPE) return BINARY;
  if (text.length > LONGEST_CHUNK) return CHUNK_TOO_LONG;
  if (text.length > LONGEST_HELD_CHUNK && !lua.lua_isyieldable(L)) return `chunk ${HELD_CHUNK_TOO_LONG}`;
  return undefined;
}
