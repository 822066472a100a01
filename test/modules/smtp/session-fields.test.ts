/** What a script is told of client, MTA and transaction. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startServer, type TestServer } from '../../helpers/milter-server.ts';
import { Mta } from '../../helpers/mta.ts';

async function start(
  t: TestContext,
  source: string,
  options: Record<string, string> = {},
): Promise<TestServer> {
  const server = await startServer({ source }, options);
  t.after(() => server.close());
  return server;
}

test('smtp.sess tells of connection, TLS and login', async (t) => {
  const server = await start(
    t,
    `function smtp.do_connect()
       local s = smtp.sess
       return 550, table.concat({ s.family, tostring(s.port), s.daemon, s.host, s.local_ip, tostring(s.tls) }, " ")
     end
     function smtp.do_mail()
       local tls, auth = smtp.sess.tls, smtp.sess.auth
       if not tls then return 550, tostring(auth) end
       return 550, table.concat({ tls.version, tls.cipher, tls.bits, tls.subject, tls.issuer, tostring(tls.verified),
         auth.user, auth.mech }, " ")
     end`,
  );
  const plain = await Mta.open(server);
  plain.macro('C', 'j', 'mx.example', '{daemon_name}', 'MTA', '{daemon_addr}', '192.0.2.1');
  assert.equal((await plain.connect('192.0.2.7')).text, '550 5.0.0 inet 4242 MTA mx.example 192.0.2.1 nil');
  await plain.quit();

  const secret = await Mta.open(server);
  secret.macro(
    'H',
    '{tls_version}',
    'TLSv1.3',
    '{cipher}',
    'AES',
    '{cipher_bits}',
    '256',
    '{cert_subject}',
    'cs',
    '{cert_issuer}',
    'ci',
    '{verify}',
    'OK',
  );
  await secret.helo('x');
  secret.macro('M', '{auth_type}', 'PLAIN', '{auth_authen}', 'alice');
  assert.equal((await secret.mail('<a@b>')).text, '550 5.0.0 TLSv1.3 AES 256 cs ci true alice PLAIN');
  secret.macro('H');
  await secret.helo('x');
  secret.macro('M');
  assert.equal((await secret.mail('<a@b>')).text, '550 5.0.0 nil');
  await secret.quit();
});

test('smtp.tran tells of parameters, size and recipients with their verdicts', async (t) => {
  const server = await start(
    t,
    `function smtp.do_mail()
       smtp.tran.note.x, smtp.note.n = 1, (smtp.note.n or 0) + 1
       syslog.info("declared " .. tostring(smtp.tran.size) .. " " .. smtp.tran.params.BODY)
     end
     function smtp.do_rcpt(r)
       if r == "bad@x" then return 550, "5.1.1 unknown" end
     end
     function smtp.do_dot()
       local t = {}
       for i, r in ipairs(smtp.tran.rcpts) do
         t[i] = r.addr .. "=" .. r.code .. (r.text or "") .. "/" .. (r.params.NOTIFY or "-")
       end
       return 550, table.concat(t, " ") .. " " .. smtp.tran.size .. " " .. smtp.tran.note.x .. smtp.note.n
     end
     function smtp.rset() syslog.info("rset " .. #smtp.tran.rcpts) end
     function smtp.close() syslog.info("close " .. tostring(smtp.tran.rcpts) .. tostring(smtp.tran.note) .. smtp.note.n) end`,
  );
  const mta = await Mta.open(server);
  await mta.mail('<a@b>', 'SIZE=3000000000', 'BODY=7BIT');
  await mta.rcpt('<good@x>', 'NOTIFY=NEVER');
  await mta.rcpt('<bad@x>');
  const { text } = await mta.content([['A', ' b']], '1234\r\n');
  assert.equal(text, '550 5.0.0 good@x=250/NEVER bad@x=5505.1.1 unknown/- 14 11');
  await mta.quit();
  await server.log.until(/close nilnil1/);
  assert.ok(server.log.lines.some((line) => /rset 2$/.test(line)));
  assert.ok(
    server.log.lines.some((line) => /declared 3000000000\.0 7BIT|declared 3e\+09 7BIT/.test(line)),
    server.log.lines.join('\n'),
  );
});

test('smtp.macro gives what the MTA has sent, as long as it lives', async (t) => {
  const server = await start(
    t,
    `function smtp.do_mail() return 550, tostring(smtp.macro("i")) .. tostring(smtp.macro("{auth_type}")) .. tostring(smtp.macro "j") end
     function smtp.do_helo() syslog.info("helo " .. tostring(smtp.macro "i") .. tostring(smtp.macro "{j}")) end`,
  );
  const mta = await Mta.open(server);
  mta.macro('C', 'j', 'mx');
  await mta.connect('192.0.2.7');
  mta.macro('M', 'i', 'Q1', '{auth_type}', 'PLAIN');
  assert.equal((await mta.mail('<a>')).text, '550 5.0.0 Q1PLAINmx');
  await mta.helo('x');
  assert.equal((await mta.mail('<a>')).text, '550 5.0.0 nilnilmx');
  await mta.quit();
  await server.log.until(/helo nilmx/);
});

test('macros that the script names and no MTA sends unasked are asked for, with the defaults of their stage', async (t) => {
  const source = 'function smtp.do_connect() return 550, smtp.macro "{client_port}" end';
  const asking = await start(t, source);
  const mta = await Mta.open(asking);
  assert.equal(mta.actions & 0x100, 0x100);
  await mta.quit();
  const without = await start(t, source, { macros: 'none' });
  const silent = await Mta.open(without);
  assert.equal(silent.actions & 0x100, 0);
  await silent.quit();
  const plain = await start(t, 'function smtp.do_connect() return 550, smtp.macro "j" end');
  const defaults = await Mta.open(plain);
  assert.equal(defaults.actions & 0x100, 0);
  await defaults.quit();
});

test('smtp.do_unknown answers commands the MTA does not know', async (t) => {
  const server = await start(
    t,
    'function smtp.do_unknown(line) if line ~= "NOPE" then return 502, "5.5.1 not " .. line end end',
  );
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  assert.equal((await mta.unknown('FOO bar')).text, '502 5.5.1 not FOO bar');
  assert.equal((await mta.unknown('NOPE')).letter, 'c');
  await mta.quit();
});
