/** Readers of single option values: text from the command line, the environment or the config file to a typed value. */

/** Says what would be right: `must be a whole number from 1 to 10`. The value is named by who asked. */
export class BadValue extends Error {
  override readonly name = 'BadValue';
}

/** @throws BadValue when the text is empty or holds a NUL. */
export function text(value: string): string {
  if (value === '') throw new BadValue('must not be empty');
  if (value.includes('\0')) throw new BadValue('must not hold a NUL');
  return value;
}

/** A whole number in decimal digits. @throws BadValue */
export function wholeNumber(from: number, to: number): (value: string) => number {
  return (value) => {
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= from && number <= to) return number;
    throw new BadValue(`must be a whole number from ${from} to ${to}`);
  };
}

/** Seconds, with decimals if wanted, as milliseconds. @throws BadValue */
export function seconds(from: number, to: number): (value: string) => number {
  return (value) => {
    const number = /^\d{1,9}(\.\d{1,9})?$/.test(value) ? Number(value) : Number.NaN;
    if (number >= from && number <= to) return Math.round(number * 1000);
    throw new BadValue(`must be a number of seconds from ${from} to ${to}`);
  };
}

/** Megabytes of 1,048,576 bytes, as bytes. @throws BadValue */
export function megabytes(from: number, to: number): (value: string) => number {
  const number = wholeNumber(from, to);
  return (value) => {
    try {
      return number(value) * 1024 * 1024;
    } catch {
      throw new BadValue(`must be a whole number of megabytes from ${from} to ${to}`);
    }
  };
}

/** Permission bits in octal: `660`, `0660`. @throws BadValue */
export function permissions(value: string): number {
  if (!/^0?[0-7]{3}$/.test(value))
    throw new BadValue('must be permission bits in octal, such as 660 or 0660');
  return Number.parseInt(value, 8);
}

/** One of some words. @throws BadValue */
export function oneOf<const Word extends string>(words: readonly Word[]): (value: string) => Word {
  return (value) => {
    const found = words.find((word) => word === value);
    if (found !== undefined) return found;
    throw new BadValue(`must be ${words.slice(0, -1).join(', ')} or ${words.at(-1)}${hint(value, words)}`);
  };
}

/** Several of some words with commas or blanks between; `all` and `none` are understood. @throws BadValue */
export function someOf<const Word extends string>(
  words: readonly Word[],
): (value: string) => readonly Word[] {
  return (value) => {
    if (value === 'all') return words;
    if (value === 'none') return [];
    const given = value.split(/[\s,]+/).filter((part) => part !== '');
    const bad = given.find((part) => !words.some((word) => word === part));
    if (given.length === 0 || bad !== undefined) {
      throw new BadValue(
        `must be all, none, or a list with commas of ${words.join(', ')}${hint(bad ?? '', words)}`,
      );
    }
    return words.filter((word) => given.includes(word));
  };
}

/** A switch: the words of a config file or variable. @throws BadValue */
export function onOff(value: string): boolean {
  if (/^(true|yes|on|1)$/i.test(value)) return true;
  if (/^(false|no|off|0)$/i.test(value)) return false;
  throw new BadValue('must be true or false');
}

/** A user or group, by name or number; whether it exists is found out before listening. @throws BadValue */
export function accountName(value: string): string {
  if (!/^[A-Za-z0-9_.][A-Za-z0-9_.@\\-]{0,255}\$?$/.test(value)) {
    throw new BadValue('must be a name or a number');
  }
  return value;
}

/** The candidate that a misspelt name most likely means: at most two letters away, and not further than half of it. */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.min(2, Math.floor(name.length / 2)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function hint(value: string, words: readonly string[]): string {
  const near = value.length > 2 ? nearest(value, words) : undefined;
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one text into the other. */
function editDistance(from: string, to: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let cost = Math.min(
        at(previous, column) + 1,
        at(current, column - 1) + 1,
        at(previous, column - 1) + (same ? 0 : 1),
      );
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) {
        cost = Math.min(cost, at(before, column - 2) + 1);
      }
      current.push(cost);
    }
    before = previous;
    previous = current;
  }
  return at(previous, to.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
