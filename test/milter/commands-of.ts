/** What the codec reads in a stream of packets. */
import assert from 'node:assert/strict';
import { wholeOf } from '../../src/milter/body-bytes.ts';
import type { Command } from '../../src/milter/command.ts';
import { decodeCommand } from '../../src/milter/decode-command.ts';
import { FrameDecoder } from '../../src/milter/frame-decoder.ts';

/** The commands of a stream that ends with one, however it is cut; bodies put together. */
export function commandsOf(chunks: Iterable<Buffer>): Command[] {
  const decoder = new FrameDecoder();
  const commands: Command[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let frame = decoder.next(); frame; frame = decoder.next()) {
      const command = decodeCommand(frame);
      commands.push('bytes' in command ? { ...command, bytes: wholeOf(command.bytes) } : command);
    }
  }
  assert.equal(decoder.midFrame, false);
  return commands;
}
