/** Opens what keeps the entries of a store. */
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Account, actingAs } from '../system/privileges.ts';
import { codeOf } from '../text/operator-error.ts';
import { damagedFile, type Looking, setAside } from './damage.ts';
import { DATA_FILE, LmdbTable } from './lmdb-table.ts';
import { LocalEngine } from './local-engine.ts';
import { MemoryTable } from './memory-table.ts';
import { alone } from './opening.ts';
import { type Engine, StoreFailure } from './operation.ts';
import { RedisEngine } from './redis-engine.ts';
import type { StoreAddress } from './store-address.ts';

export interface EngineSettings {
  readonly address: StoreAddress;
  readonly maxBytes: number;
  /** Before each key in Redis. */
  readonly prefix: string;
  /** Milliseconds since the epoch, for all but Redis. */
  readonly now: () => number;
}

/** @param warn takes what an operator must know @throws what keeps it from being opened */
export async function openEngine(
  { address, maxBytes, prefix, now }: EngineSettings,
  warn: (line: string) => void,
): Promise<Engine> {
  switch (address.kind) {
    case 'memory':
      return new LocalEngine(new MemoryTable(maxBytes), now);
    case 'lmdb': {
      makeDirectory(address.path);
      const path = address.path;
      const table = await alone(path, async () => {
        await mend(path, {}, warn);
        return new LmdbTable(path, maxBytes);
      });
      return new LocalEngine(table, now);
    }
    case 'redis':
      return RedisEngine.open(address, prefix);
    default:
      return address satisfies never;
  }
}

/** How somebody opens a store who looks into it, or mends it, while a server may have it open too. */
export interface ByHand {
  /** Whether it is written to. A file that is not there is made then. */
  readonly writes: boolean;
  /** Whose files they become that are made. */
  readonly owner: Account;
}

/**
 * Opens a store by hand. A file that was written before the machine was started is looked at as a server does; another has
 * been since, and may be a large one, so that it is not read for each command. Root does all that with the rights of the
 * user whose directory it is, so that the server can open what is made there.
 * @param warn takes what an operator must know @throws what keeps it from being opened
 */
export async function openByHand(
  { address, maxBytes, prefix, now }: EngineSettings,
  { writes, owner }: ByHand,
  warn: (line: string) => void,
): Promise<Engine> {
  if (address.kind === 'memory') throw new StoreFailure('unavailable', 'is in the memory of the server');
  if (address.kind === 'redis') return RedisEngine.open(address, prefix);
  const { path } = address;
  const found = statSync(path, { throwIfNoEntry: false });
  const account = found === undefined ? owner : { uid: found.uid, gid: found.gid, groups: [found.gid] };
  const data = join(path, DATA_FILE);
  actingAs(account, () => {
    if (writes) makeDirectory(path);
    else statSync(data);
  });
  const table = await alone(path, async () => {
    await mend(path, { account, isBrief: true }, warn);
    return actingAs(account, () => {
      if (!writes) statSync(data);
      return new LmdbTable(path, maxBytes, !writes);
    });
  });
  return new LocalEngine(table, now);
}

/** While nobody else opens it. */
async function mend(path: string, looking: Looking, warn: (line: string) => void): Promise<void> {
  const damaged = await damagedFile(path, looking);
  const aside = damaged && actingAs(looking.account, () => setAside(path, damaged));
  if (aside !== undefined) warn(`its file was damaged: it is ${aside} now, and the store begins empty`);
}

/** Not with its parents: what is misspelt makes nothing, and on /proc Node.js would try for ever. */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}
