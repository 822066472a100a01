/**
 * The text of SMFIR_REPLYCODE: SMTP reply lines that both MTAs pass on to the client as they are.
 *
 *     CODE "-" ENHANCED SP text CR LF    each line but the last
 *     CODE SP  ENHANCED SP text          the last; no CR LF after it
 *
 * Postfix: a malformed text costs the whole filter connection (451 4.3.5 to the client). A digit after the code must
 * equal the code's own first digit, which is why an enhanced status code is always there; a single `%` is deleted.
 * Sendmail: the text is a printf format, so a single `%` loses the text; control characters and line ends go to the SMTP
 * client unchecked. Both: line ends inside break the SMTP dialogue.
 *
 * Sources: sendmail/milter.c, sendmail/srvrsmtp.c and sendmail/err.c; Postfix src/milter/milter8.c milter8_event(), and
 * src/smtpd/smtpd_chat.c; RFC 3463 for enhanced status codes, RFC 5321 4.2 for the texts of codes.
 */

/** Most bytes of a text that stays in one line, as the script gave it: smtpf's limit. */
const MAX_SINGLE_TEXT_BYTES = 998;
/** Most bytes of a line in a reply of several, code and enhanced status code included, a doubled `%` as two: libmilter's limit. */
const MAX_LINE_BYTES = 980;
/** libmilter's limit. */
const MAX_LINES = 32;
/**
 * Most bytes of all lines together, their CR LF included. Sendmail cuts a reply at 16 KiB, with the address that it may
 * put in front: what it then sends has no last line, and the client waits for ever.
 */
const MAX_REPLY_BYTES = 14_000;

const ENHANCED_STATUS_CODE = /^\d\.\d{1,3}\.\d{1,3}(?= |$)/;

/** RFC 5321 4.2.2 and 4.2.3; 521 and 556 are RFC 7504's. */
const STANDARD_TEXT: ReadonlyMap<number, string> = new Map([
  [421, 'Service not available, closing transmission channel'],
  [450, 'Requested mail action not taken: mailbox unavailable'],
  [451, 'Requested action aborted: local error in processing'],
  [452, 'Requested action not taken: insufficient system storage'],
  [455, 'Server unable to accommodate parameters'],
  [500, 'Syntax error, command unrecognized'],
  [501, 'Syntax error in parameters or arguments'],
  [502, 'Command not implemented'],
  [503, 'Bad sequence of commands'],
  [504, 'Command parameter not implemented'],
  [521, 'Server does not accept mail'],
  [550, 'Requested action not taken: mailbox unavailable'],
  [551, 'User not local'],
  [552, 'Requested mail action aborted: exceeded storage allocation'],
  [553, 'Requested action not taken: mailbox name not allowed'],
  [554, 'Transaction failed'],
  [555, 'Parameters not recognized or not implemented'],
  [556, 'Domain does not accept mail'],
]);
const STANDARD_DEFERRAL = 'Please try again later';
const STANDARD_REFUSAL = 'Command rejected';

/** `text` is what SMFIR_REPLYCODE carries, without its NUL; `warnings` say what a policy author should change. */
export interface FormattedReply {
  readonly text: string;
  readonly warnings: string[];
}

/**
 * Makes any text safe for the wire and acceptable to both MTAs.
 *
 * An enhanced status code is taken from `enhanced`, else from the start of the text, else it is `c.0.0` of the code's
 * class. One of another class than the code's is dropped. A text of one line that has up to 998 bytes, the enhanced
 * status code in it included, stays one line. A longer one, and lines too long in a text of several, are folded at words
 * into lines of at most 980 bytes. What does not fit into 32 lines and 14000 bytes is cut off.
 *
 * @param code 400 to 599.
 * @param lines latin1 text; line ends within a line (CR LF, CR or LF) separate lines too. None, or blank ones only, stand
 * for the standard text of `code`.
 * @throws RangeError when `code` is not 400 to 599: a filter can refuse for good or for now, nothing else.
 */
export function formatReply(code: number, lines: readonly string[], enhanced?: string): FormattedReply {
  if (!Number.isInteger(code) || code < 400 || code > 599) throw new RangeError(`reply code: ${code}`);
  const warnings: string[] = [];
  const texts = withoutBlankEnds(lines.flatMap((line) => line.split(/\r\n|\r|\n/)).map(printable));
  const inText = ENHANCED_STATUS_CODE.exec(texts[0] ?? '')?.[0];
  const status = chooseStatus(code, enhanced, inText, warnings);

  const bare = withoutBlankEnds(texts.map((text) => withoutStatus(text, [status, inText])));
  const given = bare.length > 0 ? bare : [standardText(code)];
  const isSingle = given.length === 1 && texts.join(' ').length <= MAX_SINGLE_TEXT_BYTES;
  const room = MAX_LINE_BYTES - `${code}-${status} `.length;
  const folded = (isSingle ? given : given.flatMap((text) => fold(text, room))).map(escapePercent);
  const count = isSingle ? 1 : countThatFit(folded, MAX_LINE_BYTES - room);
  if (count < folded.length) {
    warnings.push(`reply ${code}: only the first ${count} lines are sent, of ${folded.length}`);
  }
  const sent = withoutBlankEnds(folded.slice(0, count));
  const last = sent.length - 1;
  const text = sent.map((line, index) => `${code}${index < last ? '-' : ' '}${status} ${line}`).join('\r\n');
  return { text, warnings };
}

/** Controls become blanks, 8-bit bytes `?`: Sendmail would clear their high bit. */
function printable(line: string): string {
  return line.replace(/[^ -~]/g, (char) => (char < ' ' || char === '\x7f' ? ' ' : '?')).trim();
}

function withoutBlankEnds(lines: readonly string[]): string[] {
  const isText = (line: string) => line !== '';
  const first = lines.findIndex(isText);
  return first < 0 ? [] : lines.slice(first, lines.findLastIndex(isText) + 1);
}

/** The enhanced status code for every line: as given apart from the text, else as in the text, else the class's own. */
function chooseStatus(
  code: number,
  given: string | undefined,
  inText: string | undefined,
  warnings: string[],
): string {
  const replyClass = String(code).charAt(0);
  const fits = (status: string | undefined): status is string =>
    status !== undefined &&
    ENHANCED_STATUS_CODE.exec(status)?.[0] === status &&
    status.startsWith(replyClass);

  const status = [given, inText].find(fits) ?? `${replyClass}.0.0`;
  for (const written of [given, inText]) {
    if (written && written !== status) {
      warnings.push(`reply ${code}: enhanced status code ${printable(written)} dropped, ${status} sent`);
    }
  }
  return status;
}

/** `text` without an enhanced status code that its line gets, or that its reply lost, anyway. */
function withoutStatus(text: string, statuses: readonly (string | undefined)[]): string {
  const status = ENHANCED_STATUS_CODE.exec(text)?.[0];
  return status !== undefined && statuses.includes(status) ? text.slice(status.length).trimStart() : text;
}

function standardText(code: number): string {
  return STANDARD_TEXT.get(code) ?? (code < 500 ? STANDARD_DEFERRAL : STANDARD_REFUSAL);
}

function escapePercent(text: string): string {
  return text.replaceAll('%', '%%');
}

/** Splits at blanks into lines that have at most `room` bytes once their `%` is doubled; a longer word is cut. */
function fold(text: string, room: number): string[] {
  const lines: string[] = [];
  let rest = text;
  for (let end = fitting(rest, room); end < rest.length; end = fitting(rest, room)) {
    const blank = rest.lastIndexOf(' ', end);
    if (blank > 0) end = blank;
    lines.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
  lines.push(rest);
  return lines;
}

/** How many bytes from the start of `text` have at most `room` bytes once their `%` is doubled. */
function fitting(text: string, room: number): number {
  let length = 0;
  for (let end = 0; end < text.length; end++) {
    length += text[end] === '%' ? 2 : 1;
    if (length > room) return end;
  }
  return text.length;
}

/** How many of the lines may be sent; `head` is the length of what stands before each. */
function countThatFit(lines: readonly string[], head: number): number {
  let left = MAX_REPLY_BYTES;
  const over = lines.findIndex((line, index) => {
    left -= head + line.length + '\r\n'.length;
    return index >= MAX_LINES || left < 0;
  });
  return over < 0 ? lines.length : over;
}
