/**
 * Spellings of one address, all-staff@example.com, as a stranger may try them: some an MTA refuses, some mean another
 * mailbox to it, and the rest all reach the one.
 *
 * The servers of these tests are mta.test, and take mail for that name and for example.com.
 */
export const MAILBOX = 'all-staff@example.com';

/** An address within the quotes of another one, with what quotes are for: to an MTA that reads it again it says nothing. */
export const WITHIN_QUOTES: readonly string[] = [
  ...['<"(x)all-staff%example.com"@mta.test>', '<"all-staff%example.com;"@mta.test>'],
  ...['<"<all-staff@example.com>"@mta.test>', '<"@r1.test:all-staff%example.com"@mta.test>'],
  ...['<"list:all-staff%example.com;"@mta.test>', '<"b@x.test,all-staff@example.com"@mta.test>'],
  ...[
    '<"example.com! all-staff">',
    '<"example.com!(x)all-staff"@mta.test>',
    '<"all-staff @example.com"@mta.test>',
  ],
];

export const SPELLINGS: readonly string[] = [
  // Case, brackets, final dots.
  ...['<all-staff@example.com>', 'all-staff@example.com', '<ALL-Staff@EXAMPLE.com>'],
  ...['<all-staff@example.com.>', '<all-staff@example.com..>', '<all-staff@example..com>'],
  ...['<<all-staff@example.com>>', '<<<all-staff@example.com>>>', '<Foo <all-staff@example.com>>'],
  ...[
    '<"Foo" <all-staff@example.com>>',
    '<b@x.test <all-staff@example.com>>',
    '<b@x.test><all-staff@example.com>',
  ],
  ...['<all-staff@example.com><b@x.test>', '<<all-staff@example.com> b@x.test>', 'all-staff@example.com>'],
  ...['< all-staff@example.com>x', '<all-staff@example.com', '<all-staff@example.com>\t'],
  // Blanks and comments.
  ...['< all-staff@example.com>', '<all-staff@example.com >', '<all-staff @example.com>'],
  ...['<all-staff@ example.com>', '<all-staff@example .com>', '<all-staff@example.com\t>'],
  ...['<\tall-staff @ example . com>', '<all-staff(x)@example.com>', '<(x)all-staff@example.com>'],
  ...['<all-staff@(x)example.com>', '<all-staff@example(x).com>', '<all-staff@example.com (x)>'],
  ...['<all-(x)staff@example.com>', '<all-staff((x)y)@example.com>', '<all-staff(\\))@example.com>'],
  ...['<(a"b)all-staff@example.com>', '<()all-staff@example.com>', '<all-staff@example.com(>'],
  ...['<all-staff (x) @ (y) example.com (z)>', '<all-staff@example.com\r>', '<all-staff@EXAMPLE.COM(x).>'],
  // Quotes and backslashes.
  ...['<"all-staff"@example.com>', '<"all"-"staff"@example.com>', '<"all"-staff@example.com>'],
  ...['<all\\-staff@example.com>', '<\\all-staff@example.com>', '<"all\\-staff"@example.com>'],
  ...['<\\a\\l\\l\\-\\s\\t\\a\\f\\f@example.com>', '<""all-staff@example.com>', '<all-staff@"example.com">'],
  ...['<all-staff@exam\\ple.com>', '<all-staff@example\\.com>', '<all-staff@example.com\\ >'],
  ...['<"all-staff@example.com>', '<"all-staff\\"@example.com>', '<all-staff@[example.com]>'],
  // Groups and routes.
  ...['<;all-staff@example.com>', '<all-staff@example.com;>', '<,all-staff@example.com>'],
  ...['<all-staff@example.com,>', '<list:all-staff@example.com;>', '<list : all-staff@example.com ;>'],
  ...['<list:;all-staff@example.com>', '<:all-staff@example.com>', '<b@x.test,all-staff@example.com>'],
  ...['<@r1.test:all-staff@example.com>', '<@r1.test,@r2.test:all-staff@example.com>'],
  ...['<@r1.test, @r2.test : all-staff@example.com>', '<@mta.test:all-staff@example.com>'],
  ...['<@:all-staff@example.com>', '<@r1.test:@r2.test:all-staff@example.com>'],
  ...['<@r1.test:<all-staff@example.com>>', '<@r1.test:"all-staff"@example.com.>'],
  // What only the MTA can read.
  ...['<all-staff%example.com@mta.test>', '<all-staff%example.com>', '<all-staff%example.com@example.com>'],
  ...[
    '<All-Staff%Example.Com.@MTA.test>',
    '<"all-staff%example.com"@mta.test>',
    '<"all-staff"%example.com@mta.test>',
  ],
  ...[
    '<all-staff%"example.com"@mta.test>',
    '<all-staff% example.com@mta.test>',
    '<all-staff%(x)example.com@mta.test>',
  ],
  ...['<all-staff%example.com%example.com@mta.test>', '<all-staff%example.com%mta.test>'],
  ...[
    '<all-staff%example.com@[127.0.0.1]>',
    '<<all-staff%example.com@mta.test>>',
    '<;all-staff%example.com@mta.test>',
  ],
  ...['<@r1.test:all-staff%example.com@mta.test>', '<list:all-staff%example.com@mta.test;>'],
  ...[
    '<all-staff@example.com@mta.test>',
    '<all-staff@EXAMPLE.COM.@mta.test>',
    '<all-staff@example.com@example.com>',
  ],
  ...['<"all-staff@example.com"@mta.test>', '<"all-staff@example.com">', '<all-staff\\@example.com>'],
  ...['<all-staff\\@example.com@mta.test>', '<all-staff@example.com@>', '<all-staff@example.com@@>'],
  ...['<example.com!all-staff>', '<Example.com!All-Staff@mta.test>', '<example.com!all-staff@example.com>'],
  ...[
    '<example.com.!all-staff>',
    '<example.com! all-staff>',
    '<example.com!"all-staff">',
    '<example.com!all\\-staff>',
  ],
  ...['<mta.test!example.com!all-staff>', '<"example.com!all-staff"@mta.test>', '<"example.com"!all-staff>'],
  ...['<mta.test!all-staff%example.com@mta.test>', '<mta.test!mta.test!example.com!all-staff@mta.test>'],
  // What isspace() takes for a blank.
  ...['<all-staff@example.com\v>', '<all-staff@example.com\f>', '<\vall-staff@example.com>'],
  ...['<all-staff\f@example.com>', '<all-staff%example.com\v@mta.test>'],
  ...WITHIN_QUOTES,
  // Other mailboxes, whatever an MTA makes of them.
  ...['<all-staff.@example.com>', '<.all-staff@example.com>', '<all..staff@example.com>'],
  ...['<all-staff+x@example.com>', '<"all-staff "@example.com>', '<"all staff"@example.com>'],
  ...["<'all-staff'@example.com>", '<"a@b"@example.com>', '<"a\\"b"@example.com>'],
  ...[
    '<all-staff%40example.com@mta.test>',
    '<all-staff=40example.com>',
    '<all-staff%example.org@example.com>',
  ],
  ...['<=?us-ascii?q?all-staff?=@example.com>', '<smtp:all-staff@example.com>', '<[all-staff]@example.com>'],
  ...[
    '<mta.test::all-staff>',
    '<all-staff@example>',
    '<all-staff@[192.0.2.1]>',
    '<all-staff@[IPv6:2001:DB8::1]>',
  ],
  // Sendmail takes these for domains.
  ...[
    '<all-staff@[x;y]>',
    '<all-staff@[x:y]>',
    '<all-staff@[x(y)z]>',
    '<all-staff@[x,y]>',
    '<all-staff@[@]>',
  ],
  '<all-staff@[>,<root@dest.test]>',
  ...[
    '<j\xc3\xbcrgen@example.com>',
    '<@example.com>',
    '<""@example.com>',
    '<all-staff@xn--bcher-kva.example>',
  ],
  ...['<postmaster>', '<Postmaster@mta.test>', '<all-staff>', '<@example.com:all-staff>'],
];
