/** What differs between two texts, line by line. */

/** Above this many pairs of lines the two are shown one after the other. */
const MAX_PAIRS = 250_000;

/** Lines with `- ` (only in `expected`), `+ ` (only in `got`) or two blanks in front. */
export function diffLines(expected: readonly string[], got: readonly string[]): string[] {
  if (expected.length * got.length > MAX_PAIRS) {
    return [...expected.map((line) => `- ${line}`), ...got.map((line) => `+ ${line}`)];
  }
  const common = lengths(expected, got);
  const lines: string[] = [];
  let i = 0;
  let j = 0;
  while (i < expected.length || j < got.length) {
    const one = expected[i];
    const other = got[j];
    if (one !== undefined && one === other) {
      lines.push(`  ${one}`);
      i += 1;
      j += 1;
    } else if (one !== undefined && (other === undefined || at(common, i + 1, j) >= at(common, i, j + 1))) {
      lines.push(`- ${one}`);
      i += 1;
    } else {
      lines.push(`+ ${other ?? ''}`);
      j += 1;
    }
  }
  return lines;
}

/** Length of the longest common subsequence of the rests from i and j. */
function lengths(one: readonly string[], other: readonly string[]): number[][] {
  const table = Array.from({ length: one.length + 1 }, () => new Array<number>(other.length + 1).fill(0));
  for (let i = one.length - 1; i >= 0; i--) {
    const row = table[i] ?? [];
    for (let j = other.length - 1; j >= 0; j--) {
      row[j] =
        one[i] === other[j]
          ? at(table, i + 1, j + 1) + 1
          : Math.max(at(table, i + 1, j), at(table, i, j + 1));
    }
  }
  return table;
}

function at(table: readonly (readonly number[])[], i: number, j: number): number {
  return table[i]?.[j] ?? 0;
}
