/**
 * The module `auth`: who sent a message. api.ts describes the functions.
 *
 * All look-ups are those of the session, with its allowance, and of one call together in its time-out.
 */
import type { LuaState } from 'fengari';
import { type Answer, known } from '../../asking/answer.ts';
import { Inquiry } from '../../dns/inquiry.ts';
import { parseAddress } from '../../dns/name.ts';
import { ascii, lauxlib, lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { pushLatin1, pushNumber } from '../../lua/engine/values.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import { runSteps, type Steps } from '../../lua/lib/steps.ts';
import {
  type AuthenticationResults,
  authservsOf,
  type MethodResult,
  parseResults,
  writeResults,
} from '../../mail-auth/authentication-results.ts';
import { type CheckedMessage, checkAll } from '../../mail-auth/check.ts';
import type { Signature } from '../../mail-auth/dkim-verify.ts';
import { checkSpf, type SpfClient, type SpfResult } from '../../mail-auth/spf.ts';
import { edit, editsOf } from '../../message/edit-link.ts';
import { SMFIF } from '../../milter/constants.ts';
import { checkText, OptionTable, optTimeout } from '../arguments.ts';
import { allowanceOf } from '../dns/allowance.ts';
import { checkAddress } from '../dns/arguments.ts';
import { task, waiting } from '../job.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import { factsOf } from '../session.ts';
import type { authApi } from './api.ts';
import { messageOf } from './arriving.ts';
import { openSigning } from './signing.ts';

const TIMEOUT_MS = 20_000;
const MAX_ADDRESS = 2000;
const MAX_AUTHSERV = 500;
const FIELD = 'Authentication-Results';
/** To read a byte of such a field, in steps of Host.charge(). */
const STEPS_PER_BYTE = 20;
const NOT_WHOLE =
  'the message is not here: call auth.check from smtp.do_dot on, and name it in the script or in a file that its main chunk requires';

export function openAuth({ records, keys, clock }: ServicesOf<typeof authApi>): FunctionsOf<typeof authApi> {
  return {
    ...openSigning({ keys, clock }),

    spf: waiting((L, first) => {
      const client = clientAt(L, first);
      const timeoutMs = optTimeout(L, first + 3) ?? TIMEOUT_MS;
      const allowance = allowanceOf(hostOf(L));
      return task({
        timeoutMs,
        ask: (patience) => checkSpf(client, new Inquiry(records, allowance, patience)),
        push: pushSpfResults,
      });
    }),

    check: waiting((L, first) => {
      const options = new OptionTable(L, first, ['partial', 'authserv', 'add', 'timeout']);
      const client = clientOf(L);
      const authserv = options.text('authserv', MAX_AUTHSERV) ?? client.host;
      const isPartial = options.boolean('partial') ?? false;
      const adds = options.boolean('add') ?? false;
      const timeoutMs = options.timeoutMs() ?? TIMEOUT_MS;
      if (!isAuthserv(authserv)) return options.complain('authserv', 'a host name is expected');
      const host = hostOf(L);
      const message = messageOf(host);
      editsOf(L);
      if (!message?.isWhole) return lauxlib.luaL_error(L, ascii(NOT_WHOLE));
      return task<CheckedMessage>({
        timeoutMs,
        ask: async (patience) => {
          const inquiry = new Inquiry(records, allowanceOf(host), patience);
          return known(await message.check(inquiry, (arriving) => checkAll(arriving, client, inquiry)));
        },
        push: (to, found) => {
          const header = writeResults({ authserv, results: found.results });
          editsOf(to).verified(passing(found));
          if (adds && !addResults(to, authserv, header)) return 2;
          if (found.dmarc.kind === 'unknown' && !isPartial) {
            lua.lua_pushnil(to);
            pushLatin1(to, found.dmarc.reason);
            return 2;
          }
          return pushChecked(to, found, header);
        },
      });
    }),

    results: (L) => {
      const wanted = lua.lua_isnoneornil(L, 1) ? undefined : checkText(L, 1, MAX_AUTHSERV).toLowerCase();
      const { headers } = editsOf(L);
      hostOf(L).charge(L, headers.length);
      return runSteps(L, pushResults(L, headers.values(FIELD), wanted));
    },

    covers: (L) => {
      const name = checkText(L, 1, MAX_AUTHSERV).toLowerCase();
      const found = messageOf(hostOf(L))?.found;
      if (found === undefined) {
        return lauxlib.luaL_error(L, ascii('auth.check has not said yet which signatures pass'));
      }
      return pushCovering(L, found, name);
    },
  };
}

/** As the session has it. */
function clientOf(L: LuaState): SpfClient {
  const { ip, helo, sender, mta } = factsOf(L);
  return { address: plainAddress(ip), helo: helo ?? '', sender: sender ?? '', host: mta };
}

/** As the arguments `ip`, `sender` and `helo` from `first` on have it, and the session where they are nil. */
function clientAt(L: LuaState, first: number): SpfClient {
  const given = (arg: number) => (lua.lua_isnoneornil(L, arg) ? undefined : checkText(L, arg, MAX_ADDRESS));
  const client = clientOf(L);
  const ip = given(first);
  if (ip !== undefined) checkAddress(L, first);
  const sender = given(first + 1)?.replace(/^<(.*)>$/s, '$1');
  const isWithout = ip === undefined && factsOf(L).sender === undefined && sender === undefined;
  if (isWithout)
    return argumentError(L, first + 1, 'no sender yet: give one, or call it from smtp.do_mail on');
  return {
    ...client,
    address: ip === undefined ? client.address : plainAddress(ip),
    sender: sender ?? client.sender,
    helo: given(first + 2) ?? client.helo,
  };
}

/** An address in plain text, an IPv4 address that is mapped into IPv6 as such; undefined for a unix socket. */
function plainAddress(text: string): string | undefined {
  const address = parseAddress(text);
  if (address === undefined) return undefined;
  return address.family === 4
    ? address.parts.join('.')
    : address.parts.map((part) => part.toString(16)).join(':');
}

function isAuthserv(text: string): boolean {
  return /^[\x21-\x7e\x80-\xff]+$/.test(text) && text.length <= 255;
}

/**
 * Puts the field on top, and takes out those that came in under the same name: others have forged them.
 * @returns false where the MTA has not granted it: `nil, err` are on the stack
 */
function addResults(L: LuaState, authserv: string, value: string): boolean {
  const { headers } = editsOf(L);
  const count = edit(L, SMFIF.ADDHDRS | SMFIF.CHGHDRS, () => {
    const values = headers.values(FIELD);
    // At once: a stranger chooses how many there are.
    const forged = values.flatMap((each, i) => (speaksFor(each, authserv) ? i + 1 : []));
    if (forged.length > 0) headers.delete(FIELD, forged);
    headers.insert({ name: FIELD, value: ` ${value}` }, 0);
  });
  if (count > 1) return false;
  lua.lua_pop(L, count);
  return true;
}

/** Whether a field says that it is of `authserv`; one that cannot be read does where it begins with that name. */
function speaksFor(value: string, authserv: string): boolean {
  const names = authservsOf(value);
  if (names.length === 0) names.push(value.replace(/^[^A-Za-z0-9]+/, '').slice(0, authserv.length));
  return names.some((name) => plainName(name) === plainName(authserv));
}

/** Without what some reader of the field may pass over: control characters, a version, a dot or comma at the end. */
function plainName(authserv: string): string {
  const name = authserv.replace(/[\0-\x20\x7f]+/g, '');
  return name
    .replace(/\/\d*$/, '')
    .replace(/[.,]$/, '')
    .toLowerCase();
}

function pushSpfResults(L: LuaState, { result, domain, explanation }: SpfResult): number {
  pushLatin1(L, result);
  pushLatin1(L, domain);
  pushLatin1(L, explanation);
  return 3;
}

function pushChecked(L: LuaState, found: CheckedMessage, header: string): number {
  const { spf, dkim, dmarc, arc, iprev } = found;
  const aligned: ReadonlySet<string> = dmarc.kind === 'known' ? dmarc.value.aligned : new Set();
  lua.lua_checkstack(L, 6);
  lua.lua_createtable(L, 0, 6);
  pushPart(L, spf, NOTHING.spf, ({ result, domain, explanation }) => ({
    result,
    domain,
    explanation,
    reason: '',
  }));
  lua.lua_setfield(L, -2, ascii('spf'));
  lua.lua_createtable(L, dkim.length, 0);
  dkim.forEach((signature, i) => {
    pushFields(L, signatureFields(signature, aligned));
    lua.lua_rawseti(L, -2, i + 1);
  });
  lua.lua_setfield(L, -2, ascii('dkim'));
  pushPart(L, dmarc, NOTHING.dmarc, ({ result, policy, domain, record, tags, reason }) => ({
    ...{ result, policy, domain, record, ...tags, reason },
  }));
  lua.lua_setfield(L, -2, ascii('dmarc'));
  pushPart(L, arc, NOTHING.arc, ({ result, chain, domain, reason }) => ({ result, chain, domain, reason }));
  lua.lua_setfield(L, -2, ascii('arc'));
  pushPart(L, iprev, NOTHING.iprev, ({ result, name }) => ({ result, name, reason: '' }));
  lua.lua_setfield(L, -2, ascii('iprev'));
  pushLatin1(L, `${FIELD}: ${header}`.replaceAll('\n', '\r\n'));
  lua.lua_setfield(L, -2, ascii('header'));
  return 1;
}

type Fields = Readonly<Record<string, string | number | boolean | undefined>>;

function signatureFields(signature: Signature, aligned: ReadonlySet<string>): Fields {
  const { result, domain, selector, reason, algorithm, bits, uncovered } = signature;
  const isAligned = result === 'pass' && uncovered === 0 && aligned.has(domain);
  return { result, domain, selector, reason, algorithm, bits, aligned: isAligned, short: uncovered > 0 };
}

/** What a part has besides `result` and `reason` where it could not be found out: a script need not ask for each. */
const NOTHING = {
  spf: { domain: '', explanation: '' },
  dmarc: { policy: '', domain: '', record: '', p: '', sp: '', np: '' },
  arc: { chain: 0, domain: '' },
  iprev: { name: '' },
} as const;

function pushPart<Value>(
  L: LuaState,
  answer: Answer<Value>,
  nothing: Fields,
  fieldsOf: (value: Value) => Fields,
): void {
  if (answer.kind === 'known') pushFields(L, fieldsOf(answer.value));
  else pushFields(L, { ...nothing, result: 'temperror', reason: answer.reason });
}

function pushFields(L: LuaState, fields: Fields): void {
  lua.lua_createtable(L, 0, 8);
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (typeof value === 'string') pushLatin1(L, value);
    else if (typeof value === 'number') pushNumber(L, value);
    else lua.lua_pushboolean(L, value);
    lua.lua_setfield(L, -2, ascii(name));
  }
}

function* pushResults(L: LuaState, values: readonly string[], wanted: string | undefined): Steps {
  lua.lua_newtable(L);
  let count = 0;
  for (const value of values) {
    hostOf(L).charge(L, value.length * STEPS_PER_BYTE);
    const read = parseResults(value);
    if (read !== undefined && (wanted === undefined || read.authserv.toLowerCase() === wanted)) {
      for (const result of read.results) {
        pushResult(L, read, result);
        count += 1;
        lua.lua_rawseti(L, -2, count);
      }
    }
    yield 'pause';
  }
  return 1;
}

function pushResult(L: LuaState, { authserv }: AuthenticationResults, found: MethodResult): void {
  const { method, result, reason, properties } = found;
  lua.lua_checkstack(L, 4);
  pushFields(L, { authserv, method, result, reason });
  pushFields(L, Object.fromEntries(properties));
  lua.lua_setfield(L, -2, ascii('properties'));
}

function passing({ dkim }: CheckedMessage): readonly Signature[] {
  return dkim.filter(({ result }) => result === 'pass');
}

/** @param name of a field in lower case, or `body` */
function pushCovering(L: LuaState, found: CheckedMessage, name: string): number {
  const covering = passing(found).filter(({ covers }) => name === 'body' || covers.includes(name));
  lua.lua_createtable(L, covering.length, 0);
  covering.forEach(({ domain, selector }, i) => {
    pushFields(L, { domain, selector });
    lua.lua_rawseti(L, -2, i + 1);
  });
  return 1;
}
