/** The other end of the control socket, for the commands that ask a running server. */
import { once } from 'node:events';
import { lstatSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { Options } from '../options/option-table.ts';
import { lookUpUser } from '../system/privileges.ts';
import { wayTo } from '../system/way-there.ts';
import { jsonOf } from '../text/json-text.ts';
import { codeOf, EXIT, OperatorError, systemReason } from '../text/operator-error.ts';
import { controlPathsOfClient } from './control-path.ts';

/** Longest line of an answer, in bytes. */
const MAX_LINE_BYTES = 16 << 20;

export type ControlReply = Readonly<Record<string, unknown>>;

/**
 * Asks the server, and reads its answers line by line until it or the caller ends.
 * @param stop ends it too
 * @throws OperatorError when none answers, it refuses, or somebody else may be at the socket.
 */
export async function* askServer(
  options: Options,
  request: Readonly<Record<string, string>>,
  stop?: AbortSignal,
): AsyncGenerator<ControlReply> {
  const { path, socket } = await reach(options);
  const end = () => socket.destroy();
  stop?.addEventListener('abort', end);
  try {
    if (stop?.aborted) return;
    socket.write(`${jsonOf(request)}\n`);
    for await (const line of linesOf(socket, path)) {
      const answer: unknown = JSON.parse(line);
      if (typeof answer !== 'object' || answer === null) continue;
      if ('error' in answer) throw new OperatorError(String(answer.error), EXIT.unavailable);
      yield { ...answer };
    }
  } catch (error) {
    // A socket that is closed in the middle of its answer raises.
    if (!stop?.aborted) throw error;
  } finally {
    stop?.removeEventListener('abort', end);
    socket.destroy();
  }
}

/**
 * Makes sure that whoever listens at the path is root, this user, the user of --user, or whoever owns a directory that root
 * has made for them: in a directory such as /tmp anybody can be first.
 * @throws OperatorError
 */
function requireTrusted(path: string, { user }: Options): void {
  const trusted = [process.getuid?.() ?? 0, ...(user === undefined ? [] : [lookUpUser(user, 0).uid])];
  const refused = (reason: string) =>
    new OperatorError(
      `${path} is not to be relied on: ${reason}: name --control, or --user`,
      EXIT.unavailable,
    );
  try {
    const { objection, assignee } = wayTo(path, trusted, true);
    if (objection !== undefined) throw refused(objection);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined || [0, assignee, ...trusted].includes(found.uid)) return;
    throw refused(`it belongs to uid ${found.uid}`);
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    throw refused(systemReason(error));
  }
}

/** @throws OperatorError where a line is longer than any server's */
async function* linesOf(socket: Socket, path: string): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, end));
      yield Buffer.concat(parts).toString();
      parts = [];
      length = 0;
      from = end + 1;
    }
    parts.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > MAX_LINE_BYTES) {
      const most = `${MAX_LINE_BYTES >> 20} MiB`;
      throw new OperatorError(
        `${path}: a line of more than ${most} is no answer of this program`,
        EXIT.unavailable,
      );
    }
  }
}

/** The server at the first place where one answers. @throws OperatorError */
async function reach(options: Options): Promise<{ path: string; socket: Socket }> {
  const paths = controlPathsOfClient(options);
  const [first] = paths;
  if (first === undefined) throw new OperatorError('--control none: there is nobody to ask', EXIT.usage);
  let reason: string | undefined;
  for (const path of paths) {
    requireTrusted(path, options);
    const socket = connect(path);
    try {
      await once(socket, 'connect');
      socket.on('error', () => {});
      return { path, socket };
    } catch (error) {
      // Of several places, the first where something is tells most.
      if (codeOf(error) !== 'ENOENT') reason ??= refusedAt(path, error);
    }
  }
  const nothing = `${paths.join(', ')} (no such file or directory)`;
  const ways = process.getuid?.() === 0 ? 'or name its --control' : 'name its --control, or run as its user';
  throw new OperatorError(`no server answers at ${reason ?? nothing}: start it, ${ways}`, EXIT.unavailable);
}

function refusedAt(path: string, error: unknown): string {
  const reason = systemReason(error);
  return `${path} (${reason === 'ECONNREFUSED' ? 'nobody listens' : reason})`;
}
