/** README.md: its generated parts are up to date, its Lua compiles, its options exist. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { API } from '../../src/api/definition.ts';
import { generatedParts, withGeneratedParts } from '../../src/api/documentation.ts';
import { formatReference } from '../../src/api/reference.ts';
import { compile } from '../../src/lua/compilation.ts';
import { OPTION_TABLE } from '../../src/option-table.ts';

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const OPTIONS = Object.values(OPTION_TABLE).map(({ name }) => name);

test('the generated parts are what `npm run docs` writes', () => {
  const written = README.split('\n');
  const fresh = withGeneratedParts(README, generatedParts()).split('\n');
  const difference = fresh.findIndex((line, i) => line !== written[i]);
  assert.equal(written[difference], fresh[difference], 'run `npm run docs`');
  assert.equal(written.length, fresh.length, 'run `npm run docs`');
});

test('a part without its place is an error', () => {
  assert.throws(() => withGeneratedParts('# nothing', generatedParts()), /no place for the part/);
});

test('every Lua snippet compiles', () => {
  const snippets = [...README.matchAll(/^```lua\n([\s\S]*?)^```$/gm)];
  assert.ok(snippets.length > 10);
  for (const [, source = ''] of snippets) compile(Buffer.from(source), 'README.md');
});

test('every example of the description compiles', () => {
  for (const { entries } of API) {
    for (const entry of entries) {
      if (entry.kind === 'function' && entry.example !== undefined)
        compile(Buffer.from(entry.example), entry.name);
    }
  }
});

test('the table of options and the options are the same set', () => {
  const table = /<!-- options: [\s\S]*<!-- \/options -->/.exec(README)?.[0] ?? '';
  assert.deepEqual(
    [...table.matchAll(/^\| `--([a-z-]+)` \|/gm)].map(([, name]) => name),
    OPTIONS,
  );
});

test('options that the description of the API names exist', () => {
  const named = [...formatReference(API, 3).matchAll(/`--([a-z-]+)/g)].map(([, name = '']) => name);
  assert.ok(named.length > 5);
  for (const name of named) assert.ok(OPTIONS.includes(name), name);
});

test('every name of the API is in the reference', () => {
  for (const { entries } of API) {
    for (const entry of entries) {
      if (entry.kind === 'note' || (entry.kind === 'class' && entry.fields.length === 0)) continue;
      const heading = new RegExp(
        `^(#### ${literally(entry.name)}[( \\n\\[]|\\| \`${literally(entry.name)}\` \\|)`,
        'm',
      );
      assert.match(README, heading, entry.name);
    }
  }
});

function literally(text: string): string {
  return text.replace(/[.:[\]]/g, '\\$&');
}
