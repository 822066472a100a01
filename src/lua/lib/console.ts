/**
 * Standard output and error of a policy: whole lines to the log, by way of its host.
 */
import type { LuaState } from 'fengari';
import { type Closable, hostOf, PerState } from '../engine/host.ts';
import type { Request } from './steps.ts';

/** A line that grows beyond this many bytes is handed over in pieces. */
const LONGEST_LINE = 16_384;
const NEWLINE = 10;

/** The beginning of a line that a script has not ended yet. */
class UnfinishedLine implements Closable {
  readonly #L: LuaState;
  #bytes: Buffer;

  constructor(L: LuaState) {
    this.#L = L;
    this.#bytes = Buffer.alloc(0);
  }

  add(bytes: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    if (this.#bytes.length > LONGEST_LINE) this.close();
  }

  /** The whole line, when `rest` ends it. */
  end(rest: Uint8Array): Buffer {
    const line = Buffer.concat([this.#bytes, rest]);
    this.#bytes = Buffer.alloc(0);
    return line;
  }

  /** Hands over what there is. */
  close(): void {
    const line = this.end(Buffer.alloc(0));
    if (line.length > 0) hostOf(this.#L).print(this.#L, line);
  }
}

const unfinished = new PerState<UnfinishedLine>();

/** Bytes that are written without a pause. */
const SHORT = 1024;
/** Handing a line to the log, in steps of Host.charge(). */
const STEPS_PER_LINE = 500;

/** Writes bytes to the script's console; each line goes to the log when it is complete. May pause in between. */
export function* writeConsole(L: LuaState, bytes: Uint8Array): Generator<Request, void, void> {
  const host = hostOf(L);
  let start = 0;
  for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
    const line = bytes.subarray(start, end);
    const begun = unfinished.get(host);
    host.print(L, begun === undefined ? line : begun.end(line));
    start = end + 1;
    host.charge(L, STEPS_PER_LINE + (line.length >> 3));
    if (bytes.length > SHORT) yield 'pause';
  }
  if (start === bytes.length) return;
  let begun = unfinished.get(host);
  if (begun === undefined) {
    begun = new UnfinishedLine(L);
    unfinished.set(host, begun);
    host.openFiles.add(begun);
  }
  for (; start < bytes.length; start += LONGEST_LINE) {
    begun.add(bytes.subarray(start, start + LONGEST_LINE));
    host.charge(L, LONGEST_LINE >> 3);
    if (bytes.length > SHORT) yield 'pause';
  }
}

/** Hands over an unfinished line of the console now. */
export function flushConsole(L: LuaState): void {
  unfinished.get(hostOf(L))?.close();
}
