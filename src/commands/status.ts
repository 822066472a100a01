/** `smtpf-milter status`: how a running server is doing. */
import { askServer } from '../control/control-client.ts';
import { isFiltering, type Status, statusText } from '../control/status.ts';
import type { Options } from '../options/option-table.ts';
import { indentedJson } from '../text/json-text.ts';
import { EXIT } from '../text/operator-error.ts';
import { visibleText } from '../text/visible.ts';

const UNFILTERED = 1;
/** The last good version serves, and the file as it is now does not. */
const OUTDATED = 2;

/**
 * @returns 1 where mail is not filtered: no version of the script can run, or the one that serves defines no callback; 2 where mail is filtered
 * by the last good version, as the edited file does not serve.
 * @throws OperatorError when no server answers.
 */
export async function status(options: Options, { json }: { readonly json: boolean }): Promise<number> {
  let code: number = EXIT.ok;
  for await (const { status: found } of askServer(options, { command: 'status' })) {
    // The server is this program: its answer has this form.
    const current = found as Status;
    if (!isFiltering(current.script)) code = UNFILTERED;
    else if (current.script.problem !== undefined) code = OUTDATED;
    process.stdout.write(
      json ? indentedJson(current) : `${statusText(current).split('\n').map(visibleText).join('\n')}`,
    );
  }
  return code;
}
