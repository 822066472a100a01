/** `smtpf-milter reload`: a running server takes the edited policy now, and says what came of it. */
import { askServer } from '../control/control-client.ts';
import { type ReloadResult, reloadLines } from '../control/reload.ts';
import type { Options } from '../options/option-table.ts';
import { indentedJson } from '../text/json-text.ts';
import { EXIT, OperatorError } from '../text/operator-error.ts';
import { visibleText } from '../text/visible.ts';
import { print } from './print.ts';

const REFUSED = 1;

/**
 * @returns 0 where the policy in the file is the one that serves, 1 where it is refused
 * @throws OperatorError with exit code 75 when no server answers
 */
export async function reload(options: Options, { json }: { readonly json: boolean }): Promise<number> {
  const result = await ask(options);
  await print(json ? indentedJson(result) : `${reloadLines(result).map(visibleText).join('\n')}\n`);
  return result.outcome === 'refused' ? REFUSED : EXIT.ok;
}

async function ask(options: Options): Promise<ReloadResult> {
  try {
    // The server is this program: its answer has this form.
    for await (const { reload: result } of askServer(options, { command: 'reload' }))
      return result as ReloadResult;
  } catch (error) {
    if (!(error instanceof OperatorError) || error.exitCode !== EXIT.unavailable) throw error;
    throw new OperatorError(`reload: ${error.message}`, EXIT.tempfail);
  }
  throw new OperatorError('reload: the server has ended before it answered', EXIT.tempfail);
}
