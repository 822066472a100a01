/** ZIP archives as PKWARE's APPNOTE describes them, without checksums, which nobody looks at here. */
import { deflateRawSync } from 'node:zlib';

export interface ZipMember {
  readonly name: string;
  readonly data?: Buffer | string;
  readonly flags?: number;
  readonly deflate?: boolean;
  /** Another name in the directory; `null`: it is not in the directory. */
  readonly listedAs?: string | null;
}

export function zip(
  members: readonly ZipMember[],
  { directory = true, comment = '' }: { readonly directory?: boolean; readonly comment?: string } = {},
): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const { name, data = '', flags = 0, deflate = false, listedAs = name } of members) {
    const plain = Buffer.from(data);
    const packed = deflate ? deflateRawSync(plain) : plain;
    const local = Buffer.alloc(30);
    local.write('PK\x03\x04', 0, 'latin1');
    local.writeUInt16LE(flags, 6);
    local.writeUInt16LE(deflate ? 8 : 0, 8);
    local.writeUInt32LE(packed.length, 18);
    local.writeUInt32LE(plain.length, 22);
    local.writeUInt16LE(Buffer.byteLength(name), 26);
    locals.push(local, Buffer.from(name), packed);
    if (listedAs !== null) {
      const header = Buffer.alloc(46);
      header.write('PK\x01\x02', 0, 'latin1');
      header.writeUInt16LE(flags, 8);
      header.writeUInt16LE(deflate ? 8 : 0, 10);
      header.writeUInt32LE(packed.length, 20);
      header.writeUInt32LE(plain.length, 24);
      header.writeUInt16LE(Buffer.byteLength(listedAs), 28);
      header.writeUInt32LE(offset, 42);
      central.push(header, Buffer.from(listedAs));
    }
    offset += 30 + Buffer.byteLength(name) + packed.length;
  }
  const list = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE((central.length / 2) & 0xffff, 10);
  end.writeUInt32LE(list.length, 12);
  end.writeUInt32LE(offset, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...locals, ...(directory ? [list, end, Buffer.from(comment, 'latin1')] : [])]);
}
