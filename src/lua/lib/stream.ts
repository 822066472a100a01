/**
 * An open file of a script: buffered reading and writing over a device, with one position for both, as C's FILE.
 */
import type { LuaState } from 'fengari';
import { EBADF, EINVAL, ESPIPE, SystemError } from '../context/errno.ts';
import type { Closable } from '../engine/host.ts';
import { checkLength } from './budget.ts';
import type { Device } from './device.ts';

const BUFFER_BYTES = 65_536;
/** Of one system call: others wait for it. */
const LONGEST_READ = 256 * 1024;
const NEWLINE = 10;
const EMPTY = Buffer.alloc(0);

export interface StreamMode {
  readonly readable: boolean;
  readonly writable: boolean;
  /** All writes go to the end of the file. */
  readonly append: boolean;
}

/** When written bytes go to the device: at once, at each line end, or when the buffer is full. */
export type Buffering = 'no' | 'line' | 'full';

export class Stream implements Closable {
  readonly device: Device;
  readonly #mode: StreamMode;
  #buffering: Buffering = 'full';
  #buffer: Buffer = EMPTY;
  /** Bytes [start, end) of the buffer were read from the device and not yet taken. */
  #start = 0;
  #end = 0;
  /** How many of them hold no line end, as far as is known. */
  #searched = 0;
  /** Bytes [0, pending) of the buffer are still to be written. `pending` and `end` are never both above 0. */
  #pending = 0;
  /** Where on the device the next system call reads or writes. */
  #position = 0;

  constructor(device: Device, mode: StreamMode) {
    this.device = device;
    this.#mode = mode;
  }

  /**
   * Bytes of the next line without its end, of what has been read from the device so far; undefined when more has to be
   * read for it. The result is valid until the next call.
   */
  readLine(keepEnd: boolean): Buffer | undefined {
    const { unread } = this;
    const found = this.#buffer.indexOf(NEWLINE, this.#start + this.#searched);
    if (found < 0 || found >= this.#end) {
      this.#searched = unread;
      return undefined;
    }
    const line = this.#buffer.subarray(this.#start, keepEnd ? found + 1 : found);
    this.#start = found + 1;
    this.#searched = 0;
    return line;
  }

  /** Up to `count` bytes of what has been read from the device so far. The result is valid until the next call. */
  take(count: number): Buffer {
    const bytes = this.#buffer.subarray(this.#start, this.#start + Math.min(count, this.unread));
    this.#start += bytes.length;
    this.#searched = 0;
    return bytes;
  }

  /** How many bytes have been read from the device and not been taken. */
  get unread(): number {
    return this.#end - this.#start;
  }

  /** Reads more from the device until at least `wanted` bytes are there, one system call at least; false at the end of the file. */
  fill(L: LuaState, wanted: number): boolean {
    if (!this.#mode.readable) throw new SystemError(EBADF);
    if (this.device.empty) return false;
    this.flush();
    if (this.#buffer.length < wanted || this.#end === this.#buffer.length)
      this.#makeRoom(L, this.unread, wanted);
    const room = Math.min(this.#buffer.length - this.#end, LONGEST_READ);
    const count = this.device.read(this.#buffer, this.#end, room, this.#position);
    this.#end += count;
    this.#position += count;
    return count > 0;
  }

  /** The next byte without taking it, or -1 at the end of the file. */
  peek(L: LuaState): number {
    if (this.#start === this.#end && !this.fill(L, 1)) return -1;
    return this.#buffer[this.#start] ?? -1;
  }

  /** Takes the byte that peek has shown. */
  skip(): void {
    this.#start++;
    this.#searched = 0;
  }

  write(bytes: Uint8Array): void {
    if (!this.#mode.writable) throw new SystemError(EBADF);
    this.#dropRead();
    if (this.#buffering === 'no' || this.#pending + bytes.length > BUFFER_BYTES) this.flush();
    if (this.#buffering === 'no' || bytes.length > BUFFER_BYTES) {
      this.#send(bytes);
      return;
    }
    if (this.#buffer.length < BUFFER_BYTES) this.#buffer = Buffer.allocUnsafe(BUFFER_BYTES);
    this.#buffer.set(bytes, this.#pending);
    this.#pending += bytes.length;
    if (this.#buffering === 'line' && bytes.includes(NEWLINE)) this.flush();
  }

  flush(): void {
    if (this.#pending === 0) return;
    const bytes = this.#buffer.subarray(0, this.#pending);
    this.#pending = 0;
    this.#send(bytes);
  }

  setBuffering(buffering: Buffering): void {
    this.flush();
    this.#buffering = buffering;
  }

  /** Moves the position by `offset` bytes from the place `whence` and returns it, from the start of the file. */
  seek(whence: 'set' | 'cur' | 'end', offset: number): number {
    if (!this.device.seekable) throw new SystemError(ESPIPE);
    this.flush();
    const here = this.#position - (this.#end - this.#start);
    const target = offset + (whence === 'set' ? 0 : whence === 'cur' ? here : this.device.size());
    if (target < 0 || !Number.isSafeInteger(target)) throw new SystemError(EINVAL);
    this.#start = 0;
    this.#end = 0;
    this.#searched = 0;
    this.#position = target;
    return target;
  }

  /** Writes what is pending and closes the device, also when writing fails. */
  close(): void {
    try {
      this.flush();
    } finally {
      this.#pending = 0;
      this.#start = 0;
      this.#end = 0;
      this.#buffer = EMPTY;
      this.device.close();
    }
  }

  #makeRoom(L: LuaState, unread: number, wanted: number): void {
    const full = unread === this.#buffer.length;
    const size = Math.max(BUFFER_BYTES, wanted, full ? this.#buffer.length * 2 : this.#buffer.length);
    const reuse = size === this.#buffer.length;
    if (unread > BUFFER_BYTES) checkLength(L, unread);
    const target = reuse ? this.#buffer : Buffer.allocUnsafe(size);
    this.#buffer.copy(target, 0, this.#start, this.#end);
    this.#buffer = target;
    this.#start = 0;
    this.#end = unread;
  }

  /** Gives up bytes read ahead, so that writing goes on where reading stopped. */
  #dropRead(): void {
    this.#position -= this.#end - this.#start;
    this.#start = 0;
    this.#end = 0;
    this.#searched = 0;
  }

  #send(bytes: Uint8Array): void {
    this.device.write(bytes, this.#position);
    this.#position =
      this.#mode.append && this.device.seekable ? this.device.size() : this.#position + bytes.length;
  }
}
