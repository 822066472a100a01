/**
 * Types of the part of fengari 0.1.5 in use. fengari ships none.
 *
 * The internals (`fengari/src/*`) are reached through engine.ts only.
 */
declare module 'fengari' {
  /** A Lua string: bytes. */
  export type LuaString = Uint8Array;
  export type LuaFunction = (L: LuaState) => number;
  export type Continuation = (L: LuaState, status: number, context: unknown) => number;

  export interface LuaDebug {
    source: LuaString;
    short_src: LuaString;
    /** LUA_HOOKLINE, LUA_HOOKCOUNT; else a call. */
    event: number;
    currentline: number;
    name: LuaString | null;
    namewhat: LuaString;
    what: LuaString;
    linedefined: number;
    istailcall: boolean;
    i_ci: unknown;
  }

  export interface GlobalState {
    /** Not 0 once an object of this state was told by its address. */
    readonly addressSpace: number;
    id_counter: number;
    l_registry: { type: number; value: LuaTable };
    mt: (LuaTable | null | undefined)[];
    mainthread: LuaState;
    tmname: unknown[];
    /** Ours: bytes of strings made so far, counted where there is a host. */
    made?: number;
    /** Ours: the owner of this state, see host.ts. */
    host: unknown;
  }

  /** Of a table (ours, see tables.ts). */
  export interface LuaTable {
    /** The elements from 1 on; one without a value is a value nil. Never written to before fill() has been called. */
    array: TValue[];
    /** How many of them have no value; the last one has. */
    holes: number;
    /** The highest index of an element that was removed from the end, since a key was added. */
    popped: number;
    /** What is or was among the keys in `strong`, see engine-order.ts. */
    kinds: number;
    /** All other keys. null where there are none, and where fill() is to make them. */
    strong: Map<unknown, TableEntry> | null;
    /** Makes the contents, or a copy of contents that are shared; undefined once they are the table's own. */
    fill: ((this: LuaTable) => void) | undefined;
    /** What `strong` lacks before fill() has been called; undefined when that is nothing. */
    base: LuaTableBase | undefined;
    /** Removed keys, for a traversal under way; undefined when there are none. */
    dead_strong: Map<unknown, TableEntry> | undefined;
    dead_weak: WeakMap<object, TableEntry> | undefined;
    /** The first and the last entry of the list in which those of `strong` are. */
    f: TableEntry | undefined;
    l: TableEntry | undefined;
    metatable: LuaTable | null;
    flags: number;
    /** How long C Lua's array part would be (see engine-order.ts). */
    asize: number;
    /** Whether the entries are in C Lua's order, and what the table was made for (see engine-order.ts). */
    order: number;
  }

  export interface LuaTableBase {
    value(table: LuaTable, hash: unknown): TValue;
  }

  export interface TableEntry {
    key: TValue;
    value: TValue;
    p: TableEntry | undefined;
    n: TableEntry | undefined;
  }

  export interface TValue {
    type: number;
    value: unknown;
  }

  /** A call: kept for the next one at the same depth when it is over (ours, see interpreter.ts). */
  export interface CallInfo {
    callstatus: number;
    func: TValue;
    /** Where the function lies on the stack, and the end of what it may use there. */
    funcOff: number;
    top: number;
    nresults: number;
    previous: CallInfo | null;
    next: CallInfo | null;
    /** Of a Lua function: its first register, its instructions, and the index of the next one. */
    l_base: number;
    l_code: readonly unknown[] | null;
    l_savedpc: number;
    /** Of any other: where it goes on after a wait. */
    c_k: Continuation | null;
    c_old_errfunc: number | null;
    c_ctx: unknown;
  }

  /** A string object: shared freely between states, never changed but for its cached table key. */
  export interface TString {
    hash: string | null;
    realstring: LuaString;
  }

  export interface Instruction {
    opcode: number;
    A: number;
    B: number;
    C: number;
    Ax: number;
    Bx: number;
    sBx: number;
  }

  /** A compiled function. Nothing in it is written after compiling (see engine.ts for `cache`). */
  export interface Proto {
    /** Constants. */
    k: TValue[];
    /** Functions defined inside. */
    p: Proto[];
    /** Instructions, and the source line of each. */
    code: readonly Instruction[];
    lineinfo: readonly number[];
    /** Line of its `function`; 0 for a main chunk. */
    linedefined: number;
    cache: unknown;
    upvalues: readonly { readonly instack: boolean; readonly idx: number }[];
    numparams: number;
    is_vararg: boolean;
    maxstacksize: number;
    source: TString | null;
  }

  export interface LClosure {
    p: Proto;
    nupvalues: number;
    upvals: TValue[];
  }

  export interface CClosure {
    f: LuaFunction;
    nupvalues: number;
    upvalue: TValue[];
  }

  export interface Udata {
    metatable: LuaTable | null;
    uservalue: TValue;
    len: number;
    data: Record<string, unknown>;
  }

  /** The modules under fengari/src, as far as they are in use. */
  /** A stream of bytes; -1 at its end. */
  export interface ParserStream {
    zgetc(): number;
  }

  export interface Internals {
    lobject: {
      TValue: new (type: number, value: unknown) => TValue;
      LClosure: new (L: LuaState, n: number) => LClosure;
      CClosure: new (L: LuaState, f: LuaFunction, n: number) => CClosure;
      Udata: new (L: LuaState, size: number) => Udata;
      luaO_nilobject: TValue;
      luaO_arith(L: LuaState, op: number, a: TValue, b: TValue, to: TValue): void;
      luaO_tostring(L: LuaState, value: TValue): void;
      /** Returns the bytes that were read and one more; 0 when `text` is no number. */
      luaO_str2num(text: LuaString, value: TValue): number;
    };
    ltable: {
      luaH_new(L: LuaState): LuaTable;
      /** Without `fill` the table is empty (ours, see engine.ts). */
      Table: new (
        L: LuaState,
        fill?: LuaTable['fill'],
      ) => LuaTable;
      luaH_getint(table: LuaTable, key: number): TValue;
      /** The live value; a shared nil when there is none. */
      luaH_get(L: LuaState, table: LuaTable, key: TValue): TValue;
      /** Copies the value; nil removes the key. Raw. */
      luaH_setfrom(L: LuaState, table: LuaTable, key: TValue, value: TValue): void;
      luaH_setint(table: LuaTable, key: number, value: TValue): void;
      luaH_getn(table: LuaTable): number;
    };
    lstate: {
      lua_State: new (global: GlobalState) => LuaState;
      lua_newstate(): LuaState;
      luaE_extendCI(L: LuaState): CallInfo;
    };
    lopcodes: {
      /** By name, as OP_MOVE. */
      OpCodesI: Readonly<
        Record<'OP_SETTABUP' | 'OP_JMP' | 'OP_EQ' | 'OP_LT' | 'OP_LE' | 'OP_EXTRAARG' | 'OP_RETURN', number>
      >;
      /** Kinds of operands: a register, or a register or constant. */
      OpArgR: number;
      OpArgK: number;
      /** The format with operands A, B, C. */
      iABC: number;
      /** The bit of an operand that is a constant. */
      BITRK: number;
      getBMode(opcode: number): number;
      getCMode(opcode: number): number;
      getOpMode(opcode: number): number;
    };
    ldo: {
      luaD_precall(L: LuaState, at: number, results: number): boolean;
      luaD_poscall(L: LuaState, ci: CallInfo, first: number, results: number): boolean;
      luaD_call(L: LuaState, at: number, results: number): void;
      luaD_checkstack(L: LuaState, slots: number): void;
      adjust_top(L: LuaState, top: number): void;
      luaD_throw(L: LuaState, status: number): never;
      /** Returns the status; after an error the message lies at `bottom`, the top of the stack. */
      luaD_pcall(
        L: LuaState,
        call: (L: LuaState, data: unknown) => void,
        data: unknown,
        bottom: number,
        handler: number,
      ): number;
    };
    lparser: {
      Dyndata: new () => object;
      /** Ours: leaves the main closure on the stack, see engine-parser.ts. */
      luaY_steps(
        L: LuaState,
        z: ParserStream,
        buffer: object,
        dyndata: object,
        chunkName: LuaString,
        first: number,
      ): Generator<undefined, LClosure, undefined>;
    };
    lzio: {
      MBuffer: new () => object;
      ZIO: new (L: LuaState, reader: () => LuaString | null, data: { readonly due: boolean }) => ParserStream;
    };
    lfunc: { Proto: { prototype: object }; luaF_close(L: LuaState, level: number): void };
    lstring: {
      TString: new (L: LuaState | null, bytes: LuaString) => TString;
      luaS_hash(bytes: LuaString): string;
      luaS_hashlongstr(string: TString, L?: LuaState): string;
      luaS_bless(L: LuaState, bytes: LuaString): TString;
      luaS_new(L: LuaState, bytes: LuaString): TString;
      luaS_newliteral(L: LuaState, text: string): TString;
      /** Ours: room for a string about to be made, see engine.ts. */
      luaS_space(L: LuaState, length: number): Uint8Array;
      /** Ours: makes known work on so many bytes, see engine.ts. */
      luaS_work(L: LuaState, bytes: number): void;
      luaS_eqlngstr(a: TString, b: TString): boolean;
      /** Ours: below, equal to or above 0 as `a` comes before, with or behind `b`. */
      luaS_order(a: TString, b: TString): number;
    };
    /** Type tags with their variants. */
    tags: {
      LUA_TLNGSTR: number;
      LUA_TNUMFLT: number;
      LUA_TNUMINT: number;
      LUA_TLCL: number;
      LUA_TLCF: number;
      LUA_TCCL: number;
    };
  }

  export interface LuaState {
    l_G: GlobalState;
    stack: (TValue | undefined)[];
    top: number;
    stack_last: number;
    ci: CallInfo;
    base_ci: CallInfo;
    nCcalls: number;
    allowhook: number;
    status: number;
    nny: number;
    errfunc: number;
    hookmask: number;
    basehookcount: number;
    hookcount: number;
    /** Ours: the frame of the function that the thread began with, see engine.ts. */
    outermost: CallInfo | null;
  }

  export interface Lua {
    LUA_OK: 0;
    LUA_YIELD: 1;
    LUA_ERRRUN: 2;
    LUA_ERRSYNTAX: 3;
    LUA_ERRMEM: 4;
    LUA_MULTRET: -1;
    LUA_OPEQ: number;
    LUA_OPLT: number;
    LUA_MASKCOUNT: number;
    LUA_MASKLINE: number;
    LUA_MASKCALL: number;
    LUA_HOOKCOUNT: number;
    LUA_HOOKLINE: number;
    LUA_REGISTRYINDEX: number;
    LUA_RIDX_GLOBALS: number;
    LUA_TNONE: -1;
    LUA_TNIL: 0;
    LUA_TBOOLEAN: 1;
    LUA_TLIGHTUSERDATA: 2;
    LUA_TNUMBER: 3;
    LUA_TSTRING: 4;
    LUA_TTABLE: 5;
    LUA_TFUNCTION: 6;
    LUA_TUSERDATA: 7;
    LUA_TTHREAD: 8;
    lua_Debug: new () => LuaDebug;
    lua_absindex(L: LuaState, index: number): number;
    lua_atnativeerror(L: LuaState, handler: LuaFunction): LuaFunction | undefined;
    lua_call(L: LuaState, nargs: number, nresults: number): void;
    lua_callk(L: LuaState, nargs: number, nresults: number, context: unknown, k: Continuation): void;
    lua_checkstack(L: LuaState, n: number): boolean;
    lua_compare(L: LuaState, a: number, b: number, op: number): boolean | number;
    lua_concat(L: LuaState, n: number): void;
    lua_createtable(L: LuaState, narr?: number, nrec?: number): void;
    lua_error(L: LuaState): never;
    lua_getfield(L: LuaState, index: number, key: LuaString): number;
    lua_geti(L: LuaState, index: number, n: number): number;
    lua_getglobal(L: LuaState, name: LuaString): number;
    lua_getinfo(L: LuaState, what: LuaString, ar: LuaDebug): number;
    lua_getmetatable(L: LuaState, index: number): boolean;
    lua_getstack(L: LuaState, level: number, ar: LuaDebug): number;
    lua_gettable(L: LuaState, index: number): number;
    lua_gettop(L: LuaState): number;
    lua_insert(L: LuaState, index: number): void;
    lua_isfunction(L: LuaState, index: number): boolean;
    lua_isinteger(L: LuaState, index: number): boolean;
    lua_isnil(L: LuaState, index: number): boolean;
    lua_isnone(L: LuaState, index: number): boolean;
    lua_isnoneornil(L: LuaState, index: number): boolean;
    lua_isnumber(L: LuaState, index: number): boolean;
    lua_isstring(L: LuaState, index: number): boolean;
    lua_istable(L: LuaState, index: number): boolean;
    lua_isyieldable(L: LuaState): boolean;
    lua_load(
      L: LuaState,
      reader: (L: LuaState, data: unknown) => LuaString | null,
      data: unknown,
      chunkname: LuaString,
      mode: LuaString | null,
    ): number;
    lua_newtable(L: LuaState): void;
    lua_newthread(L: LuaState): LuaState;
    lua_newuserdata(L: LuaState, size?: number): Record<string, unknown>;
    lua_next(L: LuaState, index: number): number;
    lua_pcall(L: LuaState, nargs: number, nresults: number, handler: number): number;
    lua_pcallk(
      L: LuaState,
      nargs: number,
      nresults: number,
      handler: number,
      context: unknown,
      k: Continuation,
    ): number;
    lua_pop(L: LuaState, n: number): void;
    lua_pushboolean(L: LuaState, value: boolean): void;
    lua_pushcclosure(L: LuaState, f: LuaFunction, n: number): void;
    lua_pushcfunction(L: LuaState, f: LuaFunction): void;
    lua_pushglobaltable(L: LuaState): void;
    /** `%s %d %f %c %p %I %U %%` only; `format` is bytes. */
    lua_pushfstring(L: LuaState, format: LuaString, ...args: unknown[]): LuaString;
    lua_pushinteger(L: LuaState, value: number): void;
    lua_pushlightuserdata(L: LuaState, value: unknown): void;
    /** Encodes as UTF-8: for our own ASCII texts only. */
    lua_pushliteral(L: LuaState, text: string): void;
    lua_pushlstring(L: LuaState, bytes: LuaString, length: number): void;
    lua_pushnil(L: LuaState): void;
    lua_pushnumber(L: LuaState, value: number): void;
    /** Copies the bytes. */
    lua_pushstring(L: LuaState, bytes: LuaString): void;
    lua_pushthread(L: LuaState): boolean;
    lua_pushvalue(L: LuaState, index: number): void;
    lua_rawequal(L: LuaState, a: number, b: number): boolean;
    lua_rawget(L: LuaState, index: number): number;
    lua_rawgeti(L: LuaState, index: number, n: number): number;
    lua_rawlen(L: LuaState, index: number): number;
    lua_rawset(L: LuaState, index: number): void;
    lua_rawseti(L: LuaState, index: number, n: number): void;
    lua_remove(L: LuaState, index: number): void;
    lua_replace(L: LuaState, index: number): void;
    lua_resume(L: LuaState, from: LuaState | null, nargs: number): number;
    lua_rotate(L: LuaState, index: number, n: number): void;
    lua_setfield(L: LuaState, index: number, key: LuaString): void;
    lua_seti(L: LuaState, index: number, n: number): void;
    lua_setglobal(L: LuaState, name: LuaString): void;
    lua_sethook(
      L: LuaState,
      hook: ((L: LuaState, ar: LuaDebug) => void) | null,
      mask: number,
      count: number,
    ): void;
    lua_setmetatable(L: LuaState, index: number): void;
    lua_settable(L: LuaState, index: number): void;
    lua_setupvalue(L: LuaState, index: number, n: number): LuaString | null;
    lua_settop(L: LuaState, index: number): void;
    lua_status(L: LuaState): number;
    /** Pushes the number that the text is and returns its length plus 1, or returns 0. */
    lua_stringtonumber(L: LuaState, text: LuaString): number;
    lua_toboolean(L: LuaState, index: number): boolean;
    lua_tointeger(L: LuaState, index: number): number;
    /** false when the value is no integer and cannot be converted to one. */
    lua_tointegerx(L: LuaState, index: number): number | false;
    lua_tonumber(L: LuaState, index: number): number;
    /** Decodes UTF-8, lossy: for messages to people only, never for mail. */
    lua_tojsstring(L: LuaState, index: number): string;
    lua_topointer(L: LuaState, index: number): unknown;
    /** The live bytes of the string, never to be written to; numbers are converted in place. */
    lua_tostring(L: LuaState, index: number): LuaString | null;
    lua_tothread(L: LuaState, index: number): LuaState | null;
    lua_touserdata(L: LuaState, index: number): unknown;
    lua_type(L: LuaState, index: number): number;
    lua_typename(L: LuaState, type: number): LuaString;
    lua_upvalueindex(n: number): number;
    lua_xmove(from: LuaState, to: LuaState, n: number): void;
    lua_yield(L: LuaState, nresults: number): number;
    lua_yieldk(L: LuaState, nresults: number, context: unknown, k: Continuation | null): number;
  }

  export interface Lauxlib {
    LUA_FILEHANDLE: LuaString;
    LUA_LOADED_TABLE: LuaString;
    luaL_argcheck(L: LuaState, condition: unknown, arg: number, message: LuaString): void;
    luaL_argerror(L: LuaState, arg: number, message: LuaString): never;
    luaL_callmeta(L: LuaState, object: number, event: LuaString): boolean;
    luaL_checkany(L: LuaState, arg: number): void;
    luaL_checkinteger(L: LuaState, arg: number): number;
    luaL_checknumber(L: LuaState, arg: number): number;
    luaL_checkoption(L: LuaState, arg: number, def: LuaString | null, list: LuaString[]): number;
    luaL_checkstack(L: LuaState, space: number, message: LuaString | null): void;
    luaL_checkstring(L: LuaState, arg: number): LuaString;
    luaL_checktype(L: LuaState, arg: number, type: number): void;
    luaL_checkudata(L: LuaState, arg: number, name: LuaString): Record<string, unknown>;
    luaL_error(L: LuaState, format: LuaString, ...args: unknown[]): never;
    luaL_getmetafield(L: LuaState, index: number, name: LuaString): number;
    luaL_getmetatable(L: LuaState, name: LuaString): number;
    luaL_getsubtable(L: LuaState, index: number, name: LuaString): boolean;
    luaL_len(L: LuaState, index: number): number;
    luaL_loadbufferx(
      L: LuaState,
      bytes: LuaString,
      size: number,
      chunkname: LuaString,
      mode: LuaString | null,
    ): number;
    luaL_newmetatable(L: LuaState, name: LuaString): number;
    luaL_ref(L: LuaState, table: number): number;
    luaL_newstate(): LuaState;
    luaL_optinteger(L: LuaState, arg: number, def: number): number;
    luaL_optnumber(L: LuaState, arg: number, def: number): number;
    luaL_optstring(L: LuaState, arg: number, def: LuaString | null): LuaString;
    luaL_requiref(L: LuaState, name: LuaString, open: LuaFunction, global: number): void;
    luaL_setfuncs(L: LuaState, functions: Record<string, LuaFunction>, nup: number): void;
    luaL_setmetatable(L: LuaState, name: LuaString): void;
    luaL_testudata(L: LuaState, arg: number, name: LuaString): Record<string, unknown> | null;
    luaL_tolstring(L: LuaState, index: number): LuaString;
    luaL_traceback(L: LuaState, L1: LuaState, message: LuaString | null, level: number): void;
    luaL_typename(L: LuaState, index: number): LuaString;
    luaL_where(L: LuaState, level: number): void;
  }

  export interface Lualib {
    luaL_openlibs(L: LuaState): void;
    luaopen_base: LuaFunction;
    luaopen_coroutine: LuaFunction;
    luaopen_debug: LuaFunction;
    luaopen_math: LuaFunction;
    luaopen_os: LuaFunction;
    luaopen_package: LuaFunction;
    luaopen_string: LuaFunction;
    luaopen_table: LuaFunction;
    luaopen_utf8: LuaFunction;
  }

  const fengari: {
    lua: Lua;
    lauxlib: Lauxlib;
    lualib: Lualib;
    /** Encodes as UTF-8: for our own ASCII texts only. */
    to_luastring(text: string, cache?: boolean): LuaString;
    to_jsstring(bytes: LuaString): string;
    luastring_eq(a: LuaString, b: LuaString): boolean;
  };
  export default fengari;
}
