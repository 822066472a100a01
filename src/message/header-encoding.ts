/**
 * Text that a script puts into a header -> what may stand there (RFC 5322, 2.2): bytes above 127 and controls become
 * encoded words (RFC 2047) or parameters (RFC 2231), by the rules of the header. The other way round of header-text.ts:
 * what header.get() gives decodes to the same when it has been written back.
 *
 * Only text is encoded. Where a header can have none, as in an address, bytes stay as they are.
 */
import { elementsOf, type Mailbox } from './address-list.ts';
import { meaningOf, type Token, tokensOf } from './address-tokens.ts';
import { endOfEncodedWord } from './encoded-words.ts';
import { FoldedLines, hexOf, isUtf8, unitsOf } from './folded-lines.ts';
import { headerKind } from './header-kind.ts';
import { MAX_HEADER_BYTES } from './header-syntax.ts';
import { pathOf } from './mailbox.ts';
import type { Slices } from './slices.ts';

export interface Encoding {
  /** The message is one of SMTPUTF8 (RFC 6532): UTF-8 stays as it is. */
  readonly utf8: boolean;
  /** The text is a header line, in which encoded words are encoded words; else they are text that looks like such. */
  readonly line: boolean;
}

/** Longer words and gaps are encoded: in the middle of them no line can end. */
const MAX_WORD = 900;
const MAX_GAP = 60;
/** Of a display name that is encoded: what is beyond is left out, so that what stands before it is not. */
const MAX_NAME = 10_000;
/** Of text that is encoded at a time. */
const MAX_RUN = 4096;

/**
 * The value with what mail cannot carry encoded and folded; as it is where there is nothing to encode.
 *
 * What does not fit into a header is left out, at the end: text of a stranger can grow by far when it is decoded and
 * encoded, and must not make the script fail. Of an address list the end of a long name is, or whole members; the first
 * that does not fit keeps its address, without the name.
 *
 * @param name of the header
 * @param value what stands after the colon, latin1, folds as LF and white space
 */
export function* encodeHeader(name: string, value: string, encoding: Encoding): Slices<string> {
  const text = value.replaceAll('\n', '');
  const kind = headerKind(name);
  const rules = new Rules(encoding);
  const room = MAX_HEADER_BYTES - name.length;
  const isShort = value.length <= room && (kind !== 'text' || text.length <= MAX_WORD);
  if (isShort && !rules.concerns(text)) return value;
  const lines = new FoldedLines(name.length + 1, room);
  switch (kind) {
    case 'text':
      yield* encodeText(lines, text, rules);
      break;
    case 'addresses': {
      const short = yield* encodeAddresses(lines, text, rules);
      if (short !== undefined) return short;
      break;
    }
    case 'parameters':
      yield* encodeParameters(lines, text, rules);
      break;
    case 'tokens':
      for (const token of tokensOf(text)) {
        yield* encodeComment(lines, '', token, rules);
        yield 'pause';
      }
      break;
    default:
      kind satisfies never;
  }
  if (lines.isFull) return lines.fitting;
  return lines.value.replaceAll('\n', '') === text ? value : lines.value;
}

/** What has to be encoded. */
class Rules {
  readonly line: boolean;
  readonly #utf8: boolean;

  constructor({ utf8, line }: Encoding) {
    this.#utf8 = utf8;
    this.line = line;
  }

  /** Whether the text cannot stand in a header as it is, or would be read as something else. */
  concerns(text: string): boolean {
    return this.concernsBytes(text) || (!this.line && text.includes('=?'));
  }

  /** Whether it has bytes that cannot stand in a header. */
  concernsBytes(text: string): boolean {
    if (/[^\t -~\x80-\xff]/.test(text)) return true;
    return /[\x80-\xff]/.test(text) && !(this.#utf8 && isUtf8(text));
  }
}

const asIs = (text: string): string => text;

/**
 * Words that must be encoded and stand side by side are encoded as one text, with the blanks between them.
 *
 * @param plain what to write for a word that needs no encoding
 */
function* encodeText(lines: FoldedLines, text: string, rules: Rules, plain = asIs): Slices<void> {
  let run: { blanks: string; text: string } | undefined;
  let afterWord = false; // An encoded word that stood there: blanks between it and another would be lost.
  const end = (): void => {
    if (run) lines.encode(run.blanks, run.text);
    run = undefined;
  };
  for (const [, blanks = '', word = ''] of text.matchAll(/([ \t]*)([^ \t]*)/g)) {
    if (lines.isFull) return;
    const isEncoded = rules.line && isEncodedWord(word);
    const isWide = !rules.line && blanks.length > MAX_GAP;
    const mustBe = word !== '' && (rules.concerns(word) || isWide || (!rules.line && word.length > MAX_WORD));
    if (mustBe && run) {
      run.text += blanks + word;
    } else if (mustBe) {
      // The first blank of a wide gap stays one.
      const plainBlanks = isWide ? 1 : blanks.length;
      run = afterWord
        ? { blanks: ' ', text: blanks + word }
        : { blanks: blanks.slice(0, plainBlanks), text: blanks.slice(plainBlanks) + word };
    } else if (isEncoded && run) {
      run.text += blanks;
      end();
      lines.put(' ', plain(word));
    } else {
      end();
      lines.put(blanks, plain(word));
    }
    afterWord = isEncoded;
    if (run && !rules.line && run.text.length > MAX_RUN) {
      end();
      afterWord = true;
    }
    yield 'pause';
  }
  end();
}

function isEncodedWord(word: string): boolean {
  return word.startsWith('=?') && endOfEncodedWord(word, 0) === word.length;
}

/**
 * In names and comments alone.
 *
 * @returns what to write instead where the list does not fit
 */
function* encodeAddresses(lines: FoldedLines, list: string, rules: Rules): Slices<string | undefined> {
  let blanks = '';
  let cluster: Token[] = []; // Of a name, without blanks between.
  let clusterBlanks = '';
  let run: { blanks: string; text: string } | undefined;
  let afterRun = false;
  let before: Token['kind'] | 'encoded' | undefined; // What was written last, comments left out.
  const endRun = (): void => {
    if (run) lines.encode(run.blanks, beginningOf(run.text));
    afterRun = run !== undefined;
    run = undefined;
  };
  const endCluster = (): void => {
    if (cluster.length === 0) return;
    const text = cluster.map(meaningOf).join('');
    if (cluster.some((token) => rules.concerns(token.kind === 'quoted' ? meaningOf(token) : token.text))) {
      if (run) run.text += clusterBlanks + text;
      else {
        if (before === '@' || before === '.') lines.put('', ','); // Nor of its domain.
        run = { blanks: clusterBlanks || (lines.value === '' ? '' : ' '), text };
      }
      before = 'encoded';
    } else {
      endRun();
      lines.put(clusterBlanks || (afterRun ? ' ' : ''), cluster.map((token) => token.text).join(''));
      afterRun = false;
      before = undefined;
    }
    cluster = [];
  };
  let whole = 0; // Up to where all members are complete.
  let mailboxes: readonly Mailbox[] = [];
  for (const element of elementsOf(list)) {
    mailboxes = element.mailboxes;
    for (const token of element.tokens) {
      if (token.kind === 'blank') {
        endCluster();
        blanks += token.text;
      } else if (token.forPeople) {
        if (cluster.length === 0) clusterBlanks = blanks;
        blanks = '';
        cluster.push(token);
      } else {
        endCluster();
        // In malformed lists an encoded word must not become part of an address.
        const mustEnd =
          (token.kind === '@' || token.kind === '.') && (run !== undefined || before === 'encoded');
        endRun();
        if (mustEnd) lines.put('', ',');
        if (token.kind !== 'comment') before = token.kind;
        yield* encodeComment(lines, blanks || (afterRun ? ' ' : ''), token, rules);
        afterRun = false;
        blanks = '';
      }
    }
    if (lines.isFull) return shortened(lines, whole, mailboxes);
    whole = lines.value.length;
    yield 'pause';
  }
  endCluster();
  endRun();
  lines.put('', blanks);
  return lines.isFull ? shortened(lines, whole, mailboxes) : undefined;
}

/** A character of UTF-8 is not divided. */
function beginningOf(name: string): string {
  if (name.length <= MAX_NAME) return name;
  const beginning = name.slice(0, MAX_NAME);
  return /^[\x80-\xbf]/.test(name.slice(MAX_NAME))
    ? beginning.replace(/[\xc2-\xf4][\x80-\xbf]*$/, '')
    : beginning;
}

/** The members that fit, and the addresses of the next, without its name. */
function shortened(lines: FoldedLines, whole: number, next: readonly Mailbox[]): string {
  const head = lines.value.slice(0, whole);
  const paths = next
    .map(({ addr }) => pathOf(addr))
    .flatMap((result) => ('path' in result ? [result.path] : []));
  const addresses = paths.filter((path) => path !== '<>').join(', ');
  const isShort = addresses !== '' && whole + 1 + addresses.length <= lines.room;
  return isShort ? `${head} ${addresses}` : head.replace(/[,\s]+$/, '') || ' ';
}

/** Writes a token, the text in it encoded if it is a comment. */
function* encodeComment(
  lines: FoldedLines,
  blanks: string,
  { kind, text }: Token,
  rules: Rules,
): Slices<void> {
  if (kind !== 'comment' || !rules.concerns(text)) {
    lines.put(blanks, text);
    return;
  }
  let before = blanks;
  let said = '';
  const end = function* (): Slices<void> {
    if (said !== '') yield* encodeText(lines, said, rules, (word) => word.replace(/[()\\]/g, '\\$&'));
    said = '';
  };
  for (const [part] of text.matchAll(/\\.?|[()]|[^()\\]+/gs)) {
    if (part === '(' || part === ')') {
      yield* end();
      lines.put(before, part);
      before = '';
    } else {
      said += part.startsWith('\\') ? part.slice(1) : part;
    }
  }
  yield* end();
}

/** Values become `name*=utf-8''...` (RFC 2231), in several parts where they are long; comments have encoded words. */
function* encodeParameters(lines: FoldedLines, text: string, rules: Rules): Slices<void> {
  let blanks = '';
  let cluster: Token[] = []; // Without blanks between.
  const end = (): void => {
    const [first] = cluster;
    const [, name = '', star = '', start = ''] = (first?.kind === 'atom' && PARAMETER.exec(first.text)) || [];
    const value = start + cluster.slice(1).map(meaningOf).join('');
    const isConcerned = TEXT_PARAMETER.test(name) ? rules.concerns(value) : rules.concernsBytes(value);
    if (name !== '' && isConcerned && /^(\*\d*\*)?$/.test(star)) {
      putParameter(lines, blanks || ' ', name, star, value);
    } else {
      lines.put(blanks, cluster.map((token) => token.text).join(''));
    }
    cluster = [];
    blanks = '';
  };
  for (const token of tokensOf(text)) {
    const isPart = !(token.kind === 'blank' || token.kind === 'comment' || token.kind === ';');
    if (isPart) {
      cluster.push(token);
      yield 'pause';
      continue;
    }
    if (cluster.length > 0) end();
    if (token.kind === 'blank') {
      blanks += token.text;
    } else {
      yield* encodeComment(lines, blanks, token, rules);
      blanks = '';
    }
  }
  end();
}

const PARAMETER = /^([^=*]+)(\*\d*\*?|)=(.*)$/s;
const TEXT_PARAMETER = /^(name|filename)$/i;
/** Of a parameter's part in a line: short enough for a blank and a semicolon too. */
const MAX_PART = 72;

/** @param star `*` and the like behind the name, where the value is encoded already */
function putParameter(lines: FoldedLines, blanks: string, name: string, star: string, value: string): void {
  if (star !== '') {
    lines.put(blanks, `${name}${star}=${value.replace(/[^!-~]/g, (byte) => `%${hexOf(byte)}`)}`);
    return;
  }
  const charset = isUtf8(value) ? 'utf-8' : 'unknown-8bit';
  const units = unitsOf(value).map((unit) =>
    unit.replace(/[^\w!#$&+\-.^`{|}~]/g, (byte) => `%${hexOf(byte)}`),
  );
  const whole = `${name}*=${charset}''${units.join('')}`;
  if (whole.length <= MAX_PART) {
    lines.put(blanks, whole);
    return;
  }
  let part = `${name}*0*=${charset}''`;
  let count = 1;
  for (const unit of units) {
    if (part.length + unit.length > MAX_PART) {
      lines.put(count === 1 ? blanks : ' ', `${part};`);
      part = `${name}*${count}*=`;
      count += 1;
    }
    part += unit;
  }
  lines.put(' ', part);
}
