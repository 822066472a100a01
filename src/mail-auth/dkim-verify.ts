/**
 * The signatures of a message, verified while it arrives: DKIM (RFC 6376, RFC 8301, RFC 8463), and what ARC (RFC 8617)
 * has in common with it.
 *
 * A stranger chooses how many signatures there are, what they cover, and how much of the body: of all this only so much
 * is looked at that a hostile message costs about what an honest one of its size does.
 */
import { createHash } from 'node:crypto';
import type { ArcChain } from './arc-chain.ts';
import { BodyHash, type Canonicalization } from './body-hash.ts';
import { isSignatureOf } from './digest-signature.ts';
import type { Author } from './dmarc.ts';
import { type Field, lowerCase } from './field.ts';
import { type Asker, LookUps, type Unknown } from './look-ups.ts';
import { loadMailauth } from './mailauth.ts';
import { type FoundKey, failureOf, isFor, type KeyPlace, KnownKeys, keyName } from './public-keys.ts';
import { MOST_SIGNATURES, ReadFields } from './read-fields.ts';
import { COVERS_TOO_MUCH, readSignature, type SignatureField } from './signature-field.ts';
import { SignedHeader } from './signed-header.ts';
import { TagList } from './tag-list.ts';

/** Words of RFC 8601 section 2.7.1. */
export type DkimWord = 'pass' | 'fail' | 'policy' | 'permerror' | 'temperror';

export interface Signature {
  readonly result: DkimWord;
  /** `d=`, in lower case, as A-labels; empty where there is none that can be read. */
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
  /** In which form it covers them. */
  readonly form: Canonicalization;
  /** Why its key could not be had (temperror). */
  readonly failure: Unknown | undefined;
  /** The beginning of `b=`, which tells it from others. */
  readonly mark: string;
}

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
  /** In the order of the message; undefined for one that is too long to be looked at. */
  readonly #signatures: readonly (SignatureField | undefined)[];
  /** Undefined where it is longer than is verified. */
  readonly #chain: ArcChain | undefined;
  /** The ARC-Message-Signature of its last set. */
  readonly #chainSignature: SignatureField | undefined;
  #chainVerdict: Verdict | undefined;
  /** Signatures of which all was right but, perhaps, themselves. */
  #verified = 0;
  readonly #author: Author;
  readonly #header: SignedHeader;
  readonly #bodies = new Map<Canonicalization, { readonly lengths: number[]; hash?: BodyHash }>();
  /** By name. */
  readonly #keys = new Map<string, Promise<FoundKey>>();
  #isEnded = false;

  /**
   * @param fields in the order of the message
   * @param now milliseconds since the epoch
   * @param alsoHashed the canonical form of which a hash of the body is wanted in any case
   */
  constructor(fields: readonly Field[], asker: Asker, now: number, alsoHashed?: Canonicalization) {
    this.#now = now;
    this.#lookUps = new LookUps(asker, MOST_LOOK_UPS);
    const read = new ReadFields(fields);
    this.#author = read.author();
    this.#signatures = read.signatures().map((field) => field && readSignature(new TagList(field), 'DKIM'));
    const counting = this.#signatures.filter(canPass);
    this.#chain = read.chain();
    const newest = this.#chain !== undefined && 'sets' in this.#chain ? this.#chain.sets.at(-1) : undefined;
    this.#chainSignature = newest && readSignature(newest.signature.tags, 'ARC');
    if (canPass(this.#chainSignature)) counting.push(this.#chainSignature);
    this.#header = new SignedHeader(fields, new Set(counting.flatMap(({ covers }) => covers)));
    if (alsoHashed !== undefined) this.#wantHash(alsoHashed, undefined);
    for (const { body, length } of counting) this.#wantHash(body, length);
    for (const [form, body] of this.#bodies) body.hash = new BodyHash(form, body.lengths);
  }

  get author(): Author {
    return this.#author;
  }

  get lookUps(): LookUps {
    return this.#lookUps;
  }

  /** The sets of ARC; undefined where they are more than are verified. */
  get chain(): ArcChain | undefined {
    return this.#chain;
  }

  /** Whether its seals can be verified, as far as what was verified before allows for it. */
  get canVerify(): boolean {
    const sets = this.#chain !== undefined && 'sets' in this.#chain ? this.#chain.sets.length : 0;
    return this.#verified + sets <= MOST_SIGNATURES;
  }

  /** What was found out of the ARC-Message-Signature of the last set, when the signatures were verified. */
  get chainVerdict(): Verdict | undefined {
    return this.#chainVerdict;
  }

  /** The key of a signature or a seal. @param place in ASCII, as asciiName() makes it */
  keyOf(place: KeyPlace): Promise<FoundKey> {
    const name = keyName(place);
    let key = this.#keys.get(name);
    if (key === undefined) {
      key = knownKeys.find(this.#lookUps, name);
      this.#keys.set(name, key);
    }
    return key;
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
  async verify(): Promise<readonly Signature[]> {
    this.#end();
    const chained = this.#chainSignature;
    const [verdicts, ofChain] = await Promise.all([
      Promise.all(this.#signatures.map((field) => field && this.#verdict(field))),
      chained && this.#verdict(chained),
    ]);
    this.#chainVerdict = ofChain;
    return this.#signatures.map((field, i) => {
      const verdict = verdicts[i];
      return field === undefined || verdict === undefined ? TOO_LONG : this.#signature(field, verdict);
    });
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    for (const { hash } of this.#bodies.values()) hash?.end();
  }

  #wantHash(form: Canonicalization, length: number | undefined): void {
    let body = this.#bodies.get(form);
    if (body === undefined) {
      body = { lengths: [] };
      this.#bodies.set(form, body);
    }
    if (length !== undefined) body.lengths.push(length);
  }

  /** Asks for the key of one that could pass. */
  async #verdict(field: SignatureField): Promise<Verdict> {
    if (field.wrong !== undefined) return failed(field.wrong);
    const body = this.#bodies.get(field.body)?.hash;
    if (body?.hasLongLine) return failed('limit: a line is too long');
    // Of a body that is shorter than `l=` there is none.
    if (body?.digest(field.length) !== field.bodyHash) {
      return { result: 'fail', reason: 'body hash did not verify' };
    }
    const key = await this.keyOf(field);
    return { ...this.#signed(field, key), key };
  }

  #signed(field: SignatureField, key: FoundKey): Verdict {
    if ('none' in key) {
      return key.failure === undefined ? failed(key.none) : { result: 'temperror', reason: key.none };
    }
    const { algorithm, identity, domain, made, expires } = field;
    if (!isFor(key, algorithm)) return failed('inappropriate key algorithm');
    if (key.flags.includes('s') && identity !== undefined && !isSame(identity.domain, domain)) {
      return failed('domain mismatch');
    }
    const text = this.#header.text(field.covers, field.header, field.own);
    if (text === undefined) return failed(COVERS_TOO_MUCH);
    this.#verified += 1;
    const digest = createHash('sha256').update(text, 'latin1').digest();
    if (!isSignatureOf(digest, field.signature, key)) return { result: 'fail', reason: 'bad signature' };
    if (expires !== undefined) {
      if (expires * 1000 < this.#now) return failed('expired');
      if (made !== undefined && expires < made) return failed('invalid expiration');
    }
    return { result: 'pass', reason: '' };
  }

  #signature(field: SignatureField, { result, reason, key }: Verdict): Signature {
    const length = this.#bodies.get(field.body)?.hash?.length ?? 0;
    const isShort = field.length !== undefined && field.wrong === undefined;
    return {
      result,
      domain: lowerCase(field.domain),
      selector: field.selector,
      reason,
      algorithm: field.algorithm,
      bits: key === undefined || 'none' in key ? undefined : (key.modulusLength ?? ED25519_BITS),
      uncovered: isShort ? Math.max(0, length - (field.length ?? 0)) : 0,
      covers: field.covers,
      form: field.header,
      failure: failureOf(key),
      mark: field.signature.slice(0, 8),
    };
  }
}

function canPass(field: SignatureField | undefined): field is SignatureField {
  return field?.wrong === undefined && field !== undefined;
}

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
  form: 'simple',
  failure: undefined,
  mark: '',
};

function failed(reason: string): Verdict {
  return { result: POLICY.has(reason) ? 'policy' : 'permerror', reason };
}

function isSame(one: string, other: string): boolean {
  const { normalizeDomainName } = loadMailauth();
  return normalizeDomainName(one) === normalizeDomainName(other);
}
