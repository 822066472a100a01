/** Time as a policy has it: the system's, or that of a test's world. */

export interface Clock {
  /** Milliseconds since the epoch, with a fraction. */
  now(): number;
  /** Resolves when the time is over; at once, or never, when `cancelled` fires. */
  wait(milliseconds: number, cancelled: AbortSignal): Promise<void>;
}

export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  wait: (milliseconds, cancelled) =>
    new Promise((resolve) => {
      const stop = (): void => clearTimeout(timer);
      const timer = setTimeout(() => {
        cancelled.removeEventListener('abort', stop); // One signal may be that of many waits.
        resolve();
      }, milliseconds);
      cancelled.addEventListener('abort', stop, { once: true });
    }),
};
