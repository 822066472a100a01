/** The module `http` as a script sees it, against real servers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AddressGuard } from '../../../src/http/guard.ts';
import { GuardedWeb } from '../../../src/http/web.ts';
import { LuaContext } from '../../../src/lua/context/context.ts';
import { Template } from '../../../src/lua/context/template.ts';
import { compile } from '../../../src/lua/script/compilation.ts';
import { policyLibraries } from '../../../src/modules/install.ts';
import { evaluate } from '../../helpers/lua-context.ts';
import { type ServicePlan, startService } from '../../helpers/real-service.ts';
import { servicesWith } from '../../helpers/services.ts';

async function server(
  t: TestContext,
  serve: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const listening = createServer(serve).listen(0, '127.0.0.1');
  await once(listening, 'listening');
  t.after(() => {
    listening.closeAllConnections();
    listening.close();
  });
  const address = listening.address();
  assert.ok(address !== null && typeof address === 'object');
  return `http://127.0.0.1:${address.port}`;
}

/** Runs chunks in a worker that may ask this machine, unless `allowed` is false. */
function worker(allowed = true) {
  const log: string[] = [];
  const clock = { ahead: 0 };
  const guard = new AddressGuard(allowed ? [{ address: '127.0.0.0', bits: 8 }] : []);
  const web = new GuardedWeb(
    guard,
    ({ subject, isOpen }) => log.push(`${subject} ${isOpen ? 'gone' : 'back'}`),
    () => performance.now() + clock.ahead,
  );
  const template = new Template(policyLibraries(servicesWith({ web })));
  const run = async (chunk: string): Promise<string> => {
    const source = `local function all(...) local t = table.pack(...) for i = 1, t.n do t[i] = tostring(t[i]) end
      return table.concat(t, " ") end return all((function() ${chunk} end)())`;
    const context = new LuaContext({ template, script: compile(Buffer.from(source), 'test.lua') });
    const outcome = await evaluate(context);
    context.dispose();
    if (outcome.kind === 'done') return outcome.value;
    return 'message' in outcome ? outcome.message.replace(/^test\.lua:\d+: /, 'error: ') : outcome.kind;
  };
  return { run, log, clock };
}

/** A server in a process of its own: `/half` gets half a body and no more, `/waiting` how many have got that. */
const HALF_A_BODY: ServicePlan = {
  command: (_, port) => [
    process.execPath,
    '-e',
    `let waiting = 0;
    require('node:http').createServer((request, response) => {
      if (request.url === '/half') {
        response.writeHead(200, { 'Content-Length': '10' });
        response.write('half ', () => waiting++);
      } else response.end(request.url === '/waiting' ? String(waiting) : 'whole');
    }).listen(${port}, '127.0.0.1')`,
  ],
  hello: 'GET / HTTP/1.0\r\n\r\n',
  ready: /whole/,
};

describe('http', () => {
  it('gives code, body and headers of every response, as bytes', async (t) => {
    const url = await server(t, async (request, response) => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece);
      const body = Buffer.concat(pieces).toString('latin1');
      response.writeHead(request.url === '/404' ? 404 : 200, { 'X-A': 'b\xff' });
      response.end(Buffer.from(`${request.method} ${request.headers['x-b']} ${body}\0\xff`, 'latin1'));
    });
    const { run } = worker();
    assert.equal(
      await run(`local r = http.get("${url}/404") return r.code, r.headers["x-a"], r.body`),
      '404 b\xff GET undefined \0\xff',
    );
    assert.equal(
      await run(
        `local r = http.post("${url}", "a\\0\\xfe", { headers = { ["X-B"] = "c" } }) return r.code, r.body`,
      ),
      '200 POST c a\0\xfe\0\xff',
    );
    assert.equal(
      await run(
        `local a, b = job.start(http.get, "${url}/404"), job.start(http.get, "${url}") return a:wait().code, b:wait().code`,
      ),
      '404 200',
    );
  });

  it('refuses this machine and the networks around it, wherever it is led', async (t) => {
    const url = await server(t, (_, response) => {
      response.writeHead(302, { Location: 'http://10.0.0.1/' });
      response.end();
    });
    assert.match(await worker(false).run(`return http.get("${url}")`), /^nil refused /);
    assert.match(await worker(false).run('return http.get("http://[::ffff:127.0.0.1]/")'), /^nil refused /);
    assert.match(await worker().run(`return http.get("${url}", { redirects = 1 })`), /^nil refused /);
    assert.equal(await worker().run(`return http.get("${url}").code`), '302');
    assert.equal(
      await worker().run('return http.get("file:///etc/passwd")'),
      'nil refused file: is neither http: nor https:',
    );
    assert.equal(await worker().run('return http.get("nonsense")'), 'nil refused no URL');
  });

  it('leaves a server that does not answer alone for a while, and no other', async (t) => {
    const silent = await server(t, () => {});
    const quick = await server(t, (_, response) => response.end('x'));
    const { run, log } = worker();
    assert.match(await run(`return http.get("${silent}", { timeout = 0.2 })`), /^nil timeout .*no answer in/);
    const begin = performance.now();
    assert.match(
      await run(`return http.get("${silent}")`),
      /^nil unavailable .*does not answer, next try in/,
    );
    assert.ok(performance.now() - begin < 4000);
    assert.equal(await run(`return http.get("${quick}").body`), 'x');
    assert.deepEqual(log, [`${silent} gone`]);
  });

  it('a server that is restarted in mid-traffic: what was cut off is no answer, and it is asked on', async (t) => {
    const first = await startService(HALF_A_BODY);
    t.after(() => first.stop());
    const url = `http://127.0.0.1:${first.port}`;
    const { run, log, clock } = worker();
    const ask = (path: string) =>
      run(
        `local r, err = http.get("${url}${path}", { timeout = 30 }) return r and r.body or err:match("^%a+")`,
      );
    assert.equal(await ask('/'), 'whole');
    const underWay = [ask('/half'), ask('/half'), ask('/half')];
    while ((await ask('/waiting')) !== '3') await sleep(10);
    await first.stop();
    assert.deepEqual(await Promise.all(underWay), new Array(3).fill('unavailable'));
    assert.equal(await ask('/'), 'unavailable');
    const second = await startService(HALF_A_BODY, first.port);
    t.after(() => second.stop());
    // Four failures close nothing: the next one who asks is answered.
    assert.equal(await ask('/'), 'whole');
    assert.deepEqual(log, []);
    await second.stop();
    for (let i = 0; i < 8; i++) assert.equal(await ask('/'), 'unavailable');
    const third = await startService(HALF_A_BODY, first.port);
    t.after(() => third.stop());
    clock.ahead += 5000;
    assert.equal(await ask('/'), 'whole');
    assert.deepEqual(log, [`${url} gone`, `${url} back`]);
  });

  it('has at most twenty requests to a server under way', async (t) => {
    let open = 0;
    let most = 0;
    let all = () => {};
    const twenty = new Promise<void>((resolve) => {
      all = resolve;
    });
    const url = await server(t, async (_, response) => {
      most = Math.max(most, ++open);
      if (open === 20) all();
      // None is answered before all are there; what is one too many has the time to come.
      await twenty;
      await sleep(50);
      open -= 1;
      response.end('x');
    });
    const chunk = `local jobs, done = {}, 0
      for i = 1, 60 do jobs[i] = job.start(http.get, "${url}", { timeout = 30 }) end
      for i = 1, 60 do done = done + #jobs[i]:wait().body end return done`;
    assert.equal(await worker().run(chunk), '60');
    assert.equal(most, 20);
  });

  it('raises an error for wrong arguments', async () => {
    const { run } = worker();
    const wrong: readonly (readonly [string, RegExp])[] = [
      ['http.get()', /bad argument #1 to 'get' \(string expected, got no value\)/],
      ['http.post("http://x/")', /bad argument #2 to 'post'/],
      ['http.get("http://x/", { wrong = 1 })', /options are headers, timeout, max, redirects/],
      ['http.get("http://x/", { max = 0 })', /option max: a whole number from 1 to 16777216 expected/],
      ['http.get("http://x/", { redirects = 4 })', /option redirects: a whole number from 0 to 3 expected/],
      ['http.get("http://x/", { headers = { Host = "y" } })', /option headers: Host cannot be set/],
      [
        'http.get("http://x/", { headers = { ["X-A"] = "b\\r\\nX-C: d" } })',
        /option headers: X-A: one line of text expected/,
      ],
    ];
    for (const [call, message] of wrong) assert.match(await run(`return ${call}`), message, call);
  });
});
