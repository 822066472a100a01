/** Waiting for something another process does: for an event with a limit, or for a state that nobody announces. */

/** A second or two, and much longer on a machine with other work. */
const LIMIT_MS = 90_000;
const POLL_MS = 10;

/** Passes `promise` on, and rejects with `what` when it takes longer than `limitMs`. */
export async function withinLimit<T>(promise: Promise<T>, what: string, limitMs = LIMIT_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${limitMs} ms: ${what}`)), limitMs);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again until `probe` gives a value; `what` tells the error what was waited for. */
export async function until<T>(
  probe: () => T | undefined | Promise<T | undefined>,
  what: () => string,
  limitMs = LIMIT_MS,
): Promise<T> {
  const end = Date.now() + limitMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (Date.now() > end) throw new Error(`not within ${limitMs} ms: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
