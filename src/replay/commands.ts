/** Packets of a recording as commands of the protocol. */
import type { Command } from '../milter/command.ts';
import { decodeCommand } from '../milter/decode-command.ts';

/** @returns undefined for a packet that the server could not read either */
export function commandOf(packet: Buffer): Command | undefined {
  try {
    return decodeCommand({ command: packet[0] ?? 0, payload: packet.subarray(1) });
  } catch {
    return undefined;
  }
}
