/** How a module gets a message while it arrives: what it would need of the body need not be read again, or kept. */
import type { Host } from '../lua/engine/host.ts';

/** Of one message. */
export interface MessageListener {
  /** The next part of the body; nobody changes the bytes any more. */
  body(bytes: Buffer): void;
  /** All of the body has come. */
  complete(): void;
  /** The message is over, or another begins. */
  end(): void;
}

/** What a module has listen. */
export interface Listening {
  /** Full names of the functions that need it: scripts that name none of them pay nothing. */
  readonly for: readonly string[];
  /**
   * A message begins to arrive.
   * @param lines its header as the MTA sent it: folds as CRLF and white space, in latin1
   */
  readonly begin: (host: Host, lines: readonly string[]) => MessageListener;
}
