import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startServer } from '../helpers/milter-server.ts';
import { Mta } from '../helpers/mta.ts';

const SCRIPT = `
function smtp.do_mail()
  local js = require "js"
  local path = js.require "node:path"
  return 550, path:join("a", "b") .. " " .. js.global:parseInt("12")
end
function smtp.do_rcpt(r)
  local js = require "js"
  local timers = js.require "node:timers/promises"
  if r == "fails" then js.await(js.global.Promise:reject(js.new(js.global.Error, "no luck"))) end
  return 550, js.await(timers:setTimeout(5, "waited"))
end`;

test('with --allow-js a policy uses Node modules, and waits for promises', async (t) => {
  const server = await startServer({ source: SCRIPT }, { 'allow-js': 'true' });
  t.after(() => server.close());
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  assert.match((await mta.mail('<a@b>')).text, /^550 5\.0\.0 a\/b 12/);
  await mta.quit();
});

test('a promise is waited for, its rejection is a Lua error', async (t) => {
  const server = await startServer({ source: SCRIPT.replace('do_mail', 'not_used') }, { 'allow-js': 'true' });
  t.after(() => server.close());
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  await mta.mail('<a@b>');
  assert.equal((await mta.rcpt('<c@d>')).text, '550 5.0.0 waited');
  assert.equal((await mta.rcpt('<fails>')).letter, 'c');
  await server.log.until(/smtp\.do_rcpt: .*smtpf\.lua.*no luck/);
  await mta.quit();
});

test('without it the module is not there', async (t) => {
  const server = await startServer({ source: SCRIPT });
  t.after(() => server.close());
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  assert.equal((await mta.mail('<a@b>')).letter, 'c');
  await server.log.until(/module 'js' not found/);
  await mta.quit();
});
