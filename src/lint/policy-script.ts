/** A policy as the rules see it: what its expressions refer to, and which functions the milter calls. */

import { LUA_GLOBALS } from '../api/lua.ts';
import { API_NAMES, TRANSACTION_ALIAS } from '../api/names.ts';
import type { Callback } from '../modules/entry.ts';
import { type Binding, Bindings } from './bindings.ts';
import { Flow } from './flow.ts';
import type { Source } from './source.ts';
import {
  type Expression,
  type FunctionDeclaration,
  isCall,
  type Node,
  type NodeOf,
  type Place,
  type Tree,
} from './syntax.ts';
import { type Type, typeOfPath } from './types.ts';

/** A warning of the run of the main chunk. */
export interface RunWarning {
  /** The name of a rule. */
  readonly code: string;
  /** The name that it is about: `smtp.do_rcpt`. */
  readonly subject: string;
  readonly text: string;
}

/** What is known of the script beyond its text. */
export interface ScriptFacts {
  /**
   * Names that exist when the main chunk has run, as paths: `refuse`, `smtp.refuse`, `string.trim`; undefined when it
   * did not run to its end.
   */
  readonly defined?: ReadonlySet<string> | undefined;
  /** The callbacks that it defines when it has run; undefined when it did not run to its end. */
  readonly callbacks?: readonly string[] | undefined;
  /** What was to be said of its callbacks when the main chunk had run, without the name of the file; latin1. */
  readonly warnings?: readonly RunWarning[];
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
export interface CallbackReturn {
  readonly callback: CallbackDefinition;
  readonly statement: NodeOf<'ReturnStatement'>;
}

export class PolicyScript {
  readonly source: Source;
  readonly chunk: Tree['chunk'];
  readonly facts: ScriptFacts;
  readonly bindings: Bindings;
  readonly callbacks: readonly CallbackDefinition[];
  /** Paths that the script gives a value itself. */
  readonly defined: ReadonlySet<string>;
  /** Whether names may come into being that the text does not show. */
  readonly isDynamic: boolean;
  readonly flow: Flow;
  /** Global names that are not what the API has there any more. */
  readonly #replaced: ReadonlySet<string>;
  /** Names of fields that the script gives a value. */
  readonly #fields: ReadonlySet<string>;
  readonly #returns: ReadonlyMap<FunctionDeclaration, readonly NodeOf<'ReturnStatement'>[]>;

  constructor(source: Source, tree: Tree, facts: ScriptFacts) {
    this.source = source;
    this.chunk = tree.chunk;
    this.facts = { ...facts, defined: withoutLibraries(facts.defined) };
    this.bindings = new Bindings(tree);
    this.#replaced = new Set();
    const defined = this.bindings.definitions.map(({ place }) => this.pathOf(place));
    this.defined = new Set(defined.filter((path) => path !== undefined));
    this.#replaced = new Set([...this.defined].filter((path) => !path.includes('.')));
    this.callbacks = this.#findCallbacks();
    this.#fields = new Set(
      this.bindings.definitions.flatMap(({ place }) =>
        place.type === 'MemberExpression' ? [place.identifier.name] : [],
      ),
    );
    this.#returns = this.#findReturns();
    this.flow = new Flow(this);
    this.isDynamic = [...this.bindings.nodes()].some((node) => this.#makesNames(node));
  }

  /** What the run has said under this code of a name, as the script spells it. */
  warningOf(code: string, name: string): string | undefined {
    return this.facts.warnings?.find((one) => one.code === code && one.subject === name)?.text;
  }

  /** Whether a path has been given a value by the script, in its text or when it ran. */
  isDefined(path: string): boolean {
    return this.defined.has(path) || (this.facts.defined?.has(path) ?? false);
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

  /** The type of an expression where it stands, in the API's terms; undefined when it is not known. */
  typeOf(expression: Node): Type {
    return this.flow.typeOf(expression);
  }

  /** All returns that the milter gets to see, of callbacks and of local functions whose results they return. */
  callbackReturns(): CallbackReturn[] {
    return this.callbacks.flatMap((callback) => {
      const returns: CallbackReturn[] = [];
      const seen = new Set<FunctionDeclaration>();
      const visit = (body: FunctionDeclaration | undefined): void => {
        if (body === undefined || seen.has(body)) return;
        seen.add(body);
        for (const statement of this.#returns.get(body) ?? []) {
          returns.push({ callback, statement });
          const [only] = statement.arguments;
          if (statement.arguments.length === 1 && only && isCall(only)) visit(this.bodyOf(only.base));
        }
      };
      visit(callback.body);
      return returns;
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

  /** Whether the script gives some table a field of this name: it may be any. */
  setsField(name: string): boolean {
    return this.#fields.has(name);
  }

  hasReturn(body: FunctionDeclaration): boolean {
    return this.#returns.has(body);
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

  #findReturns(): Map<FunctionDeclaration, NodeOf<'ReturnStatement'>[]> {
    const returns = new Map<FunctionDeclaration, NodeOf<'ReturnStatement'>[]>();
    for (const node of this.bindings.nodes()) {
      const body = node.type === 'ReturnStatement' ? this.bindings.functionOf(node) : undefined;
      if (node.type !== 'ReturnStatement' || !body) continue;
      const known = returns.get(body);
      if (known) known.push(node);
      else returns.set(body, [node]);
    }
    return returns;
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
