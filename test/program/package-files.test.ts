/** Man pages and completions: written from the tables, read by the programs that they are for. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { completions } from '../../scripts/package/completion.ts';
import { manualPages } from '../../scripts/package/manual.ts';
import { roff } from '../../scripts/package/roff.ts';
import { API } from '../../src/api/definition.ts';
import { COMMANDS } from '../../src/commands/command-table.ts';
import { OPTION_TABLE } from '../../src/options/option-table.ts';
import { directory } from './program.ts';

const PAGES = manualPages('1.2.3', '2026-11-28');
const OPTIONS = Object.values(OPTION_TABLE).map(({ name }) => name);
/** In CI, where `.ci/install` installs it, a program that is missing is a failure. */
const without = (program: string) =>
  process.env.CI || spawnSync('which', [program]).status === 0 ? false : `there is no ${program}`;

/** Without marks of roff. */
function plain(name: string): string {
  return (PAGES.get(name) ?? '').replaceAll('\\-', '-').replace(/\\f[BIR]/g, '');
}

describe('man pages', () => {
  test('groff has nothing to say about them', { skip: without('groff') }, (t) => {
    const folder = directory(t);
    for (const [name, text] of PAGES) {
      writeFileSync(join(folder, name), text);
      const args = ['-man', '-ww', '-z', '-Tutf8', join(folder, name)];
      const { status, stderr } = spawnSync('groff', args, { encoding: 'utf8' });
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, name);
    }
  });

  test('hold every command and option, and the API', () => {
    assert.deepEqual([...PAGES.keys()], ['smtpf-milter.8', 'smtpf-milter-lua.3', 'smtpf-milter.json.5']);
    const program = plain('smtpf-milter.8');
    assert.match(program, /^\.TH "SMTPF-MILTER" 8 "2026-11-28" "smtpf-milter 1\.2\.3"$/m);
    for (const { name } of COMMANDS) assert.ok(name === 'serve' || program.includes(`.SS "${name}`), name);
    for (const name of OPTIONS) {
      assert.match(program, new RegExp(`^--${name}(=VALUE)?$`, 'm'), name);
      assert.ok(name === 'config' || plain('smtpf-milter.json.5').includes(`\n"${name}": `), name);
    }
    const lua = plain('smtpf-milter-lua.3');
    for (const { title, entries } of API) {
      assert.ok(lua.includes(`.SH "${title.toUpperCase()}"`), title);
      for (const { kind, name } of entries)
        if (kind === 'function' || kind === 'callback') assert.ok(lua.includes(`.SS "${name}(`), name);
    }
  });

  test('no text begins a request, and every character is ASCII', () => {
    const text = roff('.TH is no request\n\n- `a\\b` -- **c** [d](e.md) `’` ü\n\n```\n.x\n```');
    assert.equal(
      text,
      '.PP\n\\&.TH is no request\n.IP \\(bu 3\n\\fBa\\eb\\fR \\-\\- \\fBc\\fR d \\fB\\(cq\\fR \\[u00FC]\n.PP\n.RS 4\n.nf\n\\&.x\n.fi\n.RE',
    );
    for (const [name, page] of PAGES) assert.match(page, /^[\x20-\x7e\n]+$/, name);
  });
});

describe('completion', () => {
  const files = completions();
  const bash = (words: readonly string[]) => {
    const script = `${files.get('smtpf-milter.bash')}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _smtpf_milter; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', ...words], { encoding: 'utf8' });
    assert.equal(stderr, '');
    return stdout.split('\n').filter(Boolean);
  };

  test('bash offers commands, their options, and words', () => {
    const names = COMMANDS.map(({ name }) => name);
    assert.deepEqual(bash(['smtpf-milter', '']).sort(), [...names].sort());
    assert.deepEqual(bash(['smtpf-milter', 'sto']), ['store']);
    assert.deepEqual(bash(['smtpf-milter', 'store', 'd']), ['del', 'dump']);
    assert.deepEqual(bash(['smtpf-milter', 'check', '--str']), ['--strict', '--string-mb']);
    assert.deepEqual(bash(['smtpf-milter', 'status', '--list']), []);
    assert.deepEqual(bash(['smtpf-milter', '--lis']), ['--listen']);
    const all = bash(['smtpf-milter', '--']);
    for (const name of OPTIONS) assert.ok(all.includes(`--${name}`), name);
  });

  for (const [shell, file] of [
    ['zsh', '_smtpf-milter'],
    ['fish', 'smtpf-milter.fish'],
  ] as const)
    test(`${shell} can read its file`, { skip: without(shell) }, (t) => {
      const path = join(directory(t), file);
      writeFileSync(path, files.get(file) ?? '');
      const { status, stderr } = spawnSync(shell, ['-n', path], { encoding: 'utf8' });
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    });
});
