/** The Lua API by name: what `check` and the stubs look things up in. */

import type { ApiClass, ApiFunction, Callback, Constant, Entry, Field } from '../modules/entry.ts';
import { CALLBACKS } from '../modules/smtp/callbacks.ts';
import { API } from './definition.ts';

const ENTRIES: readonly Entry[] = API.flatMap(({ entries }) => entries);

/** The table that is another name of `smtp.tran`. */
export const TRANSACTION_ALIAS = 'smtp.trans';

/** By name and alias. */
const callbacks = new Map<string, Callback>(
  CALLBACKS.flatMap((callback) => [
    [callback.name, callback],
    [callback.alias, callback],
  ]),
);

/** By name and alias; methods are `class:method`. */
const functions = new Map<string, ApiFunction>(
  ENTRIES.flatMap((entry) =>
    entry.kind === 'function' ? [entry.name, ...(entry.aliases ?? [])].map((name) => [name, entry]) : [],
  ),
);
const fields = new Map<string, Field>(
  ENTRIES.flatMap((entry) => (entry.kind === 'field' ? [[entry.name, entry]] : [])),
);
const constants = new Map<string, Constant>(
  ENTRIES.flatMap((entry) => (entry.kind === 'constant' ? [[entry.name, entry]] : [])),
);
const classes = new Map<string, ApiClass>(
  ENTRIES.flatMap((entry) => (entry.kind === 'class' ? [[entry.name, entry]] : [])),
);

/** `smtp`, `smtp.code`, `header`, ...: each with the names of what it holds. */
const tables = new Map<string, Set<string>>();
for (const name of [
  ...callbacks.keys(),
  ...functions.keys(),
  ...fields.keys(),
  ...constants.keys(),
  TRANSACTION_ALIAS,
]) {
  if (name.includes(':')) continue;
  for (let path = name; path.includes('.'); ) {
    const dot = path.lastIndexOf('.');
    const table = path.slice(0, dot);
    const holds = tables.get(table) ?? new Set();
    tables.set(table, holds.add(path.slice(dot + 1)));
    path = table;
  }
}

export const API_NAMES: {
  readonly callbacks: ReadonlyMap<string, Callback>;
  readonly functions: ReadonlyMap<string, ApiFunction>;
  readonly fields: ReadonlyMap<string, Field>;
  readonly constants: ReadonlyMap<string, Constant>;
  readonly classes: ReadonlyMap<string, ApiClass>;
  readonly tables: ReadonlyMap<string, ReadonlySet<string>>;
  /** Global names: tables and functions. */
  readonly globals: ReadonlySet<string>;
  /** Those of them that a policy does not have, only a file that tests one. */
  readonly testGlobals: ReadonlySet<string>;
} = {
  callbacks,
  functions,
  fields,
  constants,
  classes,
  tables,
  globals: new Set([...tables.keys(), ...functions.keys()].filter(isGlobal)),
  testGlobals: new Set(
    API.filter(({ onlyInTests }) => onlyInTests).flatMap(({ entries }) =>
      entries.flatMap(({ kind, name }) => (kind === 'function' ? [name.split(/[.:]/)[0] ?? name] : [])),
    ),
  ),
};

function isGlobal(name: string): boolean {
  return !/[.:]/.test(name);
}
