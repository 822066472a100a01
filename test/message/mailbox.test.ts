import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pathOf } from '../../src/message/mailbox.ts';

for (const [text, path] of [
  ['a@b.example', '<a@b.example>'],
  ['<a@b.example>', '<a@b.example>'],
  ['postmaster', '<postmaster>'],
  ["o'neil+tag=x/y%z!w@b.example", "<o'neil+tag=x/y%z!w@b.example>"],
  ['"a, b"@c.example', '<"a, b"@c.example>'],
  ['"a\\"b\\\\"@c.example', '<"a\\"b\\\\"@c.example>'],
  ['"x@y"@c.example', '<"x@y"@c.example>'],
  ['a@[192.0.2.1]', '<a@[192.0.2.1]>'],
  ['a@[IPv6:2001:db8::1]', '<a@[IPv6:2001:db8::1]>'],
  ['j\xc3\xbcrgen@b\xc3\xbc.example', '<j\xc3\xbcrgen@b\xc3\xbc.example>'],
  ['', '<>'],
  ['<>', '<>'],
] as const) {
  test(`one address: ${text}`, () => assert.deepEqual(pathOf(text), { path }));
}

for (const text of [
  'a@b.example,c@d.example',
  'a@b.example, c@d.example',
  'a@b.example c@d.example',
  'a@b.example>,<c@d.example',
  '<a@b.example>,<c@d.example>',
  '<a@b.example> <c@d.example>',
  'a@b@c.example',
  'list:a@b.example;',
  '@relay.example:a@b.example',
  'a(x,y)@b.example',
  'Name <a@b.example>',
  'a@b.example\r\nRCPT TO:<c@d.example>',
  'a@b.example\n',
  'a\0@b.example',
  'a\tb@c.example',
  'a b@c.example',
  '"a@b.example',
  '"a"b@c.example',
  '"a\r\nb"@c.example',
  '"a\0b"@c.example',
  'a\\,b@c.example',
  '@b.example',
  'a@',
  '<<a@b.example>>',
  '<a@b.example',
  ' ',
  // Sendmail makes several of these.
  ...['a@[1,root,y]', 'a@[@]', 'a@[>,<c@dest.test]', 'a@[(x]', 'a@[<]', 'a@["x]', 'a@[x\\y]', 'a@[]'],
  `${'a'.repeat(10_000)}@b.example`,
]) {
  test(`not one address: ${JSON.stringify(text.slice(0, 60))}`, () => assert.ok('complaint' in pathOf(text)));
}

test('no address that passes has a separator, a bracket or a control outside quotes', () => {
  const soup = fc.array(
    fc.constantFrom(
      'a',
      '@',
      ',',
      '<',
      '>',
      '"',
      '\\',
      ' ',
      '\n',
      '\0',
      ';',
      ':',
      '(',
      ')',
      '[',
      ']',
      '.',
      '\xe9',
    ),
    { maxLength: 16 },
  );
  fc.assert(
    fc.property(soup, (parts) => {
      const result = pathOf(parts.join(''));
      if ('complaint' in result) return;
      const outside = result.path.slice(1, -1).replace(/"(?:[^"\\]|\\.)*"/gs, '');
      assert.match(outside.replace(/\[[^[\]]*\]$/, ''), /^[^\0- ,;:<>()\\"[\]]*$/);
      assert.ok(outside.split('@').length <= 2);
    }),
    { numRuns: 5000 },
  );
});
