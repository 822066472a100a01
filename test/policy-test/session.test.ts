/** The sessions of a test: what an SMTP client sees, what the policy did, and what becomes of the message. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureOf, passes, run } from './run-tests.ts';

const POLICY = `
  function smtp.do_connect(ip, ptr)
    if ptr == "bad.example" then return 554, "5.7.1 go away" end
  end
  function smtp.do_mail(sender)
    if sender == "friend@a.example" then return smtp.code.accept end
    if sender == "void@a.example" then return smtp.code.discard end
    if sender == "later@a.example" then return 451, "4.7.1 in an hour" end
    if sender == "bye@a.example" then return 421, "4.7.0 bye" end
  end
  function smtp.do_rcpt(rcpt, params)
    if rcpt == "no@b.example" then return 550, { "5.7.1 not", "here" } end
    if rcpt == "hold@b.example" then smtp.quarantine("look at it") end
    if rcpt == "add@b.example" then
      smtp.add_rcpt("copy@b.example")
      smtp.set_sender("other@a.example")
      header.add("X-Tag", "yes")
    end
    syslog.info("rcpt " .. rcpt .. " " .. table.concat(params, " "))
  end
  function smtp.do_headers(headers)
    if header.get("Subject") == "drop" then return smtp.code.discard end
    if header.get("Subject") == "body" then body.replace("new\\r\\n") end
    if header.get("Subject") == "bare" then header.delete("Subject") end
  end
  function smtp.do_dot() end
  function smtp.do_unknown(line) return 500, "5.5.1 " .. line end
  function smtp.close() print("closed", smtp.sess.auth and smtp.sess.auth.user) end
`;

test('a result says what the client of that MTA sees, and which line it comes from', async (t) => {
  await passes(
    t,
    POLICY,
    `
    local s = test.session { helo = "x" }
    test.equal(s.greeting.code, 220)
    test.equal(s.helo_reply.code, 250)
    s:mail "<someone@a.example>"
    local r = s:rcpt "no@b.example"
    local where = r.where
    r.where = nil
    test.equal(r, {
      command = "RCPT TO:<no@b.example>",
      code = 550,
      enhanced = "5.7.1",
      text = "not\\nhere",
      lines = { "550-5.7.1 not", "550 5.7.1 here" },
      action = "reject",
      callback = "smtp.do_rcpt",
      edits = {},
      notes = {},
    })
    test.match(where, "p%.lua:12$")
    s = test.session { helo = "x", mta = "sendmail" }
    s:mail "someone@a.example"
    test.equal(s:rcpt("no@b.example").lines, {
      "550-5.7.1 <no@b.example>... not", "550 5.7.1 here",
    })`,
  );
});

test('actions tell what became of a command, and of a message', async (t) => {
  await passes(
    t,
    POLICY,
    `
    local function message(sender, rcpt, subject)
      local s = test.session { helo = "x" }
      local mail = s:mail(sender)
      if mail.code >= 400 then return mail.action end
      s:rcpt(rcpt)
      local r = s:message { headers = { Subject = subject }, body = "hello" }
      return mail.action, r.action, s
    end
    test.equal({ message("later@a.example") }, { "tempfail" })
    local mail, action, s = message("a@a.example", "b@b.example", "hi")
    test.equal({ mail, action }, { "continue", "accept" })
    test.equal(s:delivered().recipients, { "b@b.example" })
    mail, action, s = message("friend@a.example", "no@b.example", "drop")
    test.equal({ mail, action }, { "accept", "accept" })
    mail, action, s = message("void@a.example", "b@b.example", "hi")
    test.equal({ mail, action, s:delivered() }, { "discard", "discard" })
    mail, action, s = message("a@a.example", "b@b.example", "drop")
    test.equal({ mail, action, s:delivered() }, { "continue", "discard" })
    mail, action, s = message("a@a.example", "hold@b.example", "hi")
    test.equal({ mail, action }, { "continue", "quarantine" })
    test.equal(s:delivered().reason, "look at it")`,
  );
});

test('edits are listed as they are asked for, and the message as it is delivered', async (t) => {
  await passes(
    t,
    POLICY,
    `
    local s = test.session { helo = "x" }
    test.equal(s:mail("a@a.example", "SIZE=7").edits, {})
    local wanted = {
      { kind = "add_header", name = "X-Tag", value = "yes" },
      { kind = "set_sender", address = "other@a.example" },
      { kind = "add_rcpt", address = "copy@b.example" },
    }
    test.equal(s:rcpt("add@b.example", "NOTIFY=NEVER").edits, wanted)
    test.equal(s:edits(), wanted)
    local r = s:message "Subject: body\\n\\nold\\n"
    wanted[4] = { kind = "replace_body", body = "new\\r\\n" }
    test.equal(r.edits, wanted)
    local d = s:delivered()
    test.equal({ d.action, d.sender, d.recipients, d.header.subject, d.header["x-tag"], d.body },
      { "delivered", "other@a.example", { "add@b.example", "copy@b.example" }, "body", "yes", "new\\r\\n" })
    test.equal(d.headers, { "Subject: body", "X-Tag: yes" })
    s:mail "a@a.example"
    test.equal(s:edits(), {})
    s:rcpt "b@b.example"
    test.equal(s:message("Subject: bare\\n\\nx").edits, { { kind = "delete_header", index = 1, name = "Subject" } })`,
  );
});

test('what the policy logs and prints, and its calls, are kept', async (t) => {
  await passes(
    t,
    POLICY,
    `
    local s = test.session { ip = "192.0.2.1", helo = "x", auth = { user = "joe", mech = "LOGIN" }, tls = "TLSv1.2" }
    s:mail "a@a.example"
    s:rcpt("b@b.example", "NOTIFY=NEVER", "ORCPT=rfc822;b@b.example")
    s:quit()
    test.equal(s:log(), { "rcpt b@b.example NOTIFY=NEVER ORCPT=rfc822;b@b.example", "closed\\tjoe" })
    local calls = s:calls()
    local names = {}
    for i, call in ipairs(calls) do names[i] = call.name .. " " .. call.result end
    test.equal(names, { "smtp.do_connect continue", "smtp.do_mail continue", "smtp.do_rcpt continue", "smtp.close continue" })
    test.match(calls[1].where, "p%.lua:4$")
    assert(calls[1].wall_milliseconds >= 0 and calls[1].cpu_milliseconds >= 0)`,
  );
});

test('commands besides: RSET, unknown ones, STARTTLS, AUTH, a client that drops', async (t) => {
  await passes(
    t,
    `${POLICY}
    function smtp.do_data() syslog.info(smtp.sess.auth.user .. " " .. tostring(smtp.sess.tls and smtp.sess.tls.version)) end`,
    `
    local s = test.session { helo = "x", mta = "sendmail" }
    test.reply(s:unknown("XYZZY 1"), 500, "5.5.1 XYZZY 1")
    s:mail "a@a.example"
    test.accepted(s:rset())
    test.accepted(s:starttls())
    s:helo "x"
    test.accepted(s:auth("joe"))
    s:mail "a@a.example"
    s:rcpt "b@b.example"
    s:data()
    test.match(s:log(), "^joe TLSv1%.3$")
    s:drop()
    s:drop()`,
  );
  assert.match(
    await failureOf(t, POLICY, 'local s = test.session {} s:drop() s:mail "a"'),
    /^the session is over/,
  );
  assert.match(
    await failureOf(t, POLICY, 'local s = test.session { helo = "x" } s:mail "bye@a.example" s:rset()'),
    /^the server has closed the connection: MAIL FROM:<bye@a\.example>/,
  );
});

test('a refusal at connect is told where that MTA tells it, with the line that refused', async (t) => {
  await passes(
    t,
    POLICY,
    `
    local s = test.session { ptr = "bad.example", helo = "x" }
    test.equal(s.greeting.code, 554)
    test.reply(s:mail "a@a.example", 554, "5.7.1 go away")
    test.match(s:mail("a@a.example").where, "p%.lua:3$")
    s = test.session { ptr = "bad.example", helo = "x", mta = "sendmail" }
    test.reply(s:mail "a@a.example", 550, "Command rejected")`,
  );
});

test('an error of the policy fails the case, unless it is part of it', async (t) => {
  const broken = 'function smtp.do_mail(a)\n  return nothing.at.all\nend';
  const message = await failureOf(t, broken, 'local s = test.session { helo = "x" }\ns:mail "a"');
  assert.match(
    message,
    /^error in smtp\.do_mail: DIR\/p\.lua:2: attempt to index a nil value \(global 'nothing'\)/,
  );
  await passes(
    t,
    broken,
    `local s = test.session { helo = "x", on_error = "tempfail" }
     test.refused(s:mail "a", 451)
     test.match(s:calls()[1].failure, "attempt to index")`,
  );
  assert.match(
    await failureOf(t, 'error("oops")', 'test.session {}'),
    /^the policy does not run: DIR\/p\.lua:1: oops/,
  );
  assert.match(
    await failureOf(t, 'function smtp.close() error("at the end") end', 'test.session {}'),
    /^error in smtp\.close: DIR\/p\.lua:1: at the end/,
  );
});

test('policies that wait for the DNS, or run long, do not hold up the test', async (t) => {
  await passes(
    t,
    `function smtp.do_mail()
      local jobs = {}
      for i = 1, 50 do jobs[i] = dns.start(dns.a, i .. ".example") end
      local found = 0
      for _, job in ipairs(jobs) do found = found + #job:wait() end
      for i = 1, 2e6 do found = found + 0 end
      return 550, found .. " found"
    end`,
    `test.dns { ["7.example A"] = { "192.0.2.1", "192.0.2.2" } }
     test.reply(test.session { helo = "x" }:mail "a", 550, " 2 found")`,
  );
});

test('several sessions at once have each their own policy', async (t) => {
  await passes(
    t,
    'local n = 0 function smtp.do_mail() n = n + 1 return 550, "no. " .. n end',
    `local one, two = test.session { helo = "x" }, test.session { helo = "y" }
     test.reply(one:mail "a", 550, "no. 1")
     test.reply(one:mail "a", 550, "no. 2")
     test.reply(two:mail "a", 550, "no. 1")`,
  );
});

test('a test may name its policy, which may load modules beside it', async (t) => {
  const report = await run(t, {
    'sub/policy.lua': 'local m = require "mod" function smtp.do_mail() return 550, m end',
    'sub/mod.lua': 'return "from the module"',
    'p_test.lua': `
      test.policy "sub/policy.lua"
      test.case("it", function() test.reply(test.session { helo = "x" }:mail "a", 550, "from the module") end)
      test.case("other", function()
        test.policy "none.lua"
        test.session {}
      end)
      test.case("again", function() test.session {} end)`,
  });
  assert.equal(report.broken, undefined);
  assert.deepEqual(
    report.cases.map(({ failure }) => failure?.message.replace(/\/\S+\//, 'DIR/')),
    [undefined, 'cannot read DIR/none.lua: No such file or directory', undefined],
  );
  assert.deepEqual(report.dependencies.map((path) => path.replace(/^.*smtpf-milter-test-[^/]*/, '')).sort(), [
    '/none.lua',
    '/sub/mod.lua',
    '/sub/policy.lua',
  ]);
});

test('mistakes of a test are named', async (t) => {
  for (const [body, message] of [
    ['test.session { hello = "x" }', /unknown field 'hello', known are: ip, ptr/],
    ['test.session { mta = "exim" }', /field 'mta': one of postfix, sendmail expected/],
    ['test.session { ip = {} }', /field 'ip': string expected/],
    ['test.session { auth = {} }', /field 'auth': no 'user'/],
    ['test.session { macros = 1 }', /field 'macros': table expected/],
    ['test.session { helo = "x" }.mail("a")', /session expected: write s:mail\(\.\.\.\), not s\.mail/],
    ['test.session { helo = "x" }:message { header = {} }', /unknown field 'header'/],
    ['test.session { helo = "x" }:mail()', /address expected/],
    ['test.case("x", function() end)', /^test\.case: not in another case/],
    ['test.refused(550)', /result of a command expected/],
    ['test.reply({}, 550)', /result of a command expected/],
  ] as const) {
    assert.match(await failureOf(t, POLICY, body), message, body);
  }
});
