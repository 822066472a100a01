/** `smtp.send` as a policy sees it. */
import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import type { Answer } from '../../../src/asking/answer.ts';
import { LuaContext } from '../../../src/lua/context/context.ts';
import { Template } from '../../../src/lua/context/template.ts';
import { compile } from '../../../src/lua/script/compilation.ts';
import type { OutgoingMail, Sent } from '../../../src/mail-client/mailer.ts';
import { policyLibraries } from '../../../src/modules/install.ts';
import { evaluate } from '../../helpers/lua-context.ts';
import { servicesWith } from '../../helpers/services.ts';
import { passes } from '../../policy-test/run-tests.ts';

const TAKEN: Answer<Sent> = {
  kind: 'known',
  value: { kind: 'sent', reply: '250 ok', refused: new Map() },
};

async function run(chunk: string, answer = TAKEN): Promise<{ result: string; sent: OutgoingMail[] }> {
  const sent: OutgoingMail[] = [];
  const mailer = {
    send: async (mail: OutgoingMail) => {
      sent.push(mail);
      return answer;
    },
  };
  const clock = { now: () => Date.UTC(2026, 10, 29, 6, 7, 8), wait: async () => {} };
  const template = new Template(policyLibraries(servicesWith({ mailer, clock })));
  const source = `local function told(...)
    local all = {}
    for i = 1, select("#", ...) do
      local value = select(i, ...)
      all[i] = type(value) == "table" and value["x@d.example"] or tostring(value)
    end
    return table.concat(all, " ")
  end
  return told((function() ${chunk} end)())`;
  const context = new LuaContext({ template, script: compile(Buffer.from(source), 'test.lua') });
  const outcome = await evaluate(context);
  context.dispose();
  if (outcome.kind === 'done') return { result: outcome.value, sent };
  return { result: 'message' in outcome ? outcome.message : outcome.kind, sent };
}

/** The one message that a call sends. */
async function messageOf(message: string): Promise<string> {
  const { result, sent } = await run(`return smtp.send { to = "b@d.example", message = ${message} }`);
  assert.equal(result, 'true 250 ok');
  return sent[0]?.message.toString('latin1') ?? '';
}

test('envelope and bytes are handed on as they are', async () => {
  const { result, sent } = await run(
    'return smtp.send { from = "<a@b.example>", to = { "<b@d.example>", "c@d.example", "b@d.example" }, message = "Subject: \\xe4\\n\\n\\0\\xff.\\r" }',
  );
  assert.equal(result, 'true 250 ok');
  assert.deepEqual(sent, [
    {
      from: 'a@b.example',
      to: ['b@d.example', 'c@d.example'],
      message: Buffer.from('Subject: \xe4\n\n\0\xff.\r', 'latin1'),
      marks: [],
    },
  ]);
  const started = await run('return job.start(smtp.send, { to = "b@d.example", message = "A: b" }):wait()');
  assert.equal(started.result, 'true 250 ok');
  assert.equal(started.sent[0]?.from, '');
});

test('taken, refused, in part and not known', async () => {
  const call = 'return smtp.send { to = "b@d.example", message = "A: b" }';
  const refused = new Map([['x@d.example', '550 no']]);
  const part: Answer<Sent> = { kind: 'known', value: { kind: 'sent', reply: '250 ok', refused } };
  assert.equal((await run(call, part)).result, 'true 250 ok 550 no');
  const no: Answer<Sent> = { kind: 'known', value: { kind: 'no', reply: '550 5.7.1 no' } };
  assert.equal((await run(call, no)).result, 'false 550 5.7.1 no');
  const unknown: Answer<Sent> = { kind: 'unknown', failure: 'limit', reason: 'limit x' };
  assert.equal((await run(call, unknown)).result, 'nil limit x');
});

describe('a message of headers and text', () => {
  it('is made in the order of mail, encoded, with what each message has', async () => {
    const message = await messageOf(
      '{ headers = { subject = "Zur\\xc3\\xbcck", From = "J\\xc3\\xb6rg <a@b.example>", ["X-A"] = "1", To = "b@d.example" }, text = "\\xc3\\xa4 =\\n.\\n" }',
    );
    const [head = '', body] = message.split('\r\n\r\n');
    const lines = head.split('\r\n');
    assert.deepEqual(lines.slice(0, 3), [
      'From: =?utf-8?Q?J=C3=B6rg?= <a@b.example>',
      'To: b@d.example',
      'subject: =?utf-8?Q?Zur=C3=BCck?=',
    ]);
    const rest = lines.slice(3).filter((line) => !line.startsWith('Message-ID: '));
    assert.deepEqual(rest, [
      'X-A: 1',
      'Date: Sun, 29 Nov 2026 06:07:08 +0000',
      'Auto-Submitted: auto-generated',
      'MIME-Version: 1.0',
      'Content-Type: text/plain; charset=utf-8',
      'Content-Transfer-Encoding: quoted-printable',
    ]);
    assert.match(head, /^Message-ID: <[0-9a-f]{24}@localhost>$/m);
    assert.equal(body, '=C3=A4 =3D\r\n.\r\n');
    const own = await messageOf(
      '{ headers = { From = "a@b.example", date = "x", ["message-id"] = "<y@z>", ["AUTO-SUBMITTED"] = "no" }, text = "" }',
    );
    assert.deepEqual(own.match(/^(?:date|message-id|auto-submitted): .*/gim), [
      'date: x',
      'message-id: <y@z>',
      'AUTO-SUBMITTED: no',
    ]);
  });

  it('has no header that a value brings along', async () => {
    const evil = [
      'x\\r\\nBcc: evil@x.example',
      'x\\nBcc: evil@x.example\\n\\nbody',
      'x\\rBcc: evil@x.example',
      '\\n\\nBcc: evil@x.example',
      'x\\0\\nBcc: evil@x.example',
      'x\\r\\n Bcc: evil@x.example\\r\\n\\r\\n',
      `${'x'.repeat(3000)}\\nBcc: evil@x.example`,
      `${'x '.repeat(1000)}\\nBcc: evil@x.example`,
      `${'\\xc3\\xa4'.repeat(1500)}\\nBcc: evil@x.example`,
      `=?utf-8?Q?x?=\\nBcc: evil@x.example`,
    ];
    for (const name of ['Subject', 'To', 'X-Any', 'References']) {
      for (const value of evil) {
        const message = await messageOf(
          `{ headers = { From = "a@b.example", ["${name}"] = "${value}" }, text = "t" }`,
        );
        const [head = '', body] = message.split('\r\n\r\n');
        const names = head
          .replaceAll(/\r\n[ \t]/g, ' ')
          .split('\r\n')
          .map((line) => /^([\w-]+):/.exec(line)?.[1]);
        const expected = ['Date', 'Message-ID', 'Auto-Submitted', 'MIME-Version', 'Content-Type'];
        const first = name === 'X-Any' || name === 'References' ? ['From', name] : ['From', name];
        assert.deepEqual(names, [...first, ...expected, 'Content-Transfer-Encoding'], value);
        assert.ok(!/[\r\n](?![\n \t])(?<!\r\n)/.test(head), value);
        assert.ok(
          head.split('\r\n').every((line) => line.length <= 998),
          value,
        );
        assert.equal(body, 't');
      }
    }
  });
});

test('wrong arguments raise errors, and nothing is sent', async () => {
  const message = 'message = "A: b"';
  for (const [mail, expected] of [
    ['', /bad argument #1 to 'send'/],
    ['"x"', /bad argument #1 to 'send' \(table expected, got string\)/],
    ['{ to = "a@b.example" }', /option message: a string, or a table with headers and text expected/],
    [`{ ${message} }`, /option to: an address or a list of 1 to 100 expected/],
    [`{ to = {}, ${message} }`, /option to: an address or a list/],
    [`{ to = "", ${message} }`, /option to: empty address/],
    [`{ to = { "a@b.example", "" }, ${message} }`, /option to: empty address/],
    [`{ to = "a@b.example>\\r\\nDATA", ${message} }`, /option to: /],
    [`{ to = "a@b.example", from = "a b", ${message} }`, /option from: /],
    [`{ to = "\\xff@b.example", ${message} }`, /option to: addresses in UTF-8 expected/],
    [`{ to = "a@b.example", ${message}, timeout = 0 }`, /option timeout: seconds expected/],
    [`{ to = "a@b.example", ${message}, bcc = "x" }`, /options are from, to, message, timeout/],
    ['{ to = "a@b.example", message = "no header" }', /option message: its first line is no header/],
    ['{ to = "a@b.example", message = " A: b" }', /option message: its first line is no header/],
    ['{ to = "a@b.example", message = "\\r\\nA: b" }', /option message: its first line is no header/],
    ['{ to = "a@b.example", message = { text = "x" } }', /option message: headers: a table expected/],
    ['{ to = "a@b.example", message = { headers = {} } }', /option message: text: a string expected/],
    [
      '{ to = "a@b.example", message = { headers = {}, text = "" } }',
      /option message: a header From expected/,
    ],
    [
      '{ to = "a@b.example", message = { headers = { From = "a", ["X:\\r\\nB"] = "" }, text = "" } }',
      /option message: header name with a blank/,
    ],
    [
      '{ to = "a@b.example", message = { headers = { From = "a", from = "b" }, text = "" } }',
      /option message: two headers [Ff]rom/,
    ],
    [
      '{ to = "a@b.example", message = { headers = { From = "a", ["content-type"] = "b" }, text = "" } }',
      /option message: header content-type is made by smtp.send/,
    ],
    [
      '{ to = "a@b.example", message = { headers = { From = {} }, text = "" } }',
      /option message: header From: a string expected/,
    ],
    [
      '{ to = "a@b.example", message = { headers = { From = "a" }, text = "", html = "" } }',
      /a table with headers and text alone expected/,
    ],
  ] as const) {
    const { result, sent } = await run(`return smtp.send(${mail})`);
    assert.match(result, expected, mail);
    assert.match(result, /test\.lua:/, mail);
    assert.deepEqual(sent, []);
  }
});

test('a test says what the smarthost answers, and sees what was sent', async (t) => {
  await passes(
    t,
    `function smtp.do_dot()
      local sent, reply = smtp.send { to = "archive@b.example", message = "Subject: copy\\n\\n" .. header.get "Subject" }
      return 550, "5.7.1 " .. tostring(sent) .. " " .. reply
    end`,
    `local function ask(more)
      local s = test.session {}
      s:mail "a@b.example"
      s:rcpt "b@b.example"
      return s:message((more or "") .. "Subject: x\\r\\n\\r\\ntext\\r\\n").text
    end
    test.equal(ask(), "nil unavailable no network in a test: see test.send")
    test.equal(#test.sent(), 0)
    test.send(true)
    test.equal(ask(), "true 250 2.0.0 as the test says")
    test.equal(test.sent()[1].from, "")
    test.equal(test.sent()[1].to[1], "archive@b.example")
    test.equal(test.sent()[1].message, "Subject: copy\\r\\n\\r\\nx")
    test.send(false)
    test.equal(ask(), "false 550 5.7.1 as the test says")
    test.send "554 5.7.1 no"
    test.equal(ask(), "false 554 5.7.1 no")
    test.send(test.fails "timeout")
    test.equal(ask(), "nil timeout as the test says")
    test.send(function(mail) return #mail.to == 1 and mail.message:find "copy" and "250 2.0.0 seen" end)
    test.equal(ask(), "true 250 2.0.0 seen")
    test.equal(#test.sent(), 5)
    -- A message that smtp.send has sent.
    test.equal(ask("X-Loop: smtpf-milter-" .. ("0"):rep(32) .. "\\r\\n"), "nil refused mail loop")
    test.equal(#test.sent(), 5)`,
  );
});
