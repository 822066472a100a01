/** The tests of the examples notice mistakes in them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isNoticed } from './mutants.ts';

/** What somebody might do to a policy: a comparison turned, a branch removed, a wrong code, a forgotten step. */
const MISTAKES: Readonly<Record<string, readonly (readonly [from: string, to: string])[]>> = {
  access: [
    ['parsed.bits > best_bits', 'parsed.bits >= best_bits'],
    ['parsed.bits > best_bits', 'parsed.bits < best_bits'],
    ['if keyword == "OK" then return true end', ''],
    ['smtp.code.reject, text', 'smtp.code.again, text'],
    ['tonumber(octet) > 255', 'tonumber(octet) > 256'],
    ['best, best_bits = nil, -1', 'best, best_bits = nil, 0'],
    ['"^[45][0-5]%d$"', '"^[245][0-5]%d$"'],
    ['16 - bits) ~= 0', '16 - bits) == 0'],
    ['return code, text\nend\n\n-- Callbacks', 'return text, code\nend\n\n-- Callbacks'],
  ],
  attachments: [
    ['if extension or reader.problem then return', 'if reader.problem then return'],
    ['kind == "rfc822"', 'kind == "rfc821"'],
    ['after_dot:lower()', 'after_dot'],
    ['star == "*" and percent_decode(value) or value', 'value'],
    ['table.sort(numbers)', ''],
    ['if #boundaries > MAX_DEPTH then', 'if #boundaries >= MAX_DEPTH then'],
    ['reader.file:close()', ''],
    ['leave_inner(boundaries, level)', ''],
    ['if reader.broken then', 'if false then'],
    ['encoding:upper() == "B"', 'encoding == "B"'],
  ],
  'closed-list': [
    ['allowed = known and inside', 'allowed = known or inside'],
    ['allowed = known or inside', 'allowed = known and inside'],
    ['if allowed then return end', ''],
    ['return smtp.code.reject, TEXT', 'return smtp.code.again, TEXT'],
    ['if not is_ours then break end', ''],
    ['if extension then', 'if not extension then'],
    ['if not list then return end', 'if list then return end'],
    ['sender = normalize(address)', 'sender = sender or normalize(address)'],
    ['bits = bits - 16', 'bits = bits - 8'],
  ],
  helo: [
    ['if is_local then return end', ''],
    ['if is_ours(name) then', 'if not is_ours(name) then'],
    ['if #name == 0 or #name > 255', 'if #name == 0 or #name > 256'],
    ['#label > 63', '#label >= 63'],
    [
      'return smtp.code.bad_arg, "5.5.2 that is not a host name"',
      'return smtp.code.reject, "5.5.2 that is not a host name"',
    ],
    ['or in_any(OUR_ADDRESSES, address)\nend', '\nend'],
    [':gsub("%.$", "")', ''],
    ['return not name:find("%.%d+$")', 'return true'],
    ['local ipv6 = inside:match("^[Ii][Pp][Vv]6:(.*:.*)$")', 'local ipv6 = inside:match("^IPv6:(.*:.*)$")'],
  ],
  smtpf: [
    ['"headers %d", #headers', '"headers %d", #headers + 1'],
    ['smtp.code.again, "4.3.0', 'smtp.code.reject, "4.3.0'],
    ['return smtp.code.ok\nend\n\n-- MAIL', 'return smtp.code.again\nend\n\n-- MAIL'],
    ['text and string.format("%q", text):gsub("\\n", "n") or "nil"', 'text'],
    ['log("rset', 'string.format("rset'],
  ],
};

for (const [example, mistakes] of Object.entries(MISTAKES)) {
  test(`mistakes in examples/${example}.lua are noticed`, async () => {
    const path = fileURLToPath(new URL(`../../examples/${example}.lua`, import.meta.url));
    const source = readFileSync(path, 'latin1');
    assert.equal(await isNoticed(path, source), false);
    for (const [from, to] of mistakes) {
      const mutated = source.replace(from, () => to);
      assert.notEqual(mutated, source, from);
      assert.ok(await isNoticed(path, mutated), `not noticed: ${from} -> ${to}`);
    }
  });
}
