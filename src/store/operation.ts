/**
 * What can be done to a store: each operation is atomic, and written twice, side by side. `change` computes, for engines
 * that run it between reading and writing; `script` does the same within Redis or Valkey.
 */
import type { Answer } from '../asking/answer.ts';
import type { Stored } from './stored.ts';

export interface Operation<Result> {
  /** What is asked, for those who look on: `kv.get KEY`; latin1. */
  readonly question: string;
  readonly keys: readonly Buffer[];
  /** It writes nearly always: nobody looks first whether there is anything to write. */
  readonly writesMostly?: boolean;
  /** Computes without a trace. @param found what stands under each key @param now milliseconds since the epoch */
  change(found: readonly (Stored | undefined)[], now: number): Change<Result>;
  /** Lua of Redis, see redis-script.ts for the functions that it can call. */
  readonly script: string;
  readonly args: readonly (string | Buffer)[];
  /** Reads what the script returns: strings are bytes. */
  read(reply: unknown): Answer<Result>;
}

export interface Change<Result> {
  readonly answer: Answer<Result>;
  /** By the place of the key: what is to stand there, null where nothing is. Missing: it stays as it is. */
  readonly writes?: readonly (Stored | null | undefined)[];
}

/** A failure of the service behind a store, not of what was asked of it. */
export class StoreFailure extends Error {
  readonly failure: 'timeout' | 'refused' | 'unavailable' | 'protocol' | 'limit';

  constructor(failure: StoreFailure['failure'], message: string) {
    super(message);
    this.failure = failure;
  }
}

/** What stands under a key, for those who look and mend by hand. */
export interface Entry extends Stored {
  readonly key: Buffer;
}

/** A part of all entries. */
export interface Page {
  readonly entries: readonly Entry[];
  /** Where the next part begins; undefined behind the last. */
  readonly next: Buffer | undefined;
}

/** How much a store holds, in bytes. */
export interface Usage {
  readonly usedBytes: number;
  /** From which on it takes nothing more; undefined where nothing bounds it. */
  readonly maxBytes: number | undefined;
}

/** Where entries are kept. */
export interface Engine {
  /** @throws StoreFailure */
  run<Result>(operation: Operation<Result>): Promise<Answer<Result>>;
  /** Entries whose keys begin so. @param from `next` of the part before @throws StoreFailure */
  list(prefix: Buffer, from: Buffer | undefined): Promise<Page>;
  /** Asks whether it is there. @throws StoreFailure */
  ping(): Promise<void>;
  /** As last seen; undefined where it is not known. */
  readonly usage: Usage | undefined;
  /** Why it is known not to answer, without asking. */
  readonly trouble: string | undefined;
  /** Ends within a second. */
  close(): Promise<void>;
}
