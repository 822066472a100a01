/** The one error that says: the operator must change something. One line on stderr, then the exit code. */

/** Exit codes of sysexits.h, and 1 for a script that `check` finds wrong. */
export const EXIT = { ok: 0, badScript: 1, usage: 64, unavailable: 69, software: 70, config: 78 } as const;

export class OperatorError extends Error {
  override readonly name = 'OperatorError';
  readonly exitCode: number;

  /** `message` names the option, variable or file first, then the bad value, then what would be right. */
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Why something failed, in an operator's words; of a system call the code is left out where the words say all. */
export function systemReason(error: unknown): string {
  if (error instanceof OperatorError) return error.message;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
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
      return 'address in use: another program listens there';
    case 'EADDRNOTAVAIL':
      return 'not an address of this machine';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the host name has no address';
    case '':
      return String(error);
    default:
      return code;
  }
}
