/**
 * The global table `smtp` as a script sees it: constants, the fields of session and transaction, and where the
 * callbacks are found.
 */
import type { LuaState, LuaTable, TValue } from 'fengari';
import { ascii, latin1Of, lua } from '../../lua/engine/engine.ts';
import {
  append,
  fieldKey,
  fieldOf,
  globalsOf,
  isFunction,
  lateTable,
  NIL,
  newTable,
  numberValue,
  pushValue,
  setField,
  setIndex,
  setValue,
  tableOf,
  tableValue,
  textValue,
  valueAt,
} from '../../lua/engine/values.ts';
import { seesFirstArgument } from '../../lua/script/first-argument.ts';
import type { PolicyEvent } from '../../milter/policy.ts';
import { CALLBACKS, type CallbackName } from './callbacks.ts';
import { type FieldValue, LateFields } from './late-fields.ts';

/**
 * The fields of `smtp` that each callback is looked for under, in that order: the API's name, then the one that smtpf's
 * own code used.
 */
export const CALLBACK_FIELDS = Object.fromEntries(
  CALLBACKS.map(({ name, alias }) => {
    const fields = [name, alias].map((path) => path.replace(/^smtp\./, ''));
    return [fields[0]?.replace(/^do_/, ''), fields];
  }),
) as Readonly<Record<CallbackName, readonly [name: string, alias: string]>>;

export const CALLBACK_NAMES = Object.keys(CALLBACK_FIELDS) as readonly CallbackName[];

/** The same ready for use: the key in the table `smtp`, and the name as messages show it. */
interface Spelling {
  readonly key: TValue;
  readonly shown: string;
}

const SPELLINGS: ReadonlyMap<CallbackName, readonly Spelling[]> = new Map(
  CALLBACK_NAMES.map((callback) => [
    callback,
    CALLBACK_FIELDS[callback].map((name) => ({ key: fieldKey(name), shown: `smtp.${name}` })),
  ]),
);

/** Adds the table to the globals of a new state, without functions and constants. */
export function installSmtp(L: LuaState): void {
  lua.lua_newtable(L);
  for (const [name, key] of Object.entries(KEPT)) {
    lua.lua_newtable(L);
    lua.lua_pushvalue(L, -1);
    lua.lua_setfield(L, lua.LUA_REGISTRYINDEX, ascii(key));
    lua.lua_setfield(L, -2, ascii(name));
  }
  lua.lua_getfield(L, -1, ascii('tran'));
  lua.lua_setfield(L, -2, ascii('trans')); // The name in smtpf's own code.
  lua.lua_newtable(L);
  lua.lua_setfield(L, -2, ascii('note'));
  lua.lua_setglobal(L, ascii('smtp'));
}

/** Tables that are found again whatever the script does to its globals, and where in the registry. */
const SMTP = fieldKey('smtp');

const KEPT = { sess: 'smtpf.sess', tran: 'smtpf.tran' } as const;

/** Fields that live as long as a transaction. */
const TRAN_FIELDS = ['id', 'sender', 'raw_sender', 'queue_id', 'params', 'rcpts', 'size', 'note'];

type EnvelopeEvent = Extract<PolicyEvent, { kind: 'mail' | 'rcpt' }>;

/** One recipient of the message in progress, as smtp.tran.rcpts shows it. */
interface Recipient {
  readonly address: string;
  /** As the client wrote it. */
  readonly written: string;
  readonly params: readonly string[];
  /** Its verdict: a reply code and, when it was refused, the text. */
  code: number | undefined;
  text: string | undefined;
}

/**
 * The table `smtp` of one context. Metatables that a script puts on its tables have no say. What is set here becomes Lua
 * values when the script looks.
 */
export class SmtpTable {
  /** The main thread. */
  readonly #L: LuaState;
  readonly #sess: LateFields;
  readonly #tran: LateFields;
  /** Of the transaction in progress. */
  #recipients: Recipient[] = [];
  /** smtp.tran.rcpts, once the script has looked at it in this transaction. */
  #recipientTable: LuaTable | undefined;
  /** The last recipient's entry there. */
  #entry: LuaTable | undefined;
  #found: TValue = NIL;

  /** `L` is the main thread of a state made from a template in which installSmtp() has run. */
  constructor(L: LuaState) {
    this.#L = L;
    const kept = (key: string): LateFields => {
      const table = tableOf(fieldOf(L, L.l_G.l_registry.value, key));
      if (!table) throw new Error('a template without the table smtp');
      return new LateFields(L, table);
    };
    this.#sess = kept(KEPT.sess);
    this.#tran = kept(KEPT.tran);
  }

  /** Whether the script has looked into smtp.sess. */
  get sessionSeen(): boolean {
    return this.#sess.seen;
  }

  /** Takes back what was set in smtp.sess, unless the script has looked. */
  forgetSession(): void {
    this.#sess.forget();
  }

  /** A new transaction: `size` is what the client declared, undefined when it did not. */
  beginTransaction(id: string, { address, written, params }: EnvelopeEvent, size: number | undefined): void {
    const L = this.#L;
    this.#recipients = [];
    this.#recipientTable = undefined;
    this.#entry = undefined;
    this.setTransaction('id', id);
    this.setTransaction('sender', address);
    this.setTransaction('raw_sender', written);
    this.setTransaction('size', size);
    this.setTransaction('params', () => tableValue(parametersOf(L, params)));
    this.setTransaction('note', () => tableValue(newTable(L)));
    this.setTransaction('rcpts', () => this.#showRecipients());
  }

  /** Adds an entry { addr, raw, params } to smtp.tran.rcpts. */
  addRecipient({ address, written, params }: EnvelopeEvent): void {
    const recipient: Recipient = { address, written, params, code: undefined, text: undefined };
    this.#recipients.push(recipient);
    if (this.#recipientTable) append(this.#recipientTable, this.#show(recipient));
  }

  /** Sets the verdict that the last recipient got: a reply code and, when it was refused, the text. */
  judgeRecipient(code: number, text: string | undefined): void {
    const recipient = this.#recipients.at(-1);
    if (!recipient) return;
    recipient.code = code;
    recipient.text = text;
    if (this.#entry) this.#showVerdict(this.#entry, recipient);
  }

  /** The canonical addresses of those that were not refused so far. */
  get recipients(): string[] {
    return this.#recipients.flatMap(({ address, code }) =>
      code === undefined || code < 400 ? [address] : [],
    );
  }

  endTransaction(): void {
    for (const name of TRAN_FIELDS) this.#tran.set(name, undefined);
    this.#recipients = [];
    this.#recipientTable = undefined;
    this.#entry = undefined;
  }

  setSession(name: string, value: FieldValue): void {
    this.#sess.set(name, value);
  }

  setTransaction(name: string, value: FieldValue): void {
    this.#tran.set(name, value);
  }

  /** Sets smtp.sess.NAME to a table that `fill` is given on top of the stack. */
  pushSession(name: string, fill: (L: LuaState) => void): void {
    const L = this.#L;
    const table = newTable(L);
    pushValue(L, tableValue(table));
    fill(L);
    lua.lua_pop(L, 1);
    this.setSession(name, () => tableValue(table));
  }

  #showRecipients(): TValue {
    const table = newTable(this.#L);
    this.#recipients.forEach((recipient, i) => {
      setIndex(table, i + 1, this.#show(recipient));
    });
    this.#recipientTable = table;
    return tableValue(table);
  }

  /** The entry of a recipient, which is the last one when this returns. */
  #show(recipient: Recipient): TValue {
    const L = this.#L;
    const entry = newTable(L);
    setField(L, entry, 'addr', textValue(L, recipient.address));
    setField(L, entry, 'raw', textValue(L, recipient.written));
    setField(L, entry, 'params', tableValue(parametersOf(L, recipient.params)));
    this.#showVerdict(entry, recipient);
    this.#entry = entry;
    return tableValue(entry);
  }

  #showVerdict(entry: LuaTable, { code, text }: Recipient): void {
    const L = this.#L;
    if (code !== undefined) setField(L, entry, 'code', numberValue(code));
    if (text !== undefined) setField(L, entry, 'text', textValue(L, text));
  }

  /** The names under which the script defines a callback: none, one, or both spellings. */
  spellings(callback: CallbackName): string[] {
    return CALLBACK_FIELDS[callback].filter((name) => isFunction(this.#callback(name)));
  }

  /** The names of a callback under which the script has put something that cannot be called back, and its type. */
  misfits(callback: CallbackName): { name: string; type: string }[] {
    return CALLBACK_FIELDS[callback].flatMap((name) => {
      const value = this.#callback(name);
      const type = latin1Of(lua.lua_typename(this.#L, value.type & 0x0f));
      return type === 'nil' || isFunction(value) ? [] : [{ name, type }];
    });
  }

  /**
   * Finds the function of a callback and keeps it for takeCallback().
   * @returns the name it was found under, as `smtp.do_rcpt`; undefined when the script does not define it.
   */
  findCallback(callback: CallbackName): string | undefined {
    const L = this.#L;
    const smtp = this.#global();
    if (!smtp) return undefined;
    for (const { key, shown } of SPELLINGS.get(callback) ?? []) {
      const value = valueAt(L, smtp, key);
      if (!isFunction(value)) continue;
      this.#found = value;
      return shown;
    }
    return undefined;
  }

  /** Whether the callback, when the script defines it, can see its first argument. */
  seesArgument(callback: CallbackName): boolean {
    return this.findCallback(callback) !== undefined && seesFirstArgument(this.#found);
  }

  /** Puts the function last found on top of the stack of L, a thread of the same state. */
  takeCallback(L: LuaState): void {
    pushValue(L, this.#found);
  }

  /** The table that is `smtp` now: the script may have put another in its place, or something else. */
  #global(): LuaTable | undefined {
    return tableOf(valueAt(this.#L, globalsOf(this.#L), SMTP));
  }

  /** smtp[name] */
  #callback(name: string): TValue {
    const smtp = this.#global();
    return smtp ? fieldOf(this.#L, smtp, name) : NIL;
  }
}

/** A new table: an array of the parameters as sent, and each value by its name in upper case: `params.SIZE`. */
export function parametersOf(L: LuaState, params: readonly string[]): LuaTable {
  return lateTable(L, (table) => {
    params.forEach((param, i) => {
      setIndex(table, i + 1, textValue(L, param));
    });
    for (const param of params) {
      const equals = param.indexOf('=');
      const name = equals < 0 ? param : param.slice(0, equals);
      // ASCII letters only: toUpperCase() makes two letters of some latin1 ones.
      const key = textValue(
        L,
        name.replace(/[a-z]+/g, (letters) => letters.toUpperCase()),
      );
      setValue(L, table, key, textValue(L, equals < 0 ? '' : param.slice(equals + 1)));
    }
  });
}
