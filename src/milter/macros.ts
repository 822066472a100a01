/**
 * Which macros live how long.
 *
 * A macro packet replaces the whole set of its stage; a lookup goes from the latest stage back. Sets are kept as they
 * came because most are never looked at.
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

/** Name, value, name, value ... of the text of a macro command. */
export function macroPairs(text: string): readonly string[] {
  return text === '' ? [] : text.split('\0');
}

/** `{name}` and `name` are the same macro, as in libmilter. */
function bare(name: string): string {
  return name.startsWith('{') && name.endsWith('}') ? name.slice(1, -1) : name;
}

export class Macros implements MacroReader {
  /** By stage: text as in the command, or the pairs once there was something in it. */
  readonly #sets: (string | readonly string[])[] = ['', '', '', '', '', '', ''];

  /** Takes the macros of the command whose byte is `stage`; `text` is that of the command. */
  replace(stage: number, text: string): void {
    const index = STAGES.indexOf(stage);
    if (index >= 0) this.#sets[index] = text;
  }

  /** Forgets what was sent for the stages after the one of the command byte `stage`. */
  clearAfter(stage: number): void {
    this.#clearFrom(STAGES.indexOf(stage) + 1);
  }

  clearTransaction(): void {
    this.#clearFrom(FIRST_OF_TRANSACTION);
  }

  clear(): void {
    this.#clearFrom(0);
  }

  get(name: string): string | undefined {
    const wanted = bare(name);
    for (let index = this.#sets.length - 1; index >= 0; index--) {
      const pairs = this.#pairsWith(index, wanted);
      for (let i = 0; i + 1 < pairs.length; i += 2) {
        if (bare(pairs[i] ?? '') === wanted) return pairs[i + 1];
      }
    }
    return undefined;
  }

  /** The pairs of a stage if `name` may be among them. */
  #pairsWith(stage: number, name: string): readonly string[] {
    const set = this.#sets[stage] ?? '';
    if (typeof set !== 'string') return set;
    if (!set.includes(name)) return [];
    const pairs = macroPairs(set);
    this.#sets[stage] = pairs;
    return pairs;
  }

  #clearFrom(stage: number): void {
    for (let i = stage; i < this.#sets.length; i++) this.#sets[i] = '';
  }
}
