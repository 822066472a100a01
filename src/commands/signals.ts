/** The signals that stop the program or have it look at its script again. */

import { setTimeout } from 'node:timers/promises';

/** npm and a terminal both pass on Ctrl-C: what comes this soon after the first signal is the same one. */
const SAME_SIGNAL_MS = 500;

export interface Signals {
  /** The first SIGTERM or SIGINT. */
  readonly stop: Promise<string>;
  /** Whether it has come, or comes in the time given. */
  stopsWithin(milliseconds: number): Promise<boolean>;
  /** Fires at the second. */
  readonly hurry: AbortSignal;
  /** What SIGHUP does from now on; one that came before is made up for. */
  onReload(reload: () => void): void;
}

export function watchSignals(): Signals {
  const hurry = new AbortController();
  let missed = false;
  let first: number | undefined;
  let reloadNow = (): void => {
    missed = true;
  };
  process.on('SIGHUP', () => reloadNow());
  const stop = new Promise<string>((resolve) => {
    const stopping = (signal: string): void => {
      first ??= performance.now();
      if (performance.now() - first > SAME_SIGNAL_MS) hurry.abort();
      resolve(signal);
    };
    process.on('SIGTERM', stopping);
    process.on('SIGINT', stopping);
  });
  return {
    stop,
    async stopsWithin(milliseconds) {
      const waiting = new AbortController();
      const tooLate = setTimeout(milliseconds, undefined, { signal: waiting.signal }).catch(() => {});
      await Promise.race([stop, tooLate]);
      waiting.abort();
      return first !== undefined;
    },
    hurry: hurry.signal,
    onReload(reload) {
      reloadNow = reload;
      if (missed) reload();
    },
  };
}

/** Fires at the first SIGINT or SIGTERM; the next one ends the process at once. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());
  return stop.signal;
}
