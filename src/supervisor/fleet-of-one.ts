/** What the control socket asks of the program where one process does everything. */
import { noCounts } from '../control/counts.ts';
import type { Fleet } from '../control/fleet.ts';
import { statusOf } from '../control/status.ts';
import type { ScriptState } from './script-state.ts';
import type { Service } from './service.ts';

interface Facts {
  readonly version: string;
  readonly listening: readonly string[];
  readonly script: ScriptState;
}

export function fleetOfOne(service: Service, { version, listening, script }: Facts): Fleet {
  const startedAt = Date.now();
  return {
    status: async () =>
      statusOf({
        version,
        startedAt,
        listening,
        processes: [{ number: 0, status: service.status() }],
        restarts: 0,
        script: script.status,
        past: noCounts(),
        logDrops: 0,
      }),
    trace: (filter, deliver) => ({
      attached: Promise.resolve(),
      detach: service.account.trace(filter, deliver),
    }),
  };
}
