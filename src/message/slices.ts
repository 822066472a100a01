/** Work on text of strangers that may be long: a generator that yields where it can be left for a while. */
export type Slices<T> = Generator<'pause', T, void>;

/** Does the work without leaving it. */
export function finish<T>(work: Slices<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}
