/**
 * Whether From says one thing to all who read it. Programs differ in what they make of blanks and comments in a domain,
 * and of two addresses without a comma: a forger has one shown, and the other looked up.
 */

import { loadMailauth } from './mailauth.ts';

/** The addresses of authors, those of groups too (RFC 6854). @param value of a From field, in latin1 */
export function addressesIn(value: string): string[] {
  const found = loadMailauth().addressparser(Buffer.from(value, 'latin1').toString().trim());
  return found.flatMap((each) => (each.group ?? [each]).flatMap(({ address }) => address || []));
}

/** @param value of a From field, in latin1 */
export function isUnclear(value: string): boolean {
  let angles: string[] = [];
  let bare = '';
  // The comma ends the last one.
  for (const [piece] of `${plainText(value)},`.matchAll(/<[^<>]*>|[,;:]|[^<>,;:]+|[<>]/g)) {
    if (piece.length > 1 && piece.startsWith('<')) {
      angles.push(piece.slice(1, -1).trim());
    } else if (/^[,;:]$/.test(piece)) {
      if (isUnclearMailbox(angles, bare)) return true;
      angles = [];
      bare = '';
    } else {
      bare += piece;
    }
  }
  return false;
}

function isUnclearMailbox(angles: readonly string[], bare: string): boolean {
  if (angles.length > 0) {
    const domains = new Set(
      angles.map((address) => address.slice(address.lastIndexOf('@') + 1).toLowerCase()),
    );
    return domains.size > 1 || angles.some((address) => /[ \t\r\n]/.test(address));
  }
  // A name may stand before an address without brackets.
  return (
    bare.split('@').length > 2 ||
    /@[^ \t\r\n@]*(?:[ \t\r\n]+\.|\.[ \t\r\n]+[^ \t\r\n]|(?<=@)[ \t\r\n])/.test(bare)
  );
}

/** Comments as a blank, quoted strings as a letter. */
function plainText(value: string): string {
  let text = '';
  let depth = 0;
  let isQuoted = false;
  for (let at = 0; at < value.length; at += 1) {
    const letter = value[at] ?? '';
    if (letter === '\\' && (isQuoted || depth > 0)) at += 1;
    else if (letter === '"' && depth === 0) {
      isQuoted = !isQuoted;
      if (!isQuoted) text += 'x';
    } else if (isQuoted) continue;
    else if (letter === '(') {
      depth += 1;
      text += ' ';
    } else if (letter === ')' && depth > 0) depth -= 1;
    else if (depth === 0) text += letter;
  }
  return text;
}
