/**
 * Reads all of a store's file, in a process of its own: lmdb ends the process that reads a damaged one. Exits with 3 where
 * lmdb says that it is damaged, and with 0 otherwise: what else is wrong is told by who opens it.
 *
 *     inspect-main DIRECTORY [COPY]      with a directory for a copy; `done` stands there when it is complete
 */
import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DATA_FILE, openDatabase } from './lmdb-table.ts';

/** MDB_PAGE_NOTFOUND, MDB_CORRUPTED, MDB_VERSION_MISMATCH, MDB_INVALID, MDB_INCOMPATIBLE: pages that nobody has. */
const DAMAGED: readonly unknown[] = [-30797, -30796, -30794, -30793, -30784];

const [path = '', copy] = process.argv.slice(2);
try {
  const database = openDatabase(path, true);
  let bytes = 0;
  for (const { key, value } of database.getRange()) bytes += key.length + value.length;
  if (copy !== undefined) {
    await database.backup(copy, true);
    const file = openSync(join(copy, DATA_FILE), 'r+');
    fsyncSync(file);
    closeSync(file);
    writeFileSync(join(copy, 'done'), '');
  }
  process.exit(Number.isNaN(bytes) ? 3 : 0);
} catch (error) {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const text = error instanceof Error ? error.message : '';
  process.exit(
    DAMAGED.includes(code) || /MDB_(?:INVALID|CORRUPTED|PAGE_NOTFOUND|VERSION|INCOMPATIBLE)/.test(text)
      ? 3
      : 0,
  );
}
