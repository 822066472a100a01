/** The tests of the examples notice mistakes in them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isNoticed } from './mutants.ts';

/** What somebody might do to a policy: a comparison turned, a branch removed, a wrong code, a forgotten step. */
const MISTAKES: Readonly<Record<string, readonly (readonly [from: string, to: string])[]>> = {
  access: [
    ['bits_of(network, address) > best_bits', 'bits_of(network, address) >= best_bits'],
    ['bits_of(network, address) > best_bits', 'bits_of(network, address) < best_bits'],
    ['if keyword == "OK" then return true end', ''],
    ['smtp.code.reject, text', 'smtp.code.again, text'],
    ['best, best_bits = nil, -1', 'best, best_bits = nil, 0'],
    ['"^[45][0-5]%d$"', '"^[245][0-5]%d$"'],
    ['tonumber(length) < FIXED[mark]', 'false'],
    ['if not lines then', 'if false then'],
    ['return code, text\nend\n\n-- Callbacks', 'return text, code\nend\n\n-- Callbacks'],
  ],
  attachments: [
    ['return REFUSED[extension] and extension', 'return extension'],
    ['after_dot:lower()', 'after_dot'],
    ['[^%s%c.]', '[^%s%c]'],
    [' or extension_of((name:gsub("%b()", ""):gsub("%(.*$", "")))', ''],
    ['if part.type == "message/partial" then', 'if false then'],
    ['if part.encoding ~= "identity" then', 'if false then'],
    ['if extension then return extension, file.name end', ''],
    ['holds_others = true', ''],
    ['if PROBLEMS[defect] then', 'if false then'],
  ],
  'closed-list': [
    ['allowed = known and inside', 'allowed = known or inside'],
    ['allowed = known or inside', 'allowed = known and inside'],
    ['if allowed then return end', ''],
    ['return smtp.code.reject, TEXT', 'return smtp.code.again, TEXT'],
    ['domain == (smtp.sess.host or ""):lower() or ', ''],
    [' or domain:find("^%[")', ''],
    ['if extension then', 'if not extension then'],
    ['if not list then return end', 'if list then return end'],
    ['sender = normalize(address)', 'sender = sender or normalize(address)'],
    ['list.inside = net.list(list.networks or {})', 'list.inside = net.list {}'],
    ['domain and sender:match("^.*@(.*)$") == domain_of(domain)', 'domain'],
  ],
  dmarc: [
    ['if is_ours() then return end', ''],
    ['smtp.sess.auth ~= nil or ', ''],
    ['if dmarc.policy == "reject" then', 'if dmarc.policy == "none" then'],
    ['smtp.quarantine("DMARC of " .. dmarc.domain)', ''],
    ['if dmarc.result == "permerror" then', 'if false then'],
    ['auth.check { add = true }', 'auth.check()'],
  ],
  greylist: [
    ['if auth and not must(', 'if auth and must('],
    ['local DELAY = 300', 'local DELAY = 30'],
    ['local SESSIONS = 10', 'local SESSIONS = 11'],
    ['if fits then return end', ''],
    ['OURS:has(smtp.sess.ip)', 'not OURS:has(smtp.sess.ip)'],
    ['if not passes then', 'if passes then'],
    ['return 451, string.format("4.7.1 greylisted', 'return 550, string.format("5.7.1 greylisted'],
    ['(seconds + 59) // 60', 'seconds // 60'],
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
    ['local_networks:has(ip) or ours:has(ip)', 'local_networks:has(ip)'],
    ['if ours:has(address) then', 'if not ours:has(address) then'],
    [':gsub("%.$", "")', ''],
    ['return not name:find("%.%d+$")', 'return true'],
    ['local ipv6 = inside:match("^[Ii][Pp][Vv]6:(.*:.*)$")', 'local ipv6 = inside:match("^IPv6:(.*:.*)$")'],
  ],
  senders: [
    ['if word:upper() == "OK" then return end', ''],
    ['"REJECT" and 550', '"REJECT" and 450'],
    ['"DEFER" and 450', '"DEFER" and 550'],
    ['if not code then error(', 'if not code then return end -- error('],
    ['if text == "" then text = TEXT[class] end', ''],
    ['text = class .. ".7.1 " .. text', 'text = "5.7.1 " .. text'],
    ['must(table:addr(address))', 'table:addr(address)'],
    ['table:addr(address)', 'table:get(address)'],
    ['look_up(recipients, recipient)', 'look_up(senders, recipient)'],
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
