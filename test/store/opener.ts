/** Opens a store in a file, adds, and closes it while it adds: opener DIRECTORY. Says how often it has added. */
import * as kv from '../../src/store/kv.ts';
import { LmdbTable } from '../../src/store/lmdb-table.ts';
import { LocalEngine } from '../../src/store/local-engine.ts';
import { alone } from '../../src/store/opening.ts';

const [, , path = ''] = process.argv;
const ADDS = 5;
const addition = kv.incr({ space: '', key: Buffer.from('n') }, 1, undefined);
const engine = new LocalEngine(await alone(path, async () => new LmdbTable(path, 1e9)), Date.now);
await engine.run(addition);
const underWay = Promise.all(Array.from({ length: ADDS }, () => engine.run(addition)));
await engine.close();
const added = 1 + (await underWay).length;
process.stdout.write(String(added), () => process.exit(0));
