/** One word for a temporary refusal wherever an outcome is named, counted or listed: `tempfail`. Sentences may say what it does. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { COMMANDS } from '../../src/commands/command-table.ts';
import { VERDICT_NAMES } from '../../src/control/counts.ts';
import { run } from './program.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** As a name: the bare word, a literal or a key that says nothing else, a cell of a table. */
const AS_NAME = /\bdefer\b|(['"`])deferr(?:ed|al)\1|\bdeferr(?:ed|al)\??:|\|\s*deferr(?:ed|al)\s*\|/i;

function files(folder: string, ending: RegExp): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => ending.test(name))
    .map((name) => join(folder, name));
}

/** Lines in which the other word stands as a name. */
function found(name: string, text: string): string[] {
  return text
    .split('\n')
    .filter((line) => AS_NAME.test(line))
    .map((line) => `${name}: ${line.trim()}`);
}

test('no source and no document names an outcome `defer`', () => {
  const names = [...files('src', /\.ts$/), ...files('docs', /\.md$/), ...files('examples', /\.lua$/)];
  assert.ok(names.length > 250);
  const lines = [...names, 'README.md', 'SECURITY.md'].flatMap((name) =>
    found(name, readFileSync(join(ROOT, name), 'utf8')),
  );
  // How the sentence `The message is ...` ends.
  const sentence = /try-text\.ts: tempfail: \{ sentence: 'deferred', word: 'tempfail', /;
  assert.deepEqual(
    // DEFER is an action of Postfix's access tables, which a policy reads.
    lines.filter((line) => !sentence.test(line) && !/^examples\/senders.*"DEFER"/.test(line)),
    [],
  );
  assert.ok(lines.some((line) => sentence.test(line)));
});

test('nor does the help of any command, or what an editor is told', async () => {
  assert.ok(COMMANDS.length > 5);
  for (const args of [...COMMANDS.map(({ name }) => [name, '--help']), ['stubs']]) {
    const { code, stdout } = await run(args);
    assert.equal(code, 0, args.join(' '));
    assert.deepEqual(found(args.join(' '), stdout), []);
  }
  assert.ok(VERDICT_NAMES.includes('tempfail'));
});

test('the search finds the word as a name, and lets sentences be', () => {
  for (const name of [
    "case 'defer':",
    'defer: 0,',
    '| 2 | deferred |',
    "['tempfail', 'deferred', 1]",
    'deferred: 3',
  ])
    assert.equal(found('x', name).length, 1, name);
  for (const sentence of ['all mail is deferred', 'F=T defers mail', 'new messages are deferred, until'])
    assert.equal(found('x', sentence).length, 0, sentence);
});
