/** --help and --version, of the program and of each command. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { COMMANDS } from '../../src/commands/command-table.ts';
import { helpFoot } from '../../src/commands/help-text.ts';
import { run } from '../program/program.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

test('an example stands on a line of its own at every width', () => {
  for (const command of COMMANDS) {
    for (let width = 40; width <= 200; width++) {
      const lines = helpFoot(command, width).split('\n');
      for (const [example] of command.examples) {
        assert.ok(lines.includes(`  ${example.replace('$0', 'smtpf-milter')}`), `${example} at ${width}`);
      }
    }
  }
});

test('a command that must have an argument says what is missing', async () => {
  const demanding = COMMANDS.filter(({ usage }) => String(usage).includes('<'));
  assert.ok(demanding.length > 1);
  for (const { name, unnamed } of demanding) {
    const stderr = `smtpf-milter: ${name}: ${unnamed}\n`;
    assert.match(unnamed ?? '', /must be named: smtpf-milter /, name);
    assert.deepEqual(await run([name]), { code: 64, stdout: '', stderr });
  }
});

describe('of each command', { concurrency: 4 }, () => {
  for (const { name, examples } of COMMANDS) {
    test(name, async () => {
      const before = name === 'serve' ? [] : [name];
      for (const flag of ['-V', '--version']) {
        assert.deepEqual(await run([...before, flag]), { code: 0, stdout: `${version}\n`, stderr: '' });
      }
      const long = await run([...before, '--help']);
      assert.deepEqual({ code: long.code, stderr: long.stderr }, { code: 0, stderr: '' });
      assert.deepEqual(await run([...before, '-h']), long);
      for (const columns of ['40', '57', '200']) {
        const lines = (await run([...before, '-h'], { COLUMNS: columns })).stdout.split('\n');
        for (const [example] of examples) {
          assert.ok(lines.includes(`  ${example.replace('$0', 'smtpf-milter')}`), `${example} at ${columns}`);
        }
        const prose = lines.filter((line) => !/^ {2}smtpf-milter /.test(line));
        assert.ok(Math.max(...prose.map(({ length }) => length)) <= Number(columns), columns);
      }
    });
  }
});
