/** Requests to real HTTP servers: what is known, what could not be found out, and where none may go. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { Answer, Patience } from '../../src/asking/answer.ts';
import { fetchUrl } from '../../src/http/client.ts';
import type { HttpRequest, HttpResponse } from '../../src/http/exchange.ts';
import { AddressGuard } from '../../src/http/guard.ts';

const open = new AddressGuard([{ address: '127.0.0.0', bits: 8 }]);
const patience = (timeoutMs = 20_000): Patience => ({ timeoutMs, cancelled: new AbortController().signal });

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

function get(
  url: string,
  options: Partial<HttpRequest> & { redirects?: number; guard?: AddressGuard; time?: Patience } = {},
) {
  const { redirects = 0, guard = open, time = patience(), ...request } = options;
  return fetchUrl(
    { method: 'GET', url: new URL(url), headers: {}, most: 1e6, ...request },
    redirects,
    guard,
    time,
  );
}

function value(answer: Answer<HttpResponse>): HttpResponse {
  assert.equal(answer.kind, 'known', JSON.stringify(answer));
  if (answer.kind !== 'known') throw new Error();
  return answer.value;
}

function reason(answer: Answer<unknown>, expected: RegExp): void {
  assert.equal(answer.kind, 'unknown', JSON.stringify(answer));
  if (answer.kind === 'unknown') assert.match(answer.reason, expected);
}

describe('a request', () => {
  it('has every response for an answer, with its bytes', async (t) => {
    const body = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const url = await server(t, (request, response) => {
      response.writeHead(Number(request.url?.slice(1)), { 'X-A': ['b', 'c'], 'Content-Type': 'x/y' });
      response.end(request.url === '/204' ? undefined : body);
    });
    for (const code of [200, 404, 500]) {
      const response = value(await get(`${url}/${code}`));
      assert.equal(response.code, code);
      assert.deepEqual(response.body, body);
      assert.equal(response.headers.get('x-a'), 'b, c');
    }
    assert.equal(value(await get(`${url}/204`)).body.length, 0);
  });

  it('carries a body and headers', async (t) => {
    const url = await server(t, async (request, response) => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece);
      response.end(`${request.method} ${request.headers['x-a']} ${Buffer.concat(pieces).toString('hex')}`);
    });
    const response = await get(url, {
      method: 'POST',
      headers: { 'X-A': 'b' },
      body: Buffer.from([0, 255, 10]),
    });
    assert.equal(value(response).body.toString(), 'POST b 00ff0a');
  });

  it('does not look at the variables of a proxy', async (t) => {
    const url = await server(t, (_, response) => response.end('direct'));
    process.env.http_proxy = 'http://127.0.0.1:1';
    t.after(() => delete process.env.http_proxy);
    assert.equal(value(await get(url)).body.toString(), 'direct');
  });

  it('could not find out where there is no whole response in time', async (t) => {
    const url = await server(t, (request, response) => {
      if (request.url === '/large') response.end(Buffer.alloc(2000));
      if (request.url === '/cut') {
        response.writeHead(200, { 'Content-Length': '100' });
        response.write('x');
        setTimeout(() => response.destroy(), 20);
      }
      if (request.url === '/drip') {
        response.writeHead(200);
        const timer = setInterval(() => response.write('x'), 30);
        response.on('close', () => clearInterval(timer));
      }
    });
    reason(await get(`${url}/large`, { most: 1999 }), /^limit /);
    reason(await get(`${url}/cut`), /^unavailable /);
    reason(await get(`${url}/drip`, { time: patience(300) }), /^timeout GET .*\/drip: no answer in 0\.3 s$/);
    reason(await get(`${url}/silent`, { time: patience(300) }), /^timeout /);
    const nonsense = createTcpServer((socket) => socket.end('nonsense\r\n\r\n')).listen(0, '127.0.0.1');
    await once(nonsense, 'listening');
    t.after(() => nonsense.close());
    const address = nonsense.address();
    assert.ok(address !== null && typeof address === 'object');
    reason(await get(`http://127.0.0.1:${address.port}`), /^protocol /);
    nonsense.close();
    reason(await get('http://127.0.0.1:1'), /^unavailable .*ECONNREFUSED/);
  });
});

describe('redirects', () => {
  const SECRETS = ['X-Auth', 'X-Auth-User', 'X-Session-Id', 'X-Amz-Signature', 'X-Pass', 'X-Credentials'];

  it('are followed as often as is allowed, and take no secrets to another host', async (t) => {
    const seen: string[] = [];
    const other = await server(t, (request, response) => {
      seen.push(
        `${request.method} ${request.headers.authorization} ${request.headers['x-api-key']} ${request.headers['x-a']}`,
        ...SECRETS.filter((name) => name.toLowerCase() in request.headers),
      );
      response.end('there');
    });
    const url = await server(t, (request, response) => {
      const to = request.url === '/one' ? '/two' : request.url === '/loop' ? '/loop' : `${other}/x`;
      response.writeHead(request.method === 'POST' ? 303 : 302, { Location: to });
      response.end();
    });
    const headers = {
      Authorization: 'secret',
      'X-Api-Key': 'secret',
      'X-A': 'b',
      ...Object.fromEntries(SECRETS.map((name) => [name, 's'])),
    };
    assert.equal(value(await get(`${url}/one`)).code, 302);
    assert.equal(value(await get(`${url}/one`, { redirects: 3, headers })).body.toString(), 'there');
    assert.equal(value(await get(`${url}/loop`, { redirects: 3 })).code, 302);
    assert.equal(
      value(await get(url, { redirects: 1, method: 'POST', body: Buffer.from('x') })).body.toString(),
      'there',
    );
    assert.deepEqual(seen, ['GET undefined undefined b', 'GET undefined undefined undefined']);
  });

  it('do not lead to where a request may not go', async (t) => {
    const url = await server(t, (request, response) => {
      response.writeHead(302, { Location: decodeURIComponent(request.url?.slice(1) ?? '') });
      response.end();
    });
    const to = (place: string) => get(`${url}/${encodeURIComponent(place)}`, { redirects: 3 });
    reason(await to('http://10.0.0.1/'), /^refused /);
    reason(await to('file:///etc/passwd'), /^refused file: is neither/);
    reason(await to('http://[::1]/'), /^refused /);
  });
});

describe('the guard', () => {
  it('closes what is of this machine or the networks around it, in every spelling', () => {
    const guard = new AddressGuard();
    const closed = [
      '127.0.0.1',
      '127.9.9.9',
      '0.0.0.0',
      '10.1.2.3',
      '100.64.0.1',
      '169.254.169.254',
      '172.31.0.1',
      '192.168.1.1',
      '224.0.0.1',
      '255.255.255.255',
      '::',
      '::1',
      'fe80::1',
      'fe80::1%eth0',
      'fd00::1',
      'ff02::1',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '::127.0.0.1',
      '64:ff9b::10.0.0.1',
      '64:ff9b::a00:1',
      '2002:7f00:1::',
    ];
    for (const address of closed) assert.equal(guard.mayAsk(address), false, address);
    for (const address of [
      '1.1.1.1',
      '172.32.0.1',
      '100.128.0.1',
      '2606:4700::1111',
      '::ffff:1.1.1.1',
      '64:ff9b::101:101',
    ]) {
      assert.equal(guard.mayAsk(address), true, address);
    }
    for (const host of ['127.0.0.1', '[::1]', '[::ffff:7f00:1]'])
      assert.equal(guard.mayAskHost(host), false, host);
  });

  it('reads the numbers that a URL may be written with', async () => {
    for (const url of [
      'http://127.1/',
      'http://0x7f000001/',
      'http://2130706433/',
      'http://0177.0.0.1/',
      'http://[::ffff:127.0.0.1]/',
    ]) {
      reason(await get(url, { guard: new AddressGuard() }), /^refused /);
    }
  });

  it('looks at the address that a name leads to when the connection is made', async (t) => {
    const url = new URL(await server(t, (_, response) => response.end('inside')));
    let asked = 0;
    // The first time it is looked up it is a public address, the second time this machine.
    const rebinding = new AddressGuard([], async () => [asked++ === 0 ? '127.0.0.1' : '1.1.1.1']);
    reason(
      await get(`http://public.example:${url.port}/`, { guard: rebinding }),
      /^refused .*public\.example leads to 127\.0\.0\.1/,
    );
    assert.equal(asked, 1);
    const mixed = new AddressGuard([{ address: '127.0.0.1', bits: 32 }], async () => [
      '10.0.0.1',
      '127.0.0.1',
    ]);
    assert.equal(
      value(await get(`http://public.example:${url.port}/`, { guard: mixed })).body.toString(),
      'inside',
    );
    const missing = new AddressGuard([], async () => []);
    reason(await get('http://nothing.example/', { guard: missing }), /^unavailable .*ENOTFOUND/);
  });
});
