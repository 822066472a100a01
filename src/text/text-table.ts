/** Columns for people, as wide as what stands in them: no value runs into the next. */
import { isUtf8 } from 'node:buffer';

const GAP = '  ';

/**
 * Lines of a table, without blanks at their ends.
 * @param rows all of the same length, the heading among them; latin1
 */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, widthOf(cell));
    }
  }
  return rows.map((row) =>
    row
      .map((cell, column) => padded(cell, widths[column] ?? 0))
      .join(GAP)
      .trimEnd(),
  );
}

/** With blanks behind it up to that width. */
export function padded(latin1: string, width: number): string {
  return latin1 + ' '.repeat(Math.max(0, width - widthOf(latin1)));
}

/** Characters that a terminal shows: bytes that are UTF-8 are fewer of them. */
export function widthOf(latin1: string): number {
  const bytes = Buffer.from(latin1, 'latin1');
  return isUtf8(bytes) ? latin1.replace(/[\x80-\xbf]/g, '').length : latin1.length;
}
