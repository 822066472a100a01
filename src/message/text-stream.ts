/** Text of any charset, piece by piece, as UTF-8. */
import { type PieceDecoder, pieceDecoderOf } from './charset.ts';

/** Bytes are latin1 text, and so is the UTF-8 that comes of them. */
export class TextStream {
  readonly #decoder: PieceDecoder;
  #isFirst = true;

  /** @param label name of a charset; one that nobody knows is taken for windows-1252 */
  constructor(label: string, first: string) {
    const name = orderOf(label.trim().toLowerCase(), first);
    this.#decoder = pieceDecoderOf(name) ?? pieceDecoderOf('windows-1252') ?? AS_THEY_ARE;
  }

  take(bytes: string): string {
    return this.#withoutMark(this.#decoder.take(bytes));
  }

  end(): string {
    return this.#withoutMark(this.#decoder.end());
  }

  /** A byte order mark at the beginning is no text. */
  #withoutMark(text: string): string {
    if (!this.#isFirst || text === '') return text;
    this.#isFirst = false;
    return text.startsWith('\xef\xbb\xbf') ? text.slice(3) : text;
  }
}

const AS_THEY_ARE: PieceDecoder = { take: (bytes) => bytes, end: () => '' };

/** Text in two or four bytes a letter says its order at the beginning, which the pieces after it do not show. */
function orderOf(label: string, first: string): string {
  if (!/^(?:utf-?16|utf-?32|iso-10646-ucs-2|ucs-?2|unicode)$/.test(label)) return label;
  const width = label.includes('32') ? 32 : 16;
  const isBig = first.startsWith(width === 32 ? '\0\0\xfe\xff' : '\xfe\xff');
  return `utf-${width}${isBig ? 'be' : 'le'}`;
}
