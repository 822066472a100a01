/**
 * Addresses of MAIL and RCPT: what the SMTP client wrote -> the mailbox that a policy compares.
 *
 * One mailbox has many spellings that MTAs take: comments, blanks, quotes, source routes, groups, `a%b.example@relay`,
 * `b.example!a`. What the text alone says is said here; what only the MTA can say, it says in the macros {mail_addr} and
 * {rcpt_addr}. These hold what its own tables make of an address as well (Sendmail's virtusertable), in lower case
 * (Postfix) or without the domain (Sendmail, local users). So the macro only chooses between the ways to read what the
 * client wrote; from it comes nothing but the domain of an address without one.
 *
 * Sources: RFC 5321, 4.1.2 and appendix C; RFC 822, 6; Postfix src/global/tok822_parse.c, src/smtpd/smtpd.c
 * extract_addr(), src/trivial-rewrite/{rewrite,resolve}.c; sendmail/parseaddr.c and ruleset 3 of cf/m4/proto.m4; both
 * seen at work. Text is latin1: one character per byte.
 */

import type { MacroReader } from './policy.ts';

/** A mailbox without quotes and escapes. The domain is in lower case. */
export interface Mailbox {
  readonly local: string;
  /** `''` where there is none. */
  readonly domain: string;
}

/** How many ways to read one address are looked at; if none of them fits, what the MTA says counts. */
const MAX_READINGS = 256;

/** What isspace() of C takes, as both MTAs do. */
const BLANKS = ' \t\r\n\v\f';

/** What is special outside of quotes, but for the signs of hops. */
const SPECIAL = /[\s()<>:;,"\\]/;

/** An address with one way to read it: nothing that hides or routes, and a domain that no MTA completes. */
const PLAIN = /^<?[\w#$&'*+\-/=?^`{|}~]+(?:\.[\w#$&'*+\-/=?^`{|}~]+)*@[a-z\d-]+(?:\.[a-z\d-]+)+>?$/;

/** RFC 5321 Dot-string, with bytes above 0x7F as in RFC 6531. */
const DOT_STRING = /^[\w!#$%&'*+\-/=?^`{|}~\x80-\xff]+(?:\.[\w!#$%&'*+\-/=?^`{|}~\x80-\xff]+)*$/;
/** An address literal has no commas, brackets and quotes in it: pathOf() of message/mailbox.ts neither. */
const DOMAIN = /^(?:[\w!#$%&'*+\-./=?^`{|}~\x80-\xff]+|\[[\w!#$%&'*+\-./:;=?^`{|}~\x80-\xff]+\])$/;

/**
 * The mailbox in its canonical form: no quotes and backslashes that are not needed, no comments, blanks, brackets, source
 * route or group, the domain in lower case without final dot, the local part as it is. `''` for the null sender, which
 * mail that did not come by SMTP writes as an empty string (Postfix non_smtpd_milters).
 *
 *     <a@b.example>  "a"@B.Example.  < a (x) @b.example>  <@relay.example,@other.example:a@b.example>   all give a@b.example
 */
export function mailboxOf(written: string): string {
  return isPlain(written) ? bare(written) : formatMailbox(readPath(written));
}

/**
 * The same, read as the MTA reads it: its macros of this command say how. Where they are missing, the text alone counts.
 */
export function understoodMailbox(
  written: string,
  macros: MacroReader,
  macro: '{mail_addr}' | '{rcpt_addr}',
): string {
  if (isPlain(written)) return bare(written);
  const readings = readingsOf(written);
  const [first] = readings as [Mailbox];
  const value = macros.get(macro);
  if (value === undefined || value === '') return formatMailbox(first);
  const said = split(unitsOf(value));
  // Sendmail names a local user without a domain.
  const host = macros.get('j') ?? '';
  const sameLocal = readings.filter(({ local }) => isSameText(local, said.local));
  const reading =
    sameLocal.find(({ domain }) => isSameText(domain, said.domain)) ??
    sameLocal.find(({ domain }) => isCompleted(domain, said.domain)) ??
    sameLocal.find(({ domain }) => domain === '' || isDomain(domain)) ??
    sameLocal[0];
  if (!reading) {
    const explained = first.local === '' ? said.local !== '' : isWrittenIn(said, written);
    return formatMailbox(explained ? withDomain(said, first.domain || host) : first);
  }
  const isIncomplete = isCompleted(reading.domain, said.domain) || !isDomain(reading.domain);
  return formatMailbox(
    isIncomplete && said.domain !== '' ? { ...reading, domain: said.domain } : withDomain(reading, host),
  );
}

/** The way to read a path that needs no MTA. */
export function readPath(written: string): Mailbox {
  return split(withoutRoutes(withoutGroup(withinBrackets(unitsOf(written)))));
}

/** The same where a group is no group, as at Sendmail. */
export function readPathWithoutGroups(written: string): Mailbox {
  const units = withinBrackets(unitsOf(written));
  return split(withoutRoutes(units.slice(0, endOf(units))));
}

/** A domain in its canonical form. */
export function domainOf(text: string): string {
  // Case and final dots say nothing, nor do blanks after a backslash.
  if (text.startsWith('[')) return lowerCase(text).replace(/^\[ipv6:/, '[IPv6:');
  return lowerCase(text.replace(/[ \t]/g, '').replace(/\.+$/, ''));
}

/** Whether `mailbox`, in canonical form, is what an MTA may make of the text. */
export function mayMean(written: string, mailbox: string): boolean {
  const meant = split(unitsOf(mailbox));
  return readingsOf(written).some(
    ({ local, domain }) =>
      local === meant.local && (domain === meant.domain || isCompleted(domain, meant.domain)),
  );
}

/**
 * The address that Postfix takes out of a path, still in the client's spelling: without outer brackets, group and first
 * route. It compares the recipients that a filter deletes with this.
 */
export function innerPath(written: string): string {
  const units = withoutRoute(withoutGroup(withinBrackets(unitsOf(written))));
  const [first, last] = [units[0], units.at(-1)];
  return first && last ? written.slice(first.begin, last.end) : '';
}

/** `local@domain`, the local part quoted where it must be. */
export function formatMailbox({ local, domain }: Mailbox): string {
  if (domain === '') return local === '' || DOT_STRING.test(local) ? local : quoted(local);
  if (!isDomain(domain)) return quoted(`${local}@${domain}`);
  return `${DOT_STRING.test(local) ? local : quoted(local)}@${domain}`;
}

function isDomain(text: string): boolean {
  return DOMAIN.test(text);
}

function quoted(local: string): string {
  return `"${local.replace(/["\\]/g, '\\$&')}"`;
}

function isPlain(written: string): boolean {
  return PLAIN.test(written) && written.startsWith('<') === written.endsWith('>');
}

function bare(written: string): string {
  return written.startsWith('<') ? written.slice(1, -1) : written;
}

/** One character of an address. */
interface Unit {
  readonly char: string;
  /** It stands for itself: it was quoted, escaped or in an address literal. */
  readonly literal: boolean;
  /** Blanks or comments stand before it. */
  readonly apart: boolean;
  /** Where it stands in the text, with what quotes or escapes it. */
  readonly begin: number;
  end: number;
}

/** The text without quotes, backslashes, comments and blanks. What is not closed lasts to the end. */
function unitsOf(text: string): Unit[] {
  const units: Unit[] = [];
  let apart = false;
  const add = (char: string, literal: boolean, begin: number, end: number) => {
    // A line end within quotes is a blank to Postfix.
    units.push({ char: char === '\r' || char === '\n' ? ' ' : char, literal, apart, begin, end });
    apart = false;
  };
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (BLANKS.includes(char)) apart = true;
    else if (char === '(') {
      at = endOfComment(text, at);
      apart = true;
    } else if (char === '\\' && at + 1 < text.length) {
      at += 1;
      add(text.charAt(at), true, at - 1, at + 1);
    } else if (char === '"') {
      const open = at;
      const before = units.length;
      for (at += 1; at < text.length && text[at] !== '"'; at++) {
        if (text[at] === '\\' && at + 1 < text.length) at += 1;
        add(text.charAt(at), true, open, at + 1);
      }
      // Whoever cuts after the last character means the closing quote too.
      const last = units.at(-1);
      if (last && units.length > before) last.end = at + 1;
    } else if (char === '[') {
      const close = text.slice(at).search(/[\]@<>"]/);
      const end = close > 0 && text[at + close] === ']' ? at + close : at;
      for (; at <= end; at++) if (!/[ \t\\]/.test(text.charAt(at))) add(text.charAt(at), true, at, at + 1);
      at = end;
    } else add(char, false, at, at + 1);
  }
  return units;
}

/** Position of the parenthesis that closes the comment opened at `at`. */
function endOfComment(text: string, at: number): number {
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === '(') depth += 1;
    else if (text[i] === ')') {
      depth -= 1;
      if (depth === 0) return i;
    }
  }
  return text.length;
}

function is(unit: Unit | undefined, chars: string): boolean {
  return unit !== undefined && !unit.literal && chars.includes(unit.char);
}

function indexOf(units: readonly Unit[], char: string): number {
  return units.findIndex((unit) => is(unit, char));
}

function lastIndexOf(units: readonly Unit[], char: string): number {
  return units.findLastIndex((unit) => is(unit, char));
}

/** What stands in the innermost and last angle brackets. */
function withinBrackets(units: readonly Unit[]): readonly Unit[] {
  const inner = units.slice(lastIndexOf(units, '<') + 1);
  const close = indexOf(inner, '>');
  return close < 0 ? inner : inner.slice(0, close);
}

/** `name: address;` and what is left of it: `;address`, `address,`. */
function withoutGroup(units: readonly Unit[]): readonly Unit[] {
  const end = endOf(units);
  let begin = 0;
  while (begin < end && is(units[begin], ',;')) begin += 1;
  let inner = units.slice(begin, end);
  // An empty group stands in front.
  const separator = Math.max(lastIndexOf(inner, ';'), lastIndexOf(inner, ','));
  if (separator > 0 && is(inner[separator - 1], ':')) inner = inner.slice(separator + 1);
  return end < units.length && !is(inner[0], '@') ? inner.slice(lastIndexOf(inner, ':') + 1) : inner;
}

/** Where the separators at the end begin. */
function endOf(units: readonly Unit[]): number {
  return units.findLastIndex((unit) => !is(unit, ',;')) + 1;
}

function withoutRoute(units: readonly Unit[]): readonly Unit[] {
  return is(units[0], '@') ? units.slice(indexOf(units, ':') + 1) : units;
}

function withoutRoutes(units: readonly Unit[]): readonly Unit[] {
  let rest = units;
  for (;;) {
    const shorter = withoutRoute(rest);
    if (shorter.length === rest.length) return rest;
    rest = shorter;
  }
}

function split(units: readonly Unit[]): Mailbox {
  let end = units.length;
  while (end > 1 && is(units[end - 1], '@')) end -= 1;
  const at = lastIndexOf(units.slice(0, end), '@');
  if (at < 0) return { local: joined(units.slice(0, end)), domain: '' };
  return { local: joined(units.slice(0, at)), domain: domainOf(joined(units.slice(at + 1, end))) };
}

/** Words that blanks keep apart are joined by a dot, as Sendmail does; Postfix takes none. */
function joined(units: readonly Unit[]): string {
  let text = '';
  units.forEach((unit, i) => {
    const before = units[i - 1];
    if (unit.apart && before && !isOperator(unit) && !isOperator(before)) text += '.';
    text += unit.char;
  });
  return text;
}

function isOperator(unit: Unit): boolean {
  return is(unit, '.:;,%@!^/[]+');
}

/** All ways to read a path, that of the text alone first. What was in quotes may be an address once more to the MTA. */
function readingsOf(written: string): Mailbox[] {
  const readings: Mailbox[] = [];
  const known = new Set<string>();
  const add = (mailbox: Mailbox) => {
    const key = `${mailbox.local}\0${mailbox.domain}`;
    if (known.has(key)) return;
    known.add(key);
    readings.push(mailbox);
  };
  add(readPath(written));
  add(readPathWithoutGroups(written));
  for (let i = 0; i < readings.length && readings.length < MAX_READINGS; i++) {
    const { local, domain: outer } = readings[i] as Mailbox;
    const at = local.lastIndexOf('@');
    const percent = local.lastIndexOf('%');
    const bang = local.indexOf('!');
    const inner = [
      at >= 0 && { local: local.slice(0, at), domain: domainOf(local.slice(at + 1)) },
      bang >= 0 && { local: local.slice(bang + 1), domain: domainOf(local.slice(0, bang)) },
      percent >= 0 && { local: local.slice(0, percent), domain: domainOf(local.slice(percent + 1)) },
    ];
    for (const mailbox of inner) if (mailbox && mailbox.domain !== '') add(mailbox);
    if (SPECIAL.test(local)) {
      for (const again of [readPath(local), readPathWithoutGroups(local)]) {
        if (again.local !== '') add(again.domain === '' ? { local: again.local, domain: outer } : again);
      }
    }
  }
  return readings;
}

/** Whether the MTA has put its domain where there was none, or its own behind a short name. */
function isCompleted(domain: string, said: string): boolean {
  if (said === '' || domain.startsWith('[')) return false;
  return domain === '' || (!domain.includes('.') && said.startsWith(`${domain}.`));
}

/** A mailbox without a domain gets this one. The null sender has none. */
function withDomain(mailbox: Mailbox, domain: string): Mailbox {
  if (mailbox.domain !== '' || mailbox.local === '') return mailbox;
  return { local: mailbox.local, domain: domainOf(domain) };
}

/** Whether the text has the mailbox in it, in whatever way, so that no table of the MTA brought it in. */
function isWrittenIn({ local, domain }: Mailbox, written: string): boolean {
  if (local === '') return domain !== '';
  const text = joined(unitsOf(written).map((unit) => ({ ...unit, literal: false })));
  const words = lowerCase(text).split(/[@%!:;,<>]/);
  return words.includes(lowerCase(local)) && (domain === '' || words.includes(domain));
}

function isSameText(one: string, other: string): boolean {
  return one === other || lowerCase(one) === lowerCase(other);
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Letters of UTF-8 text (RFC 6531) too; other bytes above 0x7F stay what they are. */
function lowerCase(text: string): string {
  if (!/[\x80-\xff]/.test(text)) return text.toLowerCase();
  const bytes = Buffer.from(text, 'latin1');
  try {
    return Buffer.from(UTF8.decode(bytes).toLowerCase()).toString('latin1');
  } catch {
    return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  }
}
