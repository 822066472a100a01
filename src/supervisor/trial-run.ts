/** One trial of an edited policy as the supervisor sees it: a process that is started, listened to, and ended in time. */
import { EXIT, systemReason } from '../text/operator-error.ts';
import type { Loaded, TrialStart, Verdict } from '../trial/trial.ts';
import { confinementArguments } from './confinement.ts';
import type { Launch } from './launch.ts';
import { heapMegabytes } from './memory.ts';
import type { ToWorker } from './messages.ts';
import { workerEnvironment } from './orphans.ts';

/** How long the program may take to be loaded. */
const LOADING_MS = 60_000;
/** Heap of the process, where a worker has as much, in MiB. */
const MOST_HEAP = 1024;

export interface TrialEnd {
  /** Undefined where it did not come to that. */
  readonly found: Loaded | undefined;
  readonly verdict: Verdict;
}

export interface TrialSettings {
  readonly launch: Launch;
  /** Takes what the operator should know beside the log. */
  readonly complain: (message: string) => void;
  /** Ends it at once. */
  readonly stop: AbortSignal;
}

/** Never rejects: what keeps the trial from its end is a refusal. */
export function runTrial(start: TrialStart, { launch, complain, stop }: TrialSettings): Promise<TrialEnd> {
  const { options, spool } = start;
  const heap = Math.min(heapMegabytes(options) ?? MOST_HEAP, MOST_HEAP);
  return new Promise((resolve) => {
    let found: Loaded | undefined;
    let underWay: string | undefined;
    const whatWas = () => underWay ?? 'it had not begun';
    let hasEnded = false;
    const end = (verdict: Verdict): void => {
      clearTimeout(timer);
      stop.removeEventListener('abort', aborted);
      if (!hasEnded) child.kill();
      resolve({ found, verdict });
    };
    const refuse = (why: string) =>
      end({ refusal: why, passed: undefined, warnings: [], tests: new Map(), isMoved: false });
    const aborted = () => refuse('the server ends');
    const child = launch(
      {
        program: 'trial',
        // The last one counts.
        execArgv: [
          ...process.execArgv,
          `--max-old-space-size=${heap}`,
          ...confinementArguments(options, spool),
        ],
        env: { ...process.env, ...workerEnvironment(spool) },
      },
      {
        heard: (message) => {
          if (message.kind === 'trialLoaded') found = message.found;
          else if (message.kind === 'trying') {
            if (underWay === undefined) begun();
            underWay = `${message.what} was under way`;
          } else if (message.kind === 'complaint') complain(message.message);
          else if (message.kind === 'tried') end(message.verdict);
          else if (message.kind === 'failed')
            refuse(`its trial has failed: ${message.message} (${whatWas()})`);
        },
        failed: (error) => {
          hasEnded = true;
          refuse(`its trial cannot be run: ${systemReason(error)}`);
        },
        ended: (code, signal) => {
          hasEnded = true;
          const how = signal ?? `exit code ${code ?? EXIT.software}`;
          const hint = signal === 'SIGABRT' ? `, as where its ${heap} MiB of memory are used up` : '';
          refuse(`the process of its trial has ended (${how}${hint}): ${whatWas()}`);
        },
      },
    );
    let timer = setTimeout(
      () => refuse(`its trial has not begun within ${LOADING_MS / 1000} s: this machine is too busy`),
      LOADING_MS,
    );
    const begun = () => {
      clearTimeout(timer);
      const limit = `${options.onReloadTimeoutMs / 1000} s (--on-reload-timeout)`;
      timer = setTimeout(
        () => refuse(`its trial has not ended within ${limit}: ${whatWas()}`),
        options.onReloadTimeoutMs,
      );
    };
    stop.addEventListener('abort', aborted);
    if (stop.aborted) aborted();
    else child.send({ kind: 'try', start } satisfies ToWorker);
  });
}
