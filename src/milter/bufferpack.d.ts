/**
 * Types of the part of bufferpack 0.0.6 in use: unsigned integers of fixed layouts. bufferpack ships none.
 *
 * From ESM it has a default export only. What is left out is left out on purpose: `S` never ends when a NUL is missing,
 * strings do not belong here, and pack() uses the deprecated `new Buffer()`.
 */
declare module 'bufferpack' {
  /** `>` and, for each value, `B` (8 bits), `H` (16) or `I` (32): unsigned, big-endian, unaligned. */
  export type FixedLayout = `>${string}`;

  interface BufferPack {
    /** Bytes that `layout` takes; letters that bufferpack does not know count for nothing. */
    calcLength(layout: FixedLayout, values: readonly number[]): number;
    /** Undefined when `bytes` is too short. */
    unpack(layout: FixedLayout, bytes: Buffer, offset: number): number[] | undefined;
    /** Clamps values out of range; false when `bytes` or `values` is too short. */
    packTo(layout: FixedLayout, bytes: Buffer, offset: number, values: readonly number[]): Buffer | false;
  }

  const bufferpack: BufferPack;
  export default bufferpack;
}
