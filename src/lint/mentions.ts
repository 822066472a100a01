/** Which fields and results of the API the functions of a script look at: what a test by one of them may be about. */
import { API_NAMES } from '../api/names.ts';
import type { Keys } from './keys.ts';
import type { PolicyScript } from './policy-script.ts';
import { childrenOf, type FunctionDeclaration, isCall, type Node } from './syntax.ts';

/** How many functions deep a test is looked for. */
const DEPTH = 3;

export class Mentions {
  readonly #policy: PolicyScript;
  readonly #keys: Keys;
  readonly #known = new Map<FunctionDeclaration, ReadonlySet<string>>();
  #all: ReadonlySet<string> | undefined;

  constructor(policy: PolicyScript, keys: Keys) {
    this.#policy = policy;
    this.#keys = keys;
  }

  /** The keys that the body of a function mentions, with the functions that it calls. */
  of(body: FunctionDeclaration, depth = 0): ReadonlySet<string> {
    const known = this.#known.get(body);
    if (known) return known;
    const found = new Set<string>();
    this.#known.set(body, found);
    const visit = (node: Node): void => {
      this.#add(node, found);
      const inner = isCall(node) && depth < DEPTH ? this.#policy.bodyOf(node.base) : undefined;
      if (inner) for (const key of this.of(inner, depth + 1)) found.add(key);
      for (const child of childrenOf(node)) visit(child);
    };
    for (const statement of body.body) visit(statement);
    return found;
  }

  /** Those of the whole script: a function that it does not show may look at any. */
  all(): ReadonlySet<string> {
    if (this.#all === undefined) {
      const found = new Set<string>();
      for (const node of this.#policy.bindings.nodes()) this.#add(node, found);
      this.#all = found;
    }
    return this.#all;
  }

  #add(node: Node, found: Set<string>): void {
    const isField =
      (node.type === 'MemberExpression' || node.type === 'IndexExpression') &&
      API_NAMES.fields.has(this.#policy.pathOf(node) ?? '');
    const isResult = isCall(node) && API_NAMES.functions.has(this.#policy.pathOf(node.base) ?? '');
    const key = isField || isResult ? this.#keys.of(node) : undefined;
    if (key !== undefined && !key.includes('@')) found.add(key);
  }
}
