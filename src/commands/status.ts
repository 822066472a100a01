/** `smtpf-milter status`: how a running server is doing. */
import { askServer } from '../control/control-client.ts';
import { type Status, statusText } from '../control/status.ts';
import { EXIT } from '../operator-error.ts';
import type { Options } from '../option-table.ts';
import { visible } from './visible.ts';

/** @throws OperatorError when no server answers. */
export async function status(options: Options, { json }: { readonly json: boolean }): Promise<number> {
  for await (const { status: found } of askServer(options, { command: 'status' })) {
    // The server is this program: its answer has this form.
    const current = found as Status;
    process.stdout.write(
      json
        ? `${JSON.stringify(current, null, 2)}\n`
        : `${statusText(current).split('\n').map(visible).join('\n')}`,
    );
  }
  return EXIT.ok;
}
