/** SpamAssassin's spamd (spamd/PROTOCOL, command SYMBOLS): its score, and the names of the rules that matched. */
import { type Answer, known, type Patience, unknown } from '../asking/answer.ts';
import { type Content, converse, early, type ScannerAddress, writtenAddress } from './conversation.ts';

export interface SpamdResult {
  readonly spam: boolean;
  readonly score: number;
  readonly required: number;
  readonly symbols: readonly string[];
}

/** @param user whose settings count; printable ASCII */
export function askSpamd(
  address: ScannerAddress,
  content: Content,
  user: string | undefined,
  patience: Patience,
): Promise<Answer<SpamdResult>> {
  const subject = `spamd at ${writtenAddress(address)}`;
  return converse(address, subject, patience, async (conversation) => {
    const name = user === undefined ? '' : `User: ${user}\r\n`;
    await conversation.write(
      Buffer.from(`SYMBOLS SPAMC/1.5\r\nContent-length: ${content.size}\r\n${name}\r\n`),
    );
    let isEarly = false;
    for await (const piece of content.pieces()) {
      isEarly = conversation.isAnswered;
      if (isEarly) break;
      await conversation.write(piece);
    }
    // It has all the bytes that it was told of, and may have answered by now.
    conversation.end();
    const answer = await conversation.answer(isWhole);
    const result = readAnswer(answer.toString('latin1'), subject, conversation.failure);
    return isEarly && result.kind === 'known' ? early(subject) : result;
  });
}

function isWhole(received: Buffer): boolean {
  const text = received.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  const length = /^content-length:\s*(\d+)\s*$/im.exec(text.slice(0, Math.max(end, 0)))?.[1];
  return end >= 0 && length !== undefined && text.length >= end + 4 + Number(length);
}

function readAnswer(text: string, subject: string, failure: string | undefined): Answer<SpamdResult> {
  if (text === '') return unknown('unavailable', `${subject}: ${failure ?? 'closed without an answer'}`);
  const end = text.indexOf('\r\n\r\n');
  const [, code, word] = /^SPAMD\/\d+\.\d+ (\d+) (.*?)\r\n/.exec(text) ?? [];
  if (code === undefined || end < 0) return unknown('protocol', `${subject}: ${text.slice(0, 200)}`);
  if (code !== '0') return unknown('unavailable', `${subject}: ${code} ${word}`);
  const spam = /^spam:\s*(true|yes|false|no)\s*;\s*(-?[\d.]+)\s*\/\s*(-?[\d.]+)\s*$/im.exec(
    text.slice(0, end),
  );
  const body = text.slice(end + 4);
  const length = Number(/^content-length:\s*(\d+)\s*$/im.exec(text.slice(0, end))?.[1] ?? Number.NaN);
  if (!spam || body.length < length) return unknown('protocol', `${subject}: ${text.slice(0, 200)}`);
  return known({
    spam: /^(?:true|yes)$/i.test(spam[1] ?? ''),
    score: Number(spam[2]),
    required: Number(spam[3]),
    symbols: body
      .trim()
      .split(/[,\s]+/)
      .filter((symbol) => symbol !== ''),
  });
}
