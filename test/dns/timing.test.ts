/**
 * What `--dns-timeout` promises of slow servers and lost packets: an answer counts for as long as the call has time, a
 * silent server is asked again, and how often is bounded. The servers here have been fast fifty times before, which
 * makes c-ares by itself impatient.
 */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once, setMaxListeners } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Dns } from '../../src/dns/dns.ts';
import { Allowance, Inquiry } from '../../src/dns/inquiry.ts';
import { freePort } from '../helpers/loopback.ts';
import { unheld } from '../helpers/unheld.ts';
import { type Behaviour, data, type Question, Responder } from './responder.ts';

/** For which this process may be held: what is said here of times leaves more. */
const HELD_MS = 80;

const ONE = { records: [['A', 60, data.a('192.0.2.1')]] } as const;
const FOUND = ['192.0.2.1'];
const LATE = 'timeout looking up A of x.test';
const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);

/** Answers everything at once, but for x.test. */
async function respond(t: TestContext, x: Behaviour): Promise<Responder> {
  const responder = await Responder.start((question) => (question.name === 'x.test' ? x(question) : ONE));
  t.after(() => responder.close());
  return responder;
}

/** A client that has had fifty fast answers from each server. */
async function experienced(timeoutMs: number, ...servers: readonly Responder[]): Promise<Dns> {
  const dns = new Dns({ servers: servers.map(({ server }) => server), timeoutMs });
  for (let i = 0; i < 50; i++) assert.deepEqual(await ask(dns, `fast${i}.test`), FOUND);
  return dns;
}

/** As a call of dns.a does. */
async function ask(
  dns: Dns,
  name = 'x.test',
  timeoutMs = dns.timeoutMs,
  cancelled = NEVER,
): Promise<unknown> {
  const answer = await new Inquiry(dns, new Allowance(), { timeoutMs, cancelled }).ask('A', name);
  return answer.kind === 'known' ? answer.value : answer.reason;
}

const SILENT: Behaviour = () => null;
const loses =
  (packets: number): Behaviour =>
  ({ before }) =>
    before < packets ? null : ONE;
const slow =
  (delayMs: number): Behaviour =>
  () => ({ ...ONE, delayMs });
const viaTcp =
  (reaction: (question: Question, nth: number) => ReturnType<Behaviour>): Behaviour =>
  (question) =>
    question.tcp ? reaction(question, Math.floor(question.before / 2)) : { truncated: true };

/** A test that is made again where this process was held meanwhile. */
function timed(what: string, work: (t: TestContext) => Promise<void>): void {
  test(what, (t) => unheld(HELD_MS, () => work(t)));
}

describe('with the default time of 5 s', { concurrency: true }, () => {
  const CASES: readonly (readonly [what: string, behaviour: Behaviour, packets: number])[] = [
    ['an answer after 0.4 s counts, and costs one packet', slow(400), 1],
    ['an answer after 1.5 s counts', slow(1500), 2],
    ['an answer after 3.5 s counts', slow(3500), 3],
    ['an answer after 4.5 s counts', slow(4500), 3],
    ['the first packet may be lost', loses(1), 2],
    ['the first two packets may be lost', loses(2), 3],
    [
      'a late answer to the first packet counts when the others are lost',
      ({ before }) => (before === 0 ? { ...ONE, delayMs: 4000 } : null),
      3,
    ],
    ['a slow answer over TCP counts', viaTcp(() => ({ ...ONE, delayMs: 2500 })), 4],
    ['a lost question over TCP is asked again', viaTcp((_question, nth) => (nth === 0 ? null : ONE)), 4],
  ];
  for (const [what, behaviour, packets] of CASES) {
    timed(what, async (t) => {
      const responder = await respond(t, behaviour);
      const dns = await experienced(5000, responder);
      assert.deepEqual(await ask(dns), FOUND);
      assert.ok(responder.asked('x.test') <= packets, `${responder.asked('x.test')} packets`);
    });
  }

  timed('a silent server gets three packets in 5 s, and it is no "no"', async (t) => {
    const responder = await respond(t, SILENT);
    const dns = await experienced(5000, responder);
    const begun = performance.now();
    assert.equal(await ask(dns), LATE);
    assert.ok(performance.now() - begun > 4900);
    assert.equal(responder.asked('x.test'), 3);
  });

  const SECONDS: readonly (readonly [what: string, first: Behaviour, second: Behaviour])[] = [
    ['is silent', SILENT, slow(0)],
    ['is silent and the second slow', SILENT, slow(2500)],
    ['is silent and the second loses a packet', SILENT, loses(1)],
    ['says SERVFAIL and the second is slow', () => ({ rcode: 2 }), slow(3000)],
    ['says REFUSED and the second loses a packet', () => ({ rcode: 5 }), loses(1)],
    ['answers after 3 s and the second says SERVFAIL', slow(3000), () => ({ rcode: 2 })],
  ];
  for (const [what, one, other] of SECONDS) {
    timed(`the first of two servers ${what}`, async (t) => {
      const [first, second] = [await respond(t, one), await respond(t, other)];
      const dns = await experienced(5000, first, second);
      assert.deepEqual(await ask(dns), FOUND);
      assert.ok(first.asked('x.test') + second.asked('x.test') <= 4);
    });
  }

  timed('the first of two servers is not there and the second loses a packet', async (t) => {
    const second = await respond(t, loses(1));
    const dns = new Dns({ servers: [`127.0.0.1:${await freePort()}`, second.server], timeoutMs: 5000 });
    assert.deepEqual(await ask(dns), FOUND);
  });

  timed('two silent servers get four packets between them', async (t) => {
    const [first, second] = [await respond(t, SILENT), await respond(t, SILENT)];
    const dns = await experienced(5000, first, second);
    assert.equal(await ask(dns), LATE);
    assert.deepEqual([first.asked('x.test'), second.asked('x.test')], [2, 2]);
  });

  timed('what a server said counts more than the silence of another', async (t) => {
    const [first, second] = [await respond(t, SILENT), await respond(t, () => ({ rcode: 2 }))];
    const dns = await experienced(5000, first, second);
    assert.equal(await ask(dns), 'servfail looking up A of x.test');
  });
});

describe('the time of one call', { concurrency: true }, () => {
  for (const timeoutMs of [300, 1000, 4900]) {
    timed(`a lost packet is sent again within ${timeoutMs} ms`, async (t) => {
      const responder = await respond(t, loses(1));
      const dns = await experienced(5000, responder);
      assert.deepEqual(await ask(dns, 'x.test', timeoutMs), FOUND);
    });
    timed(`${timeoutMs} ms of silence are no "no", and end in time`, async (t) => {
      const responder = await respond(t, SILENT);
      const dns = await experienced(5000, responder);
      const begun = performance.now();
      assert.equal(await ask(dns, 'x.test', timeoutMs), LATE);
      assert.ok(performance.now() - begun > timeoutMs - 50);
      assert.ok(responder.asked('x.test') <= 3);
    });
  }

  timed('10 s: a third lost packet is made up for', async (t) => {
    const responder = await respond(t, loses(3));
    const dns = await experienced(10_000, responder);
    assert.deepEqual(await ask(dns, 'x.test', 10_000), FOUND);
  });

  timed('10 s are no more than --dns-timeout', async (t) => {
    const responder = await respond(t, SILENT);
    const dns = await experienced(400, responder);
    assert.equal(await ask(dns, 'x.test', 10_000), LATE);
  });

  timed(
    'who asks in a hurry makes a question under way go faster, and the others have the answer too',
    async (t) => {
      const responder = await respond(t, loses(1));
      const dns = await experienced(60_000, responder);
      const patient = ask(dns);
      await responder.until('x.test');
      assert.deepEqual(await ask(dns, 'x.test', 400), FOUND);
      assert.deepEqual(await patient, FOUND);
      assert.equal(responder.asked('x.test'), 2);
    },
  );

  timed('who asks late has the whole of the own time', async (t) => {
    const responder = await respond(t, slow(3000));
    const dns = await experienced(2000, responder);
    const first = ask(dns);
    await delay(1500);
    assert.deepEqual(await ask(dns), FOUND);
    assert.equal(await first, LATE);
  });

  timed('an answer that came while the process was held counts, and costs no second packet', async (t) => {
    const responder = await respond(t, () => ONE);
    const dns = await experienced(5000, responder);
    const answer = ask(dns, 'x.test', 500);
    await responder.until('x.test');
    // The server, which is this process too, has sent its answer.
    await new Promise(process.nextTick);
    for (const end = performance.now() + 1500; performance.now() < end; );
    assert.deepEqual(await answer, FOUND);
    assert.equal(responder.asked('x.test'), 1);
  });

  timed('an answer that comes when nobody waits any more is kept', async (t) => {
    const responder = await respond(t, slow(600));
    const dns = await experienced(5000, responder);
    assert.equal(await ask(dns, 'x.test', 200), LATE);
    const sent = responder.asked('x.test');
    while (dns.recall('A', 'x.test') === undefined) await delay(20);
    assert.deepEqual(await ask(dns), FOUND);
    assert.equal(responder.asked('x.test'), sent);
  });
});

describe('what is left behind', () => {
  timed('calls that are cancelled send nothing more, and leave no socket and no timer', async (t) => {
    const responder = await respond(t, SILENT);
    const dns = await experienced(2000, responder);
    const before = sockets();
    const over = new AbortController();
    const calls = Array.from({ length: 20 }, (_, i) => ask(dns, `x.test`, 2000 + i, over.signal));
    await responder.until('x.test');
    over.abort();
    assert.deepEqual(new Set(await Promise.all(calls)), new Set([LATE]));
    await delay(2500);
    assert.equal(responder.asked('x.test'), 1);
    assert.ok(sockets() <= before, `${sockets()} sockets, ${before} before`);
    assert.ok(!process.getActiveResourcesInfo().includes('Timeout'));
  });

  timed('an answer closes the sockets of the tries before it', async (t) => {
    const responder = await respond(t, loses(1));
    const dns = await experienced(5000, responder);
    const before = sockets();
    assert.deepEqual(await ask(dns), FOUND);
    await untilClosed(before);
  });

  test('500 questions at once are answered through lost packets', async (t) => {
    const responder = await Responder.start(({ before }) => (before === 0 ? null : ONE));
    t.after(() => responder.close());
    const dns = new Dns({ servers: [responder.server], timeoutMs: 20_000 });
    const before = sockets();
    const names = Array.from({ length: 500 }, (_, i) => `n${i}.test`);
    const answers = Promise.all(names.map((name) => ask(dns, name)));
    // Before any timer: a second packet has a socket of its own, and is due in a second.
    for (let i = 0; i < 20; i++) await undefined;
    const opened = sockets() - before;
    assert.ok(opened > 100 && opened < 250, `${opened} sockets`);
    assert.deepEqual(new Set((await answers).map(String)), new Set(FOUND));
    await untilClosed(before);
  });

  test('sockets are bounded while thousands of questions get no answer', async (t) => {
    const responder = await Responder.start(SILENT);
    const dns = new Dns({ servers: [responder.server], timeoutMs: 3000 });
    const before = sockets();
    const answers = Promise.all(Array.from({ length: 4000 }, (_, i) => ask(dns, `n${i}.test`)));
    let most = 0;
    const look = setInterval(() => {
      most = Math.max(most, sockets() - before);
    }, 100);
    const said = new Set((await answers).map((answer) => String(answer).split(' ')[0]));
    clearInterval(look);
    responder.close();
    t.diagnostic(`${most} sockets at most`);
    assert.deepEqual(said, new Set(['timeout']));
    assert.ok(most < 1200, `${most} sockets`);
  });
});

test('each three questions have a port of their own', async (t) => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  const ports: number[] = [];
  socket.on('message', (message, { port }) => {
    ports.push(port);
    const answer = Buffer.from(message);
    answer[2] = 0x81;
    answer[3] = 0x83; // NXDOMAIN
    socket.send(answer, port, '127.0.0.1');
  });
  const dns = new Dns({ servers: [`127.0.0.1:${socket.address().port}`], timeoutMs: 5000 });
  for (let i = 0; i < 60; i++) assert.deepEqual(await ask(dns, `n${i}.test`), []);
  assert.ok(new Set(ports).size >= 18, `${new Set(ports).size} ports`);
});

/** Waits until no more sockets are open. */
async function untilClosed(most: number): Promise<void> {
  const end = performance.now() + 60_000;
  while (sockets() > most) {
    assert.ok(performance.now() < end, `${sockets()} sockets, ${most} before`);
    await delay(20);
  }
}

/** Open sockets of this process. */
function sockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;
}
