/** Packets of a recording as commands of the protocol. */
import type { Command } from '../milter/command.ts';
import { decodeCommand } from '../milter/decode-command.ts';
import type { RecordedSession } from '../recording/recorded-session.ts';

/** A recorded session, and its packets as commands. */
export interface ReadSession {
  readonly session: RecordedSession;
  /** In order; undefined for a packet that the server could not read either. */
  readonly commands: readonly (Command | undefined)[];
}

export function read(session: RecordedSession): ReadSession {
  const commands: (Command | undefined)[] = [];
  for (const entry of session.entries) if (entry[0] === 'command') commands.push(commandOf(entry[1]));
  return { session, commands };
}

/** @returns undefined for a packet that the server could not read either */
export function commandOf(packet: Buffer): Command | undefined {
  try {
    return decodeCommand({ command: packet[0] ?? 0, payload: packet.subarray(1) });
  } catch {
    return undefined;
  }
}
