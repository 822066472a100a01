/** The text of a policy as the linter sees it: latin1, so that one character is one byte, and positions in it. */

/** Where something stands: lines and columns count from 1, columns in bytes; the end is behind the last byte. */
export interface Span {
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
}

export class Source {
  /** As luaparse takes it: a byte order mark and a first line with `#` are blanks, so that positions stay. */
  readonly text: string;
  /** Without line ends. */
  readonly lines: readonly string[];

  /** `latin1` is the whole file. */
  constructor(latin1: string) {
    const withoutMark = latin1.replace(/^\xef\xbb\xbf/, '   ');
    this.text = withoutMark.replace(/^( {3})?#[^\n]*/, (line) => ' '.repeat(line.length));
    this.lines = latin1.split(/\r\n|\n\r|\n|\r/);
  }

  /** The bytes of a stretch in one line; of a longer one those in its first line. */
  textAt({ line, column, endLine, endColumn }: Span): string {
    const text = this.lines[line - 1] ?? '';
    return text.slice(column - 1, endLine === line ? endColumn - 1 : undefined);
  }
}
