/**
 * The program of the launcher: the process that starts the workers where they are another user than the supervisor.
 *
 * Root starts it with the sockets, before the supervisor gives up root's rights; it becomes the workers' user for good, and
 * forks each of them. So nobody who is left has more rights than it needs, and workers can be replaced. What supervisor
 * and workers say to each other it passes on. Where the supervisor has gone it ends, and then the workers do.
 */
import { accessSync, constants } from 'node:fs';
import { requireSpoolAccess } from '../spool/spool-directory.ts';
import { dropPrivileges, userName } from '../system/privileges.ts';
import { EXIT, exitCodeOf, OperatorError, systemReason } from '../text/operator-error.ts';
import { FIRST_SOCKET_FD, type Launch, type LaunchedProcess, launchHere, WORKER_PROGRAM } from './launch.ts';
import type { FromLauncher, ToLauncher } from './launcher-messages.ts';
import { hideWorkerEnvironment } from './orphans.ts';
import { postUp } from './upward.ts';

process.title = 'smtpf-milter: launcher';
// Signals are the supervisor's: a terminal and systemd send theirs to all processes at once.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {});
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});
process.on('disconnect', () => process.exit(EXIT.ok));

const workers = new Map<number, LaunchedProcess>();
let launch: Launch | undefined;

function post(message: FromLauncher): void {
  postUp(message, message.kind === 'heard' ? message.message.kind : undefined);
}

/** @throws OperatorError */
function become({ identity, spool, sockets }: ToLauncher & { kind: 'become' }): void {
  dropPrivileges(identity);
  hideWorkerEnvironment();
  requireSpoolAccess(spool);
  try {
    accessSync(WORKER_PROGRAM, constants.R_OK);
  } catch (error) {
    throw new OperatorError(
      `${identity.written}: user ${userName()} may not read the program, ${WORKER_PROGRAM}: ${systemReason(error)}`,
      EXIT.config,
    );
  }
  launch = launchHere(Array.from({ length: sockets }, (_, index) => FIRST_SOCKET_FD + index));
}

process.on('message', (message: ToLauncher) => {
  switch (message.kind) {
    case 'become':
      try {
        become(message);
        post({ kind: 'ready' });
      } catch (error) {
        post({ kind: 'failed', message: systemReason(error), exitCode: exitCodeOf(error) });
      }
      break;
    case 'launch': {
      const { id, settings } = message;
      const worker = launch?.(settings, {
        heard: (heard) => post({ kind: 'heard', id, message: heard }),
        failed: (error) => post({ kind: 'unlaunched', id, error }),
        ended: (code, signal) => {
          workers.delete(id);
          post({ kind: 'ended', id, code, signal });
        },
      });
      if (worker === undefined) break;
      workers.set(id, worker);
      post({ kind: 'launched', id, pid: worker.pid });
      break;
    }
    case 'pass':
      workers.get(message.id)?.send(message.message);
      break;
    case 'kill':
      workers.get(message.id)?.kill();
      break;
    default:
      message satisfies never;
  }
});
