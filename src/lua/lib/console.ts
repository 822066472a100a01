/**
 * Standard output and error of a policy: whole lines to the log, by way of its host.
 */
import type { LuaState } from 'fengari';
import { type Closable, hostOf, PerState } from '../host.ts';

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
    if (line.length > 0) hostOf(this.#L).print(line);
  }
}

const unfinished = new PerState<UnfinishedLine>();

/** Writes bytes to the script's console; each line goes to the log when it is complete. */
export function writeConsole(L: LuaState, bytes: Uint8Array): void {
  const host = hostOf(L);
  let start = 0;
  for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
    const line = bytes.subarray(start, end);
    const begun = unfinished.get(host);
    host.print(begun === undefined ? line : begun.end(line));
    start = end + 1;
  }
  if (start === bytes.length) return;
  let begun = unfinished.get(host);
  if (begun === undefined) {
    begun = new UnfinishedLine(L);
    unfinished.set(host, begun);
    host.openFiles.add(begun);
  }
  begun.add(bytes.subarray(start));
}

/** Hands over an unfinished line of the console now. */
export function flushConsole(L: LuaState): void {
  unfinished.get(hostOf(L))?.close();
}
