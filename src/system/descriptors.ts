/**
 * How many files this process may have open at a time (RLIMIT_NOFILE), and what that means for connections.
 *
 * Node raises its soft limit to the hard one when it starts, so that the limit found is the one that counts.
 */
import { readFileSync } from 'node:fs';
import { EXIT, OperatorError } from '../text/operator-error.ts';

/** Kept for what a process has open besides connections: log, script and modules, message files, DNS, the runtime's own. */
const RESERVE = 64;
/** With fewer nothing can be relied on. */
const LEAST = 128;
/** Of the rest, connections have so much: a session may have a message file open, and a script files of its own. */
const SHARE_OF_CONNECTIONS = 0.75;

/** The limit, or Infinity where the system does not tell. */
export function openFilesLimit(limits = readLimits()): number {
  const [, soft] = /^Max open files +(\d+|unlimited)/m.exec(limits) ?? [];
  return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return '';
  }
}

/** How many connections one process can serve at a time, so that it never runs out of descriptors for anything else. */
export function connectionsWithin(limit: number): number {
  return Math.floor((limit - RESERVE) * SHARE_OF_CONNECTIONS);
}

/** @throws OperatorError when the program cannot work with so few. */
export function requireDescriptors(limit: number): void {
  if (limit >= LEAST) return;
  throw new OperatorError(
    `a process may open only ${limit} files here, and ${LEAST} is the least that this program can work with: ` +
      'raise it with `ulimit -n`, or LimitNOFILE= in the unit',
    EXIT.config,
  );
}

/**
 * What the operator should know where --max-connections is beyond what the processes can serve; undefined where it is not.
 * @param workers processes that serve
 */
export function connectionsShortage(
  maxConnections: number,
  limit: number,
  workers: number,
): string | undefined {
  const most = connectionsWithin(limit) * Math.max(workers, 1);
  if (maxConnections !== 0 && maxConnections <= most) return undefined;
  if (!Number.isFinite(most)) return undefined;
  return (
    `--max-connections ${maxConnections}: no more than ${most} at a time, as a process may open only ${limit} files: ` +
    'raise that with `ulimit -n`, or LimitNOFILE= in the unit'
  );
}
