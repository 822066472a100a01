/** The function `smtp.callahead`. */
import { isIP } from 'node:net';
import type { LuaState } from 'fengari';
import { lua } from '../../lua/engine/engine.ts';
import { pushLatin1, readArray, readLatin1 } from '../../lua/engine/values.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import type { Taken } from '../../mail-client/call-ahead.ts';
import { complain } from '../../message/edit-link.ts';
import { MAX_ADDRESS_BYTES } from '../../message/mailbox.ts';
import { checkText, OptionTable } from '../arguments.ts';
import { bareAddress } from '../bare-address.ts';
import { task, waiting } from '../job.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import type { callAheadApi } from './api.ts';

const TIMEOUT_MS = 5000;
const YES_SECONDS = 4 * 3600;
const NO_SECONDS = 600;
const MAX_SECONDS = 31 * 86_400;
const MAX_HOSTS = 20;
const MAX_HOST = 260;

export const openCallAhead = ({
  callAhead,
}: ServicesOf<typeof callAheadApi>): FunctionsOf<typeof callAheadApi> => ({
  callahead: waiting((L, first) => {
    const hosts = hostsAt(L, first);
    const rcpt = bareAddress(checkText(L, first + 1, MAX_ADDRESS_BYTES), (why) =>
      complain(L, first + 1, why),
    );
    if (rcpt === '') argumentError(L, first + 1, 'empty address');
    const names = ['from', 'helo', 'port', 'timeout', 'probe', 'yes', 'no'];
    const options = new OptionTable(L, first + 2, names);
    const from = bareAddress(options.text('from', MAX_ADDRESS_BYTES) ?? '', (why) =>
      options.complain('from', why),
    );
    const helo = options.text('helo', MAX_HOST);
    if (helo !== undefined && !/^[\w.[\]:-]{1,255}$/.test(helo))
      options.complain('helo', 'a host name expected');
    const port = options.number('port') ?? 25;
    if (!Number.isInteger(port) || port < 1 || port > 65_535) options.complain('port', 'a port expected');
    const timeoutMs = options.timeoutMs() ?? TIMEOUT_MS;
    const asksRandom = options.boolean('probe') ?? false;
    const yesMs = secondsOf(options, 'yes', YES_SECONDS);
    const noMs = secondsOf(options, 'no', NO_SECONDS);
    const request = { hosts, rcpt, from, helo, port, asksRandom, yesMs, noMs };
    return task({ timeoutMs, ask: (patience) => callAhead.callahead(request, patience), push: pushTaken });
  }),
});

function secondsOf(options: OptionTable, name: string, fallback: number): number {
  const seconds = options.number(name) ?? fallback;
  if (!(seconds >= 0 && seconds <= MAX_SECONDS))
    options.complain(name, `seconds from 0 to ${MAX_SECONDS} expected`);
  return Math.round(seconds * 1000);
}

function hostsAt(L: LuaState, arg: number): readonly string[] {
  const one = readLatin1(L, arg, MAX_HOST + 1);
  const hosts = one === undefined ? readArray(L, arg, MAX_HOSTS, MAX_HOST + 1) : [one];
  if (hosts === undefined || hosts.length === 0)
    return argumentError(L, arg, 'a host or a list of hosts expected');
  return hosts.map((host) => {
    const bare = host.replace(/^\[(.*)\]$/, '$1');
    if (isIP(bare) !== 0) return bare;
    return /^(?:mx:)?[\w-]+(?:\.[\w-]+)*\.?$/i.test(host) && host.length <= 256
      ? host
      : argumentError(L, arg, 'a host name, an address or mx:DOMAIN expected');
  });
}

function pushTaken(L: LuaState, taken: Taken): number {
  lua.lua_pushboolean(L, taken === true);
  if (taken === true) return 1;
  pushLatin1(L, taken.reply);
  return 2;
}
