/** From a target to what writes there. */
import { EventFile } from './event-file.ts';
import { EventSocket } from './event-socket.ts';
import type { EventTarget } from './event-target.ts';
import type { EventWriter } from './event-writer.ts';

/** @param warn is told once of each outage. @returns undefined where no place of its own is written to */
export function openEventWriter(
  target: EventTarget,
  warn: (message: string) => void,
): EventWriter | undefined {
  switch (target.kind) {
    case 'file':
      return new EventFile(target.path, warn);
    case 'unix':
      return new EventSocket(target.path, warn);
    case 'none':
    case 'log':
      return undefined;
    default:
      return target satisfies never;
  }
}
