/** The module `limit`: places that are held while a session lives. */
import { randomBytes } from 'node:crypto';
import type { LuaState } from 'fengari';
import type { Patience } from '../../asking/answer.ts';
import { lua } from '../../lua/engine/engine.ts';
import { type Closable, type Host, hostOf } from '../../lua/engine/host.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import { acquire, HOLDER_BYTES, MAX_PLACES, release, renew } from '../../store/places.ts';
import type { Store } from '../../store/store.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import { checkObject, pushObject } from '../objects.ts';
import { checkStoreKey, optLifetime, optStoreTimeout, optWhole, storing } from '../store-arguments.ts';
import type { limitApi } from './api.ts';

const CLASS = 'limit.slot';
const TTL_MS = 60_000;
const LEAST_TTL_MS = 3000;
/** To put off the end of a place, and to give it back, which nobody waits for. */
const BACKGROUND: Patience = { timeoutMs: 5000, cancelled: new AbortController().signal };

class Slot implements Closable {
  readonly #store: Store;
  readonly #key: Buffer;
  readonly #ttlMs: number;
  readonly #holder: Buffer;
  readonly #renewal: NodeJS.Timeout;
  #isHeld = true;

  constructor(store: Store, key: Buffer, ttlMs: number, holder: Buffer) {
    this.#store = store;
    this.#key = key;
    this.#ttlMs = ttlMs;
    this.#holder = holder;
    this.#renewal = setInterval(() => void store.run(renew(key, ttlMs, holder), BACKGROUND), ttlMs / 3);
    this.#renewal.unref();
  }

  /** False where it was given back before. */
  release(): boolean {
    if (!this.#isHeld) return false;
    this.#isHeld = false;
    clearInterval(this.#renewal);
    void this.#store.run(release(this.#key, this.#ttlMs, this.#holder), BACKGROUND);
    return true;
  }

  close(): void {
    this.release();
  }
}

export function openLimit({ store }: ServicesOf<typeof limitApi>): FunctionsOf<typeof limitApi> {
  return {
    acquire: storing(store, (L, first) => {
      const key = checkStoreKey(L, first);
      const places = optWhole(L, first + 1, 0);
      if (places < 1 || places > MAX_PLACES)
        return argumentError(L, first + 1, `1 to ${MAX_PLACES} places expected`);
      const ttlMs = optLifetime(L, first + 2) ?? TTL_MS;
      if (ttlMs < LEAST_TTL_MS) return argumentError(L, first + 2, 'at least 3 seconds expected');
      const holder = randomBytes(HOLDER_BYTES);
      const host = hostOf(L);
      return {
        operation: acquire(key, places, ttlMs, holder),
        timeoutMs: optStoreTimeout(L, first + 3),
        push: (to, isFree) => pushSlot(to, host, isFree ? new Slot(store, key, ttlMs, holder) : undefined),
      };
    }),
    'slot:release': (L) => {
      const slot = checkObject(L, 1, CLASS, Slot);
      hostOf(L).dependents.delete(slot);
      lua.lua_pushboolean(L, slot.release());
      return 1;
    },
  };
}

function pushSlot(L: LuaState, host: Host, slot: Slot | undefined): number {
  if (slot === undefined) lua.lua_pushboolean(L, false);
  else {
    host.dependents.add(slot);
    pushObject(L, CLASS, slot);
  }
  return 1;
}
