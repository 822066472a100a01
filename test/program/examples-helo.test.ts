/** examples/helo.lua over a milter connection. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startServer, type TestServer } from '../helpers/milter-server.ts';
import { Mta } from '../helpers/mta.ts';

const POLICY = new URL('../../examples/helo.lua', import.meta.url).pathname;

async function start(t: TestContext): Promise<TestServer> {
  const server = await startServer({ path: POLICY }, { 'on-error': 'tempfail' });
  t.after(() => server.close());
  return server;
}

const NOT_A_NAME = '501 5.5.2 that is not a host name';
const NO_BRACKETS = '501 5.5.2 an address belongs in brackets';
const NO_ADDRESS = '501 5.5.2 the brackets hold no address';
const OUR_NAME = '550 5.7.1 you are not me: that is my name';
const OUR_ADDRESS = '550 5.7.1 you are not me: that is my address';
const NOT_HERE = '550 5.7.1 you are not on this host';
const NO_DOMAIN = '550 5.7.1 give your full name, with its domain';

test('a stranger is let in or refused for its HELO', async (t) => {
  const server = await start(t);
  const mta = await Mta.open(server);
  await mta.connect('198.51.100.7', 'mx.example.net');
  const label = 'a'.repeat(63);
  for (const [helo, expected] of [
    ['mx.example.net', ''],
    ['MX.Example.NET.', ''],
    ['a_b.example.net', ''],
    ['3com.example', ''],
    ['xn--mller-kva.example', ''],
    ['mail.example.com.example.net', ''],
    [`${label}.example`, ''],
    ['[198.51.100.7]', ''],
    ['[IPv6:2001:db8:0:1::7]', ''],
    ['[ipv6:2001:DB8:0:1::7]', ''],
    ['[IPv6:::ffff:198.51.100.7]', ''],

    ['example.com', OUR_NAME],
    ['Mail.EXAMPLE.com.', OUR_NAME],
    ['[192.0.2.1]', OUR_ADDRESS],
    ['[IPv6:2001:DB8:0:0::1]', OUR_ADDRESS],
    ['[IPv6:::ffff:192.0.2.1]', OUR_ADDRESS],
    ['localhost', NOT_HERE],
    ['LOCALHOST.localdomain', NOT_HERE],
    ['me.localhost', NOT_HERE],
    ['mail', NO_DOMAIN],
    ['mail.', NO_DOMAIN],

    ['198.51.100.7', NO_BRACKETS],
    ['2001:db8:0:1::7', NO_BRACKETS],
    ['[]', NO_ADDRESS],
    ['[198.51.100.256]', NO_ADDRESS],
    ['[2001:db8:0:1::7]', NO_ADDRESS],
    ['[IPv6:198.51.100.7]', NO_ADDRESS],
    ['[mx.example.net]', NO_ADDRESS],
    [`[IPv6:${':'.repeat(2000)}]`, NO_ADDRESS],
    ['[198.51.100.7', NOT_A_NAME],
    ['IPv6:2001:db8:0:1::7', NOT_A_NAME],
    ['198.51.100.07', NOT_A_NAME],
    ['1.2.3', NOT_A_NAME],
    ['', NOT_A_NAME],
    ['.', NOT_A_NAME],
    ['.example.net', NOT_A_NAME],
    ['mx..example.net', NOT_A_NAME],
    ['-mx.example.net', NOT_A_NAME],
    ['mx-.example.net', NOT_A_NAME],
    ['mx example.net', NOT_A_NAME],
    ['mx.ex\xe4mple.net', NOT_A_NAME],
    [`a${label}.example`, NOT_A_NAME],
    [`${`${label}.`.repeat(4)}example`, NOT_A_NAME],
    ['x.'.repeat(1000), NOT_A_NAME],
  ] as const) {
    const { letter, text } = await mta.helo(helo);

    assert.deepEqual([letter, text], expected === '' ? ['c', ''] : ['y', expected], helo);
  }
  await mta.quit();
  assert.ok(server.log.lines.includes('s1 mail refused: 5.7.1 give your full name, with its domain'));
  assert.deepEqual(
    server.log.records.filter(({ severity }) => severity < 6),
    [],
  );
});

test('clients of local networks and of this host may say what they like', async (t) => {
  const server = await start(t);
  for (const [ip, local] of [
    ['127.0.0.1', true],
    ['10.255.255.255', true],
    ['172.16.0.1', true],
    ['172.31.255.255', true],
    ['172.32.0.1', false],
    ['172.15.255.255', false],
    ['192.168.1.1', true],
    ['192.0.2.1', true],
    ['192.0.2.2', false],
    ['::1', true],
    ['fd00::1', true],
    ['fe80::1', true],
    ['febf::1', true],
    ['fec0::1', false],
    ['2001:db8::1', true],
    ['2001:db8::2', false],
  ] as const) {
    const mta = await Mta.open(server);
    await mta.connect(ip);
    assert.equal((await mta.helo('localhost')).text, local ? '' : NOT_HERE, ip);
    // Refused once, a client may try again.
    assert.equal((await mta.helo('mx.example.net')).letter, 'c');
    await mta.quit();
  }
});
