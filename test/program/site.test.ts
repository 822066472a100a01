/** `npm run site`: every link of it leads somewhere, it loads nothing from elsewhere, and its search finds. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, posix } from 'node:path';
import { describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { anchorsOf, buildSite, type SearchEntry } from '../../scripts/site/build-site.ts';
import { directory } from './program.ts';

const require = createRequire(import.meta.url);

describe('the site', () => {
  test('has each document, and all links lead to a file, and to a heading of it', (t) => {
    const site = directory(t);
    buildSite(site);
    const pages = readdirSync(site).filter((name) => name.endsWith('.html'));
    const documents = readdirSync(new URL('../../docs/', import.meta.url));
    for (const name of documents.filter((file) => file !== 'README.md'))
      assert.ok(pages.includes(name.replace(/\.md$/, '.html')), name);
    let links = 0;
    for (const page of pages) {
      const html = readFileSync(join(site, page), 'utf8');
      for (const [, address = ''] of html.matchAll(/(?:href|src)="([^"]*)"/g)) {
        if (/^https?:/.test(address)) continue;
        const [path = '', id] = address.replaceAll('&amp;', '&').split('#');
        const target = join(site, path === '' ? page : posix.normalize(decodeURI(path)));
        assert.ok(existsSync(target) && statSync(target).isFile(), `${page}: ${address}`);
        links += 1;
        if (id === undefined) continue;
        assert.ok(readFileSync(target, 'utf8').includes(` id="${decodeURI(id)}"`), `${page}: ${address}`);
      }
      assert.doesNotMatch(html, /<(?:script|link|img)[^>]*(?:src|href)="(?:https?:)?\/\//, page);
      assert.doesNotMatch(html, /&lt;!--/, page);
      const isListed = !['index.html', 'documentation.html'].includes(page);
      assert.equal(html.includes('aria-current="page"'), isListed, page);
    }
    assert.ok(links > 1000, String(links));
  });

  test('the search finds chapters by words of theirs, by names and by what is almost one', (t) => {
    const site = directory(t);
    buildSite(site);
    const entries: readonly SearchEntry[] = runInNewContext(
      `${readFileSync(join(site, 'search-data.js'), 'utf8')}\nSEARCH_DATA`,
    );
    assert.ok(entries.length > 300);
    assert.ok(existsSync(join(site, 'minisearch.js')));
    const places = search(site, entries);
    for (const [query, place] of [
      ['greylisting', 'cookbook.html#greylisting'],
      ['smtp.callahead', 'reference.html#smtpcallaheadhosts-rcpt-opts'],
      ['quarantin words', 'cookbook.html#hold-messages-with-certain-words'],
      ['mimedefang', 'coming-from.html#mimedefang'],
      ['graylisting', 'cookbook.html#greylisting'],
      ['--on-bad-script', 'operating.html#when-a-policy-is-edited'],
    ] as const)
      assert.ok(places(query).slice(0, 10).includes(place), `${query}: ${places(query).slice(0, 10)}`);
    assert.deepEqual(places('xyzzyplugh'), []);
  });
});

/** The script of the pages as it stands, with as much of a browser as it asks for. */
function search(site: string, entries: readonly SearchEntry[]): (query: string) => string[] {
  const element = (): Record<string, unknown> => ({
    children: [] as unknown[],
    addEventListener(kind: string, listener: unknown) {
      this[`on${kind}`] = listener;
    },
    append() {},
    replaceChildren(...items: unknown[]) {
      this['children'] = items;
    },
  });
  const input: Record<string, unknown> = { ...element(), form: element(), value: '' };
  const links: string[] = [];
  const results = element();
  const document = {
    ...element(),
    getElementById: (id: string) => (id === 'search' ? input : results),
    querySelector: element,
    createElement: () => {
      const made = element();
      Object.defineProperty(made, 'href', { set: (place: string) => links.push(place) });
      return made;
    },
  };
  runInNewContext(readFileSync(join(site, 'search.js'), 'utf8'), {
    document,
    location: { search: '' },
    window: { matchMedia: () => ({ matches: true }) },
    URLSearchParams,
    SEARCH_DATA: entries,
    MiniSearch: require(join(site, 'minisearch.js')),
  });
  return (query) => {
    links.length = 0;
    input['value'] = query;
    (input['oninput'] as () => void)();
    return [...links];
  };
}

test('anchors are those of Git servers', () => {
  const anchor = anchorsOf();
  assert.equal(
    anchor('`npm run docs`, and header_checks'.replaceAll('`', '')),
    'npm-run-docs-and-header_checks',
  );
  assert.equal(anchor('Options'), 'options');
  assert.equal(anchor('Options'), 'options-1');
});
