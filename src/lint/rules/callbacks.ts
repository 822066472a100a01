/** Rules on the callbacks that a policy defines. */
import { API_NAMES } from '../../api/names.ts';
import { nearest } from '../../text/nearest.ts';
import type { Report, Rule } from '../finding.ts';
import type { PolicyScript } from '../policy-script.ts';
import { isMulti, type Place } from '../syntax.ts';

const NAMES: readonly string[] = [...API_NAMES.callbacks.keys()].map((name) => name.replace('smtp.', ''));

/** The callback that a name most likely means. */
function nearestCallback(name: string): string | undefined {
  const prefixed = NAMES.filter((known) => known.startsWith('do_'));
  const near = nearest(name, name.startsWith('do_') ? prefixed : NAMES) ?? nearest(`do_${name}`, prefixed);
  // Short names are near to many others.
  return name.length < 4 ? undefined : near;
}

function isUsed(policy: PolicyScript, path: string): boolean {
  for (const node of policy.bindings.nodes()) {
    const isPlace =
      node.type === 'MemberExpression' || node.type === 'IndexExpression' || node.type === 'Identifier';
    if (isPlace && !policy.isWritten(node) && policy.pathOf(node) === path) return true;
  }
  return false;
}

export const misspeltCallback: Rule = {
  name: 'misspelt-callback',
  severity: 'error',
  summary: 'a function of `smtp` with almost the name of a callback, which is never called',
  check(policy, report) {
    for (const { place, value } of policy.bindings.definitions) {
      if (value?.type !== 'FunctionDeclaration') continue;
      const path = policy.pathOf(place) ?? '';
      const [table, name = '', ...more] = path.split('.');
      if (more.length > 0 || API_NAMES.callbacks.has(path) || API_NAMES.functions.has(path)) continue;
      if (table === 'smtp' && name !== '') {
        const near = nearestCallback(name);
        if (near === undefined ? !name.startsWith('do_') : isUsed(policy, path)) continue;
        report(place, `smtp.${name} is no callback: it is never called`, {
          suggestion: near && `smtp.${near}`,
        });
      } else if (name === '' && API_NAMES.callbacks.has(`smtp.${table}`) && table?.startsWith('do_')) {
        if (isUsed(policy, path)) continue;
        report(place, `${table} is no callback: callbacks are functions of smtp`, {
          suggestion: `smtp.${table}`,
        });
      }
    }
    for (const [identifier, binding] of policy.bindings.variables) {
      const name = identifier.name;
      if (binding?.initial?.type !== 'FunctionDeclaration' || binding.initial.identifier !== identifier)
        continue;
      if (!name.startsWith('do_') || !API_NAMES.callbacks.has(`smtp.${name}`)) continue;
      const uses = [...policy.bindings.variables].filter(([, other]) => other === binding);
      if (uses.length > 1) continue;
      report(identifier, `${name} is no callback: callbacks are functions of smtp`, {
        suggestion: `smtp.${name}`,
      });
    }
  },
};

export const noCallbacks: Rule = {
  name: 'no-callbacks',
  severity: 'warning',
  summary: 'a policy that defines no callback when the main chunk has run: all mail passes',
  check({ chunk, facts }, report) {
    const { callbacks, isTest } = facts;
    // A module returns something; a policy has nobody to return it to.
    const isModule = chunk.body.at(-1)?.type === 'ReturnStatement';
    if (callbacks === undefined || callbacks.length > 0 || isTest || isModule) return;
    // At its end, up to which there is none.
    const loc = chunk.loc && { start: chunk.loc.end, end: chunk.loc.end };
    report(
      { ...chunk, loc },
      'this policy defines no callback: all mail passes; where that is meant, define one that does nothing: function smtp.close() end',
    );
  },
};

export const doubleCallback: Rule = {
  name: 'double-callback',
  severity: 'warning',
  summary: 'a callback in both spellings (`smtp.do_rcpt`, `smtp.rcpt`), or defined twice: only one is called',
  check(policy, report) {
    const first = new Map<string, Place>();
    for (const { name, callback, place, body } of policy.callbacks) {
      const other = name === callback.name ? callback.alias : callback.name;
      if (
        name === callback.alias &&
        misfitOf(policy, other) === undefined &&
        policy.callbacks.some((one) => one.name === other)
      ) {
        report(
          place,
          `both ${callback.name} and ${callback.alias} are defined: ${callback.alias} is never called`,
        );
      }
      const before = first.get(name);
      if (before === undefined) first.set(name, place);
      else if (body && isUnconditional(policy, place) && isUnconditional(policy, before)) {
        report(place, `${name} is defined before: only this function is called`);
      }
    }
    checkFound(policy, report);
  },
};

/** Pairs of spellings that are there when the main chunk has run, and that its text does not show. */
function checkFound(policy: PolicyScript, report: Report): void {
  for (const { name, alias } of new Set(API_NAMES.callbacks.values())) {
    const warning = policy.warningOf('double-callback', name);
    if (warning === undefined) continue;
    const shown = policy.callbacks.filter((one) => one.name === name || one.name === alias);
    if (new Set(shown.map((one) => one.name)).size === 2) continue;
    report(shown[0]?.place ?? policy.chunk, warning);
  }
}

export const uncallableCallback: Rule = {
  name: 'uncallable-callback',
  severity: 'warning',
  summary: 'a callback that is no function when the main chunk has run: it is never called',
  check(policy, report) {
    for (const name of API_NAMES.callbacks.keys()) {
      const misfit = misfitOf(policy, name);
      if (misfit === undefined) continue;
      const written = policy.bindings.definitions.filter(({ place }) => policy.pathOf(place) === name);
      report(written.at(-1)?.place ?? policy.chunk, misfit);
    }
  },
};

export const lateCallback: Rule = {
  name: 'late-callback',
  severity: 'warning',
  summary:
    'a callback that is not there when the main chunk has run: the MTA is told then which events are wanted',
  check(policy, report) {
    const { defined } = policy.facts;
    if (defined === undefined) return;
    for (const { name, callback, place } of policy.callbacks) {
      if (policy.bindings.functionOf(place) === undefined) continue;
      if (defined.has(callback.name) || defined.has(callback.alias)) continue;
      report(place, `${name} is not there when the main chunk has run: it may never be called`);
    }
  },
};

/** What the run said of a callback that is something else than a function. */
function misfitOf(policy: PolicyScript, name: string): string | undefined {
  return policy.warningOf('uncallable-callback', name);
}

/** Whether a definition stands in the main chunk itself, not in a branch or a function. */
function isUnconditional(policy: PolicyScript, place: Place): boolean {
  const statement = policy.bindings.parents.get(place);
  return statement !== undefined && policy.bindings.parents.get(statement)?.type === 'Chunk';
}

export const callbackParameters: Rule = {
  name: 'callback-parameters',
  severity: 'error',
  summary: 'a callback with parameters that it never gets, or defined with a colon',
  check(policy, report) {
    for (const { name, callback, place, body } of policy.callbacks) {
      if (place.type === 'MemberExpression' && place.indexer === ':') {
        report(place, `${name} with a colon: the first argument becomes self`, { suggestion: name });
        continue;
      }
      const surplus = body?.parameters[callback.params.length];
      if (surplus?.type !== 'Identifier') continue;
      const names = callback.params.map((param) => param.name).join(', ');
      report(
        surplus,
        `${name} gets ${names === '' ? 'no arguments' : `only (${names})`}: ${surplus.name} is always nil`,
        {
          severity: 'warning',
        },
      );
    }
  },
};

export const hiddenApi: Rule = {
  name: 'hidden-api',
  severity: 'error',
  summary: 'a variable `smtp` of the script’s own: functions in it are no callbacks',
  check(policy, report) {
    for (const [identifier, binding] of policy.bindings.variables) {
      const statement = policy.bindings.parents.get(identifier);
      if (identifier.name !== 'smtp' || !binding || statement?.type !== 'LocalStatement') continue;
      if (!statement.variables.includes(identifier)) continue;
      const value = binding.initial;
      if (value && (policy.pathOf(value) === 'smtp' || isMulti(value))) continue;
      report(identifier, 'this local smtp hides the table of the API: functions in it are never called');
    }
    for (const { place } of policy.bindings.definitions) {
      if (place.type !== 'Identifier' || !API_NAMES.globals.has(place.name)) continue;
      report(place, `this takes the place of the API's own ${place.name}`);
    }
  },
};
