/**
 * The global table `smtp` as a script sees it: constants, the fields of session and transaction, and where the
 * callbacks are found.
 */
import type { LuaState } from 'fengari';
import { ascii, bytesOf, lua } from '../engine.ts';
import { pushNumber } from '../values.ts';
import { ACTION_CODES } from './verdict.ts';

/** smtp.code: names and values of the API, then our own. */
export const REPLY_CODES: Readonly<Record<string, number>> = {
  ok: 250,
  closing: 421,
  busy: 450,
  again: 451,
  storage: 452,
  bad_syntax: 500,
  bad_arg: 501,
  bad_command: 502,
  bad_sequence: 503,
  bad_param: 504,
  reject: 550,
  bad_user: 551,
  over_quota: 552,
  bad_address: 553,
  failed: 554,
  ...ACTION_CODES,
};

/**
 * Callbacks, and the names each is looked for under, in that order: the API's name, then the one that smtpf's own code
 * used.
 */
export const CALLBACKS = {
  connect: ['do_connect', 'connect'],
  helo: ['do_helo', 'helo'],
  mail: ['do_mail', 'mail'],
  rcpt: ['do_rcpt', 'rcpt'],
  data: ['do_data', 'data'],
  headers: ['do_headers', 'headers'],
  chunk: ['do_chunk', 'chunk'],
  dot: ['do_dot', 'dot'],
  unknown: ['do_unknown', 'unknown'],
  rset: ['rset', 'do_rset'],
  close: ['close', 'do_close'],
} as const;
export type CallbackName = keyof typeof CALLBACKS;

export const CALLBACK_NAMES = Object.keys(CALLBACKS) as readonly CallbackName[];

const SMTP = ascii('smtp');

/** Adds the table to the globals of a template state. */
export function openSmtp(L: LuaState): void {
  lua.lua_newtable(L);
  lua.lua_newtable(L);
  for (const [name, code] of Object.entries(REPLY_CODES)) {
    lua.lua_pushinteger(L, code);
    lua.lua_setfield(L, -2, ascii(name));
  }
  lua.lua_setfield(L, -2, ascii('code'));
  lua.lua_newtable(L);
  lua.lua_setfield(L, -2, ascii('sess'));
  lua.lua_newtable(L);
  lua.lua_pushvalue(L, -1);
  lua.lua_setfield(L, -3, ascii('tran'));
  lua.lua_setfield(L, -2, ascii('trans')); // The name in smtpf's own code.
  lua.lua_newtable(L);
  lua.lua_setfield(L, -2, ascii('note'));
  lua.lua_setglobal(L, SMTP);
}

const SMTP_INDEX = 1;
const SESS_INDEX = 2;
const TRAN_INDEX = 3;
/** smtp.tran.rcpts, nil between transactions. */
const RCPTS_INDEX = 4;

/** Fields that live as long as a transaction. */
const TRAN_FIELDS = ['id', 'sender', 'queue_id', 'params', 'rcpts', 'size', 'note'];

/** What may be put into a field: text is latin1, undefined is nil. */
export type FieldValue = string | number | undefined;

/** The table `smtp` of one context. It holds on to the tables, whatever the script does to its globals. */
export class SmtpTable {
  /** A thread that runs nothing: its stack holds the three tables. */
  readonly #shelf: LuaState;

  /** `L` is the main thread of a state made from a template in which openSmtp() has run. */
  constructor(L: LuaState) {
    const shelf = lua.lua_newthread(L);
    lua.lua_pop(L, 1);
    lua.lua_getglobal(shelf, SMTP);
    lua.lua_getfield(shelf, SMTP_INDEX, ascii('sess'));
    lua.lua_getfield(shelf, SMTP_INDEX, ascii('tran'));
    lua.lua_pushnil(shelf);
    this.#shelf = shelf;
  }

  /** A new transaction: `size` is what the client declared, undefined when it did not. */
  beginTransaction(
    id: string,
    sender: string,
    size: number | undefined,
    pushParams: (L: LuaState) => void,
  ): void {
    const shelf = this.#shelf;
    this.setTransaction('id', id);
    this.setTransaction('sender', sender);
    this.setTransaction('size', size);
    this.#put(TRAN_INDEX, 'params', pushParams);
    this.#put(TRAN_INDEX, 'note', lua.lua_newtable);
    this.#put(TRAN_INDEX, 'rcpts', (L) => {
      lua.lua_newtable(L);
      lua.lua_pushvalue(L, -1);
      lua.lua_replace(L, RCPTS_INDEX);
    });
    lua.lua_settop(shelf, RCPTS_INDEX);
  }

  /** Adds an entry { addr, params } to smtp.tran.rcpts. */
  addRecipient(address: string, pushParams: (L: LuaState) => void): void {
    const shelf = this.#shelf;
    if (!lua.lua_istable(shelf, RCPTS_INDEX)) return;
    lua.lua_createtable(shelf, 0, 4);
    lua.lua_pushstring(shelf, bytesOf(address));
    lua.lua_setfield(shelf, -2, ascii('addr'));
    pushParams(shelf);
    lua.lua_setfield(shelf, -2, ascii('params'));
    lua.lua_rawseti(shelf, RCPTS_INDEX, lua.lua_rawlen(shelf, RCPTS_INDEX) + 1);
  }

  /** Sets the verdict that the last recipient got: a reply code and, when it was refused, the text. */
  judgeRecipient(code: number, text: string | undefined): void {
    const shelf = this.#shelf;
    if (!lua.lua_istable(shelf, RCPTS_INDEX)) return;
    if (lua.lua_rawgeti(shelf, RCPTS_INDEX, lua.lua_rawlen(shelf, RCPTS_INDEX)) === lua.LUA_TTABLE) {
      const entry = lua.lua_gettop(shelf);
      this.#put(entry, 'code', (L) => lua.lua_pushinteger(L, code));
      if (text !== undefined) this.#put(entry, 'text', (L) => lua.lua_pushstring(L, bytesOf(text)));
    }
    lua.lua_settop(shelf, RCPTS_INDEX);
  }

  endTransaction(): void {
    for (const name of TRAN_FIELDS) this.setTransaction(name, undefined);
    lua.lua_pushnil(this.#shelf);
    lua.lua_replace(this.#shelf, RCPTS_INDEX);
  }

  setSession(name: string, value: FieldValue): void {
    this.#set(SESS_INDEX, name, value);
  }

  setTransaction(name: string, value: FieldValue): void {
    this.#set(TRAN_INDEX, name, value);
  }

  /** Sets smtp.sess.NAME to what `push` leaves on the stack it is given. */
  pushSession(name: string, push: (L: LuaState) => void): void {
    this.#put(SESS_INDEX, name, push);
  }

  /** The names under which the script defines a callback: none, one, or both spellings. */
  spellings(callback: CallbackName): string[] {
    return CALLBACKS[callback].filter((name) => {
      const defined = this.#push(name);
      lua.lua_settop(this.#shelf, RCPTS_INDEX);
      return defined;
    });
  }

  /**
   * Finds the function of a callback and keeps it for takeCallback().
   * @returns the name it was found under; undefined when the script does not define it.
   */
  findCallback(callback: CallbackName): string | undefined {
    lua.lua_settop(this.#shelf, RCPTS_INDEX);
    return CALLBACKS[callback].find((name) => this.#push(name));
  }

  /** Puts the function last found on top of the stack of L, a thread of the same state. */
  takeCallback(L: LuaState): void {
    lua.lua_xmove(this.#shelf, L, 1);
    lua.lua_settop(this.#shelf, RCPTS_INDEX);
  }

  /** Leaves smtp[name] on the shelf; the script may have put another table in the place of the global. */
  #push(name: string): boolean {
    const shelf = this.#shelf;
    lua.lua_pushglobaltable(shelf);
    lua.lua_pushstring(shelf, SMTP);
    const isTable = lua.lua_rawget(shelf, -2) === lua.LUA_TTABLE;
    if (!isTable) return false;
    lua.lua_pushstring(shelf, ascii(name));
    return lua.lua_rawget(shelf, -2) === lua.LUA_TFUNCTION;
  }

  #set(table: number, name: string, value: FieldValue): void {
    this.#put(table, name, (L) => {
      if (value === undefined) lua.lua_pushnil(L);
      else if (typeof value === 'string') lua.lua_pushstring(L, bytesOf(value));
      else pushNumber(L, value);
    });
  }

  /** Raw, because a script may have put metatables on these tables. */
  #put(table: number, name: string, push: (L: LuaState) => void): void {
    lua.lua_pushstring(this.#shelf, ascii(name));
    push(this.#shelf);
    lua.lua_rawset(this.#shelf, table);
  }
}
