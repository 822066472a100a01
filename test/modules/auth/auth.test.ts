/** The module `auth` as a script sees it: in a session, with the DNS of a test, and messages that another implementation signed. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { domainToASCII } from 'node:url';
import { keyRecord } from '../../../src/mail-auth/signing-key.ts';
import { withDkimpy } from '../../mail-auth/dkimpy.ts';
import { failureOf, passes } from '../../policy-test/run-tests.ts';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const BODY = 'Hello\r\n';
const HEADERS = ['From: Jane <jane@example.com>', 'To: bob@example.net', 'Subject: A day'];

/** The messages of which these are headers, each with a signature of dkimpy in front. */
function signed(headers: readonly string[], options: { readonly length?: boolean } = {}): string[] {
  const value = withDkimpy<string>(
    `
message = input['message'].encode('latin1')
made = dkim.sign(message, b's1', b'example.com', input['key'].encode(), length=input['length'])
print(json.dumps(made.decode('latin1')))`,
    {
      message: `${headers.join('\r\n')}\r\n\r\n${BODY}`,
      key: privateKey.export({ type: 'pkcs1', format: 'pem' }),
      length: options.length ?? false,
    },
  );
  return [value.replace(/\r\n$/, ''), ...headers];
}

const quoted = (text: string) => JSON.stringify(text).replaceAll('\\r', '\\r').replaceAll('\\u', '\\u');
const table = (texts: readonly string[]) => `{ ${texts.map(quoted).join(', ')} }`;

const ZONE = `test.dns {
  ["example.com TXT"] = "v=spf1 ip4:192.0.2.0/24 exp=why.example.com -all",
  ["why.example.com TXT"] = "%{i} may not send",
  ["_dmarc.example.com TXT"] = "v=DMARC1; p=reject; sp=quarantine",
  ["s1._domainkey.example.com TXT"] = ${quoted(keyRecord(privateKey))},
  ["192.0.2.7 PTR"] = "mail.example.com",
  ["mail.example.com A"] = "192.0.2.7",
}
`;

/** A session in which `message` comes from this client; its reply is checked by `expected`, code of Lua. */
const session = (
  headers: readonly string[],
  checks: string,
  { ip = '192.0.2.7', body = BODY } = {},
) => `${ZONE}
  local s = test.session { ip = "${ip}", helo = "mail.example.com", macros = { j = "mx.example.net" } }
  s:mail "Jane@Example.com"
  s:rcpt "bob@example.net"
  local r = s:message { headers = ${table(headers)}, body = ${quoted(body)} }
  ${checks}`;

describe('auth.check', () => {
  const policy = `
    function smtp.do_dot()
      local found, err = auth.check(opts)
      if not found then return 451, "4.7.0 " .. err end
      shown = found
      local dkim = {}
      for i, one in ipairs(found.dkim) do
        dkim[i] = ("%s %s %s %s %s %s"):format(one.result, one.domain, one.selector, one.aligned, one.short, one.bits)
      end
      local seen = table.concat({ found.spf.result, found.spf.domain, table.concat(dkim, "+"),
        found.dmarc.result, found.dmarc.policy, found.dmarc.domain, found.dmarc.p, found.dmarc.sp, found.arc.result,
        found.iprev.result, found.iprev.name }, "|")
      return 550, "5.7.1 " .. seen
    end`;

  it('says what was found out', async (t) => {
    await passes(
      t,
      policy,
      session(
        signed(HEADERS),
        `test.reply(r, 550, "^5%.7%.1 pass|example.com|pass example.com s1 true false 2048|pass|reject|example.com|reject|quarantine|none|pass|mail.example.com$")`,
      ),
    );
  });

  it('fails what was changed, and what others send', async (t) => {
    await passes(
      t,
      policy,
      session(
        signed(HEADERS),
        `test.reply(r, 550, "|pass example.com s1 true false 2048|pass|reject|")
         test.match(r.text, "^fail|example.com|")`,
        { ip: '203.0.113.9' },
      ),
    );
    await passes(
      t,
      policy,
      session(
        signed(HEADERS).map((line) => line.replace('A day', 'Another')),
        `test.match(r.text, "|fail example.com s1 false false 2048|pass|")`,
      ),
    );
    await passes(
      t,
      policy,
      session(
        signed(HEADERS),
        `test.match(r.text, "fail|example.com|fail example.com s1 false false nil|fail|")`,
        {
          ip: '203.0.113.9',
          body: 'Other\r\n',
        },
      ),
    );
  });

  it('gives names in UTF-8 as A-labels, so that a policy sees one name however it is written', async (t) => {
    const names = `
      function smtp.do_dot()
        local found = must(auth.check { add = true })
        shown = table.concat({ found.spf.domain, found.dkim[1].domain, found.dkim[1].selector, found.dmarc.domain }, "|")
        return 550, "5.7.1 " .. (shown .. "|" .. found.header:gsub("%c+", " "))
      end`;
    for (const name of ['b\u00fccher.example', '\u0431\u0443\u043a.example', 'B\u00dcCHER.Example']) {
      const bytes = Buffer.from(name).toString('latin1');
      const asked = domainToASCII(name);
      const mail = signed(['From: x@example.com', 'Subject: A day']).map((line) =>
        line.replaceAll('example.com', bytes).replace(' b=', ' b=A'),
      );
      const lua = Array.from(
        Buffer.from(bytes, 'latin1'),
        (byte) => `\\${String(byte).padStart(3, '0')}`,
      ).join('');
      await passes(
        t,
        names,
        `test.dns {
          ["${asked} TXT"] = "v=spf1 ip4:192.0.2.0/24 -all",
          ["_dmarc.${asked} TXT"] = "v=DMARC1; p=reject",
          ["s1._domainkey.${asked} TXT"] = ${quoted(keyRecord(privateKey))},
        }
        local s = test.session { ip = "192.0.2.7", helo = "mail.example.com", macros = { j = "mx.example.net" } }
        s:mail "jane@${lua}"
        s:rcpt "bob@example.net"
        local r = s:message { headers = { ${mail.map((line) => `"${line.replace(/["\\]/g, '\\$&').replace(/\r\n/g, '\\r\\n').replaceAll(bytes, lua)}"`).join(', ')} }, body = ${quoted(BODY)} }
        local function has(text) if not r.text:find(text, 1, true) then error(r.text) end end
        has "${asked}|${asked}|s1|${asked}|Authentication-Results: "
        has " smtp.mailfrom=${asked};"
        has " header.d=${asked} "
        has " header.from=${asked} "`,
      );
    }
  });

  it('says of a signature that more may have been appended', async (t) => {
    const longer = session(
      signed(HEADERS, { length: true }),
      `test.match(r.text, "|pass example.com s1 false true 2048|fail|")`,
      { ip: '203.0.113.9', body: `${BODY}appended\r\n` },
    );
    await passes(t, policy, longer);
  });

  it('is nil and a reason where the DMARC result could not be found out, never a result', async (t) => {
    const down = (failure: string, checks: string) =>
      session(signed(HEADERS), checks, { ip: '203.0.113.9' }).replace(
        'local s =',
        `test.dns { ["${failure}"] = "servfail" }\n  local s =`,
      );
    await passes(
      t,
      policy,
      down('_dmarc.example.com TXT', `test.reply(r, 451, "^4%.7%.0 servfail .*_dmarc.example.com")`),
    );
    await passes(
      t,
      policy,
      down(
        's1._domainkey.example.com TXT',
        `test.reply(r, 451, "^4%.7%.0 servfail .*s1._domainkey.example.com")`,
      ),
    );
    // SPF could not turn what a signature has settled.
    const reasons = policy.replace('found.spf.domain', 'found.spf.reason');
    await passes(
      t,
      reasons,
      down('example.com TXT', `test.match(r.text, "^temperror|servfail .*|pass|reject|")`),
    );
  });

  it('gives a table all the same where that is asked for', async (t) => {
    const partial = `opts = { partial = true }\n${policy.replaceAll(/found\.\w+\.\w+/g, 'tostring($&)')}`;
    const code = session(signed(HEADERS), `test.match(r.text, "^fail|example.com|.*|temperror||||")`, {
      ip: '203.0.113.9',
    });
    await passes(
      t,
      partial,
      code.replace('local s =', 'test.dns { ["_dmarc.example.com TXT"] = "timeout" }\n  local s ='),
    );
  });

  it('puts its results on top, and takes out forged ones', async (t) => {
    const forged = [
      'Authentication-Results: mx.example.net; dmarc=pass header.from=bank.example',
      'AUTHENTICATION-RESULTS:  (x) MX.example.NET 1; spf=pass',
      'Authentication-Results: mx.example.net\t\r\n\t; none',
      'Authentication-Results: other.example; spf=pass smtp.mailfrom=a.example',
    ];
    const adding = `opts = { add = true }
      function smtp.do_dot()
        local found = assert(auth.check(opts))
        assert(found.header == "Authentication-Results:" .. header.all("Authentication-Results")[1]:gsub("^", " ")
          or header.find("Authentication-Results"))
        local seen = {}
        for _, one in ipairs(auth.results()) do seen[#seen + 1] = one.authserv .. " " .. one.method .. "=" .. one.result end
        smtp.quarantine(table.concat(seen, ","))
      end`;
    await passes(
      t,
      adding,
      session(
        [...forged, ...signed(HEADERS)],
        `test.equal(s:edits()[5].reason, "mx.example.net spf=pass,mx.example.net dkim=pass,mx.example.net dmarc=pass,mx.example.net iprev=pass,other.example spf=pass")
         local kinds = {}
         for i, edit in ipairs(s:edits()) do kinds[i] = edit.kind .. " " .. (edit.name or "") end
         test.equal(table.concat(kinds, ","), "delete_header Authentication-Results,delete_header AUTHENTICATION-RESULTS,delete_header Authentication-Results,insert_header Authentication-Results,quarantine ")`,
      ),
    );
  });

  it('takes out forged ones however they are written, and however many there are', async (t) => {
    const spellings = [
      'mx.example.net.; dmarc=pass',
      'mx.example.net/1; dmarc=pass',
      'mx.example.net,; dmarc=pass',
      ';mx.example.net; dmarc=pass',
      '"mx.example\\.net"; dmarc=pass',
      'mx (a) . (b) example.net 1; dmarc=pass',
      'mx.example.net. 1; dmarc=pass',
      'mx.example.net/ (a) 1; dmarc=pass',
    ];
    const headers = [...spellings.map((value) => `Authentication-Results: ${value}`), ...HEADERS];
    const checks = `local lines = ${table(headers)}
      for n = 1, 9000 do lines[#lines + 1] = "Authentication-Results: mx.example.net; dmarc=pass" end
      s = test.session { ip = "192.0.2.7", helo = "mail.example.com", macros = { j = "mx.example.net" } }
      s:mail "Jane@Example.com"
      s:rcpt "bob@example.net"
      test.accepted(s:message { headers = lines, body = "x" })
      local left = 0
      for _, line in ipairs(s:delivered().headers) do
        if line:find("^Authentication%-Results") then left = left + 1 end
      end
      test.equal(left, 1)`;
    const adding = 'function smtp.do_dot() assert(auth.check { add = true }) end';
    await passes(t, adding, session(HEADERS, checks));
  });

  it('knows which signatures a change would break', async (t) => {
    const covers = `
      function smtp.do_dot()
        local early = select(2, pcall(auth.covers, "Subject"))
        assert(auth.check())
        local seen = {}
        for _, name in ipairs { "subject", "From", "X-Other", "body" } do
          local signers = auth.covers(name)
          seen[#seen + 1] = name .. "=" .. (signers[1] and signers[1].domain .. "/" .. signers[1].selector or "-")
        end
        return 550, "5.7.1 " .. table.concat(seen, " ") .. " " .. early
      end`;
    await passes(
      t,
      covers,
      session(
        signed(HEADERS),
        `test.match(r.text, "^subject=example.com/s1 From=example.com/s1 X%-Other=%- body=example.com/s1 .*auth.check has not said yet")`,
      ),
    );
    await passes(
      t,
      covers,
      session(signed(HEADERS), `test.match(r.text, "^subject=%- From=%- X%-Other=%- body=%- ")`, {
        body: 'Other\r\n',
      }),
    );
  });

  it('asks once for each message, and begins anew with the next', async (t) => {
    const twice = `
      function smtp.do_dot()
        local one, two = auth.check(), auth.check { authserv = "other.example" }
        local first = one.header:match(": ([%w.]+)")
        return 550, first .. " " .. two.header:match(": ([%w.]+)") .. " " .. #one.dkim .. one.dkim[1].result
      end`;
    await passes(
      t,
      twice,
      `${session(signed(HEADERS), `test.equal(r.text, "mx.example.net other.example 1pass")`)}
       s:mail "jane@example.com"
       s:rcpt "bob@example.net"
       local again = s:message { headers = ${table(signed(HEADERS))}, body = "Other\\r\\n" }
       test.equal(again.text, "mx.example.net other.example 1fail")`,
    );
  });

  it('may be begun as a job, and names its arguments when they are wrong', async (t) => {
    const job = `
      function smtp.do_dot()
        local going = job.start(auth.check, { timeout = 5 })
        local found = assert(going:wait())
        local wrong = {}
        for i, opts in ipairs { { partial = 1 }, { other = true }, { authserv = "a b" }, { timeout = 0 } } do
          wrong[i] = select(2, pcall(auth.check, opts))
        end
        return 550, "5.7.1 " .. found.dmarc.result .. " " .. table.concat(wrong, " ")
      end`;
    await passes(
      t,
      job,
      session(
        signed(HEADERS),
        `test.match(r.text, "^pass .*option partial: boolean expected.*options are partial.*option authserv: a host name.*option timeout: seconds")`,
      ),
    );
  });

  it('is for the end of a message', async (t) => {
    const early = (callback: string) => `
      function smtp.${callback}() auth.check() end
      function smtp.do_dot() end`;
    const message = session(HEADERS, '');
    assert.match(
      await failureOf(t, early('do_mail'), message),
      /the message is not here: call auth\.check from/,
    );
    assert.match(await failureOf(t, early('do_headers'), message), /the message is not here/);
    assert.match(await failureOf(t, early('do_chunk'), message), /the message is not here/);
    assert.match(await failureOf(t, early('do_helo'), message), /no message: only callbacks from/);
  });
});

describe('auth.spf', () => {
  const spf = (args: string) => `
    function smtp.do_mail()
      local result, domain, why = auth.spf(${args})
      return 550, "5.7.1 " .. tostring(result) .. "|" .. tostring(domain) .. "|" .. tostring(why)
    end`;
  const mail = (ip: string, sender: string, text: string) => `${ZONE}
    local s = test.session { ip = "${ip}", helo = "mail.example.com" }
    test.equal(s:mail("${sender}").text, "${text}")`;

  it('is about the session, from MAIL on', async (t) => {
    await passes(t, spf(''), mail('192.0.2.7', 'Jane@EXAMPLE.com', 'pass|example.com|'));
    await passes(
      t,
      spf(''),
      mail('203.0.113.9', 'j@example.com', 'fail|example.com|203.0.113.9 may not send'),
    );
    await passes(t, spf(''), mail('::ffff:192.0.2.7', 'j@example.com', 'pass|example.com|'));
    await passes(t, spf(''), mail('192.0.2.7', '', 'none|mail.example.com|'));
    await passes(t, spf(''), mail('192.0.2.7', 'j@nothing.example', 'none|nothing.example|'));
  });

  it('is about what it is given', async (t) => {
    await passes(
      t,
      spf('"203.0.113.9"'),
      mail('192.0.2.7', 'j@example.com', 'fail|example.com|203.0.113.9 may not send'),
    );
    await passes(t, spf('nil, "<a@example.com>"'), mail('192.0.2.7', 'j@other.example', 'pass|example.com|'));
    await passes(t, spf('nil, "", "example.com"'), mail('192.0.2.7', 'j@other.example', 'pass|example.com|'));
  });

  it('is nil and a reason where the DNS fails', async (t) => {
    const code = mail('192.0.2.7', 'j@slow.example', '').replace(/test\.equal.*/, '');
    await passes(
      t,
      spf(''),
      `${code} test.dns { ["slow.example TXT"] = "timeout" }
       test.match(s:mail("j@slow.example").text, "^nil|timeout .*slow.example.*|nil$")`,
    );
  });

  it('raises for what is no address', async (t) => {
    const failure = await failureOf(t, spf('"nonsense"'), mail('192.0.2.7', 'j@example.com', ''));
    assert.match(failure, /bad argument #1 to 'spf' \(IP address expected/);
    const early = 'function smtp.do_helo() auth.spf() end';
    assert.match(
      await failureOf(t, early, 'test.session { helo = "x" }'),
      /no sender yet: give one, or call it from smtp\.do_mail on/,
    );
  });
});

describe('auth.results', () => {
  it('reads what trusted hosts have left', async (t) => {
    const policy = `
      function smtp.do_headers()
        local seen = {}
        for _, one in ipairs(auth.results("MX.example.org")) do
          seen[#seen + 1] = one.method .. "=" .. one.result .. " " .. one.reason .. " " .. (one.properties["header.d"] or "-")
        end
        return 550, "5.7.1 " .. table.concat(seen, ",") .. " " .. #auth.results() .. " " .. #auth.results("none.example")
      end`;
    await passes(
      t,
      policy,
      session(
        [
          'Authentication-Results: mx.Example.org 1; (c) dkim=FAIL reason="bad; key" header.d=a.example;\r\n\tspf=none',
          'Authentication-Results: other.example; dmarc=pass',
          'Authentication-Results: ;;=broken',
          'Authentication-Results: mx.example.org; none',
          'From: a@b.example',
        ],
        `test.equal(r.text, "dkim=fail bad; key a.example,spf=none  - 3 0")`,
      ),
    );
  });
});
