/** What a stranger's message costs at most, beside an honest one of its size: both are checked here, in turn. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { authservsOf } from '../../src/mail-auth/authentication-results.ts';
import { checkAll } from '../../src/mail-auth/check.ts';
import { ArrivingMessage } from '../../src/mail-auth/dkim-verify.ts';
import { CachedZone } from './cached-zone.ts';
import { CLIENT, HOSTILE, honest, ZONE } from './hostile-messages.ts';
import { inquiryOf, messageText, type ParsedMessage } from './messages.ts';

const NOW = Date.now();
const zone = new CachedZone(ZONE);
const AR = 'Authentication-Results';

async function check({ fields, body }: ParsedMessage): Promise<void> {
  const inquiry = inquiryOf(zone);
  const arriving = new ArrivingMessage(fields, inquiry, NOW, 'relaxed');
  for (let at = 0; at < body.length; at += 65_536) arriving.body(body.subarray(at, at + 65_536));
  await checkAll(arriving, CLIENT, inquiry);
  // What auth.check { add = true } does with what came in.
  for (const { name, value } of fields) if (name === AR) authservsOf(value);
}

async function cpuMs(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Of so many times the least: what else the machine does only adds to it. */
const TIMES = 15;
/** What nine more signatures may cost besides, on a busy machine: verified they take 0.3 on a quiet one; in ms. */
const MORE_MS = 1;

describe('a hostile message', () => {
  it('is checked at a cost near that of an honest one of its size', async (t) => {
    const plain = honest(10_000);
    for (let i = 0; i < 300; i += 1) await check(plain);
    const dear: string[] = [];
    for (const [name, message] of Object.entries(HOSTILE)) {
      const bytes = messageText(message).length;
      const other = honest(bytes);
      let [cost, beside] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
      for (let i = 0; i < TIMES; i += 1) {
        cost = Math.min(cost, await cpuMs(() => check(message)));
        beside = Math.min(beside, await cpuMs(() => check(other)));
      }
      const line = `${name}: ${cost.toFixed(2)} ms, ${(cost / beside).toFixed(1)} times an honest one of ${Math.round(bytes / 1000)} KB`;
      t.diagnostic(line);
      if (cost > 2 * beside + MORE_MS) dear.push(line);
    }
    assert.deepEqual(dear, []);
  });
});
