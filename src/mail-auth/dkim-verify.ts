/**
 * The signatures of a message, verified while it arrives: DKIM (RFC 6376, RFC 8301, RFC 8463), and what ARC (RFC 8617)
 * has in common with it.
 *
 * A stranger chooses how many signatures there are, what they cover, and how much of the body: of all this only so much
 * is looked at that a hostile message costs about what an honest one of its size does.
 */
import { createHash } from 'node:crypto';
import { type Answer, known, unknown } from '../asking/answer.ts';
import { isUnclear } from './author.ts';
import { BodyHash, type Canonicalization } from './body-hash.ts';
import { isSignatureOf } from './digest-signature.ts';
import type { Author } from './dmarc.ts';
import { type Field, fieldOf, lowerCase, parsedField, withoutSignature } from './field.ts';
import { type Asker, LookUps, type Unknown } from './look-ups.ts';
import {
  type ArcData,
  type DkimVerifier,
  loadMailauth,
  type ParsedField,
  type SignatureField,
} from './mailauth.ts';
import { type FoundKey, KnownKeys } from './public-keys.ts';
import { SignedHeader } from './signed-header.ts';

/** Words of RFC 8601 section 2.7.1. */
export type DkimWord = 'pass' | 'fail' | 'policy' | 'permerror' | 'temperror';

export interface Signature {
  readonly result: DkimWord;
  /** `d=`, in lower case; empty where there is none that can be read. */
  readonly domain: string;
  /** `s=`. */
  readonly selector: string;
  /** Why it does not pass; empty where it does. */
  readonly reason: string;
  /** `rsa-sha256`. */
  readonly algorithm: string;
  /** Of the key; undefined where there is none. */
  readonly bits: number | undefined;
  /** Bytes at the end of the canonical body that it does not cover (`l=`). */
  readonly uncovered: number;
  /** The names of the fields that it covers, in lower case, each as often as it is listed. */
  readonly covers: readonly string[];
  /** Why its key could not be had (temperror). */
  readonly failure: Unknown | undefined;
  /** The beginning of `b=`, which tells it from others. */
  readonly mark: string;
}

/** Signatures that are verified, from the top. */
const MOST_SIGNATURES = 10;
/** Of the fields that are read tag by tag, in bytes, all of a kind together: a stranger makes reading cost 0.1 us a byte. */
const MOST_BYTES: Readonly<Record<string, number>> = {
  'dkim-signature': 64 * 1024,
  'arc-seal': 64 * 1024,
  'arc-message-signature': 128 * 1024,
  'arc-authentication-results': 16 * 1024,
  from: 8 * 1024,
};
/** Semicolons in a signature or a seal: each ends a tag, of which there are some ten. */
const MOST_TAGS = 100;
/** Blanks in a row in one of them: mailauth trims each value in the square of their number. */
const MANY_BLANKS = /[ \t\r\n]{100}/;
/** The fields that mailauth reads: a stranger's are many. */
const READ = /^(?:from|dkim-signature|arc-(?:seal|message-signature|authentication-results))[ \t]*$/i;
/** Of results in a chain: the number of their set, as mailauth wants it, which else reads all of them. */
const FIRST_PART = /^(?:[^();]|\([^()]*\))*;/;
/** Names in `h=` of a signature, which lists some thirty. */
const MOST_NAMES = 300;
const MOST_LOOK_UPS = 30;

/** Reasons for `policy`; a signature that is wrong for others is permanently so. */
const POLICY = new Set(['weak algorithm', 'weak key']);

/** Of all messages. */
const knownKeys = new KnownKeys();

/** What was found out about a signature. */
export interface Verdict {
  readonly result: DkimWord;
  readonly reason: string;
  readonly key?: FoundKey | undefined;
}

export class ArrivingMessage {
  readonly #lookUps: LookUps;
  readonly #now: number;
  readonly #verifier: DkimVerifier;
  readonly #header: SignedHeader;
  /** What each signature covers. */
  readonly #covered = new Map<SignatureField, readonly string[]>();
  /** The fields that are verified, and whether each is too long to be looked at. */
  readonly #signatures: { readonly isTooLong: boolean }[] = [];
  #hasLongChain = false;
  readonly #isUnclear: boolean;
  readonly #bodies = new Map<Canonicalization, { readonly lengths: number[]; hash?: BodyHash }>();
  /** What went wrong with it, if anything did. */
  readonly #prepared: Promise<unknown>;
  #isEnded = false;
  #chainSignature: Verdict | undefined;

  /**
   * @param fields in the order of the message
   * @param now milliseconds since the epoch
   * @param alsoHashed the canonical form of which a hash of the body is wanted in any case
   */
  constructor(fields: readonly Field[], asker: Asker, now: number, alsoHashed?: Canonicalization) {
    this.#now = now;
    const read = this.#within(fields.filter(({ name }) => READ.test(name)).map(parsedField));
    const shortened = new Map<Buffer, ParsedField>();
    this.#lookUps = new LookUps(asker, MOST_LOOK_UPS);
    const { DkimVerifier } = loadMailauth();
    this.#verifier = new DkimVerifier({
      resolver: this.#lookUps.resolve,
      strict: true,
      curTime: new Date(now),
    });
    this.#verifier.addBodyHash = (form, _algorithm, length) =>
      this.#wantHash(form as Canonicalization, length);
    const prepare = this.#verifier.prepareSignature.bind(this.#verifier);
    this.#verifier.prepareSignature = (field) => this.#prepare(field, prepare);
    if (alsoHashed !== undefined) this.#wantHash(alsoHashed, '');
    // Nothing in it waits: all is prepared when it returns.
    this.#prepared = this.#verifier
      .messageHeaders({ parsed: read.map((field) => shortOf(field, shortened)) })
      .catch((error: unknown) => error);
    for (const { 'arc-authentication-results': results } of this.#verifier.arc.chain || []) {
      results.original = shortened.get(results.original)?.line ?? results.original;
    }
    const counting = this.#verifier.signatureHeaders.filter((field) => wrongIn(field) === undefined);
    this.#header = new SignedHeader(fields, new Set(counting.flatMap((field) => this.#namesOf(field))));
    this.#isUnclear = read.some(
      (field) =>
        field.key === 'from' && isUnclear(field.line.toString('latin1', field.line.indexOf(':') + 1)),
    );
    for (const [form, body] of this.#bodies) body.hash = new BodyHash(form, body.lengths);
  }

  /** Addresses in From, how many From fields there are, and whether one can be read in several ways. */
  get author(): Author {
    return {
      addresses: this.#verifier.headerFrom,
      fields: this.#verifier.fromFields,
      isUnclear: this.#isUnclear,
    };
  }

  /** Whether the fields of ARC are longer than any chain. */
  get hasLongChain(): boolean {
    return this.#hasLongChain;
  }

  get lookUps(): LookUps {
    return this.#lookUps;
  }

  /** What was read of ARC. */
  get arc(): ArcData {
    return this.#verifier.arc;
  }

  /** Whether the ARC-Message-Signature of the last set passes; after the signatures were verified. */
  get chainSignature(): Verdict | undefined {
    return this.#chainSignature;
  }

  /** The key of a signature or a seal. */
  keyOf(field: Pick<SignatureField, 'parsed'>): Promise<FoundKey> {
    return knownKeys.find(this.#lookUps, keyName(field));
  }

  /** The next part of the body, with turns of the event loop between. */
  body(chunk: Buffer): void {
    for (const { hash } of this.#bodies.values()) hash?.update(chunk);
  }

  /** The hash of the whole body, in base64, after it has ended. */
  bodyHash(form: Canonicalization): string | undefined {
    this.#end();
    return this.#bodies.get(form)?.hash?.digest();
  }

  /** Verifies the signatures when the body has ended, in the order of the message. Never rejects. */
  async verify(): Promise<Answer<readonly Signature[]>> {
    this.#end();
    try {
      const error = await this.#prepared;
      if (error !== undefined) throw error;
      return known(await this.#verify());
    } catch (error) {
      return unknown('protocol', `signatures cannot be read: ${error}`);
    }
  }

  async #verify(): Promise<readonly Signature[]> {
    const fields = this.#verifier.signatureHeaders;
    const verdicts = await Promise.all(fields.map((field) => this.#verdict(field)));
    this.#chainSignature = verdicts[fields.findIndex(({ type }) => type === 'ARC')];
    let at = 0;
    return this.#signatures.map(({ isTooLong }) => {
      if (isTooLong) return TOO_LONG;
      const [field, verdict] = [fields[at], verdicts[at]];
      at += 1;
      return field === undefined || verdict === undefined ? TOO_LONG : this.#signature(field, verdict);
    });
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    for (const { hash } of this.#bodies.values()) hash?.end();
  }

  /** Without what is too much of a kind. */
  #within(fields: readonly ParsedField[]): readonly ParsedField[] {
    const bytes = new Map<string, number>();
    for (const { key, line } of fields) bytes.set(key, (bytes.get(key) ?? 0) + line.length);
    const isTooMuch = (kind: string) =>
      (bytes.get(kind) ?? 0) > (MOST_BYTES[kind] ?? Number.POSITIVE_INFINITY);
    this.#hasLongChain =
      [...bytes.keys()].some((kind) => kind.startsWith('arc-') && isTooMuch(kind)) ||
      fields.some((field) => field.key.startsWith('arc-') && isLaborious(field));
    let read = 0;
    return fields.filter((field) => {
      const { key } = field;
      if (key.startsWith('arc-')) return !this.#hasLongChain;
      if (key === 'from') return !isTooMuch(key);
      if (this.#signatures.length >= MOST_SIGNATURES) return false;
      const { length } = field.line;
      const isTooLong = read + length > (MOST_BYTES[key] ?? 0) || isLaborious(field);
      this.#signatures.push({ isTooLong });
      if (!isTooLong) read += length;
      return !isTooLong;
    });
  }

  #prepare(field: SignatureField, prepare: (field: SignatureField) => void): void {
    const names = namesIn(field);
    this.#covered.set(field, names);
    if (names.length > MOST_NAMES) {
      field.skip = COVERS_TOO_MUCH;
      return;
    }
    prepare(field);
    if (field.hashAlgo === 'sha1') field.invalid ??= 'weak algorithm';
  }

  #namesOf(field: SignatureField): readonly string[] {
    return this.#covered.get(field) ?? [];
  }

  #wantHash(form: Canonicalization, length: number | ''): string {
    let body = this.#bodies.get(form);
    if (body === undefined) {
      body = { lengths: [] };
      this.#bodies.set(form, body);
    }
    if (length !== '') body.lengths.push(length);
    return `${form}:${length}`;
  }

  /** Asks for the key of one that could pass. */
  async #verdict(field: SignatureField): Promise<Verdict> {
    const wrong = wrongIn(field);
    if (wrong !== undefined) return failed(wrong);
    const { bodyCanon, maxBodyLength, parsed } = field;
    const body = this.#bodies.get(bodyCanon as Canonicalization)?.hash;
    if (body?.hasLongLine) return failed('limit: a line is too long');
    const digest = body?.digest(maxBodyLength === '' ? undefined : maxBodyLength);
    // Of a body that is shorter than `l=` there is none.
    if (digest === undefined || digest !== parsed.bh?.value) {
      return { result: 'fail', reason: 'body hash did not verify' };
    }
    const key = await this.keyOf(field);
    return { ...this.#signed(field, key), key };
  }

  #signed(field: SignatureField, key: FoundKey): Verdict {
    if ('none' in key) {
      return key.failure === undefined ? failed(key.none) : { result: 'temperror', reason: key.none };
    }
    if (key.keyType !== field.signAlgo) return failed('inappropriate key algorithm');
    const { identityDomain, signingDomain = '', expiration, timestamp } = field;
    const { normalizeDomainName } = loadMailauth();
    if (
      key.flags.includes('s') &&
      identityDomain !== undefined &&
      normalizeDomainName(identityDomain) !== normalizeDomainName(signingDomain)
    ) {
      return failed('domain mismatch');
    }
    const form = field.headerCanon as Canonicalization;
    const text = this.#header.text(this.#namesOf(field), form, withoutSignature(fieldOf(field.original)));
    if (text === undefined) return failed(COVERS_TOO_MUCH);
    const digest = createHash('sha256').update(text, 'latin1').digest();
    if (!isSignatureOf(digest, String(field.parsed.b?.value), key)) {
      return { result: 'fail', reason: 'bad signature' };
    }
    if (expiration) {
      if (expiration.getTime() < this.#now) return failed('expired');
      if (timestamp && expiration < timestamp) return failed('invalid expiration');
    }
    return { result: 'pass', reason: '' };
  }

  #signature(field: SignatureField, { result, reason, key }: Verdict): Signature {
    const { signingDomain = '', selector = '', bodyCanon, maxBodyLength, parsed } = field;
    const body = this.#bodies.get(bodyCanon as Canonicalization)?.hash;
    const isShort = typeof maxBodyLength === 'number' && wrongIn(field) === undefined;
    return {
      result,
      domain: signingDomain.toLowerCase(),
      selector,
      reason,
      algorithm: String(parsed.a?.value ?? ''),
      bits: key === undefined || 'none' in key ? undefined : (key.modulusLength ?? ED25519_BITS),
      uncovered: isShort ? Math.max(0, (body?.length ?? 0) - maxBodyLength) : 0,
      covers: this.#namesOf(field),
      failure: key !== undefined && 'none' in key ? key.failure : undefined,
      mark: String(parsed.b?.value ?? '').slice(0, 8),
    };
  }
}

/** @param shortened takes what stands in place of a longer line */
function shortOf(field: ParsedField, shortened: Map<Buffer, ParsedField>): ParsedField {
  if (field.key !== 'arc-authentication-results') return field;
  const text = field.line.toString('latin1');
  const colon = text.indexOf(':') + 1;
  const line = Buffer.from(
    `${text.slice(0, colon)}${FIRST_PART.exec(text.slice(colon))?.[0] ?? ''}`,
    'latin1',
  );
  shortened.set(line, field);
  return { key: field.key, casedKey: field.casedKey, line };
}

/** Whether it would take long to read it tag by tag. */
function isLaborious({ key, line }: ParsedField): boolean {
  if (MANY_BLANKS.test(line.toString('latin1'))) return true;
  if (key === 'arc-authentication-results') return false;
  let tags = 0;
  for (let at = line.indexOf(SEMICOLON); at >= 0; at = line.indexOf(SEMICOLON, at + 1)) {
    tags += 1;
    if (tags > MOST_TAGS) return true;
  }
  return false;
}

const SEMICOLON = 0x3b;

const ED25519_BITS = 256;

/** What is said of a signature that was not looked at. */
const TOO_LONG: Signature = {
  result: 'permerror',
  domain: '',
  selector: '',
  reason: 'limit: the signatures are too long',
  algorithm: '',
  bits: undefined,
  uncovered: 0,
  covers: [],
  failure: undefined,
  mark: '',
};

const COVERS_TOO_MUCH = 'limit: it covers too many fields';

/** Why a signature is none, or counts for nothing, as far as itself goes. */
function wrongIn({ skip, invalid }: SignatureField): string | undefined {
  return skip ?? invalid;
}

function failed(reason: string): Verdict {
  return { result: POLICY.has(reason) ? 'policy' : 'permerror', reason };
}

/** Where its key is. */
export function keyName({ parsed: { s, d } }: Pick<SignatureField, 'parsed'>): string {
  return `${s?.value}._domainkey.${d?.value}`;
}

/** The names in `h=`, in lower case; of too many only the first. */
function namesIn({ parsed }: SignatureField): readonly string[] {
  return lowerCase(String(parsed.h?.value ?? ''))
    .split(':', MOST_NAMES + 1)
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
