/**
 * The one place that uses mailauth, by its parts: the package as a whole costs twice as much and loads what Node.js 20
 * cannot. Its version is exact, for some of what is used here is no public part of it: test/mail-auth/parts.test.ts
 * says so first where a part has moved or changed.
 *
 * What is taken from it: SPF, DMARC with its walk up the tree, the reading of key records and of addresses, and names of
 * domains. What is not: signatures and chains, for a stranger chooses how many there are, and it makes each field's
 * canonical form anew for each signature, and that of a chain anew for each seal (dkim-verify.ts, arc.ts; the tests read
 * signatures with it too, and compare); hashes of bodies (body-hash.ts, some ten times as fast); and signing and sealing,
 * which cannot cover a field that is not there (dkim-sign.ts, arc.ts).
 */
import { createRequire } from 'node:module';
import { textOf } from './field.ts';

/** Rejects with an error whose `code` is that of node:dns. */
export type Resolve = (name: string, type: string) => Promise<unknown[]>;

/** What mailauth says of a method: the result in words of RFC 8601. */
export interface Status {
  readonly result: string;
  readonly comment?: string | false;
}

/** An address, or a group of them. */
export interface ParsedAddress {
  readonly address?: string;
  readonly group?: readonly ParsedAddress[];
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
  /** Rejects with an error whose `code` says what is wrong with a record. */
  getPublicKey(
    type: string,
    name: string,
    minBits: number | undefined,
    resolver: Resolve,
    options: { readonly strict: boolean; readonly hashAlgo: string },
  ): Promise<PublicKey>;
  /** The value of a field with addresses. */
  addressparser(value: string): readonly ParsedAddress[];
  /** A domain with A-labels for what is not ASCII in it. */
  toALabel(domain: string): string;
  /** As A-labels, in lower case, without a dot at its end. */
  normalizeDomainName(domain: string): string;
}

/** Where its functions stand. */
export const PARTS = {
  spf: 'mailauth/lib/spf',
  evaluateDmarc: 'mailauth/lib/dmarc',
  getPublicKey: 'mailauth/lib/tools',
  addressparser: 'nodemailer/lib/addressparser',
  toALabel: 'mailauth/lib/tools',
  normalizeDomainName: 'mailauth/lib/tools',
} as const satisfies Record<keyof Mailauth, string>;

/** Characters of a domain. To make A-labels takes time in the square of its length: a longer name is none. */
export const MOST_NAME = 253;

/**
 * A name of the DNS in ASCII: as A-labels where it is UTF-8 (RFC 8616). What is too long to be a name stays as it is.
 *
 * @param value in latin1
 */
export function asciiName(value: string): string {
  const text = textOf(value);
  return text === value || text.length > MOST_NAME ? value : loadMailauth().toALabel(text);
}

const require = createRequire(import.meta.url);
let loaded: Mailauth | undefined;

/** Loads the parts: some 300 ms and 21 MB, once in a process. */
export function loadMailauth(): Mailauth {
  if (loaded === undefined) {
    // What it depends on has versions of its own.
    const requireAsIt = createRequire(require.resolve(PARTS.spf));
    const partOf = (name: string, part: string): unknown => {
      const module = requireAsIt(part) as Readonly<Record<string, unknown>>;
      return module[name] ?? module;
    };
    loaded = Object.fromEntries(
      Object.entries(PARTS).map(([name, part]) => [name, partOf(name, part)]),
    ) as unknown as Mailauth;
  }
  return loaded;
}
