/**
 * string.gsub. A function as replacement, or one behind a table, may wait, and endless work in it is sliced like any other.
 */
import type { LuaState, LuaString } from 'fengari';
import { lauxlib, lua } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { argumentError, raise } from './arguments.ts';
import { ByteBuilder } from './budget.ts';
import { pushCapture, pushCaptures } from './captures.ts';
import { Matcher } from './matcher.ts';
import { advance, usePattern } from './search.ts';
import { beginGet } from './table-access.ts';

const ANCHOR = 0x5e;
const ESCAPE = 0x25;
/** The work on a longer replacement text is counted, in steps of Host.charge(). */
const SHORT = 64;
const STEPS_PER_BYTE = 2;

/** A gsub at work. */
class Substitution {
  readonly matcher: Matcher;
  readonly anchored: boolean;
  readonly kind: number;
  readonly limit: number;
  readonly out: ByteBuilder;
  readonly replacement: LuaString | null;
  /** The replacement holds no `%`. */
  readonly literal: boolean;
  count = 0;
  /** What of the subject is already in `out`. */
  copied = 0;
  from = 0;
  lastEnd = -1;
  /** The replacement function has been called; its result is on top of the stack. */
  called = false;

  constructor(L: LuaState) {
    const subject = lauxlib.luaL_checkstring(L, 1);
    const pattern = lauxlib.luaL_checkstring(L, 2);
    this.kind = lua.lua_type(L, 3);
    this.limit = lauxlib.luaL_optinteger(L, 4, subject.length + 1);
    const { LUA_TNUMBER, LUA_TSTRING, LUA_TTABLE, LUA_TFUNCTION } = lua;
    if (![LUA_TNUMBER, LUA_TSTRING, LUA_TTABLE, LUA_TFUNCTION].some((type) => type === this.kind)) {
      argumentError(L, 3, 'string/function/table expected');
    }
    this.anchored = pattern[0] === ANCHOR;
    this.matcher = new Matcher(subject, usePattern(L, pattern, this.anchored), this.anchored);
    this.replacement =
      this.kind === LUA_TTABLE || this.kind === LUA_TFUNCTION ? null : lauxlib.luaL_checkstring(L, 3);
    this.literal = this.replacement !== null && !this.replacement.includes(ESCAPE);
    this.out = new ByteBuilder(L, Math.min(subject.length + 16, 65_536));
  }
}

export function string_gsub(L: LuaState): number {
  const job = new Substitution(L);
  lua.lua_settop(L, 3);
  return substitute(L, job);
}

function resume(L: LuaState, _status: number, job: unknown): number {
  return job instanceof Substitution ? substitute(L, job) : 0;
}

function substitute(L: LuaState, job: Substitution): number {
  const { matcher, out } = job;
  const { subject } = matcher;
  const host = hostOf(L);
  if (job.called) finishCall(L, job);
  while (job.count < job.limit && (job.count === 0 || !job.anchored)) {
    host.yieldToOthers(L, job, resume);
    if (advance(L, matcher, job.from, job, resume) === 'failed') break;
    // An empty match right behind the last one is none.
    if (matcher.end === job.lastEnd) {
      if (job.anchored) break;
      job.from = matcher.start + 1;
      continue;
    }
    job.count++;
    out.addSlice(subject, job.copied, matcher.start);
    job.copied = matcher.end;
    job.from = matcher.end;
    job.lastEnd = matcher.end;
    replace(L, job);
  }
  if (job.count === 0) {
    lua.lua_pushvalue(L, 1);
  } else {
    out.addSlice(subject, job.copied, subject.length);
    out.push();
  }
  lua.lua_pushinteger(L, job.count);
  return 2;
}

function replace(L: LuaState, job: Substitution): void {
  const { replacement, matcher, out } = job;
  if (replacement !== null) {
    if (job.literal) out.addBytes(replacement);
    else addTemplate(L, job, replacement);
    if (replacement.length > SHORT) hostOf(L).charge(L, replacement.length * STEPS_PER_BYTE);
    return;
  }
  if (job.kind === lua.LUA_TFUNCTION) {
    lua.lua_pushvalue(L, 3);
    const captures = pushCaptures(L, matcher, true);
    job.called = true;
    lua.lua_callk(L, captures, 1, job, resume);
    finishCall(L, job);
    return;
  }
  pushCapture(L, matcher, 0);
  if (!beginGet(L, 3)) {
    addResult(L, job);
    return;
  }
  job.called = true;
  lua.lua_callk(L, 2, 1, job, resume);
  finishCall(L, job);
}

function finishCall(L: LuaState, job: Substitution): void {
  job.called = false;
  addResult(L, job);
}

/** Adds the value on top of the stack, or the match itself for nil and false. */
function addResult(L: LuaState, { matcher, out }: Substitution): void {
  if (!lua.lua_toboolean(L, -1)) {
    out.addSlice(matcher.subject, matcher.start, matcher.end);
  } else {
    const text = lua.lua_tostring(L, -1);
    if (text === null) {
      raise(
        L,
        `invalid replacement value (a ${Buffer.from(lauxlib.luaL_typename(L, -1)).toString('latin1')})`,
      );
    }
    out.addBytes(text);
  }
  lua.lua_pop(L, 1);
}

/** Adds the replacement with %0 to %9 filled in. */
function addTemplate(L: LuaState, { matcher, out }: Substitution, template: LuaString): void {
  for (let i = 0; i < template.length; i++) {
    const byte = template[i] ?? 0;
    if (byte !== ESCAPE) {
      out.addByte(byte);
      continue;
    }
    const next = template[++i];
    if (next === ESCAPE) {
      out.addByte(ESCAPE);
    } else if (next === undefined || next < 0x30 || next > 0x39) {
      raise(L, "invalid use of '%' in replacement string");
    } else if (next === 0x30) {
      out.addSlice(matcher.subject, matcher.start, matcher.end);
    } else {
      pushCapture(L, matcher, next - 0x31);
      out.addBytes(lua.lua_tostring(L, -1) ?? Buffer.alloc(0));
      lua.lua_pop(L, 1);
    }
  }
}
