/** Says when message files cannot be written, and when they can again: each once, however many messages there are. */
import { systemReason } from '../text/operator-error.ts';

/** Trouble is over when files have been written for so long; a disk that is nearly full takes some and not others. */
const QUIET_MS = 2_000;

export interface TroubleLog {
  error(text: string): void;
  notice(text: string): void;
}

export class SpoolTrouble {
  readonly #directory: string;
  readonly #consequence: string;
  readonly #log: TroubleLog;
  #failures = 0;
  #ending: NodeJS.Timeout | undefined;

  /** @param consequence what becomes of a message without its file, for the log */
  constructor(directory: string, consequence: string, log: TroubleLog) {
    this.#directory = directory;
    this.#consequence = consequence;
    this.#log = log;
  }

  failed(error: unknown): void {
    clearTimeout(this.#ending);
    this.#ending = undefined;
    this.#failures += 1;
    if (this.#failures > 1) return;
    const reason = systemReason(error);
    this.#log.error(`message files cannot be written to ${this.#directory}: ${reason}: ${this.#consequence}`);
  }

  written(): void {
    if (this.#failures === 0 || this.#ending !== undefined) return;
    this.#ending = setTimeout(() => this.#end(), QUIET_MS).unref();
  }

  #end(): void {
    const count = this.#failures === 1 ? 'one message was' : `${this.#failures} messages were`;
    this.#log.notice(`message files can be written to ${this.#directory} again: ${count} without`);
    this.#failures = 0;
    this.#ending = undefined;
  }
}
