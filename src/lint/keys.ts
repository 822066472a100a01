/**
 * What expressions are known by while a script is followed: `@3;` is a local variable, `$smtp;.sess.auth` a path from a
 * global one, `@3;.user` a field, `header.get("Subject")` a call that gives the same again.
 */
import { isLookUp } from '../api/lua-library.ts';
import { API_NAMES } from '../api/names.ts';
import type { Binding } from './bindings.ts';
import type { PolicyScript } from './policy-script.ts';
import { argumentsOf, type CallExpression, isCall, type Node } from './syntax.ts';
import { typeOfPath } from './types.ts';

export class Keys {
  readonly #policy: PolicyScript;
  readonly #known = new Map<Node, string | undefined>();
  readonly #bindings = new Map<Binding, number>();
  readonly #byId: Binding[] = [];

  constructor(policy: PolicyScript) {
    this.#policy = policy;
  }

  of(node: Node): string | undefined {
    if (this.#known.has(node)) return this.#known.get(node);
    const key = this.#find(node);
    this.#known.set(node, key);
    return key;
  }

  ofBinding(binding: Binding): string {
    const known = this.#bindings.get(binding);
    if (known !== undefined) return `@${known};`;
    this.#bindings.set(binding, this.#byId.length);
    this.#byId.push(binding);
    return `@${this.#byId.length - 1};`;
  }

  /** Whether a key depends on a local variable that is assigned to after its declaration. */
  isMutable(key: string): boolean {
    for (const [, id] of key.matchAll(/@(\d+);/g)) {
      if (this.#byId[Number(id)]?.assigned) return true;
    }
    return false;
  }

  #find(node: Node): string | undefined {
    switch (node.type) {
      case 'Identifier':
        return this.#ofVariable(node);
      case 'MemberExpression':
        return this.#below(node.base, `.${node.identifier.name}`);
      case 'IndexExpression': {
        if (node.index.type === 'StringLiteral') return this.#below(node.base, `.${node.index.value}`);
        const index = this.of(node.index);
        return index === undefined ? undefined : this.#below(node.base, `[${index}]`);
      }
      case 'StringLiteral':
        return JSON.stringify(node.value);
      case 'NumericLiteral':
        return node.raw;
      default:
        return isCall(node) ? this.#ofCall(node) : undefined;
    }
  }

  #ofVariable(node: Node & { type: 'Identifier' }): string {
    const path = this.#policy.pathOf(node);
    if (path !== undefined && typeOfPath(path) !== undefined) return keyOfPath(path);
    const binding = this.#policy.variableOf(node);
    return binding ? this.ofBinding(binding) : `$${node.name};`;
  }

  #below(base: Node, field: string): string | undefined {
    const key = this.of(base);
    return key === undefined ? undefined : key + field;
  }

  #ofCall(call: CallExpression): string | undefined {
    const { base } = call;
    const name = this.#policy.pathOf(base);
    const isMethod = base.type === 'MemberExpression' && base.indexer === ':';
    const isStable = isMethod
      ? isLookUp(`string.${base.identifier.name}`)
      : name !== undefined &&
        !this.#policy.isDefined(name) &&
        (isLookUp(name) || API_NAMES.functions.has(name));
    const args = argumentsOf(call).map((argument) => this.of(argument));
    const subject = isMethod ? this.of(base.base) : name;
    if (!isStable || subject === undefined || args.includes(undefined)) return undefined;
    return `${subject}${isMethod ? `:${base.identifier.name}` : ''}(${args.join()})`;
  }
}

function keyOfPath(path: string): string {
  const [root = '', ...fields] = path.split('.');
  return [`$${root};`, ...fields].join('.');
}
