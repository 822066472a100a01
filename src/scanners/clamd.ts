/** clamd's INSTREAM command (clamd(8)): the name of what was found, or false. */
import { type Answer, known, type Patience, unknown } from '../asking/answer.ts';
import { type Content, converse, early, type ScannerAddress, writtenAddress } from './conversation.ts';

const COMMAND = Buffer.from('zINSTREAM\0');
const END = Buffer.alloc(4);

/** @returns the name of the signature in latin1; false: clean */
export function askClamd(
  address: ScannerAddress,
  content: Content,
  patience: Patience,
): Promise<Answer<string | false>> {
  const subject = `clamd at ${writtenAddress(address)}`;
  return converse(address, subject, patience, async (conversation) => {
    await conversation.write(COMMAND);
    for await (const piece of content.pieces()) {
      // One that has heard enough says why, and closes.
      if (conversation.isAnswered) break;
      if (piece.length === 0) continue;
      const length = Buffer.alloc(4);
      length.writeUInt32BE(piece.length);
      await conversation.write(Buffer.concat([length, piece]));
    }
    const isWhole = !conversation.isAnswered;
    if (isWhole) await conversation.write(END);
    const answer = await conversation.answer((received) => received.includes(0));
    const result = readAnswer(answer, subject, conversation.failure);
    // What it has not seen it cannot call clean.
    return isWhole || result.kind === 'unknown' || result.value !== false ? result : early(subject);
  });
}

function readAnswer(bytes: Buffer, subject: string, failure: string | undefined): Answer<string | false> {
  const end = bytes.indexOf(0);
  const text = bytes.toString('latin1', 0, end < 0 ? bytes.length : end).trim();
  if (end >= 0 && text === 'stream: OK') return known(false);
  const found = /^stream: (.+) FOUND$/s.exec(text)?.[1];
  if (end >= 0 && found !== undefined) return known(found);
  if (/size limit exceeded/i.test(text)) return unknown('limit', `${subject}: ${text}`);
  if (text === '') return unknown('unavailable', `${subject}: ${failure ?? 'closed without an answer'}`);
  return unknown(/ ERROR$/.test(text) ? 'unavailable' : 'protocol', `${subject}: ${text.slice(0, 200)}`);
}
