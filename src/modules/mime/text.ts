/** The text of a part. */
import { isAscii } from 'node:buffer';
import { TextStream } from '../../message/text-stream.ts';
import type { Slices } from '../../mime/byte-source.ts';
import { decode } from '../../mime/decode.ts';
import { HtmlText } from '../../mime/html-text.ts';
import { charsetLike } from '../../mime/likely-charset.ts';
import type { Defect, Part } from '../../mime/part.ts';

/** Bytes that are decoded and read as HTML between two yields: each may take a microsecond. */
const PIECE = 8192;
/** Bytes of HTML in which it names its charset. */
const META_BYTES = 2048;
const META = /<meta[^>]{1,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]{1,40})/i;

/** UTF-8 in latin1, HTML as a reader sees it; undefined where it would be longer than `most` bytes. */
export function* textOf(part: Part, most: number, defects: Set<Defect>): Slices<string | undefined> {
  const html = part.type === 'text/html' ? new HtmlText() : undefined;
  const pieces: string[] = [];
  let size = 0;
  let stream: TextStream | undefined;
  const add = (decoded: string) => {
    const piece = html ? html.take(decoded) : decoded;
    size += piece.length;
    pieces.push(piece);
  };
  const named = namedCharset(part);
  let meta: string | undefined;
  let isFirst = true;
  const take = (bytes: Buffer) => {
    const text = bytes.toString('latin1');
    if (isFirst && named === undefined && html) meta = META.exec(text.slice(0, META_BYTES))?.[1];
    isFirst = false;
    if (stream !== undefined) return add(stream.take(text));
    // Where nothing names a charset, the first bytes that are no ASCII tell.
    const charset = named ?? meta ?? (isAscii(bytes) ? undefined : charsetLike(bytes));
    if (charset !== undefined) stream = new TextStream(charset, text);
    add(stream === undefined ? text : stream.take(text));
  };
  yield* decode(part, take, defects, () => size > most, PIECE);
  if (stream) add(stream.end());
  if (html) pieces.push(html.end());
  return size > most ? undefined : pieces.join('');
}

/** What the headers say. */
function namedCharset(part: Part): string | undefined {
  const given = part.contentType.parameters.get('charset')?.[0]?.text;
  return given === '' ? undefined : given;
}
