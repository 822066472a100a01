/** What the control socket asks of the program where one process does everything. */
import { noCounts } from '../control/counts.ts';
import type { Fleet } from '../control/fleet.ts';
import { openSessionsOf } from '../control/open-sessions.ts';
import { RateWindow } from '../control/rates.ts';
import { type Deadlines, type StatusParts, statusOf } from '../control/status.ts';
import type { EventWriter } from '../events/event-writer.ts';
import type { Family } from '../metrics/family.ts';
import type { ScriptReport } from '../policy/policy-source.ts';
import type { ShadowState } from '../shadow/shadow-state.ts';
import type { ReleaseGate } from './release-gate.ts';
import { reloadNow } from './reload-now.ts';
import type { ScriptState } from './script-state.ts';
import type { Service } from './service.ts';

/** So often it is looked whether the shadow has found something. */
const TELL_MS = 1000;

interface Facts {
  readonly version: string;
  readonly listening: readonly string[];
  readonly deadlines: Deadlines;
  readonly script: ScriptState;
  readonly shadow: ShadowState | undefined;
  /** The share of `--canary`. */
  readonly canary: number | undefined;
  readonly events: EventWriter | undefined;
  /** The policy's own figures. */
  readonly families: () => readonly Family[];
  /** Where edits wait for their trial. */
  readonly gate: ReleaseGate | undefined;
  readonly examine: () => Promise<ScriptReport>;
}

const ALONE = { processes: 1, silent: 0 };

export function fleetOfOne(
  service: Service,
  { version, listening, deadlines, script, shadow, canary, events, families, gate, examine }: Facts,
): Fleet {
  const startedAt = Date.now();
  const rates = new RateWindow(() => service.stats.counts);
  const parts = (): StatusParts => ({
    version,
    startedAt,
    listening,
    deadlines,
    processes: [{ number: 0, status: service.status() }],
    restarts: 0,
    script: script.status,
    past: noCounts(),
    rates,
    logDrops: 0,
    eventDrops: events?.dropped ?? 0,
    shadow: shadowNow()?.status,
    canary,
  });
  /** With what has been compared up to now. */
  const shadowNow = (): ShadowState | undefined => {
    const told = service.shadowTold();
    if (told !== undefined) shadow?.told(told);
    return shadow;
  };
  if (shadow !== undefined) setInterval(shadowNow, TELL_MS).unref();
  return {
    status: async () => statusOf(parts()),
    shadow: (isReset) => shadowNow()?.report(isReset),
    sessions: async () => openSessionsOf([[0, service.stats.openNow()]]),
    snapshot: () => ({
      ...parts(),
      workers: 1,
      ready: 1,
      isStopping: service.isStopping,
      policy: families(),
    }),
    reload: () =>
      reloadNow({
        ...{ script, gate, examine },
        log: service.log,
        take: async () => {
          await service.take(undefined);
          return ALONE;
        },
        takers: () => ALONE,
      }),
    trace: (filter, deliver) => ({
      attached: Promise.resolve(),
      detach: service.stats.trace(filter, deliver),
    }),
  };
}
