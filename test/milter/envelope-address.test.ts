import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pathOf } from '../../src/message/mailbox.ts';
import { innerPath, mailboxOf, mayMean, understoodMailbox } from '../../src/milter/envelope-address.ts';

test('one mailbox, however it is written', () => {
  for (const written of [
    ...['<all-staff@example.com>', 'all-staff@example.com', '<all-staff@EXAMPLE.com>'],
    ...['< all-staff@example.com>', '<all-staff@example.com >', '<\tall-staff @ example . com>'],
    ...['<"all-staff"@example.com>', '<"all"-"staff"@example.com>', '<all\\-staff@example.com>'],
    ...['<"all\\-staff"@example.com>', '<""all-staff@example.com>', '<\\all-staff@example.com>'],
    ...['<all-staff@example.com.>', '<all-staff@example.com..>', '<all-staff@example.com@>'],
    ...['<all-staff(x)@example.com>', '<(x)all-staff@example.com>', '<all-staff@(x)example.com>'],
    ...['<all-staff@example(x).com>', '<all-staff((x)y)@example.com>', '<all-staff(\\))@example.com>'],
    ...['<(a"b)all-staff@example.com>', '<all-staff@example.com (x)>', '<all-staff@example.com(x>'],
    ...['<<all-staff@example.com>>', '<<<all-staff@example.com>>>', '<Foo <all-staff@example.com>>'],
    ...['<"Foo <" <all-staff@example.com>>', '<b@x.test><all-staff@example.com>'],
    ...['<<all-staff@example.com> b@x.test>', 'all-staff@example.com>', '< all-staff@example.com>x'],
    ...['<;all-staff@example.com>', '<all-staff@example.com;>', '<list:all-staff@example.com;>'],
    ...['<,all-staff@example.com>', '<all-staff@example.com,>', '<list : all-staff@example.com ;>'],
    ...['<@r1.test:all-staff@example.com>', '<@r1.test,@r2.test:all-staff@example.com>'],
    ...['<@r1.test, @r2.test : all-staff@example.com>', '<@:all-staff@example.com>'],
    ...['<@r1.test:@r2.test:all-staff@example.com>', '<all-staff@"example.com">'],
    ...['<all-staff@exam\\ple.com>', '<all-staff@example\\.com>', '<list:;all-staff@example.com>'],
    ...['<all-staff@example.com\\ >', '<all-staff@example.com(>', '<all-staff@example.com\r>'],
  ]) {
    assert.equal(mailboxOf(written), 'all-staff@example.com', written);
  }
});

test('what is another mailbox stays one', () => {
  for (const [written, mailbox] of [
    ['<All-Staff@Example.COM>', 'All-Staff@example.com'],
    ['<all.staff@example.com>', 'all.staff@example.com'],
    ['<all..staff@example.com>', '"all..staff"@example.com'],
    ['<all-staff.@example.com>', '"all-staff."@example.com'],
    ['<"all-staff "@example.com>', '"all-staff "@example.com'],
    ['<"all staff"@example.com>', '"all staff"@example.com'],
    ['<"all\rstaff"@example.com>', '"all staff"@example.com'],
    ['<"a@b"@example.com>', '"a@b"@example.com'],
    ['<"a\\"b\\\\c"@example.com>', '"a\\"b\\\\c"@example.com'],
    ['<"(x)"@example.com>', '"(x)"@example.com'],
    ['<"<x>"@example.com>', '"<x>"@example.com'],
    ['<:all-staff@example.com>', '":all-staff"@example.com'],
    ['<smtp:all-staff@example.com>', '"smtp:all-staff"@example.com'],
    ['<all-staff+x@example.com>', 'all-staff+x@example.com'],
    ['<all-staff%40example.com>', 'all-staff%40example.com'],
    ['<all-staff%example.com@mta.test>', 'all-staff%example.com@mta.test'],
    ['<example.com!all-staff@mta.test>', 'example.com!all-staff@mta.test'],
    ['<all-staff@example.com@mta.test>', '"all-staff@example.com"@mta.test'],
    ["<'all-staff'@example.com>", "'all-staff'@example.com"],
    ['<all-staff@[192.0.2.1]>', 'all-staff@[192.0.2.1]'],
    ['<all-staff@[IPV6:2001:DB8::1]>', 'all-staff@[IPv6:2001:db8::1]'],
    ['<[x]@example.com>', '"[x]"@example.com'],
    ['<""@example.com>', '""@example.com'],
    ['<@example.com>', '""@example.com'],
    ['<postmaster>', 'postmaster'],
    ['<two words>', 'two.words'],
    ['', ''],
    ['<>', ''],
    ['<"">', ''],
    ['< >', ''],
  ] as const) {
    assert.equal(mailboxOf(written), mailbox, written);
  }
});

test('bytes stay bytes, but letters of a domain in UTF-8 have a lower case too', () => {
  const bytes = (text: string) => Buffer.from(text).toString('latin1');
  assert.equal(mailboxOf(bytes('<JÜRGEN@BÜCHER.example>')), bytes('JÜRGEN@bücher.example'));
  assert.equal(mailboxOf(bytes('<"jürgen"@Bücher.Example.>')), bytes('jürgen@bücher.example'));
  assert.equal(mailboxOf('<J\xdcRGEN@B\xdcCHER.Example>'), 'J\xdcRGEN@b\xdccher.example');
});

function understood(written: string, macro?: string): string {
  const values: Record<string, string | undefined> = { j: 'mta.test', '{rcpt_addr}': macro };
  return understoodMailbox(written, { get: (name) => values[name] }, '{rcpt_addr}');
}

test('the MTA says which of the readings of an address counts', () => {
  for (const [written, macro, address] of [
    // As Postfix says it: in lower case, and always with a domain.
    ['<All-Staff%Example.com@mta.test>', 'all-staff@example.com', 'All-Staff@example.com'],
    ['<"all-staff%example.com"@mta.test>', 'all-staff@example.com', 'all-staff@example.com'],
    ['<all-staff@EXAMPLE.COM.@mta.test>', 'all-staff@example.com', 'all-staff@example.com'],
    ['<example.com!All-Staff>', 'all-staff@example.com', 'All-Staff@example.com'],
    ['<mta.test!example.com!all-staff>', 'all-staff@example.com', 'all-staff@example.com'],
    ['<mta.test!all-staff%example.com@mta.test>', 'all-staff@example.com', 'all-staff@example.com'],
    ['<"example.com! all-staff">', 'all-staff@example.com', 'all-staff@example.com'],
    ['<"(x)all-staff%example.com"@mta.test>', 'all-staff', 'all-staff@example.com'],
    ['<"all-staff%example.com;"@mta.test>', 'all-staff', 'all-staff@example.com'],
    ['<"(x)all-staff"@example.com>', '"(x)all-staff"@example.com', '"(x)all-staff"@example.com'],
    ['<\vall-staff\f@example.com>', 'all-staff', 'all-staff@example.com'],
    [
      `<${'mta.test!'.repeat(6)}all-staff%example.com${'%mta.test'.repeat(6)}>`,
      'all-staff@example.com',
      'all-staff@example.com',
    ],
    ['<Postmaster>', 'postmaster@mta.test', 'Postmaster@mta.test'],
    ['<@example.com:all-staff>', 'all-staff@mta.test', 'all-staff@mta.test'],
    ['<All-Staff@example>', 'all-staff@example.example.net', 'All-Staff@example.example.net'],
    ['<@example.com>', 'mailer-daemon@example.com', 'mailer-daemon@example.com'],
    ['<"x::all-staff">', '"x::all-staff"@mta.test', '"x::all-staff"@mta.test'],
    // As Sendmail says it: with quotes and backslashes, local users without a domain.
    ['<All-Staff@Example.com>', 'All-Staff', 'All-Staff@example.com'],
    ['<all\\-staff@example.com>', 'all\\-staff', 'all-staff@example.com'],
    ['<"all"-staff@example.com>', '"all"-staff', 'all-staff@example.com'],
    ['<all-staff%example.com@mta.test>', 'all-staff', 'all-staff@example.com'],
    ['<example.com!all-staff@mta.test>', 'all-staff', 'all-staff@example.com'],
    ['<r1.test!example.com!all-staff>', 'example.com!all-staff@r1.test', 'example.com!all-staff@r1.test'],
    ['<list:all-staff@example.com;>', 'list:all-staff', '"list:all-staff"@example.com'],
    ['<;all-staff@example.com>', ';all-staff', '";all-staff"@example.com'],
    ['<postmaster>', 'postmaster', 'postmaster@mta.test'],
    ['<all-staff\\@example.com>', 'all-staff\\@example.com', '"all-staff@example.com"@mta.test'],
    ['<all-(x)staff@example.com>', 'all-.staff', 'all-.staff@example.com'],
  ] as const) {
    assert.equal(understood(written, macro), address, `${written}, ${macro}`);
  }
});

test('where the MTA says nothing, the text alone counts', () => {
  assert.equal(understood('<"all-staff"%Example.com@MTA.test.>'), 'all-staff%Example.com@mta.test');
  assert.equal(understood('<a%b@c>', ''), 'a%b@c');
  assert.equal(understood('<postmaster>'), 'postmaster');
});

test('aliases and virtual users of the MTA’s tables do not take the place of what the client named', () => {
  for (const macro of ['joe', 'joe@other.example', 'info@other.example', 'User unknown']) {
    assert.equal(understood('<info@example.com>', macro), 'info@example.com');
    assert.equal(understood('<"info"@example.com>', macro), 'info@example.com');
    assert.equal(understood('<Info+x@example.com>', macro), 'Info+x@example.com');
  }
  assert.equal(understood('<joe.doe (x)@example.com>', 'doe'), 'joe.doe@example.com');
});

test('what Postfix takes for the address within a path', () => {
  for (const [written, inner] of [
    ['<a@b.example>', 'a@b.example'],
    ['<< "a" @B.example.>>', '"a" @B.example.'],
    ['<list: a@b.example ;>', 'a@b.example'],
    ['<@r1.example,@r2.example: a(x)@b.example>', 'a(x)@b.example'],
    ['<@r1.example:@r2.example:a@b.example>', '@r2.example:a@b.example'],
    ['<"a b"@c.example>', '"a b"@c.example'],
    ['<a@[192.0.2.1]>', 'a@[192.0.2.1]'],
    ['<>', ''],
  ] as const) {
    assert.equal(innerPath(written), inner, written);
  }
  assert.equal(mayMean('<a%b.example@c.example>', 'a@b.example'), true);
  assert.equal(mayMean('<a>', 'a@b.example'), true);
  assert.equal(mayMean('<a@b.example>', 'A@b.example'), false);
});

const SOUP = fc
  .array(fc.constantFrom(...'ab@.,<>"\\ ;:()[]%!\n\t\0\x7f\xe9'.replace('\0', '')), { maxLength: 24 })
  .map((chars) => chars.join(''));

test('every address that a client can write has a form that our own functions take, and that stays as it is', () => {
  fc.assert(
    fc.property(SOUP, SOUP, (written, macro) => {
      for (const mailbox of [mailboxOf(written), understood(written, macro)]) {
        assert.ok('path' in pathOf(mailbox), JSON.stringify([written, macro, mailbox]));
        assert.equal(mailboxOf(mailbox), mailbox);
        assert.equal(mailboxOf(`<${mailbox}>`), mailbox);
      }
      innerPath(written);
    }),
    { numRuns: 5000 },
  );
});

test('a path of any length is read in time that grows with it', () => {
  const began = process.cpuUsage();
  for (const part of ['!a', '%a', '@a', '(', '"a"', '\\a', '[', '<', ';', 'a.', ' a']) {
    understood(`<${part.repeat(20_000)}@b.example>`, 'x@y.example');
  }
  const { user, system } = process.cpuUsage(began);
  assert.ok(user + system < 5_000_000);
});
