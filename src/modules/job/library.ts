/** The module `job`: any function that waits, begun now and waited for later; api.ts describes it. */
import type { LuaState } from 'fengari';
import { hostOf } from '../../lua/engine/host.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import { optTimeout } from '../arguments.ts';
import { Job, operationAt } from '../job.ts';
import type { FunctionsOf } from '../module.ts';
import { checkObject, pushObject } from '../objects.ts';
import type { jobApi } from './api.ts';

const CLASS = 'job.job';

/** CPU time that a job takes after its start. */
const JOB_MS = 0.005;

function start(L: LuaState): number {
  const operation = operationAt(L, 1) ?? argumentError(L, 1, 'a function that waits expected');
  const host = hostOf(L);
  const job = new Job(operation(L, 2), host);
  host.spend(L, JOB_MS);
  pushObject(L, CLASS, job);
  return 1;
}

function wait(L: LuaState): number {
  const job = checkObject(L, 1, CLASS, Job);
  return job.wait(L, optTimeout(L, 2));
}

export const openJob = (): FunctionsOf<typeof jobApi> => ({ start, 'job:wait': wait });
