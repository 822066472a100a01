/** Markdown, as far as the descriptions use it, as the body of a man page: man(7) of groff and mandoc. */

/** Lines of Markdown, a paragraph or an item of a list in one or several, code between fences, tables. */
export function roff(markdown: string): string {
  const lines = markdown.split('\n');
  const out: string[] = [];
  let paragraph: string[] = [];
  /** What begins the paragraph in hand. */
  let begin = '.PP';
  const flush = (): void => {
    if (paragraph.length > 0) out.push(begin, inline(paragraph.join(' ')));
    paragraph = [];
    begin = '.PP';
  };
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? '';
    const [, level, title = ''] = /^(#+) (.*)$/.exec(line) ?? [];
    const [, indent = '', mark, item = ''] = /^( *)(-|\d+\.) (.*)$/.exec(line) ?? [];
    if (line.startsWith('```')) {
      flush();
      const end = lines.findIndex((other, at) => at > index && other.startsWith('```'));
      const code = lines.slice(index + 1, end === -1 ? undefined : end);
      out.push('.PP', '.RS 4', '.nf', ...code.map(literal), '.fi', '.RE');
      index = end === -1 ? lines.length : end;
    } else if (level !== undefined) {
      flush();
      out.push(level.length <= 2 ? `.SH ${argument(title.toUpperCase())}` : `.SS ${argument(title)}`);
    } else if (line.startsWith('|')) {
      flush();
      if (/^\|[ :|-]+\|$/.test(line)) continue;
      const [first = '', ...rest] = cells(line);
      // The heading of a table says in man pages what its first column is.
      if (/^\|[ :|-]+\|$/.test(lines[index + 1] ?? '')) continue;
      out.push('.TP', inline(first), inline(rest.filter(Boolean).join(': ')) || '\\&');
    } else if (mark !== undefined) {
      flush();
      begin = `.IP ${mark === '-' ? '\\(bu' : mark} ${indent.length + 3}`;
      paragraph = [item];
    } else if (line.trim() === '') flush();
    else paragraph.push(line.trim());
  }
  flush();
  return out.join('\n');
}

function cells(row: string): string[] {
  return row
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'));
}

/** Text with code, emphasis and links. */
export function inline(text: string): string {
  const pieces = text.split(/(`[^`]*`)/).map((piece) => {
    if (/^`[^`]*`$/.test(piece)) return `\\fB${escaped(piece.slice(1, -1))}\\fR`;
    return escaped(piece.replace(/\[([^\]]+)\]\((?:[^()]|\([^()]*\))*\)/g, '$1'))
      .replace(/\*\*([^*]+)\*\*/g, '\\fB$1\\fR')
      .replace(/(?<![\w*])\*(?! )([^*]+)\*/g, '\\fI$1\\fR');
  });
  return safe(pieces.join(''));
}

function literal(line: string): string {
  return safe(escaped(line));
}

/** An argument of a macro. */
export function argument(text: string): string {
  return `"${escaped(text.replaceAll('`', '')).replaceAll('"', '\\(dq')}"`;
}

/** A line of text must not begin as a request does. */
function safe(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}

const NAMES: Readonly<Record<string, string>> = {
  '\\': '\\e',
  '-': '\\-',
  '^': '\\(ha',
  '~': '\\(ti',
  '`': '\\(ga',
  "'": '\\(aq',
  '’': '\\(cq',
  '“': '\\(lq',
  '”': '\\(rq',
  '→': '\\(->',
  '…': '...',
  '–': '\\(en',
};

/** Beyond ASCII, characters by their number: then no locale changes what is read. */
function escaped(text: string): string {
  return text.replace(
    /[\\\-^~`'’“”→…–]|[^\0-\x7f]/gu,
    (character) =>
      NAMES[character] ?? `\\[u${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`,
  );
}
