/** What all policies in examples/ have in common, and the tour of the API over a milter connection. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { startServer } from '../helpers/milter-server.ts';
import { Mta } from '../helpers/mta.ts';
import { run } from './program.ts';

const EXAMPLES = new URL('../../examples/', import.meta.url).pathname;
const read = (name: string) => readFileSync(EXAMPLES + name, 'latin1');

const CALLBACKS: Readonly<Record<string, string>> = {
  'access.lua': 'do_connect do_mail',
  'attachments.lua': 'do_dot',
  'closed-list.lua': 'do_connect do_mail do_rcpt',
  'dmarc.lua': 'do_dot',
  'greylist.lua': 'do_mail do_rcpt',
  'helo.lua': 'do_connect do_helo',
  'notify.lua': 'do_mail',
  'senders.lua': 'do_mail do_rcpt',
  'sign.lua': 'do_dot',
  'smtpf.lua': 'do_connect do_helo do_mail do_rcpt do_data do_headers do_chunk do_dot rset close',
};

test('check passes every example, without a warning', async () => {
  assert.deepEqual(
    readdirSync(EXAMPLES).filter((name) => /(?<!_test)\.lua$/.test(name)),
    Object.keys(CALLBACKS),
  );
  for (const [name, callbacks] of Object.entries(CALLBACKS)) {
    const { code, stdout, stderr } = await run(['check', EXAMPLES + name]);
    assert.equal(stdout, `${EXAMPLES}${name}: callbacks: ${callbacks}\n`);
    assert.equal(stderr, '');
    assert.equal(code, 0);
  }
});

test('the examples have no lines in common: what several policies need is in a module', () => {
  const seen = new Map<string, string>();
  for (const name of Object.keys(CALLBACKS)) {
    const code = read(name).split('\n');
    // Three lines of code in a row.
    for (let i = 0; i + 3 <= code.length; i++) {
      const lines = code.slice(i, i + 3);
      if (lines.some((line) => line.trim().length < 12 || line.trim().startsWith('--'))) continue;
      const text = lines.join('\n');
      const other = seen.get(text) ?? name;
      assert.equal(other, name, text);
      seen.set(text, name);
    }
  }
});

test('the tour logs every callback with its arguments and accepts everything', async (t) => {
  const server = await startServer({ path: `${EXAMPLES}smtpf.lua` });
  t.after(() => server.close());
  const mta = await Mta.open(server);
  const replies = [
    await mta.connect('2001:db8::7', 'mx.example.net'),
    await mta.helo('mx.example.net'),
    await mta.mail('<>', 'SIZE=1000', 'BODY=8BITMIME'),
    await mta.rcpt('<100%@example.com>', 'NOTIFY=NEVER'),
    await mta.data(),
    await mta.content([['Subject', ' caf\xe9\n\tau "lait"']], 'one\r\n', Buffer.from([0, 0xff])),
  ];
  assert.deepEqual(
    replies.map(({ letter }) => letter),
    replies.map(() => 'c'),
  );
  await mta.quit();
  await server.log.until(/ close helo=/);
  const lines = server.log.records.filter(({ ident }) => ident === 'smtpf');
  assert.deepEqual(
    lines.map(({ text }) => text.replace(/dot \/\S+/, 'dot FILE')),
    [
      's1 connect ip="2001:db8::7" ptr="mx.example.net"',
      's1 helo "mx.example.net"',
      's1 mail "" {"SIZE=1000", "BODY=8BITMIME"} tran=s1.1',
      's1 rcpt "100%@example.com" {"NOTIFY=NEVER"} sender=""',
      's1 data helo="mx.example.net" sender=""',
      's1 headers 1',
      's1 header 1 "Subject: caf\xe9\\13\\n\\9au \\"lait\\""',
      's1 chunk of 5 bytes',
      's1 chunk of 2 bytes',
      's1 dot FILE of 36 bytes',
      's1 rset tran=s1.1 sender=""',
      's1 close helo="mx.example.net"',
    ],
  );
  assert.ok(lines.every(({ facility, severity, pid }) => facility === 2 && severity === 6 && pid));
});
