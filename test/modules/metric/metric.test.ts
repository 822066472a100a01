/** The module `metric` as a script has it, and what a test sees of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Template } from '../../../src/lua/context/template.ts';
import type { Labels } from '../../../src/metrics/metric.ts';
import { policyLibraries } from '../../../src/modules/install.ts';
import { contextOf, evaluate } from '../../helpers/lua-context.ts';
import { servicesWith } from '../../helpers/services.ts';
import { passes } from '../../policy-test/run-tests.ts';

/** What a chunk notes; an error is its last item. */
async function noted(chunk: string): Promise<string[]> {
  const notes: string[] = [];
  const metrics = {
    note: (kind: string, name: string, labels: Labels, value: number) => {
      notes.push(`${kind} ${name} ${JSON.stringify(Object.fromEntries(labels))} ${value}`);
    },
  };
  const template = new Template(policyLibraries(servicesWith({ metrics })));
  const context = contextOf(chunk, {}, { template });
  const outcome = await evaluate(context);
  context.dispose();
  if (outcome.kind === 'done') return [...notes, outcome.value];
  return [...notes, 'message' in outcome ? outcome.message : outcome.kind];
}

describe('metric', () => {
  it('counts, sets and times', async () => {
    assert.deepEqual(
      await noted(`metric.count("a") metric.count("a", nil, 2.5) metric.count("a", { x = "1" }, 0)
        metric.set("b", -3, { y = true, z = 7 }) return metric.time("c", 0.25)`),
      [
        'count a {} 1',
        'count a {} 2.5',
        'count a {"x":"1"} 0',
        'set b {"y":"true","z":"7"} -3',
        'time c {} 0.25',
        'true',
      ],
    );
  });

  it('keeps labels short, valid, and free of people', async () => {
    const labels = async (value: string) =>
      JSON.parse((await noted(`metric.count("a", { x = ${value} })`))[0]?.slice(8, -2) ?? '').x;
    assert.equal(await labels('("x"):rep(100)'), 'x'.repeat(64));
    assert.equal(await labels('("x"):rep(63) .. "\\xc3\\xa4"'), 'x'.repeat(63));
    assert.equal(await labels('"\\xe4"'), '\ufffd');
    assert.equal(await labels('"\\xc3\\xa4"'), 'ä');
    for (const who of ['joe@example.com', '192.0.2.1', '2001:db8::1']) {
      assert.equal(await labels(`"${who}"`), 'address');
    }
    assert.equal(await labels('("x"):rep(64) .. "@example.com"'), 'address');
  });

  it('raises what is wrong with its arguments, at the line of the script', async () => {
    const wrong: Readonly<Record<string, RegExp>> = {
      'metric.count("a-b")':
        /^test\.lua:1: bad argument #1 to 'count' \(a name of 1 to 64 small letters and _ expected\)/,
      'metric.count(("a"):rep(65))': /a name of 1 to 64/,
      'metric.set("a_total", 1)': /#1 to 'set' \(a name that does not end in _total expected\)/,
      'metric.count("a", {}, -1)': /#3 to 'count' \(a number of at least 0 expected\)/,
      'metric.count("a", {}, 0/0)': /a finite number expected/,
      'metric.set("a", 1/0)': /#2 to 'set' \(a finite number expected\)/,
      'metric.time("a", -0.1)': /a number of at least 0 expected/,
      'metric.count("a", { le = 1 })': /another label than le expected/,
      'metric.count("a", { X = 1 })': /names of labels/,
      'metric.count("a", { "x" })': /names of labels/,
      'metric.count("a", { x = {} })':
        /strings, numbers and booleans as values of labels expected, got table/,
      'metric.count("a", { a = 1, b = 2, c = 3, d = 4, e = 5, f = 6 })': /at most 5 labels expected/,
    };
    for (const [chunk, message] of Object.entries(wrong)) {
      const [said = ''] = await noted(chunk);
      assert.match(said, message, chunk);
    }
  });

  it('is kept for the test of a policy, in each case anew', async (t) => {
    await passes(
      t,
      `function smtp.do_mail(sender)
         metric.count("mails", { null = sender == "" })
         metric.time("age", 2.5)
         metric.set("last", 7)
       end`,
      `test.equal(test.metric("mails", { null = false }), 0)
       for i = 1, 2 do
         local s = test.session { helo = "mx.example.net" }
         s:mail "a@example.net"
         s:quit()
       end
       test.equal(test.metric("mails", { null = false }), 2)
       test.equal({ test.metric("age") }, { 5.0, 2 })
       test.equal(test.metric "last", 7)
       test.equal(test.metric "mails", 0)`,
    );
  });
});
