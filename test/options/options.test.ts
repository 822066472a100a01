/** Every option: what is wrong ends in one line that names it, and what is right arrives, from wherever it comes. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { OPTION_TABLE, type OptionDefinition } from '../../src/options/option-table.ts';
import { packagePathOf, READY_POLICIES, resolveOptions } from '../../src/options/options.ts';
import { OperatorError } from '../../src/text/operator-error.ts';
import { directory, run } from '../program/program.ts';

const given = (...pairs: [string, ...string[]][]) => new Map(pairs.map(([name, ...texts]) => [name, texts]));

/** Arguments, and what the one line on stderr is after the program's name. */
const USAGE_ERRORS: readonly (readonly [string, string])[] = [
  ['--scirpt x', '--scirpt: unknown option (did you mean --script?)'],
  ['--frobnicate', '--frobnicate: unknown option'],
  ['--no-allow-js', '--no-allow-js: unknown option'],
  ['--__proto__ x', '--___proto___: unknown option'],
  ['-x', '-x: unknown option'],
  ['chekc /tmp/a.lua', '"chekc": unknown command (did you mean check?)'],
  ['serve extra', 'serve: "extra" is one argument too many'],
  ['try a.lua b.eml c.eml', 'try: "c.eml" is one argument too many'],
  ['why a b', 'why: "b" is one argument too many'],
  ['stubs x', 'stubs: "x" is one argument too many'],
  ['init a b', 'init: "b" is one argument too many'],
  ['init --with greylist,dmrac', '--with: no policy "dmrac" (did you mean dmarc?)'],
  ['init --with ,', '--with: names no policy'],
  ['init --domain localhost', '--domain: "localhost" must be a domain, such as example.com'],
  ['trace x', 'trace: "x" is one argument too many'],
  ['reload x', 'reload: "x" is one argument too many'],
  ['status -- -x', 'status: "-x" is one argument too many'],
  ['check', 'check: the script to check must be named: smtpf-milter check FILE...'],
  ['check --strict', 'check: the script to check must be named: smtpf-milter check FILE...'],
  ['test --tap --json', 'test: --tap and --json: only one of them on standard output'],
  ['test --json --junit -', 'test: --json and --junit -: only one of them on standard output'],
  [
    'test --junit /dev/stdout --lcov -',
    'test: --junit /dev/stdout and --lcov -: only one of them on standard output',
  ],
  ['replay a.lua', 'replay: policy and recording must be named: smtpf-milter replay POLICY DIRECTORY'],
  ['replay a.lua b c', 'replay: "c" is one argument too many'],
  ['replay a.lua b --jobs 0', '--jobs: "0" must be a whole number from 1 to 999'],
  ['test --watch --json', 'test: --json and --watch: a run again and again is for people'],
  ['test --watch --tap', 'test: --tap and --watch: a run again and again is for people'],
  ['check a.lua --listen inet:0@127.0.0.1', '--listen: not an option of check'],
  ['--listen', '--listen: needs a value'],
  ['try a.lua --ip', '--ip: needs a value'],
  ['--script --allow-js', '--script: needs a value'],
  ['--script=', '--script: "" must not be empty'],
  ['--grace -5', '--grace: "-5" must be a number of seconds from 0 to 86400'],
  [
    '--listen inet:0@127.0.0.1 --listen unix:run/x.sock',
    '--listen: "inet:0@127.0.0.1" "unix:run/x.sock" must have an absolute path, as in unix:/run/smtpf/milter.sock',
  ],
  ['--script a.lua --script b.lua', '--script: may be given only once'],
  ['--script a.lua --script a.lua --script c.lua', '--script: may be given only once'],
  ['--allow-js --allow-js', '--allow-js: may be given only once'],
  ['check a.lua --cpu-ms 5 --cpu-ms 6', '--cpu-ms: may be given only once'],
  ['check a.lua --json --json', '--json: may be given only once'],
  ['try a.lua --from a@b.example --from c@d.example', '--from: may be given only once'],
  ['test --filter a --filter b', '--filter: may be given only once'],
  ['trace --ip 192.0.2.1 --ip 192.0.2.2', '--ip: may be given only once'],
  ['--allow-js=banana', '--allow-js: "banana" must be true or false'],
];

/** An option, a wrong value, and what must be said of it. */
const WRONG_VALUES: readonly (readonly [string, string, string])[] = [
  [
    'listen',
    '8895',
    'must be inet:PORT@HOST, inet6:PORT@HOST, inet:HOST:PORT, unix:/PATH, local:/PATH or fd:NAME',
  ],
  ['listen', 'inet:99999@127.0.0.1', 'must have a port from 0 to 65535'],
  ['socket-mode', '999', 'must be permission bits in octal, such as 660 or 0660'],
  ['socket-mode', '66', 'must be permission bits in octal, such as 660 or 0660'],
  ['socket-mode', '4755', 'must be permission bits in octal, such as 660 or 0660'],
  ['socket-group', ':x', 'must be a name or a number'],
  ['max-connections', '-1', 'must be a whole number from 0 to 1000000'],
  ['max-connections', '1e3', 'must be a whole number from 0 to 1000000'],
  ['script', '/a\0b', 'must not hold a NUL'],
  ['on-error', 'temfail', 'must be continue, tempfail, reject or accept (did you mean tempfail?)'],
  [
    'actions',
    'add-header,addrcpt',
    'must be all, none, or a list with commas of add-header, change-header, change-body, add-recipient, ' +
      'delete-recipient, change-sender, quarantine',
  ],
  ['package-path', '', 'must not be empty'],
  ['spool', '', 'must not be empty'],
  ['config', '', 'must not be empty'],
  ['allow-js', '', 'must be true or false'],
  ['allow-execute', '2', 'must be true or false'],
  ['macros', 'all', 'must be default or none'],
  [
    'dns-server',
    'localhost',
    'must be an IP address with or without port: 192.0.2.53, 192.0.2.53:5353, [::1]:53',
  ],
  ['store-mb', '0', 'must be a whole number of megabytes from 1 to 1048576'],
  ['store-prefix', '', 'must not be empty'],
  ['http-allow', '10.0.0.0/33', 'must be a network such as 192.0.2.0/24 or 2001:db8::/32'],
  ['srs-secret', '', 'must not be empty'],
  ['own-address', '10.0.0.0/33', 'must be a network such as 192.0.2.0/24 or 2001:db8::/32'],
  [
    'smarthost',
    'smtp://mail.example.com',
    'must be HOST or HOST:PORT, an IPv6 address in brackets: mail.example.com, [::1]:587',
  ],
  ['smarthost', '[::1]:465', 'must be a port of SMTP with STARTTLS, such as 25 or 587, not 465'],
  ['smarthost-tls', 'encrypt', 'must be may, verify or none'],
  ['send-per-hour', '0', 'must be a whole number from 1 to 1000000'],
  ['geo', '', 'must not be empty'],
  [
    'clamd',
    '127.0.0.1:3310',
    'must be inet:PORT@HOST, inet6:PORT@HOST, inet:HOST:PORT, unix:/PATH or local:/PATH',
  ],
  [
    'spamd',
    'inet:0@127.0.0.1',
    'must be inet:PORT@HOST, inet6:PORT@HOST, inet:HOST:PORT, unix:/PATH or local:/PATH',
  ],
  [
    'rspamd',
    'http://joe:secret@127.0.0.1:11333',
    'must be a URL such as http://127.0.0.1:11333, without user and password',
  ],
  ['srs-domain', 'a b', 'must be a domain such as example.com'],
  ['signing-key', '', 'must not be empty'],
  ['dns-timeout', '0', 'must be a number of seconds from 0.05 to 600'],
  ['deadline', '0', 'must be a number of seconds from 0.05 to 3600'],
  ['eom-deadline', 'NaN', 'must be a number of seconds from 0.05 to 7200'],
  ['max-recipients', '0', 'must be a whole number from 1 to 10000000'],
  ['max-header-mb', '0', 'must be a whole number of megabytes from 1 to 1024'],
  ['max-headers', '0', 'must be a whole number from 1 to 1000000'],
  ['max-body-mb', '1,5', 'must be a whole number of megabytes from 0 to 1048576'],
  ['idle-timeout', '1h', 'must be a number of seconds from 1 to 1000000'],
  ['cpu-ms', '0x10', 'must be a whole number from 1 to 3600000'],
  ['memory-mb', 'Infinity', 'must be a whole number of megabytes from 1 to 1048576'],
  ['session-mb', 'Infinity', 'must be a whole number of megabytes from 1 to 1048576'],
  ['string-mb', '1.5', 'must be a whole number of megabytes from 1 to 1024'],
  ['max-files', 'many', 'must be a whole number from 0 to 65536'],
  ['write-mb', '-5', 'must be a whole number of megabytes from 0 to 1048576'],
  ['syslog', 'udp://', 'must be local, udp://HOST:PORT, tcp://HOST:PORT, stderr or none'],
  ['syslog', 'tcp://h:99999', 'must be local, udp://HOST:PORT, tcp://HOST:PORT, stderr or none'],
  ['log-level', 'loud', 'must be error, warning, notice, info or debug'],
  ['user', '-1', 'must be a name or a number'],
  ['group', 'a:b', 'must be a name or a number'],
  ['worker-user', 'a:b:c', 'must be USER or USER:GROUP'],
  ['confine', 'perhaps', 'must be true or false'],
  ['confine-read', '/a/*', 'must not hold * or a comma'],
  ['confine-write', '/a,b', 'must not hold * or a comma'],
  ['on-bad-script', 'keep', 'must be skip or last-good'],
  ['on-bad-start', 'stop', 'must be exit or serve'],
  [
    'on-reload',
    'check,tests',
    'must be all, none, or a list with commas of check, test (did you mean test?)',
  ],
  ['on-reload-timeout', '0', 'must be a number of seconds from 1 to 3600'],
  ['log-format', 'xml', 'must be text or json'],
  ['events', 'file:', 'must be none, log, file:PATH or unix:PATH'],
  [
    'metrics',
    '9155',
    'must be inet:PORT@HOST, inet6:PORT@HOST, inet:HOST:PORT, unix:/PATH, local:/PATH or fd:NAME',
  ],
  ['workers', 'many', 'must be auto or a whole number from 0 to 512'],
  ['heap-mb', '63', 'must be auto or a whole number from 64 to 1048576'],
  ['worker-timeout', '0', 'must be a number of seconds from 1 to 3600'],
  ['warm-up', 'yes', 'must be a whole number from 0 to 1000000'],
  ['control', '', 'must not be empty'],
  ['shadow', '', 'must not be empty'],
  ['canary', '5', 'must be a share such as 5% or 0.1%, at most 100%'],
  ['journal', '', 'must not be empty'],
  ['journal-mb', '0', 'must be a whole number of megabytes from 1 to 65536'],
  ['journal-key', '', 'must not be empty'],
  ['journal-redact', 'perhaps', 'must be true or false'],
  ['record', '', 'must not be empty'],
  ['record-mb', '8', 'must be a whole number of megabytes from 16 to 1048576'],
  ['record-sample', '0%', 'must be a share such as 5% or 0.1%, at most 100%'],
  ['record-sample', '101%', 'must be a share such as 5% or 0.1%, at most 100%'],
  ['record-redact', 'bodies', 'must be all, none, or a list with commas of body, headers, addresses'],
  ['grace', 'abc', 'must be a number of seconds from 0 to 86400'],
];

describe('a wrong value', () => {
  for (const [name, value, expected] of WRONG_VALUES) {
    test(`--${name} ${JSON.stringify(value)}`, () => {
      assert.throws(() => resolveOptions(given([name, value]), {}), {
        name: 'OperatorError',
        message: `--${name}: ${JSON.stringify(value)} ${expected}`,
        exitCode: 64,
      });
    });
  }

  test('is in the table above for every option', () => {
    const names = new Set(WRONG_VALUES.map(([name]) => name));
    assert.deepEqual(
      // The value of a secret is not in the line: test/supervisor/state.test.ts.
      Object.values<OptionDefinition<unknown>>(OPTION_TABLE).filter(
        ({ name, isSecret }) => !names.has(name) && !isSecret,
      ),
      [],
    );
  });
});

describe('a wrong command line', { concurrency: 4 }, () => {
  for (const [args, line] of USAGE_ERRORS) {
    test(args, async () => {
      const ended = await run(args.split(' '));
      assert.deepEqual(ended, { code: 64, stdout: '', stderr: `smtpf-milter: ${line}\n` });
    });
  }

  test('a value with line ends stays one line', async () => {
    const { code, stderr } = await run(['--on-error', 'a\nb\u001b[31m']);
    assert.equal(code, 64);
    assert.equal(
      stderr,
      'smtpf-milter: --on-error: "a\\nb\\u001b[31m" must be continue, tempfail, reject or accept\n',
    );
  });
});

describe('a wrong environment', { concurrency: 4 }, () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['SMTPF_MILTER_GRACE', 'abc', '"abc" must be a number of seconds from 0 to 86400'],
    ['SMTPF_MILTER_LISTEN', 'inet:0@127.0.0.1 foo', '"inet:0@127.0.0.1" "foo" must be inet:PORT@HOST'],
    ['SMTPF_MILTER_ALLOW_JS', 'perhaps', '"perhaps" must be true or false'],
    ['SMTPF_MILTER_SCIRPT', 'x', 'unknown option (did you mean SMTPF_MILTER_SCRIPT?)'],
  ];
  for (const [variable, content, line] of cases) {
    test(`${variable}=${content}`, async () => {
      const { code, stdout, stderr } = await run([], { [variable]: content });
      assert.deepEqual({ code, stdout }, { code: 64, stdout: '' });
      assert.ok(stderr.startsWith(`smtpf-milter: ${variable}: ${line}`), stderr);
      assert.equal(stderr.split('\n').length, 2);
    });
  }
});

describe('a command that needs some options only', { concurrency: 4 }, () => {
  const others: readonly (readonly [string, Record<string, string>, RegExp])[] = [
    [
      'an unknown variable',
      { SMTPF_MILTER_SCIRPT: 'x' },
      /^smtpf-milter: warning: SMTPF_MILTER_SCIRPT: unknown option \(did you mean SMTPF_MILTER_SCRIPT\?\)\n$/,
    ],
    [
      'a wrong value of another option',
      { SMTPF_MILTER_GRACE: 'abc' },
      /^smtpf-milter: warning: SMTPF_MILTER_GRACE: "abc" must be a number of seconds from 0 to 86400\n$/,
    ],
  ];
  for (const [name, variables, warning] of others) {
    test(`warns of ${name}, and does its work`, async (t) => {
      const script = join(directory(t), 'policy.lua');
      writeFileSync(script, 'function smtp.do_mail() end\n');
      const { code, stdout, stderr } = await run(['check', script], variables);
      assert.deepEqual({ code, stdout }, { code: 0, stdout: `${script}: callbacks: do_mail\n` });
      assert.match(stderr, warning);
      assert.equal((await run(['stubs'], variables)).code, 0);
    });
  }

  test('reads no config file where it needs no options', async () => {
    assert.equal((await run(['stubs'], { SMTPF_MILTER_CONFIG: '/nowhere/smtpf.json' })).code, 0);
  });

  test('fails on a wrong value of one of them', async () => {
    const { code, stderr } = await run(['check', 'a.lua'], { SMTPF_MILTER_CPU_MS: 'abc' });
    assert.equal(code, 64);
    assert.match(stderr, /^smtpf-milter: SMTPF_MILTER_CPU_MS: "abc" must be a whole number/);
  });

  test('warns of unknown names in the config file, and heeds the others', (t) => {
    const file = join(directory(t), 'smtpf.json');
    writeFileSync(file, '{"lisen": "x", "cpuMs": 7, "grace": -1}');
    const warnings: string[] = [];
    const options = resolveOptions(
      given(['config', file]),
      {},
      {
        takes: (name) => name === 'cpu-ms' || name === 'config',
        warn: (message) => warnings.push(message),
      },
    );
    assert.deepEqual([options.cpuMs, options.graceMs], [7, 30_000]);
    assert.deepEqual(warnings, [
      `${file}: "lisen": unknown option (did you mean listen?)`,
      `${file}: "grace": "-1" must be a number of seconds from 0 to 86400`,
    ]);
  });
});

describe('a wrong config file', () => {
  test('is wrong for check where it is named, as for a server that begins', async (t) => {
    const [config, script] = [join(directory(t), 'c.json'), join(directory(t), 'p.lua')];
    writeFileSync(script, 'function smtp.do_mail() end\n');
    for (const [content, problem] of [
      ['{"on-eror":"tempfail"}', '"on-eror": unknown option (did you mean on-error?)'],
      ['{"grace":"-1"}', '"grace": "-1" must be a number of seconds from 0 to 86400'],
    ] as const) {
      writeFileSync(config, content);
      const named = await run(['check', '--config', config, script]);
      assert.deepEqual([named.code, named.stderr], [78, `smtpf-milter: ${config}: ${problem}\n`]);
    }
    writeFileSync(config, '{"on-error":"tempfail"}');
    assert.equal((await run(['check', '--config', config, script])).code, 0);
  });

  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['no JSON', '{ "listen": ', /^--config FILE: is not JSON: /],
    [
      'a comma missing',
      '{"grace": 1\n "script": "x"}',
      /^--config FILE: is not JSON: .*: a comma is missing before it$/,
    ],
    [
      'a comma too many',
      '{"grace": 1,\n}',
      /^--config FILE: is not JSON: .*: the comma before it is one too many$/,
    ],
    [
      'a name without quotes',
      '{grace: 1}',
      /^--config FILE: is not JSON: .*: a name stands in double quotes$/,
    ],
    ['a comment', '{\n// mine\n"grace": 1}', /^--config FILE: is not JSON: .*: JSON has no comments$/],
    ['no object', '["inet:0@127.0.0.1"]', /^--config FILE: must hold a JSON object: \{ "listen": \.\.\. \}$/],
    ['an unknown key', '{"lisen":"x"}', /^FILE: "lisen": unknown option \(did you mean listen\?\)$/],
    ['__proto__', '{"__proto__":{"a":1}}', /^FILE: "__proto__": unknown option$/],
    ['config in it', '{"config":"x"}', /^FILE: "config": a config file cannot name another$/],
    ['a list for a single value', '{"grace":[1,2]}', /^FILE: "grace": \[1,2\] must be a single value$/],
    [
      'a key in two spellings',
      '{"log-level":"info","logLevel":"debug"}',
      /^FILE: "logLevel": given a second time/,
    ],
    ['a bad value', '{"grace":-1}', /^FILE: "grace": "-1" must be a number of seconds from 0 to 86400$/],
    ['null', '{"script":null}', /^FILE: "script": null must be text, a number, true or false$/],
    ['an empty list', '{"listen":[]}', /^FILE: "listen": \[\] must not be empty$/],
    [
      'a nested list',
      '{"listen":[["x"]]}',
      /^FILE: "listen": \[\["x"\]\] must be text, a number, true or false$/,
    ],
  ];
  for (const [name, content, expected] of cases) {
    test(name, (t) => {
      const file = join(directory(t), 'smtpf.json');
      writeFileSync(file, content);
      assert.throws(
        () => resolveOptions(given(['config', file]), {}),
        (error) => {
          assert.ok(error instanceof OperatorError);
          assert.equal(error.exitCode, 78);
          assert.match(error.message.replace(file, 'FILE'), expected);
          return true;
        },
      );
    });
  }

  test('that is not there, named by the environment', async (t) => {
    const file = join(directory(t), 'none.json');
    const ended = await run([], { SMTPF_MILTER_CONFIG: file });
    // Whoever names it, the fault is the file's.
    const stderr = `smtpf-milter: --config ${file}: cannot be read: no such file or directory\n`;
    assert.deepEqual(ended, { code: 78, stdout: '', stderr });
  });
});

describe('precedence', () => {
  test('the command line counts before the environment, that before the config file, that before the default', (t) => {
    const file = join(directory(t), 'smtpf.json');
    writeFileSync(file, JSON.stringify({ grace: 1, onError: 'reject', 'log-level': 'debug', maxFiles: '3' }));
    const options = resolveOptions(given(['grace', '3'], ['config', file]), {
      SMTPF_MILTER_GRACE: '2',
      SMTPF_MILTER_ON_ERROR: 'tempfail',
    });
    assert.equal(options.graceMs, 3000);
    assert.equal(options.onError, 'tempfail');
    assert.equal(options.logLevel, 'debug');
    assert.equal(options.maxFiles, 3);
    assert.equal(options.cpuMs, 1000);
  });

  test('of addresses given several times all count', () => {
    const { listen } = resolveOptions(given(['listen', 'inet:1@127.0.0.1', 'unix:/run/x']), {
      SMTPF_MILTER_LISTEN: 'inet:2@127.0.0.1',
    });
    assert.deepEqual(
      listen.map(({ written }) => written),
      ['inet:1@127.0.0.1', 'unix:/run/x'],
    );
  });

  test('a variable may hold several addresses, and an empty one counts as not set', () => {
    const { listen, user } = resolveOptions(given(), {
      SMTPF_MILTER_LISTEN: ' inet:1@127.0.0.1  inet6:1@::1 ',
      SMTPF_MILTER_USER: '',
    });
    assert.deepEqual(
      listen.map(({ written }) => written),
      ['inet:1@127.0.0.1', 'inet6:1@::1'],
    );
    assert.equal(user, undefined);
  });

  test('the config file takes lists, numbers, true and false', (t) => {
    const file = join(directory(t), 'smtpf.json');
    writeFileSync(
      file,
      '\uFEFF{"listen":["inet:1@127.0.0.1","unix:/run/x"],"socketMode":600,"allow-js":true,"actions":["quarantine","add-header"]}',
    );
    const options = resolveOptions(given(['config', file]), {});
    assert.equal(options.listen.length, 2);
    assert.equal(options.socketMode, 0o600);
    assert.equal(options.allowJs, true);
    assert.deepEqual(options.actions, ['add-header', 'quarantine']);
  });

  test('the command line can take back what the config file allows', (t) => {
    const file = join(directory(t), 'smtpf.json');
    writeFileSync(file, '{"allow-js":true}');
    assert.equal(resolveOptions(given(['config', file], ['allow-js', 'false']), {}).allowJs, false);
  });

  test('variables that Kubernetes sets for a service of our name are none of ours', () => {
    resolveOptions(given(), {
      SMTPF_MILTER_PORT: 'tcp://10.0.0.1:8895',
      SMTPF_MILTER_PORT_8895_TCP_ADDR: '10.0.0.1',
      SMTPF_MILTER_SERVICE_HOST: '10.0.0.1',
    });
  });

  test('options are frozen, and the defaults are what the documentation says', () => {
    const options = resolveOptions(given(), {});
    assert.ok(Object.isFrozen(options));
    assert.deepEqual(
      { ...options, listen: options.listen.map(({ written }) => written) },
      {
        listen: ['inet:8895@127.0.0.1'],
        socketMode: 0o660,
        socketGroup: undefined,
        maxConnections: 5000,
        script: '/etc/mail/smtpf.lua',
        shadow: undefined,
        canary: undefined,
        onError: 'continue',
        onBadScript: 'skip',
        onBadStart: 'exit',
        onReload: [],
        onReloadTimeoutMs: 60_000,
        actions: [
          'add-header',
          'change-header',
          'change-body',
          'add-recipient',
          'delete-recipient',
          'change-sender',
          'quarantine',
        ],
        packagePath: undefined,
        spool: undefined,
        allowJs: false,
        allowExecute: false,
        dnsServer: [],
        httpAllow: [],
        ownAddress: [],
        smarthost: undefined,
        smarthostTls: 'may',
        sendPerHour: 100,
        geo: [],
        clamd: undefined,
        spamd: undefined,
        rspamd: undefined,
        store: undefined,
        storeBytes: 1_073_741_824,
        storePrefix: 'smtpf:',
        srsSecret: undefined,
        srsDomain: [],
        signingKey: [],
        dnsTimeoutMs: 5000,
        macros: 'default',
        deadlineMs: 8000,
        endOfMessageDeadlineMs: 240_000,
        maxRecipients: 20_000,
        maxHeaderBytes: 4 * 1024 * 1024,
        maxHeaders: 10_000,
        maxBodyBytes: 0,
        idleTimeoutMs: 7_210_000,
        cpuMs: 1000,
        memoryBytes: 128 * 1024 * 1024,
        sessionBytes: 64 * 1024 * 1024,
        stringBytes: 32 * 1024 * 1024,
        maxFiles: 64,
        writeBytes: 1024 * 1024 * 1024,
        config: undefined,
        syslog: { kind: 'local', path: '/dev/log' },
        logLevel: 'info',
        logFormat: 'text',
        events: { kind: 'log' },
        metrics: undefined,
        workers: availableParallelism(),
        heapBytes: 0,
        workerTimeoutMs: 10_000,
        warmUpSessions: 2_000,
        control: undefined,
        journal: undefined,
        journalBytes: 16 * 1024 * 1024,
        journalRedact: false,
        journalKey: undefined,
        record: undefined,
        recordBytes: 256 * 1024 * 1024,
        recordSample: 1,
        recordRedact: [],
        user: undefined,
        group: undefined,
        workerUser: undefined,
        confine: false,
        confineRead: [],
        confineWrite: [],
        graceMs: 30_000,
      },
    );
  });

  test('modules are looked for beside the script first, and last among those that come with the program', () => {
    const ready = `${READY_POLICIES}/?.lua;${READY_POLICIES}/?/init.lua`;
    const path = (...pairs: [string, string][]) => packagePathOf(resolveOptions(given(...pairs), {}));
    const mail = '/etc/mail/?.lua;/etc/mail/?/init.lua';
    assert.equal(
      path(['script', '/srv/policy/main.lua']),
      `/srv/policy/?.lua;/srv/policy/?/init.lua;${mail};${ready}`,
    );
    assert.equal(path(), `${mail};${ready}`);
    assert.equal(path(['package-path', '/srv/lib/?.lua']), `/srv/lib/?.lua;${ready}`);
    assert.equal(path(['package-path', `/srv/lib/?.lua;${ready}`]), `/srv/lib/?.lua;${ready}`);
    assert.ok(existsSync(`${READY_POLICIES}/policy/greylist.lua`));
  });

  test('an error carries the exit code of its source', () => {
    assert.throws(
      () => resolveOptions(given(['nonsense', 'x']), {}),
      (error) => error instanceof OperatorError && error.exitCode === 64,
    );
  });
});

describe('--help and --version', { concurrency: 4 }, () => {
  test('--help names every option, with examples, and says what --allow-js means', async () => {
    const { code, stdout, stderr } = await run(['--help']);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    for (const { name } of Object.values(OPTION_TABLE))
      assert.match(stdout, new RegExp(`^ +--${name} `, 'm'));
    assert.match(stdout, /^Examples:\n {2}smtpf-milter\n/m);
    assert.match(stdout.replace(/\s+/g, ' '), /Such a script has all rights of this process/);
    for (const line of stdout.split('\n')) assert.ok(line.length <= 90, line);
  });

  test('check --help names the options of check only', async () => {
    const { code, stdout } = await run(['check', '--help']);
    assert.equal(code, 0);
    assert.match(stdout, /--allow-js/);
    assert.doesNotMatch(stdout, /--listen/);
  });

  test('--help of a command puts its own options below headings that fit, before those of all', async () => {
    const headings = new Map<string, string[]>();
    const { stdout } = await run(['try', '--help']);
    for (const line of stdout.split('\n')) {
      const heading = /^([A-Z].*):$/.exec(line)?.[1];
      if (heading !== undefined) headings.set(heading, []);
      const option = /^ +(?:-h, )?--([a-z-]+) /.exec(line)?.[1];
      if (option !== undefined) [...headings.values()].at(-1)?.push(option);
    }
    assert.deepEqual(headings.get('What is tried'), ['from', 'to', 'session', 'repeat', 'dns', 'live']);
    const client = ['ip', 'ptr', 'helo', 'auth', 'tls', 'mta', 'macro'];
    assert.deepEqual(headings.get('The client and the MTA'), client);
    assert.deepEqual(headings.get('Output'), ['json']);
    assert.deepEqual([...headings.keys()].slice(0, 2), ['Positionals', 'What is tried']);
    const { stdout: status } = await run(['status', '--help']);
    assert.match(status, /^The running server:\n +--spool /m);
    assert.doesNotMatch(status, /needs root/);
  });

  test('--help is English wherever it runs', async () => {
    const { stdout } = await run(['-h'], { LANG: 'de_DE.UTF-8', LC_ALL: 'de_DE.UTF-8' });
    assert.match(stdout, /^Commands:$/m);
  });

  test('--version prints the version of the package', async () => {
    const { version } = (await import('../../package.json', { with: { type: 'json' } })).default;
    assert.deepEqual(await run(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' });
  });
});
