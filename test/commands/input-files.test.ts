/** Files that commands read: the same answer of all of them to what is missing, no file, or empty. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { directory, PROGRAM, run } from '../program/program.ts';

const POLICY = 'function smtp.do_rcpt(rcpt) return 550, "5.7.1 no" end\n';

function place(t: TestContext): string {
  const path = directory(t);
  mkdirSync(join(path, 'folder'));
  writeFileSync(join(path, 'policy.lua'), POLICY);
  writeFileSync(join(path, 'empty'), '');
  writeFileSync(join(path, 'broken.lua'), 'x =');
  return path;
}

/** Arguments with FILE for the file that is read, and how a message begins. */
const READERS: readonly (readonly [args: string, message: string])[] = [
  ['try FILE', 'try: FILE'],
  ['try DIR/policy.lua FILE', 'message FILE'],
  ['try DIR/policy.lua --session FILE', '--session FILE'],
  ['try DIR/policy.lua --dns FILE', '--dns FILE'],
  ['try DIR/policy.lua --repeat FILE', '--repeat FILE'],
  ['test FILE', 'test: FILE'],
  ['why x --journal FILE', 'journal FILE'],
];

/** Those that look for files in a directory. */
const WALKERS = ['test FILE', 'try DIR/policy.lua --repeat FILE'];

describe('a file that cannot be read is exit code 66 and one line', { concurrency: 4 }, () => {
  for (const [args, begin] of READERS) {
    for (const [name, reason] of [
      ['missing', 'no such file or directory'],
      ['policy.lua/x', 'a part of the path is not a directory'],
      ['folder', 'is a directory'],
    ] as const) {
      if (name === 'folder' && WALKERS.includes(args)) continue;
      test(`${args}: ${name}`, async (t) => {
        const path = place(t);
        const file = join(path, name);
        const words = args.split(' ').map((word) => word.replace('DIR', path).replace('FILE', file));
        assert.deepEqual(await run(words), {
          code: 66,
          stdout: '',
          stderr: `smtpf-milter: ${begin.replace('FILE', file)}: cannot be read: ${reason}\n`,
        });
      });
    }
  }
});

test('a key of a journal that cannot be read is said to be', async (t) => {
  const path = place(t);
  mkdirSync(join(path, 'empty.key'));
  const { code, stderr } = await run(['why', 'x', '--journal', join(path, 'empty')]);
  assert.equal(code, 66);
  assert.equal(stderr, `smtpf-milter: journal key ${path}/empty.key: cannot be read: is a directory\n`);
});

describe('what is no regular file is not waited for: one line', { concurrency: 4 }, () => {
  for (const [args, begin] of READERS) {
    test(args, async (t) => {
      const path = place(t);
      execFileSync('mkfifo', [join(path, 'fifo')]);
      const server = createServer().listen(join(path, 'socket'));
      t.after(() => server.close());
      for (const [file, reason] of [
        [join(path, 'fifo'), 'is a FIFO, not a regular file'],
        [join(path, 'socket'), 'is a socket, not a regular file'],
        ['/dev/zero', 'is a device, not a regular file'],
      ] as const) {
        const words = args.split(' ').map((word) => word.replace('DIR', path).replace('FILE', file));
        assert.deepEqual(await run(words), {
          code: 66,
          stdout: '',
          stderr: `smtpf-milter: ${begin.replace('FILE', file)}: cannot be read: ${reason}\n`,
        });
      }
    });
  }

  test('what the caller has opened is read, pipe or not', (t) => {
    const path = place(t);
    const words = `"$0" "$@" ${join(path, 'policy.lua')} --to a@b.example`;
    for (const [line, code] of [
      [`printf 'Subject: x\\n\\nhello\\n' | ${words} /dev/stdin`, 1],
      [`${words} /dev/null`, 1],
    ] as const) {
      const [command = '', ...before] = PROGRAM;
      const ended = spawnSync('/bin/sh', ['-c', line, command, ...before, 'try'], { encoding: 'utf8' });
      assert.equal(ended.status, code, ended.stderr);
      assert.match(ended.stdout, /550 5\.7\.1 no/);
    }
  });
});

test('an empty file is a policy without callbacks, a message, a session of no command, a DNS without records', async (t) => {
  const path = place(t);
  const policy = join(path, 'policy.lua');
  const empty = join(path, 'empty');
  for (const [args, code] of [
    [['check', empty], 0],
    [['try', empty], 0],
    [['try', policy, empty], 1],
    [['try', policy, '--dns', empty], 1],
    [['try', policy, '--session', empty], 0],
    [['why', 'x', '--journal', empty], 1],
    [['try', policy, '--repeat', empty], 64],
    [['test', join(path, 'folder')], 64],
  ] as const) {
    assert.equal((await run(args)).code, code, args.join(' '));
  }
});

describe('check of several files', () => {
  test('reports each, and ends with the highest code', async (t) => {
    const path = place(t);
    const [good, bad, missing] = ['policy.lua', 'broken.lua', 'missing.lua'].map((name) => join(path, name));
    const both = await run(['check', String(good), String(bad)]);
    assert.equal(both.code, 1);
    assert.match(both.stdout, /policy\.lua: callbacks: do_rcpt\n\S*broken\.lua:1: /);
    const all = await run(['check', String(bad), String(missing), '-', String(good)]);
    assert.equal(all.code, 66);
    assert.deepEqual(all.stdout.replaceAll(`${path}/`, '').split('\n').slice(1), [
      'missing.lua: cannot be read: no such file or directory',
      '-: cannot be read: a script is read from a file, not from standard input',
      'policy.lua: callbacks: do_rcpt',
      '',
    ]);
  });

  test('is one document with --json', async (t) => {
    const path = place(t);
    const names = ['policy.lua', 'broken.lua', 'missing.lua'].map((name) => join(path, name));
    const { code, stdout } = await run(['check', '--json', ...names]);
    assert.equal(code, 66);
    const { errors, warnings, files } = JSON.parse(stdout);
    assert.deepEqual({ errors, warnings }, { errors: 2, warnings: 0 });
    assert.deepEqual(
      files.map(({ file, findings }: { file: string; findings: { rule: string }[] }) => [
        file,
        findings.map(({ rule }) => rule),
      ]),
      [
        [names[0], []],
        [names[1], ['syntax']],
        [names[2], ['unreadable']],
      ],
    );
  });

  test('takes names that begin with a dash behind --', async (t) => {
    const file = join(directory(t), '-x.lua');
    writeFileSync(file, POLICY);
    assert.equal((await run(['check', '--', file])).code, 0);
    assert.match((await run(['check', '--', '-x.lua'])).stdout, /^-x\.lua: cannot be read: no such file/);
  });

  test('looks for modules beside each file', async (t) => {
    const path = directory(t);
    for (const name of ['one', 'two']) {
      mkdirSync(join(path, name));
      writeFileSync(join(path, name, 'm.lua'), `return "${name}"`);
      writeFileSync(join(path, name, 'p.lua'), `assert(require "m" == "${name}")`);
    }
    assert.equal((await run(['check', join(path, 'one/p.lua'), join(path, 'two/p.lua')])).code, 0);
  });
});
