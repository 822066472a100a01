/**
 * Keys of the store: what they belong to, then the key that a policy gives. A key that is too long is held by its beginning
 * and a hash of the whole, so that nothing fails because a stranger's address is long.
 *
 *     kv NUL name NUL key      rate NUL key NUL spec      grey NUL key      client NUL network      limit NUL key
 *
 * In the place of the first NUL stands 0x01 where the key is hashed: no key that is given can be taken for a hashed one.
 */
import { createHash } from 'node:crypto';

export type Area = 'kv' | 'rate' | 'grey' | 'client' | 'limit';

/** Bytes of a key that is kept as it is. LMDB takes 1,978 in all. */
export const MAX_KEY_BYTES = 1024;
/** Of a key that is hashed. */
export const KEPT_BYTES = 512;
const HASHED_BYTES = KEPT_BYTES + 32;
const NUL = Buffer.from([0]);
const HASHED = Buffer.from([1]);

/** @param before what stands before the key, and @param after what stands behind it; both short, without NUL */
export function storeKey(area: Area, key: Buffer, before?: string, after?: string): Buffer {
  const isLong = key.length > MAX_KEY_BYTES;
  return isLong ? joined(area, HASHED, hashed(key), before, after) : joined(area, NUL, key, before, after);
}

function hashed(key: Buffer): Buffer {
  return Buffer.concat([key.subarray(0, KEPT_BYTES), createHash('sha256').update(key).digest()]);
}

function joined(
  area: Area,
  mark: Buffer,
  key: Buffer,
  before: string | undefined,
  after: string | undefined,
): Buffer {
  const head = before === undefined ? area.length + 1 : area.length + before.length + 2;
  const tail = after === undefined ? 0 : 1 + after.length;
  const bytes = Buffer.allocUnsafe(head + key.length + tail);
  bytes.write(area, 'latin1');
  mark.copy(bytes, area.length);
  if (before !== undefined) {
    bytes.write(before, area.length + 1, 'latin1');
    bytes[head - 1] = 0;
  }
  key.copy(bytes, head);
  if (after !== undefined) {
    bytes[head + key.length] = 0;
    bytes.write(after, head + key.length + 1, 'latin1');
  }
  return bytes;
}

/** What a key of the store belongs to. */
export interface StoreName {
  readonly area: Area;
  /** Of `kv`: the name of `kv.open`, `''` for `kv` itself. */
  readonly space: string;
  /** As the policy gave it; where `isHashed`, its beginning and a hash. */
  readonly key: Buffer;
  readonly isHashed: boolean;
  /** Of `rate`: the rate in its shortest form. */
  readonly spec: string;
}

export const AREAS: readonly Area[] = ['kv', 'rate', 'grey', 'client', 'limit'];

/** What `storeKey` made; undefined for anything else. */
export function parseStoreKey(bytes: Buffer): StoreName | undefined {
  const area = AREAS.find((name) => bytes.subarray(0, name.length).toString('latin1') === name);
  if (area === undefined) return undefined;
  const mark = bytes[area.length];
  if (mark !== 0 && mark !== 1) return undefined;
  let key = bytes.subarray(area.length + 1);
  const name = { area, space: '', spec: '', isHashed: mark === 1 };
  if (area === 'kv') {
    const end = key.indexOf(0);
    if (end < 0) return undefined;
    name.space = key.subarray(0, end).toString('latin1');
    key = key.subarray(end + 1);
  }
  if (area === 'rate') {
    const end = key.lastIndexOf(0);
    if (end < 0) return undefined;
    name.spec = key.subarray(end + 1).toString('latin1');
    key = key.subarray(0, end);
  }
  return key.length === 0 || (name.isHashed && key.length !== HASHED_BYTES)
    ? undefined
    : { ...name, key: Buffer.from(key) };
}

/** The key of the store that `parseStoreKey` was given. */
export function keyOf({ area, space, key, isHashed, spec }: StoreName): Buffer {
  const [before, after] = aroundKey(area, space, spec);
  return isHashed ? joined(area, HASHED, key, before, after) : storeKey(area, key, before, after);
}

/** What stands before and behind a key in an area. */
export function aroundKey(
  area: Area,
  space: string,
  spec: string,
): [before: string | undefined, after: string | undefined] {
  return [area === 'kv' ? space : undefined, area === 'rate' ? spec : undefined];
}

/**
 * What the keys of the store begin with of which the policy's own begin so: as they are, and hashed.
 * @param space of `kv`: undefined for all
 */
export function beginnings(area: Area, space: string | undefined, prefix: Buffer): Buffer[] {
  const isWhole = area === 'kv' && space === undefined;
  return [NUL, HASHED].map((mark) =>
    isWhole
      ? Buffer.concat([Buffer.from(area, 'latin1'), mark])
      : joined(area, mark, prefix.subarray(0, KEPT_BYTES), aroundKey(area, space ?? '', '')[0], undefined),
  );
}
