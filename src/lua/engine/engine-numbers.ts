/**
 * Patch: the text of floats. fengari prints 1e15 as "1000000000000000.0", -0.0 as "0.0" and nan in JavaScript's way;
 * PUC Lua prints what "%.14g" gives ("1e+15", "-0.0", "-nan"). tostring, `..`, table.concat and io.write all go
 * through luaconf's lua_number2str, which lobject.js copies when it loads: so this must run before the rest of fengari.
 * luaconf.js and defs.js need each other, and only defs.js can be the first of them.
 */
import { createRequire } from 'node:module';
import { luaNumberText } from './number-text.ts';

const require = createRequire(import.meta.url);

interface NumberInternals {
  lua_number2str(value: number): string;
  LUAI_MAXSTACK: number;
}

require('fengari/src/defs.js');
const luaconf: NumberInternals = require('fengari/src/luaconf.js');
luaconf.lua_number2str = luaNumberText;

/**
 * A tenth of the stack that Lua has, still deeper than any policy's recursion, with room for the bytes of a chunk of a
 * body: what goes over all of a larger one (an overflow that unwinds it, a call with so many arguments) took a fifth of a
 * second, in which others had no turn. It, too, is copied by other modules.
 */
luaconf.LUAI_MAXSTACK = 100_000;
