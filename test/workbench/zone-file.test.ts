/** Files of DNS records. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseZoneFile } from '../../src/workbench/zone-file.ts';

const FILE = `# a comment
example.com   MX  20 mx2.example.com.
Example.COM mx 10 mx.example.com
; another

192.0.2.25 PTR mx.example.com
example.com TXT "v=spf1 " "mx -all"
example.com TXT plain text; with a semicolon
t.example TXT "timeout"
a.example A 192.0.2.1
a.example A 192.0.2.2
a.example AAAA 2001:db8::1
slow.example A timeout
broken.example MX servfail
`;

test('records, by name and type', async () => {
  const zone = parseZoneFile(FILE, 'zone');
  const known = (value: unknown) => ({ kind: 'known', value });
  assert.deepEqual(
    await zone.query('MX', 'example.com'),
    known([
      { host: 'mx.example.com', pref: 10 },
      { host: 'mx2.example.com', pref: 20 },
    ]),
  );
  assert.deepEqual(await zone.query('PTR', '25.2.0.192.in-addr.arpa'), known(['mx.example.com']));
  assert.deepEqual(
    await zone.query('TXT', 'example.com'),
    known(['v=spf1 mx -all', 'plain text; with a semicolon']),
  );
  assert.deepEqual(await zone.query('TXT', 't.example'), known(['timeout']));
  assert.deepEqual(await zone.query('A', 'a.example'), known(['192.0.2.1', '192.0.2.2']));
  assert.deepEqual(await zone.query('AAAA', 'a.example'), known(['2001:db8::1']));
  assert.deepEqual(await zone.query('NS', 'a.example'), known([]));
  assert.deepEqual(await zone.query('A', 'other.example'), known([]));
});

test('failures', async () => {
  const zone = parseZoneFile(FILE, 'zone');
  const slow = await zone.query('A', 'slow.example');
  assert.ok(slow.kind === 'unknown');
  assert.match(slow.reason, /^timeout .*slow\.example/);
  const broken = await zone.query('MX', 'broken.example');
  assert.ok(broken.kind === 'unknown');
  assert.match(broken.reason, /^servfail /);
});

for (const [text, message] of [
  ['a.example', 'zone:1: "a.example": a name, a type and a value expected'],
  ['\na.example A', 'zone:2: "a.example A": a name, a type and a value expected'],
  ['a.example SRV 1', /^zone:1: "a\.example SRV" is no question/],
  ['a.example A 2001:db8::1', /^zone:1: .*an IPv4 address expected/],
  ['a.example MX x y z', /^zone:1: .*a preference and a host expected/],
  ['a.example A timeout\na.example A 192.0.2.1', 'zone:2: this question has the answer timeout'],
  ['a.example A 192.0.2.1\na.example A timeout', 'zone:2: timeout: this question has an answer already'],
  ['a..example A 192.0.2.1', /^zone:1: "a\.\.example" is no name/],
] as const) {
  test(`refused: ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseZoneFile(text, 'zone'), { name: 'ZoneError', message });
  });
}
