/** examples/attachments.lua over a milter connection. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startServer, type TestServer } from '../helpers/milter-server.ts';
import { Mta, type Reply } from '../helpers/mta.ts';

const POLICY = new URL('../../examples/attachments.lua', import.meta.url).pathname;
const CHUNK = 65_535;

type Header = readonly [string, string];

async function start(t: TestContext): Promise<TestServer> {
  const server = await startServer({ path: POLICY }, { 'on-error': 'tempfail' });
  t.after(() => server.close());
  return server;
}

/** Sends messages on one connection. */
class Sender {
  readonly #mta: Mta;
  private constructor(mta: Mta) {
    this.#mta = mta;
  }

  static async open(t: TestContext): Promise<Sender> {
    const server = await start(t);
    const mta = await Mta.open(server);
    await mta.connect('192.0.2.7');
    t.after(() => mta.quit());
    return new Sender(mta);
  }

  async send(headers: readonly Header[], body: string): Promise<Reply> {
    await this.#mta.mail('<a@b.example>');
    await this.#mta.rcpt('<c@d.example>');
    const bytes = Buffer.from(body, 'latin1');
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += CHUNK) chunks.push(bytes.subarray(at, at + CHUNK));
    return this.#mta.content(headers, ...chunks);
  }
}

/** What a policy does costs CPU time each time; what else a machine does, now and then: the best of four sessions counts. */
function patientSender(t: TestContext): (headers: readonly Header[], body: string) => Promise<Reply> {
  let sender: Sender | undefined;
  return async (headers, body) => {
    for (let tries = 1; ; tries += 1) {
      sender ??= await Sender.open(t);
      const reply = await sender.send(headers, body);
      if (reply.letter !== 't' || tries === 4) return reply;
      sender = undefined;
    }
  };
}

const MULTIPART: readonly Header[] = [
  ['Subject', ' hi'],
  ['Content-Type', ' multipart/mixed; boundary="=_b"'],
];

/** The body of MULTIPART: each part is its lines. */
function parts(...all: readonly (readonly string[])[]): string {
  const lines = all.flatMap((part) => ['--=_b', ...part]);
  return [...lines, '--=_b--', ''].join('\r\n');
}

const attachment = (...headers: readonly string[]) =>
  parts(['Content-Type: text/plain', '', 'hello'], [...headers, '', 'TVqQAAMAAAAEAAAA']);

const refusal = (extension: string) => `550 5.7.1 attachments of type .${extension} are not accepted here`;

const base64 = (text: string) => Buffer.from(text, 'latin1').toString('base64');

test('dangerous names are found in all spellings', async (t) => {
  const sender = await Sender.open(t);
  const D = 'Content-Disposition: attachment; ';
  const T = 'Content-Type: application/octet-stream; ';
  for (const [headers, extension] of [
    [[`${D}filename="invoice.exe"`], 'exe'],
    [[`${T}name=invoice.scr`], 'scr'],
    [[`content-DISPOSITION:attachment;FileName="INVOICE.ExE"`], 'exe'],
    [[`Content-Disposition : attachment; filename = "invoice.js"`], 'js'],
    [['Content-Disposition: attachment;', '\tsize=1;', ' filename="invoice.vbs"'], 'vbs'],
    [['Content-Disposition: attachment; filename="invoice', ' .lnk"'], 'lnk'],
    [['Content-Disposition:', ' attachment; filename="invoice.', '\tpdf.com"'], 'com'],
    [[`${D}filename="a;b=c.exe"; size=7`], 'exe'],
    [[`${D}filename="a\\"b\\\\c.exe"`], 'exe'],
    [[`${D}filename="C:\\dir\\a.exe"`], 'exe'],
    [[`${D}filename="not closed.exe`], 'exe'],
    [[`${D}filename=a.exe(comment; "text)`], 'exe'],
    [[`${D}filename=(comment)a.exe`], 'exe'],
    [[`${D}filename=(a.exe`], 'exe'],
    [[`${D}filename=two words.exe`], 'exe'],
    [[`${D}filename='a.exe'`], 'exe'],
    [['Content-Disposition: attachment filename=a.exe'], 'exe'],
    [['Content-Disposition: filename=a.exe'], 'exe'],
    [[`${D}filename="a.pdf"; filename="a.exe"`], 'exe'],
    [[`${D}filename="a.exe. . "`], 'exe'],
    [[`${D}filename="a.ex\0e"`], 'exe'],
    [[`${D}filename="caf\xe9\xff.hta"`], 'hta'],
    [['Content-Disposition: attachment; filename="a.pdf"', 'Content-Type: x/y; name="a.exe"'], 'exe'],
    [['Content-Type: text/x', 'Content-Type: text/y; name=a.bat'], 'bat'],
    [['no header', 'Content-Type: text/y; name=a.bat'], 'bat'],
    // RFC 2231
    [[`${D}filename*=utf-8''invoice%2Eexe`], 'exe'],
    [[`${D}filename*=UTF-8'en'%e2%82%ac%20rates.%45XE`], 'exe'],
    [[`${D}filename*=utf-16be''%00a%00.%00e%00x%00e`], 'exe'],
    [[`${D}filename*=invoice.exe`], 'exe'],
    [[`${D}filename*0="invoi"; filename*1="ce.e"; filename*2=xe`], 'exe'],
    [[`${D}filename*2=xe; filename*0*=utf-8''invoi%63; filename*1="e.e"`], 'exe'],
    [[`${D}`, " filename*0*=iso-8859-1''%E9t%E9;", ' filename*1*=.%65;', ' filename*2*=xe'], 'exe'],
    [[`${T}name*0="a.";`, '\tname*1="exe"'], 'exe'],
    [[`${D}${Array.from('name of a file.exe', (c, i) => `filename*${i}="${c}"`).join('; ')}`], 'exe'],
    // RFC 2047
    [[`${D}filename="=?utf-8?Q?invoice=2Eexe?="`], 'exe'],
    [[`${D}filename="=?UTF-8?b?${base64('invoice.exe')}?="`], 'exe'],
    [[`${T}name==?iso-8859-1?q?=E9t=E9_2024.=65xe?=`], 'exe'],
    [[`${D}filename="=?utf-8?B?${base64('invoice.e')}?=`, ' =?utf-8?B?eGU=?="'], 'exe'],
    [[`${D}filename="=?utf-8?Q?invoice?= .exe"`], 'exe'],
    [[`${D}filename="=?utf-8?Q?invoice?=.exe"`], 'exe'],
    [[`${D}filename="=?utf-16be?B?${base64('\0a\0.\0e\0x\0e')}?="`], 'exe'],
    [[`${D}filename*0="=?utf-8?Q?invoice=2E"; filename*1="exe?="`], 'exe'],
    [[`${D}filename="=?utf-8?X?a.exe?="`], 'exe'],
    // Harmless
    [[`${D}filename="invoice.pdf"`], ''],
    [[`${D}filename="exe"`], ''],
    [[`${D}filename="a.exe.txt"`], ''],
    [[`${D}filename="a.exe/b"`], ''],
    [[`${D}filename=""`], ''],
    [[`${D}filename=`], ''],
    [[`${D}=; ;;=a.exe; filename`], ''],
    [[`${D}x-name="a.exe"; comment="filename=a.exe"`], ''],
    [['Content-Description: a.exe', 'Content-ID: <name="a.exe">'], ''],
    [[`${D}filename="=?utf-8?Q??="`], ''],
    [['X-Header: x; filename="a.exe"', '\tfilename="a.exe"'], ''],
    [['Content-Type: text/plain', '', 'Content-Disposition: attachment; filename="a.exe"'], ''],
  ] as const) {
    const reply = await sender.send(MULTIPART, attachment(...headers));
    const expected = extension === '' ? ['c', ''] : ['y', refusal(extension)];
    assert.deepEqual([reply.letter, reply.text], expected, headers.join('\n'));
  }
});

test('a name in the headers of a message that is not divided is found', async (t) => {
  const sender = await Sender.open(t);
  const found = await sender.send([['Content-Type', ' application/x; name="a.exe"']], 'x');
  assert.equal(found.text, refusal('exe'));
  assert.equal(
    (await sender.send([['Content-Type', '\r\n\tapplication/x;\r\n name=a.exe']], '')).text,
    refusal('exe'),
  );
  assert.equal((await sender.send([['Subject', ' filename="a.exe"']], 'name="a.exe"\r\n')).letter, 'c');
  assert.equal((await sender.send([], '')).letter, 'c');
});

test('parts within parts, attached messages, and text around them', async (t) => {
  const sender = await Sender.open(t);
  const EXE = 'Content-Disposition: attachment; filename=a.exe';
  const inner = (boundary: string, ...lines: readonly string[]) => [
    `Content-Type: multipart/alternative; boundary=${boundary}`,
    '',
    ...lines,
  ];
  for (const [name, body, found] of [
    ['before the first boundary', `${EXE}\r\n\r\n${parts(['', 'x'])}`, false],
    ['behind the last', `${parts(['', 'x'])}${EXE}\r\n\r\n`, false],
    ['nested', parts(inner('in', '--in', '', 'x', '--in', EXE, '', 'x', '--in--')), true],
    ['behind a nested one', parts(inner('in', '--in', '', 'x', '--in--'), [EXE, '', 'x']), true],
    ['behind a nested one not closed', parts(inner('in', '--in', '', 'x'), [EXE, '', 'x']), true],
    [
      'with a boundary that is longer',
      parts(inner('=_b2', '--=_b2', EXE, '', '', '--=_b2--'), ['', 'x']),
      true,
    ],
    ['with a boundary that is shorter', parts(inner('=', '--=', EXE, '', '', '--=--'), ['', 'x']), true],
    ['behind one closed, in one not', parts(inner('=', '--=', '', '--=--', '--=_b', EXE, '')), true],
    [
      'boundary of a part that has ended',
      parts(inner('in', '--in', '', 'x'), ['', '--in', EXE, '', 'x']),
      false,
    ],
    [
      'blanks behind the boundary',
      parts(['', 'x'], []).replace('--=_b--', `--=_b \t\r\n${EXE}\r\n\r\n`),
      true,
    ],
    ['headers cut short by a boundary', parts(['Content-Type: text/plain'], [EXE, '', 'x']), true],
    ['headers that end the message', `--=_b\r\n${EXE}`, true],
    ['a message', parts(['Content-Type: message/rfc822', '', 'Subject: x', EXE, '', 'x']), true],
    [
      'a message with parts',
      parts(['Content-Type: MESSAGE/RFC822', '', ...inner('in', '--in', EXE, '', '', '--in--')]),
      true,
    ],
    [
      'behind a message',
      parts(['Content-Type: message/rfc822', '', 'Subject: x', '', 'x'], [EXE, '', 'x']),
      true,
    ],
    ['text of a message', parts(['Content-Type: message/rfc822', '', 'Subject: x', '', EXE]), false],
    ['no line end in front', parts(['', 'x', 'x--=_b', EXE, '', 'x']), false],
    ['patches', parts(['', '--- a/x', '+++ b/x', '-- ', 'name', '--', EXE]), false],
  ] as const) {
    const { letter, text } = await sender.send(MULTIPART, body);
    assert.deepEqual([letter, text], found ? ['y', refusal('exe')] : ['c', ''], name);
  }
});

test('boundaries are read in all spellings', async (t) => {
  const sender = await Sender.open(t);
  for (const [type, boundary] of [
    ['multipart/mixed; boundary=simple', 'simple'],
    ['multipart/mixed; BOUNDARY="with blank and ;"', 'with blank and ;'],
    ['multipart/mixed; boundary="a\\"b"', 'a"b'],
    ['multipart/mixed;\r\n boundary*0="first";\r\n boundary*1="second"', 'firstsecond'],
    ['multipart/mixed; boundary="%.*[x]-+$^"', '%.*[x]-+$^'],
    [`multipart/mixed; boundary=${'b'.repeat(5000)}`, 'b'.repeat(5000)],
  ] as const) {
    const body = `--${boundary}\r\nContent-Type: x/y; name=a.exe\r\n\r\nx\r\n--${boundary}--\r\n`;
    assert.equal((await sender.send([['Content-Type', ` ${type}`]], body)).text, refusal('exe'), type);
  }
});

test('a boundary is found wherever the blocks of the file end', async (t) => {
  const sender = await Sender.open(t);
  const BLOCK = 65_536;
  const tail = '\r\n--=_b\r\nContent-Type: x/y; name=a.exe\r\n\r\nx';
  const head = `Subject: hi\r\nContent-Type: multipart/mixed; boundary="=_b"\r\n\r\n`.length;
  for (let cut = -4; cut <= tail.length + 1; cut++) {
    const body = `${'\r\n'.padEnd(BLOCK - head - cut, 'x')}${tail}`;
    assert.equal((await sender.send(MULTIPART, body)).text, refusal('exe'), `cut at ${cut}`);
  }
});

test('a large message is examined in reasonable time', async (t) => {
  const send = patientSender(t);
  const line = `${'A'.repeat(76)}\r\n`;
  const size = (bytes: number) => line.repeat(Math.ceil(bytes / line.length));
  const withLast = (content: string, name: string) =>
    parts(
      ['Content-Type: image/png', '', content],
      [`Content-Disposition: attachment; filename=${name}`, '', ''],
    );
  const MiB = 1024 * 1024;
  for (const [what, content] of [
    ['5 MiB of base64', size(5 * MiB)],
    ['30 MiB of base64', size(30 * MiB)],
    ['5 MiB in one line', 'x'.repeat(5 * MiB)],
    ['5 MiB of lines that look like boundaries', '--=_\r\n'.repeat((5 * MiB) / 6)],
    ['5 MiB of line ends', '\r\n'.repeat((5 * MiB) / 2)],
  ] as const) {
    const begin = performance.now();
    assert.equal((await send(MULTIPART, withLast(content, 'a.txt'))).letter, 'c', what);
    assert.equal((await send(MULTIPART, withLast(content, 'a.exe'))).text, refusal('exe'), what);
    t.diagnostic(`${what}: ${((performance.now() - begin) / 2).toFixed(0)} ms with transfer`);
  }
});

test('a message made to be endless is refused before the budget is spent', async (t) => {
  const send = patientSender(t);
  const problem = (text: string) => `550 5.6.0 the message cannot be examined: ${text}`;
  const MiB = 1024 * 1024;
  const nested = Array.from({ length: 60 }, (_, i) => [
    `Content-Type: multipart/mixed; boundary=${'b'.repeat(60 - i)}`,
    '',
    `--${'b'.repeat(60 - i)}`,
  ]).flat();
  const name = (text: string) => attachment(`Content-Disposition: attachment; filename=${text}`);
  const FIELD = 8000;
  for (const [what, body, expected] of [
    ['parts', parts(...Array.from({ length: 2000 }, () => ['', 'x'])), problem('too many parts')],
    ['parts of nothing', '--=_b\r\n'.repeat(500_000), problem('too many parts')],
    ['depth', parts(nested), problem('too many parts inside of each other')],
    ['header lines', parts(Array(30_000).fill('X: y')), problem('a header is too long')],
    ['a header line', parts([`X: ${'y'.repeat(2 * MiB)}`]), problem('a header is too long')],
    ['a boundary line', `--=_b${'y'.repeat(2 * MiB)}`, ''],
    [
      'a folded header',
      parts(['Content-Type: x/y;', ...Array(5000).fill(` ${'y'.repeat(70)}`)]),
      problem('a header is too long'),
    ],
    ['blanks', name(`${' '.repeat(FIELD)}x`), ''],
    ['blanks within', name(`"x${' '.repeat(FIELD)}x"`), ''],
    ['dots', name(`"x${'.'.repeat(FIELD)}x"`), ''],
    ['parentheses', name('('.repeat(FIELD)), ''],
    ['comments', name('()'.repeat(FIELD / 2)), ''],
    ['quotes', name('"'.repeat(FIELD)), ''],
    ['backslashes', name(`"${'\\'.repeat(FIELD)}`), ''],
    ['semicolons', name(';'.repeat(FIELD)), ''],
    ['equals signs', name('='.repeat(FIELD)), ''],
    ['apostrophes', attachment(`Content-Disposition: x; filename*=${"'".repeat(FIELD)}`), ''],
    ['percents', attachment(`Content-Disposition: x; filename*=${'%41'.repeat(FIELD / 3)}`), ''],
    ['beginnings of words', name(`"${'=?'.repeat(FIELD / 2)}"`), ''],
    ['beginnings of encodings', name(`"${'=?x?Q?'.repeat(FIELD / 6)}"`), ''],
    ['blanks between words', name(`"=?x?Q?a?=${' '.repeat(FIELD)}x"`), ''],
    ['a word in base64', name(`"=?x?B?${'QUFB'.repeat(FIELD / 4)}?="`), ''],
    ['a name without a colon', parts(['x'.repeat(65_000), '', 'x']), ''],
  ] as const) {
    const begin = performance.now();
    const { letter, text } = await send(MULTIPART, body);
    assert.deepEqual([letter, text], expected === '' ? ['c', ''] : ['y', expected], what);
    t.diagnostic(`${what}: ${(performance.now() - begin).toFixed(0)} ms`);
  }
});

test('a refusal names the file in the log', async (t) => {
  const server = await start(t);
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  await mta.mail('<a@b.example>');
  await mta.content([['Content-Type', ' x/y; name="invoice 100%.exe"']], 'x');
  await mta.quit();
  assert.ok(server.log.lines.includes('s1 refused for an attachment: invoice 100%.exe'));
});
