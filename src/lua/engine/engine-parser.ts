/**
 * Lets fengari's parser be left in the middle of a text, so that compiling a long one keeps nobody waiting.
 *
 * The functions of the grammar that call one another become generators. They yield between two statements, operands or
 * suffixes when `due` is set in the data of the reader that the text comes from; without such data they never do.
 */
import type { SourcePatch } from './engine-work.ts';

const GRAMMAR = [
  ...['assignment', 'block', 'body', 'cond', 'constructor', 'exp1', 'explist', 'expr', 'exprstat', 'field'],
  ...['forbody', 'forlist', 'fornum', 'forstat', 'funcargs', 'funcstat', 'ifstat', 'labelstat', 'listfield'],
  ...['localfunc', 'localstat', 'mainfunc', 'primaryexp', 'recfield', 'repeatstat', 'retstat', 'simpleexp'],
  ...['skipnoopstat', 'statement', 'statlist', 'subexpr', 'suffixedexp', 'test_then_block', 'whilestat'],
  'yindex',
];
const NAMES = GRAMMAR.join('|');

const PAUSE = 'if (ls.z.data !== null && ls.z.data.due) yield;';

export const parserPatches: readonly SourcePatch[] = [
  {
    file: 'lparser.js',
    from: new RegExp(`^const (${NAMES}) ?= function\\(`, 'gm'),
    to: 'const $1 = function*(',
    times: GRAMMAR.length,
  },
  {
    file: 'lparser.js',
    from: new RegExp(`(?<![\\w.])(${NAMES})\\((?=ls|lexstate)`, 'g'),
    to: 'yield* $1(',
    times: 73,
  },
  {
    file: 'lparser.js',
    from: 'const luaY_parser = function(L, z, buff, dyd, name, firstchar) {',
    to: `const luaY_parser = function(L, z, buff, dyd, name, firstchar) {
    const steps = luaY_steps(L, z, buff, dyd, name, firstchar);
    for (;;) {
        const { value, done } = steps.next();
        if (done) return value;
    }
};

const luaY_steps = function*(L, z, buff, dyd, name, firstchar) {
    z.level = L.nCcalls;`,
  },
  {
    file: 'lparser.js',
    from: 'module.exports.luaY_parser = luaY_parser;',
    to: 'module.exports.luaY_parser = luaY_parser;\nmodule.exports.luaY_steps = luaY_steps;',
  },
  {
    file: 'lparser.js',
    from: 'enterlevel(ls);\n    switch',
    to: `enterlevel(ls);\n    ${PAUSE}\n    switch`,
  },
  {
    file: 'lparser.js',
    from: 'enterlevel(ls);\n    let uop',
    to: `enterlevel(ls);\n    ${PAUSE}\n    let uop`,
  },
  {
    file: 'lparser.js',
    from: 'primaryexp(ls, v);\n    for (;;) {',
    to: `primaryexp(ls, v);\n    for (;;) {\n        ${PAUSE}`,
  },
  // How deep the parser is was counted with the thread's calls, which a pause sets back.
  {
    file: 'lzio.js',
    from: 'this.n = 0;           /* bytes',
    to: 'this.level = 0;\n        this.n = 0;           /* bytes',
  },
  {
    file: 'lparser.js',
    from: `    let L = ls.L;
    ++L.nCcalls;
    checklimit(ls.fs, L.nCcalls,`,
    to: `    ++ls.z.level;
    checklimit(ls.fs, ls.z.level,`,
  },
  { file: 'lparser.js', from: 'return ls.L.nCcalls--;', to: 'return ls.z.level--;' },
  { file: 'lparser.js', from: 'nvars + ls.L.nCcalls', to: 'nvars + ls.z.level' },
  // A long token is read in one go.
  { file: 'llex.js', from: 'b.buffer.length >= MAX_INT/2', to: `b.buffer.length >= ${256 * 1024}` },
];
