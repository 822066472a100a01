/**
 * Which macros live how long.
 *
 * A macro packet replaces the whole set of its stage; a lookup goes from the latest stage back. Sets are kept as they
 * came (name, value, name, value ...) because most are never looked at.
 *
 * Source: libmilter/engine.c st_macros(), mi_clr_macros(); libmilter/main.c smfi_getsymval(). Other than libmilter, the
 * sets of a transaction end with it, so that nothing of one message shows in the next.
 */
import { SMFIC } from './constants.ts';
import type { MacroReader } from './policy.ts';

/** Command bytes in the order of the stages; macros of other commands (header, body) repeat these and are dropped. */
const STAGES: readonly number[] = [
  SMFIC.CONNECT,
  SMFIC.HELO,
  SMFIC.MAIL,
  SMFIC.RCPT,
  SMFIC.DATA,
  SMFIC.EOH,
  SMFIC.BODYEOB,
];
const FIRST_OF_TRANSACTION = STAGES.indexOf(SMFIC.MAIL);

const NONE: readonly string[] = [];

/** `{name}` and `name` are the same macro, as in libmilter. */
function bare(name: string): string {
  return name.startsWith('{') && name.endsWith('}') ? name.slice(1, -1) : name;
}

export class Macros implements MacroReader {
  readonly #sets: (readonly string[])[] = STAGES.map(() => NONE);

  /** Takes the macros of the command whose byte is `stage`; `pairs` are name, value, name, value ... */
  replace(stage: number, pairs: readonly string[]): void {
    const index = STAGES.indexOf(stage);
    if (index >= 0) this.#sets[index] = pairs;
  }

  /** Forgets what was sent for the stages after the one of the command byte `stage`. */
  clearAfter(stage: number): void {
    this.#sets.fill(NONE, STAGES.indexOf(stage) + 1);
  }

  clearTransaction(): void {
    this.#sets.fill(NONE, FIRST_OF_TRANSACTION);
  }

  clear(): void {
    this.#sets.fill(NONE);
  }

  get(name: string): string | undefined {
    const wanted = bare(name);
    for (let index = this.#sets.length - 1; index >= 0; index--) {
      const pairs = this.#sets[index] ?? NONE;
      for (let i = 0; i + 1 < pairs.length; i += 2) {
        if (bare(pairs[i] ?? '') === wanted) return pairs[i + 1];
      }
    }
    return undefined;
  }
}
