/** All rules of `check`, in the order in which the documentation has them. */
import type { Rule } from '../finding.ts';
import {
  callbackParameters,
  doubleCallback,
  hiddenApi,
  lateCallback,
  misspeltCallback,
  noCallbacks,
  uncallableCallback,
} from './callbacks.ts';
import { unavailableCall, wrongArguments } from './calls.ts';
import { badFormat } from './formats.ts';
import { accidentalGlobal, readOnlyField, unknownConstant, unknownField, unknownGlobal } from './names.ts';
import { alwaysTrue, maybeNil, neverNil } from './nil.ts';
import { badPattern, oddPattern } from './patterns.ts';
import { enhancedCode, ignoredResult, replyBytes, replyCode, replyWithoutText } from './replies.ts';
import { sessionCounter } from './sessions.ts';
import { tooEarly } from './stages.ts';
import { dotCall, letterCase } from './texts.ts';
import { integerOverflow, wrongType } from './values.ts';

export const RULES: readonly Rule[] = [
  misspeltCallback,
  doubleCallback,
  uncallableCallback,
  lateCallback,
  noCallbacks,
  callbackParameters,
  hiddenApi,
  replyCode,
  replyWithoutText,
  enhancedCode,
  replyBytes,
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
  maybeNil,
  neverNil,
  alwaysTrue,
  tooEarly,
  dotCall,
  letterCase,
  badPattern,
  oddPattern,
  badFormat,
  sessionCounter,
];

/** Of comments that silence what no rule is called. */
export const UNKNOWN_RULE = 'unknown-rule';
