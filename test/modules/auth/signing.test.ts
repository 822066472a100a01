/** Signing and sealing as a script sees them, and what is said of signatures that edits break. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { keyRecord } from '../../../src/mail-auth/signing-key.ts';
import { Nsd, withoutNsd } from '../../dns/nsd.ts';
import { startServer } from '../../helpers/milter-server.ts';
import { Mta } from '../../helpers/mta.ts';
import { withDkimpy } from '../../mail-auth/dkimpy.ts';
import { failureOf, passes } from '../../policy-test/run-tests.ts';
import { directory, run } from '../../program/program.ts';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const PEM = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const HEADERS = ['From: Jane <jane@example.com>', 'To: bob@example.net', 'Subject: A day'];
const KEY = '/etc/mail/keys/k.pem';
const signer = (more = '') => `{ domain = "Example.COM", selector = "s1", key = "${KEY}"${more} }`;
const quoted = (text: string) => JSON.stringify(text).replaceAll('\\u', '\\u');

/** A message whose signature by dkimpy passes. */
function signed(): string[] {
  const value = withDkimpy<string>(
    `
made = dkim.sign(input['message'].encode(), b's1', b'example.com', input['key'].encode(),
                 include_headers=[b'from', b'subject', b'subject'])
print(json.dumps(made.decode()))`,
    {
      message: `${HEADERS.join('\r\n')}\r\n\r\nHello\r\n`,
      key: privateKey.export({ type: 'pkcs1', format: 'pem' }),
    },
  );
  return [value.replace(/\r\n$/, ''), ...HEADERS];
}

const session = (checks: string, headers: readonly string[] = HEADERS, options = '') => `
  test.dns { ["s1._domainkey.example.com TXT"] = ${quoted(keyRecord(privateKey))} }
  local s = test.session { ip = "192.0.2.7", helo = "mail.example.com", macros = { j = "mx.example.net" }${options} }
  s:mail "jane@example.com"
  s:rcpt "bob@example.net"
  local r = s:message { headers = { ${headers.map(quoted).join(', ')} }, body = "Hello\\r\\n" }
  ${checks}`;
const dot = (code: string) => `function smtp.do_dot()\n${code}\nend`;

describe('auth.sign', () => {
  it('signs what the script has made of the message, whenever it was called', async (t) => {
    await passes(
      t,
      dot(`assert(auth.sign ${signer(', expire = 3600, headers = { "Subject", "X-New" }')} == true)
        header.add("X-New", "v")`),
      session(
        `test.accepted(r)
        local value = s:delivered().headers[1]
        test.match(value, "^DKIM%-Signature: v=1; a=ed25519%-sha256; c=relaxed/relaxed;")
        test.match(value, "d=example.com; s=s1;")
        test.match(value, "h=From:From:Subject:Subject:X%-New;")
        local from, to = value:match "t=(%d+); x=(%d+);"
        test.equal(to - from, 3600)
        test.equal(r.edits[2].kind, "insert_header")
        test.equal(r.edits[2].index, 0)`.replaceAll('test.match(value, "d=', 'test.match(value, "d='),
      ),
    );
  });

  it('signs nothing that is refused', async (t) => {
    await passes(
      t,
      dot(`auth.sign ${signer()} return 550, "5.7.1 no"`),
      session(`test.reply(r, 550) test.equal(r.edits, {})`),
    );
  });

  it('says why it cannot', async (t) => {
    await passes(
      t,
      dot(`local ok, err = auth.sign ${signer()} return 550, "5.7.1 " .. tostring(ok) .. " " .. err`),
      `test.signing_key("${KEY}", test.fails "unavailable")
       ${session(`test.match(r.text, "^nil unavailable")`)}`,
    );
    await passes(
      t,
      dot(`for i = 1, 10 do assert(auth.sign ${signer()}) end
        local ok, err = auth.sign ${signer()} return 550, "5.7.1 " .. tostring(ok) .. " " .. err`),
      session(`test.match(r.text, "^nil limit more than 10 signatures")`),
    );
    await passes(
      t,
      dot(`auth.sign ${signer()}`),
      session(
        `test.accepted(r)
         test.equal(r.notes, { "not signed for d=example.com: it has no From" })
         test.equal(s:delivered().headers, { "Subject: x" })`,
        ['Subject: x'],
      ),
    );
  });

  it('takes no wrong arguments, and shows no key', async (t) => {
    const wrong: Readonly<Record<string, string>> = {
      'selector = "s", key = "/k"': 'option domain: must be given',
      'domain = "a b", selector = "s", key = "/k"': 'option domain: a domain such as example.com expected',
      'domain = "a.b", selector = ";", key = "/k"':
        'option selector: labels of letters, digits, - and _ expected',
      'domain = "a.b", selector = "s", key = "SECRET"':
        'option key: an absolute path, or a key in PEM form, expected',
      'domain = "a.b", selector = "s", key = "/k", c = "simple"':
        'option c: relaxed/relaxed, simple/relaxed, relaxed/simple or simple/simple expected',
      'domain = "a.b", selector = "s", key = "/k", expire = 0.5':
        'option expire: whole seconds expected, from 1 to 315360000',
      'domain = "a.b", selector = "s", key = "/k", headers = { "Received" }':
        'option headers: Received is changed on the way: no signature may cover it',
      'domain = "a.b", selector = "s", key = "/k", headers = { 1 }':
        'option headers: an array of strings expected',
      'domain = "a.b", selector = "s", key = "/k", header = "x"':
        'options are domain, selector, key, headers, c, expire',
    };
    for (const [options, message] of Object.entries(wrong)) {
      const failure = await failureOf(t, dot(`auth.sign { ${options} }`), session(''));
      assert.ok(failure.includes(`bad argument #1 to 'sign' (${message})`), failure);
      assert.ok(!failure.includes('SECRET'), failure);
    }
  });

  it('signs bodies in their simple form, as they came and as they were edited', async (t) => {
    const sign = (c: string) => `assert(auth.sign ${signer(`, c = ${c}`)})`;
    const verifies = (body: string) => `
      local message = table.concat(s:delivered().headers, "\\r\\n") .. "\\r\\n\\r\\n" .. ${quoted(body)}
      error("RESULT " .. message:gsub(".", function(c) return ("%02x"):format(c:byte()) end) .. ";")`;
    for (const [c, edit, body] of [
      ['"relaxed/simple"', '', 'Hello\r\n'],
      ['"simple/simple"', '', 'Hello\r\n'],
      ['"simple/simple"', 'body.replace("New  text \\r\\n")', 'New  text \r\n'],
    ] as const) {
      const failure = await failureOf(
        t,
        dot(`${sign(c)} ${edit}`),
        `test.signing_key("${KEY}", ${JSON.stringify(PEM)}) ${session(verifies(body))}`,
      );
      const [, text = ''] = /RESULT ([0-9a-f]+);/.exec(failure.replace(/\s+/g, ' ')) ?? [];
      const taken = withDkimpy<boolean>(
        `print(json.dumps(dkim.verify(bytes.fromhex(input['text']), dnsfunc=lambda name, timeout=5: input['key'].encode())))`,
        { text, key: keyRecord(privateKey) },
      );
      assert.ok(taken, `${c} ${edit} ${Buffer.from(text, 'hex').toString('latin1')} ${failure}`);
    }
    const failure = await failureOf(t, dot(sign('"relaxed/" .. ("simple")')), session(''));
    assert.match(failure, /write c = "relaxed\/simple" or "simple\/simple" out in the script/);
  });

  it('takes the key that the test gave', async (t) => {
    await passes(
      t,
      dot(`auth.sign ${signer()} header.set("Subject", "Another")`),
      `test.signing_key("${KEY}", ${JSON.stringify(PEM)})
       ${session(`local headers = s:delivered().headers
         test.match(headers[1], "a=rsa%-sha256")`)}`,
    );
  });
});

describe('auth.seal', () => {
  it('puts the three fields on top, above signatures', async (t) => {
    await passes(
      t,
      dot(`auth.check { partial = true }
        assert(auth.seal ${signer(', authserv = "own.example"')} == true)
        assert(auth.sign ${signer()})`),
      session(`local names = {}
        for i = 1, 4 do names[i] = s:delivered().headers[i]:match "^[^:]+" end
        test.equal(names, { "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results", "DKIM-Signature" })
        test.match(s:delivered().headers[3], "i=1; own.example;")
        test.match(s:delivered().headers[1], "cv=none")`),
    );
  });

  it('needs auth.check', async (t) => {
    const failure = await failureOf(t, dot(`auth.seal ${signer()}`), session(''));
    assert.ok(failure.includes('auth.check has not said yet what came'), failure);
  });
});

describe('edits that break signatures', () => {
  const edits = 'auth.check { partial = true } header.set("subject", "[X] A day") header.add("X-New", "v")';

  it('are told of in tests', async (t) => {
    const headers = signed();
    const notes = (list: string) => session(`test.equal(r.notes, { ${list} })`, headers);
    await passes(t, dot(edits), notes('"breaks d=example.com: h= covers Subject"'));
    await passes(
      t,
      dot(`${edits} body.replace "x"`),
      notes('"breaks d=example.com: h= covers Subject; bh= covers the body"'),
    );
    await passes(t, dot('auth.check { partial = true } header.set("To", "c@example.net")'), notes(''));
    await passes(t, dot('header.set("subject", "x")'), notes(''));
    await passes(t, dot(`${edits} return 550, "5.7.1 no"`), notes(''));
  });

  it('are shown by try, with the key by its path', async (t) => {
    const place = directory(t);
    const [policy, message, zone, key] = ['p.lua', 'm.eml', 'zone', 'k.pem'].map((name) => join(place, name));
    writeFileSync(key ?? '', PEM, { mode: 0o600 });
    writeFileSync(
      policy ?? '',
      dot(`${edits}\nauth.sign { domain = "example.com", selector = "s1", key = "${key}" }`),
    );
    writeFileSync(message ?? '', `${signed().join('\r\n')}\r\n\r\nHello\r\n`);
    const strings = keyRecord(privateKey).match(/.{1,200}/g) ?? [];
    writeFileSync(
      zone ?? '',
      `s1._domainkey.example.com TXT ${strings.map((text) => `"${text}"`).join(' ')}\n`,
    );
    const args = ['try', policy ?? '', message ?? '', '--dns', zone ?? ''];
    const { stdout } = await run(args);
    assert.match(stdout, /^ {2}breaks d=example\.com: h= covers Subject$/m);
    assert.match(stdout, new RegExp(`^ +key ${key}: rsa-sha256`, 'm'));
    const { notes } = JSON.parse((await run([...args, '--json'])).stdout) as { notes: string[] };
    assert.deepEqual(notes, ['breaks d=example.com: h= covers Subject']);
    for (const line of PEM.split('\n').slice(1, -2)) assert.ok(!stdout.includes(line));
  });

  it('are logged once for each message', { skip: withoutNsd }, async (t) => {
    const strings = keyRecord(privateKey).match(/.{1,200}/g) ?? [];
    const nsd = await Nsd.start({
      'example.com': `s1._domainkey 60 IN TXT ${strings.map((text) => `"${text}"`).join(' ')}\n`,
    });
    t.after(() => nsd.stop());
    const key = join(directory(t), 'k.pem');
    writeFileSync(key, PEM, { mode: 0o600 });
    const server = await startServer(
      { source: dot(`${edits}\nauth.sign { domain = "example.com", selector = "s1", key = "${key}" }`) },
      { 'dns-server': nsd.server },
    );
    t.after(() => server.close());
    const mta = await Mta.open(server);
    await mta.connect('192.0.2.7', 'mx.example');
    for (const headers of [signed(), ['Subject: x']]) {
      await mta.mail('<a@b.example>');
      await mta.rcpt('<c@d.example>');
      await mta.data();
      const fields = headers.map((line): [string, string] => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon), line.slice(colon + 1).replaceAll('\r\n', '\n')];
      });
      await mta.content(fields, 'Hello\r\n');
    }
    await mta.quit();
    await server.whenIdle();
    const said = server.log.lines.filter((line) => /breaks|not signed/.test(line));
    assert.equal(said.length, 2, server.log.lines.join('\n'));
    assert.match(said[0] ?? '', /: breaks d=example\.com: h= covers Subject$/);
    assert.match(said[1] ?? '', /: not signed for d=example\.com: it has no From$/);
    assert.ok(!server.log.lines.join('\n').includes(PEM.split('\n')[1] ?? ''));
  });
});
