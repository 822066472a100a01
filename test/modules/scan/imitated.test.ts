/** The module `scan` where no scanner is asked: in tests of policies, and in `try`. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { sendMessage } from '../../../src/commands/try/try-message.ts';
import { readPlan } from '../../../src/commands/try/try-options.ts';
import { TryRun } from '../../../src/commands/try/try-run.ts';
import { resolveOptions } from '../../../src/options/options.ts';
import { failureOf, passes } from '../../policy-test/run-tests.ts';
import { directory } from '../../program/program.ts';

const POLICY = `function smtp.do_dot()
  local virus, err = scan.clamd()
  local spam, why = scan.spamd()
  local result, because = scan.rspamd()
  if result then result:apply() end
  return 550, "5.7.1 " .. table.concat({ virus == false and "clean" or virus or err, spam and spam.score .. " " .. tostring(spam.spam) or why,
    result and result.action .. " " .. (result.reply or "") or because }, "; ")
end`;

test('a test says what scanners answer; without that nobody is asked', async (t) => {
  await passes(
    t,
    POLICY,
    `local function reply(message)
      local s = test.session { ip = "192.0.2.7", helo = "mx.example" }
      s:mail "a@b.example" s:rcpt "c@d.example"
      local r = s:message(message or "Subject: x\\r\\n\\r\\nhello\\r\\n")
      return r.text, s
    end
    test.equal(reply(), "unavailable no network in a test: see test.clamd; unavailable no network in a test: see test.spamd; unavailable no network in a test: see test.rspamd")
    test.clamd(false) test.spamd { score = 7.5 } test.rspamd { score = 7, reply = "spam" }
    test.equal(reply(), "clean; 7.5 true; add header spam")
    test.clamd "Eicar" test.spamd(test.fails "timeout")
    test.rspamd(function(message, told)
      test.equal(told.ip, "192.0.2.7") test.equal(told.helo, "mx.example") test.equal(told.rcpt[1], "c@d.example")
      test.equal(message, "Subject: y\\r\\n\\r\\nhello\\r\\n")
      return { action = "no action", milter = { add_headers = { ["X-Added"] = "caf\\195\\169" } } }
    end)
    local text, s = reply "Subject: y\\r\\n\\r\\nhello\\r\\n"
    test.equal(text, "Eicar; timeout as the test says; no action")
    test.equal(s:edits()[1].kind, "add_header")`,
  );
  assert.match(await failureOf(t, POLICY, 'test.clamd()'), /bad argument #1 to 'clamd'/);
});

test('try asks scanners with --live only, and shows what they say', async (t) => {
  const clamd = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      if (bytes.subarray(-4).equals(Buffer.alloc(4))) socket.end('stream: Eicar-Test FOUND\0');
    });
  }).listen(0, '127.0.0.1');
  await once(clamd, 'listening');
  t.after(() => clamd.close());
  const address = clamd.address();
  assert.ok(address !== null && typeof address === 'object');
  const policy = join(directory(t), 'p.lua');
  writeFileSync(
    policy,
    'function smtp.do_dot() local v, err = scan.clamd() return 550, "5.7.1 " .. (v or err) end',
  );
  const options = resolveOptions(new Map([['clamd', [`inet:${address.port}@127.0.0.1`]]]), {});
  const content = Buffer.from('Subject: x\r\n\r\nhello\r\n');
  const asked = async (live: boolean) => {
    const plan = readPlan({ policy, live, from: 'a@b.example', to: ['c@d.example'] });
    const run = new TryRun(options, plan);
    t.after(() => run.close());
    await sendMessage(
      run.openSession(() => {}),
      plan,
      content,
    );
    return run.recorder.calls
      .flatMap((call) => call.asked)
      .map(({ service, question, answer, failure }) => ({ service, question, answer, failure }));
  };
  const question = { service: 'scan', question: 'clamd, 21 bytes' };
  assert.deepEqual(await asked(false), [
    { ...question, answer: undefined, failure: 'unavailable scanner is asked with --live only' },
  ]);
  assert.deepEqual(await asked(true), [{ ...question, answer: 'Eicar-Test', failure: undefined }]);
});
