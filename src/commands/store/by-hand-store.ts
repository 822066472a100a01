/** The store of a server, as somebody has it open who looks into it by hand. */
import { type Answer, known, unknown } from '../../asking/answer.ts';
import { inTime } from '../../asking/in-time.ts';
import type { Options } from '../../options/option-table.ts';
import { spoolDirectoryOf } from '../../spool/spool-directory.ts';
import { openByHand } from '../../store/open-engine.ts';
import { type Engine, type Entry, type Operation, StoreFailure } from '../../store/operation.ts';
import { type StoreAddress, storeName } from '../../store/store-address.ts';
import { defaultStore } from '../../store/store-directory.ts';
import { type Account, lookUpUser } from '../../system/privileges.ts';
import { EXIT, OperatorError, systemReason } from '../../text/operator-error.ts';
import { visibleText } from '../../text/visible.ts';
import { wrongUse } from './store-words.ts';

const TIMEOUT_MS = 5000;

/** The store, each call of which is answered in time or ends the command. */
export class ByHandStore {
  readonly #engine: Engine;
  readonly #name: string;

  private constructor(engine: Engine, name: string) {
    this.#engine = engine;
    this.#name = name;
  }

  static async open(options: Options, writes: boolean): Promise<ByHandStore> {
    const owner = runnerOf(options);
    const address = options.store ?? defaultStore(spoolDirectoryOf(options.spool, owner), owner.uid);
    const name = storeName(address);
    if (address.kind === 'memory')
      throw wrongUse('--store memory: is in the memory of the server: nobody else can look into it');
    try {
      const settings = { address, maxBytes: options.storeBytes, prefix: options.storePrefix, now: Date.now };
      const warn = (line: string) => {
        process.stderr.write(`smtpf-milter: warning: ${visibleText(`store ${name}: ${line}`)}\n`);
      };
      return new ByHandStore(await openByHand(settings, { writes, owner }, warn), name);
    } catch (error) {
      throw down(name, hint(address, systemReason(error)));
    }
  }

  async run<Result>(operation: Operation<Result>): Promise<Result> {
    return this.#ask(() => this.#engine.run(operation));
  }

  /** All entries whose keys begin so, in one way or another. */
  async *entries(prefixes: readonly Buffer[]): AsyncGenerator<Entry> {
    for (const beginning of prefixes) {
      let from: Buffer | undefined;
      do {
        const page = await this.#ask(async () => known(await this.#engine.list(beginning, from)));
        yield* page.entries;
        from = page.next;
      } while (from !== undefined);
    }
  }

  close(): Promise<void> {
    return this.#engine.close();
  }

  /** @throws OperatorError */
  async #ask<Value>(call: () => Promise<Answer<Value>>): Promise<Value> {
    // A signal of its own: many may be under way.
    const patience = { timeoutMs: TIMEOUT_MS, cancelled: new AbortController().signal };
    const answer = await inTime(call().catch(failureOf), patience, 'no answer in 5 s');
    if (answer.kind === 'known') return answer.value;
    throw down(this.#name, answer.reason);
  }
}

function failureOf(error: unknown): Answer<never> {
  if (error instanceof StoreFailure) return unknown(error.failure, error.message);
  return unknown('unavailable', systemReason(error));
}

function down(name: string, reason: string): OperatorError {
  return new OperatorError(`store ${name}: ${reason}`, EXIT.tempfail);
}

function hint({ kind }: StoreAddress, reason: string): string {
  return kind === 'lmdb' ? `cannot be opened: ${reason} (--store and --spool say where it is)` : reason;
}

/** Whose the files of a server with these options are. */
function runnerOf({ user, workerUser }: Options): Account {
  const name = workerUser?.user ?? user;
  const account = name === undefined ? undefined : lookUpUser(name, 0);
  const uid = account?.uid ?? process.getuid?.() ?? 0;
  const gid = account?.gid ?? process.getgid?.() ?? 0;
  return { uid, gid, groups: [gid] };
}
