/**
 * Worker processes whose supervisor was killed. Each ends by itself when it notices, but for one that is stopped (SIGSTOP,
 * a debugger): that one keeps the sockets, and nobody could listen there again.
 *
 * A worker's environment tells whose it is, as long as it lives; only processes of the same user, or root, can read it.
 */
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { processStart } from '../system/process-start.ts';

const SPOOL = 'SMTPF_WORKER_SPOOL';
const SUPERVISOR = 'SMTPF_WORKER_SUPERVISOR';

/** What a worker of this process is started with. */
export function workerEnvironment(spool: string): Readonly<Record<string, string>> {
  return { [SPOOL]: realpathSync(spool), [SUPERVISOR]: `${process.pid}-${startOf(process.pid)}` };
}

/** A policy need not see them. */
export function hideWorkerEnvironment(): void {
  delete process.env[SPOOL];
  delete process.env[SUPERVISOR];
}

/**
 * Kills the workers that serve with this spool directory and whose supervisor is gone.
 * @returns their process ids
 */
export function killOrphans(spool: string): number[] {
  const place = realpathSync(spool);
  const killed: number[] = [];
  for (const pid of processes()) {
    const environment = environmentOf(pid);
    if (environment.get(SPOOL) !== place) continue;
    const [supervisor = '', began = ''] = environment.get(SUPERVISOR)?.split('-') ?? [];
    if (startOf(Number(supervisor)) === began) continue;
    try {
      process.kill(pid, 'SIGKILL');
      killed.push(pid);
    } catch {
      // It has ended meanwhile, or is another user's.
    }
  }
  return killed;
}

function processes(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return []; // No Linux.
  }
}

function environmentOf(pid: number): Map<string, string> {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    return new Map(entries.map((entry) => [entry.replace(/=.*$/s, ''), entry.replace(/^[^=]*=/, '')]));
  } catch {
    return new Map();
  }
}

/** When a process began, as text; '' when it is gone. */
function startOf(pid: number): string {
  const start = processStart(pid);
  return start === undefined || start.isZombie ? '' : String(start.ticks);
}
