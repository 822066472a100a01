/**
 * Work whose times are short. On a busy machine this process may be held at any point for longer than they are, and its
 * timers come before what it could have read meanwhile: what fails then has not been shown, and is tried again. What
 * fails while the process was not held has failed.
 */

const LOOK_MS = 10;
const TRIES = 20;

/** @param mostMs for which the process may be held in the middle of the work, and it succeeds all the same */
export async function unheld<T>(mostMs: number, work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    let longest = 0;
    let last = performance.now();
    const look = (): void => {
      const now = performance.now();
      longest = Math.max(longest, now - last - LOOK_MS);
      last = now;
    };
    const looking = setInterval(look, LOOK_MS).unref();
    try {
      return await work();
    } catch (error) {
      look();
      if (longest <= mostMs || tries === TRIES) throw error;
    } finally {
      clearInterval(looking);
    }
  }
}
