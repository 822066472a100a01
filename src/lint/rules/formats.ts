/** Rules on `string.format`. */
import { constantOf } from '../constants.ts';
import type { Report, Rule } from '../finding.ts';
import type { PolicyScript } from '../policy-script.ts';
import { calleeOf } from '../results.ts';
import { type Expression, isCall, isMulti, type Node, spanOf } from '../syntax.ts';
import { isAlways, membersOf } from '../types.ts';

/** `%5.1f`: flags, width and precision, and the letter. */
const CONVERSION = /%([-+ #0]*\d*(?:\.\d*)?)(.?)/gs;
const NUMBERS = 'diouxXeEfgGaAc';
const WHOLE = 'dioxXc';

export const badFormat: Rule = {
  name: 'bad-format',
  severity: 'error',
  summary:
    'a `string.format` that fails: too few values, an unknown conversion, `%d` for what is no whole number or may be nil',
  check(policy, report) {
    for (const call of policy.bindings.nodes()) {
      if (!isCall(call)) continue;
      const callee = calleeOf(policy, call, (node) => policy.typeOf(node));
      const [format, ...values] = callee?.name === 'string.format' ? callee.args : [];
      const constant = format && constantOf(policy, format);
      if (format && constant?.kind === 'string') checkFormat(policy, call, constant.value, values, report);
    }
  },
};

function checkFormat(
  policy: PolicyScript,
  call: Node,
  format: string,
  values: readonly Expression[],
  report: Report,
): void {
  const last = values.at(-1);
  let i = 0;
  for (const [conversion, , letter = ''] of format.matchAll(CONVERSION)) {
    if (conversion === '%%') continue;
    if (!`${NUMBERS}sq`.includes(letter) || letter === '') {
      report(call, `string.format has no ${conversion}`, { suggestion: 'write %% for %' });
      return;
    }
    const value = values[i++];
    if (value === undefined) {
      if (last && isMulti(last)) return;
      report(call, `string.format has ${values.length} values: ${conversion} gets none`);
      return;
    }
    checkValue(policy, conversion, letter, value, report);
  }
}

function checkValue(
  policy: PolicyScript,
  conversion: string,
  letter: string,
  value: Expression,
  report: Report,
): void {
  if (!NUMBERS.includes(letter)) return;
  const type = policy.typeOf(value);
  const shown = policy.source.textAt(spanOf(value));
  if (type !== undefined && isAlways(type, ['number', 'string']) && membersOf(type).includes('nil')) {
    report(value, `${shown} may be nil, which ${conversion} does not take`, {
      suggestion: `(${shown} or 0)`,
      severity: 'warning',
    });
    return;
  }
  if (isAlways(type, ['table', 'boolean', 'function', 'nil'])) {
    report(value, `${conversion} is for numbers`, { suggestion: '%s' });
    return;
  }
  const quotient = policy.valueOf(value);
  const constant = constantOf(policy, value);
  if (
    constant === undefined &&
    WHOLE.includes(letter) &&
    quotient.type === 'BinaryExpression' &&
    quotient.operator === '/'
  ) {
    report(value, `${shown} may have a fraction, which ${conversion} does not take`, {
      suggestion: shown.includes('/') ? shown.replace('/', '//') : '%.0f',
      severity: 'warning',
    });
    return;
  }
  const isFraction = constant?.kind === 'float' && !Number.isInteger(constant.value);
  const isText = constant?.kind === 'string' && !/^\s*[-+]?[\d.]/.test(constant.value);
  if (isText || (isFraction && WHOLE.includes(letter))) {
    report(value, `${conversion} does not take ${shown}`, { suggestion: isText ? '%s' : '%.1f' });
  }
}
