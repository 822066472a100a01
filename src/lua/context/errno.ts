/**
 * Failures of system calls as C's library reports them to Lua: nil, "name: text", errno.
 *
 * Node's own texts differ ("ENOENT: no such file or directory, open 'x'"), and a policy compares or logs C's.
 */
import type { LuaState } from 'fengari';
import { lua } from '../engine/engine.ts';

export const ENOENT = 2;
export const EBADF = 9;
export const ENOMEM = 12;
export const EACCES = 13;
export const EEXIST = 17;
export const EISDIR = 21;
export const EINVAL = 22;
export const ENFILE = 23;
export const EMFILE = 24;
export const ESPIPE = 29;

/** A system call that failed. `errno` is positive, as in C. */
export class SystemError extends Error {
  readonly errno: number;

  /** @param text latin1 */
  constructor(errno: number, text = errorText(errno)) {
    super(text);
    this.errno = errno;
  }
}

/** What `strerror` of glibc says, in the C locale. */
export function errorText(errno: number): string {
  return TEXTS[errno - 1] || `Unknown error ${errno}`;
}

/** The positive errno of an exception of node:fs or of ours; rethrows what is no failed system call. */
export function errnoOf(error: unknown): number {
  if (error instanceof SystemError) return error.errno;
  if (error instanceof Error && 'errno' in error && typeof error.errno === 'number') return -error.errno;
  // Node's permission model has no errno.
  if (error instanceof Error && 'code' in error && error.code === 'ERR_ACCESS_DENIED') return EACCES;
  throw error;
}

/** What is to be said of such an exception, latin1; rethrows what is no failed system call. */
export function failureText(error: unknown): string {
  return error instanceof SystemError ? error.message : errorText(errnoOf(error));
}

/** Pushes nil, the message and errno, as luaL_fileresult does, and returns 3. `name` is put before the text. */
export function pushFailure(L: LuaState, error: unknown, name?: Uint8Array): number {
  const errno = errnoOf(error);
  const text = Buffer.from(failureText(error), 'latin1');
  lua.lua_pushnil(L);
  lua.lua_pushstring(L, name === undefined ? text : Buffer.concat([name, Buffer.from(': '), text]));
  lua.lua_pushinteger(L, errno);
  return 3;
}

/** glibc's texts for Linux's errno 1 to 133 in order; the empty ones are unused numbers. */
const TEXTS: readonly string[] = [
  'Operation not permitted',
  'No such file or directory',
  'No such process',
  'Interrupted system call',
  'Input/output error',
  'No such device or address',
  'Argument list too long',
  'Exec format error',
  'Bad file descriptor',
  'No child processes',
  'Resource temporarily unavailable',
  'Cannot allocate memory',
  'Permission denied',
  'Bad address',
  'Block device required',
  'Device or resource busy',
  'File exists',
  'Invalid cross-device link',
  'No such device',
  'Not a directory',
  'Is a directory',
  'Invalid argument',
  'Too many open files in system',
  'Too many open files',
  'Inappropriate ioctl for device',
  'Text file busy',
  'File too large',
  'No space left on device',
  'Illegal seek',
  'Read-only file system',
  'Too many links',
  'Broken pipe',
  'Numerical argument out of domain',
  'Numerical result out of range',
  'Resource deadlock avoided',
  'File name too long',
  'No locks available',
  'Function not implemented',
  'Directory not empty',
  'Too many levels of symbolic links',
  '',
  'No message of desired type',
  'Identifier removed',
  'Channel number out of range',
  'Level 2 not synchronized',
  'Level 3 halted',
  'Level 3 reset',
  'Link number out of range',
  'Protocol driver not attached',
  'No CSI structure available',
  'Level 2 halted',
  'Invalid exchange',
  'Invalid request descriptor',
  'Exchange full',
  'No anode',
  'Invalid request code',
  'Invalid slot',
  '',
  'Bad font file format',
  'Device not a stream',
  'No data available',
  'Timer expired',
  'Out of streams resources',
  'Machine is not on the network',
  'Package not installed',
  'Object is remote',
  'Link has been severed',
  'Advertise error',
  'Srmount error',
  'Communication error on send',
  'Protocol error',
  'Multihop attempted',
  'RFS specific error',
  'Bad message',
  'Value too large for defined data type',
  'Name not unique on network',
  'File descriptor in bad state',
  'Remote address changed',
  'Can not access a needed shared library',
  'Accessing a corrupted shared library',
  '.lib section in a.out corrupted',
  'Attempting to link in too many shared libraries',
  'Cannot exec a shared library directly',
  'Invalid or incomplete multibyte or wide character',
  'Interrupted system call should be restarted',
  'Streams pipe error',
  'Too many users',
  'Socket operation on non-socket',
  'Destination address required',
  'Message too long',
  'Protocol wrong type for socket',
  'Protocol not available',
  'Protocol not supported',
  'Socket type not supported',
  'Operation not supported',
  'Protocol family not supported',
  'Address family not supported by protocol',
  'Address already in use',
  'Cannot assign requested address',
  'Network is down',
  'Network is unreachable',
  'Network dropped connection on reset',
  'Software caused connection abort',
  'Connection reset by peer',
  'No buffer space available',
  'Transport endpoint is already connected',
  'Transport endpoint is not connected',
  'Cannot send after transport endpoint shutdown',
  'Too many references: cannot splice',
  'Connection timed out',
  'Connection refused',
  'Host is down',
  'No route to host',
  'Operation already in progress',
  'Operation now in progress',
  'Stale file handle',
  'Structure needs cleaning',
  'Not a XENIX named type file',
  'No XENIX semaphores available',
  'Is a named type file',
  'Remote I/O error',
  'Disk quota exceeded',
  'No medium found',
  'Wrong medium type',
  'Operation canceled',
  'Required key not available',
  'Key has expired',
  'Key has been revoked',
  'Key was rejected by service',
  'Owner died',
  'State not recoverable',
  'Operation not possible due to RF-kill',
  'Memory page has hardware error',
];
