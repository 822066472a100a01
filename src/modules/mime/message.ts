/** The message that smtp.do_dot decides on, taken apart: what is kept of it while the callback runs. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import type { LuaState, LuaTable } from 'fengari';
import { type Host, hostOf, PerState } from '../../lua/engine/host.ts';
import { raise } from '../../lua/lib/arguments.ts';
import { ARCHIVE_LIMITS, type Archive, type ArchiveLimits } from '../../mime/archive.ts';
import type { ArchiveDefect } from '../../mime/archive-entry.ts';
import { type ByteSource, FileSource, PiecesSource, type Slices } from '../../mime/byte-source.ts';
import { decode } from '../../mime/decode.ts';
import type { MimeEdits } from '../../mime/edit.ts';
import type { Defect, MimeTree, Part } from '../../mime/part.ts';
import { readMime } from '../../mime/reader.ts';
import { factsOf } from '../session.ts';

/** As scripts see them. */
export type ShownDefect = Defect | `archive: ${ArchiveDefect}`;

export class MimeMessage {
  readonly #kept: Buffer | readonly Buffer[];
  #descriptor: number | undefined;
  #tree: MimeTree | undefined;
  readonly #defects = new Set<Defect>();
  readonly #archiveDefects = new Set<ArchiveDefect>();
  /** Bytes of parts when they are decoded, as far as they are known. */
  readonly #sizes = new Map<Part, number>();
  /** What has been found in parts that are archives. */
  readonly archives = new Map<Part, Archive | 'none'>();
  #archiveRoom: ArchiveLimits = ARCHIVE_LIMITS;
  /** The array that the script has, and its elements. */
  table: LuaTable | undefined;
  readonly tables = new Map<LuaTable, Part>();

  /** @param kept path of the file, or the message itself in pieces */
  constructor(kept: Buffer | readonly Buffer[]) {
    this.#kept = kept;
  }

  /** What the script wants changed; made at the first change. */
  changes: MimeEdits | undefined;

  /** Its parts; read at the first time. @throws what the system says of opening or reading the file */
  *tree(): Slices<MimeTree> {
    if (this.#tree) return this.#tree;
    const tree = yield* readMime(this.#source());
    for (const defect of tree.defects) this.#defects.add(defect);
    this.#tree = tree;
    return tree;
  }

  #source(): ByteSource {
    if (!Buffer.isBuffer(this.#kept)) return new PiecesSource(this.#kept);
    this.#descriptor ??= openSync(this.#kept, 'r');
    return new FileSource(this.#descriptor, fstatSync(this.#descriptor).size);
  }

  /** What is odd in parts that are decoded is added here. */
  get defects(): Set<Defect> {
    return this.#defects;
  }

  get archiveDefects(): Set<ArchiveDefect> {
    return this.#archiveDefects;
  }

  /** What may still be listed and unpacked: the limits are those of all archives of a message. */
  get archiveRoom(): ArchiveLimits {
    return this.#archiveRoom;
  }

  takeRoom({ files = [], unpackedBytes, directoryBytes }: Archive): void {
    const room = this.#archiveRoom;
    this.#archiveRoom = {
      ...room,
      names: room.names - files.length,
      nameBytes: room.nameBytes - files.reduce((bytes, { name }) => bytes + name.length, 0),
      unpackedBytes: room.unpackedBytes - unpackedBytes,
      directoryBytes: room.directoryBytes - directoryBytes,
    };
  }

  /** Those of all parts, archives as far as they have been looked into. */
  *allDefects(): Slices<ShownDefect[]> {
    const { parts } = yield* this.tree();
    for (const part of parts) yield* this.sizeOf(part);
    return [...this.#defects, ...[...this.#archiveDefects].map((defect) => `archive: ${defect}` as const)];
  }

  /** Bytes of a part when it is decoded; those of its body where it holds parts of its own. */
  *sizeOf(part: Part): Slices<number> {
    const plain = this.plainSizeOf(part);
    if (plain !== undefined) return plain;
    let size = 0;
    yield* decode(
      part,
      (bytes) => {
        size += bytes.length;
      },
      this.#defects,
    );
    this.#sizes.set(part, size);
    return size;
  }

  /** The size where nothing needs to be decoded for it, or that has been done. */
  plainSizeOf(part: Part): number | undefined {
    return part.encoding === 'identity' ? part.end - part.bodyStart : this.#sizes.get(part);
  }

  /** Its first bytes, decoded; a new buffer. */
  *headOf(part: Part, count: number): Slices<Buffer> {
    const pieces: Buffer[] = [];
    let size = 0;
    yield* decode(
      part,
      (bytes) => {
        if (size < count) pieces.push(Buffer.from(bytes.subarray(0, count - size)));
        size += bytes.length;
      },
      this.#defects,
      () => size >= count,
    );
    return Buffer.concat(pieces);
  }

  /** The callback is over. */
  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
    this.tables.clear();
    this.archives.clear();
  }
}

const messages = new PerState<MimeMessage>();

/** The message of the callback that runs; undefined in those that have none. Raises an error where it could not be kept. */
export function messageOf(L: LuaState): MimeMessage | undefined {
  const { message: kept } = factsOf(L);
  if (kept === undefined) return undefined;
  if (kept.kind === 'unknown') return raise(L, `mime: ${kept.reason}`);
  const host = hostOf(L);
  let message = messages.get(host);
  if (message === undefined) {
    const { path, pieces } = kept.value;
    message = new MimeMessage(pieces ?? host.locate(Buffer.from(path, 'latin1')));
    messages.set(host, message);
  }
  return message;
}

/** The changes that the callback of `host` has asked for; undefined where there are none. */
export function changesIn(host: Host): MimeEdits | undefined {
  const changes = messages.get(host)?.changes;
  return changes?.isEmpty === false ? changes : undefined;
}

/** The callback is over. */
export function closeMessage(host: Host): void {
  messages.get(host)?.close();
  messages.delete(host);
}
