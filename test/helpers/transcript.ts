/**
 * Reads recorded milter sessions, one SMTP session in each file of test/captures.
 *
 *     # any remark; `# C: ` and `# S: ` are what the SMTP client sends and gets
 *     MTA> 00 00 00 02 44 48 # MACRO for HELO
 *     US> 00 00 00 01 63 # CONTINUE
 *
 * One whole packet in each line, in the order in which they went over the wire; the end of the file is the end of the
 * connection. Imports nothing of src.
 */
import { readdirSync, readFileSync } from 'node:fs';

export interface TranscriptPacket {
  readonly from: 'MTA' | 'US';
  /** The whole packet, length field included. */
  readonly bytes: Buffer;
  readonly comment: string;
  /** Line number in the file, from 1. */
  readonly line: number;
}

export interface Transcript {
  /** File name without `.txt`, such as `postfix-plain`. */
  readonly name: string;
  readonly packets: readonly TranscriptPacket[];
}

const CAPTURES = new URL('../captures/', import.meta.url);

/** Every transcript in test/captures whose name begins with `prefix`. */
export function readTranscripts(prefix = ''): Transcript[] {
  return readdirSync(CAPTURES)
    .filter((file) => file.startsWith(prefix) && file.endsWith('.txt'))
    .sort()
    .map((file) => readTranscript(file.slice(0, -'.txt'.length)));
}

/** The transcript test/captures/`name`.txt. */
export function readTranscript(name: string): Transcript {
  return { name, packets: parseTranscript(readFileSync(new URL(`${name}.txt`, CAPTURES), 'utf8')) };
}

/** @throws Error naming the line that is no remark and no whole packet. */
export function parseTranscript(text: string): TranscriptPacket[] {
  const packets: TranscriptPacket[] = [];
  for (const [index, content] of text.split('\n').entries()) {
    if (content === '' || content.startsWith('#')) continue;
    const [, from, dump, comment = ''] = /^(MTA|US)> ((?:[0-9a-f]{2} ?)+)(?:# ?(.*))?$/.exec(content) ?? [];
    const bytes = Buffer.from((dump ?? '').replaceAll(' ', ''), 'hex');
    if ((from !== 'MTA' && from !== 'US') || bytes.length < 5 || bytes.readUInt32BE(0) !== bytes.length - 4) {
      throw new Error(`transcript line ${index + 1}: ${content}`);
    }
    packets.push({ from, bytes, comment, line: index + 1 });
  }
  return packets;
}

/** All that one side said, as one stream. */
export function bytesFrom(side: 'MTA' | 'US', transcript: Transcript): Buffer {
  return Buffer.concat(transcript.packets.filter(({ from }) => from === side).map(({ bytes }) => bytes));
}
