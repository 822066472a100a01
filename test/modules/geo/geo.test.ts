/** The module `geo` as a policy sees it, with a file and in a test. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GeoFiles } from '../../../src/geo/geo.ts';
import { LuaContext } from '../../../src/lua/context/context.ts';
import { Template } from '../../../src/lua/context/template.ts';
import { compile } from '../../../src/lua/script/compilation.ts';
import { policyLibraries } from '../../../src/modules/install.ts';
import { evaluate } from '../../helpers/lua-context.ts';
import { mmdb } from '../../helpers/mmdb.ts';
import { servicesWith } from '../../helpers/services.ts';
import { passes } from '../../policy-test/run-tests.ts';

const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-geo-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const path = join(directory, 'test.mmdb');
writeFileSync(
  path,
  mmdb({
    '192.0.2.0/24': {
      country: { iso_code: 'DE' },
      autonomous_system_number: 64_496,
      autonomous_system_organization: 'ä',
    },
    '2001:db8::/32': { country: { iso_code: 'SE' }, autonomous_system_number: 4_200_000_000 },
  }),
);

async function run(chunk: string, paths = [path]): Promise<string> {
  const geo = new GeoFiles(paths, { notice: () => {}, warning: () => {} });
  const template = new Template(policyLibraries(servicesWith({ geo })));
  const source = `local r, e = (function() ${chunk} end)() return tostring(r) .. " " .. tostring(e)`;
  const context = new LuaContext({ template, script: compile(Buffer.from(source), 'test.lua') });
  const outcome = await evaluate(context);
  context.dispose();
  if (outcome.kind === 'done') return outcome.value;
  return 'message' in outcome ? outcome.message : outcome.kind;
}

test('country and network of an address, however it is written', async () => {
  assert.equal(await run('return geo.country "192.0.2.7"'), 'DE nil');
  assert.equal(await run('return geo.country "::ffff:192.0.2.7"'), 'DE nil');
  assert.equal(await run('return geo.country "2001:DB8:0:0::1"'), 'SE nil');
  assert.equal(await run('return geo.country "2001:db8::192.0.2.1"'), 'SE nil');
  assert.equal(await run('return geo.country "198.51.100.1"'), 'nil nil');
  for (const text of ['', 'unknown', '/run/socket', '192.0.2', '192.0.2.1/24', '1'.repeat(300)])
    assert.equal(await run(`return geo.country "${text}"`), 'nil nil', text);
  assert.equal(await run('return geo.asn "192.0.2.7"'), `64496 ${Buffer.from('ä').toString('latin1')}`);
  assert.equal(
    await run('local n, name = geo.asn "2001:db8::1" return n, "(" .. name .. ")"'),
    '4200000000.0 ()',
  );
  assert.equal(await run('geo.country "192.0.2.7" return geo.country("192.0.2.7", 1)'), 'DE nil');
  assert.equal(await run('return job.start(geo.country, "192.0.2.7"):wait()'), 'DE nil');
});

test('what cannot be found out is no “unknown”', async () => {
  assert.equal(await run('return geo.country "192.0.2.7"', []), 'nil unavailable no --geo');
  assert.match(
    await run('return geo.asn "192.0.2.7"', ['/nonexistent']),
    /^nil unavailable geo file \/nonexistent/,
  );
  assert.match(
    await run('return geo.country(nil)'),
    /bad argument #1 to 'country' \(string expected, got nil\)/,
  );
  assert.match(
    await run('return geo.country("192.0.2.7", 0)'),
    /bad argument #2 to 'country' \(seconds expected/,
  );
});

test('a test says where addresses are', async (t) => {
  await passes(
    t,
    `function smtp.do_rcpt()
      local ip = smtp.sess.ip
      local country, err = geo.country(ip)
      local number, name = geo.asn(ip)
      return 550, ("5.7.1 %s %s %s %s"):format(country, err, number, name)
    end`,
    `local function ask(ip)
      local s = test.session { ip = ip }
      s:mail "a@b.example"
      return s:rcpt("c@d.example").text
    end
    test.equal(ask "192.0.2.1", "nil unavailable no file in a test: see test.geo nil unavailable no file in a test: see test.geo")
    test.geo { ["192.0.2.1"] = "DE", ["2001:db8::1"] = { country = "NL", asn = 64496, name = "Example" }, ["192.0.2.9"] = test.fails "protocol" }
    test.equal(ask "192.0.2.1", "DE nil nil nil")
    test.equal(ask "2001:db8:0::1", "NL nil 64496 Example")
    test.equal(ask "192.0.2.2", "nil nil nil nil")
    test.equal(ask "192.0.2.9", "nil protocol as the test says nil protocol as the test says")
    test.geo { ["*"] = function(ip) return { country = "FR", asn = #ip, name = ip } end }
    test.equal(ask "192.0.2.2", "FR nil 9 192.0.2.2")
    test.equal(ask "192.0.2.1", "DE nil nil nil")
    test.equal(pcall(test.geo, { x = "DE" }), false)`,
  );
});
