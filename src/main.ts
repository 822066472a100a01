#!/usr/bin/env node
/** The command line: finds the command and its options, runs it, and turns its end into an exit code. */
import { readFileSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import { TRY_SWITCHES, TRY_VALUES } from './commands/try-options.ts';
import { EXIT, OperatorError } from './operator-error.ts';
import { OPTION_TABLE, type Options } from './option-table.ts';
import { BadValue, nearest, onOff } from './option-values.ts';
import { type GivenOptions, resolveOptions } from './options.ts';

type Arguments = Readonly<Record<string, unknown>>;

interface Command {
  /** yargs' form: words in brackets are arguments; `$0` marks the command that needs no name. */
  readonly usage: string | readonly string[];
  readonly name: string;
  readonly summary: string;
  /** Names of the options it takes; undefined: all. */
  readonly options?: readonly string[];
  /** Switches of this command alone, with their description: for the command line only. */
  readonly switches?: Readonly<Record<string, string>>;
  /** The same with a value. */
  readonly values?: Readonly<Record<string, string>>;
  /** Arguments in order, with their description. */
  readonly positionals: Readonly<Record<string, string>>;
  readonly examples: readonly (readonly [command: string, meaning: string])[];
  /** Options that its arguments stand for. */
  readonly implied?: (args: Arguments) => GivenOptions;
  /** @returns the exit code. The parts a command needs are loaded only when it runs. */
  readonly run: (options: Options, args: Arguments) => Promise<number>;
}

const VERSION = readVersion();

/** Options of commands that run a script without a server. */
const SCRIPT_OPTIONS = [
  'package-path',
  'allow-js',
  'allow-execute',
  'cpu-ms',
  'memory-mb',
  'string-mb',
  'max-files',
  'write-mb',
  'config',
];

/** What tells where the control socket of a server is. */
const CONTROL_OPTIONS = ['control', 'spool', 'user', 'group', 'config'];

const COMMANDS: readonly Command[] = [
  {
    usage: ['serve', '$0'],
    name: 'serve',
    summary: 'Run the milter',
    positionals: {},
    examples: [
      ['$0', 'Policy /etc/mail/smtpf.lua, on port 8895 of 127.0.0.1'],
      ['$0 --listen unix:/run/milter.sock --socket-group postfix', 'A unix socket'],
      ['$0 --listen inet:8895@127.0.0.1 --listen inet6:8895@::1', 'Two addresses'],
      ['$0 --user smtpf --on-error tempfail', 'Started as root'],
      ['$0 check /etc/mail/smtpf.lua', 'Is this script right?'],
    ],
    run: async (options) => {
      const { serve } = await import('./commands/serve.ts');
      return serve(options, VERSION);
    },
  },
  {
    usage: 'check <file>',
    name: 'check',
    summary:
      'Look for mistakes in a script, run its main chunk as a connection would, and list its callbacks',
    options: SCRIPT_OPTIONS,
    switches: { strict: 'Warnings fail too', json: 'Print JSON' },
    positionals: { file: 'The Lua file' },
    examples: [
      ['$0 check /etc/mail/smtpf.lua', 'Exit code 0, or 1 and FILE:LINE:COLUMN: MESSAGE'],
      ['$0 check --strict --json smtpf.lua', 'For a program'],
    ],
    implied: ({ file }) => new Map([['script', [String(file)]]]),
    run: async (options, { file, strict, json }) => {
      const { check } = await import('./commands/check.ts');
      return check(options, String(file), { strict: strict === true, json: json === true });
    },
  },
  {
    usage: 'try <policy> [message]',
    name: 'try',
    summary: 'Run a policy on a message without sending it, and show what would become of it',
    options: [
      ...SCRIPT_OPTIONS,
      'on-error',
      'actions',
      'macros',
      'dns-server',
      'dns-timeout',
      'deadline',
      'eom-deadline',
      'max-header-mb',
      'max-body-mb',
      'max-recipients',
    ],
    switches: TRY_SWITCHES,
    values: TRY_VALUES,
    positionals: { policy: 'The Lua file', message: 'File of the message (default: a short one, built in)' },
    examples: [
      [
        '$0 try smtpf.lua message.eml --ip 192.0.2.7',
        'Exit code 0 accepted, 1 refused, 2 deferred, 3 script error',
      ],
      ['$0 try smtpf.lua --to list@example.com --mta sendmail', 'Without a message of your own'],
      ['$0 try smtpf.lua --session -', 'Type SMTP commands'],
      ['$0 try smtpf.lua --repeat Maildir --dns records', 'Many messages, and no DNS'],
    ],
    implied: ({ policy }) => new Map([['script', [String(policy)]]]),
    run: async (options, args) => {
      const { tryPolicy } = await import('./commands/try.ts');
      return tryPolicy(options, args);
    },
  },
  {
    usage: 'test [files..]',
    name: 'test',
    summary: 'Run the tests of policies: *_test.lua beside them',
    options: SCRIPT_OPTIONS,
    switches: {
      tap: 'Print TAP',
      json: 'Print JSON',
      coverage: 'Show which lines of the policies were not run',
      bail: 'End each file with the first case that fails',
      watch: 'Run again when a test, its policy or a module of it changes',
    },
    values: {
      junit: 'Write a report for CI servers to this file',
      lcov: 'Write the coverage of lines to this file',
      filter: 'Only the cases whose name matches this regular expression',
      jobs: 'At most so many processes (default: one for each CPU)',
    },
    positionals: { files: 'Files, or directories with such files in them (default: .)' },
    examples: [
      ['$0 test', 'All tests here and below. Exit code 0, 1: some failed, 3: some could not run'],
      ['$0 test --watch --coverage access_test.lua', 'While working on a policy'],
      ['$0 test --junit report.xml examples', 'For CI'],
    ],
    run: async (options, args) => {
      const { test } = await import('./commands/test.ts');
      const text = (name: string): string | undefined =>
        args[name] === undefined ? undefined : [args[name]].flat().map(String).at(-1);
      const { files, tap, json, coverage, bail, watch } = args;
      const places = [files ?? []].flat().map(String);
      return test(options, {
        places: places.length > 0 ? places : ['.'],
        filter: text('filter'),
        jobs: text('jobs'),
        junit: text('junit'),
        lcov: text('lcov'),
        bail: bail === true,
        watch: watch === true,
        tap: tap === true,
        json: json === true,
        coverage: coverage === true,
      });
    },
  },
  {
    usage: 'stubs',
    name: 'stubs',
    summary: 'Print the Lua API as annotations for an editor (LuaLS, EmmyLua)',
    options: [],
    positionals: {},
    examples: [['$0 stubs > smtpf.d.lua', 'A file for completion and types']],
    run: async () => {
      const { stubs } = await import('./commands/stubs.ts');
      return stubs();
    },
  },
  {
    usage: 'status',
    name: 'status',
    summary: 'Show how a running server is doing',
    options: CONTROL_OPTIONS,
    switches: { json: 'Print JSON' },
    positionals: {},
    examples: [
      ['$0 status', 'Of the server that runs with the same options'],
      ['$0 status --json --control /run/smtpf/control.sock', 'For a program'],
    ],
    run: async (options, { json }) => {
      const { status } = await import('./commands/status.ts');
      return status(options, { json: json === true });
    },
  },
  {
    usage: 'trace',
    name: 'trace',
    summary: 'Show the sessions of a running server as they happen, callback by callback',
    options: CONTROL_OPTIONS,
    switches: { json: 'Print JSON, one object a line' },
    values: {
      ip: 'Only sessions of this client: an address, or a network as 192.0.2.0/24',
      from: 'Only with this sender: an address, a domain, or <>',
      rcpt: 'Only with this recipient: an address or a domain',
    },
    positionals: {},
    examples: [
      ['$0 trace', 'All sessions'],
      ['$0 trace --ip 192.0.2.0/24 --rcpt info@example.com', 'Those for which all that is given fits'],
    ],
    run: async (options, { json, ip, from, rcpt }) => {
      const { trace } = await import('./commands/trace.ts');
      const given = Object.entries({ ip, from, rcpt }).filter(([, value]) => value !== undefined);
      const filter = Object.fromEntries(given.map(([name, value]) => [name, lastText(value)]));
      return trace(options, filter, { json: json === true });
    },
  },
  {
    usage: 'why <what>',
    name: 'why',
    summary: 'Say what was decided about a message, and which line of the script decided it',
    options: [...CONTROL_OPTIONS, 'journal'],
    switches: { json: 'Print JSON' },
    positionals: { what: 'A queue id, an id of a session or transaction, or an address' },
    examples: [
      ['$0 why 4XyZ1b2c3d', 'Of a server started with --journal'],
      ['$0 why joe@example.com --journal /var/lib/smtpf/journal', 'Without a server'],
    ],
    run: async (options, { what, json }) => {
      const { why } = await import('./commands/why.ts');
      return why(options, String(what), { json: json === true });
    },
  },
];

const EPILOGUE = `Every option can also be set by an environment variable, as SMTPF_MILTER_LISTEN for --listen \
(there several addresses stand with blanks between), or in the JSON file of --config, as "listen": [...]. \
The command line counts before the environment, that before the file.

SIGHUP compiles the script anew for connections to come. SIGTERM ends the program. \
Exit codes: 0 all is well, 1 bad script (check), 64 wrong option, 78 wrong configuration, 70 internal error.`;

/** Of a value given several times the last counts. */
function lastText(value: unknown): string {
  return String(Array.isArray(value) ? value.at(-1) : value);
}

interface Invocation {
  readonly command: Command;
  readonly args: Arguments;
}

/** @returns what to run, or the text that answers --help or --version. @throws OperatorError */
async function parse(argv: string[]): Promise<Invocation | string> {
  let invocation: Invocation | undefined;
  const program = yargs(argv)
    .scriptName('smtpf-milter')
    .locale('en')
    .usage('$0 [command] [options]\n\nA milter that runs your mail policy in Lua, for Postfix and Sendmail.')
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'strip-aliased': true,
    })
    .version(VERSION)
    .help()
    .alias('help', 'h')
    .epilogue(EPILOGUE)
    .wrap(Math.max(70, Math.min(100, process.stdout.columns ?? 90)))
    .exitProcess(false)
    .fail(false);
  for (const command of COMMANDS) {
    program.command(
      command.usage,
      command.summary,
      (parser) => describe(parser, command),
      (args) => {
        invocation = { command, args };
      },
    );
  }
  let answer = '';
  try {
    await program.parseAsync(argv, {}, (_error, _args, output) => {
      answer = output;
    });
  } catch (error) {
    throw new OperatorError(usageProblem(error, argv[0]), EXIT.usage);
  }
  return invocation ?? answer;
}

function describe(parser: Argv, command: Command): Argv {
  for (const [name, help] of Object.entries(command.positionals)) {
    parser.positional(name, { describe: help, type: 'string' });
  }
  for (const { name, group, help, kind, shown } of Object.values(OPTION_TABLE)) {
    if (!takes(command, name)) continue;
    parser.option(name, {
      group,
      describe: help,
      ...(kind === 'flag' ? { boolean: true } : {}),
      ...(shown === undefined ? {} : { defaultDescription: shown }),
    });
  }
  for (const [name, help] of Object.entries(command.switches ?? {})) {
    parser.option(name, { group: 'Output:', describe: help, boolean: true });
  }
  for (const [name, help] of Object.entries(command.values ?? {})) {
    parser.option(name, { group: 'Output:', describe: help, type: 'string', requiresArg: true });
  }
  for (const [example, meaning] of command.examples) parser.example(example, meaning);
  return parser.group(['help', 'version'], 'Program:');
}

function takes(command: Command, option: string): boolean {
  return command.options?.includes(option) ?? true;
}

/** yargs takes `--allow-js=yes` for false. @throws OperatorError */
function spellFlags(argv: readonly string[]): string[] {
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  return argv.map((argument, index) => {
    const [option = '', ...value] = argument.split('=');
    const isFlag =
      Object.values(OPTION_TABLE).some(({ kind, name }) => kind === 'flag' && `--${name}` === option) ||
      COMMANDS.some(({ switches }) => Object.hasOwn(switches ?? {}, option.replace(/^--/, '')));
    if (!isFlag || value.length === 0 || index > end) return argument;
    try {
      return `${option}=${onOff(value.join('='))}`;
    } catch (error) {
      if (!(error instanceof BadValue)) throw error;
      throw new OperatorError(`${option}: ${JSON.stringify(value.join('='))} ${error.message}`, EXIT.usage);
    }
  });
}

function usageProblem(error: unknown, command: string | undefined): string {
  const message = error instanceof Error ? error.message : String(error);
  if (!message.startsWith('Not enough non-option arguments')) return message.replace(/\s*\n\s*/g, ' ');
  if (command === 'try') return 'try: the policy to try must be named: smtpf-milter try POLICY [MESSAGE]';
  if (command === 'why') return 'why: a queue id or an address must be named: smtpf-milter why WHAT';
  return 'check: the script to check must be named: smtpf-milter check FILE';
}

/** The options given, by dashed name, whether known or not. @throws OperatorError for arguments nobody takes. */
function givenOptions({ command, args }: Invocation): GivenOptions {
  const given = new Map<string, readonly string[]>(command.implied?.(args));
  for (const [key, content] of Object.entries(args)) {
    if (key === '$0' || Object.hasOwn(command.positionals, key)) continue;
    if (Object.hasOwn(command.switches ?? {}, key) || Object.hasOwn(command.values ?? {}, key)) continue;
    if (key === '_') {
      refuseSurplus(command, Array.isArray(content) ? content.map(String) : []);
      continue;
    }
    const name = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    const known = Object.values(OPTION_TABLE).find((definition) => definition.name === name);
    const values: unknown[] = Array.isArray(content) ? content : [content];
    if (known && known.kind !== 'flag' && values.includes(true)) {
      throw new OperatorError(`--${name}: needs a value`, EXIT.usage);
    }
    if (known && !takes(command, name)) {
      throw new OperatorError(`--${name}: not an option of ${command.name}`, EXIT.usage);
    }
    if (!known && name.length === 1) throw new OperatorError(`-${name}: unknown option`, EXIT.usage);
    const own = nearest(name, Object.keys({ ...command.switches, ...command.values }));
    if (!known && own !== undefined) {
      throw new OperatorError(`--${name}: unknown option (did you mean --${own}?)`, EXIT.usage);
    }
    given.set(name, values.map(String));
  }
  return given;
}

function refuseSurplus(command: Command, words: readonly string[]): void {
  const surplus = words[0] === command.name ? words[1] : words[0];
  if (surplus === undefined) return;
  const near = nearest(
    surplus,
    COMMANDS.map(({ name }) => name),
  );
  throw new OperatorError(
    words[0] === command.name
      ? `${command.name}: ${JSON.stringify(surplus)} is one argument too many`
      : `${JSON.stringify(surplus)}: unknown command${near === undefined ? '' : ` (did you mean ${near}?)`}`,
    EXIT.usage,
  );
}

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const found = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return found ? String(manifest.version) : 'unknown';
}

async function main(): Promise<number> {
  try {
    const parsed = await parse(spellFlags(process.argv.slice(2)));
    if (typeof parsed === 'string') {
      process.stdout.write(`${parsed}\n`);
      return EXIT.ok;
    }
    const options = resolveOptions(givenOptions(parsed), process.env);
    return await parsed.command.run(options, parsed.args);
  } catch (error) {
    if (error instanceof OperatorError) {
      process.stderr.write(`smtpf-milter: ${error.message.replaceAll('\n', ' ')}\n`);
      return error.exitCode;
    }
    process.stderr.write(`smtpf-milter: internal error: ${error instanceof Error ? error.stack : error}\n`);
    return EXIT.software;
  }
}

// A reader of our output that has gone away is no reason to stop filtering mail.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});
process.exit(await main());
