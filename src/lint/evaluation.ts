/** The types of expressions, and what evaluating them leaves known: the part of the flow analysis below statements. */
import { API_NAMES } from '../api/names.ts';
import type { Keys } from './keys.ts';
import type { Narrowing } from './narrow.ts';
import type { PolicyScript } from './policy-script.ts';
import { type Callee, calleeOf, resultAt, resultsOf } from './results.ts';
import type { Stages } from './stages.ts';
import { State } from './state.ts';
import {
  argumentsOf,
  type CallExpression,
  type Expression,
  type FunctionDeclaration,
  isCall,
  type Node,
  type NodeOf,
  type Place,
} from './syntax.ts';
import {
  elementOf,
  filterType,
  isAlways,
  mayBe,
  mayBeNil,
  memberType,
  presentType,
  type Type,
  typeOfPath,
  unionOf,
} from './types.ts';

interface EvaluationContext {
  readonly policy: PolicyScript;
  readonly stages: Stages;
  readonly keys: Keys;
  readonly narrowing: Narrowing;
  /** Of the expressions that have been followed. */
  readonly types: Map<Node, Type>;
  /** A function is written down. */
  readonly define: (body: FunctionDeclaration, state: State) => void;
  /** A function of the script is called. */
  readonly arrive: (body: FunctionDeclaration, state: State, args: readonly Type[]) => void;
}

type Forms = readonly (readonly Type[])[] | undefined;

export class Evaluation {
  /** Types of variables that are never assigned to, by key: those of their declarations. */
  readonly declared: Map<string, Type> = new Map();
  readonly #in: EvaluationContext;
  readonly #forms = new Map<CallExpression, Forms>();
  readonly #typeOf = (node: Node): Type => this.#in.types.get(node);

  constructor(context: EvaluationContext) {
    this.#in = context;
  }

  /** Follows an expression; its type is in `types` then. */
  value(expression: Expression, from: State): State {
    if (from.dead) return from;
    switch (expression.type) {
      case 'LogicalExpression':
        return this.#logical(expression, from);
      case 'BinaryExpression': {
        const state = this.value(expression.right, this.value(expression.left, from));
        this.#note(expression, this.#binary(expression));
        return this.#used(state, expression.operator, [expression.left, expression.right]);
      }
      case 'UnaryExpression': {
        const state = this.value(expression.argument, from);
        this.#note(expression, unary(expression.operator, this.#typeOf(expression.argument)));
        return this.#used(state, expression.operator, [expression.argument]);
      }
      case 'CallExpression':
      case 'TableCallExpression':
      case 'StringCallExpression':
        return this.call(expression, from);
      case 'Identifier':
        this.#note(expression, this.#variable(expression, from));
        return from;
      case 'MemberExpression': {
        const state = this.#present(this.value(expression.base, from), expression.base);
        // What a method is, only its call tells.
        const find = () => (expression.indexer === ':' ? undefined : this.#field(expression));
        this.#note(expression, this.#known(expression, state, find));
        return state;
      }
      case 'IndexExpression': {
        const indexed = this.value(expression.index, this.value(expression.base, from));
        const state = this.#present(indexed, expression.base);
        this.#note(
          expression,
          this.#known(expression, state, () => this.#element(expression, state)),
        );
        return state;
      }
      case 'TableConstructorExpression':
        this.#note(expression, 'table');
        return this.#table(expression, from);
      case 'FunctionDeclaration':
        this.#note(expression, 'function');
        this.#in.define(expression, from);
        return from;
      default:
        this.#note(expression, literal(expression));
        return from;
    }
  }

  /** Follows a call, as a value or as a statement. */
  call(call: CallExpression, from: State): State {
    if (from.dead) return from;
    const { policy, narrowing, keys } = this.#in;
    const args = argumentsOf(call);
    let state = this.value(call.base, from);
    for (const argument of args) state = this.value(argument, state);
    state = this.#present(state, call.base);
    const callee = calleeOf(policy, call, this.#typeOf);
    const forms = callee && this.#results(callee, state);
    this.#forms.set(call, forms);
    this.#note(
      call,
      this.#known(call, state, () => this.#firstResult(callee, forms, args)),
    );
    const path = policy.pathOf(call.base);
    const isLibrary = callee !== undefined || (path !== undefined && !policy.isDefined(path));
    if (callee) state = this.#demanded(state, callee);
    if (path === 'assert' && isLibrary && args[0]) return narrowing.by(state, args[0], true);
    if (callee?.entry?.passes) {
      state = new State(state);
      state.exclude(args.map((argument) => keys.of(argument)));
    }
    if (path === 'error' && isLibrary) return dead(state);
    return isLibrary ? state : this.#ownCall(call, args, state);
  }

  /** What a place is assigned to: the table is read, the field is not. */
  target(place: Exclude<Place, { type: 'Identifier' }>, from: State): State {
    const based = this.value(place.base, from);
    const state = place.type === 'IndexExpression' ? this.value(place.index, based) : based;
    return this.#present(state, place.base);
  }

  formsOf(call: CallExpression): Forms {
    return this.#forms.get(call);
  }

  /** What the variables of a generic `for` get. */
  elementsOf(iterators: readonly Expression[]): readonly Type[] {
    const [iterator] = iterators;
    if (iterators.length !== 1 || !iterator || !isCall(iterator)) return [];
    const callee = calleeOf(this.#in.policy, iterator, this.#typeOf);
    const [first] = callee?.args ?? [];
    const list = first && this.#typeOf(first);
    switch (callee?.name) {
      case 'ipairs':
        return ['integer', elementOf(list)];
      case 'pairs':
        return list && presentType(list)?.endsWith('[]') ? ['integer', elementOf(list)] : [];
      case 'io.lines':
      case 'io.file:lines':
        return callee.args.length > 1 ? [] : ['string'];
      case 'string.gmatch': {
        const match = resultsOf(this.#in.policy, { ...callee, name: 'string.match' }, this.#typeOf);
        return match?.[0] ?? [];
      }
      default:
        return [];
    }
  }

  #note(node: Node, type: Type): void {
    this.#in.types.set(node, type);
  }

  /** The type by what has been found out of an expression, else by what it says. */
  #known(node: Node, state: State, find: () => Type): Type {
    const key = this.#in.keys.of(node);
    return key !== undefined && state.types.has(key) ? state.types.get(key) : find();
  }

  #variable(identifier: NodeOf<'Identifier'>, state: State): Type {
    const { policy, keys, stages } = this.#in;
    return this.#known(identifier, state, () => {
      const key = keys.of(identifier) ?? '';
      if (this.declared.has(key)) return this.declared.get(key);
      const path = policy.pathOf(identifier);
      if (path === undefined || policy.isDefined(path)) return undefined;
      const field = API_NAMES.fields.get(path);
      if (field) return stages.typeOfField(field, stages.of(policy.bindings.functionOf(identifier)));
      return typeOfPath(path);
    });
  }

  #field(node: NodeOf<'MemberExpression'>): Type {
    return this.#byPath(node) ?? memberType(this.#typeOf(node.base), node.identifier.name);
  }

  #element(node: NodeOf<'IndexExpression'>, state: State): Type {
    const { base, index } = node;
    const type = this.#typeOf(base);
    if (index.type === 'StringLiteral') return this.#byPath(node) ?? memberType(type, index.value);
    if (!isAlways(this.#typeOf(index) ?? 'integer', ['number'])) return undefined;
    const element = elementOf(type);
    if (element === undefined || index.type !== 'NumericLiteral') return element;
    // A list that nobody has counted may be empty.
    const key = this.#in.keys.of(base);
    const isCounted = key !== undefined && state.examined.has(key);
    return isCounted || this.#isFilled(base, index.value) ? element : unionOf([element, 'nil']);
  }

  /** Whether a list of the API has a first element wherever it is read. */
  #isFilled(base: Expression, index: number): boolean {
    const { policy, stages } = this.#in;
    const field = API_NAMES.fields.get(policy.pathOf(base) ?? '');
    const here = stages.of(policy.bindings.functionOf(base));
    return index === 1 && field?.filled !== undefined && here !== undefined && !here.has('mail');
  }

  #byPath(node: Node): Type {
    const { policy, stages } = this.#in;
    const path = policy.pathOf(node);
    if (path === undefined || policy.isDefined(path)) return undefined;
    const field = API_NAMES.fields.get(path);
    if (field) return stages.typeOfField(field, stages.of(policy.bindings.functionOf(node)));
    const isNamed =
      API_NAMES.constants.has(path) || API_NAMES.functions.has(path) || API_NAMES.tables.has(path);
    return isNamed ? typeOfPath(path) : undefined;
  }

  #results(callee: Callee, state: State): Forms {
    const forms = resultsOf(this.#in.policy, callee, this.#typeOf);
    const [subject] = callee.args;
    const key = subject && this.#in.keys.of(subject);
    // Where something was found in a text, or it was counted, what is looked for next is likely there.
    const isExamined = key !== undefined && state.examined.has(key);
    if (!isExamined || !/^(string\.|tonumber)/.test(callee.name)) return forms;
    return forms?.length === 1 && !forms[0]?.some(mayBeNil) ? forms : undefined;
  }

  #firstResult(callee: Callee | undefined, forms: Forms, args: readonly Expression[]): Type {
    const [first] = args;
    if (callee?.name === 'assert' && first)
      return this.#without(this.#typeOf(first), (member) => mayBe(true, member));
    if (callee?.name === 'setmetatable') return undefined;
    if (!callee?.entry?.passes || !first) return resultAt(forms, 0);
    // `nil, err` raises an error, a nil alone does not.
    const passed = isCall(first) && args.length === 1 ? this.#forms.get(first) : undefined;
    return (
      passed &&
      resultAt(
        passed.filter(([result, err]) => result !== 'nil' || (err ?? 'nil') === 'nil'),
        0,
      )
    );
  }

  #without(type: Type, passes: (member: string) => boolean): Type {
    const left = filterType(type, passes);
    return left === 'never' ? undefined : left;
  }

  #logical(expression: NodeOf<'LogicalExpression'>, from: State): State {
    const { operator, left, right } = expression;
    const isAnd = operator === 'and';
    const asked = this.value(left, from);
    const other = this.value(right, this.#in.narrowing.by(asked, left, isAnd));
    const one = this.#in.narrowing.by(asked, left, !isAnd);
    const stays = filterType(this.#typeOf(left), (member) => mayBe(!isAnd, member));
    const comes = defaultAs(stays, right) ?? this.#typeOf(right);
    this.#note(
      expression,
      stays === 'never'
        ? comes
        : stays === undefined
          ? undefined
          : other.dead
            ? stays
            : unionOf([stays, comes]),
    );
    return State.join(one, other);
  }

  #binary({ operator, left, right }: NodeOf<'BinaryExpression'>): Type {
    const sides = [this.#typeOf(left), this.#typeOf(right)];
    switch (operator) {
      case '..': {
        const [one, other] = sides;
        return one === other && (one === 'lowercase' || one === 'uppercase') ? one : 'string';
      }
      case '==':
      case '~=':
      case '<':
      case '<=':
      case '>':
      case '>=':
        return 'boolean';
      default:
        return sides.every((side) => isAlways(side, ['number', 'string'])) ? 'number' : undefined;
    }
  }

  #table({ fields }: NodeOf<'TableConstructorExpression'>, from: State): State {
    return fields.reduce((state, field) => {
      const keyed = field.type === 'TableKey' ? this.value(field.key, state) : state;
      return this.value(field.value, keyed);
    }, from);
  }

  /** What an operator has worked on is not nil: it would have failed. */
  #used(from: State, operator: string, operands: readonly Expression[]): State {
    if (operator === '==' || operator === '~=' || operator === 'not') return from;
    return operands.reduce((state, operand) => this.#present(state, operand), from);
  }

  #present(from: State, expression: Expression): State {
    const key = this.#in.keys.of(expression);
    const type = this.#typeOf(expression);
    if (key === undefined || !mayBeNil(type) || from.dead) return from;
    const state = new State(from);
    const left = filterType(type, (member) => member !== 'nil');
    // Where it is nil for sure the script fails: what follows is not worth a word of its own.
    if (left === 'never') state.types.set(key, undefined);
    else state.refine(key, type, (member) => member !== 'nil');
    return state;
  }

  /** The same for arguments that must not be nil. */
  #demanded(from: State, { params, args }: Callee): State {
    return args.reduce((state, argument, i) => {
      const param = params[i];
      const demands = param && param.name !== '...' && param.optional !== true && !/any|nil/.test(param.type);
      return demands ? this.#present(state, argument) : state;
    }, from);
  }

  /** A function of the script's own may change what it can reach, and look at what it is given. */
  #ownCall(call: CallExpression, args: readonly Expression[], from: State): State {
    const { policy, keys, narrowing } = this.#in;
    const body = policy.bodyOf(call.base);
    const state = new State(from);
    if (body) this.#in.arrive(body, from, args.map(this.#typeOf));
    state.disturb();
    args.forEach((argument, i) => {
      const key = keys.of(argument);
      const parameter = body?.parameters[i];
      const isLookedAt = body === undefined || (parameter !== undefined && this.#isTested(body, parameter));
      if (key !== undefined && isLookedAt && mayBeNil(this.#typeOf(argument)))
        state.types.set(key, undefined);
    });
    if (body && this.#neverReturns(body)) return dead(state);
    // One that is called for nothing but what it does may do so by an error.
    const isStatement = policy.bindings.parents.get(call)?.type === 'CallStatement';
    return isStatement && (body === undefined || this.#mayFail(body))
      ? narrowing.afterGuard(state, call)
      : state;
  }

  /** Whether a function asks what an argument is, and so may end without returning. */
  #isTested(body: FunctionDeclaration, parameter: Node): boolean {
    const { policy } = this.#in;
    const binding = policy.variableOf(parameter);
    return binding
      ? policy.bindings.usesOf(binding).some((use) => policy.isTested(use))
      : body.body.length > 0;
  }

  /** Whether a function raises errors itself. */
  #mayFail(body: FunctionDeclaration): boolean {
    const { policy } = this.#in;
    const raises = ['error', 'assert'].flatMap((name) => policy.bindings.usesOf(name));
    return raises.some((use) => policy.bindings.functionOf(use) === body);
  }

  #neverReturns(body: FunctionDeclaration): boolean {
    const last = body.body.at(-1);
    const path = last?.type === 'CallStatement' ? this.#in.policy.pathOf(last.expression.base) : undefined;
    return path === 'error' && !this.#in.policy.hasReturn(body);
  }
}

/** An empty list or text in the place of a missing one is of the same type. */
function defaultAs(type: Type, fallback: Expression): Type {
  const isEmptyList = fallback.type === 'TableConstructorExpression' && fallback.fields.length === 0;
  if (isEmptyList && type?.endsWith('[]') && !type.includes('|')) return type;
  const isText = type === 'lowercase' || type === 'uppercase';
  return isText && fallback.type === 'StringLiteral' && fallback.value === '' ? type : undefined;
}

function dead(from: State): State {
  const state = new State(from);
  state.dead = true;
  return state;
}

function unary(operator: NodeOf<'UnaryExpression'>['operator'], type: Type): Type {
  if (operator === 'not') return 'boolean';
  if (operator === '#') return 'integer';
  return isAlways(type, ['number', 'string']) ? 'number' : undefined;
}

function literal(expression: Expression): Type {
  switch (expression.type) {
    case 'StringLiteral':
      return 'string';
    case 'NumericLiteral':
      return 'number';
    case 'BooleanLiteral':
      return String(expression.value);
    case 'NilLiteral':
      return 'nil';
    default:
      return undefined;
  }
}
