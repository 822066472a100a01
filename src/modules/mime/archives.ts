/** What is in a part that is an archive, and what a part is by its bytes. */
import type { LuaState, LuaTable } from 'fengari';
import { lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import {
  booleanValue,
  lateTable,
  newTable,
  numberValue,
  pushLatin1,
  pushOptional,
  pushValue,
  setField,
  setIndex,
  tableValue,
  textValue,
} from '../../lua/engine/values.ts';
import type { Steps } from '../../lua/lib/steps.ts';
import { decoderOf } from '../../message/charset.ts';
import { type Archive, type ArchivedFile, filesIn } from '../../mime/archive.ts';
import type { ArchiveDefect } from '../../mime/archive-entry.ts';
import { decodedBytes } from '../../mime/decode.ts';
import { declaredKind, KIND_BYTES, kindOf, officeKind } from '../../mime/kind.ts';
import type { Part } from '../../mime/part.ts';
import type { MimeMessage } from './message.ts';
import { inTurns } from './turns.ts';

/** To make the table of a file, in steps of Host.charge(). */
const STEPS_PER_FILE = 500;
/** A name that may be so long when it is decoded is made at once: its bytes may be too much for the callback. */
const LONG_NAME = 1024;
/** Tables that are made until others may have their turn. */
const FILES_PER_TURN = 20;
/** Of what is unpacked to look into an archive: zlib's threads do that while the callback waits. */
const UNPACKED_PER_MS = 300_000;

type Found = Archive | 'none' | 'too large';

/** Looks into the archive that a part is, once. */
function* archiveOf(
  L: LuaState,
  message: MimeMessage,
  part: Part,
): Generator<'pause' | Promise<void>, Found, void> {
  const known = message.archives.get(part);
  if (known) return known;
  const most = hostOf(L).limits.stringBytes;
  const bytes = yield* inTurns(L, decodedBytes(part, most, message.defects));
  if (bytes === undefined) return 'too large';
  const defects = new Set<ArchiveDefect>();
  const found = (yield* inTurns(L, filesIn(bytes, defects, message.archiveRoom))) ?? 'none';
  for (const defect of defects) message.archiveDefects.add(defect);
  if (found !== 'none') {
    message.takeRoom(found);
    hostOf(L).spend(L, (found.unpackedBytes - found.directoryBytes) / UNPACKED_PER_MS);
  }
  message.archives.set(part, found);
  return found;
}

/** part:files() */
export function* filesOf(L: LuaState, message: MimeMessage, part: Part): Steps {
  const found = yield* archiveOf(L, message, part);
  if (found === 'none') {
    lua.lua_pushnil(L);
    return 1;
  }
  if (found === 'too large' || found.files === undefined) {
    lua.lua_pushnil(L);
    pushLatin1(
      L,
      found === 'too large' ? `limit more than ${hostOf(L).limits.stringBytes} bytes` : whyNot(found),
    );
    return 2;
  }
  const table = newTable(L);
  for (const [i, file] of found.files.entries()) {
    setIndex(table, i + 1, tableValue(tableOfFile(L, file)));
    hostOf(L).charge(L, STEPS_PER_FILE);
    if (i % FILES_PER_TURN === 0) yield 'pause';
  }
  pushValue(L, tableValue(table));
  return 1;
}

const TROUBLES = { unknown: 'not supported', locked: 'names are encrypted', damaged: 'damaged' };

function whyNot({ type, trouble = 'unknown' }: Archive): string {
  return `protocol ${TROUBLES[trouble]}: ${type}`;
}

function tableOfFile(L: LuaState, file: ArchivedFile): LuaTable {
  if (file.name.length < LONG_NAME) return lateTable(L, (table) => fill(L, table, file));
  const table = newTable(L);
  fill(L, table, file);
  return table;
}

function fill(L: LuaState, table: LuaTable, { name, charset, size, isEncrypted, depth }: ArchivedFile): void {
  const shown = charset === 'utf-8' ? name : (decoderOf(charset)?.(name) ?? name);
  setField(L, table, 'name', textValue(L, shown));
  setField(L, table, 'size', numberValue(size));
  setField(L, table, 'encrypted', booleanValue(isEncrypted));
  setField(L, table, 'depth', numberValue(depth));
}

/** part:kind() */
export function* kindOfPart(L: LuaState, message: MimeMessage, part: Part): Steps {
  const head = yield* inTurns(L, message.headOf(part, KIND_BYTES));
  let kind = kindOf(head);
  if (kind === 'application/zip') {
    const declared = declaredKind(head);
    if (declared !== undefined) kind = declared;
    else {
      const found = yield* archiveOf(L, message, part);
      if (typeof found === 'object') kind = officeKind(found.files?.map(({ name }) => name) ?? []) ?? kind;
    }
  }
  pushOptional(L, kind);
  return 1;
}
