/** Planted mistakes: each is found, on its line, and nothing else is said. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { lint } from '../../src/lint/lint.ts';

const DIRECTORY = new URL('mistakes/', import.meta.url);
const SURROUNDINGS = { allowJs: false, allowExecute: false, isTest: false };

interface Mistake {
  readonly title: string;
  readonly text: string;
  /** `LINE: RULE`, or with several rules any of which will do. */
  readonly expected: string;
}

/** A file holds policies under lines `---- title`; `--> rule` marks the line, `--> rule:3` another one. */
function mistakesIn(file: string): Mistake[] {
  const text = readFileSync(new URL(file, DIRECTORY), 'latin1');
  return text.split(/^---- /m).flatMap((part) => {
    const end = part.indexOf('\n');
    const policy = `\n${part.slice(end + 1)}`;
    const at = policy.split('\n').findIndex((line) => line.includes('-->'));
    if (at < 0) return [];
    const [, rule = '', line] = /--> ([a-z|-]+)(?::(\d+))?/.exec(policy) ?? [];
    return [{ title: part.slice(0, end), text: policy, expected: `${line ?? at + 1}: ${rule}` }];
  });
}

const files = readdirSync(DIRECTORY).filter((name) => name.endsWith('.lua'));

test('there are enough of them', () => {
  assert.ok(files.flatMap(mistakesIn).length >= 120);
});

for (const file of files) {
  test(`mistakes of ${file}`, async (t) => {
    for (const { title, text, expected } of mistakesIn(file)) {
      await t.test(title, () => {
        const found = lint(text, SURROUNDINGS) ?? [];
        const [line = '', rules = ''] = expected.split(': ');
        assert.ok(found.length > 0, `nothing found\n${text}`);
        for (const finding of found) {
          assert.ok(
            rules.split('|').includes(finding.rule) && finding.line === Number(line),
            `${finding.line}: ${finding.rule}: ${finding.message}\n${text}`,
          );
        }
      });
    }
  });
}
