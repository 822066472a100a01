/** The library `dns`, `must` and `smtp.delay` as a script sees them. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Dns } from '../../../src/dns/dns.ts';
import { LuaContext, type Outcome } from '../../../src/lua/context/context.ts';
import { Template } from '../../../src/lua/context/template.ts';
import { defaultLimits } from '../../../src/lua/engine/host.ts';
import { compile } from '../../../src/lua/script/compilation.ts';
import { policyLibraries } from '../../../src/modules/install.ts';
import { Nsd, withoutNsd } from '../../dns/nsd.ts';
import { type Behaviour, data, Responder } from '../../dns/responder.ts';
import { callGlobal, evaluate } from '../../helpers/lua-context.ts';
import { servicesWith } from '../../helpers/services.ts';

/** Shows tables as a script would write them. */
const SHOW = `
local function show(v)
  if type(v) ~= "table" then return tostring(v) end
  local t, keys = {}, {}
  for i, x in ipairs(v) do t[i] = show(x) end
  for k in pairs(v) do if type(k) == "string" then keys[#keys + 1] = k end end
  table.sort(keys)
  for _, k in ipairs(keys) do t[#t + 1] = k .. "=" .. show(v[k]) end
  return "{" .. table.concat(t, ",") .. "}"
end
local function all(...)
  local t = { n = select("#", ...), ... }
  for i = 1, t.n do t[i] = show(t[i]) end
  return table.concat(t, " ")
end
`;

function templateOf(server: string, timeoutMs = 5000): Template {
  const records = new Dns({ servers: [server], timeoutMs });
  return new Template(policyLibraries(servicesWith({ records })));
}

function contextOf(template: Template, source: string, cpuMs = defaultLimits.cpuMs): LuaContext {
  return new LuaContext({
    ...{ template, script: compile(Buffer.from(source, 'latin1'), 'test.lua') },
    limits: { ...defaultLimits, cpuMs },
  });
}

function textOf(outcome: Outcome<string>): string {
  return outcome.kind === 'done' ? outcome.value : 'message' in outcome ? outcome.message : outcome.kind;
}

/** What an expression gives, or the error it ends in. */
async function evaluated(template: Template, expression: string): Promise<string> {
  const context = contextOf(template, `${SHOW}return all(${expression})`);
  const text = textOf(await evaluate(context));
  context.dispose();
  return text.replace(/^test\.lua:\d+: /, 'error: ');
}

/** A template of its own for every test: nothing is in its cache. */
async function asking(
  t: { after(f: () => void): void },
  behaviour: Behaviour,
  timeoutMs?: number,
): Promise<{ responder: Responder; template: Template }> {
  const responder = await Responder.start(behaviour);
  t.after(() => responder.close());
  return { responder, template: templateOf(responder.server, timeoutMs) };
}

/**
 * How often a resolver may have asked for one name since then, where two who ask share a question: once, and again after
 * each second of silence, for which a busy machine may be to blame.
 */
function mostTries(begun: number): number {
  return 1 + Math.floor((performance.now() - begun) / 900);
}

const ONE: Behaviour = () => ({ records: [['A', 60, data.a('192.0.2.1')]] });

describe('look-ups at a real name server', { skip: withoutNsd }, () => {
  let nsd: Nsd;
  let template: Template;
  before(async () => {
    nsd = await Nsd.start();
    template = templateOf(nsd.server);
  });
  after(() => nsd?.stop());

  const VALUES: readonly (readonly [expression: string, value: string])[] = [
    ['#dns.a("two.example"), dns.a("TWO.Example.")[1] ~= dns.a("two.example")[2]', '2 true'],
    ['dns.a("alias.example", 2)', '{192.0.2.1,192.0.2.2}'],
    ['dns.a("b\xc3\xbccher.example")', '{192.0.2.88}'],
    ['dns.a("under_score.example")', '{192.0.2.89}'],
    ['dns.a("nothing.example")', '{}'],
    ['dns.a("onlytxt.example")', '{}'],
    ['dns.a("")', '{}'],
    ['dns.a("user..example")', '{}'],
    ['dns.a(("x"):rep(64) .. ".example")', '{}'],
    ['dns.a("www.unserved.test")', 'nil refused looking up A of www.unserved.test'],
    ['dns.mx("x.broken.test")', 'nil servfail looking up MX of x.broken.test'],
    [
      'dns.a("a\\0b\\r\\n\\255.example")',
      'nil protocol looking up A of a?b???.example: characters that cannot be asked for',
    ],
    ['dns.aaaa("two.example")', '{2001:db8::1}'],
    ['#dns.ns("example")', '2'],
    ['dns.mx("mail.example")[3], dns.mx("mail.example")[1].pref', '{host=backup.example,pref=20} 10'],
    ['dns.mx("nomail.example")', '{{host=.,pref=0}}'],
    ['dns.mx("two.example")', '{}'],
    ['math.type(dns.mx("nomail.example")[1].pref)', 'integer'],
    ['dns.txt("big.example")[1]:sub(1, 4), #dns.txt("big.example")[1]', '00xx 2904'],
    ['dns.ptr("192.0.2.26")', '{false.example}'],
    ['dns.ptr("::ffff:192.0.2.26")', '{false.example}'],
    ['dns.ptr("2001:db8::25")', '{mx6.example}'],
    ['dns.ptr("192.0.2.99")', '{}'],
    ['dns.ptr("198.51.100.1")', 'nil refused looking up PTR of 1.100.51.198.in-addr.arpa'],
    ['dns.fcrdns("192.0.2.25")', 'mx1.example'],
    ['dns.fcrdns("2001:DB8:0::0025")', 'mx6.example'],
    ['dns.fcrdns("192.0.2.26")', 'false'],
    ['dns.fcrdns("192.0.2.27")', 'false'],
    ['dns.fcrdns("192.0.2.28")', 'nil refused looking up A of host.unserved.test'],
    ['dns.fcrdns("198.51.100.1")', 'nil refused looking up PTR of 1.100.51.198.in-addr.arpa'],
    ['dns.listed("127.0.0.2", "bl.test")', '127.0.0.2 test point'],
    ['dns.listed("192.0.2.7", "bl.test.")', '127.0.0.4 see https://bl.test/7'],
    ['dns.listed("192.0.2.7", "bl.test", "127.0.0.10")', '127.0.0.10 see https://bl.test/7'],
    ['dns.listed("192.0.2.7", "bl.test", { "127.0.0.2", "127.0.0.[5..9]" })', 'false'],
    ['dns.listed("192.0.2.8", "bl.test", nil, 3)', '127.0.0.9 '],
    ['dns.listed("192.0.2.9", "bl.test")', 'false'],
    ['dns.listed("2001:db8::25", "bl.test")', '127.0.0.3 '],
    ['dns.listed("bad.example", "bl.test")', '127.0.1.2 '],
    ['dns.listed("bad.example.", "bl.test")', '127.0.1.2 '],
    ['dns.listed("good.example", "bl.test")', 'false'],
    ['dns.listed(("x."):rep(126), "bl.test")', 'false'],
    [
      'dns.listed("192.0.2.7", "parked.test")',
      'nil protocol parked.test answers 203.0.113.80, which no list does',
    ],
    [
      'dns.listed("192.0.2.7", "away.test")',
      'nil refused away.test answers 127.255.255.254: it turns this question away',
    ],
    ['dns.listed("192.0.2.7", "broken.test")', 'nil servfail looking up A of 7.2.0.192.broken.test'],
    ['dns.start(dns.a, "alias.example"):wait()', '{192.0.2.1,192.0.2.2}'],
    ['dns.start(dns.listed, "127.0.0.2", "bl.test"):wait(5)', '127.0.0.2 test point'],
    ['dns.start(dns.a, "x.broken.test"):wait()', 'nil servfail looking up A of x.broken.test'],
    ['must(dns.listed("127.0.0.2", "bl.test"))', '127.0.0.2 test point'],
    ['must(dns.a("nothing.example"))', '{}'],
    ['must(dns.a("x.broken.test"))', 'error: could not find out: servfail looking up A of x.broken.test'],
    ['require "dns" == dns', 'true'],
  ];
  for (const [expression, value] of VALUES) {
    test(expression, async () => {
      assert.equal(await evaluated(template, expression), value);
    });
  }

  test('text is bytes as the server has them', async () => {
    const found = await evaluated(template, 'table.unpack(dns.txt("onlytxt.example"))');
    assert.ok(found.includes('v=spf1 -all'));
    assert.ok(found.includes('bytes \xe4\0\xff end'));
  });
});

describe('wrong arguments raise with the line of the script', () => {
  const address = 'seconds expected, more than 0 and at most 86400';
  const ERRORS: readonly (readonly [expression: string, message: string])[] = [
    ['dns.a()', "bad argument #1 to 'a' (string expected, got no value)"],
    ['dns.a(nil)', "bad argument #1 to 'a' (string expected, got nil)"],
    ['dns.mx({})', "bad argument #1 to 'mx' (string expected, got table)"],
    ['dns.txt("x.test", 0)', `bad argument #2 to 'txt' (${address})`],
    ['dns.txt("x.test", -1)', `bad argument #2 to 'txt' (${address})`],
    ['dns.txt("x.test", 0/0)', `bad argument #2 to 'txt' (${address})`],
    ['dns.txt("x.test", 1/0)', `bad argument #2 to 'txt' (${address})`],
    ['dns.txt("x.test", "soon")', "bad argument #2 to 'txt' (number expected, got string)"],
    ['dns.ptr("example.com")', "bad argument #1 to 'ptr' (IP address expected)"],
    ['dns.ptr("")', "bad argument #1 to 'ptr' (IP address expected)"],
    ['dns.fcrdns("192.0.2")', "bad argument #1 to 'fcrdns' (IP address expected)"],
    ['dns.listed("192.0.2.1")', "bad argument #2 to 'listed' (string expected, got no value)"],
    ['dns.listed("192.0.2.1", "")', "bad argument #2 to 'listed' (domain of a list expected)"],
    ['dns.listed("192.0.2.1", "b l")', "bad argument #2 to 'listed' (domain of a list expected)"],
    [
      'dns.listed("192.0.2.1", "bl.test", "127.0.0.0/24")',
      `bad argument #3 to 'listed' (strings as "127.0.0.2" or "127.0.0.[2;4..11]" expected)`,
    ],
    [
      'dns.listed("192.0.2.1", "bl.test", { true })',
      `bad argument #3 to 'listed' (array of strings as "127.0.0.2" expected)`,
    ],
    ['dns.start()', "bad argument #1 to 'start' (a function that waits expected)"],
    ['dns.start(print, "x")', "bad argument #1 to 'start' (a function that waits expected)"],
    ['dns.start(dns.start, dns.a)', "bad argument #1 to 'start' (a function that waits expected)"],
    ['dns.start(dns.a)', "bad argument #2 to 'start' (string expected, got no value)"],
    ['dns.start(dns.a, "x.test").wait(io.stdout)', "bad argument #1 to 'wait' (job.job expected, got FILE*)"],
    ['dns.start(dns.a, "x.test"):wait(-1)', `bad argument #1 to 'wait' (${address})`],
    ['smtp.delay()', "bad argument #1 to 'delay' (number expected, got no value)"],
    ['smtp.delay(-1)', "bad argument #1 to 'delay' (seconds expected, from 0 to 86400)"],
    ['smtp.delay(0/0)', "bad argument #1 to 'delay' (seconds expected, from 0 to 86400)"],
    ['smtp.delay(1e9)', "bad argument #1 to 'delay' (seconds expected, from 0 to 86400)"],
  ];
  for (const [expression, message] of ERRORS) {
    test(expression, async (t) => {
      const { template, responder } = await asking(t, ONE);
      const context = contextOf(template, `\n\nlocal value = ${expression}\n`);
      assert.equal(textOf(await evaluate(context)), `test.lua:3: ${message}`);
      context.dispose();
      assert.ok(responder.questions.length <= 1);
    });
  }
});

test('must raises on nil with a reason only, and at the line that calls it', async (t) => {
  const { template } = await asking(t, ONE);
  const through = ['', 'nil', 'false, 5', 'nil, nil, 3', 'false, "why"', '1, 2, nil, 4'];
  for (const values of through) {
    const expected = await evaluated(template, values);
    assert.equal(await evaluated(template, `must(${values})`), expected, values);
    const count = values === '' ? 0 : values.split(',').length;
    assert.equal(await evaluated(template, `select("#", must(${values}))`), String(count), values);
  }
  const raises = {
    '"timeout at x"': 'timeout at x',
    false: 'false',
    '42': '42',
    '"100%s \\255"': '100%s \xff',
  };
  for (const [reason, text] of Object.entries(raises)) {
    const context = contextOf(
      template,
      `\nlocal function f() return nil, ${reason} end\nlocal x = must(f())\n`,
    );
    assert.equal(textOf(await evaluate(context)), `test.lua:3: could not find out: ${text}`);
    context.dispose();
  }
  assert.equal(
    await evaluated(template, 'pcall(must, nil, "servfail")'),
    'false could not find out: servfail',
  );
});

describe('waits', () => {
  const PLACES: readonly (readonly [place: string, source: string, result: string])[] = [
    ['pcall', 'return pcall(function() return dns.a("x.test")[1] end)', 'true 192.0.2.1'],
    [
      'pcall with must',
      'return pcall(function() return must(dns.a("fails.test")) end)',
      'false test.lua:1: could not find out: servfail looking up A of fails.test',
    ],
    [
      'an iterator',
      'local r = {} for n, v in function(_, n) n = (n or 0) + 1 if n < 4 then return n, dns.a(n .. ".test")[1] end end do r[n] = v end return #r, r[3]',
      '3 192.0.2.1',
    ],
    [
      'a metamethod',
      'local t = setmetatable({}, { __index = function(_, k) return dns.a(k)[1] end }) return t["x.test"] .. t["y.test"]',
      '192.0.2.1192.0.2.1',
    ],
    [
      'a coroutine of the script',
      'local co = coroutine.wrap(function() coroutine.yield(dns.a("x.test")[1]) smtp.delay(0.001) return "end" end) return co(), co()',
      '192.0.2.1 end',
    ],
    [
      'a job in a coroutine in pcall',
      'local job = dns.start(dns.a, "x.test") return pcall(coroutine.wrap(function() return job:wait()[1] end))',
      'true 192.0.2.1',
    ],
    [
      'a callback of string.gsub',
      'return (("x.test y.test"):gsub("%S+", function(name) return dns.a(name)[1] end))',
      '192.0.2.1 192.0.2.1',
    ],
    ['smtp.delay', 'return smtp.delay(0), smtp.delay(0.01), smtp.delay("0.01")', 'true true true'],
  ];
  for (const [place, source, result] of PLACES) {
    test(`work in ${place}`, async (t) => {
      const { template } = await asking(t, ({ name, ...rest }) =>
        name.startsWith('fails') ? { rcode: 2 } : ONE({ name, ...rest }),
      );
      const context = contextOf(template, source);
      assert.equal(textOf(await evaluate(context)), result);
      context.dispose();
    });
  }

  test('say what to do instead where Lua cannot yield', async (t) => {
    const { template, responder } = await asking(t, ONE);
    for (const wait of ['dns.a("x.test")', 'dns.start(dns.a, "x.test"):wait()', 'smtp.delay(0)']) {
      // An error handler: what it raises is all that xpcall can tell.
      const source = `local why xpcall(error, function() why = select(2, pcall(function() ${wait} end)) end) return why`;
      const text = textOf(await evaluate(contextOf(template, source)));
      assert.match(text, /^test\.lua:1: cannot wait here: .* wait after it$/);
    }
    assert.ok(responder.questions.length <= 1, 'only the job has asked');
  });

  test('smtp.delay takes its time', async (t) => {
    const { template } = await asking(t, ONE);
    const begun = performance.now();
    assert.equal(await evaluated(template, 'smtp.delay(0.25)'), 'true');
    assert.ok(performance.now() - begun >= 245);
  });

  test('a time-out of the call counts before that of the look-up', async (t) => {
    const { template } = await asking(t, () => null, 60_000);
    assert.equal(await evaluated(template, 'dns.a("x.test", 0.05)'), 'nil timeout looking up A of x.test');
    assert.equal(
      await evaluated(template, 'dns.fcrdns("192.0.2.1", 0.05)'),
      'nil timeout looking up PTR of 1.2.0.192.in-addr.arpa',
    );
    assert.equal(
      await evaluated(template, 'dns.start(dns.mx, "x.test", 0.05):wait()'),
      'nil timeout looking up MX of x.test',
    );
    assert.equal(
      await evaluated(template, 'dns.start(dns.mx, "x.test"):wait(0.05)'),
      'nil timeout waiting for a job',
    );
  });

  test('all look-ups of one call have its time between them', async (t) => {
    const { template, responder } = await asking(
      t,
      ({ type }) => (type === 'A' ? { records: [['A', 60, data.a('127.0.0.2')]], delayMs: 100 } : null),
      2500,
    );
    // Listed for certain, though the text cannot be had.
    assert.equal(await evaluated(template, 'dns.listed("192.0.2.1", "bl.test")'), '127.0.0.2 ');
    assert.ok(responder.questions.some(({ type }) => type === 'TXT'));
  });
});

describe('a client with strange names', () => {
  test('is confirmed by one of them though another cannot be looked up', async (t) => {
    const { template } = await asking(t, ({ type, name }) => {
      if (type === 'PTR') {
        return { records: ['bad.test', 'good.test'].map((host) => ['PTR', 60, data.name(host)] as const) };
      }
      return name === 'bad.test' ? { rcode: 2 } : { records: [['A', 60, data.a('192.0.2.1')]] };
    });
    assert.equal(await evaluated(template, 'dns.fcrdns("192.0.2.1")'), 'good.test');
    assert.match(
      await evaluated(template, 'dns.fcrdns("192.0.2.2")'),
      /^nil servfail looking up A of bad\.test$/,
    );
  });

  test('has ten of them looked at, and is not known for the rest', async (t) => {
    const { template, responder } = await asking(t, ({ type }) =>
      type === 'PTR'
        ? { records: Array.from({ length: 12 }, (_, i) => ['PTR', 60, data.name(`n${i}.test`)] as const) }
        : { rcode: 3 },
    );
    assert.equal(
      await evaluated(template, 'dns.fcrdns("192.0.2.1")'),
      'nil limit more than 10 names of 1.2.0.192.in-addr.arpa',
    );
    assert.equal(responder.questions.filter(({ type }) => type === 'A').length, 10);
  });
});

test('jobs are under way together, and can be waited for in a later callback, more than once', async (t) => {
  const { template, responder } = await asking(t, (question) => ({ ...ONE(question), delayMs: 150 }));
  const context = contextOf(
    template,
    `function first() jobs = {} for i = 1, 50 do jobs[i] = dns.start(dns.a, i .. ".test") end return "begun" end
     function second() local n = 0 for _ = 1, 2 do for _, j in ipairs(jobs) do n = n + #j:wait() end end return n end`,
  );
  await context.run();
  const begun = performance.now();
  assert.equal(textOf(await callGlobal(context, 'first')), 'begun');
  await responder.until('50.test');
  assert.equal(textOf(await callGlobal(context, 'second')), '100');
  assert.ok(performance.now() - begun < 50 * 150, 'not one after the other');
  const tries = responder.questions.length;
  assert.ok(tries >= 50 && tries <= 50 * mostTries(begun), `${tries} questions`);
  context.dispose();
});

test('a job given up by its waiter goes on, and others have its result', async (t) => {
  const { template, responder } = await asking(t, (question) => ({ ...ONE(question), delayMs: 100 }));
  const source = `local job = dns.start(dns.a, "x.test")
    local _, err = job:wait(0.01)
    return err, job:wait()[1]`;
  const begun = performance.now();
  assert.equal(textOf(await evaluate(contextOf(template, source))), 'timeout waiting for a job 192.0.2.1');
  assert.ok(responder.asked('x.test') <= mostTries(begun), `asked ${responder.asked('x.test')} times`);
});

test('a job that nobody waits for asks nothing more when its context is gone', async (t) => {
  const { template, responder } = await asking(t, ({ type, ...rest }) =>
    type === 'PTR'
      ? { records: [['PTR', 60, data.name('late.test')]], delayMs: 100 }
      : ONE({ type, ...rest }),
  );
  const context = contextOf(template, 'dns.start(dns.fcrdns, "192.0.2.1") return "begun"');
  assert.equal(textOf(await evaluate(context)), 'begun');
  await responder.until('1.2.0.192.in-addr.arpa');
  context.dispose();
  // The answer comes all the same, for whoever asks next; the name in it is asked for by nobody.
  assert.equal(await evaluated(template, 'dns.ptr("192.0.2.1")'), '{late.test}');
  assert.equal(await evaluated(template, 'dns.a("after.test")'), '{192.0.2.1}');
  assert.equal(responder.asked('late.test'), 0);
});

test('a wait that is cancelled leaves the same question of another session alone', async (t) => {
  const { template, responder } = await asking(t, (question) => ({ ...ONE(question), delayMs: 100 }));
  const [one, other] = [0, 1].map(() => contextOf(template, 'return dns.a("x.test")[1]'));
  assert.ok(one && other);
  const begun = performance.now();
  const outcomes = Promise.all([evaluate(one), evaluate(other)]);
  await responder.until('x.test');
  one.dispose();
  const [gone, stayed] = await outcomes;
  assert.equal(gone.kind, 'cancelled');
  assert.equal(textOf(stayed), '192.0.2.1');
  assert.ok(responder.asked('x.test') <= mostTries(begun), `asked ${responder.asked('x.test')} times`);
});

test('a session has a thousand look-ups, and those in the cache are free', async (t) => {
  const { template, responder } = await asking(t, ONE, 60_000);
  const begun = performance.now();
  const context = contextOf(
    template,
    `local jobs, limited = {}, 0
     for i = 1, 1200 do jobs[i] = dns.start(dns.a, i .. ".test") end
     for i = 1, 1200 do
       local found, err = jobs[i]:wait()
       if not found then limited = limited + 1 assert(err:find("^limit looking up A of "), err) end
     end
     return limited, dns.a("1.test")[1]`,
    60_000,
  );
  const text = textOf(await evaluate(context));
  const [limited, found] = text.split(' ');
  // With ten more for each second that it lasts.
  const more = Math.ceil((performance.now() - begun) / 100);
  assert.ok(Number(limited) >= 200 - more && Number(limited) <= 200, text);
  assert.equal(found, '192.0.2.1');
  const asked = new Set(responder.questions.map(({ name }) => name)).size;
  assert.equal(asked, 1200 - Number(limited));
  assert.equal(await evaluated(template, 'dns.a("another.test")'), '{192.0.2.1}', 'each session has its own');
  context.dispose();
});
