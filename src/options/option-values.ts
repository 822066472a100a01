/** Readers of single option values: text from the command line, the environment or the config file to a typed value. */
import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import type { AccountNames } from '../system/privileges.ts';
import { BadValue } from '../text/bad-value.ts';
import { nearest } from '../text/nearest.ts';

/** @throws BadValue when the text is empty or holds a NUL. */
export function text(value: string): string {
  if (value === '') throw new BadValue('must not be empty');
  if (value.includes('\0')) throw new BadValue('must not hold a NUL');
  return value;
}

/** A whole number in decimal digits. @throws BadValue */
export function wholeNumber(from: number, to: number): (value: string) => number {
  return (value) => {
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= from && number <= to) return number;
    throw new BadValue(`must be a whole number from ${from} to ${to}`);
  };
}

/** Seconds, with decimals if wanted, as milliseconds. @throws BadValue */
export function seconds(from: number, to: number): (value: string) => number {
  return (value) => {
    const number = /^\d{1,9}(\.\d{1,9})?$/.test(value) ? Number(value) : Number.NaN;
    if (number >= from && number <= to) return Math.round(number * 1000);
    throw new BadValue(`must be a number of seconds from ${from} to ${to}`);
  };
}

/** Megabytes of 1,048,576 bytes, as bytes. @throws BadValue */
export function megabytes(from: number, to: number): (value: string) => number {
  const number = wholeNumber(from, to);
  return (value) => {
    try {
      return number(value) * 1024 * 1024;
    } catch {
      throw new BadValue(`must be a whole number of megabytes from ${from} to ${to}`);
    }
  };
}

/** `5%` or `0.1%`, as a share from 0 to 1. @throws BadValue */
export function percent(value: string): number {
  const [, number = ''] = /^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(value) ?? [];
  const share = number === '' ? 0 : Number(number) / 100;
  if (share > 0 && share <= 1) return share;
  throw new BadValue('must be a share such as 5% or 0.1%, at most 100%');
}

/** Permission bits in octal: `660`, `0660`. @throws BadValue */
export function permissions(value: string): number {
  if (!/^0?[0-7]{3}$/.test(value))
    throw new BadValue('must be permission bits in octal, such as 660 or 0660');
  return Number.parseInt(value, 8);
}

/** One of some words. @throws BadValue */
export function oneOf<const Word extends string>(words: readonly Word[]): (value: string) => Word {
  return (value) => {
    const found = words.find((word) => word === value);
    if (found !== undefined) return found;
    throw new BadValue(`must be ${words.slice(0, -1).join(', ')} or ${words.at(-1)}${hint(value, words)}`);
  };
}

/** Several of some words with commas or blanks between; `all` and `none` are understood. @throws BadValue */
export function someOf<const Word extends string>(
  words: readonly Word[],
): (value: string) => readonly Word[] {
  return (value) => {
    if (value === 'all') return words;
    if (value === 'none') return [];
    const given = value.split(/[\s,]+/).filter((part) => part !== '');
    const bad = given.find((part) => !words.some((word) => word === part));
    if (given.length === 0 || bad !== undefined) {
      throw new BadValue(
        `must be all, none, or a list with commas of ${words.join(', ')}${hint(bad ?? '', words)}`,
      );
    }
    return words.filter((word) => given.includes(word));
  };
}

/** A switch: the words of a config file or variable. @throws BadValue */
export function onOff(value: string): boolean {
  if (/^(true|yes|on|1)$/i.test(value)) return true;
  if (/^(false|no|off|0)$/i.test(value)) return false;
  throw new BadValue('must be true or false');
}

/** A network that the system's own code reads: `192.0.2.0/24`, `2001:db8::/32`, or an address. @throws BadValue */
export function network(value: string): { readonly address: string; readonly bits: number } {
  const [, address = '', length] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(value) ?? [];
  const most = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : -1;
  const bits = length === undefined ? most : Number(length);
  if (most < 0 || bits > most) throw new BadValue('must be a network such as 192.0.2.0/24 or 2001:db8::/32');
  return { address, bits };
}

/** A domain, in lower case, as A-labels. @throws BadValue */
export function domain(value: string): string {
  const ascii = domainToASCII(value).replace(/\.$/, '');
  if (/^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})+$/.test(ascii) && ascii.length <= 253) return ascii;
  throw new BadValue('must be a domain such as example.com');
}

/** A user or group, by name or number; whether it exists is found out before listening. @throws BadValue */
export function accountName(value: string): string {
  if (!/^[A-Za-z0-9_.][A-Za-z0-9_.@\\-]{0,255}\$?$/.test(value)) {
    throw new BadValue('must be a name or a number');
  }
  return value;
}

/** USER or USER:GROUP, see `accountName`. @throws BadValue */
export function accountNames(value: string): AccountNames {
  const [user = '', group, ...more] = value.split(':');
  if (more.length > 0) throw new BadValue('must be USER or USER:GROUP');
  return { user: accountName(user), group: group === undefined ? undefined : accountName(group) };
}

function hint(value: string, words: readonly string[]): string {
  const near = value.length > 2 ? nearest(value, words) : undefined;
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}
