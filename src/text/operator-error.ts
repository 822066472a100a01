/** The one error that is the operator's concern and not a bug: one line on stderr, then the exit code. */

/** Exit codes of sysexits.h, and 1 for a script that `check` finds wrong. docs/options.md has the table. */
export const EXIT = {
  ok: 0,
  badScript: 1,
  usage: 64,
  noInput: 66,
  unavailable: 69,
  software: 70,
  cannotCreate: 73,
  /** The state of the machine stands in the way, and may pass: it is worth while to start again. */
  tempfail: 75,
  /** Somebody must change something first. */
  config: 78,
} as const;

/** Failures of the system that pass while nobody changes the configuration. */
const PASSING: ReadonlySet<string> = new Set([
  // An interface that is not up, a name that cannot be looked up, a predecessor that ends.
  ...['EADDRNOTAVAIL', 'EADDRINUSE', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_MEMORY', 'ENOTFOUND', 'ETIMEDOUT'],
  // A file system that is not writable yet, full, or away.
  ...['EROFS', 'ENOSPC', 'EDQUOT', 'EIO', 'ESTALE', 'EHOSTDOWN', 'EHOSTUNREACH', 'ENOTCONN'],
  // A machine that is short of something.
  ...['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EAGAIN', 'EINTR', 'EBUSY'],
]);

/** The code of an error whose message says what is in the place of a regular file, see regular-file.ts. */
export const IRREGULAR = 'IRREGULAR';

export class OperatorError extends Error {
  override readonly name = 'OperatorError';
  readonly exitCode: number;

  /** `message` names the option, variable or file first, then the bad value, then what would be right. */
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The code that the system, or Node, gives an error; '' when it has none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** The exit code for what kept the program from starting: 75 where it may pass by itself, 78 where it does not. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof OperatorError) return error.exitCode;
  return PASSING.has(codeOf(error)) ? EXIT.tempfail : EXIT.config;
}

/** Why something failed, in an operator's words; of a system call the code is left out where the words say all. */
export function systemReason(error: unknown): string {
  if (error instanceof OperatorError) return error.message;
  const code = codeOf(error);
  switch (code) {
    case 'ENOENT':
      return 'no such file or directory';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'EISDIR':
      return 'is a directory';
    case 'ENOTDIR':
      return 'a part of the path is not a directory';
    case 'EADDRINUSE':
      return 'address in use';
    case 'EADDRNOTAVAIL':
      return 'not an address of this machine at present';
    case 'ENOTFOUND':
      return 'the host name has no address';
    case 'EAI_AGAIN':
      return 'the host name cannot be looked up at present';
    case 'ENOSPC':
      return 'no space left on the device';
    case 'EROFS':
      return 'the file system is read-only';
    case 'EMFILE':
    case 'ENFILE':
      return 'too many open files';
    case IRREGULAR:
      return error instanceof Error ? error.message : code;
    case '':
      return String(error);
    default:
      return code;
  }
}
