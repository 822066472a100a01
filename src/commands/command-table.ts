/** The commands: one table, from which command line and `--help` follow. */
import type { Options } from '../options/option-table.ts';
import { type GivenOptions, PACKAGED_CONFIG } from '../options/options.ts';
import { type OwnOptions, ownList, ownSwitch, ownValue } from './own-option.ts';
import { print } from './print.ts';
import { TRY_OPTIONS } from './try/try-options.ts';

export type Arguments = Readonly<Record<string, unknown>>;

export interface CommandDefinition {
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
  /** What is said where an argument is missing that it must have. */
  readonly unnamed?: string;
  readonly examples: readonly (readonly [command: string, meaning: string])[];
  /** Paragraphs that `--help` shows below the examples. */
  readonly notes?: readonly string[];
  /** The config file where none is named: of a package, where it is and may be read. */
  readonly usualConfig?: string;
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

/** Where services are that `test --record` asks. */
const ASKED_OPTIONS = ['clamd', 'spamd', 'rspamd', 'http-allow', 'own-address', 'dns-server', 'dns-timeout'];

/** What tells where the control socket of a server is: the options that the server was started with. */
const OF_SERVER = {
  control: 'Its control socket',
  spool: 'Its --spool, where it was started with one: the control socket is beside it',
  user: 'Its --user, where it was started with one',
  group: 'Its --group',
  config: 'Its --config',
};

const JSON_OUTPUT = { json: ownSwitch('Output', 'Print JSON') };

export const COMMANDS: readonly CommandDefinition[] = [
  {
    usage: ['serve', '$0'],
    name: 'serve',
    summary: 'Run the milter',
    positionals: {},
    examples: [
      ['$0', 'Policy /etc/mail/smtpf.lua, on port 8895 of 127.0.0.1'],
      [
        '$0 --listen unix:/var/spool/postfix/smtpf/milter.sock',
        'A unix socket for Postfix, in a chroot or not; the README says how to make its directory',
      ],
      ['$0 --listen inet:8895@127.0.0.1 --listen inet6:8895@::1', 'Two addresses'],
      ['$0 --user smtpf --on-error tempfail', 'Started as root'],
      ['$0 check /etc/mail/smtpf.lua', 'Is this script right?'],
    ],
    notes: [
      'smtpf-milter COMMAND --help shows the options of one command.',
      'Every option can also be set by an environment variable, as SMTPF_MILTER_LISTEN for --listen (there several addresses stand with blanks between), or in the JSON file of --config, as "listen": [...]. The command line counts before the environment, that before the file.',
      'SIGHUP, or smtpf-milter reload, compiles the script anew for connections to come. SIGTERM ends the program.',
    ],
    run: async (options, _args, version) => {
      const { openFilesLimit, requireDescriptors } = await import('../system/descriptors.ts');
      // Before the rest is imported, which opens many files at a time.
      requireDescriptors(openFilesLimit());
      const { serve } = await import('./serve.ts');
      return serve(options, version);
    },
  },
  {
    usage: 'check <files..>',
    name: 'check',
    summary:
      'Look for mistakes in a script, run its main chunk as a connection would, and list its callbacks',
    options: SCRIPT_OPTIONS,
    own: { strict: ownSwitch('Output', 'Warnings fail too'), ...JSON_OUTPUT },
    positionals: { files: { help: 'The Lua files' } },
    unnamed: 'the script to check must be named: smtpf-milter check FILE...',
    examples: [
      ['$0 check /etc/mail/smtpf.lua', 'Exit code 0, or 1 and FILE:LINE:COLUMN: MESSAGE'],
      ['$0 check --strict --json *.lua', 'For a program: one JSON document'],
    ],
    run: async (options, { files, strict, json }) => {
      const { check } = await import('./check.ts');
      return check(options, [files].flat().map(String), { strict: strict === true, json: json === true });
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
      'store',
      'store-mb',
      'store-prefix',
      'http-allow',
      'own-address',
      'smarthost',
      'smarthost-tls',
      'send-per-hour',
      'geo',
      'clamd',
      'spamd',
      'rspamd',
      'srs-secret',
      'srs-domain',
      'signing-key',
      'dns-server',
      'dns-timeout',
      'deadline',
      'eom-deadline',
      'max-header-mb',
      'max-headers',
      'max-body-mb',
      'max-recipients',
    ],
    own: TRY_OPTIONS,
    positionals: {
      policy: { help: 'The Lua file' },
      message: { help: 'File of the message; - for standard input', shown: 'a short one, built in' },
    },
    unnamed: 'the policy to try must be named: smtpf-milter try POLICY [MESSAGE]',
    examples: [
      [
        '$0 try smtpf.lua message.eml --ip 192.0.2.7',
        'Exit code 0 accepted, 1 refused, 2 tempfail, 3 script error',
      ],
      ['$0 try smtpf.lua --to list@example.com --mta sendmail', 'Without a message of your own'],
      ['$0 try smtpf.lua --session -', 'Type SMTP commands'],
      ['$0 try smtpf.lua --repeat Maildir --dns records', 'Many messages, and no DNS'],
    ],
    implied: ({ policy }) => new Map([['script', [String(policy)]]]),
    run: async (options, args) => {
      const { tryPolicy } = await import('./try/try.ts');
      return tryPolicy(options, args);
    },
  },
  {
    usage: 'test [files..]',
    name: 'test',
    summary: 'Run the tests of policies: *_test.lua beside them',
    options: [...SCRIPT_OPTIONS, ...ASKED_OPTIONS],
    own: {
      filter: ownValue('What is run', 'Only the cases whose name matches this regular expression'),
      bail: ownSwitch('What is run', 'End each file with the first case that fails'),
      record: ownSwitch(
        'What is run',
        'Ask real services what a test does not say, and keep the answers beside it',
      ),
      watch: ownSwitch('What is run', 'Run again when a test, its policy or a module of it changes'),
      jobs: ownValue('What is run', 'At most so many processes', 'one for each CPU'),
      coverage: ownSwitch('Output', 'Show which lines of the policies were not run'),
      tap: ownSwitch('Output', 'Print TAP'),
      ...JSON_OUTPUT,
      junit: ownValue('Output', 'Write a report for CI servers to this file; - for standard output'),
      lcov: ownValue('Output', 'Write the coverage of lines to this file; - for standard output'),
    },
    positionals: { files: { help: 'Files, or directories with such files in them', shown: '.' } },
    examples: [
      ['$0 test', 'All tests here and below. Exit code 0, 1: some failed, 3: some could not run'],
      ['$0 test --watch --coverage access_test.lua', 'While working on a policy'],
      ['$0 test --record --rspamd inet:11333@127.0.0.1', 'Ask a real rspamd once; later runs replay'],
      ['$0 test --junit report.xml examples', 'For CI'],
    ],
    run: async (options, args) => {
      const { test } = await import('./test.ts');
      const text = (name: string): string | undefined =>
        args[name] === undefined ? undefined : String(args[name]);
      const { files, tap, json, coverage, bail, watch, record } = args;
      const places = [files ?? []].flat().map(String);
      return test(options, {
        places: places.length > 0 ? places : ['.'],
        filter: text('filter'),
        jobs: text('jobs'),
        junit: text('junit'),
        lcov: text('lcov'),
        bail: bail === true,
        record: record === true,
        watch: watch === true,
        tap: tap === true,
        json: json === true,
        coverage: coverage === true,
      });
    },
  },
  {
    usage: 'init [dir]',
    name: 'init',
    summary: 'Write a first policy from the ready ones, with its tests, and say what to do with it',
    options: ['config'],
    server: {
      config: 'Of the milter that it is for: what is said to do next fits its policy and its address',
    },
    usualConfig: PACKAGED_CONFIG,
    own: {
      with: ownValue(
        'The policy',
        'Names of ready policies, with commas between; on a terminal they are asked for',
        'ratelimit,greylist,dmarc,attachments',
      ),
      domain: ownValue('The policy', 'Your domain', 'example.com, to be replaced'),
      list: ownSwitch(
        'Output',
        'Print the policies to choose from, and the folder that they are in; nothing is written',
      ),
      ...JSON_OUTPUT,
    },
    positionals: { dir: { help: 'Folder for the files; made where it is not there', shown: '.' } },
    examples: [
      ['$0 init', 'smtpf.lua, smtpf_test.lua, smtpf.d.lua and .luarc.json here'],
      ['$0 init /etc/mail --with greylist,dmarc --domain example.org', 'Those two'],
      ['$0 init --list', 'What there is'],
    ],
    notes: [
      `Without --config it takes ${PACKAGED_CONFIG}, where it is.`,
      'Exit code 64: a policy that is not there, or a wrong domain; 73: a file is there already, or cannot be written. Then nothing is written.',
    ],
    run: async (options, { dir, with: names, domain, list, json }) => {
      const { init } = await import('./init/init.ts');
      return init(options, {
        directory: dir === undefined ? '.' : String(dir),
        ...(names !== undefined && { with: String(names) }),
        ...(domain !== undefined && { domain: String(domain) }),
        list: list === true,
        json: json === true,
      });
    },
  },
  {
    usage: 'replay <policy> <directory>',
    name: 'replay',
    summary: 'Run recorded sessions again against a policy, and list what would change',
    options: [
      ...SCRIPT_OPTIONS,
      'on-error',
      'actions',
      'macros',
      'srs-domain',
      'deadline',
      'eom-deadline',
      'max-header-mb',
      'max-headers',
      'max-body-mb',
      'max-recipients',
    ],
    own: {
      against: ownValue(
        'What is compared',
        'With what this policy says to the same sessions, instead of what was answered then',
      ),
      jobs: ownValue('What is compared', 'At most so many processes', 'one for each CPU'),
      'as-test': ownValue('Output', 'Print the session with this id as a test of the policy, and end'),
      ...JSON_OUTPUT,
    },
    positionals: {
      policy: { help: 'The Lua file' },
      directory: { help: 'Where --record has kept sessions' },
    },
    unnamed: 'policy and recording must be named: smtpf-milter replay POLICY DIRECTORY',
    examples: [
      [
        '$0 replay new.lua /var/lib/smtpf-milter/sessions',
        'Exit code 0: nothing would change, 1: something would, 3: the policy does not run',
      ],
      ['$0 replay new.lua sessions --against /etc/mail/smtpf.lua', 'Of redacted sessions'],
      ['$0 replay smtpf.lua sessions --as-test mi3x2k-1.4 > smtpf_test.lua', 'A session as a test'],
    ],
    implied: ({ policy }) => new Map([['script', [String(policy)]]]),
    run: async (options, args) => {
      const { replay } = await import('./replay/replay.ts');
      const text = (name: string): string | undefined =>
        args[name] === undefined ? undefined : String(args[name]);
      return replay(options, {
        directory: String(args['directory']),
        against: text('against'),
        jobs: text('jobs'),
        asTest: text('as-test'),
        json: args['json'] === true,
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
    usage: 'key',
    name: 'key',
    summary: 'Make a key that signs mail (DKIM, ARC), and print its record for the DNS',
    options: [],
    own: {
      domain: ownValue('The key', 'Domain that signs: d= of its signatures'),
      selector: ownValue('The key', 'Its name in the domain: s= of its signatures'),
      type: ownValue('The key', 'rsa or ed25519', 'rsa'),
      bits: ownValue('The key', 'Length of an RSA key, from 1024 to 4096', '2048'),
      out: ownValue(
        'Output',
        'File for the private key, in PEM form, for its owner alone; one that exists is left as it is',
        'DOMAIN.SELECTOR.pem',
      ),
      ...JSON_OUTPUT,
    },
    positionals: {},
    examples: [
      ['$0 key --domain example.com --selector 2026a', 'example.com.2026a.pem, and a record'],
      [
        '$0 key --domain example.com --selector 2026e --type ed25519',
        'A second signature, for those who know it',
      ],
    ],
    run: async (_options, { domain, selector, type, bits, out, json }) => {
      const { key } = await import('./key.ts');
      const given = Object.entries({ domain, selector, type, bits, out }).filter(
        ([, value]) => value !== undefined,
      );
      const texts = Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
      return key(texts, { json: json === true });
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
      ['$0 status --json --control /run/smtpf-milter/control', 'For a program'],
    ],
    run: async (options, { json }) => {
      const { status } = await import('./status.ts');
      return status(options, { json: json === true });
    },
  },
  {
    usage: 'reload',
    name: 'reload',
    summary: 'Have a running server take the edited policy now, and say what came of it',
    options: Object.keys(OF_SERVER),
    server: OF_SERVER,
    own: JSON_OUTPUT,
    positionals: {},
    examples: [
      ['$0 reload', 'Exit code 0: it is live, 1: it is refused, 75: no server answers'],
      [
        '$0 check smtpf.lua && mv smtpf.lua /etc/mail && $0 reload',
        'A new version, from its editor to the mail',
      ],
      ['$0 reload --json --control /run/smtpf-milter/control', 'For a program'],
    ],
    notes: [
      'It waits until all processes of the server have the new version. With --on-reload of the server that is after its checks and tests. Sessions in progress keep the version that they began with.',
    ],
    run: async (options, { json }) => {
      const { reload } = await import('./reload.ts');
      return reload(options, { json: json === true });
    },
  },
  {
    usage: 'doctor',
    name: 'doctor',
    summary: 'Look for what is wrong with the server, its files and the MTA beside it, and say what mends it',
    own: {
      postfix: ownValue('Which MTA', 'Directory of main.cf and master.cf', '/etc/postfix, where it is'),
      sendmail: ownValue('Which MTA', 'sendmail.cf', '/etc/mail/sendmail.cf, where it is'),
      ignore: ownList('Output', 'A finding that does not count, as fails-open. May be given several times'),
      fix: ownSwitch('Output', 'Print a shell script with the commands that mend; nothing is changed'),
      ...JSON_OUTPUT,
    },
    positionals: {},
    examples: [
      ['$0 doctor', 'Exit code 0, or 1 and what is wrong. Run it as root, with the options of the server'],
      ['$0 doctor --config /usr/local/etc/smtpf.json --json', 'For monitoring'],
      ['$0 doctor --postfix /etc/postfix --fix', 'A script to read, and to run as root'],
    ],
    notes: [`Without --config it takes ${PACKAGED_CONFIG}, where it is.`],
    usualConfig: PACKAGED_CONFIG,
    run: async (options, { postfix, sendmail, ignore, json, fix }) => {
      const { doctor } = await import('./doctor.ts');
      const text = (value: unknown) => (value === undefined ? undefined : String(value));
      return doctor(options, {
        postfix: text(postfix),
        sendmail: text(sendmail),
        ignore: [ignore ?? []].flat().map(String),
        json: json === true,
        fix: fix === true,
      });
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
    usage: 'top',
    name: 'top',
    summary: 'Show the sessions of a running server as they are now, and what they wait for',
    options: Object.keys(OF_SERVER),
    server: OF_SERVER,
    own: {
      interval: ownValue('Output', 'Seconds between two looks', '2'),
      once: ownSwitch('Output', 'Look once'),
      json: ownSwitch('Output', 'Print JSON, one object a line for each look'),
    },
    positionals: {},
    examples: [
      ['$0 top', 'At a terminal, until q or Ctrl-C'],
      ['$0 top --json --interval 10', 'For a program'],
    ],
    run: async (options, { json, once, interval }) => {
      const { top } = await import('./top.ts');
      return top(options, {
        json: json === true,
        once: once === true,
        interval: interval === undefined ? undefined : String(interval),
      });
    },
  },
  {
    usage: 'why [what]',
    name: 'why',
    summary: 'Say what was decided about messages, and which line of the script decided it',
    options: [...Object.keys(OF_SERVER), 'journal', 'journal-key'],
    server: {
      ...OF_SERVER,
      journal: 'The journal itself: then no server is asked, and none needs to run',
    },
    own: {
      since: ownValue('Which messages', 'Not before this time: 30m, 2h, 7d ago, or 2026-11-28T10:30 (UTC)'),
      last: ownValue('Which messages', 'At most so many, the newest', '20'),
      rejected: ownSwitch(
        'Which messages',
        'Those of which the client, or a recipient, was refused or deferred',
      ),
      failed: ownSwitch('Which messages', 'Those with a callback that failed, whatever became of them'),
      ...JSON_OUTPUT,
    },
    positionals: {
      what: {
        help: "A queue id, an id of a session or transaction, an address or domain of sender or recipient, or a client's address or network",
        shown: 'those of --since, --last, --rejected or --failed',
      },
    },
    examples: [
      ['$0 why 4XyZ1b2c3d', 'Of a server started with --journal'],
      ['$0 why example.com --rejected --since 2h', 'What was refused from or to a domain'],
      ['$0 why 192.0.2.0/24 --last 5', 'The newest of these clients'],
      ['$0 why joe@example.com --journal /var/lib/smtpf/journal', 'Without a server'],
    ],
    run: async (options, { what, since, last, rejected, failed, json }) => {
      const { why } = await import('./why.ts');
      const given = Object.entries({ what, since, last, rejected, failed }).filter(
        ([, value]) => value !== undefined && value !== false,
      );
      const texts = Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
      return why(options, texts, { json: json === true });
    },
  },
  {
    usage: 'shadow <action>',
    name: 'shadow',
    summary: 'List what the candidate of --shadow would have done otherwise: report',
    options: Object.keys(OF_SERVER),
    server: OF_SERVER,
    own: { reset: ownSwitch('Output', 'Count anew from here on'), ...JSON_OUTPUT },
    positionals: { action: { help: 'report' } },
    unnamed: 'what to do must be named: smtpf-milter shadow report',
    examples: [
      [
        '$0 shadow report',
        'Of a server started with --shadow. Exit code 0: nothing would be different, 1: something, 3: the candidate does not run',
      ],
      ['$0 shadow report --json --reset', 'For a program'],
    ],
    run: async (options, { action, json, reset }) => {
      const { shadow } = await import('./shadow.ts');
      return shadow(options, { action: String(action), json: json === true, reset: reset === true });
    },
  },
  {
    usage: 'store <action> [what..]',
    name: 'store',
    summary: 'Look into the store of a server, and mend what is kept there: list, get, set, del, dump, load',
    options: ['store', 'store-mb', 'store-prefix', 'spool', 'user', 'group', 'worker-user', 'config'],
    server: {
      store: 'Its --store, where it was started with one',
      'store-mb': 'Its --store-mb',
      'store-prefix': 'Its --store-prefix',
      spool: 'Its --spool, where it was started with one: the store may be in it',
      user: 'Its --user, where it was started with one',
      group: 'Its --group',
      'worker-user': 'Its --worker-user',
      config: 'Its --config',
    },
    own: {
      ttl: ownValue('What is set', 'How long it is kept: 90, 30m, 2h, 7d', 'in kv for ever, else 35d'),
      string: ownSwitch('What is set', 'VALUE is a string, whatever it looks like'),
      json: ownSwitch('Output', 'Print JSON, one object a line'),
    },
    positionals: {
      action: { help: 'list, get, set, del, dump or load' },
      what: { help: 'Area, key and value, or a file: see below', shown: 'list and dump: all' },
    },
    unnamed: 'what to do must be named: smtpf-milter store list|get|set|del|dump|load',
    examples: [
      ['$0 store list [AREA] [PREFIX]', 'What is kept, of keys that begin so'],
      ['$0 store get joe@example.com', 'All that is counted for a key'],
      ['$0 store del rate joe@example.com', 'Let him send again'],
      ["$0 store set grey '192.0.2.0/24|a@b.example|c@d.example' known", 'Let this attempt pass'],
      ['$0 store set client 192.0.2.0/24 5 --ttl 90d', 'No greylisting for a network'],
      ['$0 store set maintenance true --ttl 2h', 'What kv.get "maintenance" returns'],
      ['$0 store dump FILE, and $0 store load FILE', 'All of it, into another store too'],
    ],
    notes: [
      'An AREA is kv, kv:NAME for kv.open "NAME", rate, grey, client (networks that passed greylisting) or limit. get and del without one look for the key in all, set means kv.',
      'Keys are written as they are shown: \\ for a backslash, \\xHH for a byte. A VALUE is a number, true, false, a flat table as JSON, or a string.',
      'Exit code 1: get or del found nothing; 64: wrong use; 75: the store does not answer.',
    ],
    run: async (options, { action, what, json, ttl, string }) => {
      const { store } = await import('./store/store.ts');
      return store(options, {
        action: String(action),
        words: [what ?? []].flat().map(String),
        json: json === true,
        ttl: ttl === undefined ? undefined : String(ttl),
        isString: string === true,
        write: print,
      });
    },
  },
];
