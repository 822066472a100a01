/** The Lua module `syslog`, from inside Lua. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LuaState } from 'fengari';
import { ascii, bytesOf, latin1Of, lauxlib, lua, lualib } from '../../../src/lua/engine/engine.ts';
import type { Host } from '../../../src/lua/engine/host.ts';
import { libraryOf } from '../../../src/modules/install.ts';
import { syslogApi, syslogConstants } from '../../../src/modules/syslog/api.ts';
import { openSyslog } from '../../../src/modules/syslog/library.ts';
import type { LogSink } from '../../../src/syslog/log-sink.ts';
import type { LogRecord } from '../../../src/syslog/message.ts';
import { openSink } from '../../../src/syslog/open-sink.ts';
import { servicesWith } from '../../helpers/services.ts';
import { Rsyslogd, withoutRsyslogd } from '../../syslog/rsyslogd.ts';

class Kept implements LogSink {
  readonly records: LogRecord[] = [];
  readonly dropped = 0;
  write(record: LogRecord): void {
    this.records.push(record);
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A state with the module as global `syslog`. */
function newState(sink: LogSink, stderr: LogSink, sessionId = 'S1'): LuaState {
  const L = lauxlib.luaL_newstate();
  lualib.luaL_openlibs(L);
  setSession(L, sessionId);
  const syslog = { api: [syslogApi, syslogConstants], open: openSyslog, isRequired: true };
  libraryOf(syslog, servicesWith({ log: sink, stderr })).install(L);
  lua.lua_settop(L, 0);
  return L;
}

function setSession(L: LuaState, sessionId: string): void {
  // All that is needed of a host: among it, the engine asks for leave to make a long string and to work long.
  const host = { sessionId, belongings: new Map(), stringMade() {}, engineWorked() {} };
  L.l_G.host = host as unknown as Host;
}

/** Runs latin1 source; returns its error message, or ''. */
function run(L: LuaState, source: string): string {
  const bytes = bytesOf(source);
  const failed =
    lauxlib.luaL_loadbufferx(L, bytes, bytes.length, ascii('=policy'), null) !== lua.LUA_OK ||
    lua.lua_pcall(L, 0, 0, 0) !== lua.LUA_OK;
  const message = failed ? latin1Of(lauxlib.luaL_tolstring(L, -1)) : '';
  lua.lua_settop(L, 0);
  return message;
}

function logged(source: string): LogRecord[] {
  const sink = new Kept();
  const L = newState(sink, new Kept());
  assert.equal(run(L, source), '');
  return sink.records;
}

const byDefault = { facility: 2, ident: 'smtpf', pid: true };

describe('the table syslog', () => {
  it('has every name of the specification with its POSIX value, and the aliases', () => {
    // Transcribed from <sys/syslog.h> and <syslog.h> of glibc 2.36.
    const error = run(
      newState(new Kept(), new Kept()),
      `local wanted = {
         LOG_PID = 0x01, LOG_CONS = 0x02, LOG_ODELAY = 0x04, LOG_NDELAY = 0x08, LOG_NOWAIT = 0x10, LOG_PERROR = 0x20,
         LOG_KERN = 0<<3, LOG_USER = 1<<3, LOG_MAIL = 2<<3, LOG_DAEMON = 3<<3, LOG_AUTH = 4<<3, LOG_SYSLOG = 5<<3,
         LOG_LPR = 6<<3, LOG_NEWS = 7<<3, LOG_UUCP = 8<<3, LOG_CRON = 9<<3, LOG_AUTHPRIV = 10<<3, LOG_FTP = 11<<3,
         LOG_LOCAL0 = 16<<3, LOG_LOCAL1 = 17<<3, LOG_LOCAL2 = 18<<3, LOG_LOCAL3 = 19<<3, LOG_LOCAL4 = 20<<3,
         LOG_LOCAL5 = 21<<3, LOG_LOCAL6 = 22<<3, LOG_LOCAL7 = 23<<3,
         LOG_EMERG = 0, LOG_ALERT = 1, LOG_CRIT = 2, LOG_ERR = 3, LOG_WARNING = 4, LOG_NOTICE = 5, LOG_INFO = 6,
         LOG_DEBUG = 7 }
       for name, value in pairs(wanted) do
         assert(math.type(syslog[name]) == "integer" and syslog[name] == value, name)
       end
       local functions = { "openlog", "syslog", "error", "warning", "notice", "info", "debug", "closelog",
         "open", "log", "close" }
       for _, name in ipairs(functions) do assert(type(syslog[name]) == "function", name); wanted[name] = true end
       for name in pairs(syslog) do assert(wanted[name], name) end`,
    );
    assert.equal(error, '');
  });
});

describe('syslog.syslog', () => {
  it('logs at the level given, with the session id in front', () => {
    assert.deepEqual(logged('syslog.syslog(syslog.LOG_NOTICE, "hello")'), [
      { ...byDefault, severity: 5, text: 'S1 hello' },
    ]);
  });
  it('takes a facility or-ed to the level', () => {
    assert.deepEqual(logged('syslog.syslog(syslog.LOG_LOCAL3 | syslog.LOG_ERR, "hello")'), [
      { ...byDefault, facility: 19, severity: 3, text: 'S1 hello' },
    ]);
  });
  it('takes the first and the last value there is', () => {
    const priorities = logged('for _, p in ipairs{ 0, 7, 8, 95, 128, 191 } do syslog.syslog(p, "") end');
    assert.deepEqual(
      priorities.map(({ facility, severity }) => [facility, severity]),
      [
        [2, 0],
        [2, 7],
        [1, 0],
        [11, 7],
        [16, 0],
        [23, 7],
      ],
    );
  });
  it('never interprets %', () => {
    const [record] = logged('syslog.syslog(6, "%s %n %d 100% %")');
    assert.equal(record?.text, 'S1 %s %n %d 100% %');
  });
  it('keeps bytes, and takes numbers', () => {
    const texts = logged('syslog.log(6, "caf\xe9\\0\\n") syslog.info(42) syslog.info(0.5)').map(
      ({ text }) => text,
    );
    assert.deepEqual(texts, ['S1 caf\xe9\0\n', 'S1 42', 'S1 0.5']);
  });
  it('does not carry a megabyte to a line of a log', () => {
    const [record] = logged('syslog.info(string.rep("x", 1 << 20))');
    assert.ok((record?.text.length ?? 0) < 10_000);
  });
});

describe('error, warning, notice, info, debug', () => {
  it('log at their levels', () => {
    const records = logged(
      `for _, name in ipairs{ "error", "warning", "notice", "info", "debug" } do syslog[name](name) end`,
    );
    assert.deepEqual(
      records.map(({ severity, text }) => [severity, text]),
      [
        [3, 'S1 error'],
        [4, 'S1 warning'],
        [5, 'S1 notice'],
        [6, 'S1 info'],
        [7, 'S1 debug'],
      ],
    );
  });
});

describe('syslog.openlog', () => {
  it('sets ident, options and facility until closelog', () => {
    const records = logged(
      `syslog.openlog("mine", 0, syslog.LOG_LOCAL1) syslog.info("a")
       syslog.openlog("mine", syslog.LOG_PID | syslog.LOG_CONS | syslog.LOG_NDELAY | syslog.LOG_ODELAY
         | syslog.LOG_NOWAIT, syslog.LOG_DAEMON) syslog.info("b")
       syslog.closelog() syslog.info("c")
       syslog.open("short") syslog.info("d")
       syslog.close() syslog.openlog() syslog.info("e")`,
    );
    assert.deepEqual(records, [
      { facility: 17, ident: 'mine', pid: false, severity: 6, text: 'S1 a' },
      { facility: 3, ident: 'mine', pid: true, severity: 6, text: 'S1 b' },
      { ...byDefault, severity: 6, text: 'S1 c' },
      { ...byDefault, ident: 'short', severity: 6, text: 'S1 d' },
      { ...byDefault, severity: 6, text: 'S1 e' },
    ]);
  });
  it('writes to stderr too with LOG_PERROR', () => {
    const sink = new Kept();
    const stderr = new Kept();
    const L = newState(sink, stderr);
    run(L, 'syslog.info("a") syslog.openlog("mine", syslog.LOG_PERROR, syslog.LOG_MAIL) syslog.info("b")');
    assert.deepEqual(stderr.records, [{ facility: 2, severity: 6, ident: 'mine', pid: false, text: 'S1 b' }]);
    assert.equal(sink.records.length, 2);
  });
  it('belongs to one session, though sessions share the functions', () => {
    const sink = new Kept();
    const L = newState(sink, new Kept(), 'S1');
    const first = L.l_G.host;
    run(L, 'syslog.openlog("one", 0, syslog.LOG_LOCAL1) syslog.info("a")');
    setSession(L, 'S2');
    const second = L.l_G.host;
    run(L, 'syslog.info("b") syslog.openlog("two", 1, syslog.LOG_LOCAL2)');
    L.l_G.host = first;
    run(L, 'syslog.info("c")');
    L.l_G.host = second;
    run(L, 'syslog.info("d")');
    assert.deepEqual(
      sink.records.map(({ ident, pid, facility, text }) => [ident, pid, facility, text]),
      [
        ['one', false, 17, 'S1 a'],
        ['smtpf', true, 2, 'S2 b'],
        ['one', false, 17, 'S1 c'],
        ['two', true, 18, 'S2 d'],
      ],
    );
  });
  it('puts nothing in front where there is no session', () => {
    const sink = new Kept();
    run(newState(sink, new Kept(), ''), 'syslog.info("main chunk")');
    assert.equal(sink.records[0]?.text, 'main chunk');
  });
});

describe('arguments', () => {
  const cases: [string, string][] = [
    ['syslog.syslog()', "bad argument #1 to 'syslog' (number expected, got no value)"],
    ['syslog.syslog(nil, "x")', "bad argument #1 to 'syslog' (number expected, got nil)"],
    ['syslog.syslog("info", "x")', "bad argument #1 to 'syslog' (number expected, got string)"],
    ['syslog.syslog(6.5, "x")', "bad argument #1 to 'syslog' (number has no integer representation)"],
    ['syslog.syslog(-1, "x")', "bad argument #1 to 'syslog' (invalid level)"],
    ['syslog.syslog(1 << 10, "x")', "bad argument #1 to 'syslog' (invalid level)"],
    ['syslog.syslog(99, "x")', "bad argument #1 to 'syslog' (invalid level)"],
    ['syslog.syslog(127, "x")', "bad argument #1 to 'syslog' (invalid level)"],
    ['syslog.syslog(192, "x")', "bad argument #1 to 'syslog' (invalid level)"],
    ['syslog.syslog(6)', "bad argument #2 to 'syslog' (string expected, got no value)"],
    ['syslog.log(6, {})', "bad argument #2 to 'log' (string expected, got table)"],
    ['syslog.error()', "bad argument #1 to 'error' (string expected, got no value)"],
    ['syslog.info(nil)', "bad argument #1 to 'info' (string expected, got nil)"],
    ['syslog.openlog({})', "bad argument #1 to 'openlog' (string expected, got table)"],
    ['syslog.openlog("x", "PID")', "bad argument #2 to 'openlog' (number expected, got string)"],
    ['syslog.openlog("x", 1, 6)', "bad argument #3 to 'openlog' (invalid facility)"],
    ['syslog.openlog("x", 1, 12 << 3)', "bad argument #3 to 'openlog' (invalid facility)"],
    ['syslog.openlog("x", 1, 24 << 3)', "bad argument #3 to 'openlog' (invalid facility)"],
  ];
  for (const [source, message] of cases) {
    it(source, () => {
      const sink = new Kept();
      assert.equal(run(newState(sink, new Kept()), source), `policy:1: ${message}`);
      assert.deepEqual(sink.records, []);
    });
  }
});

describe('to a real rsyslogd', { skip: withoutRsyslogd, timeout: 30_000 }, () => {
  it('two sessions with different idents do not disturb each other', async (t) => {
    const daemon = await Rsyslogd.start();
    t.after(() => daemon.remove());
    const sink = openSink({ kind: 'local', path: daemon.socket }, assert.fail);
    const one = newState(sink, new Kept(), 'S1');
    const two = newState(sink, new Kept(), 'S2');
    run(one, 'syslog.openlog("one", 0, syslog.LOG_MAIL)');
    run(two, 'syslog.openlog("two", syslog.LOG_PID, syslog.LOG_LOCAL7)');
    for (let i = 0; i < 100; i++) {
      run(one, `syslog.error("%s ${i}\\n<0>caf\xe9")`);
      run(two, `syslog.debug("%n ${i}")`);
    }
    const lines = await daemon.until(({ text }) => text === 'S2 %n 99');
    await sink.close();
    const wanted = Array.from({ length: 100 }, (_, i) => [
      [19, 'one:', `S1 %s ${i}#012<0>caf\xe9`],
      [191, `two[${process.pid}]:`, `S2 %n ${i}`],
    ]).flat();
    assert.deepEqual(
      lines.map(({ priority, tag, text }) => [priority, tag, text]),
      wanted,
    );
  });
});
