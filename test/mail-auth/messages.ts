/** Messages as text, and a DNS for them. */
import type { KeyObject } from 'node:crypto';
import type { Answer } from '../../src/asking/answer.ts';
import { Allowance, Inquiry } from '../../src/dns/inquiry.ts';
import type { RecordSource } from '../../src/dns/records.ts';
import { Zone } from '../../src/dns/zone.ts';
import { BodyHash, type Canonicalization } from '../../src/mail-auth/body-hash.ts';
import { dkimSignature, SIGNED_FIELDS } from '../../src/mail-auth/dkim-sign.ts';
import type { Field } from '../../src/mail-auth/field.ts';

export interface ParsedMessage {
  readonly fields: readonly Field[];
  readonly body: Buffer;
}

/** @param text in latin1, lines end with CRLF */
export function parseMessage(text: string): ParsedMessage {
  const end = text.startsWith('\r\n') ? 0 : text.indexOf('\r\n\r\n') + 2;
  const hasBody = end !== 1;
  const head = hasBody ? text.slice(0, end) : text;
  const body = hasBody ? text.slice(end + 2) : '';
  const lines = head === '' ? [] : head.replace(/\r\n$/, '').split(/\r\n(?![ \t])/);
  const fields = lines.map((line) => {
    const colon = line.indexOf(':');
    return { name: line.slice(0, colon), value: line.slice(colon + 1) };
  });
  return { fields, body: Buffer.from(body, 'latin1') };
}

/** In latin1. */
export function messageText({ fields, body }: ParsedMessage): string {
  const lines = fields.map(({ name, value }) => `${name}:${value.replace(/\r?\n/g, '\r\n')}\r\n`);
  return `${lines.join('')}\r\n${body.toString('latin1')}`;
}

/** @param zone records or a failure by question, as `example.com TXT` */
export function zoneOf(
  zone: Readonly<Record<string, string | readonly string[] | { readonly failure: 'servfail' | 'timeout' }>>,
): Zone {
  const made = new Zone();
  for (const [question, answer] of Object.entries(zone)) {
    if (typeof answer === 'object' && 'failure' in answer) made.set(question, answer);
    else made.set(question, { records: typeof answer === 'string' ? [answer] : answer });
  }
  return made;
}

export function inquiryOf(source: RecordSource): Inquiry {
  const cancelled = new AbortController().signal;
  return new Inquiry(source, new Allowance(), { timeoutMs: 10_000, cancelled });
}

/** What is known. */
export function certain<Value>(answer: Answer<Value>): Value {
  if (answer.kind === 'unknown') throw new Error(answer.reason);
  return answer.value;
}

/** The message with a signature of ours in front: rsa-sha256. */
export function signed(
  { fields, body }: ParsedMessage,
  {
    key,
    domain,
    selector,
    now,
    header = 'relaxed',
    body: form = 'relaxed',
  }: {
    key: KeyObject;
    domain: string;
    selector: string;
    now: number;
    header?: Canonicalization;
    body?: Canonicalization;
  },
): ParsedMessage {
  const hash = new BodyHash(form);
  hash.update(body);
  hash.end();
  const signer = { domain, selector, key: { algorithm: 'rsa-sha256', key } } as const;
  const options = { header, body: form, names: SIGNED_FIELDS, expires: undefined } as const;
  const value = dkimSignature(fields, hash.digest() ?? '', signer, options, now);
  return { fields: [{ name: 'DKIM-Signature', value }, ...fields], body };
}
