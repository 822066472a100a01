/** Which variable each name in a script means, and how the nodes of its tree hang together. */
import {
  childrenOf,
  type Expression,
  type FunctionDeclaration,
  type Identifier,
  type Node,
  type NodeOf,
  type Place,
  type Statement,
  type Tree,
} from './syntax.ts';

/** A local variable, parameter or loop variable. */
export interface Binding {
  readonly name: string;
  /** The one expression it gets its value from; undefined where it is none or several. */
  readonly initial: Expression | undefined;
  /** Of which function it is which parameter, counted from 0. */
  readonly parameter?: { readonly of: FunctionDeclaration; readonly index: number };
  /** A variable of a generic `for`. */
  readonly loop?: { readonly statement: NodeOf<'ForGenericStatement'>; readonly index: number };
  /** The function that declares it; undefined for the main chunk. */
  readonly home: FunctionDeclaration | undefined;
  /** Whether it is assigned to after its declaration. */
  assigned: boolean;
  /** Whether another function than the one that declares it does so. */
  shared: boolean;
}

/** Something that gets a value: by assignment, or as the name of a function. */
export interface Definition {
  readonly place: Place;
  /** Undefined where the value comes from a call of several results, or from nowhere. */
  readonly value: Expression | FunctionDeclaration | undefined;
}

type Scope = ReadonlyMap<string, Binding> | Map<string, Binding>;

/** The names in scope at some place, innermost scope last. */
type Scopes = readonly Scope[];

export class Bindings {
  /** Of identifiers that are variables; null for a global one. */
  readonly variables: Map<Identifier, Binding | null> = new Map();
  readonly parents: Map<Node, Node> = new Map();
  /** In the order of the source; local variables are not among them. */
  readonly definitions: Definition[] = [];
  /** Names of local variables that could be meant by a global identifier. */
  readonly #visible = new Map<Identifier, Scopes>();
  #uses: Map<Binding | string, Identifier[]> | undefined;
  /** The function whose body is being read. */
  #home: FunctionDeclaration | undefined;

  constructor({ chunk }: Tree) {
    this.#link(chunk);
    this.#block(chunk.body, []);
  }

  /** Every node of the tree, parents before children. */
  nodes(): IterableIterator<Node> {
    return this.parents.keys();
  }

  /** The names that mean a local variable, its declaration among them, or a global one. */
  usesOf(subject: Binding | string): readonly Identifier[] {
    if (this.#uses === undefined) {
      this.#uses = new Map();
      for (const [identifier, binding] of this.variables) {
        const uses = this.#uses.get(binding ?? identifier.name);
        if (uses) uses.push(identifier);
        else this.#uses.set(binding ?? identifier.name, [identifier]);
      }
    }
    return this.#uses.get(subject) ?? [];
  }

  /** The function a node stands in; undefined in the main chunk. */
  functionOf(node: Node): FunctionDeclaration | undefined {
    let from = node;
    for (let at = this.parents.get(node); at !== undefined; at = this.parents.get(at)) {
      // The name of a function stands outside of it.
      if (at.type === 'FunctionDeclaration' && at.identifier !== from) return at;
      from = at;
    }
    return undefined;
  }

  /** The names of local variables that are visible where a global identifier stands. */
  visibleAt(identifier: Identifier): string[] {
    return (this.#visible.get(identifier) ?? []).flatMap((scope) => [...scope.keys()]);
  }

  #link(node: Node): void {
    for (const child of childrenOf(node)) {
      this.parents.set(child, node);
      this.#link(child);
    }
  }

  #block(statements: readonly Statement[], outer: Scopes, own: Map<string, Binding> = new Map()): Scopes {
    const scopes = [...outer, own];
    for (const statement of statements) this.#statement(statement, scopes, own);
    return scopes;
  }

  #statement(statement: Statement, scopes: Scopes, own: Map<string, Binding>): void {
    switch (statement.type) {
      case 'LocalStatement':
        for (const value of statement.init) this.#expression(value, scopes);
        statement.variables.forEach((variable, i) => {
          this.#declare(own, variable, statement.init[i]);
        });
        return;
      case 'AssignmentStatement':
        for (const value of statement.init) this.#expression(value, scopes);
        statement.variables.forEach((place, i) => {
          this.#assign(place, statement.init[i], scopes);
        });
        return;
      case 'FunctionDeclaration':
        this.#functionStatement(statement, scopes, own);
        return;
      case 'IfStatement':
        for (const clause of statement.clauses) {
          if (clause.type !== 'ElseClause') this.#expression(clause.condition, scopes);
          this.#block(clause.body, scopes);
        }
        return;
      case 'WhileStatement':
        this.#expression(statement.condition, scopes);
        this.#block(statement.body, scopes);
        return;
      case 'RepeatStatement':
        this.#expression(statement.condition, this.#block(statement.body, scopes));
        return;
      case 'DoStatement':
        this.#block(statement.body, scopes);
        return;
      case 'ForNumericStatement': {
        for (const bound of [statement.start, statement.end, statement.step]) {
          if (bound) this.#expression(bound, scopes);
        }
        const inner = new Map<string, Binding>();
        this.#declare(inner, statement.variable, undefined);
        this.#block(statement.body, scopes, inner);
        return;
      }
      case 'ForGenericStatement': {
        for (const iterator of statement.iterators) this.#expression(iterator, scopes);
        const inner = new Map<string, Binding>();
        statement.variables.forEach((variable, index) => {
          this.#declare(inner, variable, undefined, { loop: { statement, index } });
        });
        this.#block(statement.body, scopes, inner);
        return;
      }
      case 'ReturnStatement':
        for (const value of statement.arguments) this.#expression(value, scopes);
        return;
      case 'CallStatement':
        this.#expression(statement.expression, scopes);
        return;
      case 'BreakStatement':
      case 'GotoStatement':
      case 'LabelStatement':
        return;
      default:
        statement satisfies never;
    }
  }

  #functionStatement(statement: FunctionDeclaration, scopes: Scopes, own: Map<string, Binding>): void {
    const { identifier } = statement;
    if (identifier?.type === 'Identifier' && statement.isLocal) {
      this.#declare(own, identifier, statement);
    } else if (identifier) {
      this.#assign(identifier, statement, scopes);
    }
    this.#function(statement, scopes);
  }

  #function(statement: FunctionDeclaration, scopes: Scopes): void {
    const inner = new Map<string, Binding>();
    const { identifier } = statement;
    const isMethod = identifier?.type === 'MemberExpression' && identifier.indexer === ':';
    const outer = this.#home;
    this.#home = statement;
    if (isMethod) inner.set('self', this.#newBinding('self', undefined, {}));
    statement.parameters.forEach((parameter, index) => {
      if (parameter.type !== 'Identifier') return;
      this.#declare(inner, parameter, undefined, { parameter: { of: statement, index } });
    });
    this.#block(statement.body, scopes, inner);
    this.#home = outer;
  }

  #expression(expression: Expression, scopes: Scopes): void {
    switch (expression.type) {
      case 'Identifier':
        this.#resolve(expression, scopes);
        return;
      case 'MemberExpression': // The field's name is no variable.
        this.#expression(expression.base, scopes);
        return;
      case 'FunctionDeclaration':
        this.#function(expression, scopes);
        return;
      case 'TableConstructorExpression':
        for (const field of expression.fields) {
          if (field.type === 'TableKey') this.#expression(field.key, scopes);
          this.#expression(field.value, scopes);
        }
        return;
      case 'IndexExpression':
        this.#expression(expression.base, scopes);
        this.#expression(expression.index, scopes);
        return;
      case 'CallExpression':
        this.#expression(expression.base, scopes);
        for (const argument of expression.arguments) this.#expression(argument, scopes);
        return;
      case 'TableCallExpression':
        this.#expression(expression.base, scopes);
        this.#expression(expression.arguments, scopes);
        return;
      case 'StringCallExpression':
        this.#expression(expression.base, scopes);
        return;
      case 'UnaryExpression':
        this.#expression(expression.argument, scopes);
        return;
      case 'BinaryExpression':
      case 'LogicalExpression':
        this.#expression(expression.left, scopes);
        this.#expression(expression.right, scopes);
        return;
      case 'StringLiteral':
      case 'NumericLiteral':
      case 'BooleanLiteral':
      case 'NilLiteral':
      case 'VarargLiteral':
        return;
      default:
        expression satisfies never;
    }
  }

  #assign(place: Place, value: Definition['value'], scopes: Scopes): void {
    this.#expression(place, scopes);
    const binding = place.type === 'Identifier' ? this.variables.get(place) : undefined;
    if (binding) {
      binding.assigned = true;
      binding.shared ||= binding.home !== this.#home;
    } else this.definitions.push({ place, value });
  }

  #declare(
    scope: Map<string, Binding>,
    identifier: Identifier,
    initial: Expression | undefined,
    origin: Pick<Binding, 'parameter' | 'loop'> = {},
  ): void {
    const binding = this.#newBinding(identifier.name, initial, origin);
    scope.set(identifier.name, binding);
    this.variables.set(identifier, binding);
  }

  #newBinding(
    name: string,
    initial: Expression | undefined,
    origin: Pick<Binding, 'parameter' | 'loop'>,
  ): Binding {
    return { name, initial, home: this.#home, assigned: false, shared: false, ...origin };
  }

  #resolve(identifier: Identifier, scopes: Scopes): void {
    for (let i = scopes.length - 1; i >= 0; i--) {
      const binding = scopes[i]?.get(identifier.name);
      if (binding === undefined) continue;
      this.variables.set(identifier, binding);
      return;
    }
    this.variables.set(identifier, null);
    this.#visible.set(identifier, scopes);
  }
}
