/** What smtp.do_headers is given, and the first part of a message file. */
import type { LuaState, LuaTable } from 'fengari';
import { bytesOf } from '../lua/engine/engine.ts';
import { bytesValue, lateTable, pushValue, setIndex, tableValue } from '../lua/engine/values.ts';

/** The header of a message, as bytes where they are wanted. */
export class Head {
  readonly lines: readonly string[];
  /** In bytes. */
  readonly length: number;
  #bytes: Uint8Array | undefined;

  constructor(lines: readonly string[]) {
    this.lines = lines;
    let length = 2;
    for (let i = 0; i < lines.length; i++) length += (lines[i]?.length ?? 0) + 2;
    this.length = length;
  }

  /** Every line with CR LF, and the empty line. */
  get bytes(): Uint8Array {
    const { lines } = this;
    this.#bytes ??= bytesOf(lines.length > 0 ? `${lines.join('\r\n')}\r\n\r\n` : '\r\n');
    return this.#bytes;
  }
}

/** Pushes an array of the lines. */
export function pushLines(L: LuaState, head: Head): number {
  const fill = (table: LuaTable): void => {
    const { buffer, byteOffset } = head.bytes;
    let start = byteOffset;
    head.lines.forEach((line, i) => {
      setIndex(table, i + 1, bytesValue(L, new Uint8Array(buffer, start, line.length)));
      start += line.length + 2;
    });
  };
  pushValue(L, tableValue(lateTable(L, fill)));
  return 1;
}
