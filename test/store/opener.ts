/**
 * Opens a store in a file, adds, and closes it while it adds, so many times: opener DIRECTORY ROUNDS. Says how often it
 * has added. With no rounds it opens it once, says so, adds when it is told to, and ends without waiting for that.
 */
import { once } from 'node:events';
import * as kv from '../../src/store/kv.ts';
import { LmdbTable } from '../../src/store/lmdb-table.ts';
import { LocalEngine } from '../../src/store/local-engine.ts';
import { alone } from '../../src/store/opening.ts';

const [, , path = '', rounds = ''] = process.argv;
const ADDS = 5;
const addition = kv.incr({ space: '', key: Buffer.from('n') }, 1, undefined);
let added = 0;
for (let round = 0; round < Number(rounds); round += 1) {
  const table = await alone(path, async () => new LmdbTable(path, 1e9));
  const engine = new LocalEngine(table, Date.now);
  engine.now(addition) ?? (await engine.run(addition));
  const underWay = Promise.all(Array.from({ length: ADDS }, () => engine.run(addition)));
  await engine.close();
  added += 1 + (await underWay).length;
}
if (rounds === '0') {
  const engine = new LocalEngine(await alone(path, async () => new LmdbTable(path, 1e9)), Date.now);
  process.stdout.write('open');
  await once(process.stdin, 'data');
  void engine.run(addition);
  await engine.close();
}
process.stdout.write(String(added), () => process.exit(0));
