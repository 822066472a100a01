/** The module `net`: addresses, networks and domains. Texts are from strangers: what is no address is no error. */
import type { LuaState } from 'fengari';
import { type Address, MAX_WRITTEN, parseAddress, reversed } from '../../dns/name.ts';
import { lauxlib, lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { pushOptional } from '../../lua/engine/values.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import { checkText } from '../arguments.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import type { netApi } from './api.ts';
import { registrableDomain } from './domain.ts';
import { has, isReserved, listBy } from './list.ts';
import { prefixOf } from './prefix.ts';

/** Bytes of an address in text that are looked at. */
const MAX_ADDRESS = 128;

/** Work on an address, or on the name of a host, in steps of Host.charge(). */
const STEPS_PER_ADDRESS = 200;
const STEPS_PER_NAME = 1000;

/** The address in argument `arg`; undefined for any other text. */
function checkAddress(L: LuaState, arg: number): Address | undefined {
  hostOf(L).charge(L, STEPS_PER_ADDRESS);
  return parseAddress(checkText(L, arg, MAX_ADDRESS));
}

/** The length of a prefix in argument `arg`; `absent` when it is nil or missing. */
function optBits(L: LuaState, arg: number, most: number, absent: number): number {
  const bits = lauxlib.luaL_optinteger(L, arg, absent);
  return bits >= 0 && bits <= most ? bits : argumentError(L, arg, `from 0 to ${most} bits expected`);
}

/** net.prefix(ip[, v4bits[, v6bits]]): `192.0.2.0/24`, `2001:db8::/64`; nil. */
function prefix(L: LuaState): number {
  const address = checkAddress(L, 1);
  const bits4 = optBits(L, 2, 32, 24);
  const bits6 = optBits(L, 3, 128, 64);
  pushOptional(L, address && prefixOf(address, address.family === 4 ? bits4 : bits6));
  return 1;
}

/** net.reverse(ip): the labels in reverse order; nil. */
function reverse(L: LuaState): number {
  const address = checkAddress(L, 1);
  pushOptional(L, address && reversed(address));
  return 1;
}

/** net.domain(host[, private]): the registrable domain; nil. */
function domain(L: LuaState): number {
  const host = checkText(L, 1, MAX_WRITTEN);
  hostOf(L).charge(L, STEPS_PER_NAME);
  pushOptional(L, registrableDomain(host, lua.lua_toboolean(L, 2)));
  return 1;
}

export function openNet({ log }: ServicesOf<typeof netApi>): FunctionsOf<typeof netApi> {
  return { list: listBy(log), 'networks:has': has, prefix, reverse, is_reserved: isReserved, domain };
}
