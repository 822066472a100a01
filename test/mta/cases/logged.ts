/** What our server logs comes to the test a little later than the replies that it gives. */
import { until } from '../deadline.ts';
import type { Seen } from '../mail-case.ts';

/** The lines of the log that `pattern` matches, once there is one. */
export function logged(seen: Pick<Seen, 'log'>, pattern: RegExp): Promise<string[]> {
  return until(
    () => {
      const lines = seen
        .log()
        .split('\n')
        .filter((line) => pattern.test(line));
      return lines.length > 0 ? lines : undefined;
    },
    () => `${pattern} in the log\n${seen.log()}`,
  );
}
