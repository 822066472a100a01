/**
 * The one place that uses mailauth, by its parts: the package as a whole costs twice as much and loads what Node.js 20
 * cannot. Its version is exact, for some of what is used here is no public part of it: test/mail-auth/parts.test.ts
 * says so first where a part has moved or changed.
 *
 * What is taken from it: SPF, DMARC with its walk up the tree, and the reading of signatures, chains and key records.
 * What is not: streams and hashes of bodies (body-hash.ts, some ten times as fast), parsing of header blocks (fields come
 * apart from the MTA), the verification of what was read (dkim-verify.ts and arc.ts: it puts each field into its
 * canonical form anew for each signature, and all of a chain anew for each seal), and signing and sealing, which cannot
 * cover a field that is not there (dkim-sign.ts, arc.ts).
 */
import { createRequire } from 'node:module';

/** Rejects with an error whose `code` is that of node:dns. */
export type Resolve = (name: string, type: string) => Promise<unknown[]>;

/** What mailauth says of a method: the result in words of RFC 8601. */
export interface Status {
  readonly result: string;
  readonly comment?: string | false;
  readonly underSized?: number;
}

export interface ParsedField {
  /** In lower case. */
  readonly key: string;
  readonly casedKey: string;
  /** `Name: value` with CRLF in folds and none at the end. */
  readonly line: Buffer;
}

export interface ParsedHeader {
  readonly parsed: readonly ParsedField[];
}

/** Of a signature or a seal, by name; some of them. */
type Tags = Partial<Record<'a' | 'b' | 'bh' | 'd' | 'h' | 's', { readonly value: string | number }>>;

/** A signature field that was read. What is undefined here was not read, for the field is none. */
export interface SignatureField {
  type: 'DKIM' | 'ARC';
  /** Why it is none, or counts for nothing. */
  skip?: string;
  invalid?: string;
  signingDomain?: string;
  selector?: string;
  /** `rsa` or `ed25519`. */
  signAlgo?: string;
  hashAlgo?: string;
  headerCanon?: string;
  bodyCanon?: string;
  maxBodyLength?: number | '';
  timestamp?: Date | null;
  expiration?: Date | null;
  /** Of `i=`, where it has one. */
  identityDomain?: string;
  readonly parsed: Tags;
  /** Its line, as in ParsedField. */
  readonly original: Buffer;
}

export interface ArcData {
  chain: readonly ArcSet[] | false;
  lastEntry?: ArcSet;
  error?: Error;
}

export interface ArcField {
  readonly parsed: Tags;
  /** Its line, as in ParsedField. */
  original: Buffer;
}

export interface ArcSet {
  readonly i: number;
  readonly 'arc-seal': ArcField;
  readonly 'arc-message-signature': ArcField;
  readonly 'arc-authentication-results': ArcField;
}

/** What a record of a key says, in part. */
export interface PublicKey {
  /** PEM. */
  readonly publicKey: string;
  /** `rsa` or `ed25519`. */
  readonly keyType: string;
  /** In bits; undefined of Ed25519. */
  readonly modulusLength?: number;
  /** Of `t=`. */
  readonly flags: readonly string[];
}

export interface DkimVerifier {
  readonly signatureHeaders: readonly SignatureField[];
  readonly headerFrom: readonly string[];
  readonly fromFields: number;
  readonly arc: ArcData;
  messageHeaders(header: ParsedHeader): Promise<void>;
  addBodyHash(canonicalization: string, algorithm: string, length: number | ''): string;
  prepareSignature(field: SignatureField): void;
}

export interface SpfResponse {
  readonly domain: string;
  readonly status: Status;
  readonly explanation?: string;
}

export interface DmarcResponse {
  readonly status: Status;
  /** Where the record is that was applied. */
  readonly policyDomain?: string;
  readonly policy?: string;
  readonly p?: string;
  readonly sp?: string;
  readonly np?: string;
  readonly rr?: string;
  readonly testMode?: boolean;
}

export interface Mailauth {
  spf(options: {
    readonly sender: string;
    readonly ip: string;
    readonly helo: string;
    readonly mta: string;
    readonly resolver: Resolve;
    readonly strict: true;
  }): Promise<SpfResponse>;
  readonly DkimVerifier: new (options: {
    readonly resolver: Resolve;
    readonly strict: true;
    readonly curTime: Date;
  }) => DkimVerifier;
  evaluateDmarc(options: {
    readonly headerFrom: readonly string[];
    readonly fromFields: number;
    readonly spfDomains: readonly { readonly domain: string }[];
    readonly dkimDomains: readonly { readonly domain: string }[];
    readonly resolver: Resolve;
    readonly strict: true;
  }): Promise<{
    readonly response: DmarcResponse | false;
    readonly reason?: string;
    readonly dkimAligned?: ReadonlySet<string>;
  }>;
  getARChain(header: ParsedHeader, options: { readonly strict: true }): readonly ArcSet[] | false;
  /** Rejects with an error whose `code` says what is wrong with a record. */
  getPublicKey(
    type: string,
    name: string,
    minBits: number | undefined,
    resolver: Resolve,
    options: { readonly strict: boolean; readonly hashAlgo: string },
  ): Promise<PublicKey>;
  /** A domain with A-labels for what is not ASCII in it. */
  toALabel(domain: string): string;
  /** As A-labels, in lower case, without a dot at its end. */
  normalizeDomainName(domain: string): string;
}

/** Where its functions stand. */
export const PARTS = {
  spf: 'mailauth/lib/spf',
  DkimVerifier: 'mailauth/lib/dkim/dkim-verifier',
  evaluateDmarc: 'mailauth/lib/dmarc',
  getARChain: 'mailauth/lib/arc',
  getPublicKey: 'mailauth/lib/tools',
  toALabel: 'mailauth/lib/tools',
  normalizeDomainName: 'mailauth/lib/tools',
} as const satisfies Record<keyof Mailauth, string>;

const require = createRequire(import.meta.url);
let loaded: Mailauth | undefined;

/** Loads the parts: some 300 ms and 21 MB, once in a process. */
export function loadMailauth(): Mailauth {
  loaded ??= Object.fromEntries(
    Object.entries(PARTS).map(([name, part]) => [name, (require(part) as Record<string, unknown>)[name]]),
  ) as unknown as Mailauth;
  return loaded;
}
