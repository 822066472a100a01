/** Files that an operator names for a command to read: one answer, and one exit code, for those that cannot be read. */
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { refusalToRead } from '../system/privileges.ts';
import { irregularity, readRegular } from '../system/regular-file.ts';
import { EXIT, OperatorError } from '../text/operator-error.ts';

/** What the caller has open already, `<(...)` of a shell included, and what is empty: to open it waits for nobody. */
const OPEN_ALREADY = /^(\/dev\/(stdin|fd\/\d+|null)|\/proc\/self\/fd\/\d+)$/;

/**
 * The bytes of a regular file, or of what the caller has opened (`/dev/stdin`).
 * @param what names it in a message: `message`, `--dns`
 * @throws OperatorError with exit code 66 when it cannot be read
 */
export function readInput(what: string, path: string): Buffer {
  try {
    return OPEN_ALREADY.test(path) ? readFileSync(path) : readRegular(path);
  } catch (error) {
    throw unreadable(what, path, error);
  }
}

/** All of standard input. */
export async function readStandardInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * Why a script cannot be read, found out without opening it; undefined where nothing is in the way.
 * A script is read again whenever it has changed, so that standard input can be none.
 */
export function unreadableScript(path: string): string | undefined {
  try {
    const reason = irregularity(statSync(path));
    if (reason === undefined) accessSync(path, constants.R_OK);
    return reason;
  } catch (error) {
    if (path === '-') return 'a script is read from a file, not from standard input';
    return refusalToRead(error);
  }
}

/** @throws OperatorError with exit code 66 */
export function requireScript(command: string, path: string): void {
  const reason = unreadableScript(path);
  if (reason !== undefined) throw noInput(`${command}: ${path}: cannot be read: ${reason}`);
}

/** Of a file that the system does not let us read. */
export function unreadable(what: string, path: string, error: unknown): OperatorError {
  return noInput(`${what} ${path}: cannot be read: ${refusalToRead(error)}`);
}

export function noInput(message: string): OperatorError {
  return new OperatorError(message, EXIT.noInput);
}
