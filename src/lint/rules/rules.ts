/** All rules of `check`, in the order in which the documentation has them. */
import type { Rule } from '../finding.ts';
import {
  callbackParameters,
  doubleCallback,
  hiddenApi,
  lateCallback,
  misspeltCallback,
  uncallableCallback,
} from './callbacks.ts';
import { unavailableCall, wrongArguments } from './calls.ts';
import { accidentalGlobal, readOnlyField, unknownConstant, unknownField, unknownGlobal } from './names.ts';
import { enhancedCode, ignoredResult, replyCode, replyWithoutText } from './replies.ts';
import { integerOverflow, wrongType } from './values.ts';

export const RULES: readonly Rule[] = [
  misspeltCallback,
  doubleCallback,
  uncallableCallback,
  lateCallback,
  callbackParameters,
  hiddenApi,
  replyCode,
  replyWithoutText,
  enhancedCode,
  ignoredResult,
  unknownField,
  unknownConstant,
  readOnlyField,
  accidentalGlobal,
  unknownGlobal,
  unavailableCall,
  wrongArguments,
  integerOverflow,
  wrongType,
];

/** Of comments that silence what no rule is called. */
export const UNKNOWN_RULE = 'unknown-rule';
