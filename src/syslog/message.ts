/**
 * One log record as the bytes of one line: RFC 3164 for log servers, a plain line for people.
 *
 *     local     <22>Nov  5 14:52:01 ident[pid]: text            as glibc's syslog(3) writes to /dev/log
 *     remote    <22>Nov  5 14:52:01 host ident[pid]: text       RFC 3164 section 4.1
 *     console   2026-11-05 14:52:01.123 info ident[pid]: text
 *     journal   <6>ident[pid]: text                             sd-daemon(3), for a unit's stderr
 *
 * A record can never become two lines or move a terminal's cursor: control bytes are written `#ooo` in octal, as
 * rsyslog itself does (`$EscapeControlCharactersOnReceive`), as are the characters that visible.ts finds harmful, byte by
 * byte. Other 8-bit bytes pass unchanged.
 */

import { jsonOf } from '../text/json-text.ts';
import { harmless } from '../text/visible.ts';

/** What needs no escaping, as nearly all texts: printable ASCII. */
const PLAIN = /^[ -~]*$/;

/** Keyword, value and order of POSIX's severities. */
export const SEVERITIES = ['emerg', 'alert', 'crit', 'error', 'warning', 'notice', 'info', 'debug'] as const;

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** Longer idents are cut: RFC 3164 gives a tag 32 characters, rsyslog takes many more. */
const MAX_IDENT_CHARS = 48;

const CUT = '...';

export interface LogRecord {
  /** 0 to 23, not shifted: 2 is mail. */
  readonly facility: number;
  /** 0 (emergency) to 7 (debug). */
  readonly severity: number;
  readonly ident: string;
  /** Whether the process id stands behind the ident. */
  readonly pid: boolean;
  /** Latin1, one character per byte; a character above U+00FF stands for its UTF-8 bytes. */
  readonly text: string;
  /** What a log in JSON says besides; strings are latin1. */
  readonly fields?: () => Readonly<Record<string, unknown>>;
}

/** The number in `<...>`: facility and severity as one (RFC 3164 section 4.1.1). */
export function priority(facility: number, severity: number): number {
  return facility * 8 + severity;
}

/**
 * Makes text safe to be one line of a log: trailing line ends go, control bytes become `#ooo`.
 *
 * @param text latin1; characters above U+00FF are taken as UTF-8 first, so that none can end up as a control byte
 * @param maxBytes what is longer is cut, between characters of UTF-8, and ends in `...`
 * @returns latin1, at most `maxBytes` characters of 0x20-0x7e and 0x80-0xff
 */
export function escapeText(text: string, maxBytes: number): string {
  const bytes = /[\u0100-\uffff]/.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === '\n' || bytes[end - 1] === '\r')) end--;
  // Escaping never shortens: what is cut away here would be cut away below.
  const line = bytes.slice(0, Math.min(end, maxBytes + 1));
  if (PLAIN.test(line)) return cut(line, maxBytes);
  return cut(harmless(line, octal), maxBytes);
}

/** A byte from A0 on that is no UTF-8 can do no harm, and is a letter to who reads latin1. */
function octal(bytes: string): string {
  if (bytes.length === 1 && bytes >= '\xa0') return bytes;
  return bytes.replace(/./gs, (byte) => `#${byte.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

function cut(bytes: string, maxBytes: number): string {
  if (bytes.length <= maxBytes) return bytes;
  let end = Math.max(0, maxBytes - CUT.length);
  // At most three continuation bytes: text that is not UTF-8 must not be eaten up.
  for (let i = 0; i < 3 && /[\x80-\xbf]/.test(bytes.charAt(end)); i++) end--;
  return bytes.slice(0, end) + CUT.slice(0, maxBytes);
}

/** The tag `ident[pid]:` or `ident:`; what a syslog daemon would take for the tag's end becomes `_`. */
export function formatTag(ident: string, pid: number | null): string {
  const name = ident.slice(0, MAX_IDENT_CHARS).replace(/[^!-~]|[[\]:]/g, '_') || '-';
  return pid === null ? `${name}:` : `${name}[${pid}]:`;
}

/** `Nov  5 14:52:01` in local time (RFC 3164 section 4.1.2). */
export function formatTimestamp(time: Date): string {
  const day = String(time.getDate()).padStart(2, ' ');
  return `${MONTHS[time.getMonth()]} ${day} ${formatClock(time)}`;
}

function formatClock(time: Date): string {
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

function two(n: number): string {
  return n < 10 ? `0${n}` : `${n}`;
}

/**
 * A record for a syslog daemon, without line end.
 *
 * @param hostname of this machine; `null` leaves it out, as on /dev/log
 * @param maxBytes bound of the whole line
 */
export function formatSyslog(
  record: LogRecord,
  time: Date,
  pid: number,
  hostname: string | null,
  maxBytes: number,
): Buffer {
  const host = hostname === null ? '' : `${hostname} `;
  const tag = formatTag(record.ident, record.pid ? pid : null);
  const head = `<${priority(record.facility, record.severity)}>${formatTimestamp(time)} ${host}${tag} `;
  return Buffer.from(head + escapeText(record.text, maxBytes - head.length), 'latin1');
}

/** A record for a person at a terminal or in a file, with line end; at most `maxBytes` long. */
export function formatConsole(record: LogRecord, time: Date, pid: number, maxBytes: number): Buffer {
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  const clock = `${formatClock(time)}.${String(time.getMilliseconds()).padStart(3, '0')}`;
  const tag = formatTag(record.ident, record.pid ? pid : null);
  const head = `${date} ${clock} ${SEVERITIES[record.severity] ?? record.severity} ${tag} `;
  return Buffer.from(`${head}${escapeText(record.text, maxBytes - head.length - 1)}\n`, 'latin1');
}

/** A record for a stderr that is a stream of the systemd journal, with line end; at most `maxBytes` long. */
export function formatJournal(record: LogRecord, pid: number, maxBytes: number): Buffer {
  const head = `<${record.severity}>${formatTag(record.ident, record.pid ? pid : null)} `;
  return Buffer.from(`${head}${escapeText(record.text, maxBytes - head.length - 1)}\n`, 'latin1');
}

/** JSON lines are cut here, as a log daemon would cut them in the middle. */
const MAX_JSON_CHARS = 7900;

/** A record as one JSON object in one line, ASCII only, without line end. */
export function formatJson(record: LogRecord, time: Date, pid: number): string {
  const { severity, ident, text, fields } = record;
  const level = SEVERITIES[severity] ?? String(severity);
  const head = { time: time.toISOString(), level, ident, ...(record.pid ? { pid } : {}) };
  const whole = jsonOf({ ...head, message: text, ...fields?.() });
  if (whole.length <= MAX_JSON_CHARS) return whole;
  // A character takes six in JSON at most.
  return jsonOf({ ...head, message: text.slice(0, MAX_JSON_CHARS / 8), truncated: true });
}
