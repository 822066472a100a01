/** The modules text, hash, base64, json and uri as a script sees them. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { LuaContext } from '../../../src/lua/context/context.ts';
import { Template } from '../../../src/lua/context/template.ts';
import { compile } from '../../../src/lua/script/compilation.ts';
import { policyLibraries } from '../../../src/modules/install.ts';
import { evaluate } from '../../helpers/lua-context.ts';
import { servicesWith } from '../../helpers/services.ts';

const TEMPLATE = new Template(policyLibraries(servicesWith()));
const SHOW = `local function show(...)
  local t = table.pack(...)
  for i = 1, t.n do t[i] = tostring(t[i]) end
  return table.concat(t, "|")
end `;

/** What an expression gives, joined by `|`, or the error that it raises. Text is UTF-8. */
async function evaluated(expression: string): Promise<string> {
  const source = `${SHOW} return show(${expression})`;
  const context = new LuaContext({ template: TEMPLATE, script: compile(Buffer.from(source), 'test.lua') });
  const outcome = await evaluate(context);
  context.dispose();
  const text =
    outcome.kind === 'done' ? outcome.value : 'message' in outcome ? outcome.message : outcome.kind;
  return Buffer.from(text.replace(/^test\.lua:\d+: /, 'error: '), 'latin1').toString();
}

const cases = (name: string, table: readonly (readonly [expression: string, value: string])[]): void => {
  test(name, async () => {
    for (const [expression, value] of table) assert.equal(await evaluated(expression), value, expression);
  });
};

cases('text.re', [
  ['text.re("a(b+)c"):match("xabbcx")', 'bb'],
  ['text.re("ab+c"):match("xabbcx")', 'abbc'],
  ['text.re("(a)|(b)"):match("b")', 'false|b'],
  ['text.re("x"):match("abc")', 'nil'],
  ['text.re("B", "i"):find("abc")', '2|2'],
  ['text.re("x"):find("abc")', 'nil'],
  ['text.re("^b$"):test("a\\nb\\nc")', 'false'],
  ['text.re("^b$", "m"):test("a\\nb\\nc")', 'true'],
  ['text.re("a.b"):test("a\\nb")', 'false'],
  ['text.re("a.b", "s"):test("a\\nb")', 'true'],
  // Bytes, and letters of UTF-8.
  ['text.re("^.$"):test("ü")', 'false'],
  ['text.re("^.$", "u"):test("ü")', 'true'],
  ['text.re("\\\\x{fc}"):test("\\xfc")', 'true'],
  ['text.re("Ü", "iu"):find("xxü")', '3|4'],
  ['text.re("(.)x", "u"):match("üx")', 'ü'],
  ['#text.re("\\\\xff"):match("a\\xff")', '1'],
  ['text.re("(\\\\w)(\\\\d)"):gsub("a1 b2", "%2%1%%")', '1a% 2b%|2'],
  ['text.re("ü", "u"):gsub("xüy", "[%0]")', 'x[ü]y|1'],
  ['text.re("x*"):gsub("ab", "-")', '-a-b-|3'],
  [
    'text.re("a"):gsub("a", "%")',
    'error: text.pattern:gsub: % in the replacement must be %%, %0, %1, ... %9',
  ],
  ['text.re("a"):gsub("a", "%1")', 'error: text.pattern:gsub: there is no group 1'],
  [
    '(function() local t = {} for k, v in text.re("(\\\\w)=(\\\\w)"):gmatch("a=1 b=2") do t[#t + 1] = k .. v end return table.concat(t, ",") end)()',
    'a1,b2',
  ],
  ['(function() local n = 0 for m in text.re("x?"):gmatch("ab") do n = n + 1 end return n end)()', '3'],
  ['text.re("(a+)+$"):test(("a"):rep(30000) .. "b")', 'false'],
  ['text.re("(?=x)")', 'error: text.re: error parsing regexp: invalid or unsupported Perl syntax: `(?=`'],
  ['text.re("(a)\\\\1")', 'error: text.re: error parsing regexp: invalid escape sequence: `\\1`'],
  ['text.re("a", "x")', "error: bad argument #2 to 're' (flags are i, m, s and u)"],
  ['text.re("a"):test(("a"):rep(1048577))', "error: bad argument #1 to 'test' (more than 1 MiB of text)"],
]);

cases('text.re in UTF-8, of bytes that are none', [
  ['text.re("b", "u"):find("\\xffab\\xff")', '3|3'],
  ['text.re("b", "u"):gsub("\\xffab\\xc3é", "X") == "\\xffaX\\xc3é"', 'true'],
  ['text.re("^(.)(.)é$", "u"):match("\\xff\\xc3é") == "\\xff"', 'true'],
  ['text.re("\\u{fffd}", "u"):test("\\xff")', 'false'],
  ['text.re("\\u{fffd}", "u"):find("\\xff\\u{fffd}\\xed\\xa0\\x80")', '2|4'],
  ['#text.re(".", "u"):gsub(("\\xf0\\x9f\\x98\\x80\\xff"):rep(1000), "x")', '2000'],
]);

cases('text.fold', [
  ['text.fold("Ärger ÉTÉ")', 'arger ete'],
  ['text.fold("ＰａｙＰａｌ")', 'paypal'],
  ['text.fold("Раураl")', 'paypal'],
  ['text.fold("a\\u{200b}b\\u{ad}c\\u{202e}d")', 'abcd'],
  ['text.fold("a\\u{202f}b\\u{2800}c\\u{2028}d\\u{3164}e")', 'a b c d e'],
  ['text.fold("ﬁle ①")', 'file 1'],
  ['text.fold("\\xff")', '\ufffd'],
  ['text.fold("日本")', '日本'],
]);

cases('text.utf8 and text.split', [
  ['text.utf8("\\x80", "windows-1252")', '€'],
  ['text.utf8("x", "klingon")', 'nil|protocol unknown charset'],
  ['table.concat(text.split("a,,b,", ","), ";")', 'a;;b;'],
  ['table.concat(text.split("a, b, c", ", ", 2), ";")', 'a;b, c'],
  ['#text.split("", ",")', '1'],
  ['text.split("a", "")', "error: bad argument #2 to 'split' (separator expected)"],
  ['text.split("a", ",", 0)', "error: bad argument #3 to 'split' (a number of pieces expected)"],
]);

cases('hash', [
  // FIPS 180-2 and RFC 2202.
  ['hash.hex("sha256", "abc")', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  ['hash.hex("MD5", "")', 'd41d8cd98f00b204e9800998ecf8427e'],
  ['hash.hmac("sha1", "Jefe", "what do ya want for nothing?")', 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79'],
  [
    'hash.hex("sha3", "x")',
    "error: bad argument #1 to 'hex' (one of sha256, sha1, sha512, sha384, sha224, md5 expected)",
  ],
  [
    'hash.hex("sha256", ("x"):rep(3000000))',
    createHash('sha256').update('x'.repeat(3_000_000)).digest('hex'),
  ],
]);

cases('base64', [
  // RFC 4648.
  ['base64.encode("foobar")', 'Zm9vYmFy'],
  ['base64.encode("foob")', 'Zm9vYg=='],
  ['base64.encode("")', ''],
  ['base64.decode("Zm9v Yg\\r\\n==")', 'foob'],
  ['base64.decode("Zm9vYg")', 'foob'],
  ['base64.decode("_-8=") == base64.decode("/+8=")', 'true'],
  ['base64.decode("Zm9v!")', 'nil|protocol no base64'],
  ['base64.decode("Zm9vY")', 'nil|protocol no base64'],
  ['base64.decode("Zg==Zg==")', 'nil|protocol no base64'],
  ['base64.decode(base64.encode(("\\0\\xff x"):rep(200001))) == ("\\0\\xff x"):rep(200001)', 'true'],
]);

cases('json', [
  ['json.encode { 1, "a", true, { b = 0.5 } }', '[1,"a",true,{"b":0.5}]'],
  ['json.encode("ü\\n")', '"ü\\n"'],
  ['json.encode("\\xff")', '"\ufffd"'],
  ['json.encode(nil)', 'null'],
  ['json.encode({})', '[]'],
  ['json.encode(0/0)', 'nil|protocol NaN is no number of JSON'],
  ['json.encode(print)', 'nil|protocol a function has no form in JSON'],
  ['json.decode("[1,[2,3]]")[2][1]', '2'],
  ['json.decode([[{"a":{"ü":"\\u00fc"}}]]).a["ü"]', 'ü'],
  ['json.decode([[{"__proto__":1}]]).__proto__', '1'],
  ['math.type(json.decode("4294967296"))', 'float'],
  ['json.decode("null")', 'nil'],
  ['(json.decode("{"))', 'nil'],
  ['(select(2, json.decode("{"))):sub(1, 9)', 'protocol '],
  ['json.decode(("["):rep(65) .. ("]"):rep(65))', 'nil|limit more than 64 levels of JSON'],
  ['json.decode([["]] .. ("["):rep(65) .. [["]])', '['.repeat(65)],
  ['json.decode((" "):rep(1048577))', 'nil|limit more than 1 MiB of JSON'],
]);

const found = (text: string) => `table.concat(uri.found([==[${text}]==]), " ")`;
cases('uri.found', [
  [
    found('see http://a.example/x?y=1, or (https://b.example/). www.c.example!'),
    'http://a.example/x?y=1 https://b.example/ http://www.c.example',
  ],
  [
    found('<a href="https://a.example/?a=1&amp;b=2">https://b.example</a>'),
    'https://a.example/?a=1&b=2 https://b.example',
  ],
  [found('HTTP://A.EXAMPLE xwww.b.example http:// www.'), 'HTTP://A.EXAMPLE'],
  [found('http://a.example http://a.example'), 'http://a.example'],
  ...Object.entries({
    'h&#116;tp://a.example/x': 'http://a.example/x',
    'https&colon;&#x2f;&sol;a.example': 'https://a.example',
    'http:\\\\a.example\\b': 'http://a.example\\b',
    'http:a.example': 'http://a.example',
    ' ht\ntp://a.&#10;exam&Tab;ple ': 'http://a.example',
    'http://a&#46example/': 'http://a.example/',
    'http://a&#0000000000046;example/': 'http://a.example/',
    'http://&#252;.example/&copy=1&amp;b': 'http://ü.example/&copy=1&b',
    'http://a.example @b.example/.': 'http://a.example @b.example/.',
  }).map(([value, address]): [string, string] => [
    found(`<a href="${value}">x</a> <img alt="http://z.example" src = '${value}'>`),
    `${address} http://z.example`,
  ]),
  [
    found('href=https://a.example/x, src="foo.png" href="" action=http://b.example>'),
    'https://a.example/x http://b.example',
  ],
]);

const parsed = (address: string) =>
  `(function() local p = uri.parse("${address}") return p and show(p.scheme, p.user, p.host, p.port, p.path, p.query, p.fragment) end)()`;
cases('uri.parse', [
  [parsed('HTTPS://joe:x@Example.COM:8443/a/../b?q=1#f'), 'https|joe:x|example.com|8443|/b|q=1|f'],
  [parsed('http://example.com:80'), 'http|nil|example.com|nil|/|nil|nil'],
  [parsed('http://0x7f.1/'), 'http|nil|127.0.0.1|nil|/|nil|nil'],
  [parsed('http://[2001:DB8::1]/'), 'http|nil|2001:db8::1|nil|/|nil|nil'],
  [parsed('http://bücher.example/'), 'http|nil|xn--bcher-kva.example|nil|/|nil|nil'],
  [parsed('mailto:joe@example.com'), 'nil'],
  [parsed('nonsense'), 'nil'],
]);
