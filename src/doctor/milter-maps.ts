/**
 * smtpd_milter_maps: tables in which Postfix looks for a client's address, and finds the milters that count for it in the
 * place of smtpd_milters, or DISABLE.
 *
 * Sources: postconf(5), cidr_table(5); smtpd.c (smtpd_milters for a client).
 */
import { readFileSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import { systemReason } from '../text/operator-error.ts';
import { braced, logicalLines } from './postfix-config.ts';

export interface MilterMapEntry {
  /** An address, or a network; `!` before it means all others. */
  readonly clients: string;
  /** As smtpd_milters, or DISABLE. */
  readonly value: string;
  /** Of the file; undefined for an entry in main.cf itself. */
  readonly line: number | undefined;
}

export interface MilterMap {
  readonly spec: string;
  readonly file: string | undefined;
  readonly entries: readonly MilterMapEntry[];
  /** Why they cannot be seen. */
  readonly unseen: string | undefined;
}

/** @param text the value of smtpd_milter_maps */
export function readMilterMaps(text: string): MilterMap[] {
  return braced(text, /[\s,]/).map((spec) => {
    const [, type = '', rest = ''] = /^(\w+):(.*)$/s.exec(spec) ?? [];
    if (type === 'inline') return { spec, file: undefined, entries: inlineEntries(rest), unseen: undefined };
    if (type !== 'cidr' && type !== 'texthash')
      return { spec, file: undefined, entries: [], unseen: `a table of type ${type} is not looked into` };
    try {
      return { spec, file: rest, entries: fileEntries(readFileSync(rest, 'latin1')), unseen: undefined };
    } catch (error) {
      return { spec, file: rest, entries: [], unseen: systemReason(error) };
    }
  });
}

/** `{ key=value, { key = value } }` */
function inlineEntries(text: string): MilterMapEntry[] {
  return braced(text.replace(/^\{\s*(.*?)\s*\}$/s, '$1'), /[\s,]/).flatMap((entry) => {
    const [, clients, value] = /^\{?\s*([^\s=]+)\s*=\s*(.*?)\s*\}?$/s.exec(entry) ?? [];
    return clients === undefined ? [] : [{ clients, value: value ?? '', line: undefined }];
  });
}

function fileEntries(text: string): MilterMapEntry[] {
  return logicalLines(text).flatMap(({ text: entry, line }) => {
    const [, clients, value] = /^(\S+)\s+(.*)$/s.exec(entry) ?? [];
    // Conditions of cidr_table(5) narrow what stands in them.
    if (clients === undefined || /^(if|endif)$/i.test(clients)) return [];
    return [{ clients, value: value ?? '', line }];
  });
}

const PRIVATE =
  '127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 169.254.0.0/16 ::1 ::/64 fc00::/7 fe80::/10';

/** Whether all clients of an entry are the site's own: in private networks, or in mynetworks. */
export function areOwnClients(clients: string, mynetworks: string): boolean {
  const [address = '', bits] = bare(clients).split('/');
  const version = isIP(address);
  if (version === 0) return false;
  const length = bits === undefined ? (version === 4 ? 32 : 128) : Number(bits);
  return `${PRIVATE} ${mynetworks}`.split(/[\s,]+/).some((network) => {
    const [own = '', ownBits] = bare(network).split('/');
    if (isIP(own) !== version) return false;
    const ownLength = ownBits === undefined ? (version === 4 ? 32 : 128) : Number(ownBits);
    if (!(length >= ownLength)) return false;
    const list = new BlockList();
    const family = version === 4 ? 'ipv4' : 'ipv6';
    list.addSubnet(own, ownLength, family);
    return list.check(address, family);
  });
}

/** Postfix writes IPv6 addresses in brackets in mynetworks. */
function bare(network: string): string {
  return network.replace(/[[\]]/g, '');
}
