/** What a condition tells: the state where it holds, or where it does not. */
import type { Keys } from './keys.ts';
import { Mentions } from './mentions.ts';
import type { PolicyScript } from './policy-script.ts';
import type { TypeOf } from './results.ts';
import { State } from './state.ts';
import { argumentsOf, type CallExpression, type Expression, isCall, type NodeOf } from './syntax.ts';
import { baseOf, mayBe, mayBeNil, type Type } from './types.ts';

export class Narrowing {
  readonly #policy: PolicyScript;
  readonly #keys: Keys;
  readonly #typeOf: TypeOf;
  readonly #mentions: Mentions;

  constructor(policy: PolicyScript, keys: Keys, typeOf: TypeOf) {
    this.#policy = policy;
    this.#keys = keys;
    this.#typeOf = typeOf;
    this.#mentions = new Mentions(policy, keys);
  }

  /** The state of `from` where an expression, which has been followed, is true or is not. */
  by(from: State, expression: Expression, truth: boolean): State {
    switch (expression.type) {
      case 'UnaryExpression':
        return expression.operator === 'not' ? this.by(from, expression.argument, !truth) : from;
      case 'LogicalExpression':
        return this.#both(from, expression)[truth ? 0 : 1];
      case 'BinaryExpression':
        return this.#byComparison(from, expression, truth);
      case 'BooleanLiteral':
        return expression.value === truth ? from : nowhere(from);
      case 'NilLiteral':
        return truth ? nowhere(from) : from;
      case 'Identifier':
      case 'MemberExpression':
      case 'IndexExpression':
        return this.#byPlace(from, expression, truth);
      default:
        return isCall(expression) ? this.#byCall(from, expression, truth) : from;
    }
  }

  /** The states where an expression is true and where it is not, of long chains of `and` and `or` in one pass. */
  #both(from: State, expression: Expression): readonly [State, State] {
    if (expression.type !== 'LogicalExpression') {
      return [this.by(from, expression, true), this.by(from, expression, false)];
    }
    const { operator, left, right } = expression;
    const [isTrue, isFalse] = this.#both(from, left);
    if (operator === 'and') {
      const [both, second] = this.#both(isTrue, right);
      return [both, State.join(isFalse, second)];
    }
    const [second, neither] = this.#both(isFalse, right);
    return [State.join(isTrue, second), neither];
  }

  #byPlace(from: State, place: Expression, truth: boolean): State {
    const state = this.#refine(from, place, (member) => mayBe(truth, member));
    // A variable that holds what a condition gave tells as much as the condition.
    const binding = this.#policy.variableOf(place);
    const condition = binding?.assigned ? undefined : binding?.initial;
    if (condition === undefined || condition.type === 'Identifier') return state;
    return state.dead ? state : this.by(state, condition, truth);
  }

  #byCall(from: State, call: CallExpression, truth: boolean): State {
    let state = this.#refine(from, call, (member) => mayBe(truth, member));
    const { base } = call;
    const path = this.#policy.pathOf(base);
    const isMethod = base.type === 'MemberExpression' && base.indexer === ':';
    const name = isMethod ? base.identifier.name : path?.replace('string.', '');
    const args = argumentsOf(call);
    const subject = isMethod ? base.base : args[0];
    if (subject && (name === 'find' || name === 'match' || name === 'next')) {
      if (truth || name === 'next') state = this.#examine(state, subject);
    } else if (isMethod || path === undefined || this.#policy.isDefined(path)) {
      // A function of the script's own may have looked at them.
      for (const argument of args) state = this.#refine(state, argument, (member) => member !== 'nil');
      state = this.afterGuard(state, call);
    }
    return state;
  }

  /** What a function of the script's own has looked at may be as it wants it: nothing is known of it any more. */
  afterGuard(from: State, call: CallExpression): State {
    const body = this.#policy.bodyOf(call.base);
    const state = new State(from);
    for (const key of body ? this.#mentions.of(body) : this.#mentions.all()) state.types.set(key, undefined);
    return state;
  }

  #byComparison(from: State, node: NodeOf<'BinaryExpression'>, truth: boolean): State {
    const { operator, left, right } = node;
    let state = from;
    for (const side of [left, right]) {
      if (side.type === 'UnaryExpression' && side.operator === '#')
        state = this.#examine(state, side.argument);
      if (isCall(side)) state = this.#byComparedCall(state, side);
    }
    if (operator !== '==' && operator !== '~=') return state;
    const same = (operator === '==') === truth;
    state = this.#byEquality(state, left, right, same);
    return state.dead ? state : this.#byEquality(state, right, left, same);
  }

  /** Whatever a function of the script's own says of an argument, it may be that it is not nil. */
  #byComparedCall(from: State, call: CallExpression): State {
    const path = this.#policy.pathOf(call.base);
    const [first] = argumentsOf(call);
    if (path === 'next' && first) return this.#examine(from, first);
    const isOwn = path === undefined ? call.base.type === 'Identifier' : this.#policy.isDefined(path);
    if (!isOwn) return from;
    let state = from;
    for (const argument of argumentsOf(call)) {
      state = this.#refine(state, argument, (member) => member !== 'nil');
    }
    return this.afterGuard(state, call);
  }

  #byEquality(from: State, side: Expression, other: Expression, same: boolean): State {
    if (other.type === 'NilLiteral') return this.#refine(from, side, (member) => (member === 'nil') === same);
    if (other.type === 'BooleanLiteral') {
      const value = String(other.value);
      return this.#refine(from, side, (member) =>
        same ? member === value || member === 'boolean' : member !== value,
      );
    }
    const named = this.#typeTested(side);
    if (named && other.type === 'StringLiteral') {
      const { value } = other;
      return this.#refine(
        from,
        named,
        (member) => (baseOf(member) === value) === same || baseOf(member) === 'any',
      );
    }
    if (other.type === 'StringLiteral') {
      const literal = JSON.stringify(other.value);
      return this.#refine(from, side, (member) =>
        member.startsWith('"') ? (member === literal) === same : !same || member !== 'nil',
      );
    }
    const type = this.#typeOf(other);
    const isPresent = type !== undefined && !mayBeNil(type);
    return same && isPresent ? this.#refine(from, side, (member) => member !== 'nil') : from;
  }

  /** What `type(x)` is asked for, also by a variable that holds it. */
  #typeTested(side: Expression): Expression | undefined {
    const value = this.#policy.valueOf(side);
    if (!isCall(value) || this.#policy.pathOf(value.base) !== 'type') return undefined;
    return argumentsOf(value)[0];
  }

  #examine(from: State, subject: Expression): State {
    const key = this.#keys.of(subject);
    if (key === undefined) return from;
    const state = new State(from);
    state.examined.add(key);
    return state;
  }

  #refine(from: State, expression: Expression, passes: (member: string) => boolean): State {
    const key = this.#keys.of(expression);
    if (key === undefined || from.dead) return from;
    const type: Type = from.types.has(key) ? from.types.get(key) : this.#typeOf(expression);
    if (type === undefined && !from.isGrouped(key)) return from;
    const state = new State(from);
    state.refine(key, type, passes);
    return state;
  }
}

function nowhere(from: State): State {
  const state = new State(from);
  state.dead = true;
  return state;
}
