/** What `--shadow` costs: the policy of side-by-side.lua alone, and with itself as its candidate. */
import { join } from 'node:path';
import { askServer } from '../../src/control/control-client.ts';
import type { Status } from '../../src/control/status.ts';
import { resolveOptions } from '../../src/options/options.ts';
import { median, type Profile, runLoad } from './measure.ts';
import { ServerUnderTest } from './server.ts';

const SCRIPT = new URL('side-by-side.lua', import.meta.url).pathname;
/** Short ones, and a rest behind each: under load without end a shadow compares nothing. */
const BURST_SECONDS = 0.1;
const REST_MS = 300;
const BURSTS = 20;
const WARM_UP_BURSTS = 100;

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
    const visit = async (bursts: number) => {
      const both = [new Account(alone), new Account(beside)] as const;
      for (let i = 0; i < bursts; i++) for (const account of both) await account.burst(load, profile);
      return { alone: both[0].perSession, beside: both[1].perSession };
    };
    await visit(WARM_UP_BURSTS);
    const all: { readonly alone: number; readonly beside: number }[] = [];
    for (let i = 0; i < runs; i++) all.push(await visit(BURSTS));
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

/** CPU time of one server, with all that it left for the rests. */
class Account {
  readonly #server: ServerUnderTest;
  #sessions = 0;
  #cpuMs = 0;

  constructor(server: ServerUnderTest) {
    this.#server = server;
  }

  async burst(load: string, profile: Profile): Promise<void> {
    const before = this.#server.cpuMs();
    const { perSecond, seconds } = await runLoad(load, this.#server, profile, 10, BURST_SECONDS);
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
    this.#sessions += Math.round(perSecond * seconds);
    this.#cpuMs += this.#server.cpuMs() - before;
  }

  /** In µs. */
  get perSession(): number {
    return (this.#cpuMs * 1000) / this.#sessions;
  }
}

async function comparedShare(spool: string): Promise<number> {
  const options = resolveOptions(new Map([['spool', [spool]]]), {});
  for await (const { status } of askServer(options, { command: 'status' })) {
    const { compared, notCompared } = (status as Status).shadow ?? { compared: 0, notCompared: 0 };
    return compared / (compared + notCompared);
  }
  return 0;
}
