/**
 * The one place that uses mailauth, by its parts: the package as a whole costs twice as much and loads what Node.js 20
 * cannot. Its version is exact, for some of what is used here is no public part of it: test/mail-auth/parts.test.ts
 * says so first where a part has moved or changed.
 *
 * What is taken from it: SPF, DMARC with its walk up the tree, the reading of signatures and key records, ARC chains and
 * seals. What is not: streams and hashes of bodies (body-hash.ts, some ten times as fast), parsing of header blocks
 * (fields come apart from the MTA), and signing, which cannot sign a field that is not there (dkim-sign.ts).
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
  key: string;
  readonly casedKey: string;
  /** `Name: value` with CRLF in folds and none at the end. */
  readonly line: Buffer;
}

export interface ParsedHeader {
  readonly parsed: readonly ParsedField[];
}

/** Of a signature or a seal, by name; some of them. */
type Tags = Partial<Record<'d' | 's' | 'h', { readonly value: string | number }>>;

/** A signature field while it is prepared and verified. */
export interface SignatureField {
  type: 'DKIM' | 'ARC';
  skip?: string;
  invalid?: string;
  signingDomain?: string;
  selector?: string;
  hashAlgo?: string;
  maxBodyLength?: number | '';
  readonly parsed: Tags;
}

export interface SignatureResult {
  readonly status: Status;
  readonly signingDomain?: string;
  readonly selector?: string;
  readonly signature?: string;
  readonly algo?: string;
  readonly modulusLength?: number;
}

/** What stands for a hash of a body with mailauth. */
export interface BodyDigest {
  digest(): string;
  getMimeStructureStart(): undefined;
  setContentType(): void;
  readonly bodyHashedBytes: number;
  readonly canonicalizedLength: number;
  hash?: string;
}

export interface ArcData {
  chain: readonly ArcSet[] | false;
  lastEntry?: ArcSet;
  error?: Error;
}

export interface ArcSet {
  readonly i: number;
  readonly 'arc-seal': { readonly parsed: Tags };
  readonly 'arc-message-signature': { readonly parsed: Tags };
}

export interface DkimVerifier {
  readonly signatureHeaders: readonly SignatureField[];
  readonly bodyHashes: Map<string, BodyDigest>;
  readonly headerFrom: readonly string[];
  readonly fromFields: number;
  readonly results: readonly SignatureResult[];
  readonly arc: ArcData;
  messageHeaders(header: ParsedHeader): Promise<void>;
  finalChunk(): Promise<void>;
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

export interface SealOptions {
  readonly signingDomain: string;
  readonly selector: string;
  readonly privateKey: string;
  readonly bodyHash: string;
  readonly authResults: string;
  readonly cv: 'none' | 'pass' | 'fail';
  readonly headerList: readonly string[];
  /** Milliseconds since the epoch. */
  readonly signTime: number;
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
  arc(
    data: ArcData,
    options: { readonly resolver: Resolve; readonly strict: true },
  ): Promise<{
    readonly status: Status;
    readonly i?: number | false;
  }>;
  getARChain(header: ParsedHeader, options: { readonly strict: true }): readonly ArcSet[] | false;
  createSeal(
    input: false,
    data: {
      readonly headers: ParsedHeader;
      readonly arc: { readonly chain: readonly ArcSet[] | false };
      readonly seal: SealOptions;
      readonly strict: true;
    },
  ): Promise<{ readonly headers: readonly string[]; readonly errors: readonly { readonly err: Error }[] }>;
}

/** Where its functions stand. */
export const PARTS = {
  spf: 'mailauth/lib/spf',
  DkimVerifier: 'mailauth/lib/dkim/dkim-verifier',
  evaluateDmarc: 'mailauth/lib/dmarc',
  arc: 'mailauth/lib/arc',
  getARChain: 'mailauth/lib/arc',
  createSeal: 'mailauth/lib/arc',
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
