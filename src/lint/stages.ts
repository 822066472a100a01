/** In which callbacks each function of a script runs, and what is known there. */
import type { ApiFunction, Callback, Field, Stage as SessionStage } from '../modules/entry.ts';
import { STAGES } from '../modules/entry.ts';
import type { PolicyScript } from './policy-script.ts';
import { type CallExpression, type FunctionDeclaration, type Identifier, isCall } from './syntax.ts';
import { mayBeNil, presentType, type Type } from './types.ts';

/** One of those in a session's order, or one that comes between them. */
export type Stage = SessionStage | 'unknown' | 'rset' | 'close';

/** Undefined where that is not known. */
export type StageSet = ReadonlySet<Stage> | undefined;

const MAIN: StageSet = new Set<Stage>(['start']);

export function stageOf({ name }: Callback): Stage {
  const stage = name.replace(/^smtp\.(do_)?/, '');
  return isStage(stage) ? stage : 'unknown';
}

function isStage(name: string): name is Stage {
  return name === 'rset' || name === 'close' || STAGES.some((stage) => stage === name);
}

export class Stages {
  readonly #policy: PolicyScript;
  readonly #known = new Map<FunctionDeclaration, StageSet>();
  readonly #calls = new Map<FunctionDeclaration, readonly CallExpression[] | undefined>();
  readonly #busy = new Set<FunctionDeclaration>();

  constructor(policy: PolicyScript) {
    this.#policy = policy;
  }

  /** Where the body of a function runs; undefined stands for the main chunk as a function. */
  of(body: FunctionDeclaration | undefined): StageSet {
    if (body === undefined) return MAIN;
    if (this.#known.has(body)) return this.#known.get(body);
    if (this.#busy.has(body)) return new Set();
    this.#busy.add(body);
    const found = this.#find(body);
    this.#busy.delete(body);
    // What a circle of calls hides is found when the function that began it is.
    if (this.#busy.size === 0 || found === undefined) this.#known.set(body, found);
    return found;
  }

  /** All calls of a function that is only called, by its own name; undefined where it may be called otherwise. */
  callsOf(body: FunctionDeclaration): readonly CallExpression[] | undefined {
    if (!this.#calls.has(body)) this.#calls.set(body, this.#findCalls(body));
    return this.#calls.get(body);
  }

  /** The type of a field where it is read by code of these stages. */
  typeOfField(field: Field, stages: StageSet): Type {
    if (stages === undefined || stages.size === 0) return field.type;
    const states = [...stages].map((stage) => presence(field, stage));
    if (states.every((state) => state === 'absent')) return 'nil';
    if (states.every((state) => state === 'certain')) return presentType(field.type);
    if (states.every((state) => state === 'unsure') && !mayBeNil(field.type)) return `${field.type}|nil`;
    return field.type;
  }

  #find(body: FunctionDeclaration): StageSet {
    const callbacks = this.#policy.callbacks.filter((one) => one.body === body);
    const stages = new Set<Stage>(callbacks.map(({ callback }) => stageOf(callback)));
    if (callbacks.length > 0) return stages;
    const parent = this.#policy.bindings.parents.get(body);
    if (parent && isCall(parent)) return this.of(this.#policy.bindings.functionOf(body));
    const calls = this.callsOf(body);
    if (calls === undefined) return undefined;
    for (const call of calls) {
      const inner = this.of(this.#policy.bindings.functionOf(call));
      if (inner === undefined) return undefined;
      for (const stage of inner) stages.add(stage);
    }
    return stages;
  }

  #findCalls(body: FunctionDeclaration): readonly CallExpression[] | undefined {
    if (this.#policy.callbacks.some((one) => one.body === body)) return undefined;
    const name = this.#nameOf(body);
    if (name === undefined) return undefined;
    const binding = this.#policy.variableOf(name);
    if (binding === undefined || binding?.assigned) return undefined;
    if (binding === null && this.#policy.bodyOf(name) !== body) return undefined;
    const calls: CallExpression[] = [];
    for (const use of this.#policy.bindings.usesOf(binding ?? name.name)) {
      if (use === name) continue;
      const parent = this.#policy.bindings.parents.get(use);
      if (!parent || !isCall(parent) || parent.base !== use) return undefined;
      calls.push(parent);
    }
    return calls;
  }

  #nameOf(body: FunctionDeclaration): Identifier | undefined {
    if (body.identifier) return body.identifier.type === 'Identifier' ? body.identifier : undefined;
    const parent = this.#policy.bindings.parents.get(body);
    if (parent?.type !== 'LocalStatement' && parent?.type !== 'AssignmentStatement') return undefined;
    const place = parent.variables[parent.init.indexOf(body)];
    return place?.type === 'Identifier' ? place : undefined;
  }
}

function presence(
  { name, from, certain }: Field,
  stage: Stage,
): 'absent' | 'certain' | 'unsure' | 'as typed' {
  if (from === 'start') return 'as typed';
  if (stage === 'rset') return 'as typed';
  if (stage === 'close') return name.startsWith('smtp.tran.') ? 'absent' : 'as typed';
  if (stage === 'unknown') return from === 'connect' ? 'as typed' : 'unsure';
  if (STAGES.indexOf(stage) < STAGES.indexOf(from)) return 'absent';
  return certain?.includes(stage) ? 'certain' : 'as typed';
}

/** Whether code of all these stages runs before one. */
export function isBefore(stages: StageSet, from: SessionStage): boolean {
  if (stages === undefined || stages.size === 0) return false;
  return [...stages].every(
    (stage) =>
      stage !== 'unknown' &&
      stage !== 'rset' &&
      stage !== 'close' &&
      STAGES.indexOf(stage) < STAGES.indexOf(from),
  );
}

/** Whether code of all these stages runs after one. */
export function isAfter(stages: StageSet, until: SessionStage): boolean {
  if (stages === undefined || stages.size === 0) return false;
  return [...stages].every((stage) => stage === 'rset' || stage === 'close') && until !== 'start';
}

/** Whether there is no transaction in any of these stages, so that what changes one raises an error. */
export function isOutside(entry: ApiFunction, stages: StageSet): boolean {
  if (entry.from === undefined || stages === undefined || stages.size === 0) return false;
  return isBefore(stages, entry.from) || [...stages].every((stage) => stage === 'close');
}
