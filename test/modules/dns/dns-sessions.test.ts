/** Policies that wait, over milter connections: nobody waits for another, and who is gone is not waited for. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { data, Responder } from '../../dns/responder.ts';
import { startServer, type TestServer } from '../../helpers/milter-server.ts';
import { Mta } from '../../helpers/mta.ts';

const ONE = { records: [['A', 60, data.a('192.0.2.1')]] } as const;

async function start(
  t: TestContext,
  source: string,
  options: Readonly<Record<string, string>>,
): Promise<TestServer> {
  const server = await startServer({ source }, options);
  t.after(() => server.close());
  return server;
}

async function slowServer(t: TestContext, delayMs: number): Promise<string> {
  const child = fork(new URL('../../dns/responder-process.ts', import.meta.url), [String(delayMs)]);
  t.after(() => child.disconnect());
  const [server] = await once(child, 'message');
  return server;
}

/** Time from the first HELO to the last reply to one, in milliseconds. */
async function heloAll(mtas: readonly Mta[]): Promise<number> {
  const begun = performance.now();
  const replies = await Promise.all(mtas.map((mta, i) => mta.helo(`h${i}.${begun}.test`)));
  const taken = performance.now() - begun;
  for (const reply of replies) assert.equal(reply.text, '550 5.7.1 {192.0.2.1}');
  return taken;
}

test('1,000 sessions that wait 200 ms for DNS are done in about the time of one', async (t) => {
  const server = await start(
    t,
    `function smtp.do_helo(name)
       local found, err = dns.a(name)
       return 550, "5.7.1 " .. (found and "{" .. table.concat(found, ",") .. "}" or err)
     end`,
    {
      ...{ 'dns-server': await slowServer(t, 200), 'log-level': 'error' },
      // A busy machine takes its time for a thousand.
      ...{ 'dns-timeout': '100', deadline: '120' },
    },
  );
  const mtas: Mta[] = [];
  for (let i = 0; i < 1000; i++) {
    const mta = await Mta.open(server);
    await mta.connect('192.0.2.7');
    mtas.push(mta);
  }
  const alone = await heloAll(mtas.slice(0, 1));
  assert.ok(alone >= 195, `${alone} ms`);
  const together = await heloAll(mtas);
  t.diagnostic(`one session: ${alone.toFixed(0)} ms, 1,000 sessions: ${together.toFixed(0)} ms`);
  // One after the other they would take 1,000 times 200 ms; the machine may be busy with other things.
  assert.ok(together < 100_000, `one: ${alone} ms, all: ${together} ms`);
  for (const mta of mtas) mta.socket.destroy();
});

test('a session that waits does not delay another', async (t) => {
  const responder = await Responder.start(({ name }) => (name === 'slow.test' ? null : ONE));
  t.after(() => responder.close());
  const server = await start(
    t,
    'function smtp.do_helo(name) return 550, "5.7.1 " .. tostring(select(2, dns.a(name)) or "found") end',
    { 'dns-server': responder.server, 'dns-timeout': '60', deadline: '60' },
  );
  const [waiting, other] = [await Mta.open(server), await Mta.open(server)];
  for (const mta of [waiting, other]) await mta.connect('192.0.2.7');
  const slow = waiting.helo('slow.test').catch((error: Error) => error.message);
  await responder.until('slow.test');
  // These would not come before the time-out of the test if they were kept waiting.
  for (let i = 0; i < 20; i++) {
    assert.equal((await other.helo(`fast${i}.test`)).text, '550 5.7.1 found');
  }
  await other.quit();
  await waiting.drop();
  assert.equal(await slow, 'the filter closed the connection');
});

test('a wait ends when the MTA is gone, and the session with it', async (t) => {
  const responder = await Responder.start(() => null);
  t.after(() => responder.close());
  const server = await start(
    t,
    `function smtp.do_connect() job = dns.start(dns.txt, "job.test") end
     function smtp.do_helo(name) syslog.info("WAITING " .. name)
       if name == "delay" then smtp.delay(3600) end dns.a(name) syslog.info("NOT REACHED") end
     function smtp.close() syslog.info("CLOSED " .. tostring(smtp.sess.helo)) end`,
    { 'dns-server': responder.server, 'dns-timeout': '600', deadline: '3600' },
  );
  for (const name of ['x.test', 'delay']) {
    const mta = await Mta.open(server);
    await mta.connect('192.0.2.7');
    const replied = mta.helo(name).catch((error: Error) => error.message);
    await server.log.until(new RegExp(`WAITING ${name}$`));
    await mta.drop();
    assert.equal(await replied, 'the filter closed the connection');
    await server.log.until(new RegExp(`CLOSED ${name}$`));
  }
  assert.ok(!server.log.lines.some((line) => line.includes('NOT REACHED')));
});

test('the deadline of the callback ends a wait with the action of --on-error', async (t) => {
  const responder = await Responder.start(() => null);
  t.after(() => responder.close());
  const server = await start(t, 'function smtp.do_helo(name) dns.a(name) end', {
    'dns-server': responder.server,
    'dns-timeout': '60',
    deadline: '0.2',
    'on-error': 'tempfail',
  });
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  assert.equal((await mta.helo('x.test')).letter, 't');
  await server.log.until(/smtpf\.lua:1: .*the time for this callback is over/);
  await mta.quit();
});

test('must turns "could not find out" into the action of --on-error, and lets a firm no pass', async (t) => {
  const responder = await Responder.start(({ name }) => ({ rcode: name === 'no.test' ? 3 : 2 }));
  t.after(() => responder.close());
  const server = await start(
    t,
    'function smtp.do_helo(name) if #must(dns.mx(name)) == 0 then return 550, "5.7.1 no MX" end end',
    { 'dns-server': responder.server, 'on-error': 'tempfail' },
  );
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  assert.equal((await mta.helo('no.test')).text, '550 5.7.1 no MX');
  assert.equal((await mta.helo('broken.test')).letter, 't');
  await server.log.until(/smtpf\.lua:1: could not find out: servfail looking up MX of broken\.test/);
  await mta.quit();
});

test('at end of message the MTA is told to go on waiting', async (t) => {
  // Asked again and again, it says something once the MTA has been told twice.
  const responder = await Responder.start(() => (mta.progress < 2 ? null : ONE));
  t.after(() => responder.close());
  const server = await start(t, 'function smtp.do_dot() return 550, "5.7.1 " .. dns.a("x.test")[1] end', {
    'dns-server': responder.server,
    'dns-timeout': '60',
  });
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  await mta.helo('mx.test');
  await mta.mail('<a@b.test>');
  await mta.rcpt('<c@d.test>');
  await mta.data();
  assert.equal((await mta.content([['Subject', ' x']], 'body\r\n')).text, '550 5.7.1 192.0.2.1');
  assert.ok(mta.progress >= 2, `${mta.progress} times`);
  await mta.quit();
});

test('look-ups begun at connect have their answers waiting at RCPT', async (t) => {
  const responder = await Responder.start(() => ({ records: [['A', 60, data.a('127.0.0.2')]] }));
  t.after(() => responder.close());
  const server = await start(
    t,
    `local lists
     function smtp.do_connect(ip)
       lists = { dns.start(dns.listed, ip, "one.test"), dns.start(dns.listed, ip, "two.test") }
     end
     function smtp.do_rcpt()
       for _, list in ipairs(lists) do
         local code = must(list:wait())
         if code then return 554, "5.7.1 listed " .. code end
       end
     end`,
    { 'dns-server': responder.server },
  );
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  await responder.until('7.2.0.192.two.test');
  await mta.helo('mx.test');
  await mta.mail('<a@b.test>');
  assert.equal((await mta.rcpt('<c@d.test>')).text, '554 5.7.1 listed 127.0.0.2');
  assert.equal(responder.questions.filter(({ type }) => type === 'A').length, 2);
  await mta.quit();
});
