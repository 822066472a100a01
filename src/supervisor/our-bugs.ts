/** The end of a process, supervisor or worker, by a bug of this program. */
import type { Logger } from '../syslog/log.ts';
import { EXIT } from '../text/operator-error.ts';

/**
 * What escapes every handler is our bug, after which nothing can be relied on: the process ends with exit code 70.
 * @param complain tells the operator, beside the log
 * @param last what is done before, such as writing what the log has waiting
 */
export function endOnOurBugs(
  log: Logger,
  complain: (message: string) => void,
  last: () => Promise<void>,
): void {
  process.on('uncaughtException', (error) => {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log.error(`internal error, ending: ${stack}`);
    complain(`internal error: ${stack}`);
    last().finally(() => process.exit(EXIT.software));
  });
}
