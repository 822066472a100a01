// Looks through all chapters while somebody types. SEARCH_DATA and MiniSearch come from scripts of their own.
/* global SEARCH_DATA, MiniSearch */
const input = document.getElementById('search');
const results = document.getElementById('results');
const article = document.querySelector('article');
const MOST = 30;

let index;

function open() {
  if (index !== undefined) return;
  index = new MiniSearch({
    fields: ['title', 'page', 'text'],
    storeFields: ['place', 'page', 'title', 'text'],
    // Names as smtp.do_rcpt and --on-error are words, and so are their parts.
    tokenize: (text) => {
      const words = text.match(/[\p{L}\p{N}_.-]+/gu) ?? [];
      return words.flatMap((word) => {
        const whole = word.replace(/^[.-]+|[.-]+$/g, '');
        const parts = whole.split(/[._-]+/);
        return parts.length > 1 ? [whole, ...parts] : [whole];
      });
    },
    searchOptions: { boost: { title: 4, page: 2 }, prefix: true, fuzzy: 0.15, combineWith: 'AND' },
  });
  index.addAll(SEARCH_DATA);
}

function excerpt(text, terms) {
  const lower = text.toLowerCase();
  const places = terms.map((term) => lower.indexOf(term)).filter((place) => place >= 0);
  const from = Math.max(0, Math.min(...places, text.length) - 60);
  return `${from > 0 ? '... ' : ''}${text.slice(from, from + 200)}${from + 200 < text.length ? ' ...' : ''}`;
}

function show() {
  const query = input.value.trim();
  results.hidden = query === '';
  article.hidden = query !== '';
  if (query === '') return;
  open();
  const found = index.search(query).slice(0, MOST);
  results.replaceChildren(
    ...found.map(({ place, page, title, text, terms }) => {
      const item = document.createElement('li');
      const link = document.createElement('a');
      link.href = place;
      link.textContent = title === page ? page : `${title} (${page})`;
      link.addEventListener('click', () => {
        input.value = '';
        show();
      });
      const words = document.createElement('p');
      words.textContent = excerpt(text, terms);
      item.append(link, words);
      return item;
    }),
  );
  if (found.length === 0) {
    const nothing = document.createElement('li');
    nothing.textContent = `Nothing is found for ${query}`;
    results.replaceChildren(nothing);
  }
}

input.addEventListener('input', show);
input.addEventListener('keydown', ({ key }) => {
  if (key === 'Escape') {
    input.value = '';
    show();
    input.blur();
  }
});
input.form.addEventListener('submit', (event) => {
  event.preventDefault();
  results.querySelector('a')?.click();
});
document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || document.activeElement === input) return;
  event.preventDefault();
  input.focus();
});
// Where there is one column, the page comes first.
if (window.matchMedia('(max-width: 52rem)').matches) document.querySelector('nav details').open = false;
const asked = new URLSearchParams(location.search).get('q');
if (asked !== null) {
  input.value = asked;
  show();
}
