/**
 * fengari, with the cures for its defects applied: the only way to the engine for the rest of the program.
 *
 * Every cure is for fengari 0.1.5 exactly (package.json pins it) and is explained where it is made. Cures that replace
 * exports of lstring.js must run before the rest of fengari loads, because the other modules copy those exports:
 * hence `require` in a fixed order instead of `import`.
 */
import { createRequire } from 'node:module';
import type fengari from 'fengari';
import type { LuaString } from 'fengari';

const require = createRequire(import.meta.url);

interface StringInternals {
  luaS_hash(bytes: LuaString): string;
  luaS_hashlongstr(ts: { hash: string | null; realstring: LuaString }): string;
}

const lstring: StringInternals = require('fengari/src/lstring.js');

/**
 * Cure: colliding string keys. fengari's table key for a string is its bytes in hexadecimal without padding, so
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
  return `|${Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('latin1')}`;
}
lstring.luaS_hash = latin1Key;
lstring.luaS_hashlongstr = (ts) => {
  ts.hash ??= latin1Key(ts.realstring);
  return ts.hash;
};

const engine: typeof fengari = require('fengari');

export const lua = engine.lua;
export const lauxlib = engine.lauxlib;
export const lualib = engine.lualib;

/** A Lua string of our own ASCII text; cached by fengari, so never write to it. */
export function ascii(text: string): LuaString {
  return engine.to_luastring(text, true);
}

/** A Lua string from latin1 text: one byte per character. */
export function bytesOf(latin1: string): LuaString {
  return Buffer.from(latin1, 'latin1');
}

/** Latin1 text from a Lua string: one character per byte. */
export function latin1Of(bytes: LuaString): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
