/** The functions of the table `smtp`, and `must`. */
import type { FunctionsOf, ServicesOf } from '../module.ts';
import { ACTIONS } from './actions.ts';
import type { functionsApi } from './api.ts';
import { macro } from './macro.ts';
import { delayBy, must } from './waiting.ts';

export function openSmtp({ clock }: ServicesOf<typeof functionsApi>): FunctionsOf<typeof functionsApi> {
  return { macro, ...ACTIONS, delay: delayBy(clock), must };
}
