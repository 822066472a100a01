/** Call-ahead with a store and a zone of its own. */
import { setMaxListeners } from 'node:events';
import type { Answer } from '../../src/asking/answer.ts';
import { Zone } from '../../src/dns/zone.ts';
import { CachedCallAhead, type CallAheadRequest, type Taken } from '../../src/mail-client/call-ahead.ts';
import type { OwnNetwork, OwnPlace } from '../../src/mail-client/own-addresses.ts';
import { MemoryStore } from '../../src/modules/kv/fake.ts';
import { SYSTEM_CLOCK } from '../../src/services/clock.ts';

setMaxListeners(0);
export const LONG = { timeoutMs: 60_000, cancelled: new AbortController().signal };

export function asker(
  own: readonly OwnNetwork[] = [],
  store = new MemoryStore(SYSTEM_CLOCK),
  zone = new Zone(),
  listening: readonly OwnPlace[] = [],
) {
  const log: string[] = [];
  const callAhead = new CachedCallAhead(
    store,
    zone,
    own,
    ({ isOpen }) => log.push(isOpen ? 'gone' : 'back'),
    () => listening,
  );
  const ask = (
    { port }: { readonly port: number },
    some: Partial<CallAheadRequest> = {},
    patience = LONG,
  ): Promise<Answer<Taken>> =>
    callAhead.callahead(
      {
        hosts: ['127.0.0.1'],
        rcpt: 'joe@d.example',
        from: '',
        helo: 'us.example',
        port,
        asksRandom: false,
        yesMs: 60_000,
        noMs: 60_000,
        ...some,
      },
      patience,
    );
  return { ask, log };
}

/** `true`, the reply of a refusal, or the reason. */
export const known = (answer: Answer<Taken>) => (answer.kind === 'known' ? answer.value : answer.reason);
