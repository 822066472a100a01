/**
 * string.format: C's conversions with flags, width and precision, over bytes. A __tostring may wait, and long work gives way
 * to other sessions.
 */
import type { LuaState, LuaString } from 'fengari';
import { ascii, lauxlib, lua } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { type FloatConversion, formatFloat } from '../engine/number-text.ts';
import { argumentError, checkInteger, hasZero, raise } from './arguments.ts';
import { ByteBuilder } from './budget.ts';

const PERCENT = 0x25;
const FLAGS = '-+ #0';
const QUOTE = 0x22;
const TOSTRING = ascii('__tostring');
const STEPS_PER_CONVERSION = 50;
const STEPS_PER_QUOTED_BYTE = 5;
/** Bytes of a format that are searched and then copied with a pause in between. */
const LONG_FORMAT = 1024 * 1024;
/** Bytes quoted between two pauses. */
const QUOTED_BYTES = 16_384;

interface Specification {
  readonly left: boolean;
  readonly plus: boolean;
  readonly space: boolean;
  readonly alternate: boolean;
  readonly zero: boolean;
  readonly width: number;
  /** -1 when none was given. */
  readonly precision: number;
  readonly conversion: string;
  /** Index behind the conversion. */
  readonly next: number;
  /** Nothing between `%` and the conversion. */
  readonly plain: boolean;
}

/** A format at work. */
class Formatting {
  readonly format: LuaString;
  readonly arguments: number;
  readonly out: ByteBuilder;
  /** The next argument, and how far the format has been read. */
  arg = 1;
  from = 0;
  /** What is to become of the result of a __tostring, which is on top of the stack. */
  pending: Specification | null = null;
  /** Where in argument `arg` a long string that is quoted goes on; -1 when there is none. */
  quoted = -1;
  /** No conversion is left. */
  ending = false;

  constructor(L: LuaState) {
    this.format = lauxlib.luaL_checkstring(L, 1);
    this.arguments = lua.lua_gettop(L);
    this.out = new ByteBuilder(L, this.format.length + 64);
  }
}

export function string_format(L: LuaState): number {
  return proceed(L, new Formatting(L));
}

function resume(L: LuaState, _status: number, job: unknown): number {
  return job instanceof Formatting ? proceed(L, job) : 0;
}

function proceed(L: LuaState, job: Formatting): number {
  const { format, out } = job;
  const host = hostOf(L);
  if (job.pending !== null) finishString(L, job, job.pending);
  if (job.quoted >= 0) quote(L, job);
  for (let at = nextPercent(job); at >= 0; at = nextPercent(job)) {
    host.charge(L, STEPS_PER_CONVERSION);
    host.yieldToOthers(L, job, resume);
    out.addSlice(format, job.from, at);
    if (format[at + 1] === PERCENT) {
      out.addByte(PERCENT);
      job.from = at + 2;
      continue;
    }
    if (++job.arg > job.arguments) return argumentError(L, job.arg, 'no value');
    const specification = parse(L, format, at + 1);
    job.from = specification.next;
    convert(L, job, specification);
  }
  if (format.length - job.from > LONG_FORMAT && !job.ending) {
    job.ending = true;
    host.charge(L, (format.length - job.from) >> 3);
    host.yieldToOthers(L, job, resume);
  }
  out.addSlice(format, job.from, format.length);
  out.push();
  return 1;
}

function nextPercent({ format, from, ending }: Formatting): number {
  return ending ? -1 : Buffer.prototype.indexOf.call(format, PERCENT, from);
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 48 && byte <= 57;
}

/** Reads up to two digits at `at`; returns their value, or -1 when there are none, and where they end. */
function twoDigits(format: LuaString, at: number): { value: number; end: number } {
  let end = at;
  let value = -1;
  while (end < at + 2 && isDigit(format[end])) value = Math.max(value, 0) * 10 + (format[end++] ?? 0) - 48;
  return { value, end };
}

function parse(L: LuaState, format: LuaString, start: number): Specification {
  let at = start;
  let flags = '';
  for (; at < format.length; at++) {
    const flag = String.fromCharCode(format[at] ?? 0);
    if (!FLAGS.includes(flag)) break;
    flags += flag;
  }
  if (flags.length > FLAGS.length) raise(L, 'invalid format (repeated flags)');
  const width = twoDigits(format, at);
  at = width.end;
  let precision = -1;
  if (format[at] === 0x2e) {
    const given = twoDigits(format, at + 1);
    precision = Math.max(given.value, 0);
    at = given.end;
  }
  if (isDigit(format[at])) raise(L, 'invalid format (width or precision too long)');
  return {
    left: flags.includes('-'),
    plus: flags.includes('+'),
    space: flags.includes(' '),
    alternate: flags.includes('#'),
    zero: flags.includes('0'),
    width: Math.max(width.value, 0),
    precision,
    conversion: String.fromCharCode(format[at] ?? 0),
    next: at + 1,
    plain: at === start,
  };
}

function convert(L: LuaState, job: Formatting, spec: Specification): void {
  const { out, arg } = job;
  switch (spec.conversion) {
    case 'd':
    case 'i':
      addDecimal(L, out, spec, arg);
      break;
    case 'u':
    case 'o':
    case 'x':
    case 'X':
      addUnsigned(L, out, spec, arg);
      break;
    case 'c':
      pad(out, spec, Uint8Array.of(checkInteger(L, arg) & 0xff));
      break;
    case 'e':
    case 'E':
    case 'f':
    case 'g':
    case 'G':
    case 'a':
    case 'A':
      addFloat(L, out, spec, arg);
      break;
    case 's':
      addString(L, job, spec);
      break;
    case 'q':
      addQuoted(L, job);
      break;
    default:
      raise(L, `invalid option '%${shown(spec.conversion)}' to 'format'`);
  }
}

/** A conversion as Lua's error messages show it: control and 8-bit characters by number. */
function shown(conversion: string): string {
  const byte = conversion.charCodeAt(0);
  return byte >= 32 && byte < 127 ? conversion : `<\\${byte}>`;
}

/** Adds `content` with spaces around it up to the width. */
function pad(out: ByteBuilder, spec: Specification, content: Uint8Array): void {
  const missing = Math.max(spec.width - content.length, 0);
  if (!spec.left) out.addFill(0x20, missing);
  out.addBytes(content);
  if (spec.left) out.addFill(0x20, missing);
}

/** Adds a number: its sign or prefix, zeros where the `0` flag asks for them, then its digits. */
function addNumber(
  out: ByteBuilder,
  spec: Specification,
  prefix: string,
  digits: string,
  zero: boolean,
): void {
  const missing = Math.max(spec.width - prefix.length - digits.length, 0);
  if (zero && !spec.left) out.addText(prefix + '0'.repeat(missing) + digits);
  else if (spec.left) out.addText(prefix + digits + ' '.repeat(missing));
  else out.addText(' '.repeat(missing) + prefix + digits);
}

function positiveSign(spec: Specification): string {
  return spec.plus ? '+' : spec.space ? ' ' : '';
}

/** At least `precision` digits; a precision of 0 shows nothing for 0. */
function withPrecision(digits: string, precision: number): string {
  return precision === 0 && digits === '0' ? '' : digits.padStart(precision, '0');
}

function addDecimal(L: LuaState, out: ByteBuilder, spec: Specification, arg: number): void {
  const value = checkInteger(L, arg);
  const sign = value < 0 ? '-' : positiveSign(spec);
  const size = Math.abs(value);
  const digits = Number.isSafeInteger(size) ? String(size) : BigInt(size).toString();
  addNumber(out, spec, sign, withPrecision(digits, spec.precision), spec.zero && spec.precision < 0);
}

/** Negative integers are shown as 32 bits, which is what they are; negative floats beyond that as 64. */
function addUnsigned(L: LuaState, out: ByteBuilder, spec: Specification, arg: number): void {
  const value = checkInteger(L, arg);
  const radix = spec.conversion === 'o' ? 8 : spec.conversion === 'u' ? 10 : 16;
  let digits: string;
  if ((value | 0) === value) digits = (value >>> 0).toString(radix);
  else digits = BigInt.asUintN(64, BigInt(value)).toString(radix);
  let prefix = '';
  digits = withPrecision(digits, spec.precision);
  if (spec.alternate && radix === 8 && !digits.startsWith('0')) digits = `0${digits}`;
  if (spec.alternate && radix === 16 && value !== 0) prefix = '0x';
  if (spec.conversion === 'X') {
    digits = digits.toUpperCase();
    prefix = prefix.toUpperCase();
  }
  addNumber(out, spec, prefix, digits, spec.zero && spec.precision < 0);
}

function floatConversion(lower: string): FloatConversion {
  return lower === 'e' || lower === 'f' || lower === 'a' ? lower : 'g';
}

function addFloat(L: LuaState, out: ByteBuilder, spec: Specification, arg: number): void {
  const value = lauxlib.luaL_checknumber(L, arg);
  const lower = spec.conversion.toLowerCase();
  let text = formatFloat(value, floatConversion(lower), spec.precision, spec.alternate);
  if (lower !== spec.conversion) text = text.toUpperCase();
  let prefix = positiveSign(spec);
  if (text.startsWith('-')) {
    prefix = '-';
    text = text.slice(1);
  }
  const finite = Number.isFinite(value);
  if (lower === 'a' && finite) {
    prefix += text.slice(0, 2);
    text = text.slice(2);
  }
  addNumber(out, spec, prefix, text, spec.zero && finite);
}

function addString(L: LuaState, job: Formatting, spec: Specification): void {
  if (lauxlib.luaL_getmetafield(L, job.arg, TOSTRING) === lua.LUA_TNIL) {
    lauxlib.luaL_tolstring(L, job.arg);
  } else {
    lua.lua_pushvalue(L, job.arg);
    job.pending = spec;
    lua.lua_callk(L, 1, 1, job, resume);
  }
  finishString(L, job, spec);
}

/** Adds the string on top of the stack. */
function finishString(L: LuaState, job: Formatting, spec: Specification): void {
  job.pending = null;
  const text = lua.lua_tostring(L, -1) ?? raise(L, "'__tostring' must return a string");
  hostOf(L).charge(L, text.length >> 3);
  if (spec.plain) {
    job.out.addBytes(text);
  } else {
    if (hasZero(text)) argumentError(L, job.arg, 'string contains zeros');
    pad(job.out, spec, spec.precision >= 0 ? text.subarray(0, spec.precision) : text);
  }
  lua.lua_pop(L, 1);
}

/** Adds the argument as a literal that the Lua parser reads back. */
function addQuoted(L: LuaState, job: Formatting): void {
  const { out, arg } = job;
  switch (lua.lua_type(L, arg)) {
    case lua.LUA_TSTRING:
      out.addByte(QUOTE);
      job.quoted = 0;
      quote(L, job);
      return;
    case lua.LUA_TNUMBER: {
      const value = lua.lua_tonumber(L, arg);
      if (!lua.lua_isinteger(L, arg)) out.addText(formatFloat(value, 'a', -1, false));
      else out.addText(value === -0x80000000 ? '0x80000000' : String(value));
      return;
    }
    case lua.LUA_TNIL:
    case lua.LUA_TBOOLEAN:
      out.addBytes(lauxlib.luaL_tolstring(L, arg));
      lua.lua_pop(L, 1);
      return;
    default:
      lauxlib.luaL_argerror(L, arg, ascii('value has no literal form'));
  }
}

/** Adds the rest of the string that is being quoted, and the quotation mark behind it. */
function quote(L: LuaState, job: Formatting): void {
  const { out } = job;
  const text = lauxlib.luaL_checkstring(L, job.arg);
  while (job.quoted < text.length) {
    const end = Math.min(job.quoted + QUOTED_BYTES, text.length);
    for (let i = job.quoted; i < end; i++) {
      const byte = text[i] ?? 0;
      if (byte === QUOTE || byte === 0x5c || byte === 0x0a) {
        out.addByte(0x5c);
        out.addByte(byte);
      } else if (byte < 32 || byte === 127) {
        out.addText(isDigit(text[i + 1]) ? `\\${String(byte).padStart(3, '0')}` : `\\${byte}`);
      } else {
        out.addByte(byte);
      }
    }
    hostOf(L).charge(L, (end - job.quoted) * STEPS_PER_QUOTED_BYTE);
    job.quoted = end;
    hostOf(L).yieldToOthers(L, job, resume);
  }
  job.quoted = -1;
  out.addByte(QUOTE);
}
