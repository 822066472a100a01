/** Our server and filters on Sendmail's own libmilter, side by side, with the same policy. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EVERYTHING } from '../helpers/interests.ts';
import { TestServer } from '../net/connection-server.ts';
import { marksPolicy } from './marks-policy.ts';
import type { Offer } from './mta-side.ts';

export const FULL: Offer = [6, 0x1ff, 0x1fffff];
/** Without the NR bits: every event is answered. RCPT_REJ keeps an offer of nothing from meaning something else. */
export const ANSWERED: Offer = [6, 0x1ff, 0x100800];
export const SKIPPING: Offer = [6, 0x1ff, 0x100c00];
export const VERSION_4: Offer = [4, 0x1ff, 0x37f];

const directory = mkdtempSync(join(tmpdir(), 'second-opinion-'));
const program = join(directory, 'filter');
const source = fileURLToPath(new URL('filter.c', import.meta.url));
const built = spawnSync('cc', ['-O1', '-o', program, source, '-lmilter', '-lpthread'], { encoding: 'utf8' });

/** Why the filter cannot be had here; false where it can. */
export const missing =
  built.status === 0
    ? false
    : 'not run: needs a C compiler and libmilter (Debian: apt install gcc libmilter-dev)';
if (missing && process.env.CI === 'true') throw new Error(`${missing}\n${built.error ?? built.stderr}`);

export class Servers {
  readonly ours: TestServer;
  readonly #filters: readonly Filter[];

  private constructor(ours: TestServer, filters: readonly Filter[]) {
    this.ours = ours;
    this.#filters = filters;
  }

  static async start(): Promise<Servers> {
    const filters = [await startFilter('streamed'), await startFilter('answered')];
    const interests = { ...EVERYTHING, actions: 0xff };
    return new Servers(await TestServer.start({ decide: marksPolicy, interests }), filters);
  }

  /** The path of the filter for an MTA that offers this. */
  theirs(offer: Offer): string {
    const mode = offer === FULL ? 'streamed' : 'answered';
    return this.#filters.find((filter) => filter.mode === mode)?.path ?? '';
  }

  async stop(): Promise<void> {
    // libmilter itself looks every 5 s whether it is to end.
    for (const { child } of this.#filters) child.kill('SIGKILL');
    await this.ours.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Filter {
  readonly mode: 'streamed' | 'answered';
  readonly path: string;
  readonly child: ChildProcess;
}

async function startFilter(mode: Filter['mode']): Promise<Filter> {
  const path = join(directory, `${mode}.sock`);
  const child = spawn(program, [`unix:${path}`, mode], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data'); // "ready"
  return { mode, path, child };
}
