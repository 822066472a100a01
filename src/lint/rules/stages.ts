/** Rules on the order of a session: what is read or asked for in callbacks that come too early for it, or too late. */

import { API_NAMES } from '../../api/names.ts';
import type { ApiFunction, Field, Stage } from '../../modules/entry.ts';
import type { Report, Rule } from '../finding.ts';
import type { PolicyScript } from '../policy-script.ts';
import { isAfter, isBefore, isOutside, type StageSet } from '../stages.ts';
import { isCall, type Node } from '../syntax.ts';

function nameOf(stage: Stage): string {
  return stage === 'start' ? 'the main chunk' : `smtp.do_${stage}`;
}

/** Where code runs, in words. */
function placeOf(stages: StageSet): string {
  const names = [...(stages ?? [])].map((stage) => {
    if (stage === 'rset' || stage === 'close') return `smtp.${stage}`;
    return stage === 'unknown' ? 'smtp.do_unknown' : nameOf(stage);
  });
  return names.join(' and ');
}

export const tooEarly: Rule = {
  name: 'too-early',
  severity: 'error',
  summary:
    'a field that is not known yet in the callback that reads it, and what is asked for before there is a transaction, headers or a body',
  check(policy, report) {
    for (const node of policy.bindings.nodes()) {
      const stages = policy.flow.stagesOf(node);
      if (stages === undefined || stages.size === 0) continue;
      const field = readField(policy, node);
      if (field) checkField(policy, node, field, stages, report);
      const entry = isCall(node) ? API_NAMES.functions.get(policy.pathOf(node.base) ?? '') : undefined;
      if (entry) checkCall(node, entry, stages, report);
    }
  },
};

/** The field of the API that a node reads; the alias of a longer path is read where it is declared. */
function readField(policy: PolicyScript, node: Node): Field | undefined {
  if (node.type !== 'MemberExpression' && node.type !== 'IndexExpression') return undefined;
  if (policy.isWritten(node)) return undefined;
  const path = policy.pathOf(node);
  return path === undefined || policy.isDefined(path) ? undefined : API_NAMES.fields.get(path);
}

function checkField(policy: PolicyScript, node: Node, field: Field, stages: StageSet, report: Report): void {
  const { name, from, filled } = field;
  if (isBefore(stages, from)) {
    report(node, `${name} is nil in ${placeOf(stages)}: it is known from ${nameOf(from)} on`);
  } else if (filled && isBefore(stages, filled)) {
    report(node, `${name} is empty in ${placeOf(stages)}: it is filled from ${nameOf(filled)} on`, {
      severity: 'warning',
    });
  } else if (policy.flow.stages.typeOfField(field, stages) === 'nil') {
    report(node, `${name} is nil in ${placeOf(stages)}: the transaction is over`);
  }
}

function checkCall(node: Node, entry: ApiFunction, stages: StageSet, report: Report): void {
  const { name, from, useful, until } = entry;
  if (isOutside(entry, stages)) {
    const when = from === undefined ? '' : `: it may be called from ${nameOf(from)} on, until smtp.rset`;
    report(node, `${name} raises an error in ${placeOf(stages)}${when}`);
  } else if (useful && isBefore(stages, useful)) {
    const what = useful === 'headers' ? 'the message has no headers yet' : 'there is no body yet';
    report(node, `${name} in ${placeOf(stages)}: ${what}`, {
      severity: 'warning',
      suggestion: useful === 'chunk' ? 'smtp.do_dot' : `smtp.do_${useful}`,
    });
  } else if (until && isAfter(stages, until)) {
    report(node, `${name} in ${placeOf(stages)} has no effect: the message is through`, {
      severity: 'warning',
      suggestion: nameOf(until),
    });
  }
}
