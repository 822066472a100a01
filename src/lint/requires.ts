/** The modules that a script asks for by name, wherever it does. */
import { argumentsOf, childrenOf, isCall, type Node, parseLua } from './syntax.ts';

/**
 * @param text latin1
 * @returns the names in calls such as `require "lists"`, each once; none where the text cannot be read
 */
export function requiredNames(text: string): string[] {
  const names = new Set<string>();
  const visit = (node: Node): void => {
    if (isCall(node) && node.base.type === 'Identifier' && node.base.name === 'require') {
      const [name] = argumentsOf(node);
      if (name?.type === 'StringLiteral' && typeof name.value === 'string') names.add(name.value);
    }
    for (const child of childrenOf(node)) visit(child);
  };
  const tree = parseLua(text);
  if (tree !== undefined) visit(tree.chunk);
  return [...names];
}
