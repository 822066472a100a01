/** Which charset a text is in where nothing says it. */

/** Beginnings of this size and more may be cut in the middle of a character, as more comes behind them. */
const LEAST_CUT = 4096;

/** UTF-8 where the bytes are that; else what most old programs send. */
export function charsetLike(bytes: Buffer, mayBeCut = bytes.length >= LEAST_CUT): 'utf-8' | 'windows-1252' {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: mayBeCut });
    return 'utf-8';
  } catch {
    return 'windows-1252';
  }
}
