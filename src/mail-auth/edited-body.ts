/** The hash of a body that takes the place of another, as the MTA will send it. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BodyHash, type Canonicalization } from './body-hash.ts';

const PIECE_BYTES = 64 * 1024;
/** Pieces that are hashed before others get a turn. */
const PIECES_AT_ONCE = 16;
const CR = 0x0d;

/**
 * @param bytes whose lines may end in LF alone: both MTAs make that CRLF
 * @returns in base64; undefined where a line is too long
 */
export async function hashOfBody(bytes: Buffer, form: Canonicalization): Promise<string | undefined> {
  const hash = new BodyHash(form);
  for (let at = 0, pieces = 1; at < bytes.length; at += PIECE_BYTES, pieces += 1) {
    hash.update(withLineEnds(bytes.subarray(at, at + PIECE_BYTES), at > 0 && bytes[at - 1] === CR));
    if (pieces % PIECES_AT_ONCE === 0) await nextTurn();
  }
  hash.end();
  return hash.digest();
}

function withLineEnds(piece: Buffer, followsCr: boolean): Buffer {
  const text = piece.toString('latin1');
  const rest = followsCr && text.startsWith('\n') ? 1 : 0;
  const lone = /(?<!\r)\n/g;
  lone.lastIndex = rest;
  if (!lone.test(text)) return piece;
  return Buffer.from(text.slice(0, rest) + text.slice(rest).replace(/(?<!\r)\n/g, '\r\n'), 'latin1');
}
