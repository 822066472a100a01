/**
 * The patches of fengari that are made in the text of its source files while it loads, and a few additions: each is
 * explained where it stands. Those about the order of tables are in engine-order.ts, those that count work in
 * engine-work.ts, those that let the parser pause in engine-parser.ts.
 */
import { parserPatches } from './engine-parser.ts';
import { type SourcePatch, workPatches } from './engine-work.ts';

/** Of each text in a message of the engine's, in bytes; a message in the log has no more either. */
const LONGEST_IN_MESSAGE = 65_536;
/** For `require`, in bytes, as for package.path. */
const LONGEST_MODULE_NAME = 65_536;

export const sourcePatches: SourcePatch[] = [
  {
    // `a..b..c` allocates the whole result before luaS_bless sees it: a few long operands were gigabytes.
    file: 'lvm.js',
    from: 'let buff = new Uint8Array(tl);',
    to: 'let buff = luaS_space(L, tl);',
  },
  {
    // Belongs to the one before: a `require` in it would cost ten times the concatenation.
    file: 'lvm.js',
    from: "    luaS_hashlongstr\n} = require('./lstring.js');",
    to: "    luaS_hashlongstr,\n    luaS_order,\n    luaS_space,\n    luaS_work\n} = require('./lstring.js');",
  },
  {
    // Decoding UTF-8 for a numeral takes ten times as long as reading it, and bytes above 127 are no part of one.
    file: 'lobject.js',
    from: 's = to_jsstring(s);',
    to: 's = Buffer.prototype.latin1Slice.call(s, 0, s.length);',
  },
  {
    // Each state counts its objects from 1, so that `tostring({})` was the same in every session. The state gets a number
    // of its own with the first such text; objects need no larger ids for it.
    file: 'lobject.js',
    from: 'pushstr(L, to_luastring("0x"+v.id.toString(16)));',
    to: 'pushstr(L, to_luastring(luaO_address(L, v.id)));',
  },
  {
    file: 'lobject.js',
    from: 'pushstr(L, to_luastring("0x"+id.toString(16)));',
    to: 'pushstr(L, to_luastring(luaO_address(L, id)));',
  },
  {
    file: 'lobject.js',
    from: 'const luaO_pushvfstring = function',
    to: `let addressSpaces = 0;
const luaO_address = function(L, id) {
    const g = L.l_G;
    if (g.addressSpace === 0) g.addressSpace = ++addressSpaces;
    return "0x" + g.addressSpace.toString(16).padStart(4, "0") + id.toString(16).padStart(8, "0");
};

const luaO_pushvfstring = function`,
  },
  {
    file: 'lstate.js',
    from: 'this.id_counter = 1;',
    to: 'this.addressSpace = 0; /* a number of its own, once an object is told by its address */\n        this.id_counter = 1;',
  },
  {
    // For debug.debug(), which no policy has; when loaded it calls what Node's permission model forbids.
    file: 'ldblib.js',
    from: 'if (typeof process !== "undefined") { // Only with Node',
    to: 'if (false) {',
  },
  {
    // Messages with a string of the script's in them were copied whole, several times over, in one step.
    file: 'lobject.js',
    from: '                    let i = luastring_indexOf(s, 0);\n',
    to: `                    if (s.length > ${LONGEST_IN_MESSAGE}) s = s.subarray(0, ${LONGEST_IN_MESSAGE});
                    let i = luastring_indexOf(s, 0);\n`,
  },
  {
    // The name of a module is made a key, and stands in messages.
    file: 'loadlib.js',
    from: 'const ll_require = function(L) {\n    let name = luaL_checkstring(L, 1);\n',
    to: `const ll_require = function(L) {
    let name = luaL_checkstring(L, 1);
    if (name.length > ${LONGEST_MODULE_NAME}) return luaL_error(L, to_luastring("path or name too long"));
`,
  },
  ...workPatches,
  ...parserPatches,
  {
    // Operator precedence: the bit that remembers "hooks are allowed" was never set, so after the first error that a
    // pcall caught in a coroutine no hook ran again there, and an endless loop after it could not be stopped.
    file: 'lapi.js',
    from: 'ci.callstatus &= ~lstate.CIST_OAH | L.allowhook;',
    to: 'ci.callstatus = (ci.callstatus & ~lstate.CIST_OAH) | L.allowhook;',
  },
  {
    // A Lua frame has no room above its registers, so after a JavaScript exception inside an instruction the handler
    // could not even be pushed, and what had happened was lost. The frame is unwound in any case: give it room.
    file: 'ldo.js',
    from: '                    lapi.lua_pushcfunction(L, atnativeerror);',
    to: `                    luaD_checkstack(L, LUA_MINSTACK);
                    if (L.ci.top < L.top + LUA_MINSTACK) L.ci.top = L.top + LUA_MINSTACK;
                    lapi.lua_pushcfunction(L, atnativeerror);`,
  },
  {
    // A function that is not Lua is "C" to Lua programs, in debug.getinfo and in tracebacks.
    file: 'ldebug.js',
    from: 'ar.source = to_luastring("=[JS]", true);',
    to: 'ar.source = to_luastring("=[C]", true);',
  },
  {
    file: 'ldebug.js',
    from: 'ar.what = to_luastring("J", true);',
    to: 'ar.what = to_luastring("C", true);',
  },
  {
    // Messages that programs may look for in C Lua's words.
    file: 'ldo.js',
    from: 'ldebug.luaG_runerror(L, to_luastring("JS stack overflow", true));',
    to: 'ldebug.luaG_runerror(L, to_luastring("C stack overflow", true));',
  },
  {
    file: 'ldo.js',
    from: 'resume_error(L, "JS stack overflow", nargs)',
    to: 'resume_error(L, "C stack overflow", nargs)',
  },
  {
    file: 'ldo.js',
    from: '"attempt to yield across a JS-call boundary"',
    to: '"attempt to yield across a C-call boundary"',
  },
  { file: 'lparser.js', from: /"JS levels"/g, to: '"C levels"', times: 2 },
  { file: 'lauxlib.js', from: '(...tail calls..)', to: '(...tail calls...)' },
  {
    // The uncatchable end (see below) of code that runs on after pcall has caught an error was taken for a bug of the
    // engine ("assertion failed"): only at the first of several stretches was it expected.
    file: 'ldo.js',
    from: '        if (status > LUA_YIELD) {  /* unrecoverable error? */',
    to: `        if (status === -1)
            status = LUA_ERRRUN;
        else if (status > LUA_YIELD) {`,
  },
  {
    // A message handler that fails is called with its own error, again and again until the stack of C calls is full: all
    // of it in one stretch in which others cannot have their turn. C Lua gives up after some 200 calls, this after 30.
    file: 'ldebug.js',
    from: '        ldo.luaD_callnoyield(L, L.top - 2, 1);\n    }\n\n    ldo.luaD_throw(L, LUA_ERRRUN);',
    to: `        if (L.handling === 30) ldo.luaD_throw(L, 6); /* LUA_ERRERR */
        L.handling++;
        try {
            ldo.luaD_callnoyield(L, L.top - 2, 1);
        } finally {
            L.handling--;
        }
    }

    ldo.luaD_throw(L, LUA_ERRRUN);`,
  },
  {
    file: 'lstate.js',
    from: 'this.errfunc = 0;',
    to: 'this.errfunc = this.handling = 0;\n        this.outermost = null;',
  },
  // Time: compiled code is for objects of one shape, so all fields are there from the beginning, and a type is a number.
  { file: 'lstate.js', from: 'this.c_ctx = null;', to: 'this.c_ctx = null;\n        this.extra = 0;' },
  {
    file: 'lstate.js',
    from: 'this.panic = null;',
    to: 'this.host = this.panic = null;\n        this.made = void 0;',
  },
  { file: 'lobject.js', from: 'this.type = type;', to: 'this.type = type | 0;' },
  // Time: deleting an element of an array is a call out of compiled code, and fengari does it for every value that is
  // popped. An empty slot reads the same.
  ...Object.entries({
    'lapi.js': 18,
    'ldebug.js': 1,
    'ldo.js': 5,
    'lparser.js': 1,
    'ltm.js': 1,
    'lvm.js': 3,
  }).map(([file, times]) => ({
    file,
    from: /\bdelete ((?:L|from)\.stack\[[^\]]*\]);/g,
    to: '$1 = void 0;',
    times,
  })),
  // Time: V8 keeps a field that was once a fraction (NaN is one) as a number in a box of its own, for good, and boxes and
  // unboxes what are stack positions and counters in truth.
  { file: 'lstate.js', from: /(this\.\w+) = NaN;/g, to: '$1 = 0;', times: 9 },
  // Time: for digits no encoder of UTF-8 is needed.
  {
    file: 'lobject.js',
    from: 'buff = to_luastring(lua_integer2str(obj.value));',
    to: 'buff = luaO_digits(lua_integer2str(obj.value));',
  },
  {
    file: 'lobject.js',
    from: 'const luaO_tostring = function',
    to: `const luaO_digits = function(text) {
    const length = text.length, bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
};

const luaO_tostring = function`,
  },
  {
    file: 'lobject.js',
    from: 'buff = to_luastring(str);',
    to: 'buff = luaO_digits(str);',
  },
  // Tables are ours (tables.ts): one has no Map before it needs one.
  { file: 'llex.js', from: 'ls.h.strong.get(', to: '(ls.h.strong ??= new Map()).get(' },
  // Time: for the addresses of light userdata, which hardly any state writes, every state had a WeakMap.
  { file: 'lstate.js', from: 'this.ids = new WeakMap();', to: 'this.ids = null;' },
  { file: 'lobject.js', from: 'L.l_G.ids.get(v)', to: '(L.l_G.ids ??= new WeakMap()).get(v)' },
  {
    file: 'lapi.js',
    from: 'let t = new lobject.TValue(LUA_TTABLE, ltable.luaH_new(L));',
    to: `let h = ltable.luaH_new(L);
    if (narray > 0) h.asize = narray;
    let t = new lobject.TValue(LUA_TTABLE, h);`,
  },
];
