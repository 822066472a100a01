/** DKIM-Signature, and ARC-Message-Signature, which is like it (RFC 6376 section 6.1.1, RFC 8301, RFC 8463, RFC 8617). */
import type { Canonicalization } from './body-hash.ts';
import { type Field, lowerCase, textOf } from './field.ts';
import { asciiName, loadMailauth, MOST_NAME } from './mailauth.ts';
import type { TagList } from './tag-list.ts';

export interface SignatureField {
  /** Why it is none, or counts for nothing, as far as itself goes; the rest is what can be read all the same. */
  readonly wrong: string | undefined;
  /** As it is written; what is UTF-8 in it is text here. */
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: string;
  readonly header: Canonicalization;
  readonly body: Canonicalization;
  /** `l=`: bytes of the canonical body. */
  readonly length: number | undefined;
  /** `t=` and `x=`, in seconds since the epoch. */
  readonly made: number | undefined;
  readonly expires: number | undefined;
  /** `i=`; without it the domain is its own. */
  readonly identity: Identity | undefined;
  /** The names in `h=`, in lower case. */
  readonly covers: readonly string[];
  /** In base64. */
  readonly bodyHash: string;
  readonly signature: string;
  /** The field as it is covered by itself. */
  readonly own: Field;
}

interface Identity {
  readonly local: string;
  /** Empty where it has none. */
  readonly domain: string;
}

/** With `_`, which RFC 6376 does not have, and all others take. */
const LABEL = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?';
const DOMAIN = new RegExp(`^${LABEL}(?:\\.${LABEL})+$`);
const SELECTOR = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
/** Those that count (RFC 8301, RFC 8463). */
export const ALGORITHM = /^(?:rsa|ed25519)-sha256$/i;
export const SECONDS = /^[0-9]{1,12}$/;
const LENGTH = /^[0-9]{1,76}$/;
/** A dot-atom, with UTF-8 (RFC 6531), or a quoted string. */
const ATOM = "(?:[A-Za-z0-9!#$%&'*+\\-/=?^_`{|}~]|[^\\0-\\x7f])+";
const LOCAL_PART = new RegExp(`^(?:${ATOM}(?:\\.${ATOM})*|"(?:[^"\\\\\\r\\n]|\\\\.)*")$`);
const REQUIRED = ['v', 'a', 'b', 'bh', 'd', 'h', 's'];
/** Of an identity as it is written, each byte as `=41`. */
const MOST_IDENTITY = 1000;
const FORMS = /^(simple|relaxed)(?:[ \t\r\n]*\/[ \t\r\n]*(simple|relaxed))?$/;
/** Names in `h=`, which lists some thirty. */
const MOST_NAMES = 300;

const SYNTAX = 'signature syntax error';
const INCOMPLETE = 'signature missing required tag';
/** Why a signature is not verified that lists, or covers, more than any has. */
export const COVERS_TOO_MUCH = 'limit: it covers too many fields';

/** @param kind of an ARC-Message-Signature the chain has looked at the tags */
export function readSignature(tags: TagList, kind: 'DKIM' | 'ARC'): SignatureField {
  const [, header = '', body = 'simple'] = FORMS.exec(tags.has('c') ? tags.word('c') : 'simple') ?? [];
  const read = {
    domain: asciiName(tags.get('d')),
    selector: asciiName(tags.get('s')),
    algorithm: tags.get('a'),
    header: header as Canonicalization,
    body: body as Canonicalization,
    length: numberIn(tags, 'l', LENGTH),
    made: numberIn(tags, 't', SECONDS),
    expires: numberIn(tags, 'x', SECONDS),
    // In a chain it is the number of the set.
    identity: kind === 'DKIM' && tags.has('i') ? identityOf(tags.get('i')) : undefined,
    covers: namesIn(tags.unfolded('h')),
    bodyHash: tags.unfolded('bh'),
    signature: tags.unfolded('b'),
    own: tags.unsigned,
  };
  return { ...read, wrong: faultOf(tags, read, kind) };
}

function faultOf(
  tags: TagList,
  { domain, selector, algorithm, header, covers, ...read }: Omit<SignatureField, 'wrong'>,
  kind: 'DKIM' | 'ARC',
): string | undefined {
  if (covers.length > MOST_NAMES) return COVERS_TOO_MUCH;
  const isSha1 = kind === 'DKIM' && /^rsa-sha1$/i.test(algorithm);
  if (!isSha1 && !ALGORITHM.test(algorithm)) return 'unknown algorithm';
  if (!isForm(header)) return 'unknown canonicalization';
  if (domain === '' || selector === '') return INCOMPLETE;
  if (kind === 'ARC' && !isPlace(domain, selector)) return SYNTAX;
  if (kind === 'DKIM') {
    if (tags.hasFault) return SYNTAX;
    if (REQUIRED.some((name) => !tags.has(name))) return INCOMPLETE;
    if (tags.get('v') !== '1') return 'incompatible version';
    if (hasWrongNumber(tags) || covers.length === 0) return SYNTAX;
    if (!isPlace(domain, selector)) return SYNTAX;
    if (tags.has('q') && !/(?:^|:)\s*dns\/txt\s*(?:$|:)/.test(tags.word('q')))
      return 'unsupported query method';
    if (read.identity !== undefined) {
      const { local, domain: identity } = read.identity;
      if ((local !== '' && !LOCAL_PART.test(local)) || !isName(identity, DOMAIN)) return SYNTAX;
      if (!isWithin(identity, domain)) return 'domain mismatch';
    }
    if (read.made !== undefined && read.expires !== undefined && read.expires <= read.made) {
      return 'invalid expiration';
    }
  }
  // It says nothing of the author.
  if (!covers.includes('from')) return 'From field not signed';
  return isSha1 ? 'weak algorithm' : undefined;
}

/** Whether a tag that has to be a number is none. */
export function hasWrongNumber(tags: TagList): boolean {
  return (
    (tags.has('t') && !SECONDS.test(tags.get('t'))) ||
    (tags.has('x') && !SECONDS.test(tags.get('x'))) ||
    (tags.has('l') && !LENGTH.test(tags.get('l')))
  );
}

function numberIn(tags: TagList, name: string, form: RegExp): number | undefined {
  const value = tags.get(name);
  return value !== '' && form.test(value) ? Number(value) : undefined;
}

const isForm = (word: string): boolean => word === 'relaxed' || word === 'simple';

/** Whether a key can be there: a domain, and a selector below it. */
export function isPlace(domain: string, selector: string): boolean {
  return isName(domain, DOMAIN) && isName(selector, SELECTOR);
}

function isName(text: string, form: RegExp): boolean {
  return text.length <= MOST_NAME && form.test(loadMailauth().toALabel(text));
}

/** Of too many only the first. */
function namesIn(list: string): readonly string[] {
  return lowerCase(list)
    .replace(/:{2,}/g, ':')
    .split(':', MOST_NAMES + 1)
    .filter((name) => name !== '');
}

/** In dkim-quoted-printable (section 2.11). */
function identityOf(value: string): Identity {
  if (value.length > MOST_IDENTITY) return { local: '', domain: '' };
  const text = textOf(
    value
      .replace(/[ \t\r\n]+/g, '')
      .replace(/=([0-9A-Fa-f]{2})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16))),
  );
  const at = text.lastIndexOf('@');
  return at < 0 ? { local: text, domain: '' } : { local: text.slice(0, at), domain: text.slice(at + 1) };
}

/** The same domain, or below it. */
function isWithin(child: string, parent: string): boolean {
  const { normalizeDomainName } = loadMailauth();
  const [inner, outer] = [normalizeDomainName(child), normalizeDomainName(parent)];
  return inner === outer || inner.endsWith(`.${outer}`);
}
