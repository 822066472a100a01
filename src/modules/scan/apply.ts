/** The changes to headers that rspamd asks for, made on the message: what rspamd's own milter makes of them. */
import type { LuaState } from 'fengari';
import { lauxlib, lua } from '../../lua/engine/engine.ts';
import { NotPlain, type Plain, readPlain } from '../../lua/engine/plain.ts';
import { pushLatin1 } from '../../lua/engine/values.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import { runSteps, type Steps } from '../../lua/lib/steps.ts';
import { edit, editsOf } from '../../message/edit-link.ts';
import { encodeHeader } from '../../message/header-encoding.ts';
import {
  type Complaint,
  draftOf,
  type HeaderField,
  nameComplaint,
  withShortLines,
} from '../../message/header-syntax.ts';
import { SMFIF } from '../../milter/constants.ts';

type Fields = { readonly [key: string]: Plain };

/** One change, in rspamd's words. */
type Change =
  | { readonly kind: 'remove'; readonly name: string; readonly n: number }
  | { readonly kind: 'add'; readonly field: HeaderField; readonly order: number | undefined }
  | { readonly kind: 'set'; readonly field: HeaderField };

/** What is said of something that is no header. */
class Unusable extends Error {
  override readonly name = 'Unusable';
}

/** result:apply() */
export function apply(L: LuaState): number {
  lauxlib.luaL_checktype(L, 1, lua.LUA_TTABLE);
  editsOf(L);
  try {
    return runSteps(L, make(L, fieldsOf(readPlain(L, 1))));
  } catch (error) {
    if (error instanceof NotPlain) return argumentError(L, 1, 'a result of scan.rspamd expected');
    throw error;
  }
}

function* make(L: LuaState, result: Fields): Steps {
  const { utf8, headers } = editsOf(L);
  let changes: Change[];
  try {
    changes = yield* changesOf(result, utf8);
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    lua.lua_pushnil(L);
    pushLatin1(L, `protocol ${error.message}`);
    return 2;
  }
  if (changes.length === 0) {
    lua.lua_pushboolean(L, false);
    return 1;
  }
  const adds = changes.some(({ kind }) => kind !== 'remove') ? SMFIF.ADDHDRS : 0;
  const alters = changes.some(({ kind }) => kind !== 'add') ? SMFIF.CHGHDRS : 0;
  return edit(L, adds | alters, () => {
    for (const change of changes) {
      switch (change.kind) {
        case 'remove':
          removeHeader(headers, change.name, change.n);
          break;
        case 'set':
          headers.set(change.field);
          break;
        case 'add': {
          const { field, order } = change;
          if (order === undefined) headers.add(field);
          // Counted from the end.
          else headers.insert(field, order >= 0 ? order : Math.max(0, headers.length + order + 1));
        }
      }
    }
  });
}

/** @param n from 1; 0: all; below: from the last */
function removeHeader(headers: ReturnType<typeof editsOf>['headers'], name: string, n: number): void {
  const place = n < 0 ? headers.values(name).length + n + 1 : n;
  if (place >= 0) headers.delete(name, place === 0 && n === 0 ? undefined : place);
}

/** @throws Unusable */
function* changesOf(result: Fields, utf8: boolean): Generator<'pause', Change[], void> {
  const changes: Change[] = [];
  const { remove_headers, add_headers, spam_header } = fieldsOf(result['milter']);
  for (const [name, n] of Object.entries(fieldsOf(remove_headers))) {
    const place = typeof n === 'number' && Number.isInteger(n) ? n : 0;
    changes.push({ kind: 'remove', name: checkedName(name), n: place });
  }
  for (const [name, given] of Object.entries(fieldsOf(add_headers))) {
    for (const item of Array.isArray(given) ? given : [given]) {
      const {
        value,
        order,
        index = order,
      } = typeof item === 'object' ? fieldsOf(item) : fieldsOf({ value: item });
      if (value === undefined) continue;
      const field = yield* fieldOf(name, String(value), utf8);
      changes.push({ kind: 'add', field, order: typeof index === 'number' ? Math.trunc(index) : undefined });
    }
  }
  if (result['action'] === 'add header') {
    const given =
      typeof spam_header === 'object' ? fieldsOf(spam_header) : { 'X-Spam': spam_header ?? 'Yes' };
    for (const [name, value] of Object.entries(given)) {
      changes.push({ kind: 'set', field: yield* fieldOf(name, String(value), utf8) });
    }
  }
  const subject = result['subject'];
  if (result['action'] === 'rewrite subject' && subject !== undefined) {
    changes.push({ kind: 'set', field: yield* fieldOf('Subject', String(subject), utf8) });
  }
  const signatures = result['signatures'];
  for (const [i, value] of (Array.isArray(signatures) ? signatures : []).entries()) {
    changes.push({ kind: 'add', field: yield* fieldOf('DKIM-Signature', String(value), utf8), order: i + 1 });
  }
  return changes;
}

/** @throws Unusable */
function* fieldOf(name: string, value: string, utf8: boolean): Generator<'pause', HeaderField, void> {
  yield 'pause';
  const draft = usable(name, draftOf(checkedName(name), value.replace(/\r\n?/g, '\n')));
  // What needs no encoding stays as it is signed, and folded.
  const isPlain = /^[\t\n\x20-\x7e]*$/.test(draft.value);
  const encoded = isPlain ? draft.value : yield* encodeHeader(name, draft.value, { utf8, line: true });
  return usable(name, withShortLines({ name, value: encoded }, true));
}

function checkedName(name: string): string {
  const complaint = nameComplaint(name);
  if (complaint !== undefined) throw new Unusable(complaint);
  return name;
}

function usable(name: string, field: HeaderField | Complaint): HeaderField {
  if ('complaint' in field) throw new Unusable(`${name}: ${field.complaint}`);
  return field;
}

function fieldsOf(value: Plain): Fields {
  return typeof value === 'object' && !Array.isArray(value) ? (value as Fields) : {};
}
