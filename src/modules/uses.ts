/** What the text of a script tells of the modules that it uses: the names that stand in it. */
import type { Interest } from '../milter/policy.ts';
import type { Wants } from './entry.ts';
import type { Listening } from './message-listener.ts';
import type { Module } from './module.ts';
import { MODULES } from './modules.ts';

/** Strings in a script that may lead to code which they do not show. */
const DOORS = ['load', '_G'];
/** The same, where the names in the files that they load are not known yet. */
const FILES = ['require', 'dofile', 'loadfile'];

const CHAPTERS = MODULES.flatMap(({ api }) => api);

/** What is wanted where a script names one of the tables. */
const WANTS = CHAPTERS.flatMap(({ wants = {}, entries }) => {
  const tables = [...new Set(entries.map(({ name }) => name.split('.')[0] ?? name))];
  return Object.entries(wants).map(([event, interest]) => ({
    event: event as keyof Wants,
    interest,
    tables,
  }));
});

const READERS_OF_FILES = MODULES.filter(({ readsFromMemory }) => readsFromMemory !== true);

const STRENGTH: Readonly<Record<Interest, number>> = { none: 0, data: 1, verdict: 2 };

/** What the MTA must send in a message for the modules that a script may use. @param names all strings that stand in it */
export function wantsOf(names: ReadonlySet<string>): Wants {
  const wants: { -readonly [Event in keyof Wants]: Interest } = {};
  for (const { event, interest, tables } of WANTS) {
    if (!hasAny(names, [...DOORS, ...FILES]) && !tables.some((table) => names.has(table))) continue;
    wants[event] = stronger(wants[event] ?? 'none', interest);
  }
  return wants;
}

export function stronger(one: Interest, other: Interest): Interest {
  return STRENGTH[one] < STRENGTH[other] ? other : one;
}

/**
 * Loads the packages that a script, or a file that it loads, may use.
 * @param names all strings that stand in it
 */
export function loadPackages(
  names: ReadonlySet<string>,
  modules: readonly Pick<Module, 'packages'>[] = MODULES,
): void {
  for (const { packages = [] } of modules) {
    for (const { for: functions, load } of packages) if (mayCall(names, functions)) load();
  }
}

/** What the functions that a script may call need of each message. */
export interface MessageUses {
  /** Whether one reads it at its end. */
  readonly readsMessage: boolean;
  /** Whether that one needs it in a file. */
  readonly needsFile: boolean;
  /** What has to listen to it while it arrives. */
  readonly listening: readonly Listening[];
}

/** Of a script, or of a file that it loads. @param names, inFunctions as mayReadMessage takes them */
export function messageUsesOf(names: ReadonlySet<string>, inFunctions: ReadonlySet<string>): MessageUses {
  return {
    readsMessage: mayReadMessage(names, inFunctions),
    needsFile: mayReadMessage(names, inFunctions, READERS_OF_FILES),
    listening: listeningOf(names),
  };
}

/** Of both. */
export function bothUses(one: MessageUses, other: MessageUses): MessageUses {
  return {
    readsMessage: one.readsMessage || other.readsMessage,
    needsFile: one.needsFile || other.needsFile,
    listening: [...new Set([...one.listening, ...other.listening])],
  };
}

/**
 * Whether a script, or a file that it loads, may call a function that reads the message.
 * @param names all strings that stand in it
 * @param inFunctions those that stand in its functions: a file that one of them loads is not known yet
 */
export function mayReadMessage(
  names: ReadonlySet<string>,
  inFunctions: ReadonlySet<string>,
  modules: readonly Pick<Module, 'readsMessage'>[] = MODULES,
): boolean {
  const readers = modules.flatMap(({ readsMessage = [] }) => readsMessage);
  return readers.length > 0 && (mayCall(names, readers) || hasAny(inFunctions, FILES));
}

function listeningOf(names: ReadonlySet<string>): Listening[] {
  return MODULES.flatMap(({ listening = [] }) => listening.filter((each) => mayCall(names, each.for)));
}

/** @param functions full names: `net.domain` */
function mayCall(names: ReadonlySet<string>, functions: readonly string[]): boolean {
  const isNamed = (path: string): boolean => path.split(/[.:]/).every((part) => names.has(part));
  return hasAny(names, DOORS) || functions.some(isNamed);
}

/** Full names of the functions that do the same in every session. */
export const PURE_FUNCTIONS: readonly string[] = CHAPTERS.flatMap(({ entries }) =>
  entries.flatMap((entry) => (entry.kind === 'function' && entry.pure ? [entry.name] : [])),
);

function hasAny(names: ReadonlySet<string>, some: readonly string[]): boolean {
  return some.some((name) => names.has(name));
}
