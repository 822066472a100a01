/** `smtp.callahead` as a policy sees it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LuaContext } from '../../../src/lua/context/context.ts';
import { Template } from '../../../src/lua/context/template.ts';
import { compile } from '../../../src/lua/script/compilation.ts';
import type { CallAheadRequest } from '../../../src/mail-client/call-ahead.ts';
import { policyLibraries } from '../../../src/modules/install.ts';
import { evaluate } from '../../helpers/lua-context.ts';
import { servicesWith } from '../../helpers/services.ts';
import { passes } from '../../policy-test/run-tests.ts';
import { startMilter } from '../../program/milter-client.ts';

async function run(chunk: string): Promise<{ result: string; asked: CallAheadRequest[] }> {
  const asked: CallAheadRequest[] = [];
  const callAhead = {
    callahead: async (request: CallAheadRequest) => {
      asked.push(request);
      return { kind: 'known', value: true } as const;
    },
  };
  const template = new Template(policyLibraries(servicesWith({ callAhead })));
  const source = `local r, e = (function() ${chunk} end)() return tostring(r) .. " " .. tostring(e)`;
  const context = new LuaContext({ template, script: compile(Buffer.from(source), 'test.lua') });
  const outcome = await evaluate(context);
  context.dispose();
  if (outcome.kind === 'done') return { result: outcome.value, asked };
  return { result: 'message' in outcome ? outcome.message : outcome.kind, asked };
}

test('hosts, recipient and options are read', async () => {
  const { result, asked } = await run(
    'return smtp.callahead({ "mx:D.example", "[::1]" }, "<joe@d.example>", { from = "a@b.example", port = 2525, probe = true, yes = 0, no = 1.5 })',
  );
  assert.equal(result, 'true nil');
  assert.deepEqual(asked, [
    {
      hosts: ['mx:D.example', '::1'],
      rcpt: 'joe@d.example',
      from: 'a@b.example',
      helo: undefined,
      port: 2525,
      asksRandom: true,
      yesMs: 0,
      noMs: 1500,
    },
  ]);
  const started = await run('return job.start(smtp.callahead, "127.0.0.1", "joe@d.example"):wait()');
  assert.equal(started.result, 'true nil');
});

test('wrong arguments raise errors, and none becomes a command of its own', async () => {
  for (const [call, message] of [
    ['smtp.callahead()', /bad argument #1 to 'callahead' \(a host or a list of hosts expected\)/],
    ['smtp.callahead("a b", "joe@d.example")', /a host name, an address or mx:DOMAIN expected/],
    ['smtp.callahead("mx.example", "")', /empty address/],
    ['smtp.callahead("mx.example", "joe@d.example>\\r\\nDATA")', /bad argument #2/],
    [
      'smtp.callahead("mx.example", "joe@d.example", { helo = "a\\r\\nb" })',
      /option helo: a host name expected/,
    ],
    ['smtp.callahead("mx.example", "joe@d.example", { port = 0 })', /option port: a port expected/],
    ['smtp.callahead("mx.example", "joe@d.example", { yes = -1 })', /option yes: seconds from 0 to/],
  ] as const) {
    const { result, asked } = await run(`return ${call}`);
    assert.match(result, message, call);
    assert.deepEqual(asked, []);
  }
});

test('a test says what mail servers answer', async (t) => {
  await passes(
    t,
    `function smtp.do_rcpt(rcpt)
      local taken, reply = smtp.callahead("mail.internal.example", rcpt)
      return 550, "5.1.1 " .. tostring(taken) .. " " .. tostring(reply)
    end`,
    `local function ask(rcpt)
      local s = test.session {}
      s:mail "a@b.example"
      return s:rcpt(rcpt).text
    end
    test.equal(ask "joe@d.example", "nil unavailable no network in a test: see test.callahead")
    test.callahead { ["joe@d.example"] = true, ["jane@d.example"] = "550 5.1.1 gone", ["x@d.example"] = test.fails "timeout", ["*"] = false }
    test.equal(ask "joe@d.example", "true nil")
    test.equal(ask "jane@d.example", "false 550 5.1.1 gone")
    test.equal(ask "x@d.example", "nil timeout as the test says")
    test.equal(ask "y@d.example", "false 550 5.1.1 as the test says")`,
  );
});

for (const workers of ['0', '1']) {
  test(`the milter's own port is not asked, with --workers ${workers}`, async (t) => {
    const policy = `function smtp.do_rcpt(rcpt)
      return 550, "5.7.1 " .. select(2, smtp.callahead("127.0.0.1", rcpt, { port = tonumber(rcpt:match("%d+")) }))
    end`;
    const milter = await startMilter(t, policy, ['--workers', workers, '--warm-up', '0']);
    const mta = await milter.connect();
    await mta.connect('192.0.2.7', 'mx.example');
    await mta.helo('mx.example');
    await mta.mail('<a@b.example>');
    const { text } = await mta.rcpt(`<u${milter.port}@d.example>`);
    assert.equal(text, '550 5.7.1 refused call-ahead to 127.0.0.1: that is this server');
  });
}
