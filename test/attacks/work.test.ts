/** Callbacks whose work is done by the host, before, in and after waits: each ends with its budget, and neighbours are served. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mta, Reply } from '../helpers/mta.ts';
import { type Milter, startMilter } from '../program/milter-client.ts';
import { Neighbour } from './neighbour.ts';

/** By its name, which is the local part of the recipient. */
const ATTACKS: Readonly<Record<string, string>> = {
  longnames: 'local s = ("a."):rep(500000) while true do dns.txt(s) end',
  hugenames:
    'local s = ("x"):rep(20000000) while true do dns.a(s) dns.listed(s, "bl.invalid") pcall(dns.ptr, s) end',
  delays: 'while true do smtp.delay(0) end',
  known: 'while true do dns.a("a..b") end',
  jobs: 'while true do dns.start(dns.a, "a..b") end',
  keptjobs: 'local t = {} while true do t[#t + 1] = dns.start(dns.a, "a..b") end',
  waitedjobs: 'while true do dns.start(dns.a, "a..b"):wait() end',
  recipients: `local n = 0
    while true do
      for i = 1, 20000 do n = n + 1 smtp.add_rcpt("r" .. n .. "@b.example") end
      for i = 1, 20000 do smtp.del_rcpt("r" .. i .. "@b.example") end
    end`,
  parameters: `local t = {} for i = 1, 1000 do t[i] = ("x"):rep(30000) end
    while true do pcall(smtp.add_rcpt, "a@b.example", t) end`,
  addresses:
    'local s = ("a%b"):rep(9000000) while true do pcall(smtp.del_rcpt, s) pcall(smtp.set_sender, s) end',
  headers: 'while true do header.add("X", "y") header.set("Y", "z") header.delete("Y") end',
  pack: `local t, s = {}, ("x"):rep(8000000) for i = 1, 100 do t[i] = s end
    while true do pcall(string.pack, ("s4"):rep(100), table.unpack(t)) end`,
  concat: 'local t = {} for i = 1, 200000 do t[i] = "abc" end while true do table.concat(t, ", ") end',
  separators: `local t, s = {}, ("x"):rep(20000000) for i = 1, 200 do t[i] = "" end
    while true do pcall(table.concat, t, s) end`,
  formats: 'local s = ("x"):rep(20000000) while true do pcall(string.format, s .. "%d", 1) end',
  names:
    'local s = ("x"):rep(20000000) while true do os.getenv(s) os.remove(s) io.open(s) smtp.macro(s) loadfile(s) end',
};

const POLICY = `local attacks = {
${Object.entries(ATTACKS)
  .map(([name, source]) => `${name} = function() ${source} end,`)
  .join('\n')}
}
function smtp.do_rcpt(rcpt)
  local attack = attacks[rcpt:match("^(%w+)@bad.example$")]
  if attack then attack() end
end`;

async function attack(milter: Milter, name: string): Promise<Reply> {
  const mta: Mta = await milter.connect();
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  await mta.mail('<a@b.example>');
  const reply = await mta.rcpt(`<${name}@bad.example>`);
  mta.socket.destroy();
  return reply;
}

/** Times that the recipient is named, in sessions at the same time. */
const SESSIONS = 3;

test('work of the host', async (t) => {
  const milter = await startMilter(t, POLICY, [
    ...['--workers', '1', '--warm-up', '0', '--on-error', 'tempfail'],
    ...['--cpu-ms', '200', '--deadline', '2'],
  ]);
  for (const name of Object.keys(ATTACKS)) {
    await t.test(name, async (t) => {
      const neighbour = await Neighbour.start(t, milter.port);
      const replies = await Promise.all(Array.from({ length: SESSIONS }, () => attack(milter, name)));
      for (const reply of replies) assert.equal(reply.letter, 't', `${name}: ${reply.text}`);
      await neighbour.stop(t);
    });
  }
});
