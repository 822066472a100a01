/** The options of the program: one table, from which command line, environment, config file and `--help` all follow. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { parseEventTarget } from '../events/event-target.ts';
import { parseSmarthost, TLS_LEVELS } from '../mail-client/smarthost-place.ts';
import { ACTION_NAMES, type ActionName } from '../milter/modifications.ts';
import { type ListenAddress, parseListenAddress } from '../net/listen-address.ts';
import { parseRspamdPlace, parseScannerAddress } from '../scanners/scanner-address.ts';
import { parseStoreAddress } from '../store/store-address.ts';
import { LOG_LEVELS } from '../syslog/log.ts';
import { parseSyslogTarget } from '../syslog/target.ts';
import { BadValue } from '../text/bad-value.ts';
import {
  accountName,
  accountNames,
  domain,
  megabytes,
  network,
  oneOf,
  onOff,
  percent,
  permissions,
  seconds,
  someOf,
  text,
  wholeNumber,
} from './option-values.ts';
import { parseServerAddress } from './server-address.ts';

const OPTION_GROUPS = ['Listening:', 'Policy:', 'Protocol:', 'Budgets of a script:', 'Program:'] as const;

export interface OptionDefinition<Value> {
  /** A password may stand in it: it is never shown. */
  readonly isSecret?: true;
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

/** Bytes; 0 for `auto`. @throws BadValue */
function heapSize(text: string): number {
  if (text === 'auto') return 0;
  try {
    return megabytes(64, 1_048_576)(text);
  } catch {
    throw new BadValue('must be auto or a whole number from 64 to 1048576');
  }
}

/** An absolute path, or the empty string for `none`. @throws BadValue */
const pathOrNone = (path: string): string => (path === 'none' ? '' : absolutePath(path));

/** A path as text, made absolute. @throws BadValue */
export const absolutePath = (path: string): string => resolve(text(path));

function paths(name: string, help: string): OptionDefinition<readonly string[]> {
  return {
    name,
    group: 'Program:',
    help: `${help}. May be given several times`,
    kind: 'list',
    fallback: [],
    read: (texts) => texts.map(plainPath),
  };
}

/** A path that Node's permission model takes for no pattern, made absolute. @throws BadValue */
function plainPath(path: string): string {
  if (/[*,]/.test(path)) throw new BadValue('must not hold * or a comma');
  return absolutePath(path);
}

const DEFAULT_LISTEN = 'inet:8895@127.0.0.1';

const listen: OptionDefinition<readonly ListenAddress[]> = {
  name: 'listen',
  group: 'Listening:',
  help: 'Address to listen on: inet:PORT@HOST, inet6:PORT@HOST, unix:PATH, local:PATH, inet:HOST:PORT (Postfix), or fd:NAME for sockets that systemd hands over (FileDescriptorName=). May be given several times',
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

const dnsServer: OptionDefinition<readonly string[]> = {
  name: 'dns-server',
  group: 'Policy:',
  help: 'DNS server that the policy asks: ADDRESS, ADDRESS:PORT, [IPV6-ADDRESS]:PORT. May be given several times',
  kind: 'list',
  shown: 'those of /etc/resolv.conf',
  fallback: [],
  read: (texts) => texts.map(parseServerAddress),
};

const httpAllow: OptionDefinition<readonly ReturnType<typeof network>[]> = {
  name: 'http-allow',
  group: 'Policy:',
  help: 'Network that requests of the policy may reach though it is none of the Internet: CIDR. May be given several times',
  kind: 'list',
  shown: 'none',
  fallback: [],
  read: (texts) => texts.map(network),
};

const ownAddress: OptionDefinition<readonly ReturnType<typeof network>[]> = {
  name: 'own-address',
  group: 'Policy:',
  help: 'Address of this mail server, or a network: smtp.callahead asks none there, smtp.send hands nothing over there. May be given several times',
  kind: 'list',
  shown: 'none',
  fallback: [],
  read: (texts) => texts.map(network),
};

const geo: OptionDefinition<readonly string[]> = {
  name: 'geo',
  group: 'Policy:',
  help: 'File of the MaxMind DB format (.mmdb) for geo.country and geo.asn, read again when it changes. May be given several times',
  kind: 'list',
  shown: 'none',
  fallback: [],
  read: (texts) => texts.map(absolutePath),
};

const srsDomain: OptionDefinition<readonly string[]> = {
  name: 'srs-domain',
  group: 'Policy:',
  help: 'Domain of ours: srs.forward leaves its senders as they are, and takes the first for answers. May be given several times',
  kind: 'list',
  shown: 'none',
  fallback: [],
  read: (texts) => texts.map(domain),
};

const signingKey: OptionDefinition<readonly string[]> = {
  name: 'signing-key',
  group: 'Policy:',
  help: 'File with a private key that auth.sign and auth.seal may use, in PEM form, read before --user counts. May be given several times',
  kind: 'list',
  shown: 'none',
  fallback: [],
  read: (texts) => texts.map(absolutePath),
};

/** What can be left out of recorded sessions. */
const REDACTIONS = ['body', 'headers', 'addresses'] as const;
export type Redaction = (typeof REDACTIONS)[number];

const recordRedact: OptionDefinition<readonly Redaction[]> = {
  name: 'record-redact',
  group: 'Program:',
  help: `What --record leaves out, with letters in its place: all, none, or a list with commas of ${REDACTIONS.join(', ')} (what stands before the @, and logins)`,
  kind: 'list',
  shown: 'none',
  fallback: [],
  read: (texts) => someOf(REDACTIONS)(texts.join(',')),
};

/** What an edited policy must stand before it goes live. */
const TRIALS = ['check', 'test'] as const;
export type Trial = (typeof TRIALS)[number];

const onReload: OptionDefinition<readonly Trial[]> = {
  name: 'on-reload',
  group: 'Policy:',
  help: 'What an edited policy must stand before it goes live, as the version before it serves on: check (no errors of smtpf-milter check), test (its own tests pass), or check,test',
  kind: 'list',
  shown: 'none',
  fallback: [],
  read: (texts) => someOf(TRIALS)(texts.join(',')),
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
    'What serves new sessions when an edited script cannot run: skip (no callbacks, see --on-error), or last-good (its last version that could, and that had callbacks)',
  ),
  onBadStart: value(
    'Policy:',
    'on-bad-start',
    'exit',
    oneOf(['exit', 'serve']),
    'What a start does when the script cannot be read or cannot run: exit (one line, exit code 78), or serve (mail gets --on-error until the script can)',
  ),
  onReload,
  onReloadTimeoutMs: value(
    'Policy:',
    'on-reload-timeout',
    '60',
    seconds(1, 3600),
    'Seconds that checks and tests of --on-reload may take together; then they are ended, and the edited policy is refused',
  ),
  shadow: optional(
    'Policy:',
    'shadow',
    undefined,
    absolutePath,
    'A candidate: a script to which each session is played once it is over; nothing of it is applied, and what it would have done otherwise is counted, logged and listed (command shadow)',
  ),
  canary: optional(
    'Policy:',
    'canary',
    undefined,
    percent,
    'Share of the clients for which the candidate of --shadow decides, such as 5%: always the same ones, by address (IPv6: by /64)',
  ),
  actions,
  packagePath: optional(
    'Policy:',
    'package-path',
    "the script's directory, then /etc/mail",
    text,
    'Where `require` looks for Lua modules, as in package.path; at last among the ready policies, in any case',
  ),
  spool: optional(
    'Policy:',
    'spool',
    '$STATE_DIRECTORY/spool, else /var/spool/smtpf-milter, else /var/tmp/smtpf-milter-UID',
    absolutePath,
    'Private directory for the message files that do_dot is given; created with mode 0700',
  ),
  store: {
    ...optional(
      'Policy:',
      'store',
      'lmdb: and the folder store in $STATE_DIRECTORY, else in /var/lib/smtpf-milter, else in --spool',
      parseStoreAddress,
      'Where kv, rate, grey and limit keep what they know: memory, lmdb:DIR, redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss://... or redis+unix:PATH',
    ),
    isSecret: true,
  },
  storeBytes: value(
    'Policy:',
    'store-mb',
    '1024',
    megabytes(1, 1_048_576),
    'Size of a store in memory or in a file, from which on it takes nothing more',
  ),
  storePrefix: value(
    'Policy:',
    'store-prefix',
    'smtpf:',
    text,
    'What the keys in Redis or Valkey begin with',
  ),
  allowJs: flag(
    'Policy:',
    'allow-js',
    'Let the script use JavaScript and any npm package (require "js"). Such a script has all rights of this process: it can read, change and run whatever the process can',
  ),
  allowExecute: flag('Policy:', 'allow-execute', 'Let the script run programs (os.execute, io.popen)'),
  dnsServer,
  httpAllow,
  ownAddress,
  clamd: optional(
    'Policy:',
    'clamd',
    undefined,
    parseScannerAddress,
    "Where scan.clamd finds ClamAV's clamd: inet:PORT@HOST or unix:PATH, as --listen has it",
  ),
  spamd: optional(
    'Policy:',
    'spamd',
    undefined,
    parseScannerAddress,
    "Where scan.spamd finds SpamAssassin's spamd: inet:PORT@HOST or unix:PATH",
  ),
  rspamd: optional(
    'Policy:',
    'rspamd',
    undefined,
    parseRspamdPlace,
    'Where scan.rspamd finds rspamd: a URL, inet:PORT@HOST or unix:PATH',
  ),
  smarthost: optional(
    'Policy:',
    'smarthost',
    undefined,
    parseSmarthost,
    'Mail server that takes the mail of smtp.send, without a login: HOST or HOST:PORT, port 25 without one',
  ),
  smarthostTls: value(
    'Policy:',
    'smarthost-tls',
    'may',
    oneOf(TLS_LEVELS),
    'TLS to the smarthost: may (STARTTLS where it is offered, with any certificate), verify (always, and its certificate must be valid for the name of --smarthost), none',
  ),
  sendPerHour: value(
    'Policy:',
    'send-per-hour',
    '100',
    wholeNumber(1, 1_000_000),
    'Recipients to whom smtp.send may send in an hour, counted over all workers',
  ),
  geo,
  srsSecret: optional(
    'Policy:',
    'srs-secret',
    undefined,
    absolutePath,
    'File with the secrets of srs and batv, one a line: the first signs, all verify',
  ),
  srsDomain,
  signingKey,
  dnsTimeoutMs: value(
    'Policy:',
    'dns-timeout',
    '5',
    seconds(0.05, 600),
    'Seconds after which a DNS look-up is given up, servers that say nothing being asked again meanwhile; shorter than --deadline, or the callback ends with it',
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
  maxHeaders: value(
    'Protocol:',
    'max-headers',
    '10000',
    wholeNumber(1, 1_000_000),
    'Headers of a message; one with more is refused with 552 5.3.4',
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
  sessionBytes: value(
    'Budgets of a script:',
    'session-mb',
    '64',
    megabytes(1, 1_048_576),
    'Memory that a session may keep from one callback to the next, its changes to the message included, in MiB',
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
    parseSyslogTarget,
    'Where the log goes: local, udp://HOST:PORT, tcp://HOST:PORT, stderr or none',
  ),
  logLevel: value(
    'Program:',
    'log-level',
    'info',
    oneOf(LOG_LEVELS),
    'What the program logs: error, or also warning, notice, info, debug. What the script logs is not held back',
  ),
  logFormat: value(
    'Program:',
    'log-format',
    'text',
    oneOf(['text', 'json']),
    'Form of a log line: text, or json (one object, with the fields of each decision)',
  ),
  events: value(
    'Program:',
    'events',
    'log',
    parseEventTarget,
    'Where the events of log.event go: log (lines of the log), file:PATH (a file or a pipe; SIGHUP opens it anew), unix:PATH (a stream socket that somebody listens on), or none',
  ),
  metrics: optional(
    'Program:',
    'metrics',
    undefined,
    parseListenAddress,
    'Address where Prometheus finds figures of the server and of the policy, as for --listen: inet:9155@127.0.0.1. Whoever reaches it may read them',
  ),
  workers: value(
    'Program:',
    'workers',
    'auto',
    workerCount,
    'Processes that serve connections, beside the one that watches over them; auto: one per core. 0: all in one process',
  ),
  heapBytes: value(
    'Program:',
    'heap-mb',
    'auto',
    heapSize,
    "Heap that a worker process may have, in MiB; auto: from the machine's memory, or its control group's, and the number of workers. Memory outside the heap is as Node decides. With --workers 0 the heap is too, and a size is refused",
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
    'with --spool that path with .control behind it; else control in $RUNTIME_DIRECTORY, /run/smtpf-milter or $XDG_RUNTIME_DIR/smtpf-milter; else /tmp/smtpf-milter-UID.control',
    pathOrNone,
    'Unix socket for the commands status, reload, trace, top and why, with mode 0600; none: without',
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
    'Keep no names of people in the journal: of an address a digest and its domain, of an IP address its network, of texts what names nobody',
  ),
  journalKey: optional(
    'Program:',
    'journal-key',
    'the journal’s with .key behind it',
    absolutePath,
    'File with the key of these digests; made where it is not there. Without it nobody finds an address in the journal',
  ),
  record: optional(
    'Program:',
    'record',
    undefined,
    absolutePath,
    'Private directory in which sessions are kept as the MTA sent them, with what the policy asked and was told, for the command replay; made with mode 0700. It holds mail',
  ),
  recordBytes: value(
    'Program:',
    'record-mb',
    '256',
    megabytes(16, 1_048_576),
    'Size of what is in --record, in MiB; the oldest sessions go',
  ),
  recordSample: value(
    'Program:',
    'record-sample',
    '100%',
    percent,
    'Share of the connections that --record keeps, taken at random',
  ),
  recordRedact,
  user: optional('Program:', 'user', undefined, accountName, 'User to become, once listening (needs root)'),
  group: optional(
    'Program:',
    'group',
    "the user's",
    accountName,
    'Group to become, once listening (needs root)',
  ),
  workerUser: optional(
    'Program:',
    'worker-user',
    undefined,
    accountNames,
    'User, or USER:GROUP, that worker processes become: another than the supervisor, to whom journal and control socket belong; the spool is theirs (needs root)',
  ),
  confine: flag(
    'Program:',
    'confine',
    'Have Node.js keep worker processes from all files but those they need: its own, the script’s directory, --package-path, /etc/mail, the spool. A policy is told "Permission denied" of others',
  ),
  confineRead: paths('confine-read', 'File or directory that a policy may read as well, with --confine'),
  confineWrite: paths('confine-write', 'File or directory that a policy may read and write, with --confine'),
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
