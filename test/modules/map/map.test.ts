/** The module `map` as a script sees it: tables in files, and real servers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LuaContext } from '../../../src/lua/context/context.ts';
import { Template } from '../../../src/lua/context/template.ts';
import { compile } from '../../../src/lua/script/compilation.ts';
import { Maps } from '../../../src/maps/maps.ts';
import { policyLibraries } from '../../../src/modules/install.ts';
import { evaluate } from '../../helpers/lua-context.ts';
import { MARIADB, POSTGRES, SLAPD } from '../../helpers/map-services.ts';
import { type RealService, type ServicePlan, startService } from '../../helpers/real-service.ts';
import { servicesWith } from '../../helpers/services.ts';

const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-map-'));
after(() => rmSync(directory, { recursive: true }));
const file = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
};

/** A worker's maps, and what was logged of them. */
function worker() {
  const log: string[] = [];
  const say = (text: string) => log.push(text);
  const template = new Template(
    policyLibraries(servicesWith({ maps: new Maps({ notice: say, warning: say }) })),
  );
  /** What a chunk returns, joined by blanks; an error begins with `error: `. */
  const run = async (chunk: string): Promise<string> => {
    const source = `local function all(...) local t = table.pack(...) for i = 1, t.n do t[i] = tostring(t[i]) end
      return table.concat(t, " ") end return all((function() ${chunk} end)())`;
    const context = new LuaContext({ template, script: compile(Buffer.from(source), 'test.lua') });
    const outcome = await evaluate(context);
    context.dispose();
    if (outcome.kind === 'done') return outcome.value;
    return 'message' in outcome ? outcome.message.replace(/^test\.lua:\d+: /, 'error: ') : outcome.kind;
  };
  /** A busy machine may take longer than the two seconds of one who says nothing. */
  const get = (spec: string, key: string, seconds = 30) =>
    run(`return map.open(${JSON.stringify(spec)}):get(${JSON.stringify(key)}, ${seconds})`);
  return { run, get, log };
}

async function until(what: () => Promise<string> | string, expected: string | RegExp): Promise<void> {
  const end = Date.now() + 60_000;
  for (;;) {
    const found = await what();
    if (typeof expected === 'string' ? found === expected : expected.test(found)) return;
    assert.ok(Date.now() < end, `still ${found}`);
    await sleep(50);
  }
}

describe('maps in files', () => {
  it('are found by key and by address, at once, and by jobs', async () => {
    const { run, get } = worker();
    const access = file('access', 'a.example REJECT\n.net 550 no\nuser@ OK\n192.0.2.7 DISCARD\n');
    assert.equal(await get(`hash:${access}`, 'A.Example'), 'REJECT');
    assert.equal(await get(access, 'b.example'), 'nil');
    const at = (address: string) => run(`return map.open("texthash:${access}"):addr("${address}")`);
    assert.equal(await at('x@a.example'), 'REJECT a.example');
    assert.equal(await at('x@b.c.net'), '550 no .net');
    assert.equal(await at('User+x@z.example'), 'OK user@');
    assert.equal(await at('x@z.example'), 'nil');
    assert.equal(await get(`cidr:${file('cidr', '192.0.2.0/24 net\n')}`, '192.0.2.77'), 'net');
    assert.equal(await get(`regexp:${file('re', '/^a(.*)/ got $1\n')}`, 'abc'), 'got bc');
    assert.equal(await get('inline:{ a=b, { c = d e } }', 'c'), 'd e');
    assert.equal(
      await run(`local m = map.open("${access}") local j = job.start(m.get, m, "192.0.2.7") return j:wait()`),
      'DISCARD',
    );
    // Where a function cannot wait, a table in memory answers all the same.
    assert.equal(
      await run(
        `local m = map.open("${access}") return (("192.0.2.7"):gsub(".+", function(k) return m:get(k) end))`,
      ),
      'DISCARD',
    );
  });

  it('of hundreds of expressions are tried in turns', async () => {
    const { get } = worker();
    const lines = Array.from({ length: 300 }, (_, i) => `/^name${i}@/ ${i}\n`).join('');
    const spec = `pcre:${file('many', lines)}`;
    assert.equal(await get(spec, 'name299@example.com'), '299');
    assert.equal(await get(spec, 'name300@example.com'), 'nil');
  });

  it('of expressions and networks take an address as a whole, as Postfix does', async () => {
    const { run } = worker();
    const at = (spec: string, address: string) => run(`return map.open("${spec}"):addr("${address}")`);
    const spec = `regexp:${file('not', '!/@good\\.example$/ REJECT\n')}`;
    assert.equal(await at(spec, 'a@good.example'), 'nil');
    assert.equal(await at(spec, 'a+x@bad.example'), 'REJECT a+x@bad.example');
    assert.equal(await at(`pcre:${file('domain', '/^good\\.example$/ OK\n')}`, 'a@good.example'), 'nil');
    assert.equal(await at(`cidr:${file('one', '192.0.2.1 OK\n')}`, 'a@192.0.2.1'), 'nil');
  });

  it('have no key that is too long, and do not say that they lack it', async () => {
    const { run } = worker();
    const spec = `regexp:${file('long', '/bad$/ REJECT\n')}`;
    const get = (size: number) => run(`return map.open("${spec}"):get(("a"):rep(${size}) .. "bad")`);
    assert.equal(await get(60_000), 'REJECT');
    assert.equal(await get(70_000), 'nil limit a key of more than 65536 bytes');
    assert.equal(
      await run(`return map.open("${spec}"):addr(("a"):rep(70000))`),
      'nil limit a key of more than 65536 bytes',
    );
  });

  it('that are wrong raise an error with file and line', async () => {
    const { get, run } = worker();
    const wrong = file('wrong', 'a 1\nb\n');
    assert.equal(await get(wrong, 'a'), `error: map.open: ${wrong}:2: a key without a value`);
    assert.equal(
      await get(`pcre:${file('wrong-re', '/(?=x)/ y\n')}`, 'a'),
      `error: map.open: ${directory}/wrong-re:1: not in RE2: error parsing regexp: invalid or unsupported Perl syntax: \`(?=\``,
    );
    assert.equal(await get(`${directory}/none`, 'a'), `error: map.open: ${directory}/none: no such file`);
    assert.match(
      await get('nonsense', 'a'),
      /^error: map\.open: a map must be a path, or begin with texthash:/,
    );
    assert.match(await get('dbx:/a', 'a'), /^error: map\.open: unknown type dbx/);
    assert.match(await get('/dev/zero', 'a'), /is no regular file/);
    assert.match(await get('/proc/self/environ', 'a'), /Permission denied/);
    symlinkSync('/proc/self/environ', join(directory, 'link'));
    assert.match(await get(`${directory}/link`, 'a'), /Permission denied/);
    assert.equal(
      await run('return map.open()'),
      "error: bad argument #1 to 'open' (string expected, got no value)",
    );
    assert.equal(
      await run('return map.open("inline:{a=b}"):get()'),
      "error: bad argument #1 to 'get' (string expected, got no value)",
    );
    assert.match(await run('return map.open("inline:{a=b}").get({}, "x")'), /map\.table expected, got table/);
    // The file is looked at again with the next try.
    file('wrong', 'a 1\n');
    assert.equal(await get(wrong, 'a'), '1');
  });

  it('are read again when they have changed, and stay as they were while they are wrong', async () => {
    const { get, log } = worker();
    const path = file('changing', 'a 1\n');
    assert.equal(await get(path, 'a'), '1');
    file('changing', 'a 2\n');
    await until(() => get(path, 'a'), '2');
    file('changing', 'a 3\nb\n');
    await until(() => log.join('\n'), /changing:2: a key without a value/);
    assert.equal(await get(path, 'a'), '2');
    rmSync(path);
    await until(() => log.join('\n'), /no such file/);
    assert.equal(await get(path, 'a'), '2');
    file('changing', 'a 4\n');
    await until(() => get(path, 'a'), '4');
    assert.deepEqual(
      log.map((line) => line.replaceAll(directory, 'DIR')),
      [
        'map texthash:DIR/changing read again',
        'map texthash:DIR/changing is not taken, the version before it serves: DIR/changing:2: a key without a value',
        'map texthash:DIR/changing is not taken, the version before it serves: DIR/changing: no such file',
        'map texthash:DIR/changing read again',
      ],
    );
  });
});

describe('socketmap', () => {
  it('asks a server, over connections that are kept', async (t) => {
    const { get, run } = worker();
    let connections = 0;
    const open = new Set<Socket>();
    const server = createServer((socket) => {
      connections += 1;
      open.add(socket);
      socket.on('error', () => {});
      socket.on('data', (bytes) => {
        const [, name, key = ''] = /^\d+:(\S+) (.*),$/s.exec(bytes.toString('latin1')) ?? [];
        const replies: Record<string, string> = {
          yes: 'OK a value',
          temp: 'TEMP busy',
          perm: 'PERM no',
          late: 'TIMEOUT x',
          odd: 'WHAT',
        };
        const reply = replies[key] ?? `NOTFOUND ${name}`;
        if (key === 'cut') socket.end('5:OK');
        else if (key === 'nonsense') socket.write('hello');
        else if (key === 'endless') socket.write('999999999:');
        else if (key !== 'silent') socket.write(`${reply.length}:${reply},`);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      for (const socket of open) socket.destroy();
      server.close();
    });
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const spec = `socketmap:inet:127.0.0.1:${address.port}:users`;
    assert.equal(await get(spec, 'yes'), 'a value');
    assert.equal(await get(spec, 'no'), 'nil');
    assert.equal(await get(spec, 'other'), 'nil');
    assert.equal(connections, 1);
    const subject = `socketmap at 127.0.0.1:${address.port}`;
    assert.equal(await get(spec, 'temp'), `nil unavailable ${subject}: TEMP busy`);
    assert.equal(await get(spec, 'odd'), `nil protocol ${subject}: unknown reply`);
    assert.match(await get(spec, 'nonsense'), /^nil protocol /);
    assert.match(await get(spec, 'endless'), /^nil protocol /);
    assert.equal(await get(spec, 'another'), 'nil');
    assert.match(await get(spec, 'cut'), /^nil unavailable .*closed/);
    assert.equal(await get(spec, 'no2'), 'nil');
    // Questions at a time have connections of their own, and no answer is another's.
    const many = `local m, jobs, out = map.open("${spec}"), {}, {}
      for i = 1, 60 do jobs[i] = job.start(m.get, m, i % 2 == 0 and "yes" or "x" .. i) end
      for i = 1, 60 do out[i] = tostring(jobs[i]:wait()) end return table.concat(out, ",")`;
    assert.equal(
      await run(many),
      Array.from({ length: 60 }, (_, i) => (i % 2 === 1 ? 'a value' : 'nil')).join(','),
    );
    assert.match(
      await run(`return map.open("${spec}"):get("silent", 0.2)`),
      /^nil timeout .*no answer in 0\.(2|1\d+) s$/,
    );
    assert.match(await get(spec, 'never asked'), /^nil unavailable .* does not answer, next try in/);
  });
});

describe('servers', () => {
  const PEOPLE: readonly (readonly [string, RegExp | string])[] = [
    ['anna@example.com', 'OK'],
    ['bert@example.com', 'REJECT no'],
    ["o'brien@example.com", 'OK quoted'],
    ['nobody@example.com', 'nil'],
    ["x' or '1'='1", 'nil'],
    ['x"; drop table mailmap; --', 'nil'],
    ['%s', 'nil'],
  ];

  /** Down, stopped and back: what could not be found out, in time, and that it is found out again. */
  async function troubles(
    service: RealService,
    get: (key: string, seconds?: number) => Promise<string>,
    log: string[],
  ): Promise<void> {
    service.signal('SIGSTOP');
    const begin = performance.now();
    assert.match(await get('stopped1@example.com', 1), /^nil timeout /);
    assert.ok(performance.now() - begin < 30_000);
    assert.match(await get('stopped2@example.com'), /^nil unavailable .*does not answer/);
    service.signal('SIGCONT');
    await until(() => get(`back${Math.random()}@example.com`), 'nil');
    assert.match(log.join('\n'), /does not answer: timeout.*answers again/s);
    // What is known stays known, for a while.
    service.signal('SIGKILL');
    assert.match(await get('killed@example.com'), /^nil (?:unavailable|timeout) /);
  }

  for (const [kind, plan] of [
    ['pgsql', POSTGRES],
    ['mysql', MARIADB],
  ] as const satisfies readonly (readonly [string, ServicePlan])[]) {
    describe(kind, () => {
      let service: RealService;
      before(async () => {
        service = await startService(plan);
      });
      after(() => service.stop());

      it('finds values by parameters, whatever a key is', async () => {
        const { get, log } = worker();
        const config = file(
          `${kind}.cf`,
          `hosts = 127.0.0.1:${service.port}\nuser = mail\npassword = mail\ndbname = mail\nquery = SELECT v FROM mailmap WHERE k = '%s'\n`,
        );
        const spec = `${kind}:${config}`;
        for (const [key, expected] of PEOPLE) assert.equal(await get(spec, key), expected, key);
        const { run } = worker();
        assert.equal(await run(`return map.open("${spec}"):get("a\\0b")`), 'nil');
        assert.equal(await run(`return map.open("${spec}"):get("a\\xffb")`), 'nil');
        assert.equal(
          await run(`return map.open("${spec}"):addr("anna+x@example.com")`),
          'OK anna@example.com',
        );
        // Letters in upper case are no way around a map.
        assert.equal(await get(spec, 'BERT@Example.COM'), 'REJECT no');
        const settings = (query: string, hosts = `127.0.0.1:${service.port}`) =>
          `hosts = ${hosts}\nuser = mail\npassword = mail\ndbname = mail\nquery = ${query}\n`;
        const asked = (name: string, text: string) => `${kind}:${file(`${kind}-${name}.cf`, text)}`;
        // Parts of a key between other text are values too.
        const parts = asked('parts', settings("SELECT v FROM mailmap WHERE k = '%u@%d' AND v <> '100%%'"));
        for (const [key, expected] of PEOPLE) {
          if (key.includes('@')) assert.equal(await get(parts, key), expected, key);
        }
        assert.equal(await get(parts, "a'@example.com' or '1'='1"), 'nil');
        assert.equal(await get(parts, 'example.com'), 'nil');
        assert.match(
          await get(asked('odd', settings("SELECT v FROM mailmap WHERE k = '%q'")), 'a'),
          /^error: .*stands for nothing/,
        );
        assert.match(await get(asked('name', settings('SELECT v FROM "%s"')), 'a'), /^error: .*only '/);
        assert.match(
          await get(asked('bad', settings("SELECT x FROM nowhere WHERE k = '%s'")), 'a'),
          /^nil protocol .*the query fails: \S+$/,
        );
        // The second server where the first is away.
        const two = asked(
          'two',
          settings("SELECT v FROM mailmap WHERE k = '%s'", `127.0.0.1:1 127.0.0.1:${service.port}`),
        );
        assert.equal(await get(two, 'anna@example.com'), 'OK');
        // Another query is asked when the file has changed.
        const changing = worker();
        const edited = asked('edited', settings("SELECT 'first' FROM mailmap WHERE k = '%s'"));
        assert.equal(await changing.get(edited, 'anna@example.com'), 'first');
        asked('edited', settings("SELECT 'second' FROM mailmap WHERE k = '%s'"));
        await until(() => changing.get(edited, 'anna@example.com'), 'second');
        asked('edited', 'user = x\n');
        await until(
          () => changing.log.join('\n'),
          /is not taken, the version before it serves: .*: query is missing/,
        );
        assert.equal(await changing.get(edited, 'bert@example.com'), 'second');
        const wrong = file(
          `${kind}-wrong.cf`,
          `hosts = 127.0.0.1:${service.port}\nuser = mail\npassword = not-this\ndbname = mail\nquery = SELECT 1\n`,
        );
        const refused = await get(`${kind}:${wrong}`, 'a');
        assert.match(refused, /^nil unavailable /);
        assert.doesNotMatch(refused, /not-this/);
        assert.equal(
          await get(`${kind}:${file(`${kind}-empty.cf`, 'user = x\n')}`, 'a'),
          `error: map.open: ${directory}/${kind}-empty.cf: query is missing`,
        );
        await troubles(service, (key, seconds) => get(spec, key, seconds), log);
      });
    });
  }

  describe('ldap', () => {
    let service: RealService;
    before(async () => {
      service = await startService(SLAPD);
    });
    after(() => service.stop());

    it('finds values, and takes no key for a filter', async () => {
      const { get, log } = worker();
      const base = `server_host = ldap://127.0.0.1:${service.port}\nsearch_base = dc=example,dc=com\nbind_dn = cn=admin,dc=example,dc=com\nbind_pw = secret\n`;
      const spec = `ldap:${file('ldap.cf', `${base}query_filter = (mail=%s)\nresult_attribute = uid\n`)}`;
      assert.equal(await get(spec, 'anna@example.com'), 'anna');
      assert.equal(await get(spec, 'sales@example.com'), 'anna');
      assert.equal(await get(spec, 'nobody@example.com'), 'nil');
      for (const key of ['*', 'anna*', '*)(uid=*', 'x)(|(mail=*)', '\\2a'])
        assert.equal(await get(spec, key), 'nil', key);
      const names = `ldap:${file('ldap-cn.cf', `${base}query_filter = (cn=%s)\nresult_attribute = mail\n`)}`;
      assert.equal(await get(names, 'Bert (B*)'), 'bert@example.com');
      const all = `ldap:${file('ldap-all.cf', `${base}query_filter = (uid=%u)\nresult_attribute = mail\nresult_format = <%s>\n`)}`;
      assert.equal(await get(all, 'anna@anywhere'), '<anna@example.com>,<sales@example.com>');
      const wrong = `ldap:${file('ldap-wrong.cf', base.replace('secret', 'not-this'))}`;
      const refused = await get(wrong, 'a');
      assert.match(refused, /^nil unavailable /);
      assert.doesNotMatch(refused, /not-this/);
      assert.equal(await get(spec, 'ANNA@example.com'), 'anna');
      assert.match(
        await get(`ldap:${file('ldap-ca.cf', `${base}tls_ca_cert_file = /x\n`)}`, 'a'),
        /^error: .*tls_ca_cert_file is not supported$/,
      );
      // One that cannot wait takes no connection from the others, which come first: it closes the server to those after.
      const { run } = worker();
      const hurried = `local m, jobs, good = map.open("${spec}"), {}, 0
        for i = 1, 40 do jobs[i] = job.start(m.get, m, "x" .. i .. "@example.com", i > 20 and 0.001 or 60) end
        for i = 1, 20 do local value, err = jobs[i]:wait() if err == nil then good = good + 1 end end return good`;
      assert.equal(await run(hurried), '20');
      await troubles(service, (key, seconds) => get(spec, key, seconds), log);
    });
  });
});
