/**
 * How the Lua API is described: once, as data. From it come docs/reference.md, the stubs for editors, the names
 * and rules that `check` knows, what the MTA is asked to send, which main chunks need to run only once, and the test that a
 * script sees these tables and nothing else.
 *
 * Types are those of LuaLS annotations: `string`, `integer`, `number`, `boolean`, `table`, `string[]`, `string|nil`, or
 * the name of a class described here.
 */
import type { Interests } from '../milter/policy.ts';
import type { ServiceName } from '../services/services.ts';

export interface Parameter {
  readonly name: string;
  readonly type: string;
  readonly optional?: boolean;
  /** What `""` stands for, where a value that is never nil may be that. */
  readonly blank?: string;
  /** The function that finds by name what is in this list, where scripts may take it for a table by name. */
  readonly byName?: string;
  /**
   * What is wrong with a constant text that is given for it, if anything; `isOther` where the call has another form, one of
   * `overloads`.
   */
  readonly check?: (text: string, isOther: boolean) => string | undefined;
  /** A value that it takes, as a Lua expression: tests call each function with these. */
  readonly sample?: string;
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
  /**
   * The lists of results of which a call gives one, where they belong together: `[['integer', 'string'], ['nil', 'nil']]`.
   * A second result `err` needs none: it is there when the first is nil, and only then.
   */
  readonly forms?: readonly (readonly string[])[];
  /** The version of this program that brought it, where that is not the chapter's. */
  readonly since?: string;
  /** The first callback that may call it: in those before it raises an error. Any when absent. */
  readonly from?: Stage;
  /** The first callback in which there is what it works on, where that is later. */
  readonly useful?: Stage;
  /** The last callback in which a call has an effect, where that is not the end of the session. */
  readonly until?: Stage;
  /** Whether it hands on its arguments, unless they are `nil, err`. */
  readonly passes?: boolean;
  /** Whether it does the same in every session and leaves no trace outside of its Lua state: see start-state.ts. */
  readonly pure?: boolean;
  /** The function that makes one argument of several, where scripts may give more than it takes. */
  readonly joins?: string;
  readonly doc: string;
  /** Other forms of the call, as LuaLS overloads: `fun(line: string): true`. */
  readonly overloads?: readonly string[];
  /** Suspends the callback, and no other session. */
  readonly waits?: boolean;
  readonly example?: string;
}

/** A place in the course of a session: a callback, or `start`, the main chunk. */
export type Stage = (typeof STAGES)[number];

/** The callbacks of a session that follow each other, without `do_`, after the main chunk. */
export const STAGES = [
  'start',
  'connect',
  'helo',
  'mail',
  'rcpt',
  'data',
  'headers',
  'chunk',
  'dot',
] as const;

export interface Field {
  readonly kind: 'field';
  readonly name: string;
  /** Without `nil` where it always holds a value between its beginning and its end. */
  readonly type: string;
  /** The first callback that sees a value in it. One of the transaction, `mail`, is nil again when `smtp.rset` has returned. */
  readonly from: Stage;
  /** From where on a list has elements, where that is later. */
  readonly filled?: Stage;
  /** Callbacks in which one that may be nil never is. */
  readonly certain?: readonly Stage[];
  /** What `""` stands for, where it may be that. */
  readonly blank?: string;
  /** Why one that may be nil is. */
  readonly absent?: string;
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
  /** Whether it shows what the MTA has: assigning to it changes nothing there. */
  readonly readOnly?: boolean;
  readonly doc: string;
}

export interface ClassField {
  /** `[string]` and `[integer]` stand for all keys of that type. */
  readonly name: string;
  readonly type: string;
  /** Whether letters in it are in lower case, whatever the mail had. */
  readonly lowerCase?: boolean;
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
  /** The version of this program that brought it; the first when absent. */
  readonly since?: string;
  /** The services that its functions ask. */
  readonly uses?: readonly ServiceName[];
  /** What the MTA must send where a script names the table and has callbacks in a message, whatever these need. */
  readonly wants?: Wants;
  /** Not there in a policy, but in the files that test one. */
  readonly onlyInTests?: boolean;
  readonly entries: readonly Entry[];
}

export type Wants = Partial<Pick<Interests, 'helo' | 'mail' | 'rcpt' | 'data' | 'headers' | 'body'>>;
