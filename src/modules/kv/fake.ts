/** The store of a test: in memory, with the clock of its world. */
import type { LuaState } from 'fengari';
import { type Answer, type Failure, isFailure, type Patience, unknown } from '../../asking/answer.ts';
import { lauxlib, lua } from '../../lua/engine/engine.ts';
import { readLatin1 } from '../../lua/engine/values.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import type { Clock } from '../../services/clock.ts';
import { set } from '../../store/kv.ts';
import { LocalEngine } from '../../store/local-engine.ts';
import { MemoryTable } from '../../store/memory-table.ts';
import type { Operation } from '../../store/operation.ts';
import type { Store } from '../../store/store.ts';
import { fake, type StandIn } from '../fake.ts';
import { checkStoreKey } from '../store-arguments.ts';
import { checkValue } from './value.ts';

const MAX_BYTES = 64 * 1024 * 1024;

/** Also the store of `try`. */
export class MemoryStore implements Store, StandIn {
  readonly #table: MemoryTable;
  readonly #engine: LocalEngine;
  failure: Failure | undefined;

  constructor(clock: Clock, table = new MemoryTable(MAX_BYTES)) {
    this.#table = table;
    this.#engine = new LocalEngine(table, () => clock.now());
  }

  copy(clock: Clock): MemoryStore {
    const copy = new MemoryStore(clock, this.#table.copy());
    copy.failure = this.failure;
    return copy;
  }

  async run<Result>(operation: Operation<Result>, _patience?: Patience): Promise<Answer<Result>> {
    if (this.failure !== undefined) return unknown(this.failure, 'as the test says');
    return this.#engine.run(operation);
  }
}

export const kvFake = fake({
  service: 'store',
  make: (clock) => new MemoryStore(clock),
  api: [
    {
      kind: 'function',
      name: 'test.kv',
      params: [
        {
          name: 'content',
          type: 'table|string',
          sample: '{}',
          doc: 'values by key, as `kv.set` takes them; or the word of a failure, such as `"unavailable"`, which each call gives then; or `"ok"`',
        },
      ],
      results: [],
      doc: 'What is in the store of the world, or that it does not answer. It begins empty, and is that of `kv`, `rate`, `grey` and `limit`; `test.advance` makes what is in it older.',
      example: 'test.kv { ["mails:192.0.2.1"] = 199 }\ntest.kv "unavailable"',
    },
  ],
  functions: { kv },
});

function kv(L: LuaState, store: MemoryStore): number {
  if (lua.lua_type(L, 1) === lua.LUA_TSTRING) {
    const word = readLatin1(L, 1, 100) ?? '';
    if (word !== 'ok' && !isFailure(word))
      return argumentError(L, 1, 'ok, unavailable, timeout or another word of a failure expected');
    store.failure = word === 'ok' ? undefined : (word as Failure);
    return 0;
  }
  lauxlib.luaL_checktype(L, 1, lua.LUA_TTABLE);
  store.failure = undefined;
  lua.lua_settop(L, 1);
  lua.lua_pushnil(L);
  while (lua.lua_next(L, 1) !== 0) {
    if (lua.lua_type(L, 2) !== lua.LUA_TSTRING) return argumentError(L, 1, 'strings as keys expected');
    void store.run(set({ space: '', key: checkStoreKey(L, 2) }, checkValue(L, 3), undefined));
    lua.lua_pop(L, 1);
  }
  return 0;
}
