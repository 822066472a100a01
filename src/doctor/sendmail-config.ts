/**
 * What sendmail.cf says of milters: `X` lines, InputMailFilters, those of a daemon, the macros it sends, and whom it becomes.
 *
 * Sources: the Sendmail Installation and Operation Guide, sections 4.19 and 5.6; milter.c, daemon.c.
 */
import { readFileSync } from 'node:fs';
import { EXIT, OperatorError, systemReason } from '../text/operator-error.ts';

/** One `X` line. */
export interface MailFilter {
  readonly name: string;
  readonly line: number;
  /** Of `S=`. */
  readonly socket: string;
  /** Of `F=`: letters. */
  readonly flags: string;
  /** Of `T=`, in milliseconds, by letter; undefined for what is no time. */
  readonly timeouts: ReadonlyMap<string, number | undefined>;
  /** As they are written. */
  readonly equates: ReadonlyMap<string, string>;
  /** What Sendmail cannot read. */
  readonly problem: string | undefined;
}

/** One `O DaemonPortOptions` line that has filters of its own. */
export interface MailDaemon {
  readonly line: number;
  /** As it stands there. */
  readonly options: string;
  readonly name: string;
  readonly filters: readonly string[];
}

export interface SendmailConfig {
  readonly path: string;
  readonly filters: readonly MailFilter[];
  /** Names in the order in which they are called. */
  readonly inputFilters: readonly string[];
  readonly daemons: readonly MailDaemon[];
  /** Whether there is a daemon that has the filters of all. */
  readonly hasPlainDaemon: boolean;
  /** An option by its name; undefined where it is not set. */
  option(name: string): string | undefined;
}

/** Of milter_setup(), in milliseconds. */
export const DEFAULT_TIMEOUTS: Readonly<Record<string, number>> = {
  C: 300_000,
  S: 10_000,
  R: 10_000,
  E: 300_000,
};

/** @throws OperatorError 66 where the file cannot be read */
export function readSendmail(path: string): SendmailConfig {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    throw new OperatorError(`--sendmail ${path}: cannot be read: ${systemReason(error)}`, EXIT.noInput);
  }
  return parseSendmail(text, path);
}

/** @param path for messages */
export function parseSendmail(text: string, path: string): SendmailConfig {
  const filters: MailFilter[] = [];
  const options = new Map<string, string>();
  const daemons: MailDaemon[] = [];
  let hasPlainDaemon = false;
  let hasDaemon = false;
  for (const { text: line, number } of linesOf(text)) {
    const [, definition] = /^X(.+)$/.exec(line) ?? [];
    if (definition !== undefined) filters.push(parseFilter(definition, number));
    const [, name, value = ''] = /^O\s+([\w.]+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    if (name.toLowerCase() !== 'daemonportoptions') {
      options.set(name.toLowerCase(), value);
      continue;
    }
    hasDaemon = true;
    const daemon = parseDaemon(value, number);
    if (daemon === undefined) hasPlainDaemon = true;
    else daemons.push(daemon);
  }
  return {
    path,
    filters,
    inputFilters: names(options.get('inputmailfilters') ?? '', /,/),
    daemons,
    hasPlainDaemon: hasPlainDaemon || !hasDaemon,
    option: (name) => options.get(name.toLowerCase()),
  };
}

/** Lines with those that continue them; comments are left out. */
function linesOf(text: string): { readonly text: string; readonly number: number }[] {
  const found: { text: string; number: number }[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const last = found.at(-1);
    if (/^[ \t]/.test(line) && last !== undefined) last.text += ` ${line.trim()}`;
    else if (line !== '' && !line.startsWith('#')) found.push({ text: line.trimEnd(), number: index + 1 });
  }
  return found;
}

function names(text: string, separator: RegExp): string[] {
  return text
    .split(separator)
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** undefined where it has the filters of all. Of a key Sendmail reads the first letter. */
function parseDaemon(options: string, line: number): MailDaemon | undefined {
  const parts = new Map(
    options.split(',').map((part) => {
      const [key = '', ...value] = part.trim().split('=');
      return [key.charAt(0).toUpperCase(), value.join('=').trim()];
    }),
  );
  const filters = parts.get('I');
  if (filters === undefined) return undefined;
  return { line, options, name: parts.get('N') ?? options, filters: names(filters, /;/) };
}

function parseFilter(definition: string, line: number): MailFilter {
  const [, name = '', rest = ''] = /^([^,\s]*)[,\s]*(.*)$/s.exec(definition) ?? [];
  const equates = new Map<string, string>();
  let problem: string | undefined;
  for (const part of names(rest, /,/)) {
    const [, letter, value] = /^(\w)\w*\s*=\s*(.*)$/s.exec(part) ?? [];
    if (letter === undefined) problem ??= `"=" is missing in ${JSON.stringify(part)}`;
    else if (!'SFT'.includes(letter)) problem ??= `there is no ${letter}=`;
    else equates.set(letter, value ?? '');
    if (/^[CSRE]:/.test(part))
      problem = `times of T= stand with semicolons between: T=${equates.get('T')};${part}`;
  }
  const timeouts = new Map<string, number | undefined>();
  for (const part of names(equates.get('T') ?? '', /;/)) {
    const [, letter, value = ''] = /^(\w)\w*:\s*(.*)$/s.exec(part) ?? [];
    if (letter === undefined || !'CSRE'.includes(letter)) problem ??= `T= has no ${JSON.stringify(part)}`;
    else timeouts.set(letter, sendmailTime(value));
  }
  const flags = (equates.get('F') ?? '').replace(/\s/g, '');
  if (/[^RT4]/.test(flags)) problem ??= `there is no flag F=${flags}`;
  return { name, line, socket: equates.get('S') ?? '', flags, timeouts, equates, problem };
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** A time in milliseconds; undefined for what is none. @param text as `10s`, `1h30m`; without a unit in seconds */
function sendmailTime(text: string): number | undefined {
  if (!/^(\d+[smhdw]?)+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+)([smhdw]?)/g)];
  return parts.reduce((sum, [, digits, unit]) => sum + Number(digits) * (UNITS[unit || 's'] ?? 1) * 1000, 0);
}
