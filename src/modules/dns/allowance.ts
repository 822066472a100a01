/** What a session may still ask of the DNS, whichever function asks. */
import { Allowance } from '../../dns/inquiry.ts';
import { type Host, PerState } from '../../lua/engine/host.ts';

const allowances = new PerState<Allowance>();

export function allowanceOf(host: Host): Allowance {
  let allowance = allowances.get(host);
  if (allowance === undefined) {
    allowance = new Allowance();
    allowances.set(host, allowance);
  }
  return allowance;
}
