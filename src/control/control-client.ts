/** The other end of the control socket, for the commands that ask a running server. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { jsonOf } from '../json-text.ts';
import { EXIT, OperatorError, systemReason } from '../operator-error.ts';
import type { Options } from '../option-table.ts';
import { lookUpUser } from '../privileges.ts';
import { defaultSpoolDirectory } from '../spool-directory.ts';

/** Where the control socket of a server with these options is; undefined when it has none. */
export function controlPathOf({ control, spool, user, group }: Options): string | undefined {
  if (control !== undefined) return control === '' ? undefined : control;
  const uid =
    user === undefined
      ? (process.getuid?.() ?? 0)
      : lookUpUser(user, group === undefined ? undefined : 0).uid;
  return `${spool ?? defaultSpoolDirectory(uid)}.control`;
}

export type Answer = Readonly<Record<string, unknown>>;

/**
 * Asks the server, and reads its answers line by line until it or the caller ends.
 * @throws OperatorError when none answers, or it refuses.
 */
export async function* askServer(
  options: Options,
  request: Readonly<Record<string, string>>,
): AsyncGenerator<Answer> {
  const path = controlPathOf(options);
  if (path === undefined) throw new OperatorError('--control none: there is nobody to ask', EXIT.usage);
  const socket = await reach(path);
  try {
    socket.write(`${jsonOf(request)}\n`);
    for await (const line of createInterface({ input: socket })) {
      const answer: unknown = JSON.parse(line);
      if (typeof answer !== 'object' || answer === null) continue;
      if ('error' in answer) throw new OperatorError(String(answer.error), EXIT.unavailable);
      yield { ...answer };
    }
  } finally {
    socket.destroy();
  }
}

async function reach(path: string): Promise<Socket> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
  } catch (error) {
    const reason = systemReason(error);
    throw new OperatorError(
      `no server answers at ${path} (${reason === 'ECONNREFUSED' ? 'nobody listens' : reason}): name its --control, or run as its user`,
      EXIT.unavailable,
    );
  }
  socket.on('error', () => {});
  return socket;
}
