/**
 * The library `dns` of a policy: look-ups that suspend the running callback only. api.ts describes the functions.
 *
 * Names are taken with or without trailing dot, in any case; bytes above 127 are UTF-8 and asked for as A-labels (RFC
 * 5890). Control characters and backslashes cannot be asked for: `nil, "protocol ..."`. A name with an empty
 * label, over 63 bytes in one or 253 in all, as strangers may write it, is a firm "no".
 *
 * `dns.listed` takes as `codes` what Postfix takes: `"127.0.0.2"`, `"127.0.0.[2;4..11]"`, or an array of them. 127.255.255.x
 * turns a question away, and so does 127.0.0.1 unless `codes` has it.
 */
import type { LuaFunction, LuaState } from 'fengari';
import type { Answer } from '../../asking/answer.ts';
import { confirmedName, type Listing, listing } from '../../dns/client-checks.ts';
import { Inquiry } from '../../dns/inquiry.ts';
import { parseAddress, pointerName } from '../../dns/name.ts';
import type { Records, RecordType } from '../../dns/records.ts';
import { ascii, lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { pushArray, pushLatin1, pushNumber } from '../../lua/engine/values.ts';
import { optTimeout } from '../arguments.ts';
import { task, waiting } from '../job.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import { allowanceOf } from './allowance.ts';
import type { dnsApi } from './api.ts';
import { checkAddress, checkName, checkZone, optCodes } from './arguments.ts';

/** The functions of the library. */
export function openDns({ records }: ServicesOf<typeof dnsApi>): FunctionsOf<typeof dnsApi> {
  /** A function that looks up what `read` makes of its arguments. */
  function lookingUp<Value>(read: (L: LuaState, first: number) => LookUp<Value>): LuaFunction {
    return waiting((L, first) => {
      const { timeoutMs = records.timeoutMs, run, push } = read(L, first);
      const allowance = allowanceOf(hostOf(L));
      return task({ timeoutMs, push, ask: (patience) => run(new Inquiry(records, allowance, patience)) });
    });
  }

  return {
    a: lookingUp(recordsOf('A', checkName, pushTexts)),
    aaaa: lookingUp(recordsOf('AAAA', checkName, pushTexts)),
    mx: lookingUp(recordsOf('MX', checkName, pushExchangers)),
    txt: lookingUp(recordsOf('TXT', checkName, pushTexts)),
    ns: lookingUp(recordsOf('NS', checkName, pushTexts)),
    ptr: lookingUp(recordsOf('PTR', (L, arg) => pointerName(checkAddress(L, arg)), pushTexts)),
    fcrdns: lookingUp(fcrdns),
    listed: lookingUp(listed),
  };
}

/** A call whose arguments have been read; `timeoutMs` bounds all its questions together. */
interface LookUp<Value> {
  readonly timeoutMs: number | undefined;
  readonly run: (inquiry: Inquiry) => Promise<Answer<Value>>;
  readonly push: (L: LuaState, value: Value) => number;
}

/** A function that asks for the records of one name, which `readName` makes from its argument. */
function recordsOf<Type extends RecordType>(
  type: Type,
  readName: (L: LuaState, arg: number) => string,
  push: (L: LuaState, records: Records[Type]) => number,
): (L: LuaState, first: number) => LookUp<Records[Type]> {
  return (L, first) => {
    const name = readName(L, first);
    return { timeoutMs: optTimeout(L, first + 1), run: (inquiry) => inquiry.ask(type, name), push };
  };
}

function fcrdns(L: LuaState, first: number): LookUp<string | false> {
  const address = checkAddress(L, first);
  return {
    timeoutMs: optTimeout(L, first + 1),
    run: (inquiry) => confirmedName(inquiry, address),
    push: (to, name) => {
      if (name === false) lua.lua_pushboolean(to, false);
      else pushLatin1(to, name);
      return 1;
    },
  };
}

function listed(L: LuaState, first: number): LookUp<Listing | false> {
  const text = checkName(L, first);
  const subject = parseAddress(text) ?? text;
  const zone = checkZone(L, first + 1);
  const codes = optCodes(L, first + 2);
  return {
    timeoutMs: optTimeout(L, first + 3),
    run: (inquiry) => listing(inquiry, subject, zone, codes),
    push: (to, found) => {
      if (found === false) {
        lua.lua_pushboolean(to, false);
        return 1;
      }
      pushLatin1(to, found.code);
      pushLatin1(to, found.text);
      return 2;
    },
  };
}

function pushTexts(L: LuaState, texts: readonly string[]): number {
  pushArray(L, texts);
  return 1;
}

function pushExchangers(L: LuaState, exchangers: Records['MX']): number {
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
  return 1;
}
