/**
 * Address lists of headers such as From and To (RFC 5322, 3.4 and 4.4) -> mailboxes as a policy compares them.
 *
 * Nothing that somebody else could take for an address is passed over: what the rules do not allow gives a mailbox too,
 * or several, which say that they are a guess. Text is latin1.
 */
import { domainOf } from '../milter/envelope-address.ts';
import { isSpace, meaningOf, type Token, tokenAt } from './address-tokens.ts';

/** One mailbox of an address list. */
export interface Mailbox {
  /** Words of the display name, or comments in its place. */
  readonly name: string;
  /** `user@domain`; '' where there is none. */
  readonly addr: string;
  /** The local part, in quotes only where it needs them. */
  readonly user: string;
  /** In lower case, without blanks, comments, and a dot at its end. */
  readonly domain: string;
  /** RFC 5322 does not allow it, not even as obsolete: others may see another address in it. */
  readonly malformed: boolean;
}

/** A member of the list with what divides it from the next, or the beginning of a group. */
export interface Element {
  readonly tokens: readonly Token[];
  /** As a rule one. Names are not decoded. */
  readonly mailboxes: readonly Mailbox[];
}

/** More than any member of a list that somebody wrote has: there it is cut, and each piece is malformed. */
const MAX_TOKENS = 1000;

/** The members of a list one after the other, those of groups included. `text` has no line ends. */
export function* elementsOf(text: string): Generator<Element, void, undefined> {
  let tokens: Token[] = [];
  let inGroup = false;
  let malformed = false;
  let angle: 'none' | 'open' | 'route' = 'none';
  const end = (member: readonly Token[]): Element => {
    const element = { tokens, mailboxes: mailboxesOf(member, malformed) };
    tokens = [];
    malformed = false;
    angle = 'none';
    return element;
  };
  let before: Token['kind'] | undefined; // The last token that is no space.
  for (let start = 0; start < text.length; ) {
    const token = tokenAt(text, start);
    const { kind } = token;
    start += token.text.length;
    tokens.push(token);
    if (kind === '<') {
      angle = 'open';
    } else if (kind === '>') {
      angle = 'none';
    } else if (kind === '@' && angle === 'open' && before === '<') {
      angle = 'route';
    } else if (angle === 'route' && before === ',' && isWord(token)) {
      angle = 'open'; // No route after all.
      malformed = true;
    } else if (kind === ',' && angle !== 'route') {
      yield end(tokens.slice(0, -1));
    } else if (kind === ';') {
      if (!inGroup || angle !== 'none') malformed = true;
      inGroup = false;
      yield end(tokens.slice(0, -1));
    } else if (kind === ':' && angle === 'route') {
      angle = 'open';
    } else if (kind === ':') {
      if (inGroup || angle === 'open') malformed = true;
      else yield endOfName();
    }
    if (!isSpace(token)) before = kind;
    if (tokens.length >= MAX_TOKENS) {
      malformed = true;
      yield end(tokens);
    }
  }
  // A group that nothing closes was perhaps not meant to be one.
  malformed ||= inGroup;
  yield end(tokens);

  /** Of a group; an address in it would be hidden. */
  function endOfName(): Element {
    inGroup = true;
    if (tokens.some(({ kind }) => kind === '@' || kind === '<')) {
      malformed = true;
      return end(tokens.slice(0, -1));
    }
    markForPeople(tokens.slice(0, -1));
    return end([]);
  }
}

type Address = Omit<Mailbox, 'name'>;

/** The mailboxes in the tokens of one member, which has no comma outside of a route. */
function mailboxesOf(tokens: readonly Token[], isMalformed: boolean): Mailbox[] {
  const addresses: Address[] = [];
  const names: string[] = [];
  let malformed = isMalformed || tokens.some(({ broken }) => broken);
  let words: Token[] = []; // Those that belong to no address yet.
  const hasAngle = tokens.some(({ kind }) => kind === '<');
  for (let start = 0; start < tokens.length; ) {
    const isAngle = tokens[start]?.kind === '<';
    const end = indexFrom(tokens, start + 1, ({ kind }) => kind === '<' || (isAngle && kind === '>'));
    if (isAngle) {
      const isClosed = tokens[end]?.kind === '>';
      malformed ||= !isClosed || addresses.length > 0 || !words.every(isOfName);
      const name = nameOf(words);
      const address = addressInAngle(tokens.slice(start + 1, end));
      malformed ||= name !== '' && address.addr === '';
      addresses.push(address);
      names.push(name);
      words = [];
      start = isClosed ? end + 1 : end;
    } else {
      const outside = tokens.slice(start, end);
      // What looks like an address before brackets is a name, if one that should be in quotes.
      const isName = (hasAngle && addresses.length === 0) || !outside.some(({ kind }) => kind === '@');
      const found = isName ? { addresses: [], rest: outside } : bareAddresses(outside);
      malformed ||= found.addresses.length > 0 && addresses.length + found.addresses.length > 1;
      for (const address of found.addresses) {
        addresses.push(address);
        names.push('');
      }
      words = words.concat(found.rest);
      start = end;
    }
  }
  const hasMore = words.some((word) => !isSpace(word));
  if (hasMore) {
    malformed = true;
    if (addresses.length === 0) {
      addresses.push(NO_ADDRESS);
      names.push('');
    }
  }
  const last = names.length - 1;
  if (last >= 0 && (hasMore || names[last] === '')) {
    names[last] = [names[last], nameOf(words)].filter((name) => name !== '').join(' ');
  }
  return addresses.map((address, i) => ({
    name: names[i] ?? '',
    ...address,
    malformed: malformed || address.malformed,
  }));
}

const NO_ADDRESS: Address = { addr: '', user: '', domain: '', malformed: false };

function indexFrom(tokens: readonly Token[], start: number, fits: (token: Token) => boolean): number {
  for (let i = start; i < tokens.length; i++) if (fits(tokens[i] as Token)) return i;
  return tokens.length;
}

function addressInAngle(inside: readonly Token[]): Address {
  const first = inside.findIndex((token) => !isSpace(token));
  if (first < 0) return NO_ADDRESS;
  const hasRoute = inside[first]?.kind === '@';
  const colon = hasRoute ? inside.findIndex(({ kind }) => kind === ':') : -1;
  const rest = inside.slice(colon + 1);
  const at = rest.findLastIndex(({ kind }) => kind === '@');
  if (at < 0) return addressOf(rest, undefined);
  const after = rest.slice(at + 1).filter((token) => !isSpace(token));
  const domain = after.slice(0, lengthOfDomain(after, 0));
  const address = addressOf(rest.slice(0, at), domain);
  return domain.length < after.length ? { ...address, malformed: true } : address;
}

/** The addresses that stand without brackets, and what belongs to none. */
function bareAddresses(tokens: readonly Token[]): { addresses: Address[]; rest: Token[] } {
  const dense = tokens.filter((token) => !isSpace(token));
  const addresses: Address[] = [];
  const used = new Set<Token>();
  let free = 0;
  for (let at = 0; at < dense.length; at++) {
    if (dense[at]?.kind !== '@') continue;
    const start = startOfLocal(dense, free, at);
    free = at + 1 + lengthOfDomain(dense, at + 1);
    // `a@b@c`: to both MTAs the last one counts.
    while (dense[free]?.kind === '@') {
      at = free;
      free = at + 1 + lengthOfDomain(dense, at + 1);
    }
    addresses.push(addressOf(dense.slice(start, at), dense.slice(at + 1, free)));
    for (const token of dense.slice(start, free)) used.add(token);
    at = free - 1;
  }
  return { addresses, rest: tokens.filter((token) => !used.has(token)) };
}

/** Of words with dots between, the last of which stands before `at`. */
function startOfLocal(dense: readonly Token[], from: number, at: number): number {
  let start = at;
  let wantsWord = true;
  for (; start > from; start--) {
    const token = dense[start - 1] as Token;
    if (token.kind === '.') wantsWord = true;
    else if (wantsWord && isWord(token)) wantsWord = false;
    else break;
  }
  return start;
}

/** How many tokens from `start` on are a domain: a literal, or words with dots between. */
function lengthOfDomain(dense: readonly Token[], start: number): number {
  if (dense[start]?.kind === 'literal') return 1;
  let end = start;
  let wantsWord = true;
  for (; end < dense.length; end++) {
    const token = dense[end] as Token;
    if (token.kind === '.') wantsWord = true;
    else if (wantsWord && isWord(token)) wantsWord = false;
    else break;
  }
  return end - start;
}

/** What needs no quotes before an `@`; bytes above 127 as in RFC 6532. */
const DOT_ATOM = /^[!#-'*+\-/-9=?A-Z^-~\x80-\xff]+(?:\.[!#-'*+\-/-9=?A-Z^-~\x80-\xff]+)*$/;

/** @param domain without spaces; undefined where there is no `@` */
function addressOf(local: readonly Token[], domain: readonly Token[] | undefined): Address {
  const text = localText(local);
  const user = text === '' || DOT_ATOM.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
  if (!domain) return { addr: user, user, domain: '', malformed: true };
  const host = domainOf(
    domain
      .map((token) => (token.kind === 'literal' ? token.text.replace(/[ \t\\]/g, '') : meaningOf(token)))
      .join(''),
  );
  const malformed =
    !isWordsAndDots(local, isWord) ||
    !(domain[0]?.kind === 'literal' || isWordsAndDots(domain, ({ kind }) => kind === 'atom'));
  return { addr: `${user}@${host}`, user, domain: host, malformed };
}

/** Without spaces, but for one between words that no dot divides. */
function localText(tokens: readonly Token[]): string {
  let text = '';
  let afterWord = false;
  for (const token of tokens) {
    if (isSpace(token)) continue;
    if (afterWord && isWord(token)) text += ' ';
    text += meaningOf(token);
    afterWord = isWord(token);
  }
  return text;
}

/** A word, a dot, a word, ...: nothing else and no dot too many, spaces left out. */
function isWordsAndDots(tokens: readonly Token[], fits: (token: Token) => boolean): boolean {
  let wantsWord = true;
  for (const token of tokens) {
    if (isSpace(token)) continue;
    if (wantsWord ? !fits(token) : token.kind !== '.') return false;
    wantsWord = !wantsWord;
  }
  return !wantsWord;
}

function isWord({ kind }: Token): boolean {
  return kind === 'atom' || kind === 'quoted';
}

function isOfName(token: Token): boolean {
  return isWord(token) || isSpace(token) || token.kind === '.';
}

function markForPeople(tokens: readonly Token[]): void {
  for (const token of tokens) token.forPeople = !isSpace(token);
}

/** The words, and marks them as such; or, without any, what the comments say. */
function nameOf(tokens: readonly Token[]): string {
  markForPeople(tokens);
  if (tokens.some((token) => !isSpace(token))) return textOf(tokens);
  const comments = tokens.filter(({ kind }) => kind === 'comment');
  return comments.map(meaningOf).join(' ');
}

/** What the tokens say, with one blank between words where there was space. */
function textOf(tokens: readonly Token[]): string {
  let text = '';
  let spaced = false;
  for (const token of tokens) {
    if (isSpace(token)) {
      spaced = text !== '';
      continue;
    }
    text += (spaced ? ' ' : '') + meaningOf(token);
    spaced = false;
  }
  return text;
}
