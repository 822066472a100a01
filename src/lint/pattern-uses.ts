/** The calls in a script that take a pattern: `string.find(s, p)`, `s:match(p)` and others. */
import { constantOf } from './constants.ts';
import type { PolicyScript } from './policy-script.ts';
import { calleeOf } from './results.ts';
import { type CallExpression, type Expression, isCall } from './syntax.ts';

export interface PatternUse {
  readonly call: CallExpression;
  readonly method: 'find' | 'match' | 'gmatch' | 'gsub';
  readonly subject: Expression;
  readonly pattern: Expression;
  /** The pattern, where it is a constant. */
  readonly text: string | undefined;
  /** What stands behind the pattern. */
  readonly more: readonly Expression[];
  /** Whether it is a plain text: the fourth argument of find. */
  readonly plain: boolean;
}

const METHODS = ['find', 'match', 'gmatch', 'gsub'] as const;

export function* patternUses(policy: PolicyScript): Generator<PatternUse> {
  for (const call of policy.bindings.nodes()) {
    if (!isCall(call)) continue;
    const callee = calleeOf(policy, call, (node) => policy.typeOf(node));
    const method = METHODS.find((name) => callee?.name === `string.${name}`);
    const [subject, pattern, ...more] = callee?.args ?? [];
    if (method === undefined || !subject || !pattern) continue;
    const constant = constantOf(policy, pattern);
    const text = constant?.kind === 'string' ? constant.value : undefined;
    const plain = method === 'find' && more[1] !== undefined && constantOf(policy, more[1])?.kind !== 'nil';
    yield { call, method, subject, pattern, text, more, plain };
  }
}
