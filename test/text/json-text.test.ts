/** JSON of latin1 text: one line of ASCII, from which the bytes can be had again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asciiJson, decoded, indentedJson, jsonOf } from '../../src/text/json-text.ts';

test('bytes that are UTF-8 become its characters, others stand for themselves', () => {
  const latin1 = Buffer.from('Grüße').toString('latin1');
  assert.equal(jsonOf({ a: latin1, b: ['caf\xe9'] }), '{"a":"Gr\\u00fc\\u00dfe","b":["caf\\u00e9"]}');
  assert.equal(decoded(latin1), 'Grüße');
  assert.equal(decoded('caf\xe9'), 'caf\xe9');
  assert.equal(decoded('Grüße \u202e'), 'Grüße \u202e', 'characters are no bytes');
});

test('whatever stands in a string, the line is printable ASCII', () => {
  const all = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join('');
  for (const json of [jsonOf([all]), asciiJson([`${all}\u2028\u{1f642}`])]) {
    assert.match(json, /^[ -~]+$/);
  }
  assert.deepEqual(JSON.parse(jsonOf([all])), [all]);
  assert.deepEqual(JSON.parse(asciiJson(['\u{1f642}'])), ['\u{1f642}']);
});

test('for people it has several lines, and strings as they are wanted', () => {
  assert.equal(
    indentedJson({ a: 'x' }, (text) => text.toUpperCase()),
    '{\n  "a": "X"\n}\n',
  );
});
