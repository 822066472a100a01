/**
 * An open file of a script: buffered reading and writing over a device, with one position for both, as C's FILE.
 */
import type { LuaState } from 'fengari';
import type { Closable } from '../host.ts';
import { checkLength } from './budget.ts';
import type { Device } from './device.ts';
import { EBADF, EINVAL, ESPIPE, SystemError } from './errno.ts';

const BUFFER_BYTES = 65_536;
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
  /** Bytes [0, pending) of the buffer are still to be written. `pending` and `end` are never both above 0. */
  #pending = 0;
  /** Where on the device the next system call reads or writes. */
  #position = 0;

  constructor(device: Device, mode: StreamMode) {
    this.device = device;
    this.#mode = mode;
  }

  /** Bytes of the next line without its end, or null at the end of the file. The result is valid until the next call. */
  readLine(L: LuaState, keepEnd: boolean): Buffer | null {
    let searched = 0;
    for (;;) {
      const found = this.#buffer.indexOf(NEWLINE, this.#start + searched);
      if (found >= 0 && found < this.#end) {
        const line = this.#buffer.subarray(this.#start, keepEnd ? found + 1 : found);
        this.#start = found + 1;
        return line;
      }
      searched = this.#end - this.#start;
      if (!this.#fill(L, searched + 1)) return searched === 0 ? null : this.#take(searched);
    }
  }

  /** Up to `count` bytes, fewer only at the end of the file, or null when it was there already. */
  readBytes(L: LuaState, count: number): Buffer | null {
    while (this.#end - this.#start < count) {
      if (!this.#fill(L, Math.min(count, this.#end - this.#start + BUFFER_BYTES))) break;
    }
    const available = Math.min(count, this.#end - this.#start);
    return available === 0 && count > 0 ? null : this.#take(available);
  }

  /** All bytes up to the end of the file. */
  readAll(L: LuaState): Buffer {
    while (this.#fill(L, this.#end - this.#start + 1));
    return this.#take(this.#end - this.#start);
  }

  /** The next byte without taking it, or -1 at the end of the file. */
  peek(L: LuaState): number {
    if (this.#start === this.#end && !this.#fill(L, 1)) return -1;
    return this.#buffer[this.#start] ?? -1;
  }

  /** Takes the byte that peek has shown. */
  skip(): void {
    this.#start++;
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

  /** Reads more until at least `wanted` bytes are there, one system call at least; false at the end of the file. */
  #fill(L: LuaState, wanted: number): boolean {
    if (!this.#mode.readable) throw new SystemError(EBADF);
    this.flush();
    const unread = this.#end - this.#start;
    if (this.#buffer.length < wanted || this.#end === this.#buffer.length) this.#makeRoom(L, unread, wanted);
    const count = this.device.read(this.#buffer, this.#end, this.#buffer.length - this.#end, this.#position);
    this.#end += count;
    this.#position += count;
    return count > 0;
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

  #take(count: number): Buffer {
    const bytes = this.#buffer.subarray(this.#start, this.#start + count);
    this.#start += count;
    return bytes;
  }

  /** Gives up bytes read ahead, so that writing goes on where reading stopped. */
  #dropRead(): void {
    this.#position -= this.#end - this.#start;
    this.#start = 0;
    this.#end = 0;
  }

  #send(bytes: Uint8Array): void {
    this.device.write(bytes, this.#position);
    this.#position =
      this.#mode.append && this.device.seekable ? this.device.size() : this.#position + bytes.length;
  }
}
