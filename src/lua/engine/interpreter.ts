/**
 * The loop that executes Lua code, in place of fengari's luaV_execute.
 *
 * fengari's looks up the frame, the closure and the stack anew for each instruction, calls a function for each of the count
 * hook's steps, and makes every register of a function anew with each call. Here these are variables of the loop; the
 * common case of an instruction is written out, all others are functions of fengari's. What the rest of fengari relies on
 * holds as before:
 * - `l_savedpc` is stored before anything that can raise an error, yield, call, or look at the line;
 * - all registers of a running function hold a TValue, and `L.top` is the end of them but for open results;
 * - a register's TValue is an upvalue's too until it is closed. Nobody refers to that of a function which has returned.
 */
// biome-ignore-all lint/style/noNonNullAssertion: registers, constants and instructions are there, as the compiler has said.
import type {
  CallInfo,
  CClosure,
  LClosure,
  LuaFunction,
  LuaState,
  LuaTable,
  Proto,
  TString,
  TValue,
} from 'fengari';
import type { Tables } from './tables.ts';

/** Type tags of values, as in fengari's defs.js. */
const NIL = 0;
const FLOAT = 3;
const LUA_CLOSURE = 6;
const INTEGER = 19;
const STRING = 20;
const C_FUNCTION = 22;

/** Bits of CallInfo.callstatus, as in lstate.js, and one of ours: closures refer to registers of this call. */
const CIST_TAIL = 32;
const CIST_OPEN = 512;

/** TMS.TM_INDEX of ltm.js. */
const TM_INDEX = 0;

const MULTRET = -1;
/** Free slots that a function of JavaScript finds. */
const MIN_STACK = 20;
const FIELDS_PER_FLUSH = 50;
/** Bytes that are compared and copied one by one. */
const SHORT = 24;
/** Results of one call from which on moving them is counted as work. */
const MANY_RESULTS = 128;

/** What is needed of fengari, by its module. */
export interface InterpreterModules {
  readonly lvm: {
    luaV_gettable(L: LuaState, object: TValue, key: TValue, to: number): void;
    settable(L: LuaState, object: TValue, key: TValue, value: TValue): void;
    luaV_concat(L: LuaState, count: number): void;
    luaV_equalobj(L: LuaState, a: TValue, b: TValue): number;
    luaV_lessthan(L: LuaState, a: TValue, b: TValue): number;
    luaV_lessequal(L: LuaState, a: TValue, b: TValue): number;
    luaV_objlen(L: LuaState, to: TValue, value: TValue): void;
    luaV_tointeger(value: TValue, mode: number): number | false;
    tonumber(value: TValue): number | false;
  };
  readonly ldo: {
    luaD_precall(L: LuaState, at: number, results: number): boolean;
    luaD_poscall(L: LuaState, ci: CallInfo, first: number, results: number): boolean;
    luaD_call(L: LuaState, at: number, results: number): void;
    luaD_checkstack(L: LuaState, slots: number): void;
    adjust_top(L: LuaState, top: number): void;
  };
  readonly lobject: {
    TValue: new (type: number, value: unknown) => TValue;
    LClosure: new (L: LuaState, upvalues: number) => LClosure;
    luaO_arith(L: LuaState, op: number, a: TValue, b: TValue, to: TValue): void;
    luaO_tostring(L: LuaState, value: TValue): void;
  };
  readonly lstate: { luaE_extendCI(L: LuaState): CallInfo };
  readonly lfunc: { luaF_close(L: LuaState, level: number): void };
  readonly ldebug: {
    luaG_traceexec(L: LuaState): void;
    luaG_runerror(L: LuaState, message: Uint8Array): never;
  };
  readonly lstring: {
    luaS_bless(L: LuaState, bytes: Uint8Array): TString;
    luaS_space(L: LuaState, length: number): Uint8Array;
    luaS_work(L: LuaState, bytes: number): void;
    luaS_hashlongstr(string: TString, L?: LuaState): string;
  };
  readonly tables: Tables;
}

/** The iterators of `pairs` and `ipairs`, which are not called where a loop has a table without a metatable. */
export const iterators: { next: LuaFunction | null; nextElement: LuaFunction | null } = {
  next: null,
  nextElement: null,
};

const utf8 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const LIMIT_MUST_BE = utf8("'for' limit must be a number");
const STEP_MUST_BE = utf8("'for' step must be a number");
const INITIAL_MUST_BE = utf8("'for' initial value must be a number");

/** A "floating point byte" of the parser's (luaO_fb2int). */
const fromFloatingByte = (x: number): number => (x < 8 ? x : ((x & 7) + 8) << ((x >> 3) - 1));

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  const { length } = a;
  if (length !== b.length) return false;
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** @returns luaV_execute: executes the Lua function of L.ci until it returns */
export function makeInterpreter(modules: InterpreterModules): (L: LuaState) => void {
  const { lvm, ldebug, tables } = modules;
  const { luaV_gettable, settable, luaV_concat, luaV_equalobj, luaV_lessthan, luaV_lessequal, luaV_objlen } =
    lvm;
  const { luaD_precall, luaD_poscall, luaD_call, luaD_checkstack, adjust_top } = modules.ldo;
  const { TValue: Value, LClosure: Closure, luaO_arith, luaO_tostring } = modules.lobject;
  const { lstate } = modules;
  const { luaF_close } = modules.lfunc;
  const { luaS_bless, luaS_space, luaS_work, luaS_hashlongstr } = modules.lstring;
  const { luaH_new, luaH_getint, luaH_getstr, luaH_getn, luaH_setint, luaH_setstr, luaH_next } = tables;

  /** Makes what is missing of the registers from `from` to `end`, and forgets what has been left in those below `used`. */
  function restore(stack: (TValue | undefined)[], from: number, end: number, used: number): void {
    for (let r = from; r < used; r++) {
      const register = stack[r];
      if (register !== undefined) {
        register.type = NIL;
        register.value = null;
      } else if (r < end) stack[r] = new Value(NIL, null);
    }
    for (let r = used; r < end; r++) if (stack[r] === undefined) stack[r] = new Value(NIL, null);
  }

  /** Calls a function of JavaScript at `at`, whose arguments end at L.top; puts `wanted` results in its place. */
  function callHost(L: LuaState, ci: CallInfo, at: number, wanted: number): void {
    const stack = L.stack;
    const func = stack[at]!;
    const f = func.type === C_FUNCTION ? (func.value as LuaFunction) : (func.value as CClosure).f;
    if (L.stack_last - L.top <= MIN_STACK) luaD_checkstack(L, MIN_STACK);
    let called = ci.next;
    if (called === null) called = lstate.luaE_extendCI(L);
    else {
      called.c_k = null;
      called.c_old_errfunc = null;
      called.c_ctx = null;
      L.ci = called;
    }
    called.funcOff = at;
    called.nresults = wanted;
    called.func = func;
    called.top = L.top + MIN_STACK;
    called.callstatus = 0;
    const count = f(L);
    if (typeof count !== 'number' || count < 0 || (count | 0) !== count) {
      throw new Error('invalid return value from JS function (expected integer)');
    }
    if (count >= MANY_RESULTS) luaS_work(L, count * 32);
    const top = L.top;
    const first = top - count;
    L.ci = ci;
    const taken = wanted === MULTRET || wanted > count ? count : wanted;
    for (let i = 0; i < taken; i++) {
      const from = stack[first + i]!;
      const to = stack[at + i];
      if (to === undefined) stack[at + i] = new Value(from.type, from.value);
      else {
        to.type = from.type;
        to.value = from.value;
      }
    }
    if (wanted === MULTRET) {
      restore(stack, at + count, 0, top);
      L.top = at + count;
      return;
    }
    const end = ci.top;
    restore(stack, at + taken, end, Math.max(top, at + wanted));
    L.top = end;
  }

  /** Puts the values of the registers `first` to `last` together at `to`; they are strings and numbers mostly. */
  function concat(L: LuaState, ci: CallInfo, first: number, last: number, to: number): void {
    const stack = L.stack;
    for (let r = first; r <= last; r++) {
      const { type } = stack[r]!;
      if (type === STRING || (type & 15) === FLOAT) continue;
      L.top = last + 1;
      luaV_concat(L, last - first + 1);
      const result = stack[first]!;
      const register = stack[to]!;
      register.type = result.type;
      register.value = result.value;
      adjust_top(L, ci.top);
      return;
    }
    let total = 0;
    let longest = 0;
    let whole: TString | null = null;
    for (let r = last; r >= first; r--) {
      const part = stack[r]!;
      if (part.type !== STRING) luaO_tostring(L, part);
      const string = part.value as TString;
      const { length } = string.realstring;
      total += length;
      if (length > longest || whole === null) {
        longest = length;
        whole = string;
      }
    }
    const register = stack[to]!;
    if (total !== longest) {
      const bytes = luaS_space(L, total);
      let at = 0;
      for (let r = first; r <= last; r++) {
        const part = (stack[r]!.value as TString).realstring;
        const { length } = part;
        if (length > SHORT) {
          bytes.set(part, at);
          at += length;
        } else for (let i = 0; i < length; i++) bytes[at++] = part[i]!;
      }
      whole = luaS_bless(L, bytes);
    }
    register.type = STRING;
    register.value = whole;
  }

  /** Makes a closure of `proto` in register `to`; returns whether it refers to registers. */
  function makeClosure(L: LuaState, proto: Proto, enclosing: TValue[], base: number, to: number): boolean {
    const { upvalues } = proto;
    const count = upvalues.length;
    const closure = new Closure(L, count);
    closure.p = proto;
    const register = L.stack[to]!;
    register.type = LUA_CLOSURE;
    register.value = closure;
    let open = false;
    for (let i = 0; i < count; i++) {
      const { instack, idx } = upvalues[i]!;
      if (instack) {
        open = true;
        closure.upvals[i] = L.stack[base + idx]!;
      } else closure.upvals[i] = enclosing[idx]!;
    }
    return open;
  }

  /** Puts the frame of the function that has just been called in the place of `ci`, the calling one. */
  function replaceFrame(L: LuaState, ci: CallInfo, base: number): void {
    const stack = L.stack;
    const called = L.ci;
    const calledAt = called.funcOff;
    const at = ci.funcOff;
    const end = called.l_base + (called.func.value as LClosure).p.numparams;
    if ((ci.callstatus & CIST_OPEN) !== 0) luaF_close(L, base);
    for (let r = 0; calledAt + r < end; r++) {
      const from = stack[calledAt + r]!;
      const to = stack[at + r]!;
      to.type = from.type;
      to.value = from.value;
    }
    ci.l_base = at + (called.l_base - calledAt);
    ci.top = at + (L.top - calledAt);
    adjust_top(L, ci.top);
    ci.l_code = called.l_code;
    ci.l_savedpc = called.l_savedpc;
    ci.callstatus = (ci.callstatus & ~CIST_OPEN) | CIST_TAIL;
    ci.next = null;
    L.ci = ci;
  }

  function prepareFor(L: LuaState, ra: number): void {
    const stack = L.stack;
    const initial = stack[ra]!;
    const limit = stack[ra + 1]!;
    const step = stack[ra + 2]!;
    if (initial.type === INTEGER && step.type === INTEGER) {
      const by = step.value as number;
      let stopNow = false;
      let last = lvm.luaV_tointeger(limit, by < 0 ? 2 : 1);
      if (last === false) {
        const number = lvm.tonumber(limit);
        if (number !== false) {
          stopNow = number > 0 ? by < 0 : by >= 0;
          last = number > 0 ? 0x7fffffff : -0x80000000;
        }
      }
      if (last !== false) {
        limit.value = last;
        limit.type = INTEGER;
        initial.value = ((stopNow ? 0 : (initial.value as number)) - by) | 0;
        return;
      }
    }
    const last = lvm.tonumber(limit);
    if (last === false) throw ldebug.luaG_runerror(L, LIMIT_MUST_BE);
    limit.type = FLOAT;
    limit.value = last;
    const by = lvm.tonumber(step);
    if (by === false) throw ldebug.luaG_runerror(L, STEP_MUST_BE);
    step.type = FLOAT;
    step.value = by;
    const begin = lvm.tonumber(initial);
    if (begin === false) throw ldebug.luaG_runerror(L, INITIAL_MUST_BE);
    initial.type = FLOAT;
    initial.value = begin - by;
  }

  return function luaV_execute(L: LuaState): void {
    // Again, as variables: what is outside of a function V8 looks up and checks for each use, before it has optimized it.
    const NIL = 0;
    const BOOLEAN = 1;
    const FLOAT = 3;
    const TABLE = 5;
    const LUA_CLOSURE = 6;
    const INTEGER = 19;
    const STRING = 20;
    const C_FUNCTION = 22;
    const C_CLOSURE = 38;
    const CIST_LUA = 2;
    const CIST_FRESH = 8;
    const CIST_OPEN = 512;
    // Bits of LuaState.hookmask.
    const MASK_LINE = 4;
    const MASK_COUNT = 8;
    const MULTRET = -1;
    /** The bit of an operand that is a constant; the others are its index. */
    const CONSTANT = 256;
    let ci = L.ci;
    const stack = L.stack as TValue[];
    ci.callstatus |= CIST_FRESH;
    frame: for (;;) {
      const closure = ci.func.value as LClosure;
      const { k, code } = closure.p;
      const { upvals } = closure;
      const base = ci.l_base;
      let pc = ci.l_savedpc;
      let lines = (L.hookmask & MASK_LINE) !== 0;
      /** No hook but the one that counts. */
      let plain = (L.hookmask & ~MASK_COUNT) === 0;
      for (;;) {
        const i = code[pc++]!;
        const left = L.hookcount - 1;
        if (left === 0 || lines) {
          ci.l_savedpc = pc;
          ldebug.luaG_traceexec(L);
        } else L.hookcount = left;
        switch (i.opcode) {
          case 0: {
            // MOVE
            const from = stack[base + i.B]!;
            const to = stack[base + i.A]!;
            to.type = from.type;
            to.value = from.value;
            break;
          }
          case 1: {
            // LOADK
            const from = k[i.Bx]!;
            const to = stack[base + i.A]!;
            to.type = from.type;
            to.value = from.value;
            break;
          }
          case 2: {
            // LOADKX
            const from = k[code[pc++]!.Ax]!;
            const to = stack[base + i.A]!;
            to.type = from.type;
            to.value = from.value;
            break;
          }
          case 3: {
            // LOADBOOL
            const to = stack[base + i.A]!;
            to.type = BOOLEAN;
            to.value = i.B !== 0;
            if (i.C !== 0) pc++;
            break;
          }
          case 4: {
            // LOADNIL
            const first = base + i.A;
            for (let r = first + i.B; r >= first; r--) {
              const to = stack[r]!;
              to.type = NIL;
              to.value = null;
            }
            break;
          }
          case 5: {
            // GETUPVAL
            const from = upvals[i.B]!;
            const to = stack[base + i.A]!;
            to.type = from.type;
            to.value = from.value;
            break;
          }
          case 6: // GETTABUP
          case 7: {
            // GETTABLE
            const object = i.opcode === 6 ? upvals[i.B]! : stack[base + i.B]!;
            const c = i.C;
            const key = c >= CONSTANT ? k[c - CONSTANT]! : stack[base + c]!;
            if (object.type === TABLE) {
              const table = object.value as LuaTable;
              let from: TValue | undefined;
              if (key.type === STRING) {
                const { strong } = table;
                if (strong !== null) {
                  const string = key.value as TString;
                  const entry = strong.get(string.hash ?? luaS_hashlongstr(string, L));
                  if (entry !== undefined) from = entry.value;
                }
              } else if (key.type === INTEGER) {
                const index = (key.value as number) - 1;
                const { array } = table;
                if (index >= 0 && index < array.length) from = array[index];
              }
              if (from !== undefined && from.type !== NIL) {
                const to = stack[base + i.A]!;
                to.type = from.type;
                to.value = from.value;
                break;
              }
            }
            ci.l_savedpc = pc;
            luaV_gettable(L, object, key, base + i.A);
            break;
          }
          case 8: // SETTABUP
          case 10: {
            // SETTABLE
            const object = i.opcode === 8 ? upvals[i.A]! : stack[base + i.A]!;
            const b = i.B;
            const c = i.C;
            const key = b >= CONSTANT ? k[b - CONSTANT]! : stack[base + b]!;
            const value = c >= CONSTANT ? k[c - CONSTANT]! : stack[base + c]!;
            if (object.type === TABLE) {
              const table = object.value as LuaTable;
              if (table.fill === undefined) {
                if (key.type === INTEGER) {
                  const index = (key.value as number) - 1;
                  const { array } = table;
                  if (index >= 0 && index < array.length) {
                    const to = array[index]!;
                    if (to.type !== NIL && value.type !== NIL) {
                      to.type = value.type;
                      to.value = value.value;
                      break;
                    }
                  }
                  if (table.metatable === null) {
                    luaH_setint(table, key.value as number, value);
                    break;
                  }
                } else if (key.type === STRING && value.type !== NIL) {
                  const { strong } = table;
                  const string = key.value as TString;
                  const hash = string.hash ?? luaS_hashlongstr(string, L);
                  const entry = strong === null ? undefined : strong.get(hash);
                  table.flags = 0;
                  if (entry !== undefined) {
                    const to = entry.value;
                    to.type = value.type;
                    to.value = value.value;
                    break;
                  }
                  if (table.metatable === null) {
                    luaH_setstr(table, string, value);
                    break;
                  }
                }
              }
            }
            ci.l_savedpc = pc;
            settable(L, object, key, value);
            break;
          }
          case 9: {
            // SETUPVAL
            const from = stack[base + i.A]!;
            const to = upvals[i.B]!;
            to.type = from.type;
            to.value = from.value;
            break;
          }
          case 11: {
            // NEWTABLE
            const table = luaH_new(L);
            if ((i.B | i.C) !== 0) {
              table.asize = fromFloatingByte(i.B);
              table.order = Math.min(fromFloatingByte(i.C), 0x3fff) << 2;
            }
            const to = stack[base + i.A]!;
            to.type = TABLE;
            to.value = table;
            break;
          }
          case 12: {
            // SELF
            const object = stack[base + i.B]!;
            const c = i.C;
            const key = c >= CONSTANT ? k[c - CONSTANT]! : stack[base + c]!;
            const self = stack[base + i.A + 1]!;
            const { type, value } = object;
            self.type = type;
            self.value = value;
            let from: TValue | undefined;
            if (type === TABLE) {
              const { strong } = value as LuaTable;
              const { hash } = key.value as TString;
              if (strong !== null && hash !== null) from = strong.get(hash)?.value;
            } else if (type === STRING) {
              const metatable = L.l_G.mt[STRING & 15];
              if (metatable) {
                const methods = luaH_getstr(metatable, L.l_G.tmname[TM_INDEX] as TString);
                if (methods.type === TABLE)
                  from = luaH_getstr(methods.value as LuaTable, key.value as TString);
              }
            }
            if (from !== undefined && from.type !== NIL) {
              const to = stack[base + i.A]!;
              to.type = from.type;
              to.value = from.value;
              break;
            }
            ci.l_savedpc = pc;
            luaV_gettable(L, object, key, base + i.A);
            break;
          }
          case 13: {
            // ADD
            const b = i.B;
            const c = i.C;
            const l = b >= CONSTANT ? k[b - CONSTANT]! : stack[base + b]!;
            const r = c >= CONSTANT ? k[c - CONSTANT]! : stack[base + c]!;
            const to = stack[base + i.A]!;
            if (l.type === INTEGER && r.type === INTEGER) {
              to.type = INTEGER;
              to.value = ((l.value as number) + (r.value as number)) | 0;
            } else if ((l.type & 15) === FLOAT && (r.type & 15) === FLOAT) {
              to.value = (l.value as number) + (r.value as number);
              to.type = FLOAT;
            } else {
              ci.l_savedpc = pc;
              luaO_arith(L, 0, l, r, to);
            }
            break;
          }
          case 14: {
            // SUB
            const b = i.B;
            const c = i.C;
            const l = b >= CONSTANT ? k[b - CONSTANT]! : stack[base + b]!;
            const r = c >= CONSTANT ? k[c - CONSTANT]! : stack[base + c]!;
            const to = stack[base + i.A]!;
            if (l.type === INTEGER && r.type === INTEGER) {
              to.type = INTEGER;
              to.value = ((l.value as number) - (r.value as number)) | 0;
            } else if ((l.type & 15) === FLOAT && (r.type & 15) === FLOAT) {
              to.value = (l.value as number) - (r.value as number);
              to.type = FLOAT;
            } else {
              ci.l_savedpc = pc;
              luaO_arith(L, 1, l, r, to);
            }
            break;
          }
          case 15: {
            // MUL
            const b = i.B;
            const c = i.C;
            const l = b >= CONSTANT ? k[b - CONSTANT]! : stack[base + b]!;
            const r = c >= CONSTANT ? k[c - CONSTANT]! : stack[base + c]!;
            const to = stack[base + i.A]!;
            if (l.type === INTEGER && r.type === INTEGER) {
              to.type = INTEGER;
              to.value = Math.imul(l.value as number, r.value as number);
            } else if ((l.type & 15) === FLOAT && (r.type & 15) === FLOAT) {
              to.value = (l.value as number) * (r.value as number);
              to.type = FLOAT;
            } else {
              ci.l_savedpc = pc;
              luaO_arith(L, 2, l, r, to);
            }
            break;
          }
          case 16: {
            // MOD
            const b = i.B;
            const c = i.C;
            const l = b >= CONSTANT ? k[b - CONSTANT]! : stack[base + b]!;
            const r = c >= CONSTANT ? k[c - CONSTANT]! : stack[base + c]!;
            const to = stack[base + i.A]!;
            if (
              l.type === INTEGER &&
              r.type === INTEGER &&
              (l.value as number) >= 0 &&
              (r.value as number) > 0
            ) {
              to.type = INTEGER;
              to.value = ((l.value as number) % (r.value as number)) | 0;
            } else {
              ci.l_savedpc = pc;
              luaO_arith(L, 3, l, r, to);
            }
            break;
          }
          case 18: {
            // DIV
            const b = i.B;
            const c = i.C;
            const l = b >= CONSTANT ? k[b - CONSTANT]! : stack[base + b]!;
            const r = c >= CONSTANT ? k[c - CONSTANT]! : stack[base + c]!;
            const to = stack[base + i.A]!;
            if ((l.type & 15) === FLOAT && (r.type & 15) === FLOAT) {
              to.value = (l.value as number) / (r.value as number);
              to.type = FLOAT;
            } else {
              ci.l_savedpc = pc;
              luaO_arith(L, 5, l, r, to);
            }
            break;
          }
          case 20: {
            // BAND
            const b = i.B;
            const c = i.C;
            const l = b >= CONSTANT ? k[b - CONSTANT]! : stack[base + b]!;
            const r = c >= CONSTANT ? k[c - CONSTANT]! : stack[base + c]!;
            const to = stack[base + i.A]!;
            if (l.type === INTEGER && r.type === INTEGER) {
              to.type = INTEGER;
              to.value = (l.value as number) & (r.value as number);
            } else {
              ci.l_savedpc = pc;
              luaO_arith(L, 7, l, r, to);
            }
            break;
          }
          case 21: {
            // BOR
            const b = i.B;
            const c = i.C;
            const l = b >= CONSTANT ? k[b - CONSTANT]! : stack[base + b]!;
            const r = c >= CONSTANT ? k[c - CONSTANT]! : stack[base + c]!;
            const to = stack[base + i.A]!;
            if (l.type === INTEGER && r.type === INTEGER) {
              to.type = INTEGER;
              to.value = (l.value as number) | (r.value as number);
            } else {
              ci.l_savedpc = pc;
              luaO_arith(L, 8, l, r, to);
            }
            break;
          }
          case 22: {
            // BXOR
            const b = i.B;
            const c = i.C;
            const l = b >= CONSTANT ? k[b - CONSTANT]! : stack[base + b]!;
            const r = c >= CONSTANT ? k[c - CONSTANT]! : stack[base + c]!;
            const to = stack[base + i.A]!;
            if (l.type === INTEGER && r.type === INTEGER) {
              to.type = INTEGER;
              to.value = (l.value as number) ^ (r.value as number);
            } else {
              ci.l_savedpc = pc;
              luaO_arith(L, 9, l, r, to);
            }
            break;
          }
          case 17: // POW
          case 19: // IDIV
          case 23: // SHL
          case 24: {
            // SHR
            const b = i.B;
            const c = i.C;
            const l = b >= CONSTANT ? k[b - CONSTANT]! : stack[base + b]!;
            const r = c >= CONSTANT ? k[c - CONSTANT]! : stack[base + c]!;
            ci.l_savedpc = pc;
            luaO_arith(L, i.opcode - 13, l, r, stack[base + i.A]!);
            break;
          }
          case 25: // UNM
          case 26: {
            // BNOT
            const value = stack[base + i.B]!;
            ci.l_savedpc = pc;
            luaO_arith(L, i.opcode - 13, value, value, stack[base + i.A]!);
            break;
          }
          case 27: {
            // NOT
            const { type, value } = stack[base + i.B]!;
            const to = stack[base + i.A]!;
            to.type = BOOLEAN;
            to.value = type === NIL || (type === BOOLEAN && value === false);
            break;
          }
          case 28: {
            // LEN
            const of = stack[base + i.B]!;
            const to = stack[base + i.A]!;
            if (of.type === STRING) {
              to.value = (of.value as TString).realstring.length;
              to.type = INTEGER;
            } else if (of.type === TABLE && (of.value as LuaTable).metatable === null) {
              to.value = luaH_getn(of.value as LuaTable);
              to.type = INTEGER;
            } else {
              ci.l_savedpc = pc;
              luaV_objlen(L, to, of);
            }
            break;
          }
          case 29: {
            // CONCAT
            ci.l_savedpc = pc;
            concat(L, ci, base + i.B, base + i.C, base + i.A);
            break;
          }
          case 30: {
            // JMP
            if (i.A !== 0 && (ci.callstatus & CIST_OPEN) !== 0) luaF_close(L, base + i.A - 1);
            pc += i.sBx;
            break;
          }
          case 31: {
            // EQ
            const b = i.B;
            const c = i.C;
            const l = b >= CONSTANT ? k[b - CONSTANT]! : stack[base + b]!;
            const r = c >= CONSTANT ? k[c - CONSTANT]! : stack[base + c]!;
            let equal: boolean;
            if (l.type === INTEGER && r.type === INTEGER) equal = l.value === r.value;
            else if (l.type === NIL || r.type === NIL) equal = l.type === r.type;
            else if (
              l.type === STRING &&
              r.type === STRING &&
              (l.value === r.value || (l.value as TString).realstring.length <= SHORT)
            ) {
              equal =
                l.value === r.value ||
                sameBytes((l.value as TString).realstring, (r.value as TString).realstring);
            } else {
              ci.l_savedpc = pc;
              equal = luaV_equalobj(L, l, r) === 1;
            }
            if (equal !== (i.A !== 0)) pc++;
            else {
              const jump = code[pc]!;
              if (jump.A !== 0 && (ci.callstatus & CIST_OPEN) !== 0) luaF_close(L, base + jump.A - 1);
              pc += jump.sBx + 1;
            }
            break;
          }
          case 32: {
            // LT
            const b = i.B;
            const c = i.C;
            const l = b >= CONSTANT ? k[b - CONSTANT]! : stack[base + b]!;
            const r = c >= CONSTANT ? k[c - CONSTANT]! : stack[base + c]!;
            let less: boolean;
            if ((l.type & 15) === FLOAT && (r.type & 15) === FLOAT) {
              less = (l.value as number) < (r.value as number);
            } else {
              ci.l_savedpc = pc;
              less = luaV_lessthan(L, l, r) === 1;
            }
            if (less !== (i.A !== 0)) pc++;
            else {
              const jump = code[pc]!;
              if (jump.A !== 0 && (ci.callstatus & CIST_OPEN) !== 0) luaF_close(L, base + jump.A - 1);
              pc += jump.sBx + 1;
            }
            break;
          }
          case 33: {
            // LE
            const b = i.B;
            const c = i.C;
            const l = b >= CONSTANT ? k[b - CONSTANT]! : stack[base + b]!;
            const r = c >= CONSTANT ? k[c - CONSTANT]! : stack[base + c]!;
            let atMost: boolean;
            if ((l.type & 15) === FLOAT && (r.type & 15) === FLOAT) {
              atMost = (l.value as number) <= (r.value as number);
            } else {
              ci.l_savedpc = pc;
              atMost = luaV_lessequal(L, l, r) === 1;
            }
            if (atMost !== (i.A !== 0)) pc++;
            else {
              const jump = code[pc]!;
              if (jump.A !== 0 && (ci.callstatus & CIST_OPEN) !== 0) luaF_close(L, base + jump.A - 1);
              pc += jump.sBx + 1;
            }
            break;
          }
          case 34: // TEST
          case 35: {
            // TESTSET
            const tested = stack[base + (i.opcode === 34 ? i.A : i.B)]!;
            if ((tested.type === NIL || (tested.type === BOOLEAN && tested.value === false)) === (i.C !== 0))
              pc++;
            else {
              if (i.opcode === 35) {
                const to = stack[base + i.A]!;
                to.type = tested.type;
                to.value = tested.value;
              }
              const jump = code[pc]!;
              if (jump.A !== 0 && (ci.callstatus & CIST_OPEN) !== 0) luaF_close(L, base + jump.A - 1);
              pc += jump.sBx + 1;
            }
            break;
          }
          case 36: {
            // CALL
            const ra = base + i.A;
            const func = stack[ra]!;
            ci.l_savedpc = pc;
            if (func.type === LUA_CLOSURE && plain) {
              const called = (func.value as LClosure).p;
              const first = ra + 1;
              const end = first + called.maxstacksize;
              const given = i.B !== 0 ? first + i.B - 1 : L.top;
              if (!called.is_vararg && end < L.stack_last && given <= end) {
                const wanted = first + called.numparams;
                for (let r = given; r < end; r++) {
                  const register = stack[r];
                  if (register === undefined) stack[r] = new Value(NIL, null);
                  else if (r < wanted) {
                    register.type = NIL;
                    register.value = null;
                  }
                }
                const next = ci.next ?? lstate.luaE_extendCI(L);
                next.funcOff = ra;
                next.nresults = i.C - 1;
                next.func = func;
                next.l_base = first;
                next.top = end;
                next.l_code = called.code;
                next.l_savedpc = 0;
                next.callstatus = CIST_LUA;
                L.top = end;
                L.ci = next;
                ci = next;
                continue frame;
              }
            } else if ((func.type === C_FUNCTION || func.type === C_CLOSURE) && plain) {
              if (i.B !== 0) L.top = ra + i.B;
              else luaS_work(L, (L.top - ra) * 32);
              callHost(L, ci, ra, i.C - 1);
              lines = (L.hookmask & MASK_LINE) !== 0;
              plain = (L.hookmask & ~MASK_COUNT) === 0;
              break;
            }
            if (i.B !== 0) adjust_top(L, ra + i.B);
            else luaS_work(L, (L.top - ra) * 32);
            if (luaD_precall(L, ra, i.C - 1)) {
              if (i.C !== 0) adjust_top(L, ci.top);
              break;
            }
            ci = L.ci;
            continue frame;
          }
          case 37: {
            // TAILCALL
            const ra = base + i.A;
            ci.l_savedpc = pc;
            if (i.B !== 0) adjust_top(L, ra + i.B);
            else luaS_work(L, (L.top - ra) * 32);
            if (luaD_precall(L, ra, MULTRET)) break;
            replaceFrame(L, ci, base);
            continue frame;
          }
          case 38: {
            // RETURN
            const ra = base + i.A;
            const status = ci.callstatus;
            if ((status & CIST_OPEN) !== 0) luaF_close(L, base);
            const count = i.B !== 0 ? i.B - 1 : L.top - ra;
            if ((status & CIST_FRESH) !== 0 || !plain || count >= MANY_RESULTS) {
              ci.l_savedpc = pc;
              const fixed = luaD_poscall(L, ci, ra, count);
              if ((status & CIST_FRESH) !== 0) {
                // Nothing is left above of what the functions that it has called had in their registers.
                if (L.ci === L.base_ci)
                  for (let r = L.top; L.stack[r] !== undefined; r++) L.stack[r] = undefined;
                return;
              }
              ci = L.ci;
              if (fixed) adjust_top(L, ci.top);
              continue frame;
            }
            const wanted = ci.nresults;
            const to = ci.funcOff;
            const used = ci.top;
            ci = ci.previous!;
            L.ci = ci;
            if (wanted === 1 && count === 1) {
              const from = stack[ra]!;
              const result = stack[to]!;
              result.type = from.type;
              result.value = from.value;
              restore(stack, to + 1, ci.top, used);
              L.top = ci.top;
              continue frame;
            }
            const moved = wanted === MULTRET || wanted > count ? count : wanted;
            for (let r = 0; r < moved; r++) {
              const from = stack[ra + r]!;
              const result = stack[to + r]!;
              result.type = from.type;
              result.value = from.value;
            }
            if (wanted === MULTRET) {
              restore(stack, to + moved, to + moved, used);
              L.top = to + moved;
            } else {
              restore(stack, to + moved, ci.top, Math.max(used, to + wanted));
              L.top = ci.top;
            }
            continue frame;
          }
          case 39: {
            // FORLOOP
            const ra = base + i.A;
            const index = stack[ra]!;
            const step = stack[ra + 2]!.value as number;
            const limit = stack[ra + 1]!.value as number;
            if (index.type === INTEGER) {
              const next = ((index.value as number) + step) | 0;
              if (step > 0 ? next <= limit : limit <= next) {
                pc += i.sBx;
                index.value = next;
                const variable = stack[ra + 3]!;
                variable.type = INTEGER;
                variable.value = next;
              }
            } else {
              const next = (index.value as number) + step;
              if (step > 0 ? next <= limit : limit <= next) {
                pc += i.sBx;
                index.value = next;
                const variable = stack[ra + 3]!;
                variable.type = FLOAT;
                variable.value = next;
              }
            }
            break;
          }
          case 40: {
            // FORPREP
            ci.l_savedpc = pc;
            prepareFor(L, base + i.A);
            pc += i.sBx;
            break;
          }
          case 41: {
            // TFORCALL
            const ra = base + i.A;
            const at = ra + 3;
            const iterator = stack[ra]!;
            const state = stack[ra + 1]!;
            const control = stack[ra + 2]!;
            ci.l_savedpc = pc;
            const first = stack[at]!;
            if (
              plain &&
              iterator.type === C_FUNCTION &&
              state.type === TABLE &&
              i.C <= 2 &&
              (iterator.value === iterators.next ||
                (iterator.value === iterators.nextElement &&
                  (state.value as LuaTable).metatable === null &&
                  control.type === INTEGER))
            ) {
              const table = state.value as LuaTable;
              if (iterator.value === iterators.next) {
                first.type = control.type;
                first.value = control.value;
                if (!luaH_next(L, table, at)) {
                  first.type = NIL;
                  first.value = null;
                }
              } else {
                const index = ((control.value as number) + 1) | 0;
                const value = luaH_getint(table, index);
                if (value.type === NIL) {
                  first.type = NIL;
                  first.value = null;
                } else {
                  first.type = INTEGER;
                  first.value = index;
                  const second = stack[at + 1]!;
                  second.type = value.type;
                  second.value = value.value;
                }
              }
            } else {
              for (let r = 2; r >= 0; r--) {
                const from = stack[ra + r]!;
                const to = stack[at + r]!;
                to.type = from.type;
                to.value = from.value;
              }
              if (plain && (iterator.type === C_FUNCTION || iterator.type === C_CLOSURE)) {
                L.top = at + 3;
                callHost(L, ci, at, i.C);
              } else {
                adjust_top(L, at + 3);
                luaD_call(L, at, i.C);
                adjust_top(L, ci.top);
              }
              lines = (L.hookmask & MASK_LINE) !== 0;
              plain = (L.hookmask & ~MASK_COUNT) === 0;
            }
            // TFORLOOP follows.
            const loop = code[pc++]!;
            const value = stack[at]!;
            if (value.type !== NIL) {
              control.type = value.type;
              control.value = value.value;
              pc += loop.sBx;
            }
            break;
          }
          case 42: {
            // TFORLOOP
            const ra = base + i.A;
            const value = stack[ra + 1]!;
            if (value.type !== NIL) {
              const control = stack[ra]!;
              control.type = value.type;
              control.value = value.value;
              pc += i.sBx;
            }
            break;
          }
          case 43: {
            // SETLIST
            const ra = base + i.A;
            let n = i.B;
            let c = i.C;
            ci.l_savedpc = pc;
            if (n === 0) {
              n = L.top - ra - 1;
              luaS_work(L, n * 64);
            }
            if (c === 0) c = code[pc++]!.Ax;
            const table = stack[ra]!.value as LuaTable;
            const last = (c - 1) * FIELDS_PER_FLUSH + n;
            if (last > table.asize) table.asize = last;
            // From the first to the last, as `pairs` visits entries as they came.
            for (let item = 1; item <= n; item++) luaH_setint(table, last - n + item, stack[ra + item]!);
            if (i.B === 0) adjust_top(L, ci.top);
            break;
          }
          case 44: {
            // CLOSURE
            if (makeClosure(L, closure.p.p[i.Bx]!, upvals, base, base + i.A)) ci.callstatus |= CIST_OPEN;
            break;
          }
          case 45: {
            // VARARG
            const ra = base + i.A;
            let n = base - ci.funcOff - closure.p.numparams - 1;
            ci.l_savedpc = pc;
            if (n < 0) n = 0;
            else luaS_work(L, n * 64);
            let wanted = i.B - 1;
            if (wanted < 0) {
              wanted = n;
              luaD_checkstack(L, n);
              adjust_top(L, ra + n);
            }
            for (let r = 0; r < wanted; r++) {
              const to = stack[ra + r]!;
              if (r < n) {
                const from = stack[base - n + r]!;
                to.type = from.type;
                to.value = from.value;
              } else {
                to.type = NIL;
                to.value = null;
              }
            }
            break;
          }
          default:
            throw new Error('invalid opcode');
        }
      }
    }
  };
}
