/**
 * The library `dns` of a policy: look-ups that suspend the running callback only.
 *
 *     dns.a(name)  dns.aaaa(name)  dns.ns(name)   { string... } | nil, err
 *     dns.ptr(ip)                                 { string... } | nil, err
 *     dns.mx(name)                                { { host =, pref = }... } | nil, err    by preference
 *     dns.txt(name)                               { string... } | nil, err                bytes, one for each record
 *     dns.fcrdns(ip)                              name | false | nil, err
 *     dns.listed(ip_or_name, zone[, codes])       code, text | false | nil, err
 *     dns.start(fn, ...)                          job
 *     job:wait([timeout])                         what fn(...) returns
 *
 * - `nil, err` means "could not find out", and only that. `err` begins with `timeout`, `servfail`, `refused`,
 *   `unavailable`, `protocol` or `limit`, and names the look-up. A firm "no" is an empty table or false: the name does
 *   not exist, has no such record, or is one that the DNS cannot hold (an empty label, over 63 bytes in one or 253 in
 *   all), as strangers may write them.
 * - Every function takes a time-out in seconds as one more, last argument: for all its look-ups together. Without it,
 *   and for each look-up by itself, that of `--dns-timeout` holds.
 * - Wrong arguments raise an error: no string, no IP address, no list's domain, no function of this library.
 * - Names are taken with or without trailing dot, in any case; bytes above 127 are UTF-8 and asked for as A-labels
 *   (RFC 5890). Other characters than letters, digits and `-_*` + `/` cannot be asked for: `nil, "protocol ..."`.
 *   Results have no trailing dot.
 * - `{ { host = ".", pref = 0 } }` is the null MX (RFC 7505): the domain takes no mail at all. `{}` is no MX, which lets
 *   its own address take the mail (RFC 5321 section 5.1).
 * - `dns.listed` reverses an address by itself (RFC 5782). Answers outside of 127.0.0.0/8 and those by which a list turns
 *   the question away (127.255.255.x, 127.0.0.1) are "could not find out". `codes` is a string or an array of strings,
 *   as `"127.0.0.2"` or Postfix's `"127.0.0.[2;4..11]"`: other answers of the list are false then. 127.0.0.1 counts
 *   where `codes` has it. `text` is the list's explanation, "" without one.
 * - `dns.start` begins the look-up of one of the functions above at once, so that several are under way together.
 *   A job may be waited for in a later callback of the session, again and again; with the session it is cancelled.
 *
 * A session has 1,000 look-ups at its beginning, and 10 more each second; answers from the cache are free.
 */
import type { LuaFunction, LuaState } from 'fengari';
import { confirmedName, listing } from '../dns/client-checks.ts';
import { Allowance, Inquiry } from '../dns/inquiry.ts';
import { parseAddress, pointerName } from '../dns/name.ts';
import { type Answer, type RecordSource, type Records, type RecordType, unknown } from '../dns/records.ts';
import { checkAddress, checkText, checkZone, optCodes, optTimeout } from './dns-arguments.ts';
import { ascii, lauxlib, lua } from './engine.ts';
import { type Closable, type Host, hostOf, PerState } from './host.ts';
import { argumentError, pushLibrary } from './lib/arguments.ts';
import { pushArray, pushLatin1, pushNumber } from './values.ts';

/** Puts the results of a function on the stack; returns their number. */
type Results = (L: LuaState) => number;

interface Task {
  readonly timeoutMs: number | undefined;
  run(inquiry: Inquiry): Promise<Results>;
}

/** Reads the arguments from `first` on, and raises their errors. */
type Operation = (L: LuaState, first: number) => Task;

/** Name of the metatable of jobs. */
const JOB = 'dns.job';
/** Field of a job's userdata. */
const FIELD = 'job';

/** What one session has of this library. */
class Session implements Closable {
  readonly allowance: Allowance = new Allowance();
  readonly #over = new AbortController();

  /** Fires when the session is over. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  close(): void {
    this.#over.abort();
  }
}

/** A look-up under way, or its results. */
class Job {
  readonly results: Promise<Results>;

  constructor(results: Promise<Results>) {
    this.results = results;
  }
}

/** Makes the opener of the library. All states of a template share its functions. */
export function dnsLibrary(source: RecordSource): LuaFunction {
  const sessions = new PerState<Session>();
  const operations = new Map<unknown, Operation>();

  function sessionOf(host: Host): Session {
    let session = sessions.get(host);
    if (session === undefined) {
      session = new Session();
      sessions.set(host, session);
      host.dependents.add(session);
    }
    return session;
  }

  function begin({ timeoutMs, run }: Task, host: Host, cancelled: AbortSignal): Promise<Results> {
    return run(new Inquiry(source, sessionOf(host).allowance, cancelled, timeoutMs));
  }

  function waiting(operation: Operation): LuaFunction {
    const call: LuaFunction = (L) => {
      const host = hostOf(L);
      const task = operation(L, 1);
      return host.wait(L, (cancelled) => begin(task, host, cancelled), finish);
    };
    operations.set(call, operation);
    return call;
  }

  function start(L: LuaState): number {
    const operation = operations.get(lua.lua_topointer(L, 1));
    if (operation === undefined) return argumentError(L, 1, 'a function of dns expected');
    const host = hostOf(L);
    const job = new Job(begin(operation(L, 2), host, sessionOf(host).over));
    lua.lua_newuserdata(L)[FIELD] = job;
    lauxlib.luaL_setmetatable(L, ascii(JOB));
    return 1;
  }

  const functions: Record<string, LuaFunction> = {
    a: waiting(lookUp('A', checkText, pushArray)),
    aaaa: waiting(lookUp('AAAA', checkText, pushArray)),
    mx: waiting(lookUp('MX', checkText, pushExchangers)),
    txt: waiting(lookUp('TXT', checkText, pushArray)),
    ns: waiting(lookUp('NS', checkText, pushArray)),
    ptr: waiting(lookUp('PTR', (L, arg) => pointerName(checkAddress(L, arg)), pushArray)),
    fcrdns: waiting(fcrdns),
    listed: waiting(listed),
    start,
  };

  return (L) => {
    lauxlib.luaL_newmetatable(L, ascii(JOB));
    pushLibrary(L, { wait: waitForJob });
    lua.lua_setfield(L, -2, ascii('__index'));
    lua.lua_pushliteral(L, JOB);
    lua.lua_setfield(L, -2, ascii('__metatable'));
    lua.lua_pop(L, 1);
    pushLibrary(L, functions);
    return 1;
  };
}

/** A function that asks for the records of one name, which `readName` makes from its argument. */
function lookUp<Type extends RecordType>(
  type: Type,
  readName: (L: LuaState, arg: number) => string,
  push: (L: LuaState, records: Records[Type]) => void,
): Operation {
  return (L, first) => {
    const name = readName(L, first);
    return {
      timeoutMs: optTimeout(L, first + 1),
      run: async (inquiry) =>
        resultsOf(await inquiry.ask(type, name), (to, records) => {
          push(to, records);
          return 1;
        }),
    };
  };
}

const fcrdns: Operation = (L, first) => {
  const address = checkAddress(L, first);
  return {
    timeoutMs: optTimeout(L, first + 1),
    run: async (inquiry) =>
      resultsOf(await confirmedName(inquiry, address), (to, name) => {
        if (name === false) lua.lua_pushboolean(to, false);
        else pushLatin1(to, name);
        return 1;
      }),
  };
};

const listed: Operation = (L, first) => {
  const text = checkText(L, first);
  const subject = parseAddress(text) ?? text;
  const zone = checkZone(L, first + 1);
  const codes = optCodes(L, first + 2);
  return {
    timeoutMs: optTimeout(L, first + 3),
    run: async (inquiry) =>
      resultsOf(await listing(inquiry, subject, zone, codes), (to, found) => {
        if (found === false) {
          lua.lua_pushboolean(to, false);
          return 1;
        }
        pushLatin1(to, found.code);
        pushLatin1(to, found.text);
        return 2;
      }),
  };
};

function waitForJob(L: LuaState): number {
  const job = lauxlib.luaL_checkudata(L, 1, ascii(JOB))[FIELD];
  const timeoutMs = optTimeout(L, 2);
  if (!(job instanceof Job)) return argumentError(L, 1, 'a job expected');
  return hostOf(L).wait(L, (cancelled) => patiently(job.results, timeoutMs, cancelled), finish);
}

/** The job's results, or those of a time-out: the job goes on then. */
function patiently(
  results: Promise<Results>,
  timeoutMs: number | undefined,
  cancelled: AbortSignal,
): Promise<Results> {
  if (timeoutMs === undefined) return results;
  return new Promise((resolve) => {
    const late = resultsOf(unknown('timeout', 'waiting for a job'), () => 0);
    const timer = setTimeout(() => resolve(late), timeoutMs);
    cancelled.addEventListener('abort', () => clearTimeout(timer));
    results.then((settled) => {
      clearTimeout(timer);
      resolve(settled);
    });
  });
}

function finish(L: LuaState, results: Results): number {
  return results(L);
}

/** What `push` makes of the value; or nil and the reason. */
function resultsOf<Value>(answer: Answer<Value>, push: (L: LuaState, value: Value) => number): Results {
  return (L) => {
    if (answer.kind === 'known') return push(L, answer.value);
    lua.lua_pushnil(L);
    pushLatin1(L, answer.reason);
    return 2;
  };
}

function pushExchangers(L: LuaState, exchangers: Records['MX']): void {
  lua.lua_checkstack(L, 3);
  lua.lua_createtable(L, exchangers.length, 0);
  exchangers.forEach(({ host, pref }, i) => {
    lua.lua_createtable(L, 0, 2);
    pushLatin1(L, host);
    lua.lua_setfield(L, -2, ascii('host'));
    pushNumber(L, pref);
    lua.lua_setfield(L, -2, ascii('pref'));
    lua.lua_rawseti(L, -2, i + 1);
  });
}
