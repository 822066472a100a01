/**
 * Signatures of ours: DKIM (RFC 6376, RFC 8463), and of ARC what is like it.
 *
 * From, Subject, To and Date are covered once more than they are there: a second one that somebody puts above the signed
 * one breaks the signature.
 */
import { createHash, sign } from 'node:crypto';
import { domainToASCII } from 'node:url';
import type { Canonicalization } from './body-hash.ts';
import { type Field, lineOf, lowerCase, relaxedLine } from './field.ts';
import type { SigningKey } from './signing-key.ts';

/** RFC 6376 section 5.4.1, and what reads a message by: fields that an author or a mailing program sets. */
export const SIGNED_FIELDS: readonly string[] = [
  'From',
  'Sender',
  'Reply-To',
  'Subject',
  'Date',
  'Message-ID',
  'To',
  'Cc',
  'MIME-Version',
  'Content-Type',
  'Content-Transfer-Encoding',
  'Content-ID',
  'Content-Description',
  'Resent-Date',
  'Resent-From',
  'Resent-Sender',
  'Resent-To',
  'Resent-Cc',
  'Resent-Message-ID',
  'In-Reply-To',
  'References',
  'List-Id',
  'List-Help',
  'List-Unsubscribe',
  'List-Unsubscribe-Post',
  'List-Subscribe',
  'List-Post',
  'List-Owner',
  'List-Archive',
];

const OVERSIGNED: ReadonlySet<string> = new Set(['from', 'subject', 'to', 'date']);

export interface Signer {
  /** `d=`, as A-labels. */
  readonly domain: string;
  /** `s=`. */
  readonly selector: string;
  readonly key: SigningKey;
}

export interface SigningOptions {
  readonly header: Canonicalization;
  readonly body: Canonicalization;
  /** Names of fields to cover, where they are there; From always is. */
  readonly names: readonly string[];
  /** After so many seconds the signature counts no more; undefined: it always does. */
  readonly expires: number | undefined;
}

const LINE = 74;

/**
 * The value of a DKIM-Signature field to be put on top: it begins with a blank, folds are LF and a tab.
 *
 * @param fields of the message as it will be sent, in its order
 * @param bodyHash of its body, in the form of the options, in base64
 * @param now milliseconds since the epoch
 */
export function dkimSignature(
  fields: readonly Field[],
  bodyHash: string,
  signer: Signer,
  options: SigningOptions,
  now: number,
): string {
  return messageSignature('DKIM-Signature', 'v=1', fields, bodyHash, signer, options, now);
}

/**
 * The value of a field that signs header and body: DKIM-Signature, or ARC-Message-Signature, which is the same but for
 * its first tag (RFC 8617 section 4.1.2).
 */
export function messageSignature(
  name: string,
  tag: string,
  fields: readonly Field[],
  bodyHash: string,
  signer: Signer,
  { header, body, names, expires }: SigningOptions,
  now: number,
): string {
  const { domain, selector, key } = signer;
  const covered = coveredFields(fields, names);
  const seconds = Math.floor(now / 1000);
  const value = [
    ` ${tag}; a=${key.algorithm}; c=${header}/${body};`,
    `d=${domain}; s=${selector};`,
    expires === undefined ? `t=${seconds};` : `t=${seconds}; x=${seconds + expires};`,
    ...broken(`h=${covered.names.join(':')};`, ':'),
    `bh=${bodyHash};`,
    'b=',
  ].join('\n\t');
  const canonical = header === 'relaxed' ? relaxedLine : lineOf;
  return withSignature(value, [...covered.fields, { name, value }].map(canonical), signer);
}

/** @param value ends with `b=`, after which the signature comes @param lines in canonical form */
export function withSignature(value: string, lines: readonly string[], { key }: Signer): string {
  const signature = signatureOf(Buffer.from(lines.join('\r\n'), 'latin1'), key);
  return value + broken(signature, '').join('\n\t');
}

/** In base64. */
function signatureOf(text: Buffer, { algorithm, key }: SigningKey): string {
  const signature =
    algorithm === 'rsa-sha256'
      ? sign('sha256', text, key)
      : sign(null, createHash('sha256').update(text).digest(), key);
  return signature.toString('base64');
}

/** Of several fields of a name the last is covered first (RFC 6376 section 5.4.2). */
function coveredFields(
  fields: readonly Field[],
  wanted: readonly string[],
): { readonly names: readonly string[]; readonly fields: readonly Field[] } {
  const byName = new Map<string, Field[]>();
  for (const field of fields) {
    const name = lowerCase(field.name);
    const same = byName.get(name);
    if (same === undefined) byName.set(name, [field]);
    else same.unshift(field);
  }
  const names: string[] = [];
  const covered: Field[] = [];
  const written = new Map(['From', ...wanted].map((name) => [lowerCase(name), name]));
  for (const [name, spelling] of written) {
    const there = byName.get(name) ?? [];
    for (const field of there) {
      names.push(spelling);
      covered.push(field);
    }
    if (OVERSIGNED.has(name)) names.push(spelling);
  }
  return { names, fields: covered };
}

/** A text in lines, each but the last ending with the separator; without one, anywhere. */
function broken(text: string, separator: string): string[] {
  if (separator === '') return text.match(new RegExp(`.{1,${LINE}}`, 'g')) ?? [];
  const lines: string[] = [];
  let line = '';
  for (const [i, part] of text.split(separator).entries()) {
    const more = i === 0 ? part : `${separator}${part}`;
    if (line !== '' && line.length + more.length > LINE) {
      lines.push(line + separator);
      line = part;
    } else {
      line += more;
    }
  }
  return [...lines, line];
}

const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const DOMAIN = new RegExp(`^${LABEL}(?:\\.${LABEL})+$`);
const SELECTOR = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);

/** A domain that can stand in `d=`: in lower case, as A-labels; undefined for what is none. @param text in UTF-8 */
export function signingDomain(text: string): string | undefined {
  const ascii = /^[\0-\x7f]*$/.test(text) ? text.toLowerCase() : domainToASCII(text);
  return ascii.length <= 253 && DOMAIN.test(ascii) ? ascii : undefined;
}

/** A selector that can stand in `s=`, in lower case; undefined for what is none. */
export function signingSelector(text: string): string | undefined {
  const lower = text.toLowerCase();
  return lower.length <= 200 && SELECTOR.test(lower) ? lower : undefined;
}
