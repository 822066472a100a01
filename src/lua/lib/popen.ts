/**
 * os.execute and io.popen: programs run by the shell while only the calling callback waits. Refused unless the operator
 * allows them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Writable } from 'node:stream';
import type { LuaState } from 'fengari';
import { EBADF, pushFailure, SystemError } from '../context/errno.ts';
import { ascii, latin1Of, lauxlib, lua } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { argumentError, checkCString, raise } from './arguments.ts';
import type { Device } from './device.ts';
import { pushOpened } from './file-handle.ts';
import { Stream } from './stream.ts';

interface FinishedProgram {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: Buffer;
}

/** Output of a finished program. */
class OutputDevice implements Device {
  readonly seekable = false;
  readonly empty = false;
  readonly #bytes: Buffer;
  #taken = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  read(into: Buffer, offset: number, length: number): number {
    const count = this.#bytes.copy(into, offset, this.#taken, this.#taken + length);
    this.#taken += count;
    return count;
  }

  write(): never {
    throw new SystemError(EBADF);
  }

  size(): number {
    return this.#bytes.length;
  }

  close(): void {}
}

/** Input for a program that starts when the file is closed. */
class InputDevice implements Device {
  readonly seekable = false;
  readonly empty = false;
  readonly #pieces: Buffer[] = [];

  read(): never {
    throw new SystemError(EBADF);
  }

  write(bytes: Uint8Array): void {
    this.#pieces.push(Buffer.from(bytes));
  }

  size(): number {
    return 0;
  }

  close(): void {}

  bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}

function checkAllowed(L: LuaState, name: string): void {
  if (!hostOf(L).allowExecute)
    raise(L, `${name} is not allowed: the milter was started without --allow-execute`);
}

/** MAX_ARG_STRLEN of Linux, with the NUL at the end. */
const LONGEST_COMMAND = 131_072;

/** The command at `arg` as text: Node hands arguments to programs as UTF-8. */
function checkCommand(L: LuaState, arg: number): string {
  const bytes = checkCString(L, arg, LONGEST_COMMAND);
  if (bytes.length === LONGEST_COMMAND) argumentError(L, arg, 'command too long');
  hostOf(L).charge(L, bytes.length);
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) ? text : argumentError(L, arg, 'command is not valid UTF-8');
}

/**
 * Becomes the shell that runs the command, `$1`, in a process group beside which another waits: when this process's end of
 * descriptor 3 is closed and nothing was said there, as when the process is killed, it kills the group.
 */
const WATCHED =
  '(read -r end <&3; [ "$end" ] || kill -KILL 0) >/dev/null 2>&1 & exec 3<&-; exec /bin/sh -c "$1"';

/**
 * Runs `command` by /bin/sh with `input`; its output is collected when `limit` bytes are allowed, else it goes where the
 * process's own goes. It does not outlive this process.
 */
function run(
  command: string,
  input: Buffer | null,
  limit: number | null,
  cancelled: AbortSignal,
): Promise<FinishedProgram> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', WATCHED, 'sh', command], {
      stdio: [input === null ? 'ignore' : 'pipe', limit === null ? 'inherit' : 'pipe', 'inherit', 'pipe'],
      detached: true, // A process group of its own, so that what the shell started can be killed with it.
    });
    const pieces: Buffer[] = [];
    let size = 0;
    let overrun = false;
    const kill = (): void => killGroup(child);
    cancelled.addEventListener('abort', kill, { once: true });
    child.stdout?.on('data', (piece: Buffer) => {
      size += piece.length;
      if (limit === null || size <= limit) pieces.push(piece);
      else {
        overrun = true;
        kill();
      }
    });
    child.stdin?.on('error', () => {}); // It may end without reading all of its input.
    child.stdin?.end(input);
    const watcher = child.stdio[3] as Writable | null;
    watcher?.on('error', () => {});
    child.on('exit', () => watcher?.end('ended\n'));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      cancelled.removeEventListener('abort', kill);
      if (overrun) reject(new Error(`the program's output is longer than ${limit} bytes`));
      else resolve({ code, signal, output: Buffer.concat(pieces) });
    });
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Already gone.
  }
}

/** Pushes how the program ended, as os.execute does: true or nil, "exit" or "signal", and the number. */
function pushOutcome(L: LuaState, outcome: FinishedProgram): number {
  if (outcome.code === 0) lua.lua_pushboolean(L, true);
  else lua.lua_pushnil(L);
  lua.lua_pushstring(L, ascii(outcome.signal === null ? 'exit' : 'signal'));
  const number = outcome.signal === null ? outcome.code : constants.signals[outcome.signal];
  lua.lua_pushinteger(L, number ?? 0);
  return 3;
}

export function os_execute(L: LuaState): number {
  if (lua.lua_isnoneornil(L, 1)) {
    lua.lua_pushboolean(L, hostOf(L).allowExecute);
    return 1;
  }
  const command = checkCommand(L, 1);
  checkAllowed(L, 'os.execute');
  return hostOf(L).wait(L, (cancelled) => run(command, null, null, cancelled), pushOutcome);
}

/** For reading, the program runs to its end first; for writing, it starts when the file is closed. */
export function io_popen(L: LuaState): number {
  const command = checkCommand(L, 1);
  const mode = latin1Of(lauxlib.luaL_optstring(L, 2, ascii('r')).subarray(0, 2));
  if (mode !== 'r' && mode !== 'w') return argumentError(L, 2, 'invalid mode');
  checkAllowed(L, 'io.popen');
  if (mode === 'r') return popenToRead(L, command);
  const device = new InputDevice();
  const opened = (): Stream => new Stream(device, { readable: false, writable: true, append: false });
  try {
    pushOpened(L, opened, (state, stream) => {
      stream.close();
      const input = device.bytes();
      return hostOf(state).wait(state, (cancelled) => run(command, input, null, cancelled), pushOutcome);
    });
    return 1;
  } catch (error) {
    return pushFailure(L, error, Buffer.from(command));
  }
}

function popenToRead(L: LuaState, command: string): number {
  const limit = hostOf(L).limits.stringBytes;
  const start = (cancelled: AbortSignal): Promise<FinishedProgram> => run(command, null, limit, cancelled);
  return hostOf(L).wait(L, start, (state, outcome) => {
    const device = new OutputDevice(outcome.output);
    try {
      pushOpened(
        state,
        () => new Stream(device, { readable: true, writable: false, append: false }),
        (closing, stream) => {
          stream.close();
          return pushOutcome(closing, outcome);
        },
      );
      return 1;
    } catch (error) {
      return pushFailure(state, error, Buffer.from(command));
    }
  });
}
