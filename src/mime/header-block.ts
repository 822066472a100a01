/**
 * The header block of a part, and values with parameters (RFC 2045, 2183, 2231) as they are found in the wild.
 *
 * Text is latin1. Where mail programs read the same bytes differently, all readings are kept: a parameter given twice has
 * two values, and which of them counts is decided by who asks.
 */

export interface HeaderLine {
  /** In lower case, without blanks around it. */
  readonly name: string;
  /** Unfolded: line ends are gone, the white space after them is kept. */
  readonly value: string;
  /** The whole field as it stands there, without its last line end. */
  readonly text: string;
}

/** `complete`: no line of the block was something else than a header or its continuation. */
export interface HeaderBlock {
  readonly lines: readonly HeaderLine[];
  readonly complete: boolean;
  /** There are more than are looked at. */
  readonly isCut: boolean;
}

/** Headers of one part that are looked at. */
const MAX_LINES = 1000;

/** Reads the lines of a header block; what is no header is left out. */
export function parseHeaderBlock(text: string): HeaderBlock {
  const lines: RawLine[] = [];
  let complete = true;
  for (const line of text.split(/\r?\n|\r/)) {
    if (line === '') continue;
    const last = lines.at(-1);
    if (/^[ \t]/.test(line)) {
      if (last) last.pieces.push(line);
      else complete = false;
      continue;
    }
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0)).trim();
    // Blanks before the colon are not allowed, and are taken by most programs.
    if (colon < 1 || !/^[!-9;-~]+$/.test(name)) complete = false;
    else if (lines.length >= MAX_LINES) return { lines: joined(lines), complete, isCut: true };
    else lines.push({ name: name.toLowerCase(), colon, pieces: [line] });
  }
  return { lines: joined(lines), complete, isCut: false };
}

interface RawLine {
  readonly name: string;
  readonly colon: number;
  readonly pieces: string[];
}

const joined = (lines: readonly RawLine[]): HeaderLine[] =>
  lines.map(({ name, colon, pieces }) => ({
    name,
    value: pieces.join('').slice(colon + 1),
    text: pieces.join('\r\n'),
  }));

/** A value as Content-Type and Content-Disposition have them. */
export interface ParameterValue {
  /** What stands before the first `;`, in lower case, without comments and blanks. */
  readonly value: string;
  readonly parameters: Parameters;
}

/** Values by name in lower case; more than one where the name was given again. */
export type Parameters = ReadonlyMap<string, readonly ParameterText[]>;

export interface ParameterText {
  /** Its bytes in latin1: percent signs (RFC 2231) are decoded, words (RFC 2047) are not. */
  readonly text: string;
  /** The charset that RFC 2231 names, in lower case; undefined without one. */
  readonly charset: string | undefined;
}

/** Parameters that are read whatever they are called; of those behind, as many of the last that count here. */
const MAX_PARAMETERS = 200;
const OF_INTEREST = /name|boundary|charset/i;

export function parseParameterValue(text: string): ParameterValue {
  const pieces = splitAt(text);
  const [first = ''] = pieces;
  // Some programs read a parameter that no semicolon divides from what is before it.
  const main = first.includes('=') ? first.slice(0, first.indexOf('=')).replace(/\S*\s*$/, '') : first;
  const value = main
    .replace(/\([^)]*\)/g, '')
    .replace(/[\s"]+/g, '')
    .toLowerCase();
  const parameters = new ParameterMap();
  addParameters(pieces, parameters);
  // Other programs see other parameters where quotes and comments are not as the standard has them.
  for (const others of [splitAtValues(text, true), text.includes('\\') ? splitAtValues(text, false) : []]) {
    if (others.some((piece, i) => piece !== pieces[i])) addParameters(others, parameters);
  }
  return { value, parameters: parameters.values };
}

type Sections = Map<number, { text: string; isEncoded: boolean }>;

function addParameters(pieces: readonly string[], parameters: ParameterMap): void {
  const split = new Map<string, { first: Sections; last: Sections }>();
  const further = pieces.slice(MAX_PARAMETERS + 1).filter((piece) => OF_INTEREST.test(piece));
  // Of a name that is given often, some take the first and others the last.
  const counted = [...pieces.slice(0, MAX_PARAMETERS + 1), ...further.slice(-MAX_PARAMETERS)];
  for (const { name, given } of counted.flatMap(assignmentsIn)) {
    const [, base, number, star] = /^([^*]+)(?:\*(\d{1,3}))?(\*)?$/.exec(name) ?? [];
    if (base === undefined) continue;
    const isEncoded = star !== undefined;
    if (number === undefined) {
      parameters.add(base, isEncoded ? extended(given) : { text: given, charset: undefined });
      continue;
    }
    const { first, last } = split.get(base) ?? { first: new Map(), last: new Map() };
    const section = { text: given, isEncoded };
    // One that is given twice: some take the first, others the last.
    if (!first.has(Number(number))) first.set(Number(number), section);
    last.set(Number(number), section);
    split.set(base, { first, last });
  }
  for (const [name, { first, last }] of split) {
    for (const sections of [first, last]) {
      parameters.add(name, putTogether(sections, false));
      parameters.add(name, putTogether(sections, true));
    }
  }
}

/** Parameters that no semicolon divides are looked for in a piece. */
const MOST_IN_PIECE = 10;

/** `name=value` in a piece; where more follows, with it and without it, as programs differ in that. */
function assignmentsIn(piece: string): { name: string; given: string }[] {
  const found: { name: string; given: string }[] = [];
  let rest = piece;
  for (
    let equals = rest.indexOf('=');
    equals >= 0 && found.length < MOST_IN_PIECE;
    equals = rest.indexOf('=')
  ) {
    const name = rest.slice(0, equals).trim().split(/\s+/).at(-1)?.toLowerCase() ?? '';
    const whole = rest.slice(equals + 1).trim();
    const own = whole.startsWith('"') ? quotedIn(whole) : (/^\S+/.exec(whole)?.[0] ?? '');
    found.push({ name, given: unquoted(whole) });
    rest = whole.slice(own.length);
    const isName = own.startsWith('"') || (/[.%]|=\?/.test(own) && !/^\s*=\?/.test(rest));
    if (rest !== '' && isName) found.push({ name, given: unquoted(own) });
  }
  return found;
}

/** The quoted string that the text begins with, quotes included; all of it where nothing ends it. */
function quotedIn(text: string): string {
  for (let at = 1; at < text.length; at++) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return text.slice(0, at + 1);
  }
  return text;
}

/** Values by name, each once. */
class ParameterMap {
  readonly values = new Map<string, ParameterText[]>();
  readonly #known = new Set<string>();

  add(name: string, text: ParameterText): void {
    const key = `${name}*${text.charset ?? ''}*${text.text}`;
    if (this.#known.has(key)) return;
    this.#known.add(key);
    const given = this.values.get(name);
    if (given) given.push(text);
    else this.values.set(name, [text]);
  }
}

/**
 * The sections of RFC 2231 in their order: 0, 1, 2, ... up to the first that is missing.
 * @param isLenient all of them, as some programs have it
 */
function putTogether(
  sections: ReadonlyMap<number, { text: string; isEncoded: boolean }>,
  isLenient: boolean,
): ParameterText {
  const numbers = [...sections.keys()].sort((a, b) => a - b);
  const used = isLenient ? numbers : numbers.filter((number, i) => number === i);
  let text = '';
  let charset: string | undefined;
  for (const [i, number] of used.entries()) {
    const section = sections.get(number);
    if (!section) continue;
    if (!section.isEncoded) text += section.text;
    else if (i > 0) text += percentDecoded(section.text);
    else {
      const first = extended(section.text);
      charset = first.charset;
      text += first.text;
    }
  }
  return { text, charset };
}

/** `charset'language'text%20` */
function extended(text: string): ParameterText {
  const [, charset, , rest] = /^([A-Za-z0-9_.:+-]{0,60})'([A-Za-z0-9-]{0,60})'(.*)$/s.exec(text) ?? [];
  if (rest === undefined) return { text: percentDecoded(text), charset: undefined };
  return { text: percentDecoded(rest), charset: charset === '' ? undefined : charset?.toLowerCase() };
}

function percentDecoded(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16)));
}

/** The text between semicolons that stand in no quotes and no comment; comments are left out. */
function splitAt(text: string): string[] {
  const pieces: string[] = [];
  let piece = '';
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i] ?? '';
    if (character === '\\' && (quoted || depth > 0)) {
      if (depth === 0) piece += character + (text[i + 1] ?? '');
      i += 1;
    } else if (quoted) {
      if (character === '"') quoted = false;
      piece += character;
    } else if (depth > 0) {
      if (character === '(') depth += 1;
      else if (character === ')') depth -= 1;
    } else if (character === '(' && (piece === '' || /\s/.test(text[i - 1] ?? ''))) {
      // A bracket inside a value belongs to it: name=report(1).pdf
      depth = 1;
    } else if (character === ';') {
      pieces.push(piece);
      piece = '';
    } else {
      if (character === '"') quoted = true;
      piece += character;
    }
  }
  pieces.push(piece);
  return pieces;
}

/** The text between semicolons, where quotes are some at the beginning of a value only, and brackets no comments. */
function splitAtValues(text: string, hasEscapes: boolean): string[] {
  const pieces: string[] = [];
  let from = 0;
  let isQuoted = false;
  let isValue = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? '';
    if (isQuoted) {
      if (character === '\\' && hasEscapes) at += 1;
      else if (character === '"') isQuoted = false;
    } else if (character === '"' && isValue) isQuoted = true;
    else if (character === ';') {
      pieces.push(text.slice(from, at));
      from = at + 1;
      isValue = false;
    } else isValue = character === '=' || (isValue && /\s/.test(character));
  }
  pieces.push(text.slice(from));
  return pieces;
}

/** Without the quotes around it, and the backslashes in them that quote a quote or a backslash. */
function unquoted(text: string): string {
  const trimmed = text.trim();
  if (!trimmed.startsWith('"')) return trimmed;
  const inner = trimmed.slice(1, trimmed.length > 1 && trimmed.endsWith('"') ? -1 : undefined);
  // Windows programs put paths in quotes without doubling their backslashes.
  return inner.replace(/\\(["\\])/g, '$1');
}
