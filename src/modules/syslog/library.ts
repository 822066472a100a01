/**
 * The Lua module `syslog`: the names and values of POSIX <syslog.h>.
 *
 * Messages are never formats: `%` is an ordinary character.
 */
import type { LuaFunction, LuaState } from 'fengari';
import { ascii, latin1Of, lauxlib } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import { type syslogApi, VALUES } from './api.ts';
import { DEFAULT_SETTINGS, ScriptLog } from './script-log.ts';

const LEVEL_MASK = 7;
const FACILITY_MASK = 0x3f8;

const MAX_IDENT_BYTES = 64;

/** The functions of the module. */
export function openSyslog({
  log: sink,
  stderr,
}: ServicesOf<typeof syslogApi>): FunctionsOf<typeof syslogApi> {
  const log = new ScriptLog(sink, stderr);

  function write(L: LuaState, level: number, messageArg: number): number {
    const message = lauxlib.luaL_checkstring(L, messageArg);
    log.write(L, level & LEVEL_MASK, level & FACILITY_MASK, message);
    return 0;
  }

  /** A function of the module that logs its only argument at one level. */
  function logAt(level: number): LuaFunction {
    return (L) => write(L, level, 1);
  }

  function syslog(L: LuaState): number {
    const level = lauxlib.luaL_checkinteger(L, 1);
    lauxlib.luaL_argcheck(L, isPriority(level), 1, ascii('invalid level'));
    return write(L, level, 2);
  }

  function openlog(L: LuaState): number {
    const ident = lauxlib.luaL_optstring(L, 1, ascii(DEFAULT_SETTINGS.ident));
    const options = lauxlib.luaL_optinteger(L, 2, DEFAULT_SETTINGS.options);
    const facility = lauxlib.luaL_optinteger(L, 3, DEFAULT_SETTINGS.facility);
    lauxlib.luaL_argcheck(
      L,
      isPriority(facility) && (facility & LEVEL_MASK) === 0,
      3,
      ascii('invalid facility'),
    );
    log.configure(hostOf(L), {
      ident: latin1Of(ident.subarray(0, MAX_IDENT_BYTES)) || DEFAULT_SETTINGS.ident,
      options,
      facility: facility || DEFAULT_SETTINGS.facility,
    });
    return 0;
  }

  function closelog(L: LuaState): number {
    log.configure(hostOf(L), undefined);
    return 0;
  }

  return {
    openlog,
    syslog,
    error: logAt(VALUES.LOG_ERR),
    warning: logAt(VALUES.LOG_WARNING),
    notice: logAt(VALUES.LOG_NOTICE),
    info: logAt(VALUES.LOG_INFO),
    debug: logAt(VALUES.LOG_DEBUG),
    closelog,
  };
}

/** A level, a facility, or both or-ed. The facilities 12 to 15 have no names in <syslog.h>, and there are 24. */
function isPriority(value: number): boolean {
  const facility = value >> 3;
  return facility >= 0 && facility < 24 && (facility < 12 || facility > 15);
}
