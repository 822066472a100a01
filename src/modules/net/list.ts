/** Lists of networks: `net.list`, `list:has` and `net.is_reserved`. */
import type { LuaFunction, LuaState } from 'fengari';
import { failureText } from '../../lua/context/errno.ts';
import { lauxlib, lua } from '../../lua/engine/engine.ts';
import { hostOf, unchanging } from '../../lua/engine/host.ts';
import { readLatin1 } from '../../lua/engine/values.ts';
import { argumentError, checkFileName, raise } from '../../lua/lib/arguments.ts';
import { requireReadable } from '../../lua/lib/open-checked.ts';
import { runSteps, type Steps } from '../../lua/lib/steps.ts';
import { readNetworks } from '../../maps/network-list.ts';
import { addressBytes, Networks, parseNetwork } from '../../maps/networks.ts';
import { type FileNews, WatchedFile } from '../../maps/watched-file.ts';
import type { LogSink } from '../../syslog/log-sink.ts';
import { checkText } from '../arguments.ts';
import { type Results, waiting } from '../job.ts';
import { checkObject, pushObject } from '../objects.ts';

const CLASS = 'net.networks';

/** What a list keeps, for each network. */
const BYTES_PER_NETWORK = 64;
const MAX_NETWORKS = 10_000;
const LONGEST_NETWORK = 60;
/** Of one process: scripts that make up names must not fill the memory. */
const MAX_FILES = 256;

/** In steps of Host.charge(): to take in a network, and to look for an address. */
const STEPS_PER_NETWORK = 200;
const STEPS_PER_LOOK = 1000;

class List {
  readonly has: (address: Uint8Array) => boolean;

  constructor(has: (address: Uint8Array) => boolean) {
    this.has = has;
  }
}

/** Makes net.list(networks), net.list(path). @param log is told of new versions of files */
export function listBy(log: LogSink): LuaFunction {
  /** By path and place. */
  const files = new Map<string, Promise<WatchedFile<Networks>>>();

  const tell = ({ at, problem }: FileNews): void => {
    const isTaken = problem === undefined;
    const text = isTaken ? `${at} read again` : `the version before it serves: ${problem}`;
    log.write({
      facility: 2,
      severity: isTaken ? 5 : 4,
      ident: 'smtpf-milter',
      pid: true,
      text: `net.list: ${text}`,
    });
  };

  async function open(path: string, place: Buffer): Promise<WatchedFile<Networks>> {
    const key = `${path}\0${place.toString('latin1')}`;
    let opening = files.get(key);
    if (opening === undefined) {
      if (files.size >= MAX_FILES) throw new Error(`more than ${MAX_FILES} files`);
      const file = new WatchedFile(path, place, readNetworks, tell);
      opening = file.load().then(() => file);
      files.set(key, opening);
    }
    try {
      return await opening;
    } catch (error) {
      files.delete(key); // Another call is another look at the file.
      throw error;
    }
  }

  const listOfFile = waiting((L, first) => {
    const host = hostOf(L);
    const path = checkFileName(L, first);
    const place = host.locate(path);
    try {
      requireReadable(host, place);
    } catch (error) {
      return raise(L, `net.list: ${path.toString('latin1')}: ${failureText(error)}`);
    }
    const begin = (): Promise<Results> =>
      open(path.toString('latin1'), place).then(
        (file) => (to) => {
          const list = new List((address) => (file.content?.first(address) ?? -1) >= 0);
          pushObject(to, CLASS, unchanging(list));
          return 1;
        },
        (error: unknown) => (to) => raise(to, `net.list: ${error instanceof Error ? error.message : error}`),
      );
    return { begin };
  });

  return (L) => {
    if (lua.lua_type(L, 1) === lua.LUA_TSTRING) return listOfFile(L);
    lauxlib.luaL_checktype(L, 1, lua.LUA_TTABLE);
    return runSteps(L, listOf(L));
  };
}

/** Networks at 1, 2, 3 ... of the table in argument 1. */
function* listOf(L: LuaState): Steps {
  const networks = new Networks();
  lua.lua_checkstack(L, 1);
  for (let i = 1; lua.lua_rawgeti(L, 1, i) !== lua.LUA_TNIL; i++) {
    if (i > MAX_NETWORKS)
      return argumentError(L, 1, `at most ${MAX_NETWORKS} networks expected: more are a file`);
    const text = readLatin1(L, -1, LONGEST_NETWORK + 1);
    const network = text === undefined ? undefined : parseNetwork(text);
    if (network === undefined) {
      const shown = text === undefined ? 'no text' : JSON.stringify(text.slice(0, LONGEST_NETWORK));
      return argumentError(L, 1, `networks expected, not ${shown.replace(/[^ -~]/g, '?')}`);
    }
    networks.add(network);
    lua.lua_pop(L, 1);
    hostOf(L).charge(L, STEPS_PER_NETWORK);
    if (i % 100 === 0) yield 'pause';
  }
  for (const _ of networks.complete()) yield 'pause';
  pushObject(
    L,
    CLASS,
    unchanging(new List((address) => networks.first(address) >= 0)),
    networks.count * BYTES_PER_NETWORK,
  );
  return 1;
}

/** list:has(ip): false also for what is no address. */
export function has(L: LuaState): number {
  const list = checkObject(L, 1, CLASS, List);
  return pushIsIn(L, 2, list);
}

/** net.is_reserved(ip): false also for what is no address. */
export function isReserved(L: LuaState): number {
  return pushIsIn(L, 1, RESERVED);
}

function pushIsIn(L: LuaState, arg: number, list: List): number {
  hostOf(L).charge(L, STEPS_PER_LOOK);
  const address = addressBytes(checkText(L, arg, LONGEST_NETWORK).replace(/%.*$/, ''));
  lua.lua_pushboolean(L, address !== undefined && list.has(address));
  return 1;
}

/** What lies in reserved networks and is of the Internet all the same, by IANA's special-purpose registries. */
const GLOBAL = `192.0.0.9 192.0.0.10 2001:1::1 2001:1::2 2001:1::3 2001:3::/32 2001:4:112::/48 2001:20::/28 2001:30::/28`;

/** What these registries do not call globally reachable, multicast, and what IPv6 has given up. */
const NOT_GLOBAL = `0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
  192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
  ::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 5f00::/16
  fc00::/7 fe80::/10 fec0::/10 ff00::/8`;

const RESERVED = reserved();

function reserved(): List {
  const networks = new Networks();
  add(networks, GLOBAL);
  const first = networks.count;
  add(networks, NOT_GLOBAL);
  for (const _ of networks.complete());
  return new List((address) => networks.first(address) >= first);
}

function add(networks: Networks, texts: string): void {
  for (const text of texts.split(/\s+/)) {
    const network = parseNetwork(text);
    if (network === undefined) throw new Error(`no network: ${text}`);
    networks.add(network);
  }
}
