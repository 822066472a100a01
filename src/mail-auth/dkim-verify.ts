/**
 * The signatures of a message, verified while it arrives: DKIM (RFC 6376, RFC 8301, RFC 8463), and what ARC (RFC 8617)
 * has in common with it.
 *
 * A stranger chooses how many signatures there are, what they cover, and how much of the body: of all this only so much
 * is looked at that a hostile message costs about what an honest one of its size does.
 */
import { type Answer, known, unknown } from '../asking/answer.ts';
import { isUnclear } from './author.ts';
import { BodyHash, type Canonicalization } from './body-hash.ts';
import type { Author } from './dmarc.ts';
import { type Field, lowerCase, parsedField } from './field.ts';
import { type Asker, LookUps, type Unknown } from './look-ups.ts';
import {
  type BodyDigest,
  type DkimVerifier,
  loadMailauth,
  type ParsedField,
  type SignatureField,
  type SignatureResult,
} from './mailauth.ts';
import { KnownKeys } from './public-keys.ts';

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
/** Names in `h=` times fields of the message that are compared for one signature. */
const MOST_COMPARISONS = 200_000;
const MOST_LOOK_UPS = 30;

/** What mailauth says, by what RFC 8601 calls it; all else that it cannot process is permanent. */
const POLICY = new Set(['weak algorithm', 'weak key']);

/** Of all messages. */
const knownKeys = new KnownKeys();

export class ArrivingMessage {
  readonly #lookUps: LookUps;
  readonly #verifier: DkimVerifier;
  /** How many fields the message has. */
  readonly #count: number;
  /** The fields that are verified, and whether each is too long to be looked at. */
  readonly #signatures: { readonly isTooLong: boolean }[] = [];
  #hasLongChain = false;
  readonly #isUnclear: boolean;
  readonly #bodies = new Map<Canonicalization, { readonly lengths: number[]; hash?: BodyHash }>();
  /** What went wrong with it, if anything did. */
  readonly #prepared: Promise<unknown>;
  #isEnded = false;

  /**
   * @param fields in the order of the message
   * @param now milliseconds since the epoch
   * @param alsoHashed the canonical form of which a hash of the body is wanted in any case
   */
  constructor(fields: readonly Field[], asker: Asker, now: number, alsoHashed?: Canonicalization) {
    this.#count = fields.length;
    const read = this.#within(fields.filter(({ name }) => READ.test(name)).map(parsedField));
    const shortened = new Map<Buffer, ParsedField>();
    this.#lookUps = new LookUps(asker, MOST_LOOK_UPS);
    const { DkimVerifier } = loadMailauth();
    this.#verifier = new DkimVerifier({
      resolver: this.#lookUps.resolve,
      strict: true,
      curTime: new Date(now),
    });
    knownKeys.serve(this.#verifier.keyCache, this.#lookUps);
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
    this.#verifier.headers = { parsed: coveredFields(fields, this.#verifier.signatureHeaders) };
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

  get verifier(): DkimVerifier {
    return this.#verifier;
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
    const prepared = this.#verifier.signatureHeaders.filter(({ skip, invalid }) => !skip && !invalid);
    // mailauth asks for one key after the other: they are known to it by then.
    await Promise.all(prepared.map((field) => this.#lookUps.ask('TXT', keyName(field))));
    await this.#verifier.finalChunk();
    const looked = this.#verifier.signatureHeaders.filter(({ type }) => type === 'DKIM').values();
    const results = this.#verifier.results.values();
    const found: Signature[] = [];
    for (const { isTooLong } of this.#signatures) {
      const field = isTooLong ? undefined : looked.next().value;
      found.push(field === undefined ? TOO_LONG : await this.#signature(field, results.next().value));
    }
    return found;
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
    if (coveredBy(field).length * this.#count > MOST_COMPARISONS) {
      field.skip = 'limit: it covers too many fields';
      return;
    }
    prepare(field);
    if (field.hashAlgo === 'sha1' && field.skip === undefined) field.invalid ??= 'weak algorithm';
  }

  #wantHash(form: Canonicalization, length: number | ''): string {
    const key = `${form}:${length}`;
    let body = this.#bodies.get(form);
    if (body === undefined) {
      body = { lengths: [] };
      this.#bodies.set(form, body);
    }
    if (length !== '') body.lengths.push(length);
    this.#verifier.bodyHashes.set(key, digestOf(body, length === '' ? undefined : length));
    return key;
  }

  async #signature(field: SignatureField, result: SignatureResult | undefined): Promise<Signature> {
    const reason = result?.status.comment || field.skip || field.invalid || '';
    const body = [...this.#bodies.values()].find(({ hash }) => hash?.hasLongLine);
    const isCut = body !== undefined && reason === 'body hash did not verify';
    const word = isCut ? 'permerror' : wordOf(result?.status.result ?? 'neutral', reason);
    const key = word === 'temperror' ? await this.#lookUps.ask('TXT', keyName(field)) : undefined;
    return {
      result: word,
      domain: (field.signingDomain ?? '').toLowerCase(),
      selector: field.selector ?? '',
      reason: word === 'pass' ? '' : isCut ? 'limit: a line is too long' : reason,
      algorithm: result?.algo ?? '',
      bits: result?.modulusLength ?? (word === 'pass' ? ED25519_BITS : undefined),
      uncovered: result?.status.underSized ?? 0,
      covers: coveredBy(field),
      failure: key?.kind === 'unknown' ? key : undefined,
      mark: result?.signature?.slice(0, 8) ?? '',
    };
  }
}

/** The fields that a signature covers, or would if there were more of a name. */
function coveredFields(
  fields: readonly Field[],
  signatures: readonly SignatureField[],
): readonly ParsedField[] {
  const names = new Set(signatures.flatMap((field) => (field.skip || field.invalid ? [] : coveredBy(field))));
  const lengths = new Set([...names].map((name) => name.length));
  return fields
    .filter(({ name }) => {
      const written = /[ \t]$/.test(name) ? name.replace(/[ \t]+$/, '') : name;
      return lengths.has(written.length) && names.has(lowerCase(written));
    })
    .map(parsedField);
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

function wordOf(result: string, reason: string): DkimWord {
  switch (result) {
    case 'pass':
    case 'fail':
    case 'policy':
    case 'temperror':
      return result;
    default:
      return POLICY.has(reason) ? 'policy' : 'permerror';
  }
}

function keyName({ selector, signingDomain }: SignatureField): string {
  return `${selector}._domainkey.${signingDomain}`;
}

/** The names in `h=`, in lower case. */
function coveredBy(field: SignatureField): readonly string[] {
  return lowerCase(String(field.parsed.h?.value ?? ''))
    .split(':')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function digestOf(body: { readonly hash?: BodyHash }, length: number | undefined): BodyDigest {
  return {
    // A hash that no signature has: of a body that is shorter than it says, or has a line that is too long.
    digest: () => body.hash?.digest(length) ?? '-',
    getMimeStructureStart: () => undefined,
    setContentType: () => {},
    get bodyHashedBytes() {
      return Math.min(length ?? Number.POSITIVE_INFINITY, body.hash?.length ?? 0);
    },
    get canonicalizedLength() {
      return body.hash?.length ?? 0;
    },
  };
}
