/** Authentication-Results (RFC 8601): what was found out about a message, for those who read it later. */

export interface MethodResult {
  /** `spf`, `dkim`, in lower case. */
  readonly method: string;
  /** In lower case. */
  readonly result: string;
  /** The text of `reason=`; empty without one. */
  readonly reason: string;
  /** By type and name, as `header.d`, in lower case. */
  readonly properties: ReadonlyMap<string, string>;
}

export interface AuthenticationResults {
  /** Who has found it out. As it is written. */
  readonly authserv: string;
  /** None where the header says `none`. */
  readonly results: readonly MethodResult[];
}

const TOKEN = /^[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+$/;
const DOT_ATOM = /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*$/;
const DOMAIN = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/;
/** Longer values are left out: they make lines that no mail program takes. */
const MAX_VALUE = 800;

/**
 * The value of the field, one method to a line: folds are LF and a tab. Nothing in a value can end it, or begin another.
 *
 * @param authserv a host name
 */
export function writeResults({ authserv, results }: AuthenticationResults): string {
  const methods = results.length === 0 ? ['none'] : results.map(methodText);
  return [valueText(authserv), ...methods].join(';\n\t');
}

function methodText({ method, result, reason, properties }: MethodResult): string {
  const parts = [`${method}=${result}`];
  if (reason !== '') parts.push(`reason=${quoted(printable(reason).slice(0, MAX_VALUE))}`);
  for (const [name, value] of properties) {
    if (value !== '' && value.length <= MAX_VALUE) parts.push(`${name}=${valueText(value)}`);
  }
  return parts.join(' ');
}

/** A token, an address or a domain as it is, all else in quotes, as what begins with the mark that stands before it. */
function valueText(value: string): string {
  const text = printable(value);
  if (TOKEN.test(text)) return text;
  if (text.startsWith('=')) return quoted(text);
  const at = text.lastIndexOf('@');
  const local = text.slice(0, Math.max(0, at));
  if (at >= 0 && DOMAIN.test(text.slice(at + 1)) && (local === '' || DOT_ATOM.test(local))) return text;
  return quoted(text);
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** Bytes above 127 stay: they may be UTF-8 (RFC 8616). */
function printable(text: string): string {
  return text.replace(/[^ -~\x80-\xff]+/g, ' ').trim();
}

/** Parts of a value that are looked at; what a host of ours writes has some ten. */
const MOST_TOKENS = 4000;

/**
 * Reads the value of a field, with comments, quotes and folds where RFC 8601 allows them.
 *
 * @returns undefined for what is none; methods that cannot be read end the reading, those before them count
 */
export function parseResults(value: string): AuthenticationResults | undefined {
  const tokens = tokensOf(value);
  const first = tokens.shift();
  if (first === undefined || first.kind === 'mark') return undefined;
  // A version may follow.
  if (tokens[0]?.kind === 'word' && /^\d+$/.test(tokens[0].text)) tokens.shift();
  const results: MethodResult[] = [];
  for (const part of parts(tokens)) {
    const [only] = part;
    if (part.length === 1 && only?.kind === 'word' && only.text.toLowerCase() === 'none') continue;
    const result = readMethod(part);
    if (result === undefined) break;
    results.push(result);
  }
  return { authserv: first.text, results };
}

/** Those of the longest name of a host, each a letter. */
const MOST_NAME_TOKENS = 300;

/** What is longer is no name of a host. */
const MAX_NAME = 1000;

/**
 * Who says that a value is his, as parseResults finds it, without reading the rest; before it what a reader finds to whom
 * a name ends at a blank: in `mx.example. 1` it is `mx.example.`, and a version. None where there is no name.
 */
export function authservsOf(value: string): string[] {
  const first = tokenAt(value, 0, false);
  if (first === undefined || first.token.kind === 'mark') return [];
  const names: string[] = [];
  let { token, next } = first;
  for (let count = 1; count < MOST_NAME_TOKENS; count += 1) {
    const more = tokenAt(value, next, false);
    if (more === undefined || !continues(token, more.token)) break;
    if (!beginsWithin(more.token) && token.text.length <= MAX_NAME) names.push(token.text);
    token = { kind: token.kind, text: token.text + more.token.text };
    next = more.next;
  }
  return [...names, token.text];
}

interface Token {
  readonly kind: 'word' | 'quoted' | 'mark';
  readonly text: string;
}

/** Between semicolons; empty ones do not count. */
function parts(tokens: readonly Token[]): Token[][] {
  const found: Token[][] = [[]];
  for (const token of tokens) {
    if (token.kind === 'mark' && token.text === ';') found.push([]);
    else found.at(-1)?.push(token);
  }
  return found.filter((part) => part.length > 0);
}

/** `method[/version]=result *(ptype.property=value)` */
function readMethod(part: readonly Token[]): MethodResult | undefined {
  const pairs: [name: string, value: string][] = [];
  let rest = part;
  while (rest.length > 0) {
    const name = rest[0];
    if (name?.kind !== 'word' || rest[1]?.text !== '=' || rest[1].kind !== 'mark') return undefined;
    const value = rest[2];
    // The value of a property may be empty.
    const isEmpty = value === undefined || (rest[3]?.kind === 'mark' && rest[3].text === '=');
    if (value?.kind === 'mark') return undefined;
    pairs.push([name.text.toLowerCase(), isEmpty ? '' : value.text]);
    rest = rest.slice(isEmpty ? 2 : 3);
  }
  const [method, ...others] = pairs;
  if (method === undefined || method[1] === '') return undefined;
  const reasons = others.filter(([name]) => name === 'reason');
  return {
    method: method[0].replace(/\/\d+$/, ''),
    result: method[1].toLowerCase(),
    reason: reasons[0]?.[1] ?? '',
    properties: new Map(others.filter(([name]) => name.includes('.'))),
  };
}

/** Words, quoted strings and the marks `;` and `=`; comments are dropped, blanks and `.` `/` around which they stand joined. */
function tokensOf(value: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; tokens.length < MOST_TOKENS; ) {
    const last = tokens.at(-1);
    const read = tokenAt(value, at, last?.kind === 'mark' && last.text === '=');
    if (read === undefined) break;
    tokens.push(read.token);
    at = read.next;
  }
  return joined(tokens);
}

/** The first token from a place on, and where it ends; undefined where there is none. @param isValue after `=` */
function tokenAt(
  value: string,
  start: number,
  isValue: boolean,
): { readonly token: Token; readonly next: number } | undefined {
  for (let at = start; at < value.length; ) {
    const code = value.charCodeAt(at);
    if (code === OPEN) {
      at = afterComment(value, at);
    } else if (isBlank(code)) {
      at += 1;
    } else if (code === SEMICOLON || code === EQUALS) {
      return { token: { kind: 'mark', text: value.charAt(at) }, next: at + 1 };
    } else if (code === QUOTE) {
      const [text, next] = readQuoted(value, at);
      return { token: { kind: 'quoted', text }, next };
    } else {
      const next = endOfWord(value, at, isValue);
      return { token: { kind: 'word', text: value.slice(at, next) }, next };
    }
  }
  return undefined;
}

const OPEN = 0x28;
const CLOSE = 0x29;
const BACKSLASH = 0x5c;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;

/** As `\s` has it, of latin1. */
const isBlank = (code: number): boolean => code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0xa0;

/** `a="x"@b.example` is one value, `smtp . mailfrom` one name. */
function continues(last: Token, token: Token): boolean {
  if (last.kind === 'mark' || token.kind !== 'word') return false;
  return beginsWithin(token) || (last.kind === 'word' && /[./]$/.test(last.text));
}

/** Whether it cannot be the beginning of a name or value. */
function beginsWithin({ text }: Token): boolean {
  return /^[@./]/.test(text);
}

function joined(tokens: readonly Token[]): Token[] {
  const found: Token[] = [];
  for (const token of tokens) {
    const last = found.at(-1);
    const before = found.at(-2);
    // `b=AbC/ header.d=x`: a value ends before a blank, a name need not.
    const isValue = before?.kind === 'mark' && before.text === '=';
    if (last !== undefined && continues(last, token) && !(isValue && !beginsWithin(token))) {
      found[found.length - 1] = { kind: last.kind, text: last.text + token.text };
    } else {
      found.push(token);
    }
  }
  return found;
}

/** A value may have `=` in it, as base64 has; a name may not. */
function endOfWord(value: string, start: number, isValue: boolean): number {
  const end = isValue ? /[\s;("]/g : /[\s;("=]/g;
  end.lastIndex = start;
  return end.exec(value)?.index ?? value.length;
}

function afterComment(value: string, start: number): number {
  let depth = 0;
  for (let at = start; at < value.length; at += 1) {
    const code = value.charCodeAt(at);
    if (code === BACKSLASH) at += 1;
    else if (code === OPEN) depth += 1;
    else if (code === CLOSE) depth -= 1;
    if (depth === 0) return at + 1;
  }
  return value.length;
}

function readQuoted(value: string, start: number): [text: string, next: number] {
  let text = '';
  for (let at = start + 1; at < value.length; at += 1) {
    const letter = value[at];
    if (letter === '"') return [unfolded(text), at + 1];
    if (letter === '\\') at += 1;
    text += value[at] ?? '';
  }
  return [unfolded(text), value.length];
}

function unfolded(text: string): string {
  return text.replace(/\r?\n/g, '');
}
