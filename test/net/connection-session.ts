/** The sessions that the tests of Connection play, and a policy that waits for them. */
import type { PolicyEvent, Verdict } from '../../src/milter/policy.ts';
import { mta } from '../helpers/packet-builder.ts';
import type { Decide } from './connection-server.ts';

export const OPTNEG: Buffer = mta.optneg(6, 0x1ff, 0x1fffff);

export const BEGIN = [
  mta.macro('C', 'j', 'mx.example'),
  mta.connect('client.example', '4', 4242, '192.0.2.7'),
  mta.macro('H'),
  mta.helo('client.example'),
];
/** A message in packets; `n` tells it from others. */
export const message = (n: number) => [
  mta.macro('M', 'i', `Q${n}`),
  mta.mail(`<a${n}@a.example>`, 'SIZE=42'),
  mta.rcpt(`<b${n}@b.example>`),
  mta.data(),
  mta.header('Subject', ` \xe9 ${n}`),
  mta.eoh(),
  mta.body(`Hello ${n}\r\n`),
  mta.eom(),
];

export const CONTINUED: Verdict = { kind: 'continue' };

/** Makes the policy wait at each event of the kind until the test answers. */
export function holdAt(...kinds: readonly PolicyEvent['kind'][]) {
  const waiting: ((verdict: Verdict) => void)[] = [];
  let arrived: () => void = () => {};
  const decide: Decide = (event, policy) => {
    if (!kinds.includes(event.kind)) return CONTINUED;
    return new Promise<Verdict>((resolve) => {
      policy.onCancel = () => resolve(CONTINUED);
      waiting.push(resolve);
      arrived();
    });
  };
  return {
    decide,
    /** Settles when the policy holds an event. */
    async held(): Promise<(verdict: Verdict) => void> {
      if (waiting.length === 0) {
        await new Promise<void>((resolve) => {
          arrived = resolve;
        });
      }
      return waiting.shift() as (verdict: Verdict) => void;
    },
  };
}
