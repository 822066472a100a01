/** A policy as the rules see it: what its expressions refer to, and which functions the milter calls. */
import type { Callback } from '../api/entry.ts';
import { LUA_GLOBALS } from '../api/lua.ts';
import { API_NAMES, TRANSACTION_ALIAS } from '../api/names.ts';
import { type Binding, Bindings } from './bindings.ts';
import type { Source } from './source.ts';
import {
  argumentsOf,
  type Expression,
  type FunctionDeclaration,
  type Identifier,
  isCall,
  type Node,
  type NodeOf,
  type Place,
  type Tree,
} from './syntax.ts';
import { elementOf, memberType } from './types.ts';

/** What is known of the script beyond its text. */
export interface Surroundings {
  /**
   * Names that exist when the main chunk has run, as paths: `refuse`, `smtp.refuse`, `string.trim`; undefined when it
   * did not run to its end.
   */
  readonly defined?: ReadonlySet<string> | undefined;
  /** What was to be said of its callbacks when the main chunk had run, without the name of the file; latin1. */
  readonly warnings?: readonly string[];
  readonly allowJs: boolean;
  readonly allowExecute: boolean;
  /** Whether it is a file of tests, which has the library `test` too. */
  readonly isTest: boolean;
}

/** A function of the script that the milter calls. */
export interface CallbackDefinition {
  /** As the script spells it: `smtp.do_rcpt`, or `smtp.rcpt`. */
  readonly name: string;
  readonly callback: Callback;
  readonly place: Place;
  /** Undefined where it is not written down as a function. */
  readonly body: FunctionDeclaration | undefined;
}

/** A `return` whose values are those of a callback. */
export interface Answer {
  readonly callback: CallbackDefinition;
  readonly statement: NodeOf<'ReturnStatement'>;
}

export class Policy {
  readonly source: Source;
  readonly chunk: Tree['chunk'];
  readonly surroundings: Surroundings;
  readonly bindings: Bindings;
  readonly callbacks: readonly CallbackDefinition[];
  /** Paths that the script gives a value itself. */
  readonly defined: ReadonlySet<string>;
  /** Whether names may come into being that the text does not show. */
  readonly isDynamic: boolean;
  /** Global names that are not what the API has there any more. */
  readonly #replaced: ReadonlySet<string>;

  constructor(source: Source, tree: Tree, surroundings: Surroundings) {
    this.source = source;
    this.chunk = tree.chunk;
    this.surroundings = { ...surroundings, defined: withoutLibraries(surroundings.defined) };
    this.bindings = new Bindings(tree);
    this.#replaced = new Set();
    const defined = this.bindings.definitions.map(({ place }) => this.pathOf(place));
    this.defined = new Set(defined.filter((path) => path !== undefined));
    this.#replaced = new Set([...this.defined].filter((path) => !path.includes('.')));
    this.callbacks = this.#findCallbacks();
    this.isDynamic = [...this.bindings.nodes()].some((node) => this.#makesNames(node));
  }

  /** The warning of the run that begins with these words. */
  warningOf(words: string): string | undefined {
    return this.surroundings.warnings?.find((warning) => warning.startsWith(words));
  }

  /** Whether a path has been given a value by the script, in its text or when it ran. */
  isDefined(path: string): boolean {
    return this.defined.has(path) || (this.surroundings.defined?.has(path) ?? false);
  }

  /**
   * What a name, a field or an element stands for, seen from the globals, through local variables that are only other
   * names of it: `smtp.code.reject`. Undefined where that is not sure.
   */
  pathOf(expression: Node): string | undefined {
    const path = this.#rawPath(expression);
    if (path === undefined) return undefined;
    const plain = path.startsWith('_G.') ? path.slice('_G.'.length) : path;
    if (this.#replaced.has(plain.split('.')[0] ?? '')) return plain.includes('.') ? undefined : plain;
    return plain === TRANSACTION_ALIAS || plain.startsWith(`${TRANSACTION_ALIAS}.`)
      ? `smtp.tran${plain.slice(TRANSACTION_ALIAS.length)}`
      : plain;
  }

  /** The variable of an identifier; null for a global one, undefined for other nodes. */
  variableOf(node: Node): Binding | null | undefined {
    return node.type === 'Identifier' ? this.bindings.variables.get(node) : undefined;
  }

  /** The value a local variable is sure to have, seen through other such variables; else the expression itself. */
  valueOf(expression: Expression): Expression {
    const binding = this.variableOf(expression);
    return binding && !binding.assigned && binding.initial ? this.valueOf(binding.initial) : expression;
  }

  /** The type of an expression in the API's terms; undefined when it is not known. */
  typeOf(expression: Node): string | undefined {
    const path = this.pathOf(expression);
    if (path !== undefined) {
      const known = typeOfPath(path);
      if (known !== undefined && !this.isDefined(path)) return known;
    }
    switch (expression.type) {
      case 'StringLiteral':
        return 'string';
      case 'NumericLiteral':
        return 'number';
      case 'BooleanLiteral':
        return 'boolean';
      case 'TableConstructorExpression':
        return 'table';
      case 'FunctionDeclaration':
        return 'function';
      case 'BinaryExpression':
        return expression.operator === '..' ? 'string' : undefined;
      case 'Identifier':
        return this.#typeOfVariable(expression);
      case 'MemberExpression':
        return memberType(this.typeOf(expression.base), expression.identifier.name);
      case 'IndexExpression': {
        const base = this.typeOf(expression.base);
        return expression.index.type === 'StringLiteral'
          ? memberType(base, expression.index.value)
          : elementOf(base);
      }
      case 'CallExpression':
      case 'TableCallExpression':
      case 'StringCallExpression':
        return this.#typeOfCall(expression);
      default:
        return undefined;
    }
  }

  /** All returns that the milter gets to see, of callbacks and of local functions whose results they return. */
  answers(): Answer[] {
    return this.callbacks.flatMap((callback) => {
      const answers: Answer[] = [];
      const seen = new Set<FunctionDeclaration>();
      const visit = (body: FunctionDeclaration | undefined): void => {
        if (body === undefined || seen.has(body)) return;
        seen.add(body);
        for (const statement of this.#returnsOf(body)) {
          answers.push({ callback, statement });
          const [only] = statement.arguments;
          if (statement.arguments.length === 1 && only && isCall(only)) visit(this.bodyOf(only.base));
        }
      };
      visit(callback.body);
      return answers;
    });
  }

  /** The function that an expression is sure to be. */
  bodyOf(expression: Expression): FunctionDeclaration | undefined {
    const value = this.valueOf(expression);
    if (value.type === 'FunctionDeclaration') return value;
    if (value.type !== 'Identifier') return undefined;
    const named = this.bindings.definitions.filter(
      ({ place }) => place.type === 'Identifier' && place.name === value.name,
    );
    const body = named.length === 1 ? named[0]?.value : undefined;
    return body?.type === 'FunctionDeclaration' ? body : undefined;
  }

  /** Whether an expression is only asked for being there: `if x`, `x and ...`, `x == nil`, `type(x)`. */
  isTested(node: Node): boolean {
    const parent = this.bindings.parents.get(node);
    switch (parent?.type) {
      case 'LogicalExpression':
      case 'IfClause':
      case 'ElseifClause':
      case 'WhileStatement':
        return true;
      case 'UnaryExpression':
        return parent.operator === 'not';
      case 'BinaryExpression':
        return (
          (parent.operator === '==' || parent.operator === '~=') &&
          (parent.left.type === 'NilLiteral' || parent.right.type === 'NilLiteral')
        );
      case 'CallExpression':
        return (
          parent.base !== node && ['type', 'tostring', 'rawget'].includes(this.pathOf(parent.base) ?? '')
        );
      default:
        return false;
    }
  }

  /** Whether a place is written to there, not read. */
  isWritten(node: Node): boolean {
    const parent = this.bindings.parents.get(node);
    if (parent?.type === 'FunctionDeclaration') return parent.identifier === node;
    return parent?.type === 'AssignmentStatement' && parent.variables.some((variable) => variable === node);
  }

  #rawPath(expression: Node): string | undefined {
    switch (expression.type) {
      case 'Identifier': {
        const binding = this.bindings.variables.get(expression);
        if (binding === null) return expression.name;
        if (binding === undefined || binding.assigned || binding.initial === undefined) return undefined;
        return binding.initial.type === 'FunctionDeclaration' ? undefined : this.#rawPath(binding.initial);
      }
      case 'MemberExpression': {
        const base = this.#rawPath(expression.base);
        return base === undefined ? undefined : `${base}.${expression.identifier.name}`;
      }
      case 'IndexExpression': {
        const base = this.#rawPath(expression.base);
        if (base === undefined || expression.index.type !== 'StringLiteral') return undefined;
        return `${base}.${expression.index.value}`;
      }
      default:
        return undefined;
    }
  }

  #typeOfVariable(identifier: Identifier): string | undefined {
    const binding = this.bindings.variables.get(identifier);
    if (!binding || binding.assigned) return undefined;
    if (binding.initial) return this.typeOf(binding.initial);
    const { parameter, loop } = binding;
    if (parameter) {
      const callbacks = this.callbacks.filter(({ body }) => body === parameter.of);
      const isMethod =
        parameter.of.identifier?.type === 'MemberExpression' && parameter.of.identifier.indexer === ':';
      return isMethod ? undefined : callbacks[0]?.callback.params[parameter.index]?.type;
    }
    if (!loop) return undefined;
    const [iterator] = loop.statement.iterators;
    if (loop.statement.iterators.length !== 1 || !iterator || !isCall(iterator)) return undefined;
    if (this.pathOf(iterator.base) !== 'ipairs') return undefined;
    const [list] = argumentsOf(iterator);
    return loop.index === 0 ? 'integer' : list && elementOf(this.typeOf(list));
  }

  #typeOfCall(
    call: NodeOf<'CallExpression' | 'TableCallExpression' | 'StringCallExpression'>,
  ): string | undefined {
    const path = this.pathOf(call.base);
    if (path === undefined || this.isDefined(path)) return undefined;
    if (path === 'must') {
      const [first] = argumentsOf(call);
      return first && this.typeOf(first);
    }
    if (path === 'string.format' || path === 'tostring') return 'string';
    const result = API_NAMES.functions.get(path)?.results[0];
    return result?.name === '...' ? undefined : result?.type;
  }

  #findCallbacks(): CallbackDefinition[] {
    return this.bindings.definitions.flatMap(({ place, value }) => {
      const name = this.pathOf(place);
      const callback = API_NAMES.callbacks.get(name ?? '');
      if (name === undefined || callback === undefined) return [];
      if (value?.type === 'NilLiteral') return [];
      const body = value?.type === 'FunctionDeclaration' ? value : value && this.bodyOf(value);
      return [{ name, callback, place, body }];
    });
  }

  #returnsOf(body: FunctionDeclaration): NodeOf<'ReturnStatement'>[] {
    const found: NodeOf<'ReturnStatement'>[] = [];
    for (const node of this.bindings.nodes()) {
      if (node.type === 'ReturnStatement' && this.bindings.functionOf(node) === body) found.push(node);
    }
    return found;
  }

  /** Code loaded at run time, other environments, and globals by computed names. */
  #makesNames(node: Node): boolean {
    if (node.type === 'Identifier') {
      if (node.name !== '_ENV' && node.name !== '_G') return false;
      const parent = this.bindings.parents.get(node);
      return node.name === '_ENV' || parent?.type !== 'MemberExpression';
    }
    if (!isCall(node)) return false;
    return ['load', 'loadfile', 'dofile', 'require'].includes(this.pathOf(node.base) ?? '');
  }
}

/** Of the names that exist when the script has run, those that are there for every script are not its own. */
function withoutLibraries(names: ReadonlySet<string> | undefined): ReadonlySet<string> | undefined {
  if (names === undefined) return undefined;
  const isOfLibrary = (path: string): boolean => {
    const [table = '', field] = path.split('.');
    if (field !== undefined && LUA_GLOBALS[table]?.includes(field)) return true;
    return (
      Object.hasOwn(LUA_GLOBALS, path) || (typeOfPath(path) !== undefined && !API_NAMES.callbacks.has(path))
    );
  };
  return new Set([...names].filter((path) => !isOfLibrary(path)));
}

function typeOfPath(path: string): string | undefined {
  const field = API_NAMES.fields.get(path);
  if (field) return field.type;
  if (API_NAMES.constants.has(path)) return 'integer';
  if (API_NAMES.functions.has(path)) return 'function';
  if (API_NAMES.tables.has(path)) return 'table';
  // Below a field that holds a table of a class.
  const dot = path.lastIndexOf('.');
  if (dot < 0) return undefined;
  const base = typeOfPath(path.slice(0, dot));
  return memberType(base, path.slice(dot + 1));
}
