import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { plainSingleBlanks, type SingleBlanks, wideSingleBlanks } from '../../src/mail-auth/single-blanks.ts';

const BITS = [
  'a',
  ' ',
  '  ',
  '\t',
  ' \t ',
  '\r\n',
  '\r',
  '\n',
  ' \r\n',
  'word ',
  'longer than 16 bytes',
  '\xa0',
  '\0',
];

function expectedOf(text: string): string {
  return text.replace(/[ \t]+\r\n/g, '\r\n').replace(/[ \t]+/g, ' ');
}

describe('blanks of the relaxed form', () => {
  const ways: Readonly<Record<string, SingleBlanks | undefined>> = {
    '16 bytes at a time': wideSingleBlanks(),
    'byte by byte': plainSingleBlanks,
  };
  for (const [name, reduce] of Object.entries(ways)) {
    it(`are what the expressions of the RFC make of 10,000 texts, ${name}`, () => {
      assert.ok(reduce);
      const texts = fc.sample(fc.array(fc.constantFrom(...BITS), { maxLength: 30 }), 10_000);
      for (const bits of texts) {
        const text = `${bits.join('')}.`;
        assert.equal(
          reduce(Buffer.from(text, 'latin1')).toString('latin1'),
          expectedOf(text),
          JSON.stringify(text),
        );
      }
    });

    it(`are found up to the end of the longest text, ${name}`, () => {
      assert.ok(reduce);
      for (const length of [65_519, 65_520, 65_521, 65_535, 65_536, 65_537]) {
        for (const [line, end] of [
          ['a \t\r\n', 'x'],
          ['abc', ' \tx'],
          ['x\t', ' x'],
        ] as const) {
          const text = line.repeat(length / line.length).slice(0, length - end.length) + end;
          assert.equal(
            reduce(Buffer.from(text)).toString('latin1'),
            expectedOf(text),
            JSON.stringify([length, line]),
          );
        }
      }
    });
  }

  it('are found byte by byte where there is no WebAssembly', (t) => {
    const there = Object.getOwnPropertyDescriptor(globalThis, 'WebAssembly') as PropertyDescriptor;
    t.after(() => Object.defineProperty(globalThis, 'WebAssembly', there));
    assert.ok(Reflect.deleteProperty(globalThis, 'WebAssembly'));
    assert.equal(wideSingleBlanks(), undefined);
  });
});
