/**
 * One of the processes that work on a store at the same time. It writes down what it begins before it begins it, and what
 * was acknowledged after that, each with one write to a file: what it was about to do when it was killed is known.
 *
 *     exactness-worker ADDRESS FILE NAME FROM TO
 */
import { openSync, writeSync } from 'node:fs';
import type { Answer } from '../../src/asking/answer.ts';
import * as kv from '../../src/store/kv.ts';
import type { Operation } from '../../src/store/operation.ts';
import { take } from '../../src/store/rate.ts';
import { connected, openStore, patience } from './stores.ts';
import { type Acknowledged, bucketOf, ROUND, stepOf } from './work.ts';

const [, , address = '', path = '', name = '', first = '', last = ''] = process.argv;
const { store, lines } = openStore(address);
const file = openSync(path, 'a');
const note = (line: object) => writeSync(file, `${JSON.stringify(line)}\n`);
const WAIT_MS = 120_000;
const at = (key: string) => ({ space: '', key: Buffer.from(key) });

/** As a policy does, and as one does that was not answered at once. */
async function ask<Result>(index: number, operation: Operation<Result>): Promise<Answer<Result>> {
  const answer = index % 8 < 4 ? store.now(operation) : undefined;
  return answer ?? store.run(operation, patience(WAIT_MS));
}

async function one(index: number): Promise<Acknowledged> {
  const { kind, key } = stepOf(index);
  switch (kind) {
    case 'incr':
      return told(await ask(index, kv.incr(at(key), 1, undefined)));
    case 'take': {
      const bucket = bucketOf(key);
      const answer = await ask(index, take(Buffer.from(bucket.key), [bucket.rate], 1));
      return answer.kind === 'known' ? answer.value.kind === 'taken' : answer.reason;
    }
    case 'add':
      return told(await ask(index, kv.add(at(key), Buffer.from(name), undefined)));
    default:
      return kind satisfies never;
  }
}

function told<Value>(answer: Answer<Value>): Value | string {
  return answer.kind === 'known' ? answer.value : answer.reason;
}

if (address.startsWith('redis')) await connected(store);
for (let from = Number(first); from < Number(last); from += ROUND) {
  const to = Math.min(from + ROUND, Number(last));
  note({ from, to });
  const answers = await Promise.all(Array.from({ length: to - from }, (_, index) => one(from + index)));
  note({ from, answers });
}
note({ lines });
await store.close();
process.exit(0);
