/**
 * The options of the program: one table, from which command line, environment, config file and `--help` all follow.
 *
 * A value on the command line counts before one in the environment (`SMTPF_MILTER_` and the name in capitals), that
 * before one in the config file, that before the default. Nothing here has side effects but reading the config file.
 */
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseServerAddress } from './dns/server-address.ts';
import { type ListenAddress, parseListenAddress } from './listen-address.ts';
import { LOG_LEVELS } from './log.ts';
import { EXIT, OperatorError, systemReason } from './operator-error.ts';
import {
  accountName,
  BadValue,
  megabytes,
  nearest,
  oneOf,
  onOff,
  permissions,
  seconds,
  someOf,
  text,
  wholeNumber,
} from './option-values.ts';
import { parseSyslogTarget, type SyslogTarget } from './syslog/target.ts';

const ENVIRONMENT_PREFIX = 'SMTPF_MILTER_';

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

interface OptionDefinition<Value> {
  /** As on the command line, without the dashes. */
  readonly name: string;
  readonly group: (typeof OPTION_GROUPS)[number];
  readonly help: string;
  /** A `flag` stands alone on the command line, a `list` may be given several times; of a `value` the last counts. */
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
  return { name, group, help, kind: 'value', shown, fallback: read(shown), read: lastOf(read) };
}

/** A value whose default is nothing, or follows from something else: `shown` says what. */
function optional<Value>(
  group: OptionDefinition<Value>['group'],
  name: string,
  shown: string | undefined,
  read: (text: string) => Value,
  help: string,
): OptionDefinition<Value | undefined> {
  const definition = { name, group, help, kind: 'value', fallback: undefined, read: lastOf(read) } as const;
  return shown === undefined ? definition : { ...definition, shown };
}

function flag(
  group: OptionDefinition<boolean>['group'],
  name: string,
  help: string,
): OptionDefinition<boolean> {
  return { name, group, help, kind: 'flag', fallback: false, read: lastOf(onOff) };
}

function lastOf<Value>(read: (text: string) => Value): (texts: readonly string[]) => Value {
  return (texts) => read(texts.at(-1) ?? '');
}

const absolutePath = (path: string): string => resolve(text(path));

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
    '256',
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

/** Options as found on the command line: the texts given for each name, in dashed form. */
export type GivenOptions = ReadonlyMap<string, readonly string[]>;

interface Given {
  readonly texts: readonly string[];
  /** How a message names it: `--listen`, `SMTPF_MILTER_LISTEN`, `/etc/smtpf.json: listen`. */
  readonly from: string;
  readonly exitCode: number;
}

/**
 * The options in force.
 * @throws OperatorError (64 for command line and environment, 78 for the config file) on the first thing that is wrong.
 */
export function resolveOptions(commandLine: GivenOptions, environment: NodeJS.ProcessEnv): Options {
  const given = new Map<string, Given>();
  for (const [name, texts] of commandLine) {
    if (find(name) === undefined) throw unknownName(`--${name}`, '--', name, EXIT.usage);
    given.set(name, { texts, from: `--${name}`, exitCode: EXIT.usage });
  }
  addMissing(given, fromEnvironment(environment));
  const config = given.get('config');
  if (config !== undefined) addMissing(given, fromConfigFile(config));
  return readAll(given);
}

function addMissing(given: Map<string, Given>, more: ReadonlyMap<string, Given>): void {
  for (const [name, found] of more) if (!given.has(name)) given.set(name, found);
}

function fromEnvironment(environment: NodeJS.ProcessEnv): Map<string, Given> {
  const given = new Map<string, Given>();
  for (const [variable, content] of Object.entries(environment)) {
    if (!variable.startsWith(ENVIRONMENT_PREFIX) || content === undefined || content === '') continue;
    const name = variable.slice(ENVIRONMENT_PREFIX.length).toLowerCase().replaceAll('_', '-');
    const definition = find(name);
    if (definition === undefined) {
      // Kubernetes and Docker set such variables for a service that is called smtpf-milter.
      if (/^(port|service|name|env)(-|$)/.test(name)) continue;
      throw unknownName(variable, ENVIRONMENT_PREFIX, name, EXIT.usage);
    }
    const texts = definition.kind === 'list' ? content.split(/\s+/).filter((part) => part !== '') : [content];
    if (texts.length > 0) given.set(name, { texts, from: variable, exitCode: EXIT.usage });
  }
  return given;
}

/** `config` names the file. */
function fromConfigFile(config: Given): Map<string, Given> {
  const file = read(absolutePathOption, config);
  const given = new Map<string, Given>();
  for (const [key, content] of Object.entries(readConfig(file))) {
    const name = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`).replaceAll('_', '-');
    const from = `${file}: ${JSON.stringify(key)}`;
    const definition = find(name);
    if (definition === undefined) throw unknownName(from, '', name, EXIT.config);
    if (name === 'config') throw new OperatorError(`${from}: a config file cannot name another`, EXIT.config);
    if (Array.isArray(content) && definition.kind !== 'list') {
      throw new OperatorError(`${from}: ${JSON.stringify(content)} must be a single value`, EXIT.config);
    }
    if (given.has(name))
      throw new OperatorError(`${from}: given a second time, in another spelling`, EXIT.config);
    given.set(name, { texts: configTexts(content, from), from, exitCode: EXIT.config });
  }
  return given;
}

const absolutePathOption: OptionDefinition<string> = {
  ...OPTION_TABLE.config,
  fallback: '',
  read: lastOf(absolutePath),
};

function readConfig(file: string): object {
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (error) {
    throw new OperatorError(`--config ${file}: cannot be read: ${systemReason(error)}`, EXIT.config);
  }
  let content: unknown;
  try {
    content = JSON.parse(source.replace(/^\uFEFF/, ''));
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/\s+/g, ' ') : String(error);
    throw new OperatorError(`--config ${file}: is not JSON: ${why}`, EXIT.config);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new OperatorError(`--config ${file}: must hold a JSON object: { "listen": ... }`, EXIT.config);
  }
  return content;
}

function configTexts(content: unknown, from: string): readonly string[] {
  const texts = (Array.isArray(content) ? content : [content]).map((item: unknown) => {
    if (typeof item === 'string' || typeof item === 'number' || typeof item === 'boolean')
      return String(item);
    throw new OperatorError(
      `${from}: ${JSON.stringify(content)} must be text, a number, true or false`,
      EXIT.config,
    );
  });
  if (texts.length === 0) throw new OperatorError(`${from}: [] must not be empty`, EXIT.config);
  return texts;
}

function readAll(given: ReadonlyMap<string, Given>): Options {
  const table = OPTION_TABLE;
  const of = <Value>(definition: OptionDefinition<Value>): Value => {
    const found = given.get(definition.name);
    return found === undefined ? definition.fallback : read(definition, found);
  };
  return Object.freeze({
    listen: of(table.listen),
    socketMode: of(table.socketMode),
    socketGroup: of(table.socketGroup),
    maxConnections: of(table.maxConnections),
    script: of(table.script),
    onError: of(table.onError),
    actions: of(table.actions),
    packagePath: of(table.packagePath),
    spool: of(table.spool),
    allowJs: of(table.allowJs),
    allowExecute: of(table.allowExecute),
    dnsServer: of(table.dnsServer),
    dnsTimeoutMs: of(table.dnsTimeoutMs),
    macros: of(table.macros),
    deadlineMs: of(table.deadlineMs),
    endOfMessageDeadlineMs: of(table.endOfMessageDeadlineMs),
    idleTimeoutMs: of(table.idleTimeoutMs),
    cpuMs: of(table.cpuMs),
    memoryBytes: of(table.memoryBytes),
    stringBytes: of(table.stringBytes),
    maxFiles: of(table.maxFiles),
    writeBytes: of(table.writeBytes),
    config: of(table.config),
    syslog: of(table.syslog),
    logLevel: of(table.logLevel),
    user: of(table.user),
    group: of(table.group),
    graceMs: of(table.graceMs),
  });
}

function read<Value>(definition: OptionDefinition<Value>, given: Given): Value {
  try {
    return definition.read(given.texts);
  } catch (error) {
    if (!(error instanceof BadValue)) throw error;
    const shown = given.texts.map((part) => JSON.stringify(part)).join(' ');
    throw new OperatorError(`${given.from}: ${shown} ${error.message}`, given.exitCode);
  }
}

function find(name: string): OptionDefinition<unknown> | undefined {
  return Object.values<OptionDefinition<unknown>>(OPTION_TABLE).find(
    (definition) => definition.name === name,
  );
}

/** `prefix` is what stands before an option's name in that place. */
function unknownName(from: string, prefix: string, name: string, exitCode: number): OperatorError {
  const near = nearest(
    name,
    Object.values(OPTION_TABLE).map((definition) => definition.name),
  );
  let hint = '';
  if (near !== undefined) {
    const spelt = prefix === ENVIRONMENT_PREFIX ? near.toUpperCase().replaceAll('-', '_') : near;
    hint = ` (did you mean ${prefix}${spelt}?)`;
  }
  return new OperatorError(`${from}: unknown option${hint}`, exitCode);
}

/** Where Lua modules are looked for if no option says: beside the script first, then where the default script is. */
export function packagePathOf(options: Options): string {
  const beside = dirname(options.script);
  const places = beside === '/etc/mail' ? [beside] : [beside, '/etc/mail'];
  return (
    options.packagePath ?? places.flatMap((place) => [`${place}/?.lua`, `${place}/?/init.lua`]).join(';')
  );
}
