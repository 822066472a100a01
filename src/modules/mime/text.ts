/** The text of a part. */
import { TextStream } from '../../message/text-stream.ts';
import type { Slices } from '../../mime/byte-source.ts';
import { decode } from '../../mime/decode.ts';
import { HtmlText } from '../../mime/html-text.ts';
import type { Defect, Part } from '../../mime/part.ts';

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
  const take = (bytes: Buffer) => {
    const text = bytes.toString('latin1');
    stream ??= new TextStream(charsetOf(part, bytes), text);
    add(stream.take(text));
  };
  yield* decode(part, take, defects, () => size > most);
  if (stream) add(stream.end());
  if (html) pieces.push(html.end());
  return size > most ? undefined : pieces.join('');
}

/** What the headers say, or the text itself where they say nothing. @param first its first piece */
function charsetOf(part: Part, first: Buffer): string {
  const given = part.contentType.parameters.get('charset')?.[0]?.text;
  if (given !== undefined && given !== '') return given;
  const meta =
    part.type === 'text/html' ? META.exec(first.toString('latin1', 0, META_BYTES))?.[1] : undefined;
  return meta ?? (isUtf8(first) ? 'utf-8' : 'windows-1252');
}

/** A piece of so many bytes may end in the middle of a character, as more comes behind it. */
const PIECE = 4096;

function isUtf8(bytes: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: bytes.length >= PIECE });
    return true;
  } catch {
    return false;
  }
}
