/** Look-ups at a real name server, and at one that misbehaves. */
import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { networkInterfaces } from 'node:os';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Dns } from '../../src/dns/dns.ts';
import type { RecordType } from '../../src/dns/records.ts';
import { freePort } from '../helpers/loopback.ts';
import { unheld } from '../helpers/unheld.ts';
import { Nsd, withoutNsd } from './nsd.ts';
import { type Behaviour, data, Responder } from './responder.ts';

async function respond(t: TestContext, behaviour: Behaviour): Promise<Responder> {
  const responder = await Responder.start(behaviour);
  t.after(() => responder.close());
  return responder;
}

const dnsOf = (timeoutMs: number, ...servers: readonly { readonly server: string }[]) =>
  new Dns({ servers: servers.map(({ server }) => server), timeoutMs });

const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);

/** The value, or the reason why there is none. */
async function ask(dns: Dns, type: RecordType, name: string): Promise<unknown> {
  const answer = await dns.query(type, name, { timeoutMs: dns.timeoutMs, cancelled: NEVER });
  return answer.kind === 'known' ? answer.value : answer.reason;
}

const SILENT: Behaviour = () => null;
const ONE: Behaviour = () => ({ records: [['A', 60, data.a('192.0.2.1')]] });

describe('a real name server', { skip: withoutNsd }, () => {
  let nsd: Nsd;
  let dns: Dns;
  before(async () => {
    nsd = await Nsd.start({
      'odd.test': `a=b 60 IN A 192.0.2.1
a=b 60 IN A 192.0.2.2
a=b 60 IN AAAA 2001:db8::1
foo:bar 60 IN MX 20 mx1
foo:bar 60 IN MX 10 mx:2
with\\032space 60 IN TXT "v=spf1 " "-all"
big= 60 IN TXT ${Array.from({ length: 12 }, () => `"${'x'.repeat(240)}"`).join(' ')}
alias= 60 IN CNAME a=b
pointer= 60 IN PTR two.example.
`,
    });
    dns = dnsOf(5000, nsd);
  });
  after(() => nsd?.stop());

  const ANSWERS: readonly (readonly [RecordType, string, unknown])[] = [
    ['A', 'two.example', ['192.0.2.1', '192.0.2.2']],
    ['AAAA', 'two.example', ['2001:db8::1']],
    ['A', 'alias.example', ['192.0.2.1', '192.0.2.2']],
    ['NS', 'example', ['ns1.example', 'ns2.example']],
    ['PTR', '26.2.0.192.in-addr.arpa', ['false.example']],
    ['TXT', 'onlytxt.example', ['bytes \xe4\0\xff end', 'v=spf1 -all']],
    [
      'MX',
      'mail.example',
      [
        { host: 'first.elsewhere.example', pref: 10 },
        { host: 'first.example', pref: 10 },
        { host: 'backup.example', pref: 20 },
      ],
    ],
    ['MX', 'nomail.example', [{ host: '.', pref: 0 }]],
    ['A', 'nothing.example', []],
    ['A', 'a=b.odd.test', ['192.0.2.1', '192.0.2.2']],
    ['AAAA', 'a=b.odd.test', ['2001:db8::1']],
    [
      'MX',
      'foo:bar.odd.test',
      [
        { host: 'mx:2.odd.test', pref: 10 },
        { host: 'mx1.odd.test', pref: 20 },
      ],
    ],
    ['TXT', 'with space.odd.test', ['v=spf1 -all']],
    ['TXT', 'big=.odd.test', ['x'.repeat(12 * 240)]], // Over TCP.
    ['A', 'alias=.odd.test', ['192.0.2.1', '192.0.2.2']],
    ['PTR', 'pointer=.odd.test', ['two.example']],
    ['A', 'nothing=.odd.test', []],
    ['A', 'x=y.broken.test', 'servfail looking up A of x=y.broken.test'],
    ['A', 'onlytxt.example', []],
    ['A', 'dangling.example', []],
    ['A', 'www.unserved.test', 'refused looking up A of www.unserved.test'],
    ['MX', 'x.broken.test', 'servfail looking up MX of x.broken.test'],
  ];
  for (const [type, name, expected] of ANSWERS) {
    test(`${type} of ${name}`, async () => {
      const value = await ask(dns, type, name);
      // The order of equals is the server's.
      const sorted = Array.isArray(value)
        ? value.toSorted(
            (one, other) => one.pref - other.pref || (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1),
          )
        : value;
      assert.deepEqual(sorted, expected);
    });
  }

  test('answers too long for UDP come by TCP', async () => {
    const [text] = (await ask(dns, 'TXT', 'big.example')) as string[];
    assert.equal(text?.length, 12 * 242);
    assert.equal(((await ask(dns, 'A', 'many.example')) as string[]).length, 60);
  });
});

describe('a name server that misbehaves', () => {
  const REACTIONS: readonly (readonly [string, Behaviour, RegExp])[] = [
    ['FORMERR', () => ({ rcode: 1 }), /^protocol looking up A of x\.test$/],
    ['SERVFAIL', () => ({ rcode: 2 }), /^servfail looking up A of x\.test$/],
    ['NOTIMP', () => ({ rcode: 4 }), /^refused looking up A of x\.test$/],
    ['REFUSED', () => ({ rcode: 5 }), /^refused looking up A of x\.test$/],
    ['nothing', SILENT, /^timeout looking up A of x\.test$/],
    ['garbage', () => ({ bytes: Buffer.alloc(40, 0xff) }), /^(protocol|timeout) /],
    ['half an answer', () => ({ bytes: Buffer.from('8180000100') }), /^(protocol|timeout) /],
    ['another id', () => ({ ...ONE({} as never), wrongId: true }), /^timeout looking up A of x\.test$/],
    [
      'an address of 3 bytes',
      () => ({ records: [['A', 60, Buffer.from([1, 2, 3])]] }),
      /^(protocol|timeout) /,
    ],
    ['truncated by UDP and nothing by TCP', ({ tcp }) => (tcp ? null : { truncated: true }), /^timeout /],
    [
      'truncated by UDP and garbage by TCP',
      ({ tcp }) => (tcp ? { bytes: Buffer.alloc(40, 0xff) } : { truncated: true }),
      /^(protocol|timeout|unavailable) /,
    ],
  ];
  for (const [what, behaviour, expected] of REACTIONS) {
    test(`that answers ${what} is no "no"`, async (t) => {
      await unheld(100, async () => {
        const responder = await respond(t, behaviour);
        assert.match(String(await ask(dnsOf(300, responder), 'A', 'x.test')), expected);
      });
    });
  }

  test('that is not there is unavailable', async () => {
    const dns = new Dns({ servers: [`127.0.0.1:${await freePort()}`], timeoutMs: 5000 });
    assert.equal(await ask(dns, 'A', 'x.test'), 'unavailable looking up A of x.test');
  });

  test('that loses the first question is asked again', async (t) => {
    await unheld(100, async () => {
      const responder = await respond(t, (question) => (question.before === 0 ? null : ONE(question)));
      assert.deepEqual(await ask(dnsOf(600, responder), 'A', 'x.test'), ['192.0.2.1']);
      assert.equal(responder.asked('x.test'), 2);
    });
  });

  test('that answers the first question late is still heard', async (t) => {
    await unheld(100, async () => {
      const responder = await respond(t, (question) =>
        question.before === 0 ? { ...ONE(question), delayMs: 700 } : null,
      );
      assert.deepEqual(await ask(dnsOf(1500, responder), 'A', 'x.test'), ['192.0.2.1']);
      assert.equal(responder.asked('x.test'), 2);
    });
  });

  test('that truncates is asked over TCP', async (t) => {
    const responder = await respond(t, (question) => (question.tcp ? ONE(question) : { truncated: true }));
    assert.deepEqual(await ask(dnsOf(20_000, responder), 'A', 'x.test'), ['192.0.2.1']);
    assert.deepEqual(
      responder.questions.map(({ tcp }) => tcp),
      [false, true],
    );
  });

  for (const [what, behaviour] of [
    ['SERVFAIL', () => ({ rcode: 2 })],
    ['REFUSED', () => ({ rcode: 5 })],
    ['nothing', SILENT],
  ] as const) {
    test(`that answers ${what} hands over to the next one`, async (t) => {
      await unheld(100, async () => {
        const bad = await respond(t, behaviour);
        const good = await respond(t, ONE);
        assert.deepEqual(await ask(dnsOf(2000, bad, good), 'A', 'x.test'), ['192.0.2.1']);
        assert.equal(bad.asked('x.test'), 1);
      });
    });
  }

  test('that says why counts more than one that says nothing', async (t) => {
    const silent = await respond(t, SILENT);
    const refusing = await respond(t, () => ({ rcode: 5 }));
    for (const servers of [
      [silent, refusing],
      [refusing, silent],
    ]) {
      await unheld(50, async () =>
        assert.match(String(await ask(dnsOf(400, ...servers), 'A', 'x.test')), /^refused /),
      );
    }
  });

  test('a firm no of the first server is not asked for again', async (t) => {
    const first = await respond(t, () => ({ rcode: 3 }));
    const second = await respond(t, ONE);
    assert.deepEqual(await ask(dnsOf(20_000, first, second), 'A', 'x.test'), []);
    assert.equal(second.questions.length, 0);
  });
});

describe('the cache', () => {
  /** A clock that only the test moves; time-outs go by the real one. */
  function clock(t: TestContext): { forward(ms: number): void } {
    let now = performance.now();
    t.mock.method(performance, 'now', () => now);
    return {
      forward: (ms) => {
        now += ms;
      },
    };
  }

  test('keeps addresses for their TTL, the least of them', async (t) => {
    const time = clock(t);
    const responder = await respond(t, () => ({
      records: [
        ['A', 300, data.a('192.0.2.1')],
        ['A', 20, data.a('192.0.2.2')],
      ],
    }));
    const dns = dnsOf(20_000, responder);
    await ask(dns, 'A', 'x.test');
    time.forward(19_000);
    await ask(dns, 'A', 'x.test');
    assert.equal(responder.asked('x.test'), 1);
    time.forward(2000);
    await ask(dns, 'A', 'x.test');
    assert.equal(responder.asked('x.test'), 2);
  });

  test('does not keep what has a TTL of 0', async (t) => {
    const responder = await respond(t, () => ({ records: [['A', 0, data.a('192.0.2.1')]] }));
    const dns = dnsOf(20_000, responder);
    await ask(dns, 'A', 'x.test');
    await ask(dns, 'A', 'x.test');
    assert.equal(responder.asked('x.test'), 2);
  });

  test('keeps a firm no for half a minute, and each type by itself', async (t) => {
    const time = clock(t);
    const responder = await respond(t, ({ type }) =>
      type === 'MX' ? { records: [['MX', 60, data.mx(5, 'mx.test')]] } : { rcode: 3 },
    );
    const dns = dnsOf(20_000, responder);
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(await ask(dns, 'A', 'x.test'), []);
      assert.deepEqual(await ask(dns, 'MX', 'x.test'), [{ host: 'mx.test', pref: 5 }]);
    }
    assert.equal(responder.asked('x.test'), 2);
    time.forward(31_000);
    await ask(dns, 'A', 'x.test');
    await ask(dns, 'MX', 'x.test');
    assert.equal(responder.asked('x.test'), 3);
  });

  test('keeps a failure for a second only', async (t) => {
    const time = clock(t);
    const responder = await respond(t, (question) => (question.before === 0 ? { rcode: 2 } : ONE(question)));
    const dns = dnsOf(20_000, responder);
    assert.match(String(await ask(dns, 'A', 'x.test')), /^servfail /);
    assert.match(String(await ask(dns, 'A', 'x.test')), /^servfail /);
    assert.equal(responder.asked('x.test'), 1);
    time.forward(1100);
    assert.deepEqual(await ask(dns, 'A', 'x.test'), ['192.0.2.1']);
  });

  test('those who ask the same at a time share one question', async (t) => {
    const responder = await respond(t, (question) => ({ ...ONE(question), delayMs: 50 }));
    const dns = dnsOf(20_000, responder);
    const answers = await Promise.all(Array.from({ length: 100 }, () => ask(dns, 'A', 'x.test')));
    assert.deepEqual(new Set(answers.map(String)), new Set(['192.0.2.1']));
    assert.equal(responder.asked('x.test'), 1);
  });
});

test('a thousand questions at once are all answered', async (t) => {
  const responder = await respond(t, ONE);
  const dns = dnsOf(60_000, responder);
  const answers = await Promise.all(Array.from({ length: 1000 }, (_, i) => ask(dns, 'A', `n${i}.test`)));
  assert.deepEqual(new Set(answers.map(String)), new Set(['192.0.2.1']));
});

const withoutIpv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
)
  ? false
  : 'this machine has no ::1';

test('a server is asked over IPv6', { skip: withoutIpv6 }, async (t) => {
  const responder = await Responder.start(ONE, '::1');
  t.after(() => responder.close());
  assert.equal(responder.server, `[::1]:${responder.port}`);
  assert.deepEqual(await ask(dnsOf(20_000, responder), 'A', 'x.test'), ['192.0.2.1']);
});
