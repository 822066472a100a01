/** Maps in the Redis of the store, as a running server asks them. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Mta } from '../../helpers/mta.ts';
import { REDIS, startService } from '../../helpers/real-service.ts';
import { type Milter, startMilter, statusOf } from '../../program/milter-client.ts';
import { directory, run } from '../../program/program.ts';

const POLICY = `
  local access, blocked = map.open "redis:access:", map.open "redis-set:blocked"
  local function word(found, err) return found or err or "nothing" end
  local function hex(text) return (text:gsub("[^ -~]", function(b) return ("<%02x>"):format(b:byte()) end)) end
  function smtp.do_mail(sender)
    if sender == "kv@b.example" then
      return 550, "5.7.1 " .. tostring(kv.incr("n", 1, nil, 60))
    end
    return 550, "5.7.1 " .. hex(word(access:get(sender, 20)) .. ", " .. word(blocked:get(sender, 20))
      .. ", " .. word(access:addr(sender, 20)))
  end
`;

/** Commands of Redis, in its protocol; the bytes of each reply. */
async function redisSays(port: number, ...commands: readonly (readonly string[])[]): Promise<string> {
  const socket = createConnection({ host: '127.0.0.1', port });
  let said = '';
  socket.on('data', (bytes: Buffer) => {
    said += bytes.toString('latin1');
  });
  const bytes = [...commands, ['QUIT']].map((words) =>
    [`*${words.length}`, ...words.flatMap((word) => [`$${word.length}`, word]), ''].join('\r\n'),
  );
  socket.write(bytes.join(''), 'latin1');
  await new Promise((resolve, reject) => socket.on('close', resolve).on('error', reject));
  return said;
}

async function reply(milter: Pick<Milter, 'port'>, sender: string): Promise<string> {
  const mta = await Mta.open(milter);
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  const { text } = await mta.mail(`<${sender}>`);
  await mta.quit();
  mta.socket.destroy();
  return text.replace('550 5.7.1 ', '');
}

async function until(what: () => Promise<string>, expected: RegExp): Promise<string> {
  const end = performance.now() + 60_000;
  for (;;) {
    const found = await what();
    if (expected.test(found)) return found;
    assert.ok(performance.now() < end, `still ${found}`);
    await sleep(100);
  }
}

async function started(t: TestContext, store: string): Promise<Milter> {
  return startMilter(t, POLICY, ['--workers', '0', '--store', store, '--deadline', '100']);
}

test('keys and sets that others keep in Redis are found, as they are there', async (t) => {
  const service = await startService(REDIS);
  t.after(() => service.stop());
  assert.equal(
    await redisSays(
      service.port,
      ['SET', 'access:a@b.example', 'REJECT'],
      ['SET', 'access:b.example', 'of the domain'],
      ['SET', 'access:odd@b.example', '\0\xff\r\n'],
      ['SADD', 'blocked', 'a@b.example', 'caps@b.example'],
      ['HSET', 'access:hash@b.example', 'x', 'y'],
    ),
    '+OK\r\n+OK\r\n+OK\r\n:2\r\n:1\r\n+OK\r\n',
  );
  const milter = await started(t, `redis://127.0.0.1:${service.port}`);
  const ready = await until(() => reply(milter, 'a@b.example'), /^(?!unavailable)/);
  assert.equal(ready, 'REJECT, a@b.example, REJECT');
  assert.equal(await reply(milter, 'none@c.example'), 'nothing, nothing, nothing');
  assert.equal(await reply(milter, 'none@b.example'), 'nothing, nothing, of the domain');
  assert.equal(await reply(milter, 'odd@b.example'), '<00><ff><0d><0a>, nothing, <00><ff><0d><0a>');
  assert.equal(await reply(milter, 'CAPS@B.example'), 'nothing, caps@b.example, of the domain');
  // No pattern, no other key: bytes of a stranger are bytes of the key.
  assert.equal(await reply(milter, '*@b.example'), 'nothing, nothing, of the domain');
  // What is no string says nothing of the server: the store goes on, however often it is asked.
  for (let i = 0; i < 6; i++)
    assert.match(
      await reply(milter, 'hash@b.example'),
      /^protocol WRONGTYPE .*, nothing, protocol WRONGTYPE/,
    );
  assert.equal(await reply(milter, 'kv@b.example'), '1');
  // What the policy keeps is beside it.
  assert.match(await redisSays(service.port, ['GET', 'smtpf:kv\0\0n']), /^\$9\r\ni/);
  const { maps, store } = await statusOf(milter);
  assert.deepEqual(maps.map(({ spec, problem }) => [spec, problem]).sort(), [
    ['redis-set:blocked', null],
    ['redis:access:', null],
  ]);
  assert.equal(store?.state, 'up');

  // Gone, it is unavailable at once, said once; answers that were given are still known.
  service.signal('SIGSTOP');
  await until(() => reply(milter, `${Math.random()}@d.example`), /^(unavailable|timeout) /);
  const begin = performance.now();
  await until(
    () => reply(milter, `${Math.random()}@d.example`),
    /^unavailable .*, unavailable .*does not answer/,
  );
  assert.ok(performance.now() - begin < 60_000);
  const away = await statusOf(milter);
  assert.equal(away.store?.state, 'down');
  for (const { problem } of away.maps)
    assert.match(problem ?? '', /^does not answer: (timeout|unavailable) /);
  service.signal('SIGCONT');
  await until(() => reply(milter, `${Math.random()}@d.example`), /^nothing, nothing, nothing$/);
  assert.equal((await statusOf(milter)).store?.state, 'up');
  const lines = milter.running.stderr.split('\n').filter((line) => / warning .*does not answer/.test(line));
  assert.equal(lines.length, 1, milter.running.stderr);
});

test('they need a store on Redis, which `check`, `try` and `test` do not ask for', async (t) => {
  const folder = directory(t);
  const script = join(folder, 'policy.lua');
  writeFileSync(script, POLICY);
  const place = ['--spool', join(folder, 'spool')];
  const served = await run([
    ...['--script', script, '--listen', 'inet:0@127.0.0.1', '--on-bad-start', 'exit', ...place],
    ...['--store', `lmdb:${join(folder, 'store')}`],
  ]);
  assert.equal(served.code, 78);
  assert.match(served.stderr, /policy\.lua:2: .*redis: needs a store on Redis \(--store redis:\/\/\.\.\.\)/);
  const checked = await run(['check', script, '--strict']);
  assert.equal(checked.code, 0, checked.stdout);
  const tried = await run(['try', script]);
  assert.match(tried.stdout, /550 5\.7\.1 unavailable /);
  writeFileSync(script, 'local m = map.open "redis-set:"\nfunction smtp.do_mail() m:get "a" end\n');
  assert.match((await run(['check', script])).stdout, /policy\.lua:1:\d+: .*nothing behind redis-set:/);
  writeFileSync(script, POLICY);
  writeFileSync(
    join(folder, 'policy_test.lua'),
    `test.case("maps in Redis", function()
      test.map("redis:access:", { ["a@b.example"] = "REJECT" })
      test.map("redis-set:blocked", { ["a@b.example"] = "a@b.example" })
      local s = test.session { ip = "192.0.2.7", helo = "mx.example" }
      test.reply(s:mail "a@b.example", 550, "REJECT, a@b.example, REJECT")
    end)\n`,
  );
  const tested = await run(['test', folder]);
  assert.equal(tested.code, 0, tested.stdout + tested.stderr);
});
