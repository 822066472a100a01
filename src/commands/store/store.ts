/** `smtpf-milter store`: looks into the store of a server and mends it by hand, while the server runs or not. */
import type { Options } from '../../options/option-table.ts';
import { beginnings, KEPT_BYTES, keyOf, parseStoreKey, type StoreName } from '../../store/key.ts';
import { lookUp, removal, restore } from '../../store/kv.ts';
import { FOREVER, type Stored } from '../../store/stored.ts';
import { EXIT } from '../../text/operator-error.ts';
import { ByHandStore } from './by-hand-store.ts';
import { dumpTo, loadFrom } from './dump-file.ts';
import { entryJson, entryText } from './entry-text.ts';
import {
  checkField,
  type Field,
  fieldOf,
  nameOf,
  readBytes,
  readContent,
  readKey,
  readLifetime,
  wrongUse,
} from './store-words.ts';

export interface StoreArguments {
  readonly action: string;
  readonly words: readonly string[];
  readonly json: boolean;
  readonly ttl: string | undefined;
  readonly isString: boolean;
  /** Takes what is printed; false where nobody reads any more. */
  readonly write: (text: string) => Promise<boolean>;
}

/** An entry that is one of a policy. */
interface Found {
  readonly name: StoreName;
  readonly stored: Stored;
}

const NOTHING_FOUND = 1;
/** What is said in `grey` and `client` where no --ttl is given: as long as grey.check keeps them by default. */
const GREY_TTL_MS = 3_024_000_000;

type Action = (args: StoreArguments, open: Opening) => Promise<number>;
type Opening = (writes: boolean) => Promise<ByHandStore>;

const ACTIONS: Readonly<Record<string, Action>> = { list, get, set, del, dump, load };

/**
 * @returns 1 where `get` and `del` find nothing
 * @throws OperatorError: 64 for wrong use, 75 where the store does not answer
 */
export async function store(options: Options, args: StoreArguments): Promise<number> {
  const act = Object.hasOwn(ACTIONS, args.action) ? ACTIONS[args.action] : undefined;
  if (act === undefined)
    throw wrongUse(`${args.action}: no such action: list, get, set, del, dump or load expected`);
  for (const [name, isGiven] of [
    ['ttl', args.ttl !== undefined],
    ['string', args.isString],
  ] as const) {
    if (isGiven && args.action !== 'set')
      throw wrongUse(`${args.action}: --${name} is for \`store set\` alone`);
  }
  let opened: ByHandStore | undefined;
  try {
    return await act(args, async (writes) => {
      opened = await ByHandStore.open(options, writes);
      return opened;
    });
  } finally {
    await opened?.close();
  }
}

/** list [AREA] [PREFIX] */
async function list(args: StoreArguments, open: Opening): Promise<number> {
  const { words } = args;
  const [first, second, ...more] = words;
  if (more.length > 0) throw wrongUse('list: at most an area and what keys begin with');
  const field =
    first === undefined ? undefined : second === undefined ? fieldOf(first) : checkField('list', first);
  const text = field === undefined ? first : second;
  const prefix = text === undefined ? Buffer.alloc(0) : readBytes('list', text);
  // To `kv` belong its spaces too.
  const where = field && { area: field.area, space: field.space === '' ? undefined : field.space };
  for await (const each of found(await open(false), where, prefix)) {
    if (!(await print(args, each))) break;
  }
  return EXIT.ok;
}

/** get [AREA] KEY [SPEC] */
async function get(args: StoreArguments, open: Opening): Promise<number> {
  const which = oneOf('get', args.words);
  const entries = await matching(await open(false), which);
  for (const each of entries) await print(args, each);
  return entries.length > 0 ? EXIT.ok : NOTHING_FOUND;
}

/** del [AREA] KEY [SPEC] */
async function del(args: StoreArguments, open: Opening): Promise<number> {
  const which = oneOf('del', args.words);
  const opened = await open(true);
  let count = 0;
  for (const each of await matching(opened, which)) {
    if (!(await opened.run(removal('store del', [keyOf(each.name)])))) continue;
    count += 1;
    await print(args, each, 'deleted: ');
  }
  return count > 0 ? EXIT.ok : NOTHING_FOUND;
}

/** set [AREA] KEY VALUE */
async function set(args: StoreArguments, open: Opening): Promise<number> {
  const { words, ttl, isString } = args;
  if (words.length !== 2 && words.length !== 3)
    throw wrongUse('set: a key and a value must be named: smtpf-milter store set [AREA] KEY VALUE');
  const [keyWord = '', value = ''] = words.slice(-2);
  const field = words.length === 2 ? { area: 'kv' as const, space: '' } : checkField('set', words[0] ?? '');
  const name = nameOf(field, readKey('set', keyWord));
  const data = readContent(field, value, isString);
  const ttlMs = ttl === undefined ? (field.area === 'kv' ? undefined : GREY_TTL_MS) : readLifetime(ttl);
  const opened = await open(true);
  const stored = { data, expires: ttlMs === undefined ? FOREVER : Date.now() + ttlMs };
  await opened.run(restore(keyOf(name), stored));
  await print(args, { name, stored });
  return EXIT.ok;
}

interface Which {
  /** undefined: in all areas */
  readonly field: Field | undefined;
  readonly key: Buffer;
  readonly spec: string | undefined;
}

/** @throws OperatorError */
function oneOf(action: string, words: readonly string[]): Which {
  const [first, second, spec, ...more] = words;
  if (first === undefined || more.length > 0)
    throw wrongUse(`${action}: a key must be named: smtpf-milter store ${action} [AREA] KEY`);
  if (second === undefined) return { field: undefined, key: readKey(action, first), spec: undefined };
  const field = checkField(action, first);
  if (spec !== undefined && field.area !== 'rate')
    throw wrongUse(`${action}: ${JSON.stringify(spec)}: only rate has a rate behind the key`);
  return { field, key: readKey(action, second), spec };
}

async function matching(opened: ByHandStore, { field, key, spec }: Which): Promise<Found[]> {
  const hashed = { ...nameOf(field ?? ANYWHERE, key, spec ?? ''), key, isHashed: true };
  if (field !== undefined && (field.area !== 'rate' || spec !== undefined)) {
    for (const name of [nameOf(field, key, spec), hashed]) {
      const stored = await opened.run(lookUp(keyOf(name)));
      if (stored !== undefined) return [{ name, stored }];
    }
    return [];
  }
  const wanted = nameOf(ANYWHERE, key);
  const all: Found[] = [];
  for await (const each of found(opened, field, key)) {
    const { isHashed, key: own } = each.name;
    if (own.equals(isHashed && !wanted.isHashed ? hashed.key : wanted.key) && (isHashed || !wanted.isHashed))
      all.push(each);
  }
  return all;
}

const ANYWHERE: Field = { area: 'grey', space: '' };

/** Entries of policies, in an area or all, whose keys begin so. */
async function* found(
  opened: ByHandStore,
  field: { readonly area: Field['area']; readonly space: string | undefined } | undefined,
  prefix: Buffer,
): AsyncGenerator<Found> {
  const prefixes = field === undefined ? [Buffer.alloc(0)] : beginnings(field.area, field.space, prefix);
  for await (const { key, data, expires } of opened.entries(prefixes)) {
    const name = parseStoreKey(key);
    if (name === undefined) continue;
    const compared = name.isHashed ? prefix.subarray(0, KEPT_BYTES) : prefix;
    if (name.key.subarray(0, compared.length).equals(compared)) yield { name, stored: { data, expires } };
  }
}

/** dump [FILE] */
async function dump({ words, write }: StoreArguments, open: Opening): Promise<number> {
  const [path = '-', ...more] = words;
  if (more.length > 0) throw wrongUse('dump: at most one file: smtpf-milter store dump [FILE]');
  const opened = await open(false);
  await dumpTo(path, opened.entries([Buffer.alloc(0)]), write);
  return EXIT.ok;
}

/** load FILE */
async function load({ words }: StoreArguments, open: Opening): Promise<number> {
  const [path, ...more] = words;
  if (path === undefined || more.length > 0)
    throw wrongUse('load: one file must be named, - for standard input: smtpf-milter store load FILE');
  await loadFrom(path, async () => {
    const opened = await open(true);
    return (key, stored) => opened.run(restore(key, stored));
  });
  return EXIT.ok;
}

/** False where nobody reads any more. */
function print({ json, write }: StoreArguments, { name, stored }: Found, before = ''): Promise<boolean> {
  const now = Date.now();
  const line = json ? entryJson(name, stored, now) : `${before}${entryText(name, stored, now)}`;
  return write(`${line}\n`);
}
