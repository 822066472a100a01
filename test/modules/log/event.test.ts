/** `log.event` as a script has it, its line, and what a test sees of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventLine, type PolicyEventRecord } from '../../../src/events/event.ts';
import { Template } from '../../../src/lua/context/template.ts';
import { policyLibraries } from '../../../src/modules/install.ts';
import { contextOf, evaluate } from '../../helpers/lua-context.ts';
import { servicesWith } from '../../helpers/services.ts';
import { passes } from '../../policy-test/run-tests.ts';

const NOON = Date.UTC(2026, 10, 28, 12);

/** The lines that a chunk tells; an error is the last item. */
async function told(chunk: string): Promise<string[]> {
  const lines: string[] = [];
  const events = { tell: (event: PolicyEventRecord) => lines.push(eventLine(event)) };
  const template = new Template(policyLibraries(servicesWith({ events })));
  const surroundings = { now: () => NOON, env: () => undefined, locate: (path: Buffer) => path };
  const context = contextOf(chunk, {}, { template, sessionId: 's1', surroundings });
  const outcome = await evaluate(context);
  context.dispose();
  if (outcome.kind === 'done') return [...lines, outcome.value];
  return [...lines, 'message' in outcome ? outcome.message : outcome.kind];
}

describe('log.event', () => {
  it('is one object in one line', async () => {
    assert.deepEqual(
      await told(
        'return log.event("quota", { user = "j\\xc3\\xb6e\\n", left = 3, half = 0.5, ok = true, raw = "\\xe4", inf = 1/0 })',
      ),
      [
        '{"time":"2026-11-28T12:00:00.000Z","event":"quota","session":"s1","half":0.5,"inf":"Infinity","left":3,"ok":true,"raw":"\\u00e4","user":"j\\u00f6e\\n"}',
        'true',
      ],
    );
    assert.deepEqual(await told('log.event "plain"'), [
      '{"time":"2026-11-28T12:00:00.000Z","event":"plain","session":"s1"}',
      '',
    ]);
  });

  it('is cut where a line would be too long, so that it can be read', async () => {
    for (const long of ['("x"):rep(100000)', '("\\0"):rep(8000)', '("\\xc3\\xa4"):rep(8000)']) {
      const [line = ''] = await told(`log.event("long", { text = ${long}, kept = "short", left = 3 })`);
      assert.ok(line.length < 8192, `${line.length}`);
      const event = JSON.parse(line);
      assert.deepEqual([event.truncated, event.kept, event.left], [true, 'short', 3]);
      assert.ok(event.text.length > 400, `${event.text.length}`);
      assert.doesNotMatch(event.text, /\u00c3/);
    }
    const many = Array.from({ length: 64 }, (_, i) => `f${i} = ("x"):rep(1000)`).join(', ');
    const [line = ''] = await told(`log.event("many", { ${many} })`);
    assert.ok(line.length < 8192);
    assert.equal(JSON.parse(line).truncated, true);
  });

  it('raises what is wrong with its arguments, at the line of the script', async () => {
    const wrong: Readonly<Record<string, RegExp>> = {
      'log.event("a b")':
        /^test\.lua:1: bad argument #1 to 'event' \(a name of 1 to 64 letters, digits, _, \. and - expected\)/,
      'log.event("a", { session = 1 })': /another field than session expected: each event has that by itself/,
      'log.event("a", { [1] = 1 })': /names of fields/,
      'log.event("a", { x = {} })': /field x: a string, a number or a boolean expected, got table/,
      'local t = {} for i = 1, 65 do t["f" .. i] = 1 end log.event("a", t)': /at most 64 fields expected/,
    };
    for (const [chunk, message] of Object.entries(wrong)) {
      const [said = ''] = await told(chunk);
      assert.match(said, message, chunk);
    }
  });

  it('is kept for the test of a policy, with session and transaction', async (t) => {
    await passes(
      t,
      `function smtp.do_connect(ip) log.event("seen", { ip = ip }) end
       function smtp.do_mail(sender) log.event("mail", { sender = sender, time_of_day = os.time() }) end`,
      `test.clock(1000)
       local s = test.session { ip = "192.0.2.7", helo = "mx.example.net" }
       s:mail "a@example.net"
       local all = test.events()
       test.equal(#all, 2)
       test.equal(all[1], { event = "seen", ip = "192.0.2.7", session = "s1", time = 1000 })
       test.equal(test.events "mail", { { event = "mail", sender = "a@example.net", session = "s1",
         transaction = "s1.1", time = 1000, time_of_day = 1000 } })
       test.equal(test.events "none", {})`,
    );
  });
});
