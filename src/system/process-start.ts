/** What Linux tells of a process: with its id, the start tells one process from another that has the id later. */
import { readFileSync } from 'node:fs';

export interface ProcessStart {
  /** Clock ticks between boot and the start of the process. */
  readonly ticks: number;
  /** It has ended, and nobody has taken note of that. */
  readonly isZombie: boolean;
}

/** Undefined when the process is gone, or the system does not tell. */
export function processStart(pid: number): ProcessStart | undefined {
  try {
    // Of others, Node's permission model lets it be read only where that is allowed.
    const stat = readFileSync(`/proc/${pid === process.pid ? 'self' : pid}/stat`, 'latin1');
    // The second field is the program's name in parentheses, which may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { ticks: Number(fields[19]), isZombie: fields[0] === 'Z' };
  } catch {
    return undefined;
  }
}
