/** The options of the program: one table, from which command line, environment, config file and `--help` all follow. */
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseServerAddress } from './dns/server-address.ts';
import { type ListenAddress, parseListenAddress } from './listen-address.ts';
import { LOG_LEVELS } from './log.ts';
import {
  accountName,
  BadValue,
  megabytes,
  oneOf,
  onOff,
  permissions,
  seconds,
  someOf,
  text,
  wholeNumber,
} from './option-values.ts';
import { parseSyslogTarget, type SyslogTarget } from './syslog/target.ts';

/** The modifications a policy may make, as `--actions` names them. */
export const ACTION_NAMES = [
  'add-header',
  'change-header',
  'change-body',
  'add-recipient',
  'delete-recipient',
  'change-sender',
  'quarantine',
] as const;

export type ActionName = (typeof ACTION_NAMES)[number];

const OPTION_GROUPS = ['Listening:', 'Policy:', 'Protocol:', 'Budgets of a script:', 'Program:'] as const;

export interface OptionDefinition<Value> {
  /** As on the command line, without the dashes. */
  readonly name: string;
  readonly group: (typeof OPTION_GROUPS)[number];
  readonly help: string;
  /** A `flag` stands alone on the command line, a `value` is given once, a `list` may be given several times. */
  readonly kind: 'flag' | 'value' | 'list';
  /** What `--help` says of the default. */
  readonly shown?: string;
  readonly fallback: Value;
  /** Reads the texts given, at least one. @throws BadValue */
  readonly read: (texts: readonly string[]) => Value;
}

function value<Value>(
  group: OptionDefinition<Value>['group'],
  name: string,
  shown: string,
  read: (text: string) => Value,
  help: string,
): OptionDefinition<Value> {
  return { name, group, help, kind: 'value', shown, fallback: read(shown), read: single(read) };
}

/** A value whose default is nothing, or follows from something else: `shown` says what. */
function optional<Value>(
  group: OptionDefinition<Value>['group'],
  name: string,
  shown: string | undefined,
  read: (text: string) => Value,
  help: string,
): OptionDefinition<Value | undefined> {
  const definition = { name, group, help, kind: 'value', fallback: undefined, read: single(read) } as const;
  return shown === undefined ? definition : { ...definition, shown };
}

function flag(
  group: OptionDefinition<boolean>['group'],
  name: string,
  help: string,
): OptionDefinition<boolean> {
  return { name, group, help, kind: 'flag', fallback: false, read: single(onOff) };
}

/** The reader of an option that is given once. */
export function single<Value>(read: (text: string) => Value): (texts: readonly string[]) => Value {
  return ([text = '']) => read(text);
}

/** `auto` is one per core that this process may use. @throws BadValue */
function workerCount(text: string): number {
  if (text === 'auto') return availableParallelism();
  try {
    return wholeNumber(0, 512)(text);
  } catch {
    throw new BadValue('must be auto or a whole number from 0 to 512');
  }
}

/** An absolute path, or the empty string for `none`. @throws BadValue */
const pathOrNone = (path: string): string => (path === 'none' ? '' : absolutePath(path));

/** A path as text, made absolute. @throws BadValue */
export const absolutePath = (path: string): string => resolve(text(path));

function syslogTarget(target: string): SyslogTarget {
  try {
    return parseSyslogTarget(target);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new BadValue('must be local, udp://HOST:PORT, tcp://HOST:PORT, stderr or none');
  }
}

const DEFAULT_LISTEN = 'inet:8895@127.0.0.1';

const listen: OptionDefinition<readonly ListenAddress[]> = {
  name: 'listen',
  group: 'Listening:',
  help: 'Address to listen on: inet:PORT@HOST, inet6:PORT@HOST, unix:PATH, local:PATH, or inet:HOST:PORT (Postfix). May be given several times',
  kind: 'list',
  shown: DEFAULT_LISTEN,
  fallback: [parseListenAddress(DEFAULT_LISTEN)],
  read: (texts) => texts.map(parseListenAddress),
};

const actions: OptionDefinition<readonly ActionName[]> = {
  name: 'actions',
  group: 'Policy:',
  help: `Changes to messages that are asked of the MTA: all, none, or a list with commas of ${ACTION_NAMES.join(', ')}`,
  kind: 'list',
  shown: 'all',
  fallback: ACTION_NAMES,
  read: (texts) => someOf(ACTION_NAMES)(texts.join(',')),
};

function serverAddress(address: string): string {
  const parsed = parseServerAddress(address);
  if (parsed !== undefined) return parsed;
  throw new BadValue('must be an IP address with or without port: 192.0.2.53, 192.0.2.53:5353, [::1]:53');
}

const dnsServer: OptionDefinition<readonly string[]> = {
  name: 'dns-server',
  group: 'Policy:',
  help: 'DNS server that the policy asks: ADDRESS, ADDRESS:PORT, [IPV6-ADDRESS]:PORT. May be given several times',
  kind: 'list',
  shown: 'those of /etc/resolv.conf',
  fallback: [],
  read: (texts) => texts.map(serverAddress),
};

/** Keyed by the field of Options that holds the value. */
export const OPTION_TABLE = {
  listen,
  socketMode: value(
    'Listening:',
    'socket-mode',
    '0660',
    permissions,
    'Permission bits of a unix socket, in octal',
  ),
  socketGroup: optional(
    'Listening:',
    'socket-group',
    undefined,
    accountName,
    "Group of a unix socket: the MTA's",
  ),
  maxConnections: value(
    'Listening:',
    'max-connections',
    '5000',
    wholeNumber(0, 1_000_000),
    'Connections at a time; more are refused, and the MTA does what it does without a milter. 0: no limit',
  ),
  script: value('Policy:', 'script', '/etc/mail/smtpf.lua', absolutePath, 'The policy, a Lua file'),
  onError: value(
    'Policy:',
    'on-error',
    'continue',
    oneOf(['continue', 'tempfail', 'reject', 'accept']),
    'What becomes of a message when the script fails: continue, tempfail, reject or accept',
  ),
  onBadScript: value(
    'Policy:',
    'on-bad-script',
    'skip',
    oneOf(['skip', 'last-good']),
    'What serves new sessions when an edited script cannot run: skip (no callbacks, see --on-error), or last-good (its last version that could)',
  ),
  actions,
  packagePath: optional(
    'Policy:',
    'package-path',
    "the script's directory, then /etc/mail",
    text,
    'Where `require` looks for Lua modules, as in package.path',
  ),
  spool: optional(
    'Policy:',
    'spool',
    `${join(tmpdir(), 'smtpf-milter-UID')}`,
    absolutePath,
    'Private directory for the message files that do_dot is given; created with mode 0700',
  ),
  allowJs: flag(
    'Policy:',
    'allow-js',
    'Let the script use JavaScript and any npm package (require "js"). Such a script has all rights of this process: it can read, change and run whatever the process can',
  ),
  allowExecute: flag('Policy:', 'allow-execute', 'Let the script run programs (os.execute, io.popen)'),
  dnsServer,
  dnsTimeoutMs: value(
    'Policy:',
    'dns-timeout',
    '5',
    seconds(0.05, 600),
    'Seconds after which a DNS look-up is given up; shorter than --deadline, or the callback ends with it',
  ),
  macros: value(
    'Protocol:',
    'macros',
    'default',
    oneOf(['default', 'none']),
    'Whether the MTA is asked for the macros the policy needs; none: for MTAs that cannot read such a list',
  ),
  deadlineMs: value(
    'Protocol:',
    'deadline',
    '8',
    seconds(0.05, 3600),
    'Seconds a callback may take; Sendmail waits 10 s by default, Postfix 30 s',
  ),
  endOfMessageDeadlineMs: value(
    'Protocol:',
    'eom-deadline',
    '240',
    seconds(0.05, 7200),
    'Seconds a callback may take at end of message, where the MTA is told to wait; both MTAs wait 5 min',
  ),
  maxRecipients: value(
    'Protocol:',
    'max-recipients',
    '20000',
    wholeNumber(1, 10_000_000),
    'Recipients of a message; more are deferred with 452 4.5.3',
  ),
  maxHeaderBytes: value(
    'Protocol:',
    'max-header-mb',
    '4',
    megabytes(1, 1024),
    'Headers of a message, in MiB; a message with more is refused with 552 5.3.4',
  ),
  maxBodyBytes: value(
    'Protocol:',
    'max-body-mb',
    '0',
    megabytes(0, 1_048_576),
    'Body of a message, in MiB; a message with more is refused with 552 5.3.4. 0: as much as the MTA takes',
  ),
  idleTimeoutMs: value(
    'Protocol:',
    'idle-timeout',
    '7210',
    seconds(1, 1_000_000),
    'Seconds after which a connection on which the MTA says nothing is closed',
  ),
  cpuMs: value(
    'Budgets of a script:',
    'cpu-ms',
    '1000',
    wholeNumber(1, 3_600_000),
    'CPU time of one callback, in milliseconds',
  ),
  memoryBytes: value(
    'Budgets of a script:',
    'memory-mb',
    '128',
    megabytes(1, 1_048_576),
    'Memory that one callback may add to the process, in MiB',
  ),
  stringBytes: value(
    'Budgets of a script:',
    'string-mb',
    '32',
    megabytes(1, 1024),
    'Longest string a script can make, in MiB',
  ),
  maxFiles: value(
    'Budgets of a script:',
    'max-files',
    '64',
    wholeNumber(0, 65_536),
    'Files that the script may have open in a session',
  ),
  writeBytes: value(
    'Budgets of a script:',
    'write-mb',
    '1024',
    megabytes(0, 1_048_576),
    'What the script may write to files in a session, in MiB',
  ),
  config: optional(
    'Program:',
    'config',
    undefined,
    absolutePath,
    'JSON file with these options, by the same names',
  ),
  syslog: value(
    'Program:',
    'syslog',
    'local',
    syslogTarget,
    'Where the log goes: local, udp://HOST:PORT, tcp://HOST:PORT, stderr or none',
  ),
  logLevel: value(
    'Program:',
    'log-level',
    'info',
    oneOf(LOG_LEVELS),
    'What is logged: error, or also warning, notice, info, debug',
  ),
  logFormat: value(
    'Program:',
    'log-format',
    'text',
    oneOf(['text', 'json']),
    'Form of a log line: text, or json (one object, with the fields of each decision)',
  ),
  workers: value(
    'Program:',
    'workers',
    'auto',
    workerCount,
    'Processes that serve connections, beside the one that watches over them; auto: one per core. 0: all in one process',
  ),
  workerTimeoutMs: value(
    'Program:',
    'worker-timeout',
    '10',
    seconds(1, 3600),
    'Seconds after which a worker process that does not answer is replaced',
  ),
  warmUpSessions: value(
    'Program:',
    'warm-up',
    '2000',
    wholeNumber(0, 1_000_000),
    'Sessions of its own that each process serves itself after its start, while it is idle, so that those of the MTA are fast from the first. 0: none',
  ),
  control: optional(
    'Program:',
    'control',
    'that of --spool with .control behind it',
    pathOrNone,
    'Unix socket for the commands status, trace and why, with mode 0600; none: without',
  ),
  journal: optional(
    'Program:',
    'journal',
    undefined,
    absolutePath,
    'File that keeps what was decided about each message, for the command why',
  ),
  journalBytes: value(
    'Program:',
    'journal-mb',
    '16',
    megabytes(1, 65_536),
    'Size of the journal, in MiB; the oldest entries go',
  ),
  journalRedact: flag(
    'Program:',
    'journal-redact',
    'Keep no names of people in the journal: of an address a digest and its domain, of an IP address its network',
  ),
  user: optional('Program:', 'user', undefined, accountName, 'User to become, once listening (needs root)'),
  group: optional(
    'Program:',
    'group',
    "the user's",
    accountName,
    'Group to become, once listening (needs root)',
  ),
  graceMs: value(
    'Program:',
    'grace',
    '30',
    seconds(0, 86_400),
    'Seconds that sessions are given to end after SIGTERM; a second signal ends them at once',
  ),
} as const;

type Table = typeof OPTION_TABLE;

/** Times are in milliseconds, sizes in bytes; `undefined` where the operator said nothing. */
export type Options = {
  readonly [Field in keyof Table]: Table[Field] extends OptionDefinition<infer Value> ? Value : never;
};
