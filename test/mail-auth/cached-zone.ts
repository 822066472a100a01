/** A DNS for tests that keeps its answers. */
import assert from 'node:assert/strict';
import type { Answer } from '../../src/asking/answer.ts';
import type { RecordSource, Records, RecordType } from '../../src/dns/records.ts';
import { inquiryOf, zoneOf } from './messages.ts';

type Table = Parameters<typeof zoneOf>[0];

/** A DNS with a cache, as the server's is: an answer is one object until it ends. */
export class CachedZone implements RecordSource {
  readonly timeoutMs = 1000;
  /** Questions that were answered anew. */
  readonly asked: string[] = [];
  #table: Table;
  readonly #cache = new Map<string, Answer<Records[RecordType]>>();

  constructor(table: Table) {
    this.#table = table;
  }

  /** The records are others, and the answers to these questions have ended. */
  change(table: Table, ...ended: readonly string[]): void {
    this.#table = { ...this.#table, ...table };
    for (const question of ended) assert.ok(this.#cache.delete(question), question);
  }

  recall<Type extends RecordType>(type: Type, name: string): Answer<Records[Type]> | undefined {
    return this.#cache.get(`${name} ${type}`) as Answer<Records[Type]> | undefined;
  }

  async query<Type extends RecordType>(type: Type, name: string): Promise<Answer<Records[Type]>> {
    this.asked.push(`${name} ${type}`);
    const answer = await inquiryOf(zoneOf(this.#table)).ask(type, name);
    this.#cache.set(`${name} ${type}`, answer);
    return answer;
  }
}
