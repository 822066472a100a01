/** The events of a test: kept, for the test to look at. */
import type { LuaState } from 'fengari';
import type { Events, PolicyEventRecord } from '../../events/event.ts';
import { lua } from '../../lua/engine/engine.ts';
import { type Plain, pushPlain } from '../../lua/engine/plain.ts';
import { fake, type StandIn } from '../fake.ts';
import { checkEvent } from './library.ts';

class EventWorld implements Events, StandIn {
  readonly #told: PolicyEventRecord[];

  constructor(told: readonly PolicyEventRecord[] = []) {
    this.#told = [...told];
  }

  copy(): EventWorld {
    return new EventWorld(this.#told);
  }

  tell(event: PolicyEventRecord): void {
    this.#told.push(event);
  }

  /** @param name undefined: all */
  named(name: string | undefined): PolicyEventRecord[] {
    return this.#told.filter(({ event }) => name === undefined || event === name);
  }
}

export const logFake = fake({
  service: 'events',
  make: () => new EventWorld(),
  api: [
    {
      kind: 'function',
      name: 'test.events',
      params: [
        {
          name: 'name',
          type: 'string',
          optional: true,
          sample: '"quota"',
          doc: 'those of this name; all without it',
        },
      ],
      results: [
        {
          type: 'table[]',
          doc: 'in order: the fields of each, with `event`, `time` (as `os.time` gives it), `session` and `transaction`',
        },
      ],
      doc: 'What the policy has told by `log.event`, over all sessions of the case.',
      example: 'test.equal(test.events("quota")[1].left, 3)',
    },
  ],
  functions: { events },
});

function events(L: LuaState, world: EventWorld): number {
  const name = lua.lua_isnoneornil(L, 1) ? undefined : checkEvent(L, 1);
  pushPlain(L, world.named(name).map(plainOf));
  return 1;
}

function plainOf({ time, event, session, transaction, fields }: PolicyEventRecord): Plain {
  return { ...Object.fromEntries(fields), event, time: Math.floor(time / 1000), session, transaction };
}
