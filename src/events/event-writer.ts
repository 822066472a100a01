/** Takes lines of events to where `--events` says: never waits, and counts what it cannot keep. */

export interface EventWriter {
  /** Takes a line without its end. */
  write(line: string): void;
  /** Opens the file, or the connection, anew. */
  reopen(): void;
  /** Lines that were lost. */
  readonly dropped: number;
  /** Writes what is left, for two seconds at most. */
  close(): Promise<void>;
}

/** What of it waits at most, in bytes. */
export const MOST_WAITING = 4 * 1024 * 1024;
/** Before the next try where there is no way. */
export const RETRY_MS = 1000;
export const CLOSE_MS = 2000;
