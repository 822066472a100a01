/** The metrics of a test: kept, for the test to look at. */
import type { LuaState } from 'fengari';
import { lua } from '../../lua/engine/engine.ts';
import { pushNumber } from '../../lua/engine/values.ts';
import { keyOf, type Labels, type MetricKind, type Metrics } from '../../metrics/metric.ts';
import { fake, type StandIn } from '../fake.ts';
import { checkLabels, checkName } from './library.ts';

interface Kept {
  readonly kind: MetricKind;
  readonly value: number;
  readonly times: number;
}

export class MetricWorld implements Metrics, StandIn {
  readonly #kept: Map<string, Kept>;

  constructor(kept: ReadonlyMap<string, Kept> = new Map()) {
    this.#kept = new Map(kept);
  }

  copy(): MetricWorld {
    return new MetricWorld(this.#kept);
  }

  note(kind: MetricKind, name: string, labels: Labels, value: number): void {
    const key = `${name} ${keyOf(labels)}`;
    const { value: before = 0, times = 0 } = this.#kept.get(key) ?? {};
    this.#kept.set(key, { kind, value: kind === 'set' ? value : before + value, times: times + 1 });
  }

  get(name: string, labels: Labels): Kept | undefined {
    return this.#kept.get(`${name} ${keyOf(labels)}`);
  }
}

export const metricFake = fake({
  service: 'metrics',
  make: () => new MetricWorld(),
  api: [
    {
      kind: 'function',
      name: 'test.metric',
      params: [
        { name: 'name', type: 'string', sample: '"logins"', doc: 'as the policy gives it to `metric`' },
        {
          name: 'labels',
          type: 'table',
          optional: true,
          doc: 'exactly the labels, in whichever order; none without it',
        },
      ],
      results: [
        {
          type: 'number',
          doc: 'what was counted, the last value set, or the sum of seconds; 0 where nothing was',
        },
        { type: 'integer', name: 'calls', doc: 'how many calls there were' },
      ],
      doc: 'A metric of the policy, over all sessions of the case.',
      example: 'test.equal(test.metric("greylisted", { new = true }), 1)',
    },
  ],
  functions: { metric },
});

function metric(L: LuaState, world: MetricWorld): number {
  const { value = 0, times = 0 } = world.get(checkName(L, 1), checkLabels(L, 2)) ?? {};
  lua.lua_checkstack(L, 2);
  pushNumber(L, value);
  pushNumber(L, times);
  return 2;
}
