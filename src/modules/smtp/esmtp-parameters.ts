/**
 * ESMTP parameters that a script gives with an address.
 *
 * Neither MTA looks at them before it acts: at a parameter of RCPT that Sendmail does not know, or whose value is wrong,
 * it leaves the recipient out and writes a line of its own into the replies to its client; without a value that must be
 * there its process dies. So what passes here is well formed, and either takes effect on both MTAs or does no harm.
 *
 *     RCPT  NOTIFY, ORCPT                  both act on them
 *     MAIL  RET, ENVID                     both act on them
 *           SIZE, BODY, AUTH               Sendmail passes them on, Postfix keeps those of the client
 *           SMTPUTF8                       neither; but a script may hand on what its client gave
 *
 * Others are refused. BY bounces the message on Sendmail where the next hop lacks it and does nothing on Postfix;
 * REQUIRETLS, MT-PRIORITY, HOLDFOR and HOLDUNTIL do nothing on either, and a script that asks for them relies on them.
 *
 * Text is latin1. Sources: RFC 3461, 1870, 6152, 4954, 6531 and 6533; seen on Postfix 3.7 and Sendmail 8.17.
 */
import type { Complaint } from '../../message/header-syntax.ts';

export type EnvelopeCommand = 'MAIL' | 'RCPT';

/** More than all of them can have. */
export const MAX_PARAMS_BYTES = 2000;
const MAX_SHOWN_BYTES = 60;

/** A parameter by its keyword: what its value must be, in words, and whether one is. */
interface Parameter {
  readonly wants: string;
  /** `value` is undefined where there is no `=`. */
  readonly takes: (value: string | undefined) => boolean;
}

const PARAMETERS: Readonly<Record<EnvelopeCommand, ReadonlyMap<string, Parameter>>> = {
  MAIL: new Map([
    ['RET', oneOf('FULL', 'HDRS')],
    ['ENVID', valued('printable ASCII in xtext, up to 100 bytes', (id) => isXtext(id, 100, /^[ -~]+$/))],
    ['SIZE', valued('a number of bytes', (size) => /^\d{1,20}$/.test(size))],
    ['BODY', oneOf('7BIT', '8BITMIME')],
    [
      'AUTH',
      valued('<>, or a mailbox in xtext', (mailbox) => mailbox === '<>' || isXtext(mailbox, 500, /^[ -~]+$/)),
    ],
    // Sendmail reads no further where it does not know it.
    ['SMTPUTF8', { wants: 'no value', takes: (value) => value === undefined }],
  ]),
  RCPT: new Map([
    [
      'NOTIFY',
      valued('NEVER, or a list of SUCCESS, FAILURE and DELAY', (list) =>
        /^(?:NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY))*)$/i.test(list),
      ),
    ],
    ['ORCPT', valued('TYPE;ADDRESS with the address in xtext, up to 500 bytes', isOriginalRecipient)],
  ]),
};

/**
 * ESMTP parameters as one string, from one string or several, each with one parameter or some with blanks between.
 *
 * @returns `params` undefined when there are none
 */
export function joinParameters(
  command: EnvelopeCommand,
  given: readonly string[],
): { readonly params: string | undefined } | Complaint {
  const joined = given.join(' ');
  if (joined.length > MAX_PARAMS_BYTES) {
    return { complaint: `ESMTP parameters of more than ${MAX_PARAMS_BYTES} bytes` };
  }
  if (/[^ -~]/.test(joined)) return { complaint: 'control character or 8-bit byte in ESMTP parameters' };
  const words = new Map<string, string>();
  for (const word of joined.split(' ').filter((text) => text !== '')) {
    const equals = word.indexOf('=');
    const written = equals < 0 ? word : word.slice(0, equals);
    const keyword = written.toUpperCase();
    const value = equals < 0 ? undefined : word.slice(equals + 1);
    const parameter = PARAMETERS[command].get(keyword);
    if (!parameter) return { complaint: unknownParameter(command, written) };
    if (!parameter.takes(value)) return { complaint: `${shown(word)}: ${keyword} takes ${parameter.wants}` };
    if (words.has(keyword)) return { complaint: `${keyword} is there twice` };
    words.set(keyword, word);
  }
  const inOrder = [...PARAMETERS[command].keys()].flatMap((keyword) => words.get(keyword) ?? []);
  return { params: inOrder.length > 0 ? inOrder.join(' ') : undefined };
}

function unknownParameter(command: EnvelopeCommand, written: string): string {
  const known = [...PARAMETERS[command].keys()].join(', ');
  return `${shown(written)} is no parameter of ${command} that Postfix and Sendmail take from a filter: ${known} are`;
}

function shown(word: string): string {
  return word.length > MAX_SHOWN_BYTES ? `${word.slice(0, MAX_SHOWN_BYTES)}...` : word;
}

function valued(wants: string, takes: (value: string) => boolean): Parameter {
  return { wants, takes: (value) => value !== undefined && takes(value) };
}

function oneOf(...values: string[]): Parameter {
  return valued(values.join(' or '), (value) => values.includes(value.toUpperCase()));
}

/** RFC 3461, 4.2. Postfix encodes a backslash of type utf-8 once more. */
function isOriginalRecipient(value: string): boolean {
  const [, type = '', address = ''] = /^([\w-]+);(.+)$/.exec(value) ?? [];
  if (type === '' || value.length > 500) return false;
  return isXtext(
    address,
    500,
    type.toLowerCase() === 'utf-8' ? /^[ -[\]-~\x80-\xff]+$/ : /^[ -~\x80-\xff]+$/,
  );
}

/** RFC 3461, 4: whether `text` is xtext of at most `most` bytes which stands for bytes that `pattern` takes. */
function isXtext(text: string, most: number, pattern: RegExp): boolean {
  if (text.length > most || !/^(?:[!-*,-<>-~]|\+[0-9A-F]{2})+$/.test(text)) return false;
  return pattern.test(
    text.replace(/\+([0-9A-F]{2})/g, (_match, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 16)),
    ),
  );
}
