import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeReply } from '../../src/milter/encode-reply.ts';
import { formatReply } from '../../src/milter/reply-text.ts';

const textOf = (code: number, ...lines: string[]) => formatReply(code, lines).text;

test('the enhanced status code of the text is kept when its class fits, and every line has one', () => {
  const cases: [code: number, text: string, wire: string][] = [
    [550, '5.7.1 No', '550 5.7.1 No'],
    [550, '5.123.123 No', '550 5.123.123 No'],
    [450, '4.2.0 Later', '450 4.2.0 Later'],
    [550, 'No', '550 5.0.0 No'],
    [450, 'Later', '450 4.0.0 Later'],
    [599, 'No', '599 5.0.0 No'],
    [400, 'Later', '400 4.0.0 Later'],
    [550, '3 strikes', '550 5.0.0 3 strikes'],
    [550, '192.0.2.7 is listed', '550 5.0.0 192.0.2.7 is listed'],
    [550, '5.1.2.3 is a version', '550 5.0.0 5.1.2.3 is a version'],
    [550, '5.7.1234 is none', '550 5.0.0 5.7.1234 is none'],
    [550, '5.7.1no', '550 5.0.0 5.7.1no'],
    [550, '550 5.7.1 no', '550 5.0.0 550 5.7.1 no'],
    [550, '5.7.1\tNo', '550 5.7.1 No'],
    [550, '  5.7.1   No  ', '550 5.7.1 No'],
    [550, '5.7.1 5.7.1 No', '550 5.7.1 5.7.1 No'],
    [550, '-no', '550 5.0.0 -no'],
  ];
  for (const [code, text, wire] of cases)
    assert.deepEqual(formatReply(code, [text]), { text: wire, warnings: [] });
});

test('an enhanced status code of another class is dropped with a warning', () => {
  for (const [code, text] of [
    [550, '4.7.1 No'],
    [550, '2.0.0 No'],
    [450, '5.7.1 No'],
  ] as const) {
    const status = `${String(code).charAt(0)}.0.0`;
    assert.deepEqual(formatReply(code, [text]), {
      text: `${code} ${status} No`,
      warnings: [`reply ${code}: enhanced status code ${text.slice(0, 5)} dropped, ${status} sent`],
    });
  }
});

test('an enhanced status code given apart goes before the one in the text', () => {
  assert.deepEqual(formatReply(550, ['No'], '5.7.1'), { text: '550 5.7.1 No', warnings: [] });
  assert.deepEqual(formatReply(550, ['No'], ''), { text: '550 5.0.0 No', warnings: [] });
  assert.deepEqual(formatReply(550, ['5.7.1 No'], '5.7.1'), { text: '550 5.7.1 No', warnings: [] });
  const both = formatReply(550, ['5.1.1 No'], '5.7.1');
  assert.deepEqual([both.text, both.warnings.length], ['550 5.7.1 No', 1]);
  for (const wrong of ['4.7.1', '5.7', '5.7.1 x', 'x\r\n', '5.7.1\n']) {
    const dropped = formatReply(550, ['5.1.1 No'], wrong);
    assert.deepEqual([dropped.text, dropped.warnings.length], ['550 5.1.1 No', 1], wrong);
    assert.doesNotMatch(dropped.warnings.join(''), /[\r\n]/);
  }
});

test('several lines share code and enhanced status code, which is not doubled', () => {
  assert.equal(textOf(451, '4.7.1 a', 'b'), '451-4.7.1 a\r\n451 4.7.1 b');
  assert.equal(
    textOf(451, '4.7.1 a\n4.7.1 b\r\n4.7.1 c\rd'),
    '451-4.7.1 a\r\n451-4.7.1 b\r\n451-4.7.1 c\r\n451 4.7.1 d',
  );
  assert.equal(textOf(550, 'a', '5.0.0 b'), '550-5.0.0 a\r\n550 5.0.0 b');
  assert.equal(textOf(550, '4.7.1 a', '4.7.1 b'), '550-5.0.0 a\r\n550 5.0.0 b');
  assert.equal(textOf(550, '5.7.1', 'a'), '550 5.7.1 a');
  assert.equal(textOf(550, 'a', '', 'b'), '550-5.0.0 a\r\n550-5.0.0 \r\n550 5.0.0 b');
  assert.equal(textOf(550, '', ' ', 'a\r\n', '\n'), '550 5.0.0 a');
});

test('percent signs are doubled exactly once', () => {
  assert.equal(textOf(550, '100% %s %% %'), '550 5.0.0 100%% %%s %%%% %%');
});

test('controls become blanks, 8-bit bytes question marks', () => {
  assert.equal(textOf(550, 'a\0b\x1bc\x7fd\te'), '550 5.0.0 a b c d e');
  assert.equal(textOf(550, 'caf\xe9 \x80\xff \u20ac'), '550 5.0.0 caf? ?? ?');
});

test('a missing text is replaced by the standard one', () => {
  assert.equal(textOf(421), '421 4.0.0 Service not available, closing transmission channel');
  assert.equal(textOf(550, ''), '550 5.0.0 Requested action not taken: mailbox unavailable');
  assert.equal(textOf(554, ' \r\n\t'), '554 5.0.0 Transaction failed');
  assert.equal(textOf(451, '4.7.1'), '451 4.7.1 Requested action aborted: local error in processing');
  assert.equal(textOf(499), '499 4.0.0 Please try again later');
  assert.equal(textOf(599), '599 5.0.0 Command rejected');
  for (const code of [421, 450, 451, 452, 500, 501, 502, 503, 504, 550, 551, 552, 553, 554]) {
    assert.doesNotMatch(textOf(code), /Please try again later|Command rejected/);
  }
});

test('only 4xx and 5xx can be said', () => {
  for (const code of [0, 250, 354, 399, 600, 999, -550, 550.5, Number.NaN]) {
    assert.throws(() => formatReply(code, ['x']), RangeError);
  }
});

test('a text of 998 bytes stays in one line', () => {
  const words = `${'word '.repeat(199)}wor`;
  assert.equal(words.length, 998);
  assert.equal(textOf(550, words), `550 5.0.0 ${words}`);
  const rest = words.slice('5.7.1 '.length);
  assert.equal(textOf(550, `5.7.1 ${rest}`), `550 5.7.1 ${rest}`);
  assert.equal(textOf(550, `5.7.1 ${rest}s`).split('\r\n').length, 2);
  assert.deepEqual(formatReply(550, [words], '5.7.1').text, `550 5.7.1 ${words}`);
  assert.equal(textOf(550, '%'.repeat(998)), `550 5.0.0 ${'%%'.repeat(998)}`);
});

test('a longer text is folded at words into lines of at most 980 bytes, a longer word is cut', () => {
  // 970 bytes of text are a line of 980 behind `550 5.0.0 `.
  assert.equal(
    textOf(550, `${'a'.repeat(600)} ${'b'.repeat(398)}`),
    `550-5.0.0 ${'a'.repeat(600)}\r\n550 5.0.0 ${'b'.repeat(398)}`,
  );
  assert.equal(
    textOf(550, `${'a'.repeat(970)} ${'b'.repeat(28)}`),
    `550-5.0.0 ${'a'.repeat(970)}\r\n550 5.0.0 ${'b'.repeat(28)}`,
  );
  assert.equal(textOf(550, 'a'.repeat(999)), `550-5.0.0 ${'a'.repeat(970)}\r\n550 5.0.0 ${'a'.repeat(29)}`);
  assert.equal(
    textOf(550, `5.123.123 ${'a'.repeat(1000)}`),
    `550-5.123.123 ${'a'.repeat(966)}\r\n550 5.123.123 ${'a'.repeat(34)}`,
  );
});

test('a line of several that is too long is folded too, one line of 998 bytes is not', () => {
  const long = `${'a'.repeat(500)} ${'b'.repeat(490)}`;
  assert.equal(textOf(550, long), `550 5.0.0 ${long}`);
  const folded = `550-5.0.0 ${'a'.repeat(500)}\r\n550-5.0.0 ${'b'.repeat(490)}\r\n550 5.0.0 c`;
  assert.equal(textOf(550, long, 'c'), folded);
  assert.equal(textOf(550, `${long}\nc`), folded);
  assert.equal(textOf(550, '', long, ''), `550 5.0.0 ${long}`);
});

test('a doubled percent sign counts as two bytes of a folded line, and is not cut apart', () => {
  assert.equal(
    textOf(550, '%'.repeat(999)),
    [`550-5.0.0 ${'%%'.repeat(485)}`, `550-5.0.0 ${'%%'.repeat(485)}`, `550 5.0.0 ${'%%'.repeat(29)}`].join(
      '\r\n',
    ),
  );
  assert.equal(textOf(550, `a${'%'.repeat(999)}`).split('\r\n')[0], `550-5.0.0 a${'%%'.repeat(484)}`);
});

test('a reply stays below the 16 KiB at which Sendmail would cut its last line off', () => {
  const { text, warnings } = formatReply(550, ['x'.repeat(40_000)]);
  // 14 lines of 980 bytes and their CR LF are 13748.
  assert.equal(text.split('\r\n').length, 14);
  assert.equal(text.length, 14 * 982 - 2);
  assert.ok(text.endsWith(`\r\n550 5.0.0 ${'x'.repeat(970)}`));
  assert.deepEqual(warnings, ['reply 550: only the first 14 lines are sent, of 42']);
});

test('above 32 lines the rest is cut off with a warning', () => {
  const { text, warnings } = formatReply(
    550,
    Array.from({ length: 40 }, (_, index) => `line ${index + 1}`),
  );
  assert.equal(text.split('\r\n').length, 32);
  assert.ok(text.endsWith('\r\n550 5.0.0 line 32'));
  assert.deepEqual(warnings, ['reply 550: only the first 32 lines are sent, of 40']);
  assert.deepEqual(formatReply(550, Array(32).fill('x')).warnings, []);
  const blankThere = [...Array(31).fill('x'), '', 'y'];
  assert.ok(formatReply(550, blankThere).text.endsWith('\r\n550 5.0.0 x'));
});

test('any text becomes reply lines that both MTAs pass on', () => {
  const piece = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('%', '\r', '\n', '\r\n', '\0', ' ', '5.7.1 ', '4.7.1', '550 ', 'word ', '\xe9'),
    fc.nat(1500).map((length) => 'x'.repeat(length)),
  );
  const line = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
  const status = fc.option(fc.oneof(line, fc.constantFrom('5.7.1', '4.7.1')), { nil: undefined });
  fc.assert(
    fc.property(fc.integer({ min: 400, max: 599 }), fc.array(line), status, (code, lines, enhanced) => {
      const { text } = formatReply(code, lines, enhanced);
      const sent = text.split('\r\n');
      assert.ok(sent.length >= 1 && sent.length <= 32);
      const first = /^\d{3}[- ](\S+)/.exec(sent[0] ?? '')?.[1] ?? '';
      assert.match(first, /^[45]\.\d{1,3}\.\d{1,3}$/);
      assert.equal(first.charAt(0), String(code).charAt(0));
      for (const [index, reply] of sent.entries()) {
        const head = `${code}${index < sent.length - 1 ? '-' : ' '}${first} `;
        assert.ok(reply.startsWith(head), reply);
        assert.match(reply, /^[ -~]*$/);
        assert.equal(reply.replaceAll('%%', '').includes('%'), false, reply);
        const shown = reply.slice(head.length).replaceAll('%%', '%');
        assert.ok(sent.length === 1 ? shown.length <= 998 : reply.length <= 980);
        assert.equal(shown, shown.trim());
      }
      assert.notEqual(sent.at(-1)?.trim(), `${code} ${first}`);
      assert.ok(encodeReply({ kind: 'replyCode', text }).length <= 14_000);
    }),
    { numRuns: 300 },
  );
});

test('folding loses no word', () => {
  const words = fc.array(fc.stringMatching(/^[a-z]{1,30}$/), { minLength: 1, maxLength: 600 });
  fc.assert(
    fc.property(words, (list) => {
      const sent = textOf(550, list.join(' ')).split('\r\n');
      assert.deepEqual(
        sent
          .map((reply) => reply.slice('550 5.0.0 '.length))
          .join(' ')
          .split(' '),
        list,
      );
    }),
  );
});
