/** What the documents have a reader type, typed as it stands, and what they show beside it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { COMMANDS } from '../../src/commands/command-table.ts';
import { OPTION_TABLE } from '../../src/options/option-table.ts';
import { section } from '../mta/recipes/documents.ts';
import { mailReply, startMilter, view } from './milter-client.ts';
import { directory, PROGRAM } from './program.ts';

function page(name: string): string {
  return readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
}

/** The blocks of one kind, in order; `` are those without a name. */
function blocks(text: string, kind: string): string[] {
  const found = [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)];
  return found.filter(([, of]) => of === kind).map(([, , content = '']) => content);
}

function block(text: string, kind: string, holds: string): string {
  const found = blocks(text, kind).find((content) => content.includes(holds));
  assert.ok(found !== undefined, `a block ${kind} with ${holds}`);
  return found;
}

/** Runs a line of a document in a shell that has the program. Times are all the same. */
function typed(
  folder: string,
  line: string,
  variables: Readonly<Record<string, string>> = {},
): { code: number | null; output: string } {
  const places = join(folder, '.bin');
  mkdirSync(places, { recursive: true });
  const command = `#!/bin/sh\nexec ${PROGRAM.map((word) => `'${word}'`).join(' ')} "$@"\n`;
  writeFileSync(join(places, 'smtpf-milter'), command, { mode: 0o755 });
  const { PATH: others } = process.env;
  const { status, stdout, stderr } = spawnSync('sh', ['-c', line], {
    cwd: folder,
    encoding: 'utf8',
    input: '',
    env: { ...process.env, PATH: `${places}:${others}`, ...variables },
  });
  assert.equal(stderr, '', line);
  return { code: status, output: withoutTimes(stdout) };
}

function withoutTimes(text: string): string {
  return text.replace(/\d+(\.\d+)? (ms|s)\b/g, 'N $2');
}

const README = page('README.md');
const [POLICY = '', TESTS = ''] = blocks(README, 'lua');

function folderWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = directory(t);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

describe('README.md', () => {
  test('the policy, tried and tested as it stands, gives what is shown', (t) => {
    const folder = folderWith(t, { 'smtpf.lua': POLICY, 'smtpf_test.lua': TESTS });
    const section = README.slice(README.indexOf('## A policy'), README.indexOf('## Attaching'));
    const [commands = '', tested = ''] = blocks(section, 'sh').map((text) =>
      text.trim().replaceAll('/etc/mail', folder),
    );
    const [checked = '', tried = ''] = commands.split('\n');
    assert.deepEqual(typed(folder, checked), {
      code: 0,
      output: `${folder}/smtpf.lua: callbacks: do_connect do_rcpt\n`,
    });
    const { code, output } = typed(folder, tried);
    assert.equal(code, 1);
    const shown = block(section, '', 'The client of Postfix sees').replaceAll('/etc/mail', folder);
    assert.ok(output.endsWith(`\n\n${shown}`), output);
    const suite = typed(folder, tested);
    assert.equal(suite.code, 0, suite.output);
    assert.match(suite.output, /1 passed in 1 file/);
  });

  test('the default client of try and test is no client that the policy refuses', (t) => {
    const folder = folderWith(t, {
      'smtpf.lua': POLICY,
      'smtpf_test.lua':
        'test.case("x", function() test.accepted(test.session{ helo = "x" }:mail "a@b.example") end)',
    });
    assert.equal(typed(folder, 'smtpf-milter try smtpf.lua').code, 0);
    assert.equal(typed(folder, 'smtpf-milter try smtpf.lua --ip 203.0.113.9').code, 1);
    assert.equal(typed(folder, 'smtpf-milter test').code, 0);
  });
});

describe('docs/try.md', () => {
  const text = page('docs/try.md');

  test('the first session is shown as it is printed', (t) => {
    const folder = folderWith(t, { 'smtpf.lua': POLICY });
    const [, command = '', shown = ''] = /^\$ (.*)\n([\s\S]*)$/.exec(block(text, 'console', '$ ')) ?? [];
    const { code, output } = typed(folder, command);
    assert.equal(code, 1);
    assert.equal(output, withoutTimes(shown));
  });

  test('every command at its beginning runs', (t) => {
    const message = 'From: a@example.com\nTo: b@example.net\n\nhello\n';
    const folder = folderWith(t, {
      'smtpf.lua': POLICY,
      'message.eml': message,
      'Maildir/cur/1': message,
      'records.txt': block(text, '', 'PTR'),
      'session.txt': block(text, '', 'DATA message.eml'),
    });
    const commands = blocks(text, 'sh')[0]?.trim().split('\n') ?? [];
    assert.ok(commands.length > 5);
    for (const command of commands) {
      const { code, output } = typed(folder, command);
      assert.equal(code, 0, `${command}: ${output}`);
    }
  });
});

describe('docs/testing.md', () => {
  const text = page('docs/testing.md');
  const [policy = '', tests = ''] = blocks(text, 'lua');

  test('what is printed is shown as it is printed', (t) => {
    const folder = folderWith(t, { 'smtpf.lua': policy, 'smtpf_test.lua': tests });
    const [passed = '', failed = ''] = blocks(text, 'console');
    const [, command = '', shown = ''] = /^\$ (.*)\n([\s\S]*)$/.exec(passed) ?? [];
    assert.deepEqual(typed(folder, command), { code: 0, output: withoutTimes(shown) });
    writeFileSync(join(folder, 'smtpf.lua'), policy.replace('members only', 'listed by zen.example'));
    const { code, output } = typed(folder, command);
    assert.equal(code, 1);
    assert.ok(output.includes(withoutTimes(failed)), output);
  });
});

describe('docs/check.md', () => {
  const text = page('docs/check.md');

  test('the commands at its beginning run', (t) => {
    const folder = folderWith(t, { 'smtpf.lua': POLICY });
    const lines = blocks(text, 'sh')[0]?.trim().replaceAll('/etc/mail', folder).split('\n') ?? [];
    assert.equal(lines.length, 2);
    for (const line of lines) assert.equal(typed(folder, line).code, 0, line);
  });

  test('comments silence the rules that they name, and these alone', (t) => {
    const [silenced = ''] = blocks(text, 'lua');
    const loud = silenced.replace(/-- smtpf: .*/g, '');
    const folder = folderWith(t, { 'silenced.lua': silenced, 'loud.lua': loud });
    assert.doesNotMatch(typed(folder, 'smtpf-milter check silenced.lua').output, /\[/);
    const { output } = typed(folder, 'smtpf-milter check loud.lua');
    for (const [, rule = ''] of silenced.matchAll(/ignore(?:-file)? ([a-z-]+)/g))
      assert.ok(output.includes(`[${rule}]`), output);
  });
});

test('docs/ready-policies.md: the commands at its beginning run', (t) => {
  const folder = directory(t);
  const lines = blocks(page('docs/ready-policies.md'), 'sh')[0]?.trim().split('\n') ?? [];
  assert.equal(lines.length, 4);
  for (const line of lines) {
    const { code, output } = typed(folder, line);
    assert.equal(code, 0, `${line}: ${output}`);
  }
});

/** Chapters of pairs: a policy, and its test. */
for (const [name, least] of [
  ['docs/cookbook.md', 25],
  ['docs/coming-from.md', 5],
] as const) {
  describe(name, () => {
    const text = page(name);
    const titles = [...text.matchAll(/^## (.*)$/gm)].map(([, title = '']) => title);
    const chapters = titles.flatMap((title) => {
      const [policy, tests = '', ...more] = blocks(section(text, title), 'lua');
      return policy === undefined ? [] : [{ title, policy, tests, more }];
    });

    test('each policy has one test, check finds nothing, and the tests pass', (t) => {
      assert.ok(chapters.length >= least);
      const files = new Map<string, string>();
      for (const [number, { title, policy, tests, more }] of chapters.entries()) {
        assert.ok(tests.includes('test.case(') && more.length === 0, title);
        files.set(`pairs/${number}/smtpf.lua`, policy).set(`pairs/${number}/smtpf_test.lua`, tests);
        // check opens what the main chunk opens: it is there as the test says, in a place of its own.
        files.set(`checked/${number}.lua`, policy.replace(/\/etc\/(mail|postfix)/g, 'etc'));
        for (const [, file = '', content = ''] of tests.matchAll(
          /test\.file\(\s*"\/etc\/(?:mail|postfix)\/([^"]*)",\s*"([^"]*)"/g,
        ))
          files.set(`etc/${file}`, content.replaceAll('\\n', '\n'));
      }
      const folder = folderWith(t, Object.fromEntries(files));
      const checked = typed(folder, 'smtpf-milter check --strict checked/*.lua');
      assert.equal(checked.code, 0, checked.output);
      const { code, output } = typed(folder, 'smtpf-milter test pairs');
      assert.equal(code, 0, output);
      assert.match(output, new RegExp(`passed in ${chapters.length} files`));
    });

    test('its list of contents leads to every chapter', () => {
      const linked = [...text.matchAll(/\]\(#([^)]*)\)/g)].map(([, anchor = '']) => anchor);
      for (const { title } of chapters)
        assert.ok(
          linked.includes(
            title
              .toLowerCase()
              .replace(/[^\w -]/g, '')
              .replaceAll(' ', '-'),
          ),
          title,
        );
    });
  });
}

test('docs/policies.md: the stubs are written', (t) => {
  const folder = folderWith(t, {});
  for (const line of blocks(page('docs/policies.md'), 'sh')) assert.equal(typed(folder, line).code, 0, line);
  assert.match(readFileSync(join(folder, 'smtpf.d.lua'), 'utf8'), /function smtp\.quarantine\(/);
});

test('docs/operating.md: the commands ask a running milter', async (t) => {
  const journal = join(directory(t), 'journal');
  const milter = await startMilter(t, POLICY, ['--workers', '0', '--journal', journal]);
  const [status = '', trace = '', why = ''] = blocks(page('docs/operating.md'), 'sh')[0]?.split('\n') ?? [];
  const variables = { SMTPF_MILTER_SPOOL: milter.spool };
  assert.match(status, /^smtpf-milter status /);
  assert.equal(typed(milter.spool, status, variables).code, 0);
  const [, ...words] = trace.replace(/#.*/, '').trim().split(' ');
  assert.equal(words[0], 'trace');
  const traced = view(t, [...words, '--spool', milter.spool]);
  await traced.until('stderr', /attached/);
  await mailReply(milter);
  await traced.until('stdout', /smtp\.do_connect/);
  const top = blocks(page('docs/operating.md'), 'sh')[0]?.match(/^smtpf-milter top .*$/m)?.[0] ?? '';
  assert.match(
    typed(milter.spool, `${top.replace(/#.*/, '')} --once`, variables).output,
    /^\S+ UTC {2}\d+ session/,
  );
  const reload = blocks(page('docs/operating.md'), 'sh')[0]?.match(/^smtpf-milter reload .*$/m)?.[0] ?? '';
  assert.match(typed(milter.spool, reload, variables).output, /^unchanged: /);
  // Nobody knows the message of the example.
  assert.match(why, /^smtpf-milter why /);
  assert.equal(typed(milter.spool, `${why.replace(/#.*/, '')} 2>/dev/null`, variables).code, 1);
});

test('docs/troubleshooting.md: the commands ask a running milter, and the messages are those of the program', async (t) => {
  const text = page('docs/troubleshooting.md');
  const [asked = '', tried = ''] = blocks(text, 'sh');
  const journal = join(directory(t), 'journal');
  const milter = await startMilter(t, POLICY, ['--workers', '0', '--journal', journal]);
  const variables = { SMTPF_MILTER_SPOOL: milter.spool };
  await mailReply(milter);
  const lines = asked
    .trim()
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim());
  assert.deepEqual(
    lines.map((line) => line.split(' ')[1]),
    ['doctor', 'status', 'trace', 'why'],
  );
  assert.equal(typed(milter.spool, lines[1] ?? '', variables).code, 0);
  assert.match(typed(milter.spool, lines[3] ?? '', variables).output, /verdict/);
  assert.equal(typed(milter.spool, tried.replace('/etc/mail/smtpf.lua', milter.script), variables).code, 0);
  const sources = readdirSync(new URL('../../src/', import.meta.url), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => page(`src/${name}`))
    .join('\n');
  for (const message of [
    'as edited it does not serve',
    'mail passes UNFILTERED',
    'no server answers at',
    'is not to be relied on',
    'address in use',
    'procfs',
    'postfix-local-mail',
    'milter-order',
    'key-not-in-dns',
    'key-unusable',
    'fails-open',
  ]) {
    assert.ok(sources.includes(message), `the program says: ${message}`);
    if (!message.startsWith('postfix')) assert.ok(text.includes(message), `the page has: ${message}`);
  }
});

test('every command that a document names is one, with the options that it takes', () => {
  const places = [
    'README.md',
    ...readdirSync(new URL('../../docs/', import.meta.url)).map((name) => `docs/${name}`),
  ];
  let commands = 0;
  for (const name of places) {
    const text = page(name);
    const spans = [
      ...[...text.matchAll(/(?<!`)`(smtpf-milter [^`]+)`(?!`)/g)].map(([, span = '']) => span),
      ...[...blocks(text, 'sh'), ...blocks(text, 'console')].flatMap((block) =>
        block.split('\n').flatMap((line) => /(?:^|\$ )(smtpf-milter .*)/.exec(line)?.[1] ?? []),
      ),
    ];
    for (const span of spans) {
      const [, first = '', ...words] = span.replace(/\s#.*/, '').split(/\s+/);
      const isServer = first.startsWith('-');
      const command = COMMANDS.find((known) => known.name === (isServer ? 'serve' : first));
      assert.ok(command || /^(COMMAND|FILE|NAME)/.test(first), `${name}: ${span}`);
      commands += 1;
      for (const word of isServer ? [first, ...words] : words) {
        const [, option] = /^--([a-z][a-z-]*)/.exec(word) ?? [];
        if (option === undefined || ['help', 'version'].includes(option)) continue;
        const isOwn = Object.hasOwn(command?.own ?? {}, option);
        const isServers = Object.values(OPTION_TABLE).some((known) => known.name === option);
        assert.ok(
          isOwn || (isServers && (command?.options?.includes(option) ?? true)),
          `${name}: ${span}: --${option}`,
        );
      }
    }
  }
  assert.ok(commands > 60, String(commands));
});

test('docs/limits.md: bounds are the defaults of the options beside them', () => {
  const shown = new Map(Object.values(OPTION_TABLE).map(({ name, shown }) => [name, shown]));
  let rows = 0;
  for (const [, bound = '', name = ''] of page('docs/limits.md').matchAll(
    /^\|[^|]*\|([^|]*)\| `--([a-z-]+)` \|/gm,
  )) {
    const [number] = bound.replaceAll(',', '').match(/\d+/) ?? [];
    if (number === undefined) assert.match(`${bound}${shown.get(name)}`, / none 0| by the machine auto/);
    else assert.equal(number, shown.get(name), name);
    rows += 1;
  }
  assert.ok(rows > 12);
});
