/** SMTP commands as a client says them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linesOf, parseSmtpCommand, readMessage } from '../../src/workbench/smtp-script.ts';

for (const [line, expected] of [
  ['EHLO a.example', { kind: 'helo', name: 'a.example' }],
  ['helo  a b ', { kind: 'helo', name: 'a b' }],
  ['EHLO', { kind: 'helo', name: '' }],
  ['MAIL FROM:<a@b>', { kind: 'mail', address: '<a@b>', params: [] }],
  [
    'mail from: <a@b>  SIZE=1 body=8BITMIME',
    { kind: 'mail', address: '<a@b>', params: ['SIZE=1', 'body=8BITMIME'] },
  ],
  ['MAIL FROM:<>', { kind: 'mail', address: '<>', params: [] }],
  ['MAIL a@b', { kind: 'mail', address: 'a@b', params: [] }],
  ['RCPT TO:<"a > b"@c> NOTIFY=NEVER', { kind: 'rcpt', address: '<"a > b"@c>', params: ['NOTIFY=NEVER'] }],
  ['RCPT TO:<@x,@y:a@b>', { kind: 'rcpt', address: '<@x,@y:a@b>', params: [] }],
  ['MAIL', { kind: 'malformed', command: 'MAIL' }],
  ['RCPT TO:<a@b', { kind: 'malformed', command: 'RCPT' }],
  ['DATA', { kind: 'data', file: undefined }],
  ['data some file.eml', { kind: 'data', file: 'some file.eml' }],
  ['STARTTLS', { kind: 'startTls', version: 'TLSv1.3' }],
  ['STARTTLS TLSv1.2', { kind: 'startTls', version: 'TLSv1.2' }],
  ['AUTH joe', { kind: 'login', user: 'joe', mech: 'PLAIN' }],
  ['AUTH joe CRAM-MD5', { kind: 'login', user: 'joe', mech: 'CRAM-MD5' }],
  ['RSET', { kind: 'rset' }],
  ['noop x', { kind: 'noop' }],
  ['QUIT', { kind: 'quit' }],
  ['VRFY a', { kind: 'vrfy', address: 'a' }],
  ['FOO bar', { kind: 'unknown' }],
  [' EHLO a', { kind: 'unknown' }],
] as const) {
  test(JSON.stringify(line), () => assert.deepEqual(parseSmtpCommand(line), { ...expected, line }));
}

test('a message ends at a dot, and has its dots unstuffed', async () => {
  const lines = linesOf('A: b\r\n\r\n..x\r\n...\r\n.\r\nQUIT\r\n');
  assert.equal((await readMessage(lines)).toString(), 'A: b\r\n\r\n.x\r\n..\r\n');
  assert.equal(await lines.next(), 'QUIT');
  assert.equal(await lines.next(), undefined);
});

test('a message that was written down in vain is left out', async () => {
  const lines = linesOf('A: b\n\nx\n.\nQUIT\n');
  lines.skipMessage();
  assert.equal(await lines.next(), 'QUIT');
  lines.skipMessage();
  assert.equal(await lines.next(), undefined);
});
