/** The documents: generated parts are up to date, Lua compiles, options exist, links lead somewhere. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { broken, generatedParts, withGeneratedParts } from '../../scripts/documentation.ts';
import { API } from '../../src/api/definition.ts';
import { formatReference } from '../../src/api/reference.ts';
import { lint } from '../../src/lint/lint.ts';
import { compile } from '../../src/lua/script/compilation.ts';
import { OPTION_TABLE } from '../../src/options/option-table.ts';

const ROOT = new URL('../../', import.meta.url);
const OPTIONS = Object.values(OPTION_TABLE).map(({ name }) => name);
const README_LINES = 350;
const COLUMNS = 120;

function page(name: string): string {
  return readFileSync(new URL(name, ROOT), 'utf8');
}

/** The documents of the project by their names. */
const PAGES = new Map(
  ['.', 'docs', 'test'].flatMap((folder) =>
    readdirSync(new URL(`${folder}/`, ROOT))
      .filter((name) => name.endsWith('.md'))
      .map((name): [string, string] => [join(folder, name), page(join(folder, name))]),
  ),
);

test('the generated parts are what `npm run docs` writes', () => {
  for (const [name, parts] of generatedParts()) {
    const written = page(name).split('\n');
    const fresh = withGeneratedParts(page(name), parts).split('\n');
    const difference = fresh.findIndex((line, i) => line !== written[i]);
    assert.equal(written[difference], fresh[difference], `${name}: run \`npm run docs\``);
    assert.equal(written.length, fresh.length, `${name}: run \`npm run docs\``);
  }
});

test('a paragraph is filled as a whole where a line of it is too long, or has room for the next word', () => {
  const words = Array.from({ length: 60 }, (_, i) => `word${i}`);
  const full = broken(words.join(' '));
  assert.deepEqual(
    full.split('\n').flatMap((line) => line.split(' ')),
    words,
  );
  assert.ok(full.split('\n').every((line) => line.length <= COLUMNS));
  assert.equal(full.split('\n').length, 4);
  // A word put into the first line.
  const longer = broken(full.replace('word1 ', 'word1 and more '));
  assert.equal(longer.split('\n').length, 4);
  assert.equal(broken(longer), longer);
  for (const [before, after] of [
    ['- a\n  b\n- c\nd\n\n1. e\n   f', '- a b\n- c d\n\n1. e f'],
    ['a `b\nc` d', 'a `b c` d'],
    ['| a |\n| b |\n# c\nd\n<!-- e -->\nf', '| a |\n| b |\n# c\nd\n<!-- e -->\nf'],
    ['```sh\na\nb\n```\n\n- c\n\n  ```sh\n  d\n  e\n  ```', undefined],
    ['a  \nb\\\nc', undefined],
    ['a\n+ b', undefined],
    [`${'x'.repeat(119)}\n- a`, undefined],
    ['a ` b\nc', 'a ` b c'],
  ])
    assert.equal(broken(before ?? ''), after ?? before);
});

test('a part without its place is an error', () => {
  for (const parts of generatedParts().values())
    assert.throws(() => withGeneratedParts('# nothing', parts), /no place for the part/);
});

test('every Lua snippet compiles', () => {
  let snippets = 0;
  for (const [name, text] of PAGES) {
    for (const [, source = ''] of text.matchAll(/^```lua\n([\s\S]*?)^```$/gm)) {
      compile(Buffer.from(source), name);
      snippets += 1;
    }
  }
  assert.ok(snippets > 10);
});

test('every link between the documents leads to a page, and to a heading of it', () => {
  let links = 0;
  for (const [name, text] of PAGES) {
    for (const [, path = '', heading] of text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g)) {
      const target = path === '' ? name : join(dirname(name), path);
      links += 1;
      assert.ok(existsSync(new URL(target, ROOT)), `${name}: ${path}`);
      if (heading === undefined) continue;
      const anchors = [...(PAGES.get(target) ?? '').matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
        anchor(title),
      );
      assert.ok(anchors.includes(heading), `${name}: ${path}#${heading}`);
    }
  }
  assert.ok(links > 20);
});

test('every file of the project that a document names is there', () => {
  let named = 0;
  for (const [name, text] of PAGES) {
    for (const [, path = ''] of text.matchAll(/`((?:src|test|scripts|docs|examples|\.ci)\/[\w./-]+)`/g)) {
      if (path.includes('NAME')) continue;
      assert.ok(existsSync(new URL(path, ROOT)), `${name}: ${path}`);
      named += 1;
    }
  }
  assert.ok(named > 5);
});

test('every `npm run` of a document is a script of the package', () => {
  const { scripts } = JSON.parse(page('package.json'));
  const named = [...PAGES].flatMap(([name, text]) =>
    [...text.matchAll(/npm run ([a-z:-]+)/g)].map(([, script = '']) => `${name}: ${script}`),
  );
  assert.ok(named.length > 15);
  assert.deepEqual(
    named.filter((entry) => !Object.hasOwn(scripts, entry.split(': ')[1] ?? '')),
    [],
  );
});

test('lines fit 120 columns, but for code, tables of the reference and the list of changes', () => {
  for (const [name, text] of PAGES) {
    if (name === 'CHANGELOG.md') continue;
    const prose = text.replace(/^```[\s\S]*?^```$/gm, '');
    const isGenerated = name === 'docs/reference.md';
    assert.deepEqual(
      prose.split('\n').filter((line) => line.length > COLUMNS && !(isGenerated && line.startsWith('|'))),
      [],
      name,
    );
  }
});

/** As Git servers make it: in lower case, without punctuation, blanks as dashes. */
function anchor(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

test('the index of docs names every page', () => {
  for (const name of readdirSync(new URL('docs/', ROOT)).filter((file) => file !== 'README.md'))
    assert.ok(page('docs/README.md').includes(`(${name})`), name);
});

test('README.md is short, and its table of contents has all of its chapters', () => {
  const readme = page('README.md');
  assert.ok(readme.split('\n').length < README_LINES);
  for (const [, title = ''] of readme.matchAll(/^## (.*)$/gm))
    assert.ok(readme.includes(`- [${title}](#${anchor(title)})`), title);
});

test('examples and snippets use the API as it is', () => {
  const examples = API.flatMap(({ entries }) =>
    entries.flatMap((entry): [string, string][] =>
      entry.kind === 'function' && entry.example !== undefined ? [[entry.name, entry.example]] : [],
    ),
  );
  const snippets = [...PAGES].flatMap(([name, text]) =>
    [...text.matchAll(/^```lua\n([\s\S]*?)^```$/gm)].map(([, source = '']): [string, string] => [
      name,
      source,
    ]),
  );
  const rules = ['unknown-field', 'unknown-constant', 'unavailable-call', 'dot-call', 'misspelt-callback'];
  for (const [name, source] of [...examples, ...snippets]) {
    const findings = lint(Buffer.from(source).toString('latin1'), {
      allowJs: false,
      allowExecute: false,
      isTest: source.includes('test.'),
    });
    const wrong = findings?.filter(({ rule }) => rules.includes(rule)).map(({ message }) => message);
    assert.deepEqual(wrong, [], `${name}: ${source}`);
  }
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
  const table = /<!-- options: [\s\S]*<!-- \/options -->/.exec(page('docs/options.md'))?.[0] ?? '';
  assert.deepEqual(
    [...table.matchAll(/^- `--([a-z-]+)`: /gm)].map(([, name]) => name),
    OPTIONS,
  );
});

test('options that the description of the API names exist', () => {
  const named = [...formatReference(API, 2).matchAll(/`--([a-z-]+)/g)].map(([, name = '']) => name);
  assert.ok(named.length > 5);
  for (const name of named) assert.ok(OPTIONS.includes(name), name);
});

test('every name of the API is in the reference', () => {
  for (const { entries } of API) {
    for (const entry of entries) {
      if (entry.kind === 'note' || (entry.kind === 'class' && entry.fields.length === 0)) continue;
      const heading = new RegExp(
        `^(### ${literally(entry.name)}[( \\n\\[]|- \`${literally(entry.name)}\` \\(|\\| \`${literally(entry.name)}\` \\|)`,
        'm',
      );
      assert.match(page('docs/reference.md'), heading, entry.name);
    }
  }
});

function literally(text: string): string {
  return text.replace(/[.:[\]]/g, '\\$&');
}
