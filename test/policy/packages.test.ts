/** Packages are loaded with the scripts that use them, before any callback, and with no others. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startServer } from '../helpers/milter-server.ts';

const { cache } = createRequire(import.meta.url);
const isLoaded = (name: string): boolean =>
  Object.keys(cache).some((path) => path.includes(`/node_modules/${name}/`));

test('a package is loaded for a module that names a function of it, when that is required', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-packages-'));
  t.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'plain.lua'), 'return function(ip) return net.prefix(ip) end');
  writeFileSync(join(directory, 'domains.lua'), 'return function(host) return net.domain(host) end');
  const examine = async (source: string): Promise<void> => {
    const server = await startServer({ source }, { 'package-path': `${directory}/?.lua` });
    const { problem } = await server.policies.examine();
    await server.close();
    assert.equal(problem, undefined);
  };
  await examine('local domain = "example.com" function smtp.do_rcpt() return dns.a(domain) and nil end');
  await examine('local f = require "plain" function smtp.do_connect(ip) smtp.note.key = f(ip) end');
  assert.ok(!isLoaded('tldts'));
  // The callback has not been called.
  await examine('local f = require "domains" function smtp.do_connect(ip, ptr) smtp.note.key = f(ptr) end');
  assert.ok(isLoaded('tldts'));
});
