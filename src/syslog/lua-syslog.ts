/**
 * The Lua module `syslog`: the names and values of POSIX <syslog.h>.
 *
 * Messages are never formats: `%` is an ordinary character. The session's id stands in front of each, as in smtpf.
 * What openlog() sets belongs to the session that called it.
 */
import type { LuaFunction, LuaState } from 'fengari';
import { ascii, latin1Of, lauxlib, lua } from '../lua/engine.ts';
import { hostOf, PerState } from '../lua/host.ts';
import type { LogSink } from './log-sink.ts';
import type { LogRecord } from './message.ts';
import { StderrSink } from './stderr-sink.ts';

const LOG_PID = 1;
const LOG_PERROR = 32;
const LOG_MAIL = 2 << 3;
const LOG_ERR = 3;
const LOG_WARNING = 4;
const LOG_NOTICE = 5;
const LOG_INFO = 6;
const LOG_DEBUG = 7;

/** Values of <syslog.h>: options, facilities shifted by 3, levels. */
const CONSTANTS = {
  LOG_PID,
  LOG_CONS: 2,
  LOG_ODELAY: 4,
  LOG_NDELAY: 8,
  LOG_NOWAIT: 16,
  LOG_PERROR,
  LOG_KERN: 0 << 3,
  LOG_USER: 1 << 3,
  LOG_MAIL,
  LOG_DAEMON: 3 << 3,
  LOG_AUTH: 4 << 3,
  LOG_SYSLOG: 5 << 3,
  LOG_LPR: 6 << 3,
  LOG_NEWS: 7 << 3,
  LOG_UUCP: 8 << 3,
  LOG_CRON: 9 << 3,
  LOG_AUTHPRIV: 10 << 3,
  LOG_FTP: 11 << 3,
  LOG_LOCAL0: 16 << 3,
  LOG_LOCAL1: 17 << 3,
  LOG_LOCAL2: 18 << 3,
  LOG_LOCAL3: 19 << 3,
  LOG_LOCAL4: 20 << 3,
  LOG_LOCAL5: 21 << 3,
  LOG_LOCAL6: 22 << 3,
  LOG_LOCAL7: 23 << 3,
  LOG_EMERG: 0,
  LOG_ALERT: 1,
  LOG_CRIT: 2,
  LOG_ERR,
  LOG_WARNING,
  LOG_NOTICE,
  LOG_INFO,
  LOG_DEBUG,
} as const;

const LEVEL_MASK = 7;
const FACILITY_MASK = 0x3f8;

/** No target takes a longer line. */
const MAX_TEXT_BYTES = 8192;
const MAX_IDENT_BYTES = 64;

/** What openlog() set, or what holds before it and after closelog(). */
interface Settings {
  readonly ident: string;
  readonly options: number;
  /** Shifted by 3. */
  readonly facility: number;
}

const DEFAULTS: Settings = { ident: 'smtpf', options: LOG_PID, facility: LOG_MAIL };

/**
 * Makes the opener of the module: a Lua function that leaves the table `syslog` on the stack. States cloned from one
 * template share its functions, so nothing of a session is kept in them but by its host.
 *
 * @param sink where messages go
 * @param stderr where they go besides when openlog() was given LOG_PERROR
 */
export function syslogLibrary(sink: LogSink, stderr: LogSink = new StderrSink()): LuaFunction {
  const settings = new PerState<Settings>();

  function write(L: LuaState, level: number, messageArg: number): number {
    const bytes = lauxlib.luaL_checkstring(L, messageArg);
    const host = hostOf(L);
    const { ident, options, facility } = settings.get(host) ?? DEFAULTS;
    // Facility 0 is the kernel's, which no program may use: as in syslog(3), it means the one of openlog().
    const given = level & FACILITY_MASK;
    const text = latin1Of(bytes.subarray(0, MAX_TEXT_BYTES));
    const record: LogRecord = {
      facility: (given === 0 ? facility : given) >> 3,
      severity: level & LEVEL_MASK,
      ident,
      pid: (options & LOG_PID) !== 0,
      text: host.sessionId === '' ? text : `${host.sessionId} ${text}`,
    };
    sink.write(record);
    if ((options & LOG_PERROR) !== 0) stderr.write(record);
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
    const ident = lauxlib.luaL_optstring(L, 1, ascii(DEFAULTS.ident));
    const options = lauxlib.luaL_optinteger(L, 2, DEFAULTS.options);
    const facility = lauxlib.luaL_optinteger(L, 3, DEFAULTS.facility);
    lauxlib.luaL_argcheck(
      L,
      isPriority(facility) && (facility & LEVEL_MASK) === 0,
      3,
      ascii('invalid facility'),
    );
    settings.set(hostOf(L), {
      ident: latin1Of(ident.subarray(0, MAX_IDENT_BYTES)) || DEFAULTS.ident,
      options,
      facility: facility || DEFAULTS.facility,
    });
    return 0;
  }

  function closelog(L: LuaState): number {
    settings.delete(hostOf(L));
    return 0;
  }

  const functions: Record<string, LuaFunction> = {
    openlog,
    syslog,
    error: logAt(LOG_ERR),
    warning: logAt(LOG_WARNING),
    notice: logAt(LOG_NOTICE),
    info: logAt(LOG_INFO),
    debug: logAt(LOG_DEBUG),
    closelog,
    open: openlog,
    log: syslog,
    close: closelog,
  };

  return (L) => {
    lua.lua_createtable(L);
    for (const [name, value] of Object.entries(CONSTANTS)) {
      lua.lua_pushinteger(L, value);
      lua.lua_setfield(L, -2, ascii(name));
    }
    for (const [name, call] of Object.entries(functions)) {
      lua.lua_pushcfunction(L, call);
      lua.lua_setfield(L, -2, ascii(name));
    }
    return 1;
  };
}

/** A level, a facility, or both or-ed. The facilities 12 to 15 have no names in <syslog.h>, and there are 24. */
function isPriority(value: number): boolean {
  const facility = value >> 3;
  return facility >= 0 && facility < 24 && (facility < 12 || facility > 15);
}
