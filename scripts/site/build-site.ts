/**
 * The documents as HTML: a page for each Markdown file, with links between them, and an index for a search without a
 * server. No page loads anything from elsewhere.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import MarkdownIt from 'markdown-it';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const HERE = fileURLToPath(new URL('.', import.meta.url));

/** Of files that are no documents and are linked to. */
const FILES = 'files';

interface Page {
  /** As in the repository: `docs/try.md`. */
  readonly source: string;
  /** `try.html` */
  readonly file: string;
  readonly title: string;
  readonly markdown: string;
}

interface Heading {
  readonly level: number;
  readonly id: string;
  readonly title: string;
}

/** What the search looks through: a chapter of a page. */
export interface SearchEntry {
  readonly id: number;
  /** `try.html#exit-code` */
  readonly place: string;
  readonly page: string;
  readonly title: string;
  readonly text: string;
}

/** @param folder which is made anew @returns how many pages there are */
export function buildSite(folder: string): number {
  const pages = readPages();
  const bySource = new Map(pages.map((page) => [page.source, page]));
  const groups = groupsOf(bySource);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const entries: SearchEntry[] = [];
  const linked = new Set<string>();
  for (const page of pages) {
    const { html, headings } = render(page, bySource, linked, entries);
    writeFileSync(join(folder, page.file), layout(page, html, navigation(page, groups, headings)));
  }
  for (const source of linked) writeLinked(folder, source);
  writeFileSync(join(folder, 'search-data.js'), `const SEARCH_DATA = ${JSON.stringify(entries)};\n`);
  const minisearch = createRequire(import.meta.url).resolve('minisearch');
  copyFileSync(join(dirname(minisearch), '..', 'umd', 'index.js'), join(folder, 'minisearch.js'));
  for (const name of ['search.js', 'style.css']) copyFileSync(join(HERE, name), join(folder, name));
  return pages.length;
}

/** README first: it is the front page. */
function readPages(): Page[] {
  const sources = [
    'README.md',
    ...readdirSync(join(ROOT, 'docs'))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
    'SECURITY.md',
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'test/README.md',
  ];
  return sources.map((source) => {
    // Marks of generated parts.
    const markdown = readFileSync(join(ROOT, source), 'utf8').replace(/^<!-- .* -->$/gm, '');
    const title = /^# (.*)$/m.exec(markdown)?.[1]?.replaceAll('`', '') ?? source;
    return { source, file: fileOf(source), title, markdown };
  });
}

function fileOf(source: string): string {
  if (source === 'README.md') return 'index.html';
  if (source === 'docs/README.md') return 'documentation.html';
  if (source === 'test/README.md') return 'tests.html';
  return `${posix.basename(source, '.md').toLowerCase()}.html`;
}

interface Group {
  readonly title: string;
  readonly pages: readonly { readonly label: string; readonly page: Page }[];
}

/** As the index of docs/ has them. */
function groupsOf(pages: ReadonlyMap<string, Page>): Group[] {
  const index = pages.get('docs/README.md')?.markdown ?? '';
  return [...index.matchAll(/^For (people who .*):\n\n([\s\S]*?)(?=\n\n\S|\n*$(?![\s\S]))/gm)].map(
    ([, title = '', list = '']) => ({
      title: `For ${title}`,
      pages: [...list.matchAll(/^- \[([^\]]*)\]\(([^)]*)\)/gm)].flatMap(([, label = '', path = '']) => {
        const page = pages.get(posix.join('docs', path));
        return page ? [{ label: labelOf(label), page }] : [];
      }),
    }),
  );
}

function labelOf(label: string): string {
  return label
    .replace(/^(\.\.\/)?/, '')
    .replace(/\.md$/, '')
    .replace(/^test\/README$/, 'tests')
    .replaceAll('-', ' ')
    .toLowerCase();
}

/** As Git servers make it: in lower case, without punctuation, blanks as dashes; a second one of a name has a number. */
export function anchorsOf(): (title: string) => string {
  const seen = new Map<string, number>();
  return (title) => {
    const anchor = title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
    const times = seen.get(anchor) ?? 0;
    seen.set(anchor, times + 1);
    return times === 0 ? anchor : `${anchor}-${times}`;
  };
}

function render(
  page: Page,
  pages: ReadonlyMap<string, Page>,
  linked: Set<string>,
  entries: SearchEntry[],
): { readonly html: string; readonly headings: readonly Heading[] } {
  const markdown = new MarkdownIt({ html: false });
  const tokens = markdown.parse(page.markdown, {});
  const anchor = anchorsOf();
  const headings: Heading[] = [];
  let text = '';
  const finish = (): void => {
    const heading = headings.at(-1);
    if (heading === undefined) return;
    const { id, title, level } = heading;
    const place = level === 1 ? page.file : `${page.file}#${id}`;
    entries.push({ id: entries.length, place, page: page.title, title, text: text.trim() });
    text = '';
  };
  for (const [index, token] of tokens.entries()) {
    const inline = tokens[index + 1];
    if (token.type === 'heading_open' && inline?.type === 'inline') {
      finish();
      const title = plainText(inline.content);
      const id = anchor(title);
      token.attrSet('id', id);
      headings.push({ level: Number(token.tag.slice(1)), id, title });
    } else if (token.type === 'inline') {
      for (const child of token.children ?? []) {
        if (child.type === 'link_open')
          child.attrSet('href', linkOf(String(child.attrGet('href') ?? ''), page, pages, linked));
      }
      if (tokens[index - 1]?.type !== 'heading_open') text += ` ${plainText(token.content)}`;
    } else if (token.type === 'fence') text += ` ${token.content}`;
  }
  finish();
  return { html: markdown.renderer.render(tokens, markdown.options, {}), headings };
}

/** Without marks of links, code and emphasis. */
function plainText(inline: string): string {
  return inline.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[`*]/g, '');
}

/** @throws Error for what is not there */
function linkOf(href: string, page: Page, pages: ReadonlyMap<string, Page>, linked: Set<string>): string {
  if (/^[a-z]+:/.test(href)) return href;
  const [path = '', fragment] = href.split('#');
  const hash = fragment === undefined ? '' : `#${fragment}`;
  if (path === '') return hash;
  const source = posix.join(posix.dirname(page.source), path);
  const other = pages.get(source);
  if (other) return `${other.file}${hash}`;
  statSync(join(ROOT, source));
  linked.add(source);
  return `${FILES}/${source}.${statSync(join(ROOT, source)).isDirectory() ? 'html' : 'txt'}`;
}

/** A file as text, or a folder as a list of its files. */
function writeLinked(folder: string, source: string): void {
  const target = join(folder, FILES, source);
  mkdirSync(dirname(target), { recursive: true });
  if (!statSync(join(ROOT, source)).isDirectory()) {
    copyFileSync(join(ROOT, source), `${target}.txt`);
    return;
  }
  const names = readdirSync(join(ROOT, source), { withFileTypes: true }).filter((entry) => entry.isFile());
  mkdirSync(target, { recursive: true });
  for (const { name } of names) copyFileSync(join(ROOT, source, name), join(target, `${name}.txt`));
  const base = posix.basename(source);
  const list = names
    .map(({ name }) => `<li><a href="${escaped(base)}/${escaped(name)}.txt">${escaped(name)}</a></li>`)
    .join('\n');
  writeFileSync(
    `${target}.html`,
    `<!doctype html>\n<meta charset="utf-8">\n<title>${escaped(source)}</title>\n<ul>\n${list}\n</ul>\n`,
  );
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** All pages, and the chapters of this one. */
function navigation(current: Page, groups: readonly Group[], headings: readonly Heading[]): string {
  const chapters = headings
    .filter(({ level }) => level === 2)
    .map(({ id, title }) => `<li><a href="#${escaped(id)}">${escaped(title)}</a></li>`)
    .join('');
  const item = (label: string, page: Page): string =>
    page === current
      ? `<li class="current"><a href="${page.file}" aria-current="page">${escaped(label)}</a><ul>${chapters}</ul></li>`
      : `<li><a href="${page.file}">${escaped(label)}</a></li>`;
  return groups
    .map(
      ({ title, pages }) =>
        `<h2>${escaped(title)}</h2>\n<ul>${pages.map(({ label, page }) => item(label, page)).join('\n')}</ul>`,
    )
    .join('\n');
}

function layout(page: Page, html: string, nav: string): string {
  const title = page.file === 'index.html' ? page.title : `${page.title} - smtpf-milter`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<link rel="stylesheet" href="style.css">
<script src="search-data.js" defer></script>
<script src="minisearch.js" defer></script>
<script src="search.js" defer></script>
</head>
<body>
<header>
<a class="name" href="index.html">smtpf-milter</a>
<form role="search"><input type="search" id="search" placeholder="Search (press /)" aria-label="Search" autocomplete="off"></form>
</header>
<div class="columns">
<nav aria-label="Pages">
<details open><summary>Pages</summary>
<ul><li><a href="index.html">start</a></li></ul>
${nav}
</details>
</nav>
<main>
<ol id="results" hidden></ol>
<article>
${html}</article>
</main>
</div>
</body>
</html>
`;
}
