/** The commands: one table, from which command line and `--help` follow. */
import type { Options } from '../option-table.ts';
import type { GivenOptions } from '../options.ts';
import { type OwnOptions, ownSwitch, ownValue } from './own-option.ts';
import { TRY_OPTIONS } from './try-options.ts';

export type Arguments = Readonly<Record<string, unknown>>;

export interface Command {
  /** yargs' form: words in brackets are arguments; `$0` marks the command that needs no name. */
  readonly usage: string | readonly string[];
  readonly name: string;
  readonly summary: string;
  /** Names of the options it takes; undefined: all. */
  readonly options?: readonly string[];
  /** What those are of that concern a server which this command asks. */
  readonly server?: Readonly<Record<string, string>>;
  readonly own?: OwnOptions;
  /** Arguments in order, with their description. */
  readonly positionals: Readonly<Record<string, { readonly help: string; readonly shown?: string }>>;
  readonly examples: readonly (readonly [command: string, meaning: string])[];
  /** Options that its arguments stand for. */
  readonly implied?: (args: Arguments) => GivenOptions;
  /** @returns the exit code. The parts a command needs are loaded only when it runs. */
  readonly run: (options: Options, args: Arguments, version: string) => Promise<number>;
}

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

/** What tells where the control socket of a server is: the options that the server was started with. */
const OF_SERVER = {
  control: 'Its control socket',
  spool: 'Its --spool, where it was started with one: the control socket is beside it',
  user: 'Its --user, where it was started with one: that user’s spool directory is meant',
  group: 'Its --group',
  config: 'Its --config',
};

const JSON_OUTPUT = { json: ownSwitch('Output', 'Print JSON') };

export const COMMANDS: readonly Command[] = [
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
    run: async (options, _args, version) => {
      const { serve } = await import('./serve.ts');
      return serve(options, version);
    },
  },
  {
    usage: 'check <file>',
    name: 'check',
    summary:
      'Look for mistakes in a script, run its main chunk as a connection would, and list its callbacks',
    options: SCRIPT_OPTIONS,
    own: { strict: ownSwitch('Output', 'Warnings fail too'), ...JSON_OUTPUT },
    positionals: { file: { help: 'The Lua file' } },
    examples: [
      ['$0 check /etc/mail/smtpf.lua', 'Exit code 0, or 1 and FILE:LINE:COLUMN: MESSAGE'],
      ['$0 check --strict --json smtpf.lua', 'For a program'],
    ],
    implied: ({ file }) => new Map([['script', [String(file)]]]),
    run: async (options, { file, strict, json }) => {
      const { check } = await import('./check.ts');
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
    own: TRY_OPTIONS,
    positionals: {
      policy: { help: 'The Lua file' },
      message: { help: 'File of the message', shown: 'a short one, built in' },
    },
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
      const { tryPolicy } = await import('./try.ts');
      return tryPolicy(options, args);
    },
  },
  {
    usage: 'test [files..]',
    name: 'test',
    summary: 'Run the tests of policies: *_test.lua beside them',
    options: SCRIPT_OPTIONS,
    own: {
      filter: ownValue('What is run', 'Only the cases whose name matches this regular expression'),
      bail: ownSwitch('What is run', 'End each file with the first case that fails'),
      watch: ownSwitch('What is run', 'Run again when a test, its policy or a module of it changes'),
      jobs: ownValue('What is run', 'At most so many processes', 'one for each CPU'),
      coverage: ownSwitch('Output', 'Show which lines of the policies were not run'),
      tap: ownSwitch('Output', 'Print TAP'),
      ...JSON_OUTPUT,
      junit: ownValue('Output', 'Write a report for CI servers to this file'),
      lcov: ownValue('Output', 'Write the coverage of lines to this file'),
    },
    positionals: { files: { help: 'Files, or directories with such files in them', shown: '.' } },
    examples: [
      ['$0 test', 'All tests here and below. Exit code 0, 1: some failed, 3: some could not run'],
      ['$0 test --watch --coverage access_test.lua', 'While working on a policy'],
      ['$0 test --junit report.xml examples', 'For CI'],
    ],
    run: async (options, args) => {
      const { test } = await import('./test.ts');
      const text = (name: string): string | undefined =>
        args[name] === undefined ? undefined : String(args[name]);
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
      const { stubs } = await import('./stubs.ts');
      return stubs();
    },
  },
  {
    usage: 'status',
    name: 'status',
    summary: 'Show how a running server is doing',
    options: Object.keys(OF_SERVER),
    server: OF_SERVER,
    own: JSON_OUTPUT,
    positionals: {},
    examples: [
      ['$0 status', 'Of the server that runs with the same options'],
      ['$0 status --json --control /run/smtpf/control.sock', 'For a program'],
    ],
    run: async (options, { json }) => {
      const { status } = await import('./status.ts');
      return status(options, { json: json === true });
    },
  },
  {
    usage: 'trace',
    name: 'trace',
    summary: 'Show the sessions of a running server as they happen, callback by callback',
    options: Object.keys(OF_SERVER),
    server: OF_SERVER,
    own: {
      ip: ownValue('Which sessions', 'Of this client: an address, or a network as 192.0.2.0/24'),
      from: ownValue('Which sessions', 'With this sender: an address, a domain, or <>'),
      rcpt: ownValue('Which sessions', 'With this recipient: an address or a domain'),
      json: ownSwitch('Output', 'Print JSON, one object a line'),
    },
    positionals: {},
    examples: [
      ['$0 trace', 'All sessions'],
      ['$0 trace --ip 192.0.2.0/24 --rcpt info@example.com', 'Those for which all that is given fits'],
    ],
    run: async (options, { json, ip, from, rcpt }) => {
      const { trace } = await import('./trace.ts');
      const given = Object.entries({ ip, from, rcpt }).filter(([, value]) => value !== undefined);
      const filter = Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
      return trace(options, filter, { json: json === true });
    },
  },
  {
    usage: 'why <what>',
    name: 'why',
    summary: 'Say what was decided about a message, and which line of the script decided it',
    options: [...Object.keys(OF_SERVER), 'journal'],
    server: {
      ...OF_SERVER,
      journal: 'The journal itself: then no server is asked, and none needs to run',
    },
    own: JSON_OUTPUT,
    positionals: { what: { help: 'A queue id, an id of a session or transaction, or an address' } },
    examples: [
      ['$0 why 4XyZ1b2c3d', 'Of a server started with --journal'],
      ['$0 why joe@example.com --journal /var/lib/smtpf/journal', 'Without a server'],
    ],
    run: async (options, { what, json }) => {
      const { why } = await import('./why.ts');
      return why(options, String(what), { json: json === true });
    },
  },
];
