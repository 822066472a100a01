/** Rules on what callbacks return. */
import { API_NAMES } from '../../api/names.ts';
import { alternativesOf, beginningOf, type Constant, constantOf } from '../constants.ts';
import type { Report, Rule } from '../finding.ts';
import type { CallbackReturn, PolicyScript } from '../policy-script.ts';
import { argumentsOf, type Expression, isCall, isMulti, type NodeOf, spanOf } from '../syntax.ts';
import { isAlways } from '../types.ts';

const OK = 250;
const MAX_ACTION = 3;
/** As it is found at the beginning of a text. */
const STATUS_IN_TEXT = /^(\d)\.\d{1,3}\.\d{1,3}(?= |$)/;
const STATUS = /^([245])\.\d{1,3}\.\d{1,3}$/;

function decidingReturns(policy: PolicyScript): CallbackReturn[] {
  return policy.callbackReturns().filter(({ callback }) => callback.callback.answers);
}

/** The number that a constant is as a reply code; undefined when it is none. */
function codeOf(constant: Constant): number | undefined {
  switch (constant.kind) {
    case 'integer':
      return Number(constant.meant);
    case 'float':
      return constant.value;
    case 'string':
      return /^\s*\d+\s*$/.test(constant.value) ? Number(constant.value) : undefined;
    default:
      return undefined;
  }
}

function isReply(code: number): boolean {
  return code >= 400 && code <= 599;
}

/** The code an answer is sure to give, when it refuses. */
function replyCodes(policy: PolicyScript, { statement }: CallbackReturn): number[] {
  const [first] = statement.arguments;
  if (!first) return [];
  return alternativesOf(policy, first).flatMap((constant) => {
    const code = codeOf(constant);
    return code !== undefined && isReply(code) ? [code] : [];
  });
}

function checkCode(policy: PolicyScript, returned: CallbackReturn, report: Report): void {
  const [first, second] = returned.statement.arguments;
  if (!first) return;
  if (isAlways(policy.typeOf(first), ['table', 'function'])) {
    report(first, `${returned.callback.name} returns no reply code`);
    return;
  }
  for (const constant of alternativesOf(policy, first)) {
    if (constant.kind === 'nil') continue;
    const code = codeOf(constant);
    if (code === undefined) {
      report(
        first,
        `${returned.callback.name} returns ${describe(constant)} where a reply code is expected`,
        {
          suggestion:
            replyInText(constant) ??
            (second && isReplyCode(policy, second) ? 'the code first, then the text' : undefined),
        },
      );
    } else if (
      !Number.isInteger(code) ||
      (!(code >= 0 && code <= MAX_ACTION) && !(code >= 200 && code < 300) && !isReply(code))
    ) {
      report(first, `a milter cannot give the reply code ${code}: 4yz and 5yz only`);
    } else if (code >= 200 && code < 300 && code !== OK) {
      report(first, `reply code ${code} means "go on", as 250 does: the client does not see it`, {
        severity: 'warning',
      });
    }
  }
}

/** What `"550 no"` should have been. */
function replyInText(constant: Constant): string | undefined {
  const [, code, text = ''] =
    constant.kind === 'string' ? (/^([45]\d\d)[ -](.*)$/.exec(constant.value) ?? []) : [];
  return code === undefined ? undefined : `return ${code}, ${JSON.stringify(text)}`;
}

function isReplyCode(policy: PolicyScript, expression: Expression): boolean {
  const constant = constantOf(policy, expression);
  return constant !== undefined && isReply(codeOf(constant) ?? 0);
}

function describe(constant: Constant): string {
  switch (constant.kind) {
    case 'string':
      return JSON.stringify(constant.value.slice(0, 60));
    case 'boolean':
      return String(constant.value);
    case 'nil':
      return 'nil';
    case 'integer':
      return String(constant.meant);
    case 'float':
      return String(constant.value);
    default:
      return constant satisfies never;
  }
}

export const replyCode: Rule = {
  name: 'reply-code',
  severity: 'error',
  summary: 'a callback returns what is no reply code, or one that a milter cannot give',
  check(policy, report) {
    for (const returned of decidingReturns(policy)) checkCode(policy, returned, report);
  },
};

export const replyWithoutText: Rule = {
  name: 'reply-without-text',
  severity: 'warning',
  summary: 'a refusal without a text: the client gets a standard one',
  check(policy, report) {
    for (const returned of decidingReturns(policy)) {
      const { arguments: values } = returned.statement;
      const [first, second] = values;
      if (!first) continue;
      const [code] = replyCodes(policy, returned);
      if (code === undefined) continue;
      const text = second && constantOf(policy, second);
      const isMissing =
        second === undefined || text?.kind === 'nil' || (text?.kind === 'string' && text.value.trim() === '');
      if (isMissing) {
        report(first, `reply code ${code} without a text`, {
          suggestion: `return ${policy.source.textAt(spanOf(first))}, "${code < 500 ? '4.7.1' : '5.7.1'} why"`,
        });
      }
    }
  },
};

export const replyBytes: Rule = {
  name: 'reply-bytes',
  severity: 'warning',
  summary:
    'a reply text with bytes above 7 bits, which SMTP does not have there: the client gets `?` for each',
  check(policy, report) {
    for (const returned of decidingReturns(policy)) {
      const [, text] = returned.statement.arguments;
      if (!text) continue;
      for (const part of textsIn(policy, text)) {
        // Bytes, so that a UTF-8 character is several.
        const strange = /[\x80-\xff]+/.exec(part.value)?.[0];
        if (strange)
          report(
            part,
            `SMTP replies are ASCII: the client gets ${'?'.repeat(strange.length)} for ${strange}`,
          );
      }
    }
  },
};

/** The literals that a text is put together from. */
function textsIn(policy: PolicyScript, expression: Expression): NodeOf<'StringLiteral'>[] {
  const value = policy.valueOf(expression);
  switch (value.type) {
    case 'StringLiteral':
      return [value];
    case 'BinaryExpression':
    case 'LogicalExpression':
      return [...textsIn(policy, value.left), ...textsIn(policy, value.right)];
    case 'TableConstructorExpression':
      return value.fields.flatMap((field) => textsIn(policy, field.value));
    default: {
      if (!isCall(value)) return [];
      const { base } = value;
      const isFormat = policy.pathOf(base) === 'string.format';
      const subject = base.type === 'MemberExpression' && base.indexer === ':' ? [base.base] : [];
      return [...subject, ...(isFormat ? argumentsOf(value) : [])].flatMap((part) => textsIn(policy, part));
    }
  }
}

export const enhancedCode: Rule = {
  name: 'enhanced-code',
  severity: 'error',
  summary: 'an enhanced status code (`5.7.1`) of another class than the reply code, or malformed',
  check(policy, report) {
    for (const returned of decidingReturns(policy)) {
      const [, text, third] = returned.statement.arguments;
      const codes = replyCodes(policy, returned);
      const classes = new Set(codes.map((code) => Math.floor(code / 100)));
      const [only] = classes;
      if (text && only !== undefined && third === undefined) {
        const status = STATUS_IN_TEXT.exec(beginningOf(policy, text) ?? '');
        if (status && (classes.size > 1 || Number(status[1]) !== only)) {
          const right = [...classes].find((one) => one !== Number(status[1])) ?? only;
          report(
            text,
            `enhanced code ${status[0]} does not go with reply code ${codes.find((code) => Math.floor(code / 100) === right)}: it is left out`,
            {
              suggestion: `${right}${status[0].slice(1)}`,
            },
          );
        }
      }
      const given = third && constantOf(policy, third);
      if (!third || given?.kind !== 'string') continue;
      const status = STATUS.exec(given.value);
      if (!status) {
        report(third, `${JSON.stringify(given.value)} is no enhanced code`, {
          suggestion: `"${only ?? 5}.7.1"`,
        });
      } else if (only !== undefined && !classes.has(Number(status[1]))) {
        report(
          third,
          `enhanced code ${given.value} does not go with reply code ${codes[0]}: it is left out`,
          {
            suggestion: `"${only}${given.value.slice(1)}"`,
          },
        );
      }
    }
  },
};

export const ignoredResult: Rule = {
  name: 'ignored-result',
  severity: 'warning',
  summary: 'a result where results are ignored: of `smtp.rset` and `smtp.close`, or a text beside “go on”',
  check(policy, report) {
    for (const { callback, statement } of policy.callbackReturns()) {
      const [first, second] = statement.arguments;
      if (!first) continue;
      const constant = constantOf(policy, first);
      if (!callback.callback.answers) {
        if (constant?.kind !== 'nil' && !isMulti(first))
          report(first, `what ${callback.name} returns is ignored`);
        continue;
      }
      const code = constant && codeOf(constant);
      if (code === undefined || !second || constantOf(policy, second)?.kind === 'nil') continue;
      const isGoOn = code === 0 || (code >= 200 && code < 300);
      if (isGoOn || (code >= 1 && code <= MAX_ACTION)) {
        report(second, `the client does not see this text: ${describeCode(code)}`);
      }
    }
  },
};

function describeCode(code: number): string {
  const named = [...API_NAMES.constants.values()].find(
    ({ name, value }) => name.startsWith('smtp.code.') && value === code,
  );
  return `${named?.name ?? code} is no refusal`;
}
