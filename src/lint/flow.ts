/**
 * Follows a script through its statements: what type each expression has where it stands, after the tests that lead
 * there. Where it is not sure it knows nothing, and rules are silent.
 *
 * The main chunk comes first, then callbacks and functions that something else may call, then functions that the script
 * calls only itself, with what is known wherever it does. Loops are followed once, after forgetting what they assign.
 */
import { STAGES } from '../modules/entry.ts';
import type { Binding } from './bindings.ts';
import { constantOf } from './constants.ts';
import { Evaluation } from './evaluation.ts';
import { Keys } from './keys.ts';
import { Narrowing } from './narrow.ts';
import type { PolicyScript } from './policy-script.ts';
import { cellOf, resultAt } from './results.ts';
import { type Stage, type StageSet, Stages, stageOf } from './stages.ts';
import { State } from './state.ts';
import {
  childrenOf,
  type Expression,
  type FunctionDeclaration,
  isCall,
  isMulti,
  type Node,
  type NodeOf,
  type Place,
  type Statement,
} from './syntax.ts';
import { type Type, unionOf } from './types.ts';

/** The stages of a session in their order, with those that come between. */
const ORDER: readonly Stage[] = [...STAGES, 'rset', 'close', 'unknown'];
/** A refusal there ends the transaction, or the session. */
const LASTING: readonly Stage[] = ['connect', 'helo', 'mail', 'data', 'headers', 'dot'];

/** A function whose body is still to be followed. */
interface Pending {
  readonly body: FunctionDeclaration;
  /** What was known where it is written down. */
  readonly state: State;
}

/** A call of one of the script's functions. */
interface Arrival {
  readonly state: State;
  readonly args: readonly Type[];
}

export class Flow {
  readonly stages: Stages;
  readonly #policy: PolicyScript;
  readonly #keys: Keys;
  readonly #narrowing: Narrowing;
  readonly #evaluation: Evaluation;
  readonly #types = new Map<Node, Type>();
  readonly #pending: Pending[] = [];
  readonly #arrivals = new Map<FunctionDeclaration, Arrival[]>();
  readonly #followed = new Set<FunctionDeclaration | undefined>();
  /** The states of `break`s out of the loops around, and of `goto`s, by label. */
  #breaks: State[][] = [];
  #jumps = new Map<string, State[]>();
  /** What is known where callbacks let the mail go on: later ones of the transaction come only then. */
  readonly #carried: { readonly stage: number; readonly state: State }[] = [];
  /** The states in which the function that is followed lets the mail go on. */
  #exits: State[] = [];
  #state = new State();
  #groups = 0;

  constructor(policy: PolicyScript) {
    this.#policy = policy;
    this.stages = new Stages(policy);
    this.#keys = new Keys(policy);
    this.#narrowing = new Narrowing(policy, this.#keys, (node) => this.#types.get(node));
    this.#evaluation = new Evaluation({
      policy,
      stages: this.stages,
      keys: this.#keys,
      narrowing: this.#narrowing,
      types: this.#types,
      define: (body, state) => this.#pending.push({ body, state: this.#lasting(state) }),
      arrive: (body, state, args) => this.#arrive(body, { state, args }),
    });
    this.#followBody(undefined, policy.chunk.body, new State());
    this.#followPending();
  }

  /** The type of an expression where it stands; undefined where it is not known, or nothing leads there. */
  typeOf(node: Node): Type {
    return this.#types.get(node);
  }

  /** In which callbacks a node's code runs. */
  stagesOf(node: Node): StageSet {
    return this.stages.of(this.#policy.bindings.functionOf(node));
  }

  // Functions.

  #followPending(): void {
    while (this.#pending.length > 0) {
      const next = this.#pending.splice(this.#nextPending(), 1)[0];
      if (next) this.#followFunction(next, this.#isReady(next.body));
    }
  }

  /** Callbacks come in the order of a session, other functions when all that calls them has been followed. */
  #nextPending(): number {
    const stages = this.#pending.map(({ body }) => this.#stageOf(body));
    const first = Math.min(...stages.filter((stage) => stage >= 0));
    if (Number.isFinite(first)) return stages.indexOf(first);
    return Math.max(
      0,
      this.#pending.findIndex(({ body }) => this.#isReady(body)),
    );
  }

  /** The place of a callback in the order of a session; -1 for other functions. */
  #stageOf(body: FunctionDeclaration): number {
    const callback = this.#policy.callbacks.find((one) => one.body === body)?.callback;
    return callback ? ORDER.indexOf(stageOf(callback)) : -1;
  }

  /** Whether all that is known of a function's calls is known by now. */
  #isReady(body: FunctionDeclaration): boolean {
    const calls = this.stages.callsOf(body) ?? [];
    return calls.every((call) => this.#followed.has(this.#policy.bindings.functionOf(call)));
  }

  #followFunction({ body, state }: Pending, ready: boolean): void {
    if (this.#followed.has(body)) return;
    const entry = new State(state);
    const calls = this.stages.callsOf(body);
    const arrivals = ready && calls !== undefined ? (this.#arrivals.get(body) ?? []) : [];
    // Without a call that anything leads to, what it is called with is not known.
    const [first, ...more] = arrivals.map((arrival) => this.#lasting(arrival.state));
    const known = first && more.reduce((joined, other) => State.join(joined, other), first);
    for (const [key, type] of known?.types ?? []) entry.types.set(key, type);
    const callback = this.#policy.callbacks.find((one) => one.body === body);
    body.parameters.forEach((parameter, i) => {
      const binding = this.#policy.variableOf(parameter);
      if (!binding) return;
      const given = arrivals.length > 0 ? unionOf(arrivals.map(({ args }) => args[i])) : undefined;
      const isMethod = body.identifier?.type === 'MemberExpression' && body.identifier.indexer === ':';
      this.#declare(entry, binding, callback && !isMethod ? callback.callback.params[i]?.type : given);
    });
    const stage = this.#stageOf(body);
    for (const earlier of this.#carried) {
      if (earlier.stage >= stage) continue;
      for (const [key, type] of earlier.state.types) entry.types.set(key, type);
    }
    const exits = this.#followBody(body, body.body, entry);
    if (LASTING.includes(ORDER[stage] ?? 'start')) this.#carry(stage, this.#joined(exits));
  }

  /** A callback that refuses ends the transaction or the session: later ones come where it did not. */
  #carry(stage: number, end: State): void {
    if (end.dead) return;
    const state = this.#lasting(end);
    for (const key of state.types.keys()) if (key.includes('@')) state.types.delete(key);
    this.#carried.push({ stage, state });
  }

  #followBody(
    body: FunctionDeclaration | undefined,
    statements: readonly Statement[],
    entry: State,
  ): State[] {
    const outside = { state: this.#state, breaks: this.#breaks, jumps: this.#jumps, exits: this.#exits };
    this.#followed.add(body);
    this.#state = entry;
    this.#breaks = [];
    this.#jumps = new Map();
    const exits: State[] = [];
    this.#exits = exits;
    this.#block(statements);
    exits.push(this.#state);
    this.#exits = outside.exits;
    this.#state = outside.state;
    this.#breaks = outside.breaks;
    this.#jumps = outside.jumps;
    return exits;
  }

  #arrive(body: FunctionDeclaration, arrival: Arrival): void {
    const known = this.#arrivals.get(body);
    if (known) known.push(arrival);
    else this.#arrivals.set(body, [arrival]);
  }

  /** What still holds when a function runs later: nothing of variables that are assigned to. */
  #lasting(from: State): State {
    const state = new State();
    for (const [key, type] of from.types) {
      if (!this.#keys.isMutable(key) && !from.volatile.has(key)) state.types.set(key, type);
    }
    for (const key of from.examined) if (!this.#keys.isMutable(key)) state.examined.add(key);
    return state;
  }

  #declare(state: State, binding: Binding, type: Type): void {
    const key = this.#keys.ofBinding(binding);
    if (!binding.shared) state.types.set(key, type);
    if (!binding.assigned) this.#evaluation.declared.set(key, type);
  }

  // Statements.

  #block(statements: readonly Statement[]): void {
    for (const statement of statements) this.#statement(statement);
  }

  #statement(statement: Statement): void {
    if (this.#state.dead && statement.type !== 'LabelStatement') {
      // Nothing leads here; functions that are written down here are followed all the same.
      return;
    }
    switch (statement.type) {
      case 'LocalStatement':
        this.#assign(statement.variables, statement.init, true);
        return;
      case 'AssignmentStatement':
        this.#assign(statement.variables, statement.init, false);
        return;
      case 'FunctionDeclaration':
        this.#functionStatement(statement);
        return;
      case 'IfStatement':
        this.#if(statement);
        return;
      case 'WhileStatement':
        this.#loop(statement, () => {
          this.#value(statement.condition);
          const head = this.#state;
          this.#state = this.#narrowing.by(head, statement.condition, true);
          this.#block(statement.body);
          return this.#narrowing.by(head, statement.condition, false);
        });
        return;
      case 'RepeatStatement':
        this.#loop(statement, () => {
          this.#block(statement.body);
          this.#value(statement.condition);
          return this.#narrowing.by(this.#state, statement.condition, true);
        });
        return;
      case 'DoStatement':
        this.#block(statement.body);
        return;
      case 'ForNumericStatement': {
        for (const bound of [statement.start, statement.end, statement.step]) if (bound) this.#value(bound);
        this.#forLoop(statement, () => [this.#types.get(statement.start)], [statement.variable]);
        return;
      }
      case 'ForGenericStatement': {
        for (const iterator of statement.iterators) this.#value(iterator);
        const types = this.#evaluation.elementsOf(statement.iterators);
        this.#forLoop(statement, () => types, statement.variables);
        return;
      }
      case 'ReturnStatement':
        for (const value of statement.arguments) this.#value(value);
        if (this.#goesOn(statement)) this.#exits.push(this.#state);
        this.#die();
        return;
      case 'CallStatement':
        this.#state = this.#evaluation.call(statement.expression, this.#state);
        return;
      case 'BreakStatement':
        this.#breaks.at(-1)?.push(this.#state);
        this.#die();
        return;
      case 'GotoStatement':
        this.#jumps.set(statement.label.name, [
          ...(this.#jumps.get(statement.label.name) ?? []),
          this.#state,
        ]);
        this.#die();
        return;
      case 'LabelStatement':
        this.#label(statement.label.name);
        return;
      default:
        statement satisfies never;
    }
  }

  /** Whether a callback that returns this lets the mail go on for sure. */
  #goesOn({ arguments: values }: NodeOf<'ReturnStatement'>): boolean {
    const [first] = values;
    const constant = first && constantOf(this.#policy, first);
    if (first === undefined || constant?.kind === 'nil') return true;
    return constant?.kind === 'integer' && (constant.meant === 0n || constant.meant / 100n === 2n);
  }

  #die(): void {
    this.#state = new State(this.#state);
    this.#state.dead = true;
  }

  #value(expression: Expression): Type {
    this.#state = this.#evaluation.value(expression, this.#state);
    return this.#types.get(expression);
  }

  #assign(places: readonly Place[], values: readonly Expression[], isLocal: boolean): void {
    for (const value of values) this.#value(value);
    const last = values.at(-1);
    const spread = last && isMulti(last) && places.length > values.length;
    const forms = spread && isCall(last) ? this.#evaluation.formsOf(last) : undefined;
    const before = values.length - 1;
    const keys = places.map((place, i) => {
      let type = i < values.length ? this.#types.get(values[i] ?? place) : undefined;
      if (spread && i >= before) type = resultAt(forms, i - before);
      // A variable that begins as nil gets its value somewhere, most likely whenever it is used.
      if (values[i]?.type === 'NilLiteral') type = undefined;
      return this.#store(place, type, isLocal);
    });
    if (spread && forms) {
      const width = places.length - before;
      const cases = forms.map((form) => Array.from({ length: width }, (_, i) => cellOf(form, i)));
      this.#state.group(this.#groups++, keys.slice(before), cases);
    }
  }

  /** @returns the key by which the place is known from now on, if it is. */
  #store(place: Place, type: Type, isLocal: boolean): string | undefined {
    const binding = this.#policy.variableOf(place);
    this.#state = new State(this.#state);
    if (isLocal && binding) {
      this.#declare(this.#state, binding, type);
      return this.#keys.of(place);
    }
    if (place.type !== 'Identifier') this.#state = this.#evaluation.target(place, this.#state);
    const key = this.#keys.of(place);
    if (key === undefined) return undefined;
    this.#state.assign(key, binding?.shared ? undefined : type);
    return key;
  }

  #functionStatement(statement: FunctionDeclaration): void {
    const { identifier } = statement;
    if (identifier && identifier.type !== 'Identifier') {
      this.#state = this.#evaluation.target(identifier, this.#state);
    }
    this.#pending.push({ body: statement, state: this.#lasting(this.#state) });
  }

  #if({ clauses }: NodeOf<'IfStatement'>): void {
    const ends: State[] = [];
    let hasElse = false;
    for (const clause of clauses) {
      if (clause.type === 'ElseClause') {
        hasElse = true;
        this.#block(clause.body);
        ends.push(this.#state);
        break;
      }
      this.#value(clause.condition);
      const asked = this.#state;
      this.#state = this.#narrowing.by(asked, clause.condition, true);
      this.#block(clause.body);
      ends.push(this.#state);
      this.#state = this.#narrowing.by(asked, clause.condition, false);
    }
    if (!hasElse) ends.push(this.#state);
    this.#state = this.#joined(ends);
  }

  #forLoop(
    statement: NodeOf<'ForNumericStatement' | 'ForGenericStatement'>,
    types: () => readonly Type[],
    variables: readonly Node[],
  ): void {
    this.#loop(statement, () => {
      const before = this.#state;
      this.#state = new State(before);
      variables.forEach((variable, i) => {
        const binding = this.#policy.variableOf(variable);
        if (binding) this.#declare(this.#state, binding, types()[i]);
      });
      this.#block(statement.body);
      return State.join(before, this.#state);
    });
  }

  /** `follow` gives the state with which the loop ends by itself. */
  #loop(statement: Node, follow: () => State): void {
    const state = new State(this.#state);
    for (const key of this.#assignedIn(statement)) state.forget(key);
    this.#state = state;
    this.#breaks.push([]);
    const end = follow();
    this.#state = this.#joined([end, ...(this.#breaks.pop() ?? [])]);
  }

  /** The keys that a loop gives values to. */
  #assignedIn(node: Node): string[] {
    const keys: string[] = [];
    const visit = (at: Node): void => {
      if (at.type === 'AssignmentStatement') {
        for (const place of at.variables) {
          const key = this.#keys.of(place);
          if (key !== undefined) keys.push(key);
        }
      }
      for (const child of childrenOf(at)) visit(child);
    };
    visit(node);
    return keys;
  }

  /** A jump back finds here what variables have got in between: they are not known. */
  #label(name: string): void {
    const joined = this.#joined([this.#state, ...(this.#jumps.get(name) ?? [])]);
    const state = new State(joined);
    for (const key of [...state.types.keys()]) if (this.#keys.isMutable(key)) state.types.delete(key);
    this.#state = state;
  }

  #joined(states: readonly State[]): State {
    const [first, ...more] = states;
    return more.reduce((joined, state) => State.join(joined, state), first ?? this.#state);
  }
}
