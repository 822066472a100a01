/** Addresses as digests: the key they are made with, and what of a decision a journal keeps that is to name nobody. */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { statSync, writeFileSync } from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import { dirname } from 'node:path';
import { userName } from '../system/privileges.ts';
import { readRegular } from '../system/regular-file.ts';
import { codeOf, EXIT, exitCodeOf, OperatorError, systemReason } from '../text/operator-error.ts';
import type { Decision, RecipientDecision } from './decision.ts';

/** The key of the digests, and what a journal says of it. */
export interface Key {
  readonly bytes: Buffer;
  readonly id: string;
}

const KEY_BYTES = 32;

/** Where the key is, and who is told of what is wrong with it. */
interface KeySettings {
  readonly path: string;
  readonly keyPath?: string | undefined;
  readonly warn: (message: string) => void;
}

/** The error of a file that this process, as the user it is by now, cannot make or append to. */
export function notWritten(option: string, path: string, error: unknown): OperatorError {
  const code = codeOf(error);
  if (code === 'ENOENT') {
    return new OperatorError(`${option} ${path}: there is no directory ${dirname(path)}`, EXIT.tempfail);
  }
  const who = code === 'EACCES' ? ` to user ${userName()}` : '';
  return new OperatorError(`${option} ${path}: ${systemReason(error)}${who}`, exitCodeOf(error));
}

/** The key in the file, which is made where it is not there. @throws OperatorError that names the file of the key. */
export function keyFor({ path, keyPath = `${path}.key`, warn }: KeySettings): Key {
  const known = readKey(keyPath);
  if (known === undefined) {
    try {
      writeFileSync(keyPath, `${randomBytes(KEY_BYTES).toString('hex')}\n`, { flag: 'wx', mode: 0o600 });
    } catch (error) {
      throw notWritten('--journal-key', keyPath, error);
    }
    return keyFor({ path, keyPath, warn });
  }
  if ((statSync(keyPath).mode & 0o077) !== 0) {
    warn(`${keyPath}: others can read the key of the journal's digests: chmod 600`);
  }
  return known;
}

/** As a command reads it. @throws OperatorError */
export function keyOfReader(path: string): Key | undefined {
  return readKey(path, () => EXIT.noInput);
}

/** @returns undefined where there is none. @throws OperatorError where it cannot be read, or is no key. */
function readKey(path: string, exitCode: (error: unknown) => number = exitCodeOf): Key | undefined {
  let text: string;
  try {
    text = readRegular(path).toString('latin1').trim();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return undefined;
    throw new OperatorError(`journal key ${path}: cannot be read: ${systemReason(error)}`, exitCode(error));
  }
  const bytes = Buffer.from(text, 'hex');
  if (bytes.length < KEY_BYTES) {
    throw new OperatorError(
      `${path}: is no key of a journal: ${KEY_BYTES * 2} hexadecimal digits`,
      EXIT.config,
    );
  }
  return { bytes, id: createHash('sha256').update(bytes).digest('hex').slice(0, 16) };
}

export function redacted(decision: Decision, key: Key): Decision {
  const { client, sender, recipients, text, failures } = decision;
  const people = [
    client.ip,
    client.ptr,
    client.helo,
    ...[sender, ...recipients.map(({ address }) => address)].map(localPart),
  ];
  const withoutPeople = (words: string): string => anonymous(words, people);
  return {
    ...decision,
    client: { ip: networkOf(client.ip), ptr: '' },
    ...(sender !== undefined && { sender: digestOf(sender, key) }),
    recipients: recipients.map(({ address, refused }): RecipientDecision => {
      const digest = digestOf(address, key);
      if (refused === undefined) return { address: digest };
      const words = refused.text === undefined ? {} : { text: withoutPeople(refused.text) };
      return { address: digest, refused: { ...refused, ...words } };
    }),
    ...(text !== undefined && { text: withoutPeople(text) }),
    ...(failures && {
      failures: failures.map((failure) => ({ ...failure, message: withoutPeople(failure.message) })),
    }),
  };
}

/** The domain stays: it says where mail came from, and not from whom. */
export function digestOf(address: string, key: Key): string {
  if (address === '') return '';
  const plain = address.toLowerCase();
  const at = plain.lastIndexOf('@');
  const digest = createHmac('sha256', key.bytes).update(plain, 'latin1').digest('hex').slice(0, 16);
  return at < 0 ? digest : `${digest}${plain.slice(at)}`;
}

export function localPart(address: string | undefined): string | undefined {
  return address?.replace(/@[^@]*$/, '');
}

/** Before an `@`: quoted strings, with blanks and what is escaped in them, and runs of what is neither blank nor bracket. */
const LOCAL_PART = /(?:"(?:[^"\\]|\\.)*"?|[^\s<>@"])+@/g;
/** Shorter ones are found in any word. */
const LEAST_NAME = 3;

/** A text of the script's without local parts of addresses, IP addresses, and the names of this client, sender and recipients. */
export function anonymous(text: string, people: readonly (string | undefined)[]): string {
  let shown = text.replace(LOCAL_PART, '...@');
  for (const name of people) {
    if (name === undefined || name.length < LEAST_NAME) continue;
    for (const form of [name, name.replace(/^"(.*)"$/, '$1')]) shown = withoutName(shown, form);
  }
  return shown.replace(/\b\d{1,3}(?:\.\d{1,3}){3}\b|[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*/gi, (found) =>
    isIPv4(found) || isIPv6(found) ? networkOf(found) : found,
  );
}

/** Without regard to case. */
function withoutName(text: string, name: string): string {
  const low = text.toLowerCase();
  const wanted = name.toLowerCase();
  let shown = '';
  let from = 0;
  for (let at = low.indexOf(wanted); at >= 0; at = low.indexOf(wanted, from)) {
    shown += `${text.slice(from, at)}...`;
    from = at + wanted.length;
  }
  return shown + text.slice(from);
}

/** Bits of the network that is kept of an address. */
export const KEPT_BITS = { ipv4: 24, ipv6: 48 } as const;

/** /24 of IPv4, /48 of IPv6. */
export function networkOf(ip: string): string {
  if (isIPv4(ip)) return ip.replace(/\d+$/, '0');
  if (!isIPv6(ip)) return '';
  const [head = ''] = ip.split('::');
  return `${head.split(':').slice(0, 3).join(':')}::`;
}
