/**
 * How the Lua API is described: once, as data. From it come the reference in README.md, the stubs for editors, the names
 * that `check` knows, and the test that a script sees these tables and nothing else.
 *
 * Types are those of LuaLS annotations: `string`, `integer`, `number`, `boolean`, `table`, `string[]`, `string|nil`, or
 * the name of a class described here.
 */

export interface Parameter {
  readonly name: string;
  readonly type: string;
  readonly optional?: boolean;
  readonly doc: string;
}

export interface Result {
  readonly type: string;
  /** Optional results carry their name in LuaLS. */
  readonly name?: string;
  readonly doc: string;
}

/** What the script defines and the milter calls. */
export interface Callback {
  readonly kind: 'callback';
  /** Full name, `smtp.do_rcpt`. */
  readonly name: string;
  /** Looked for when the name is absent: that of smtpf's own code. */
  readonly alias: string;
  readonly params: readonly Parameter[];
  /** Whether what it returns is an answer to the SMTP client. */
  readonly answers: boolean;
  readonly doc: string;
  /** What each MTA makes of an answer here, where they differ. */
  readonly mta?: string;
}

export interface ApiFunction {
  readonly kind: 'function';
  /** Full name, `header.add`; a method is `class:method`. */
  readonly name: string;
  /** Other names of the same function. */
  readonly aliases?: readonly string[];
  readonly params: readonly Parameter[];
  readonly results: readonly Result[];
  readonly doc: string;
  /** Other forms of the call, as LuaLS overloads: `fun(line: string): true`. */
  readonly overloads?: readonly string[];
  /** Suspends the callback, and no other session. */
  readonly waits?: boolean;
  readonly example?: string;
}

/**
 * From where on a field may hold a value: the first callback that sees it; `start` is the main chunk. One of the
 * transaction, `mail`, is nil again when `smtp.rset` has returned.
 */
export type Since = 'start' | 'connect' | 'helo' | 'mail';

export interface Field {
  readonly kind: 'field';
  readonly name: string;
  /** Without `nil` where it always holds a value between its beginning and its end. */
  readonly type: string;
  readonly since: Since;
  readonly doc: string;
}

export interface Constant {
  readonly kind: 'constant';
  readonly name: string;
  readonly value: number;
  readonly doc?: string;
}

/** A table that functions hand out or take. */
export interface ApiClass {
  readonly kind: 'class';
  readonly name: string;
  readonly fields: readonly ClassField[];
  readonly doc: string;
}

export interface ClassField {
  /** `[string]` and `[integer]` stand for all keys of that type. */
  readonly name: string;
  readonly type: string;
  readonly doc: string;
}

/** What a policy author should know and no name tells. */
export interface Note {
  readonly kind: 'note';
  readonly name: string;
  readonly doc: string;
}

export type Entry = Callback | ApiFunction | Field | Constant | ApiClass | Note;

/** A global table, or a part of one that is a chapter of the reference. */
export interface Chapter {
  readonly title: string;
  readonly doc: string;
  /** Not there in a policy, but in the files that test one. */
  readonly onlyInTests?: boolean;
  readonly entries: readonly Entry[];
}
