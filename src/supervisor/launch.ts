/** How a worker process comes to be: forked by this process, or by the launcher as another user (see launcher.ts). */
import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FromWorker, ToWorker } from './messages.ts';

/** Beside this file, compiled or not as this file is. */
export const WORKER_PROGRAM = programBeside('worker-main');
const TRIAL_PROGRAM = programBeside('trial-main');

/** stdin, stdout, stderr and the channel come before the sockets. */
export const FIRST_SOCKET_FD = 4;

/** What a worker process, or another of the same user, is started with. */
export interface LaunchSettings {
  /** Which program; only a worker has the sockets. */
  readonly program: 'worker' | 'trial';
  readonly execArgv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

export interface LaunchEvents {
  heard(message: FromWorker): void;
  /** There is no such process: it could not be started. */
  failed(error: unknown): void;
  ended(code: number | null, signal: string | null): void;
}

export interface LaunchedProcess {
  /** undefined while it is not known, and where it could not be started. */
  readonly pid: number | undefined;
  send(message: ToWorker): void;
  kill(): void;
}

export type Launch = (settings: LaunchSettings, events: LaunchEvents) => LaunchedProcess;

/** The path of a program of this folder. */
export function programBeside(name: string): string {
  return fileURLToPath(new URL(`${name}${extname(import.meta.url)}`, import.meta.url));
}

/**
 * Starts a program of ours that has a channel to this process, and inherits sockets.
 * @param descriptors of these @param isGroup whether it leads a process group of its own
 */
export function forkWith(
  program: string,
  descriptors: readonly number[],
  { execArgv, env }: Pick<LaunchSettings, 'execArgv' | 'env'>,
  isGroup = false,
): ChildProcess {
  return fork(program, [], {
    execArgv: [...execArgv],
    detached: isGroup,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...descriptors],
    serialization: 'advanced',
    env,
  });
}

/** Starts workers as children of this process, as the user that it is. @param descriptors of the sockets they inherit */
export function launchHere(descriptors: readonly number[]): Launch {
  return (settings, events) => {
    const isWorker = settings.program === 'worker';
    const child = isWorker
      ? forkWith(WORKER_PROGRAM, descriptors, settings)
      : forkWith(TRIAL_PROGRAM, [], settings, true);
    child.on('message', (message: FromWorker) => events.heard(message));
    child.on('error', (error) => {
      if (child.pid === undefined) events.failed(error);
    });
    child.on('exit', (code, signal) => events.ended(code, signal));
    return {
      get pid() {
        return child.pid;
      },
      // It may end at any moment: what could not be sent is of no consequence then.
      send: (message) => {
        if (child.connected) child.send(message, () => {});
      },
      kill: () => {
        if (isWorker || child.pid === undefined) child.kill('SIGKILL');
        else killGroup(child.pid);
      },
    };
  };
}

/** Ends a process with all that it has started. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
