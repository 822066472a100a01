/** Holds the lock for writers of a store in a file until it is killed: holder DIRECTORY. */
import { writeSync } from 'node:fs';
import { LmdbTable } from '../../src/store/lmdb-table.ts';

const [, , path = ''] = process.argv;
const table = new LmdbTable(path, 1e9);
await table.atomically(() => {
  table.write(Buffer.from('kv\0\0held'), Buffer.from([0x7f, 0xf0, 0, 0, 0, 0, 0, 0, 0x62, 1]));
  writeSync(1, 'held\n');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
