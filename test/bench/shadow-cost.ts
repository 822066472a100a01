/** What `--shadow` costs: the policy of side-by-side.lua alone, and with itself as its candidate. */
import { join } from 'node:path';
import { askServer } from '../../src/control/control-client.ts';
import type { Status } from '../../src/control/status.ts';
import { resolveOptions } from '../../src/options/options.ts';
import { median, type Profile, runLoad } from './measure.ts';
import { ServerUnderTest } from './server.ts';

const SCRIPT = new URL('side-by-side.lua', import.meta.url).pathname;
/** Short ones, and a rest behind each: under load without end a shadow compares nothing. */
const BURST_SECONDS = 0.05;
const BURSTS = 20;
const WARM_UP_BURSTS = 60;

export interface ShadowCost {
  /** CPU time of a session, µs. */
  readonly alone: number;
  readonly beside: number;
  readonly ratio: number;
  /** Share of the sessions that were compared. */
  readonly compared: number;
}

/** @param runs of which the median counts */
export async function shadowCost(
  load: string,
  folder: string,
  profile: Profile,
  runs: number,
): Promise<ShadowCost> {
  const alone = await ServerUnderTest.ours(SCRIPT, folder);
  const beside = await ServerUnderTest.ours(SCRIPT, folder, `lmdb:${folder}/store`, ['--shadow', SCRIPT]);
  try {
    for (const server of [alone, beside]) await bursts(load, server, profile, WARM_UP_BURSTS);
    const all: { readonly alone: number; readonly beside: number }[] = [];
    for (let i = 0; i < runs; i++) {
      all.push({
        alone: await bursts(load, alone, profile, BURSTS),
        beside: await bursts(load, beside, profile, BURSTS),
      });
    }
    return {
      alone: median(all.map((run) => run.alone)),
      beside: median(all.map((run) => run.beside)),
      ratio: median(all.map((run) => run.beside / run.alone)),
      compared: await comparedShare(join(folder, `spool-${beside.port}`)),
    };
  } finally {
    await alone.stop();
    await beside.stop();
  }
}

/** CPU time of a session, µs, with all that was left for later. */
async function bursts(
  load: string,
  server: ServerUnderTest,
  profile: Profile,
  count: number,
): Promise<number> {
  let sessions = 0;
  const before = server.cpuMs();
  for (let i = 0; i < count; i++) {
    const run = await runLoad(load, server, profile, 10, BURST_SECONDS);
    sessions += Math.round(run.perSecond * run.seconds);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  return ((server.cpuMs() - before) * 1000) / sessions;
}

async function comparedShare(spool: string): Promise<number> {
  const options = resolveOptions(new Map([['spool', [spool]]]), {});
  for await (const { status } of askServer(options, { command: 'status' })) {
    const { compared, notCompared } = (status as Status).shadow ?? { compared: 0, notCompared: 0 };
    return compared / (compared + notCompared);
  }
  return 0;
}
