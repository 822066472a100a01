/**
 * Calls of every function and method that the modules describe, with arguments that they take: for tests that walk over all
 * of them, so that a new module is walked over by itself.
 */
import type { ApiFunction, Parameter } from '../../src/modules/entry.ts';
import { MODULES } from '../../src/modules/modules.ts';

export interface DescribedCall {
  /** Full name: `kv.store:get`. */
  readonly name: string;
  /** The function as a Lua expression; of a method, one that makes its object anew. */
  readonly fn: string;
  readonly params: readonly Parameter[];
  /** Arguments for the required parameters, and for all, as Lua expressions. */
  readonly required: readonly string[];
  readonly all: readonly string[];
}

const FUNCTIONS: readonly ApiFunction[] = MODULES.flatMap(({ api }) =>
  api.flatMap(({ entries }) => entries.flatMap((entry) => (entry.kind === 'function' ? [entry] : []))),
);

/** For parameters without a sample, by type. */
const SAMPLES: Readonly<Record<string, string>> = {
  string: '"some text"',
  integer: '1',
  number: '1',
  boolean: 'true',
  table: '{}',
  function: 'function() end',
  any: '1',
};

function sampleOf({ sample, type }: Parameter): string {
  return sample ?? SAMPLES[type] ?? SAMPLES[type.split('|')[0] ?? ''] ?? (type.includes('[]') ? '{}' : 'nil');
}

/** Objects that no function gives. */
const OBJECTS: Readonly<Record<string, string>> = { 'mime.part': 'mime.parts[1]' };

/** An expression that makes an object of a class: a call of the first function that gives one. */
function makerOf(className: string): string {
  const object = OBJECTS[className];
  if (object !== undefined) return object;
  const maker = FUNCTIONS.find(({ results }) => results[0]?.type.split('|').includes(className));
  if (maker === undefined) throw new Error(`no function gives a ${className}`);
  const args = maker.params.filter(({ optional }) => optional !== true).map(sampleOf);
  return `${maker.name}(${args.join(', ')})`;
}

function fnOf(name: string): string {
  const [className = '', method] = name.split(':');
  if (method === undefined) return name;
  return `(function(...) local object = ${makerOf(className)} return object:${method}(...) end)`;
}

export const DESCRIBED_CALLS: readonly DescribedCall[] = FUNCTIONS.map(({ name, params }) => ({
  name,
  fn: fnOf(name),
  params,
  required: params.filter(({ optional }) => optional !== true).map(sampleOf),
  all: params.map(sampleOf),
}));
