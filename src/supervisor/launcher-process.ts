/** The launcher as the supervisor sees it: it starts workers as another user, see launcher.ts. */
import type { ChildProcess } from 'node:child_process';
import type { Identity } from '../system/privileges.ts';
import { EXIT, OperatorError, systemReason } from '../text/operator-error.ts';
import { forkWith, type Launch, type LaunchEvents, programBeside } from './launch.ts';
import type { FromLauncher, ToLauncher } from './launcher-messages.ts';
import { workerEnvironment } from './orphans.ts';

/** How long a worker that is killed may be there: then the launcher does not do as it is told. */
const KILL_MS = 10_000;

interface Known {
  readonly events: LaunchEvents;
  pid: number | undefined;
  killing?: NodeJS.Timeout;
}

export class LauncherProcess {
  readonly launch: Launch;
  /** Settles when workers can neither be started nor heard any more, with the reason. */
  readonly lost: Promise<string>;
  readonly #child: ChildProcess;
  readonly #workers = new Map<number, Known>();
  #lose: (reason: string) => void = () => {};
  #count = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
    child.on('message', (message: FromLauncher) => this.#hear(message));
    child.on('exit', (code, signal) => {
      // Its workers see that too, and end.
      for (const { events } of this.#workers.values()) events.ended(code, signal);
      this.#workers.clear();
      this.#lose(`the launcher has ended: ${signal ?? `exit code ${code}`}`);
    });
    this.launch = (settings, events) => {
      this.#count += 1;
      const id = this.#count;
      const known: Known = { events, pid: undefined };
      this.#workers.set(id, known);
      this.#send({ kind: 'launch', id, settings });
      return {
        get pid() {
          return known.pid;
        },
        send: (message) => this.#send({ kind: 'pass', id, message }),
        kill: () => {
          this.#send({ kind: 'kill', id });
          known.killing ??= setTimeout(() => this.#lose('the launcher does not answer'), KILL_MS).unref();
        },
      };
    };
  }

  /**
   * Starts it; it takes root to do so.
   * @param descriptors of the sockets that workers inherit
   * @param spool the workers' own directory
   * @throws OperatorError when it cannot become who it should, or cannot work as that user.
   */
  static async start(
    identity: Identity,
    descriptors: readonly number[],
    spool: string,
  ): Promise<LauncherProcess> {
    const child = forkWith(programBeside('launcher'), descriptors, {
      execArgv: process.execArgv,
      env: { ...process.env, ...workerEnvironment(spool) },
    });
    const launcher = new LauncherProcess(child);
    launcher.#send({ kind: 'become', identity, spool, sockets: descriptors.length });
    const answer = await new Promise<FromLauncher>((resolve, reject) => {
      const gone = (how: string) => reject(new OperatorError(`${identity.written}: ${how}`, EXIT.software));
      child.once('message', resolve);
      child.once('error', (error) => gone(`the launcher cannot be run: ${systemReason(error)}`));
      launcher.lost.then(gone);
    });
    if (answer.kind === 'failed') throw new OperatorError(answer.message, answer.exitCode);
    return launcher;
  }

  #send(message: ToLauncher): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  #hear(message: FromLauncher): void {
    if (message.kind === 'ready' || message.kind === 'failed') return;
    const known = this.#workers.get(message.id);
    if (known === undefined) return;
    switch (message.kind) {
      case 'launched':
        known.pid = message.pid;
        break;
      case 'heard':
        known.events.heard(message.message);
        break;
      case 'unlaunched':
        this.#workers.delete(message.id);
        known.events.failed(message.error);
        break;
      case 'ended':
        clearTimeout(known.killing);
        this.#workers.delete(message.id);
        known.events.ended(message.code, message.signal);
        break;
      default:
        message satisfies never;
    }
  }
}
