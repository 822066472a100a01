/** Where a tag of HTML ends, as browsers see it: quotes count around values of attributes only. */

/** Where in a tag a browser is: in its name, or before, in or behind the name or the value of an attribute. */
export type InTag = 'tag' | 'gap' | 'name' | 'named' | 'value' | 'bare' | '"' | "'";

const BLANKS = '\t\n\f\r ';

/** Behind one more letter, which is no `>` that ends the tag. */
export function inTag(state: InTag, letter: string): InTag {
  if (state === '"' || state === "'") return letter === state ? 'gap' : state;
  const isBlank = letter <= ' ' && BLANKS.includes(letter);
  if (state === 'value') {
    if (letter === '"' || letter === "'") return letter;
    return isBlank ? 'value' : 'bare';
  }
  if (state === 'bare') return isBlank ? 'gap' : 'bare';
  if (letter === '=' && (state === 'name' || state === 'named')) return 'value';
  if (isBlank) return state === 'name' || state === 'named' ? 'named' : 'gap';
  if (letter === '/') return 'gap';
  return state === 'tag' ? 'tag' : 'name';
}

/** Behind the `>` that ends the tag at `start`, -1 without one. */
export function endOfTag(html: string, start: number): number {
  let state: InTag = 'tag';
  // The slash of an end tag is no end of the name.
  for (let at = start + 2; at < html.length; at++) {
    const letter = html[at] ?? '';
    if (letter === '>' && state !== '"' && state !== "'") return at + 1;
    state = inTag(state, letter);
  }
  return -1;
}
