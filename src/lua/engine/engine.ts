/**
 * fengari, with patches for its defects applied: the only way to the engine for the rest of the program.
 *
 * Every patch is for fengari 0.1.5 exactly (package.json pins it), is explained where it is made, and has a test that fails
 * without it: in engine.test.ts, or in stalls.test.ts where others had to wait. There are three ways in, by what a defect
 * needs:
 * - exports of lstring.js are replaced before the rest of fengari loads, because the other modules copy them when they
 *   load: hence `require` in a fixed order instead of `import`;
 * - text of a source file is replaced while fengari loads (engine-patches.ts), where a defect is inside a function;
 * - exports of lua.js are wrapped, where our own libraries are the only callers.
 */
import { createHash } from 'node:crypto';
import Module, { createRequire } from 'node:module';
import { basename } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import type fengari from 'fengari';
import type { Internals, LuaState, LuaString } from 'fengari';
import './engine-numbers.ts'; // Before anything of fengari loads.
import { sourcePatches } from './engine-patches.ts';
import type { SourcePatch } from './engine-work.ts';
import type { Host } from './host.ts';
import { type InterpreterModules, makeInterpreter } from './interpreter.ts';
import { makeTables } from './tables.ts';

const require = createRequire(import.meta.url);

/**
 * V8 makes objects of a kind that has often outlived short collections of garbage among the long-lived ones, from then
 * on. Objects of a session that was busy for a while teach it so; after that each session's objects seem to be alive
 * because such an object, itself dead, refers to them, until the next full collection: the CPU time of a session doubles
 * or triples, for good.
 */
setFlagsFromString('--no-allocation-site-pretenuring');

/** Buffer's own, which serves any Uint8Array and saves making a Buffer around it. */
const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
};

const lstring: Internals['lstring'] = require('fengari/src/lstring.js');

/**
 * Patch: colliding string keys. fengari's table key for a string is its bytes in hexadecimal without padding, so
 * "\1\35" and "\18\3" are one key, and `<`, which compares these keys, is wrong where a byte is below 16. A mail filter
 * must not take one header name for another. The replacement maps each byte to one character, which is unique, keeps
 * byte order and is several times faster.
 */
function latin1Key(bytes: LuaString): string {
  const length = bytes.length;
  if (length < 24) {
    let key = '|';
    for (let i = 0; i < length; i++) key += String.fromCharCode(bytes[i] ?? 0);
    return key;
  }
  return `|${latin1Of(bytes)}`;
}
/**
 * V8 tells texts of more than 16383 characters apart by their length alone, so a table with many keys of that kind was as
 * slow as a list: such a key is the digest of its bytes.
 */
const LONG_KEY = 16_384;
function keyOf(bytes: LuaString): string {
  return bytes.length < LONG_KEY ? latin1Key(bytes) : createHash('sha256').update(bytes).digest('base64');
}
lstring.luaS_hash = keyOf;
lstring.luaS_hashlongstr = (ts, L) => {
  if (ts.hash === null && L && ts.realstring.length >= LONG_KEY) lstring.luaS_work(L, ts.realstring.length);
  ts.hash ??= keyOf(ts.realstring);
  return ts.hash;
};

/**
 * Patch: strings without bound. Strings are ArrayBuffers, outside the heap that V8 limits, so `s = s .. s` took all of
 * the machine's memory. Every new string passes here, and a long one is made known to the state's host, which raises a
 * Lua memory error when it is over the limit. Short ones (by far the most) cost one comparison.
 */
const LONG_STRING = 4096;

function announce(L: LuaState, length: number): void {
  const G = L.l_G;
  if (G.made !== undefined) G.made += length;
  if (length < LONG_STRING) return;
  const host = G.host as Host | null;
  host?.stringMade(L, length);
}
const { TString } = lstring;
lstring.luaS_bless = (L, bytes) => {
  announce(L, bytes.length);
  return new TString(L, bytes);
};
// A `function`: ltm.js calls it with `new`. Copying by the constructor is also much faster than fengari's Uint8Array.from.
lstring.luaS_new = function luaS_new(L, bytes) {
  announce(L, bytes.length);
  return new TString(L, new Uint8Array(bytes));
};
lstring.luaS_newliteral = (L, text) => new TString(L, new Uint8Array(Buffer.from(text)));
lstring.luaS_space = (L, length) => {
  announce(L, length);
  return new Uint8Array(length);
};
/** Bytes that are compared in the time of one step of Host.charge(). */
const BYTES_PER_STEP = 8;
lstring.luaS_work = (L, bytes) => {
  if (bytes < LONG_STRING) return;
  const host = L.l_G.host as Host | null;
  host?.engineWorked(L, Math.ceil(bytes / BYTES_PER_STEP));
};
// Long ones by the machine's own comparison: byte by byte in JavaScript takes twenty times as long.
const { luaS_eqlngstr } = lstring;
lstring.luaS_eqlngstr = (a, b) => {
  const { length } = a.realstring;
  if (length < 256 || length !== b.realstring.length) return luaS_eqlngstr(a, b);
  return a === b || Buffer.compare(a.realstring, b.realstring) === 0;
};
// The keys of long ones have another order, and making them takes longer than the comparison.
lstring.luaS_order = (a, b) => {
  if (a.realstring.length < 256 && b.realstring.length < 256) {
    const left = lstring.luaS_hashlongstr(a);
    const right = lstring.luaS_hashlongstr(b);
    return left === right ? 0 : left < right ? -1 : 1;
  }
  return Buffer.compare(a.realstring, b.realstring);
};

function loadPatched(): typeof fengari {
  const prototype = Module.prototype as unknown as {
    _compile(content: string, filename: string, ...rest: unknown[]): unknown;
  };
  const compile = prototype._compile;
  const applied = new Set<SourcePatch>();
  prototype._compile = function (content, filename, ...rest) {
    let text = content;
    for (const patch of sourcePatches) {
      if (basename(filename) !== patch.file || !filename.includes('fengari')) continue;
      const { from, to, times = 1 } = patch;
      const found = typeof from === 'string' ? text.split(from).length - 1 : text.match(from)?.length;
      if (found !== times) continue;
      text = typeof from === 'string' ? text.replace(from, () => to) : text.replace(from, to);
      applied.add(patch);
    }
    return Reflect.apply(compile, this, [text, filename, ...rest]);
  };
  let loaded: typeof fengari;
  try {
    loaded = require('fengari');
  } finally {
    prototype._compile = compile;
  }
  const missing = sourcePatches.find((patch) => !applied.has(patch));
  if (missing) throw new Error(`fengari is not 0.1.5, or was loaded before: ${missing.file} is not patched`);
  return loaded;
}

const engine = loadPatched();

const lobject: Internals['lobject'] = require('fengari/src/lobject.js');
const ldebug: InterpreterModules['ldebug'] & {
  luaG_errormsg(L: LuaState): never;
} = require('fengari/src/ldebug.js');
const lstate: Internals['lstate'] = require('fengari/src/lstate.js');
const lvm: InterpreterModules['lvm'] & { luaV_execute(L: LuaState): void } = require('fengari/src/lvm.js');
const ltable: Internals['ltable'] = require('fengari/src/ltable.js');
const lfunc: Internals['lfunc'] = require('fengari/src/lfunc.js');
const ldo: Internals['ldo'] = require('fengari/src/ldo.js');

/** The whole of ltable.js, and the loop that executes Lua code. */
const tables = makeTables({
  TValue: lobject.TValue,
  nil: lobject.luaO_nilobject,
  hashOf: lstring.luaS_hashlongstr,
  work: lstring.luaS_work,
  raise: (L, message) => ldebug.luaG_runerror(L, ascii(message)),
  raiseBare: (L, message) => {
    lua.lua_checkstack(L, 1);
    lua.lua_pushliteral(L, message);
    return ldebug.luaG_errormsg(L);
  },
  isObject: (L, value) =>
    (value instanceof lstate.lua_State && (value as LuaState).l_G === L.l_G) ||
    value instanceof tables.Table ||
    value instanceof lobject.Udata ||
    value instanceof lobject.LClosure ||
    value instanceof lobject.CClosure,
});
Object.assign(ltable, tables);
lvm.luaV_execute = makeInterpreter({ lvm, ldo, lobject, lstate, lfunc, ldebug, lstring, tables });

export const lua = engine.lua;
export const lauxlib = engine.lauxlib;
export const lualib = engine.lualib;

/** For parsing.ts, template.ts, script.ts, values.ts and context.ts only. */
export const internals: Internals = {
  lstring,
  lobject,
  ltable,
  lstate,
  lopcodes: require('fengari/src/lopcodes.js'),
  ldo,
  lfunc,
  lparser: require('fengari/src/lparser.js'),
  lzio: require('fengari/src/lzio.js'),
  tags: require('fengari/src/defs.js').constant_types,
};

/**
 * Patch: numerals without bound. Turning a string into a number goes over it several times, in one instruction; a
 * million digits took a fifth of a second. A longer text is no number.
 */
export const LONGEST_NUMERAL = 1024;
const { luaO_str2num } = internals.lobject;
internals.lobject.luaO_str2num = (text, value) =>
  text.length > LONGEST_NUMERAL ? 0 : luaO_str2num(text, value);

/** Time: the names of metamethods, which are never written to, are made once and not for every state. */
const ltm: { luaT_init(L: LuaState): void } = require('fengari/src/ltm.js');
const { luaT_init } = ltm;
let metamethodNames: unknown[] | undefined;
ltm.luaT_init = (L) => {
  if (metamethodNames === undefined) {
    luaT_init(L);
    metamethodNames = L.l_G.tmname;
  }
  L.l_G.tmname = metamethodNames;
};

/**
 * Patch: compiled functions are shared by all contexts, but fengari keeps the last closure made from one in the function
 * itself, which would keep the variables of a finished session alive and hand one closure to two contexts.
 */
Object.defineProperty(internals.lfunc.Proto.prototype, 'cache', { get: () => null, set: () => {} });

/**
 * An addition, no patch: a thread remembers the frame of the function it began with, which fengari drops when it returns.
 * So the line that a callback has returned from is known without a hook on every line.
 */
const { luaE_extendCI } = internals.lstate;
internals.lstate.luaE_extendCI = (L) => {
  const outermost = L.ci === L.base_ci;
  const frame = luaE_extendCI(L);
  if (outermost) L.outermost = frame;
  return frame;
};

/**
 * The status of an error that no Lua code can catch: fengari's own for "not a Lua error". `lua_resume` does not look
 * for a pcall to continue at; everything else that protects a call in JavaScript has to pass it on, as the wrappers
 * below do.
 */
const UNCATCHABLE = -1;

/** Unwinds L up to the driver. The reason is kept by the caller (Host.abort). */
export function throwUncatchable(L: LuaState): never {
  // Should some code swallow it nevertheless, the next instruction of this thread calls the hook, which throws again.
  L.basehookcount = 1;
  L.hookcount = 1;
  return internals.ldo.luaD_throw(L, UNCATCHABLE);
}

/** Raises Lua's "not enough memory". */
export function throwMemoryError(L: LuaState): never {
  return internals.ldo.luaD_throw(L, lua.LUA_ERRMEM);
}

/**
 * Whether `lua_resume(thread)` that returned LUA_ERRRUN was ended by an uncatchable error: only then does the thread
 * still look as if it ran.
 */
export function endedUncatchably(thread: LuaState): boolean {
  return thread.status === lua.LUA_OK && thread.ci !== thread.base_ci;
}

const { lua_pcall, lua_pcallk, lua_load } = lua;
/** The status of a call that JavaScript has protected; an uncatchable error goes on from here. */
export const passOn = (L: LuaState, status: number): number =>
  status === UNCATCHABLE ? throwUncatchable(L) : status;
lua.lua_pcall = (L, nargs, nresults, handler) => passOn(L, lua_pcall(L, nargs, nresults, handler));
lua.lua_pcallk = (L, nargs, nresults, handler, context, k) =>
  passOn(L, lua_pcallk(L, nargs, nresults, handler, context, k));
lua.lua_load = (L, reader, data, chunkname, mode) => passOn(L, lua_load(L, reader, data, chunkname, mode));

/**
 * For lua_atnativeerror: what becomes of a JavaScript exception inside a protected call. Without a handler it is an
 * error without a message. Too little memory or stack are Lua's own errors; anything else is a bug of ours or of the
 * engine, after which the state cannot be trusted.
 */
export function nativeErrorHandler(L: LuaState): number {
  const error = lua.lua_touserdata(L, 1);
  if (error instanceof RangeError) {
    if (/call stack/i.test(error.message)) {
      lua.lua_pushliteral(L, 'stack overflow');
      return 1;
    }
    if (/allocation failed|typed array length|array length|string length/i.test(error.message))
      throwMemoryError(L);
  }
  const host = L.l_G.host as Host | null;
  host?.nativeError(L, error);
  return throwUncatchable(L);
}

/** Time: an argument that is a string, as most are, is found at once. */
const { luaL_checkstring } = lauxlib;
const { LUA_TLNGSTR } = internals.tags;
lauxlib.luaL_checkstring = (L, arg) => {
  const at = L.ci.funcOff + arg;
  const value = arg > 0 && at < L.top ? L.stack[at] : undefined;
  return value?.type === LUA_TLNGSTR
    ? (value.value as { readonly realstring: LuaString }).realstring
    : luaL_checkstring(L, arg);
};

/** A Lua string of our own ASCII text; cached by fengari, so never write to it. */
export function ascii(text: string): LuaString {
  return engine.to_luastring(text, true);
}

/** A Lua string from latin1 text: one byte per character. */
export function bytesOf(latin1: string): LuaString {
  const length = latin1.length;
  // Not from Buffer's pool: a string that the script keeps would keep the pool's 8 KiB. V8 holds up to 64 bytes inline,
  // and has to move them out for a call of Buffer's.
  const bytes = new Uint8Array(length);
  if (length <= 64) for (let i = 0; i < length; i++) bytes[i] = latin1.charCodeAt(i);
  else Buffer.from(bytes.buffer).write(latin1, 'latin1');
  return bytes;
}

/** Latin1 text from a Lua string: one character per byte. */
export function latin1Of(bytes: LuaString): string {
  return latin1Slice.call(bytes, 0, bytes.length);
}
