/** Changes of parts, which become one new body when the callback is over. */
import type { LuaFunction, LuaState } from 'fengari';
import { lauxlib, lua } from '../../lua/engine/engine.ts';
import { type Host, hostOf } from '../../lua/engine/host.ts';
import { pushLatin1 } from '../../lua/engine/values.ts';
import { raise } from '../../lua/lib/arguments.ts';
import { runSteps, type Steps } from '../../lua/lib/steps.ts';
import { decoderOf, encodedIn } from '../../message/charset.ts';
import { edit, editsOf } from '../../message/edit-link.ts';
import { draftOfLine } from '../../message/header-syntax.ts';
import { SMFIF } from '../../milter/constants.ts';
import { type Banner, type Charsets, MARK_HEADER, markOf, putBanner } from '../../mime/banner.ts';
import type { Slices } from '../../mime/byte-source.ts';
import {
  binaryPart,
  MimeEdits,
  obstacleTo,
  obstacleToAdding,
  type Replacement,
  textPart,
} from '../../mime/edit.ts';
import type { MimeTree, Part } from '../../mime/part.ts';
import { OptionTable } from '../arguments.ts';
import { changesIn, type MimeMessage } from './message.ts';
import { inTurns } from './turns.ts';

const OF_BODY = SMFIF.CHGBODY;
/** Where the headers of the message change with it. */
const OF_ALL = SMFIF.CHGBODY | SMFIF.CHGHDRS | SMFIF.ADDHDRS;
const MAX_TYPE = 200;
const MAX_NAME = 1000;
const MAX_BANNER = 65_536;
/** A type without parameters: the charset is ours to say. */
const TYPE = /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/;

/** What the script gives for a new part. */
interface NewPart {
  readonly type: string;
  readonly data: Buffer;
  readonly name: string | undefined;
}

/** The table in argument `arg`: `{ type=, data=, name= }`. */
export function checkNewPart(L: LuaState, arg: number): NewPart {
  lauxlib.luaL_checktype(L, arg, lua.LUA_TTABLE);
  const options = new OptionTable(L, arg, ['type', 'data', 'name']);
  const data = options.bytes('data') ?? options.complain('data', 'is missing');
  const name = options.text('name', MAX_NAME);
  if (name !== undefined && name.length > MAX_NAME)
    return options.complain('name', `at most ${MAX_NAME} bytes`);
  const type = (options.text('type', MAX_TYPE) ?? 'application/octet-stream').toLowerCase();
  if (!TYPE.test(type) || type.length > MAX_TYPE) return options.complain('type', 'like text/plain expected');
  if (/^(?:multipart|message)\//.test(type)) return options.complain('type', 'no multipart and no message');
  return { type, data, name };
}

/** Text that is UTF-8 stays legible, all else is encoded. */
function* replacementOf({ type, data, name }: NewPart): Slices<Replacement> {
  const isText = type.startsWith('text/') && data.length <= MAX_TEXT && isUtf8(data);
  return yield* isText ? textPart(type, data, name) : binaryPart(type, data, name);
}

/** Bytes of a text that is written as such. */
const MAX_TEXT = 1024 * 1024;

function isUtf8(bytes: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** part:replace{...} */
export function* replacePart(L: LuaState, message: MimeMessage, part: Part, given: NewPart): Steps {
  const { tree, changes } = yield* begin(L, message, 'mime.part:replace');
  const obstacle = part.isUuencoded ? 'encoded' : obstacleTo(part);
  if (obstacle !== undefined) return refuse(L, obstacle);
  const replacement = yield* inTurns(L, replacementOf(given));
  return make(L, actionsOn(part, tree), message, changes, () => changes.replace(part, replacement));
}

/** part:remove() */
export function* removePart(L: LuaState, message: MimeMessage, part: Part): Steps {
  const { tree, changes } = yield* begin(L, message, 'mime.part:remove');
  const obstacle = obstacleTo(part);
  if (obstacle !== undefined) return refuse(L, obstacle);
  return make(L, actionsOn(part, tree), message, changes, () => changes.remove(part));
}

/** mime.add{...} */
export function* addPart(L: LuaState, message: MimeMessage, given: NewPart): Steps {
  const { tree, changes } = yield* begin(L, message, 'mime.add');
  const root = tree.parts[0];
  const obstacle = root && obstacleToAdding(root);
  if (obstacle !== undefined) return refuse(L, obstacle);
  const added = yield* inTurns(L, replacementOf({ ...given, name: given.name ?? '' }));
  return make(L, changes.hasRoom ? OF_BODY : OF_ALL, message, changes, () => changes.add(added));
}

/** Of the message itself, headers change too. */
function actionsOn(part: Part, { parts }: MimeTree): number {
  return part === parts[0] ? OF_ALL : OF_BODY;
}

function* begin(
  L: LuaState,
  message: MimeMessage,
  what: string,
): Generator<'pause', { tree: MimeTree; changes: MimeEdits }, void> {
  if (!editsOf(L).partsChanged && editsOf(L).bodyReplaced)
    return raise(L, `${what}: body.replace has replaced the body`);
  const tree = yield* inTurns(L, message.tree());
  const [root] = tree.parts;
  if (!root) throw new Error('a message without a part');
  return { tree, changes: message.changes ?? new MimeEdits(root) };
}

function refuse(L: LuaState, why: string): number {
  lua.lua_pushboolean(L, false);
  pushLatin1(L, why);
  return 2;
}

function make(
  L: LuaState,
  actions: number,
  message: MimeMessage,
  changes: MimeEdits,
  change: () => void,
): number {
  return edit(L, actions, () => {
    change();
    message.changes = changes;
    editsOf(L).changeParts();
  });
}

/** The table in argument 1: `{ text=, html=, at=, once=, mark= }`. */
export function checkBanner(L: LuaState): Banner {
  lauxlib.luaL_checktype(L, 1, lua.LUA_TTABLE);
  const options = new OptionTable(L, 1, ['text', 'html', 'at', 'once', 'mark']);
  const text = options.bytes('text') ?? options.complain('text', 'is missing');
  const html = options.bytes('html') ?? htmlOf(text);
  for (const [name, bytes] of Object.entries({ text, html })) {
    if (bytes.length > MAX_BANNER) return options.complain(name, `at most ${MAX_BANNER} bytes`);
    if (!isUtf8(bytes)) return options.complain(name, 'UTF-8 expected');
  }
  const at = options.text('at', 10) ?? 'top';
  if (at !== 'top' && at !== 'end') return options.complain('at', 'top or end expected');
  const mark = options.text('mark', 64) ?? markOf(text);
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(mark))
    return options.complain('mark', '1 to 64 letters, digits, - and _');
  return { text, html, at, once: options.boolean('once') ?? true, mark };
}

const SIGNS: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

function htmlOf(text: Buffer): Buffer {
  const escaped = text.toString('latin1').replace(/[&<>]/g, (sign) => SIGNS[sign] ?? sign);
  const lines = escaped.replace(/\r?\n$/, '').replace(/\r?\n/g, '<br>');
  return Buffer.from(`<div>${lines}</div>`, 'latin1');
}

const CHARSETS: Charsets = {
  toUtf8: (bytes, charset) => {
    const text = decoderOf(charset)?.(bytes.toString('latin1'));
    return text === undefined ? undefined : Buffer.from(text, 'latin1');
  },
  fromUtf8: (text, charset) => {
    const bytes = encodedIn(charset, text.toString('latin1'));
    return bytes === undefined ? undefined : Buffer.from(bytes, 'latin1');
  },
};

/** mime.banner{...} */
export function* addBanner(L: LuaState, message: MimeMessage, banner: Banner): Steps {
  const { tree, changes } = yield* begin(L, message, 'mime.banner');
  // Put into changes of its own first: the MTA may not grant them.
  const [root] = tree.parts;
  if (!root) throw new Error('a message without a part');
  const own = new MimeEdits(root);
  const result = yield* inTurns(L, putBanner(tree.parts, own, banner, CHARSETS));
  if (result !== 'put') return refuse(L, result);
  const isTaken = own.changed.some(([part]) => changes.replacementOf(part) !== undefined);
  if (isTaken) return refuse(L, 'changed');
  return make(L, OF_ALL, message, changes, () => {
    for (const [part, replacement] of own.changed) changes.replace(part, replacement);
    editsOf(L).headers.add({ name: MARK_HEADER, value: ` ${banner.mark}` });
  });
}

/** What is to run when the callback has ended well, before its edits are sent; undefined where no part is changed. */
export function changesToApply(host: Host): LuaFunction | undefined {
  const changes = changesIn(host);
  return changes && ((L) => runSteps(L, apply(L, changes)));
}

function* apply(L: LuaState, changes: MimeEdits): Steps {
  const { headers, dropped, body } = yield* inTurns(L, changes.apply());
  const edits = editsOf(L);
  for (const line of headers) {
    const field = draftOfLine(line);
    if ('complaint' in field) return raise(L, `mime: ${field.complaint}`);
    edits.headers.set(field);
  }
  for (const name of dropped) edits.headers.delete(name);
  edits.replaceBody(body);
  hostOf(L).noteKept(body.length);
  return 0;
}
