/** Lua source to a syntax tree: the only way to luaparse, whose types are completed here. */
import luaparse from 'luaparse';
import type { Span } from './source.ts';

type AnyNode = luaparse.Node;

/** A node of the tree, by its `type`. */
export type NodeOf<Type extends AnyNode['type']> = Extract<AnyNode, { type: Type }>;

export type Expression = luaparse.Expression;
export type Statement = luaparse.Statement;
export type Identifier = luaparse.Identifier;
export type FunctionDeclaration = luaparse.FunctionDeclaration;
export type CallExpression =
  | luaparse.CallExpression
  | luaparse.TableCallExpression
  | luaparse.StringCallExpression;
/** What a name, a field or an element is read from or assigned to. */
export type Place = luaparse.Identifier | luaparse.MemberExpression | luaparse.IndexExpression;
export type Node = AnyNode;

export interface Comment extends Span {
  /** What stands behind the dashes, or between the brackets. */
  readonly text: string;
}

export interface Tree {
  readonly chunk: luaparse.Chunk;
  readonly comments: readonly Comment[];
}

/**
 * @param text latin1
 * @returns undefined where luaparse fails: whether a script is right is for the Lua compiler to say
 */
export function parseLua(text: string): Tree | undefined {
  try {
    const chunk = luaparse.parse(text, {
      luaVersion: '5.3',
      encodingMode: 'pseudo-latin1',
      comments: true,
      locations: true,
    });
    // What the types have as an array of texts is one of nodes.
    const comments: readonly unknown[] = chunk.comments ?? [];
    return { chunk, comments: comments.filter(isCommentNode).map(commentOf) };
  } catch (error) {
    // A syntax error by its own lights, or nesting that is too deep for it.
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error;
  }
}

function isNode(value: unknown): value is AnyNode {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

function isCommentNode(value: unknown): value is luaparse.Comment {
  return isNode(value) && value.type === 'Comment';
}

function commentOf(node: luaparse.Comment): Comment {
  return { ...spanOf(node), text: node.value };
}

/** The nodes directly below one, in the order of the source. */
export function childrenOf(node: AnyNode): AnyNode[] {
  const children: AnyNode[] = [];
  for (const value of Object.values(node)) {
    if (isNode(value)) children.push(value);
    else if (Array.isArray(value)) for (const item of value) if (isNode(item)) children.push(item);
  }
  return children;
}

export function spanOf({ loc }: Pick<AnyNode, 'loc'>): Span {
  const { start, end } = loc ?? { start: { line: 1, column: 0 }, end: { line: 1, column: 0 } };
  return { line: start.line, column: start.column + 1, endLine: end.line, endColumn: end.column + 1 };
}

/** The arguments of a call in any of its three forms. */
export function argumentsOf(call: CallExpression): readonly Expression[] {
  switch (call.type) {
    case 'CallExpression':
      return call.arguments;
    case 'TableCallExpression':
      return [call.arguments];
    case 'StringCallExpression':
      return [call.argument];
    default:
      return call satisfies never;
  }
}

export function isCall(node: AnyNode): node is CallExpression {
  return (
    node.type === 'CallExpression' ||
    node.type === 'TableCallExpression' ||
    node.type === 'StringCallExpression'
  );
}

/** Whether an expression at the end of a list may stand for any number of values. */
export function isMulti(node: AnyNode): boolean {
  return isCall(node) || node.type === 'VarargLiteral';
}
