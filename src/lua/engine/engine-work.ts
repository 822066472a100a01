/**
 * Patches of fengari for work that its count hook does not see: what one instruction, one call or the parser does in
 * proportion to something a script has made is made known to the host, which looks at the clock from time to time.
 *
 * All call `luaS_work(L, bytes)`: so many bytes compared, or as much work. It is not looked at below 4096.
 */

/** Text of a source file of fengari that is replaced while it loads. */
export interface SourcePatch {
  readonly file: string;
  readonly from: string | RegExp;
  readonly to: string;
  /** How often it stands in the file; once without it. */
  readonly times?: number;
}

export const workPatches: readonly SourcePatch[] = [
  // Instructions whose work grows with their operands: the count hook takes each for one.
  {
    file: 'lvm.js',
    from: 'return luaS_eqlngstr(t1.tsvalue(), t2.tsvalue()) ? 1 : 0;',
    to: `if (L !== null) luaS_work(L, t1.vslen());
            return luaS_eqlngstr(t1.tsvalue(), t2.tsvalue()) ? 1 : 0;`,
  },
  ...['<', '<='].map((operator) => ({
    file: 'lvm.js',
    from: `return l_strcmp(l.tsvalue(), r.tsvalue()) ${operator} 0 ? 1 : 0;`,
    to: `{
        luaS_work(L, l.vslen() + r.vslen());
        return luaS_order(l.tsvalue(), r.tsvalue()) ${operator} 0 ? 1 : 0;
    }`,
  })),
  {
    file: 'ldo.js',
    from: "const { luaS_newliteral } = require('./lstring.js');",
    to: "const { luaS_newliteral, luaS_work } = require('./lstring.js');",
  },
  {
    file: 'ldo.js',
    from: '    let wanted = ci.nresults;\n',
    to: '    let wanted = ci.nresults;\n    luaS_work(L, nres * 32);\n',
  },
  // The same for work that grows with what a script has built: chains of metatables, removed entries of a table that is
  // traversed, a deep stack.
  ...["t = tm;  /* else try to access 'tm[key]' */", "t = tm;  /* else repeat assignment over 'tm' */"].map(
    (from) => ({
      file: 'lvm.js',
      from,
      to: 't = tm;\n        if ((loop & 63) === 63) luaS_work(L, 32768);',
    }),
  ),
  {
    file: 'ldo.js',
    from: '            tryfuncTM(L, off, func);',
    to: '            luaS_work(L, 4096 + (L.top - off) * 32);\n            tryfuncTM(L, off, func);',
  },
  ...['lauxlib.js', 'lcode.js', 'ldebug.js'].map((file) => ({
    file,
    from: /^"use strict";$/m,
    to: `"use strict";\nconst { luaS_work } = require('./lstring.js');`,
  })),
  {
    file: 'ldebug.js',
    from: '        level--;\n    if (level === 0',
    to: `        if ((--level & 1023) === 1023) luaS_work(L, 32768);
    if (level === 0`,
  },
  {
    // The lines of a function, for debug.getinfo(f, 'L'); a line has several instructions mostly.
    file: 'ldebug.js',
    from: '            ltable.luaH_setint(t, lineinfo[i], v);',
    to: `{
            if ((i & 255) === 255) luaS_work(L, 16384);
            if (lineinfo[i] !== lineinfo[i - 1]) ltable.luaH_setint(t, lineinfo[i], v);
        }`,
  },
  {
    // An error handler that fails is called again for its own error, as often as engine-patches.ts lets it.
    file: 'ldebug.js',
    from: 'const luaG_errormsg = function(L) {\n',
    to: 'const luaG_errormsg = function(L) {\n    luaS_work(L, 16384);\n',
  },
  {
    // luaL_argerror and luaL_traceback look for a function's name in all loaded modules, as a script has left them.
    file: 'lauxlib.js',
    from: '    while (lua_next(L, -2)) {  /* for each pair in table */',
    to: `    let passed = 0;
    while (lua_next(L, -2)) {
        if ((++passed & 255) === 0) luaS_work(L, 65536);`,
  },
  // The parser's work that does not grow with the text alone: lists of jumps, gotos and labels that are walked again
  // for each new one.
  {
    file: 'lcode.js',
    from: '            list = next;\n',
    to: `            list = next;
            if ((++passed & 255) === 0) luaS_work(fs.ls.L, 16384);
`,
  },
  {
    file: 'lcode.js',
    from: '        let list = l1;\n        let next',
    to: '        let list = l1, passed = 0;\n        let next',
  },
  {
    file: 'lparser.js',
    from: '    luaS_newliteral\n}',
    to: '    luaS_hashlongstr,\n    luaS_newliteral,\n    luaS_work\n}',
  },
  // A name was compared, byte by byte, with all local variables and upvalues of all functions around it: tens of thousands.
  // Most are those of global variables: it is counted how many local variables have a name.
  {
    file: 'lparser.js',
    from: 'const adjustlocalvars = function(ls, nvars) {',
    to: `const namesOf = (ls) => ls.dyd.names ??= new Map([[luaS_hashlongstr(ls.envn), 1]]);
const counted = function(fs, variable, n) {
    const names = namesOf(fs.ls), key = luaS_hashlongstr(variable.varname);
    names.set(key, (names.get(key) ?? 0) + n);
    return variable;
};
const adjustlocalvars = function(ls, nvars) {`,
  },
  {
    file: 'lparser.js',
    from: 'getlocvar(fs, fs.nactvar - nvars).startpc',
    to: 'counted(fs, getlocvar(fs, fs.nactvar - nvars), 1).startpc',
  },
  {
    file: 'lparser.js',
    from: 'getlocvar(fs, --fs.nactvar).endpc',
    to: 'counted(fs, getlocvar(fs, --fs.nactvar), -1).endpc',
  },
  {
    file: 'lparser.js',
    from: 'if (fs === null)  /* no more levels? */',
    to: 'if (fs === null || base && !namesOf(fs.ls).get(luaS_hashlongstr(n)))',
  },
  {
    file: 'lparser.js',
    from: `    for (let i = fs.nactvar - 1; i >= 0; i--) {
        if (eqstr(n, getlocvar(fs, i).varname))
            return i;`,
    to: `    const active = fs.ls.dyd.actvar.arr, variables = fs.f.locvars, first = fs.firstlocal, key = luaS_hashlongstr(n);
    for (let i = fs.nactvar - 1; i >= 0; i--) {
        if (luaS_hashlongstr(variables[active[first + i].idx].varname) === key)
            return i;`,
  },
  {
    file: 'lparser.js',
    from: '    /* remove goto from pending list */',
    to: '    luaS_work(ls.L, (gl.n - g) * 32);',
  },
  {
    file: 'lparser.js',
    from: '    /* check labels in current block for a match */',
    to: '    luaS_work(ls.L, (dyd.label.n - bl.firstlabel) * 64);',
  },
  {
    file: 'lparser.js',
    from: '    let i = ls.fs.bl.firstgoto;\n',
    to: '    let i = ls.fs.bl.firstgoto;\n    luaS_work(ls.L, (gl.n - i) * 64);\n',
  },
  {
    file: 'lparser.js',
    from: '    for (let i = fs.bl.firstlabel; i < ll.n; i++) {',
    to: `    luaS_work(fs.ls.L, (ll.n - fs.bl.firstlabel) * 64);
    for (let i = fs.bl.firstlabel; i < ll.n; i++) {`,
  },
];
