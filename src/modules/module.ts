/** What a Lua module is: its description, its functions, and what stands in for its service in tests. */
import type { LuaFunction, LuaState } from 'fengari';
import type { Services } from '../services/services.ts';
import type { Chapter } from './entry.ts';
import type { Fake } from './fake.ts';
import type { Listening } from './message-listener.ts';

/** One row of the list in modules.ts. */
export interface Module {
  /** Chapters of the reference. Tables, constants and the classes of methods are made from them. */
  readonly api: readonly Chapter[];
  /**
   * Makes its functions, by their names without the module's: `get`, `store:get`, see FunctionsOf. All states of a template
   * share them: what belongs to one session is kept by its host (PerState).
   */
  readonly open: (services: Services) => Readonly<Record<string, LuaFunction>>;
  /** Puts into a new state what is neither function nor constant; before these. */
  readonly install?: (L: LuaState) => void;
  /** Whether `require "NAME"` finds it: not so where a site may have a file of that name. */
  readonly isRequired?: boolean;
  /** npm packages, or parts of our own, that take long to load. */
  readonly packages?: readonly LatePackage[];
  /**
   * Full names of the functions that read the message at its end, `SessionFacts.message`: it is kept for scripts that may
   * call one of them.
   */
  readonly readsMessage?: readonly string[];
  /** They take it from memory, too: it need not be in a file for them. */
  readonly readsFromMemory?: boolean;
  /** What it has listen to messages while they arrive. */
  readonly listening?: readonly Listening[];
  /** What stands in for its services in the world of a test. One module of several that ask a service has its fake. */
  readonly fakes?: readonly Fake[];
}

/** Is loaded before a script runs that names one of the functions, never in a callback of such a script. */
export interface LatePackage {
  /** Full names of the functions and fields that need it: `net.domain`. */
  readonly for: readonly string[];
  /** Loads it, once in a process; the functions call it too, for scripts that do not show what they use. */
  readonly load: () => void;
}

type NameIn<Entry> = Entry extends { readonly kind: 'function'; readonly name: infer Name } ? Name : never;
type Local<Name> = Name extends `${string}.${infer Rest}` ? Rest : Name;

/**
 * The functions that a description, `as const satisfies Chapter`, names: a misspelt one does not compile, nor a missing
 * one. Their names without the module's: `get` of `kv.get`, `store:get` of the method `kv.store:get`.
 */
export type FunctionsOf<Described extends Chapter> = {
  readonly [Name in Local<NameIn<Described['entries'][number]>> & string]: LuaFunction;
};

/** The services that a description says its functions ask. */
export type ServicesOf<Described extends Chapter> = Described extends {
  readonly uses: readonly (infer Name)[];
}
  ? Pick<Services, Name & keyof Services>
  : unknown;
