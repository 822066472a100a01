/**
 * The configuration of Postfix: parameters as postconf(1) prints them, or main.cf itself, and the services of master.cf.
 *
 * Sources: postconf(1), postconf(5), master(5).
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, EXIT, OperatorError, systemReason } from '../text/operator-error.ts';

/** A service of master.cf. */
export interface MasterService {
  /** `smtp`, `127.0.0.1:10025`. */
  readonly name: string;
  /** `inet`, `unix`, `pass`, `fifo`, `unix-dgram`. */
  readonly type: string;
  readonly chroot: boolean;
  /** Of the file. */
  readonly line: number;
  readonly program: string;
  /** Of `-o name=value`. */
  readonly overrides: ReadonlyMap<string, string>;
}

export interface PostfixConfig {
  /** Where main.cf is. */
  readonly directory: string;
  readonly version: string | undefined;
  readonly services: readonly MasterService[];
  /** What postconf complains of. */
  readonly complaints: readonly string[];
  /** A parameter, `$name` replaced; of a service, with what its `-o` says. '' where it is not set and has no default. */
  value(name: string, service?: MasterService): string;
  /** As it is written. */
  raw(name: string, service?: MasterService): string;
}

const POSTCONF_MS = 20_000;

/** Defaults of what is read here, where there is no postconf (Postfix 3.7). */
const DEFAULTS: Readonly<Record<string, string>> = {
  compatibility_level: '0',
  queue_directory: '/var/spool/postfix',
  mail_owner: 'postfix',
  milter_command_timeout: '30s',
  milter_connect_timeout: '30s',
  milter_content_timeout: '300s',
  milter_default_action: 'tempfail',
  milter_protocol: '6',
  milter_connect_macros: 'j {daemon_name} {daemon_addr} v _',
  milter_helo_macros: '{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}',
  milter_mail_macros: 'i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}',
  milter_rcpt_macros: 'i {rcpt_addr} {rcpt_host} {rcpt_mailer}',
  milter_data_macros: 'i',
  milter_end_of_header_macros: 'i',
  milter_end_of_data_macros: 'i',
};

/** Lines without comments, each with those that continue it (they begin with white space). */
export function logicalLines(text: string): { readonly text: string; readonly line: number }[] {
  const lines: { text: string; line: number }[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const last = lines.at(-1);
    if (/^\s/.test(line) && last !== undefined) last.text += ` ${line.trim()}`;
    else lines.push({ text: line.trimEnd(), line: index + 1 });
  }
  return lines;
}

/** `name = value` lines, of main.cf or of postconf. The last of a name counts. */
export function parseParameters(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const { text: line } of logicalLines(text)) {
    const [, name, value] = /^([^\s=]+)\s*=\s*(.*)$/s.exec(line) ?? [];
    if (name !== undefined) found.set(name, value ?? '');
  }
  return found;
}

/** Words, of which one may stand in braces and hold blanks; the braces go. */
function wordsOf(text: string): string[] {
  return braced(text, /\s/).map((word) => word.replace(/^\{\s*(.*?)\s*\}$/s, '$1'));
}

/** Splits outside of braces. */
export function braced(text: string, separator: RegExp): string[] {
  const parts: string[] = [];
  let part = '';
  let depth = 0;
  for (const letter of text) {
    if (letter === '{') depth += 1;
    if (letter === '}') depth = Math.max(0, depth - 1);
    if (depth === 0 && separator.test(letter)) {
      if (part !== '') parts.push(part);
      part = '';
    } else part += letter;
  }
  return part === '' ? parts : [...parts, part];
}

/** @param chrootDefault what `-` stands for */
export function parseMaster(text: string, chrootDefault: boolean): MasterService[] {
  return logicalLines(text).flatMap(({ text: entry, line }) => {
    const words = wordsOf(entry);
    const [name, type, , , chroot, , , program, ...args] = words;
    if (name === undefined || type === undefined || program === undefined) return [];
    const overrides = new Map<string, string>();
    for (const [index, word] of args.entries()) {
      const given = word === '-o' ? args[index + 1] : /^-o(.+)$/s.exec(word)?.[1];
      const [, key, value] = /^([^\s=]+)\s*=\s*(.*)$/s.exec(given ?? '') ?? [];
      if (key !== undefined) overrides.set(key, value ?? '');
    }
    return [
      { name, type, chroot: chroot === '-' ? chrootDefault : chroot === 'y', line, program, overrides },
    ];
  });
}

/** @throws OperatorError 66 where main.cf or master.cf cannot be read */
export function readPostfix(directory: string): PostfixConfig {
  const mainText = read(join(directory, 'main.cf'));
  const masterText = read(join(directory, 'master.cf'));
  const asked = spawnSync('postconf', ['-c', directory], {
    encoding: 'utf8',
    timeout: POSTCONF_MS,
    env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' },
  });
  const isThere = codeOf(asked.error) !== 'ENOENT';
  const hasAnswered = isThere && asked.status === 0;
  const parameters = hasAnswered
    ? parseParameters(asked.stdout)
    : new Map([...Object.entries(DEFAULTS), ...parseParameters(mainText)]);
  const complaints = isThere
    ? (asked.stderr ?? '')
        .split('\n')
        .map((line) => line.replace(/^\S*postconf: /, '').trim())
        .filter((line) => line !== '')
    : [];
  const raw = (name: string, service?: MasterService): string =>
    service?.overrides.get(name) ?? parameters.get(name) ?? '';
  const value = (name: string, service?: MasterService): string =>
    expand(raw(name, service), (other) => service?.overrides.get(other) ?? parameters.get(other));
  // master(5): "n" as of Postfix 3.0, and "y" where compatibility_level says that nobody has looked at the change.
  const chrootDefault = Number.parseInt(value('compatibility_level'), 10) < 1;
  return {
    directory,
    version: hasAnswered ? parameters.get('mail_version') : undefined,
    services: parseMaster(masterText, chrootDefault),
    complaints,
    value,
    raw,
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    throw new OperatorError(`--postfix: ${path}: cannot be read: ${systemReason(error)}`, EXIT.noInput);
  }
}

const MAX_DEPTH = 20;

/** `$name`, `${name}`, `${name?text}`, `${name:text}`, `$$`; comparisons are left as they are. */
function expand(text: string, of: (name: string) => string | undefined, depth = 0): string {
  if (depth > MAX_DEPTH) return text;
  const again = (part: string) => expand(part, of, depth + 1);
  return text.replace(
    /\$\$|\$\{(\w+)([?:])\{?([^{}]*)\}?\}|\$[({](\w+)[)}]|\$(\w+)/g,
    (all, asked: string | undefined, how, then: string, bracketed?: string, plain?: string) => {
      if (all === '$$') return '$';
      if (asked !== undefined) {
        const isSet = again(of(asked) ?? '') !== '';
        return isSet === (how === '?') ? again(then) : '';
      }
      return again(of(bracketed ?? plain ?? '') ?? '');
    },
  );
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** A time in milliseconds; undefined for what is none. @param text as `30s`, `5m`; without a unit in seconds */
export function postfixTime(text: string): number | undefined {
  const [, digits, unit = 's'] = /^(\d+)\s*([smhdw]?)$/.exec(text.trim()) ?? [];
  return digits === undefined ? undefined : Number(digits) * (UNITS[unit === '' ? 's' : unit] ?? 1) * 1000;
}

/** One of the milters of smtpd_milters. */
export interface MilterEntry {
  /** As it stands there. */
  readonly written: string;
  /** `inet:127.0.0.1:8895` */
  readonly endpoint: string;
  /** As `command_timeout`, by which it differs from others. */
  readonly settings: ReadonlyMap<string, string>;
}

/** @param text the value of smtpd_milters or non_smtpd_milters */
export function parseMilters(text: string): MilterEntry[] {
  return braced(text, /[\s,]/).map((written) => {
    if (!written.startsWith('{')) return { written, endpoint: written, settings: new Map() };
    const [endpoint = '', ...rest] = braced(written.replace(/^\{\s*(.*?)\s*\}$/s, '$1'), /[\s,]/);
    const settings = new Map<string, string>();
    for (const word of joinedEquals(rest)) {
      const [, name, value] = /^\{?\s*([\w]+)\s*=\s*(.*?)\s*\}?$/s.exec(word) ?? [];
      if (name !== undefined) settings.set(name, value ?? '');
    }
    return { written, endpoint, settings };
  });
}

/** `name = value` in three words is one. */
function joinedEquals(words: readonly string[]): string[] {
  return braced(words.join('\n').replace(/\n*=\n*/g, '='), /\n/);
}
