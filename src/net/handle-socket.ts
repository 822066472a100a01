/**
 * Sockets of accepted connections, straight on Node's handles.
 *
 * A milter session is a dozen small packets each way, and the streams that net.Socket consists of cost more than all that
 * is done with such a packet here. This is a socket that can do what a milter connection needs, in the names of net.Socket.
 * Of Node's inside it uses what net.Socket is made of (lib/net.js, lib/internal/stream_base_commons.js; the same in Node 20
 * to 24). Where that is not found as expected there are no such sockets, and a net.Socket does the same.
 */
import { readSync } from 'node:fs';
import type { Server } from 'node:net';
import { getSystemErrorName } from 'node:util';

/** What a milter connection needs of its socket; a net.Socket is one. */
export interface MtaSocket {
  readonly destroyed: boolean;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly writableLength: number;
  readonly writableNeedDrain: boolean;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'drain' | 'close', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  write(bytes: Uint8Array): boolean;
  isPaused(): boolean;
  pause(): unknown;
  resume(): unknown;
  destroy(): unknown;
  destroySoon(): void;
  setKeepAlive(enable: boolean, initialDelayMs: number): unknown;
  setTimeout(ms: number, callback: () => void): unknown;
}

/** A TCP or Pipe of Node, where a connection has been accepted. */
interface Handle {
  /** Not to be closed. */
  readonly fd?: number;
  onread: () => Uint8Array | undefined;
  useUserBuffer(buffer: Uint8Array): void;
  readStart(): number;
  readStop(): number;
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  close(closed: () => void): void;
  /** Of TCP alone. */
  getpeername?(into: { address?: string; port?: number }): number;
  setNoDelay?(enable: boolean): number;
  setKeepAlive?(enable: boolean, initialDelaySeconds: number): number;
}

interface WriteRequest {
  oncomplete: (status: number) => void;
  /** Kept from the garbage collector until it is written. */
  bytes?: Uint8Array;
}

/** Of `process.binding('stream_wrap')`. */
interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  /** What the last call of a handle or from a handle had to say beside its result. */
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

interface ListeningHandle {
  onconnection: (this: ListeningHandle, error: number, handle: Handle | undefined) => void;
}

/** UV_EOF */
const END_OF_FILE = -4095;

/** A read brings at most so much. */
const BUFFER_BYTES = 64 * 1024;
/** From here on a chunk keeps the buffer that it came in, rather than being copied out of it. */
const LARGE_BYTES = 16 * 1024;
/** Looks in the time after which silence is told of: a timer that each packet sets back costs more than them. */
const LOOKS = 8;
/** As much as may wait to be written before there is a `drain`. */
const HIGH_WATER_BYTES = 16 * 1024;

/** All small chunks come in here: libuv reads only when there is something, and a chunk is taken before the next read. */
const shared = Buffer.allocUnsafeSlow(BUFFER_BYTES);

/**
 * Has the connections of a listening server accepted as such sockets, instead of its `connection` event.
 * @param connected a promise means that nothing is to be read before that settles
 * @param hurries whether what has come on a connection already should be read at once, if its socket has a listener
 * @returns whether that can be had.
 */
export function acceptHandles(
  server: Server,
  connected: (socket: MtaSocket) => void | Promise<void>,
  hurries: () => boolean = () => false,
): boolean {
  const binding = streamBinding();
  const listening = '_handle' in server ? (server._handle as Partial<ListeningHandle & Handle> | null) : null;
  const accept = listening?.onconnection;
  if (binding === undefined || !listening || accept === undefined || !isAsExpected(listening)) return false;
  listening.onconnection = function (error, handle) {
    if (error || !handle) accept.call(this, error, handle);
    else {
      const socket = new HandleSocket(handle, binding);
      const begun = connected(socket);
      if (begun === undefined && hurries()) socket.readNow();
    }
  };
  return true;
}

function streamBinding(): StreamBinding | undefined {
  // On Windows a read is under way before there is anything, and needs a buffer of its own.
  if (process.platform === 'win32' || !('binding' in process)) return undefined;
  try {
    const binding = (process.binding as (name: string) => Partial<StreamBinding>)('stream_wrap');
    const { WriteWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } = binding;
    if (typeof WriteWrap !== 'function' || !(streamBaseState instanceof Int32Array)) return undefined;
    if (kReadBytesOrError === undefined || kLastWriteWasAsync === undefined) return undefined;
    return { WriteWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync };
  } catch {
    return undefined;
  }
}

/** A connection's handle is of the same class as that of the socket it was accepted on. */
function isAsExpected(handle: Partial<Handle>): boolean {
  return (
    typeof handle.useUserBuffer === 'function' &&
    typeof handle.readStart === 'function' &&
    typeof handle.readStop === 'function' &&
    typeof handle.writeBuffer === 'function'
  );
}

class HandleSocket implements MtaSocket {
  readonly #handle: Handle;
  readonly #binding: StreamBinding;
  /** What the next read fills. */
  #buffer = shared;
  /** For the next write; another one when the kernel has not taken all of the last at once. */
  #request: WriteRequest | undefined;
  #unwritten = 0;
  #needDrain = false;
  #paused = false;
  #ending = false;
  #destroyed = false;
  #idle: NodeJS.Timeout | undefined;
  /** How often it was looked since something was last read or written. */
  #silent = 0;
  #onData: (chunk: Buffer) => void = ignore;
  #onDrain: () => void = ignore;
  #onClose: () => void = ignore;
  #onError: (error: Error) => void = ignore;

  constructor(handle: Handle, binding: StreamBinding) {
    this.#handle = handle;
    this.#binding = binding;
    // What `noDelay` of the server does for a net.Socket.
    handle.setNoDelay?.(true);
  }

  get destroyed(): boolean {
    return this.#destroyed;
  }

  get remoteAddress(): string | undefined {
    return this.#peer().address;
  }

  get remotePort(): number | undefined {
    return this.#peer().port;
  }

  /** Bytes that the kernel has not taken. */
  get writableLength(): number {
    return this.#unwritten;
  }

  get writableNeedDrain(): boolean {
    return this.#needDrain;
  }

  on(event: 'data', listener: (chunk: Buffer) => void): void;
  on(event: 'drain' | 'close', listener: () => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  /** One listener for each event. Reading begins with that for `data`. */
  on(
    ...[event, listener]:
      | ['data', (chunk: Buffer) => void]
      | ['drain' | 'close', () => void]
      | ['error', (error: Error) => void]
  ): void {
    switch (event) {
      case 'data':
        this.#onData = listener;
        this.#handle.onread = () => this.#read();
        this.#handle.useUserBuffer(this.#buffer);
        if (!this.#paused) this.#startReading();
        break;
      case 'drain':
        this.#onDrain = listener;
        break;
      case 'close':
        this.#onClose = listener;
        break;
      case 'error':
        this.#onError = listener;
        break;
    }
  }

  /** Reads what has come already, which the event loop would look at in its next turn. */
  readNow(): void {
    const { fd = -1 } = this.#handle;
    if (this.#onData === ignore || this.#paused || this.#destroyed || fd < 0) return;
    let length: number;
    try {
      length = readSync(fd, shared);
    } catch {
      return; // Nothing as a rule; of what else it is the event loop hears as well.
    }
    if (length > 0) this.#onData(copyOf(shared, length));
  }

  /** @returns false when more should be written only after `drain`. */
  write(bytes: Uint8Array): boolean {
    if (this.#destroyed || this.#ending) return false;
    this.#silent = 0;
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = this.#binding;
    this.#request ??= new WriteWrap();
    const request = this.#request;
    const error = this.#handle.writeBuffer(request, bytes);
    if (error !== 0) {
      this.#fail('write', error);
      return false;
    }
    if (streamBaseState[kLastWriteWasAsync]) this.#await(request, bytes);
    return !this.#needDrain;
  }

  isPaused(): boolean {
    return this.#paused;
  }

  pause(): void {
    if (this.#paused || this.#destroyed) return;
    this.#paused = true;
    this.#handle.readStop();
  }

  resume(): void {
    if (!this.#paused || this.#destroyed) return;
    this.#paused = false;
    this.#startReading();
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    clearInterval(this.#idle);
    this.#handle.close(() => this.#onClose());
  }

  destroySoon(): void {
    this.#ending = true;
    if (this.#unwritten === 0) this.destroy();
  }

  setKeepAlive(enable: boolean, initialDelayMs: number): void {
    if (!this.#destroyed) this.#handle.setKeepAlive?.(enable, Math.trunc(initialDelayMs / 1000));
  }

  /** Calls back after so many milliseconds in which nothing was read or written, or an eighth more. */
  setTimeout(ms: number, callback: () => void): void {
    clearInterval(this.#idle);
    this.#silent = 0;
    const lookMs = Math.ceil(ms / LOOKS);
    this.#idle = setInterval(() => {
      this.#silent += 1;
      // The first of these looks came at any time after the last packet.
      if (this.#silent === LOOKS + 1) callback();
    }, lookMs).unref();
  }

  #peer(): { address?: string; port?: number } {
    const peer: { address?: string; port?: number } = {};
    if (!this.#destroyed) this.#handle.getpeername?.(peer);
    return peer;
  }

  #startReading(): void {
    const error = this.#handle.readStart();
    if (error !== 0) this.#fail('read', error);
  }

  /** @returns the buffer for what comes next, if it is another one. */
  #read(): Uint8Array | undefined {
    const { streamBaseState, kReadBytesOrError } = this.#binding;
    const length = streamBaseState[kReadBytesOrError] ?? 0;
    if (length <= 0) {
      if (length === END_OF_FILE) this.destroySoon();
      else if (length < 0) this.#fail('read', length);
      return undefined;
    }
    this.#silent = 0;
    const filled = this.#buffer;
    this.#buffer = length < LARGE_BYTES ? shared : Buffer.allocUnsafeSlow(BUFFER_BYTES);
    const own = filled !== shared && length >= LARGE_BYTES;
    this.#onData(own ? filled.subarray(0, length) : copyOf(filled, length));
    return this.#buffer === filled ? undefined : this.#buffer;
  }

  /** The kernel has not taken all of it at once; libuv writes the rest. */
  #await(request: WriteRequest, bytes: Uint8Array): void {
    this.#request = undefined;
    this.#unwritten += bytes.length;
    if (this.#unwritten >= HIGH_WATER_BYTES) this.#needDrain = true;
    request.bytes = bytes;
    request.oncomplete = (status) => {
      this.#unwritten -= bytes.length;
      if (this.#destroyed) return;
      if (status < 0) {
        this.#fail('write', status);
        return;
      }
      this.#silent = 0;
      if (this.#unwritten > 0) return;
      if (this.#ending) {
        this.destroy();
      } else if (this.#needDrain) {
        this.#needDrain = false;
        this.#onDrain();
      }
    };
  }

  #fail(call: string, error: number): void {
    if (this.#destroyed) return;
    this.destroy();
    this.#onError(new Error(`${call} ${getSystemErrorName(error)}`));
  }
}

function copyOf(filled: Buffer, length: number): Buffer {
  const chunk = Buffer.allocUnsafe(length);
  chunk.set(new Uint8Array(filled.buffer, 0, length));
  return chunk;
}

function ignore(): void {}
