/** The module `scan`. */
import { isIP } from 'node:net';
import type { LuaState } from 'fengari';
import { ascii, lauxlib, lua } from '../../lua/engine/engine.ts';
import { type Plain, pushPlain } from '../../lua/engine/plain.ts';
import { pushLatin1 } from '../../lua/engine/values.ts';
import type { ScannerAddress } from '../../scanners/conversation.ts';
import type { RspamdEnvelope, RspamdPlace, RspamdResult } from '../../scanners/rspamd.ts';
import { parseRspamdPlace, parseScannerAddress } from '../../scanners/scanner-address.ts';
import type { ScanRequest } from '../../scanners/scanners.ts';
import type { SpamdResult } from '../../scanners/spamd.ts';
import { BadValue } from '../../text/bad-value.ts';
import { OptionTable } from '../arguments.ts';
import { resultsOf, type Task, type TaskParts, task, waiting } from '../job.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import { factsOf } from '../session.ts';
import type { scanApi } from './api.ts';
import { apply } from './apply.ts';
import { plainOf } from './plain-json.ts';

const MIB = 1024 * 1024;
const TIMEOUT_MS = 30_000;
const MAX_MESSAGE = 25 * MIB;
const MAX_SPAMD_MESSAGE = MIB / 2;
/** A sanity bound of the option `max`. */
const LARGEST = 1024 * MIB;
const MAX_ADDRESS = 4096;
const MAX_WORD = 256;
/** Of what rspamd says: its rules are the site's, what they found the sender's. */
const MAX_SYMBOLS = 1000;
const MAX_SYMBOL_OPTIONS = 100;

const RESULT = 'scan.rspamd_result';

export const openScan = ({ scanners }: ServicesOf<typeof scanApi>): FunctionsOf<typeof scanApi> => ({
  clamd: waiting((L, first) => {
    const options = new OptionTable(L, first, ['server', 'timeout', 'max']);
    const server = serverOf(options);
    return scanning(L, options, MAX_MESSAGE, (message) => ({
      ask: (patience) => scanners.clamd({ ...message, server }, patience),
      push: pushFound,
    }));
  }),
  spamd: waiting((L, first) => {
    const options = new OptionTable(L, first, ['server', 'user', 'timeout', 'max']);
    const server = serverOf(options);
    const user = wordOf(options, 'user');
    return scanning(L, options, MAX_SPAMD_MESSAGE, (message) => ({
      ask: (patience) => scanners.spamd({ ...message, server, user }, patience),
      push: pushSpamdResult,
    }));
  }),
  rspamd: waiting((L, first) => {
    const options = new OptionTable(L, first, ['url', 'password', 'timeout', 'max']);
    const server = addressOf(options, 'url', parseRspamdPlace);
    const password = wordOf(options, 'password');
    const envelope = envelopeOf(L);
    return scanning(L, options, MAX_MESSAGE, (message) => ({
      ask: (patience) => scanners.rspamd({ ...message, server, password, envelope }, patience),
      push: pushRspamdResult,
    }));
  }),
  'rspamd_result:apply': apply,
});

/** Raises an error outside of `smtp.do_dot`. */
function scanning<Value>(
  L: LuaState,
  options: OptionTable,
  fallback: number,
  parts: (message: ScanRequest) => Omit<TaskParts<Value>, 'timeoutMs'>,
): Task {
  const timeoutMs = options.timeoutMs() ?? TIMEOUT_MS;
  const most = options.number('max') ?? fallback;
  if (!Number.isInteger(most) || most < 1 || most > LARGEST) {
    options.complain('max', `a whole number from 1 to ${LARGEST} expected`);
  }
  const { message } = factsOf(L);
  if (message === undefined)
    return lauxlib.luaL_error(L, ascii('no message: only smtp.do_dot has one to scan'));
  if (message.kind === 'unknown') {
    const results = resultsOf(message, () => 0);
    return { begin: async () => results, known: results };
  }
  return task({ timeoutMs, ...parts({ ...message.value, most }) });
}

function serverOf(options: OptionTable): ScannerAddress | undefined {
  return addressOf(options, 'server', parseScannerAddress);
}

function addressOf<Address extends ScannerAddress | RspamdPlace>(
  options: OptionTable,
  name: string,
  parse: (text: string) => Address,
): Address | undefined {
  const text = options.text(name, MAX_ADDRESS);
  if (text === undefined) return undefined;
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof BadValue) return options.complain(name, error.message);
    throw error;
  }
}

/** Printable ASCII: it goes into a line of the protocol. */
function wordOf(options: OptionTable, name: string): string | undefined {
  const text = options.text(name, MAX_WORD);
  if (text === undefined || /^[!-~]{1,256}$/.test(text)) return text;
  return options.complain(name, `1 to ${MAX_WORD} printable characters without blanks expected`);
}

function envelopeOf(L: LuaState): RspamdEnvelope {
  const { ip, ptr, helo, user, sender, recipients, queueId } = factsOf(L);
  return {
    ip: isIP(ip) === 0 ? undefined : ip,
    hostname: ptr || undefined,
    helo,
    user,
    // rspamd takes a header that is there for an address; the null sender has its brackets.
    from: sender === '' ? '<>' : sender,
    rcpt: recipients,
    queueId,
  };
}

function pushFound(L: LuaState, found: string | false): number {
  if (found === false) lua.lua_pushboolean(L, false);
  else pushLatin1(L, found);
  return 1;
}

function pushSpamdResult(L: LuaState, { spam, score, required, symbols }: SpamdResult): number {
  pushPlain(L, { spam, score, required, symbols });
  return 1;
}

function pushRspamdResult(L: LuaState, result: RspamdResult): number {
  const { action, score, required, symbols, milter, subject, signatures, reply } = result;
  const found: Record<string, Plain> = Object.create(null);
  for (const [name, symbol] of [...symbols].slice(0, MAX_SYMBOLS)) {
    found[bytesIn(name)] = {
      score: symbol.score,
      options: symbol.options.slice(0, MAX_SYMBOL_OPTIONS).map(bytesIn),
    };
  }
  pushPlain(L, {
    action: bytesIn(action),
    score,
    required,
    symbols: found,
    milter: plainOf(milter),
    subject: subject === undefined ? undefined : bytesIn(subject),
    signatures: signatures.map(bytesIn),
    reply: reply === undefined ? undefined : bytesIn(reply),
  });
  lauxlib.luaL_setmetatable(L, ascii(RESULT));
  return 1;
}

/** Text of JSON as its bytes in UTF-8. */
function bytesIn(text: string): string {
  return Buffer.from(text).toString('latin1');
}
