/** Lines of a dump: what stands in them was written by hand. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dumpLine, readDumpLine } from '../../src/store/dump.ts';

const FOREVER = Number.POSITIVE_INFINITY;
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const latin1 = (text: string) => Buffer.from(text, 'latin1');

const LINES: readonly (readonly [line: string, key: Buffer, data: Buffer, expires: number])[] = [
  ['{"area":"kv","key":"a","value":"text","expires":null}', latin1('kv\0\0a'), latin1('stext'), FOREVER],
  [
    '{"area":"kv","space":"seen","key":"a","value":12,"expires":1796084781199}',
    latin1('kv\0seen\0a'),
    hex('69 4028000000000000'),
    1796084781199,
  ],
  [
    '{"area":"kv","key":"f","value":{"float":"12"},"expires":null}',
    latin1('kv\0\0f'),
    hex('66 4028000000000000'),
    FOREVER,
  ],
  [
    '{"area":"kv","key":"f","value":{"float":"-Infinity"},"expires":null}',
    latin1('kv\0\0f'),
    hex('66 fff0000000000000'),
    FOREVER,
  ],
  ['{"area":"kv","key":"b","value":true,"expires":null}', latin1('kv\0\0b'), hex('62 01'), FOREVER],
  [
    '{"area":"kv","key":{"base64":"AP8="},"value":{"base64":"AP8K"},"expires":1.5}',
    latin1('kv\0\0\0\xff'),
    latin1('s\0\xff\n'),
    1.5,
  ],
  [
    '{"area":"kv","key":"\\u00fc","value":"\\u20ac \\"\\\\","expires":null}',
    latin1('kv\0\0\xc3\xbc'),
    latin1('s\xe2\x82\xac "\\'),
    FOREVER,
  ],
  [
    '{"area":"kv","key":"t","value":{"table":[["k",false],[1,"v"]]},"expires":null}',
    latin1('kv\0\0t'),
    hex('74 00000002 736b 00000002 6200 00000009 693ff0000000000000 00000002 7376'),
    FOREVER,
  ],
  // No number of this type is minus zero: it stands as its bytes.
  [
    '{"area":"kv","key":"z","data":{"base64":"aYAAAAAAAAAA"},"expires":null}',
    latin1('kv\0\0z'),
    hex('69 8000000000000000'),
    FOREVER,
  ],
  [
    '{"area":"rate","key":"joe","spec":"200/h","data":{"base64":"UkLAAAAAAAAA"},"expires":7}',
    latin1('rate\0joe\x00200/h'),
    hex('52 42c0000000000000'),
    7,
  ],
  [
    '{"area":"grey","key":"192.0.2.0/24|a@b|c@d","data":{"base64":"RwAAAAAAAAAA"},"expires":7}',
    latin1('grey\x00192.0.2.0/24|a@b|c@d'),
    hex('47 0000000000000000'),
    7,
  ],
  ['{"raw":{"base64":"eAA="},"data":"y","expires":null}', latin1('x\0'), latin1('y'), FOREVER],
];

describe('a dump', () => {
  it('has a line for each entry, which reads back to the same bytes', () => {
    for (const [line, key, data, expires] of LINES) {
      assert.equal(dumpLine({ key, data, expires }), line);
      assert.deepEqual(readDumpLine(line), { key, data, expires });
    }
  });

  it('keeps keys that were hashed', () => {
    const key = Buffer.concat([latin1('kv\x01seen\0'), Buffer.alloc(512, 'x'), Buffer.alloc(32, 7)]);
    const line = dumpLine({ key, data: latin1('sv'), expires: 5 });
    assert.match(
      line,
      /^\{"area":"kv","space":"seen","key":\{"base64":"eHh4[^"]*"\},"hashed":true,"value":"v"/,
    );
    assert.deepEqual(readDumpLine(line), { key, data: latin1('sv'), expires: 5 });
  });

  it('takes lines that were written by hand, and no others', () => {
    const entry = { key: latin1('kv\0\0a'), data: latin1('sb'), expires: FOREVER };
    assert.deepEqual(readDumpLine('{"key":"a","area":"kv","value":"b"}'), entry);
    assert.equal(readDumpLine('{"dump":"smtpf-milter store","version":1}'), 'head');
    for (const wrong of [
      'x',
      '7',
      'null',
      '[]',
      '{}',
      '{"dump":"smtpf-milter store","version":2}',
      '{"area":"kv","key":"","value":"b"}',
      '{"area":"other","key":"a","value":"b"}',
      '{"area":"kv","value":"b"}',
      '{"area":"kv","key":"a"}',
      '{"area":"kv","key":7,"value":"b"}',
      '{"area":"kv","key":{"base64":"?"},"value":"b"}',
      '{"area":"kv","key":"a","value":null}',
      '{"area":"kv","key":"a","value":{"table":[[true,1]]}}',
      '{"area":"kv","key":"a","value":{"table":[["a",{"table":[]}]]}}',
      '{"area":"kv","key":"a","value":"b","expires":"tomorrow"}',
      '{"area":"kv","space":7,"key":"a","value":"b"}',
      '{"raw":"","data":"y"}',
    ])
      assert.equal(readDumpLine(wrong), undefined, wrong);
  });
});
