/** `smtpf-milter store` on the store of a server that runs: in a file that its workers have open, and in Redis. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { store } from '../../src/commands/store/store.ts';
import { resolveOptions } from '../../src/options/options.ts';
import { OperatorError } from '../../src/text/operator-error.ts';
import { Mta } from '../helpers/mta.ts';
import { REDIS, type RealService, startService } from '../helpers/real-service.ts';
import { type Milter, mailReply, startMilter } from '../program/milter-client.ts';
import { directory, type Ended, PROGRAM, run } from '../program/program.ts';

const POLICY = `
  local seen = kv.open "seen"
  function smtp.do_mail(sender)
    local word, why = kv.get("word", 60)
    if why then return 451, "4.3.0 " .. why end
    if word then return 450, "4.7.1 " .. type(word) .. " " .. (tostring(word):gsub("[\\x80-\\xff]", function(b) return ("<%02x>"):format(b:byte()) end)) end
    if sender ~= "a@b.example" then return end
    local ok, seconds, spec = rate.take("from:" .. sender, { "2/h", "100/d" }, 1, 60)
    if ok == nil then return 451, "4.3.0 " .. seconds end
    if not ok then return 450, "4.7.1 more than " .. spec end
    seen:incr(sender, 1, 3600, 60)
    seen:set("\\0\\xff\\\\ \\n" .. sender, { n = 1, ["\\xff"] = 0.5 }, nil, 60)
    seen:set(("long"):rep(500) .. sender, "of a long key", nil, 60)
  end
  function smtp.do_rcpt()
    local ok, _, why = grey.check { timeout = 60 }
    if ok == nil then return 451, "4.3.0 unknown" end
    if not ok then return 450, "4.7.1 " .. why end
    limit.acquire("net", 10, nil, 60)
  end
`;

/** The reply to RCPT in a new session, which ends then. */
async function rcptReply(milter: Pick<Milter, 'port'>, sender: string): Promise<string> {
  const mta = await Mta.open(milter);
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  await mta.mail(sender);
  const { letter, text } = await mta.rcpt('<info@example.org>');
  await mta.quit();
  mta.socket.destroy();
  return text === '' ? letter : text;
}

/** The command, with its words, `--json`, `--string` and `--ttl TIME`, on a store. */
function by(address: string): (...words: string[]) => Promise<Pick<Ended, 'code' | 'stdout'>> {
  return async (action = '', ...words) => {
    let stdout = '';
    const has = (name: string) => words.includes(name);
    const at = words.indexOf('--ttl');
    const code = await store(resolveOptions(new Map([['store', [address]]]), {}), {
      action,
      words: words.filter((word, index) => !word.startsWith('--') && (at < 0 || index !== at + 1)),
      json: has('--json'),
      isString: has('--string'),
      ttl: at < 0 ? undefined : words[at + 1],
      write: async (text) => {
        stdout += text;
        return true;
      },
    });
    return { code, stdout };
  };
}

interface Place {
  readonly address: string;
  /** Another one, empty. */
  readonly other: () => Promise<string>;
  readonly workers: string;
}

async function redis(t: TestContext): Promise<RealService> {
  const service = await startService(REDIS);
  t.after(() => service.stop());
  return service;
}

const PLACES: Readonly<Record<string, (t: TestContext) => Promise<Place>>> = {
  'in a file': async (t) => ({
    address: `lmdb:${join(directory(t), 'store')}`,
    other: async () => `redis://127.0.0.1:${(await redis(t)).port}`,
    workers: '2',
  }),
  'in Redis': async (t) => ({
    address: `redis+unix:${(await redis(t)).directory}/redis.sock`,
    other: async () => `lmdb:${join(directory(t), 'store')}`,
    workers: '0',
  }),
};

const lines = ({ stdout }: Pick<Ended, 'stdout'>) => stdout.split('\n').filter((line) => line !== '');
const objects = (ended: Pick<Ended, 'stdout'>) => lines(ended).map((line) => JSON.parse(line));

for (const [name, open] of Object.entries(PLACES)) {
  describe(`the store ${name}`, () => {
    test('is looked into and mended while the server runs', async (t) => {
      const { address, other, workers } = await open(t);
      const onStore = by(address);
      const milter = await startMilter(t, POLICY, [
        '--workers',
        workers,
        '--store',
        address,
        '--deadline',
        '100',
      ]);

      // What is counted for whom.
      assert.equal(await mailReply(milter), 'c');
      const [once, daily, ...others] = objects(
        await onStore('get', 'rate', 'from:a@b.example', '--json'),
      ).sort((a, b) => b.spec.localeCompare(a.spec));
      assert.deepEqual(others, []);
      assert.deepEqual([once.spec, once.taken, once.left, once.burst], ['2/h', 1, 1, 2]);
      assert.deepEqual([daily.spec, daily.taken, daily.left], ['100/d', 1, 99]);
      const inHours = (time: string) => (Date.parse(time) - Date.now()) / 3_600_000;
      assert.ok(Math.abs(inHours(once.expires) - 0.5) < 0.05, once.expires);
      assert.ok(Math.abs(inHours(once.nextAt)) < 0.05, once.nextAt);
      assert.equal(await mailReply(milter), 'c');
      assert.equal(await mailReply(milter), '450 4.7.1 more than 2/h');
      const full = await onStore('get', 'rate', 'from:a@b.example', '2/h');
      assert.match(
        full.stdout,
        /^rate {5}from:a@b\.example {2,}2\/h: 2 of 2 taken, 0 left, one more at 2\S+Z, all free at 2\S+Z\n$/,
      );

      // Let this sender through now.
      const deleted = await run(['store', '--store', address, 'del', 'rate', 'from:a@b.example']);
      assert.equal(deleted.code, 0, deleted.stderr);
      assert.equal(lines(deleted).length, 2);
      assert.match(deleted.stdout, /^deleted: rate {5}from:a@b\.example/);
      assert.equal(await mailReply(milter), 'c');
      assert.equal(await rcptReply(milter, '<x@b.example>'), '450 4.7.1 new');
      const waiting = objects(await onStore('list', 'grey', '192.0.2.0/24|x@', '--json'));
      assert.equal(waiting.length, 1);
      const { key, state, since, passesAt, expires } = waiting[0];
      assert.deepEqual([key, state], ['192.0.2.0/24|x@b.example|info@example.org', 'waiting']);
      assert.equal(Date.parse(passesAt) - Date.parse(since), 300_000);
      assert.ok(Math.abs(inHours(expires) - 48) < 0.05, expires);
      assert.equal(await rcptReply(milter, '<x@b.example>'), '450 4.7.1 early');
      assert.equal((await onStore('set', 'grey', key, 'known')).code, 0);
      assert.equal(await rcptReply(milter, '<x@b.example>'), 'c');
      assert.match(
        (await onStore('get', key)).stdout,
        /^grey {5}192\S+\|info@example\.org {2}known, until 2\S+Z\n$/,
      );
      assert.equal(await rcptReply(milter, '<y@b.example>'), '450 4.7.1 new');
      assert.equal((await onStore('set', 'client', '192.0.2.0/24', '5', '--ttl', '90d')).code, 0);
      assert.equal(await rcptReply(milter, '<y@b.example>'), 'c');
      const client = objects(await onStore('get', 'client', '192.0.2.0/24', '--json'));
      assert.equal(client[0].passes, 5);
      assert.ok(Math.abs(inHours(client[0].expires) - 90 * 24) < 0.05);

      // Values of kv.
      for (const [value, seen, more] of [
        ['7', 'number 7'],
        ['true', 'string true', '--string'],
        ['caf\u00e9 \\x21', 'string caf<c3><a9> !'],
      ] as const) {
        const done = await onStore('set', 'word', value, ...(more === undefined ? [] : [more]));
        assert.equal(done.code, 0);
        assert.equal(await mailReply(milter), `450 4.7.1 ${seen}`);
      }
      assert.equal(
        (await onStore('del', 'kv', 'word')).stdout,
        `deleted: kv       word${' '.repeat(38)}"caf\u00e9 !"\n`,
      );
      assert.equal((await onStore('del', 'kv', 'word')).code, 1);
      await onStore('set', 'word', 'short', '--ttl', '0.5');
      const end = performance.now() + 60_000;
      while ((await onStore('get', 'word')).code === 0) assert.ok(performance.now() < end);

      // Keys of any bytes are written as they are shown.
      const shown = '\\x00\\xff\\\\ \\na@b.example';
      const odd = await onStore('get', 'kv:seen', shown);
      assert.equal(
        odd.stdout
          .split('  ')
          .filter(Boolean)
          .map((word) => word.trim())
          .join('  '),
        `kv:seen  ${shown}  ${odd.stdout.includes('{ ["n"]') ? '{ ["n"] = 1, ["\\xff"] = 0.5 }' : '{ ["\\xff"] = 0.5, ["n"] = 1 }'}`,
      );
      const long = `${'long'.repeat(500)}a@b.example`;
      assert.match((await onStore('get', 'kv:seen', long)).stdout, /\(shortened\) {2}"of a long key"\n$/);
      const { key: shortened } = objects(await onStore('get', long, '--json'))[0];
      assert.equal(shortened.base64?.length ?? 0, 728);
      const bytes = [...Buffer.from(shortened.base64, 'base64')];
      const pasted = bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
      assert.equal((await onStore('get', 'kv:seen', pasted)).code, 0);

      // All of it, into a store of another kind and back.
      const file = join(directory(t), 'dump');
      const dumped = await run(['store', 'dump', file, '--store', address]);
      assert.deepEqual([dumped.code, dumped.stdout, dumped.stderr], [0, '', '']);
      assert.equal(statSync(file).mode & 0o777, 0o600);
      const before = entries(readFileSync(file, 'utf8'));
      assert.ok(before.size >= 8, String(before.size));
      const there = await other();
      const loaded = await run(['store', '--store', there, 'load', file]);
      assert.deepEqual([loaded.code, loaded.stderr], [0, `smtpf-milter: ${before.size} entries loaded\n`]);
      const after = entries((await by(there)('dump')).stdout);
      assert.deepEqual([...after.keys()].sort(), [...before.keys()].sort());
      for (const [line, expires] of before) {
        const found = after.get(line);
        if (expires === null) assert.equal(found, null);
        else assert.ok(Math.abs(Number(found) - expires) < 30_000, `${line} ${expires} ${found}`);
      }
    });
  });
}

/** The lines of a dump without their ends, and these. */
function entries(dump: string): Map<string, number | null> {
  const [head, ...rest] = dump.split('\n').filter((line) => line !== '');
  assert.equal(head, '{"dump":"smtpf-milter store","version":1}');
  return new Map(
    rest.map((line) => {
      const [, entry = '', expires] = /^(.*),"expires":([^,]+)\}$/.exec(line) ?? assert.fail(line);
      return [entry, expires === 'null' ? null : Number(expires)];
    }),
  );
}

test('a dump is loaded back to the byte and the millisecond', async (t) => {
  const place = `lmdb:${join(directory(t), 'store')}`;
  const ends = Date.now() + 1e9;
  const written = [
    '{"dump":"smtpf-milter store","version":1}',
    `{"area":"grey","key":"a","data":{"base64":"RwAAAAAAAAAA"},"expires":${ends}}`,
    '{"area":"kv","key":"a","value":{"base64":"AP8K"},"expires":null}',
    `{"area":"kv","space":"s","key":{"base64":"AP8="},"value":{"float":"0.1"},"expires":${ends + 0.25}}`,
    '',
  ].join('\n');
  const file = join(directory(t), 'dump');
  writeFileSync(file, `${written}\n{"area":"kv","key":"gone","value":1,"expires":1}\n`);
  const loaded = await run(['store', 'load', file, '--store', place]);
  assert.deepEqual([loaded.code, loaded.stderr], [0, 'smtpf-milter: 3 entries loaded, 1 entry had ended\n']);
  assert.equal((await by(place)('dump')).stdout, written);
  // A file that is there is replaced whole, and nothing is left beside it.
  assert.equal((await by(place)('dump', file)).code, 0);
  assert.equal(readFileSync(file, 'utf8'), written);
  assert.deepEqual(readdirSync(join(file, '..')), ['dump']);

  writeFileSync(file, `${written}no line\n`);
  const broken = await run(['store', 'load', file, '--store', place]);
  assert.deepEqual(
    [broken.code, broken.stderr],
    [64, `smtpf-milter: store load: ${file}:5: is no line of a dump; 3 entries loaded\n`],
  );
  const nowhere = await run(['store', 'dump', '/proc/none/dump', '--store', place]);
  assert.deepEqual(
    [nowhere.code, nowhere.stderr],
    [73, 'smtpf-milter: store dump: /proc/none/dump: cannot be written: no such file or directory\n'],
  );
});

test('as much as there is goes through a pipe, and back', async (t) => {
  const place = `lmdb:${join(directory(t), 'store')}`;
  const value = 'x'.repeat(1000);
  const written = Array.from(
    { length: 3000 },
    (_, index) => `{"area":"kv","key":"k${10_000 + index}","value":"${value}","expires":null}\n`,
  ).join('');
  const file = join(directory(t), 'dump');
  writeFileSync(file, written);
  const { stderr } = await run(['store', 'load', file, '--store', place]);
  assert.equal(stderr, 'smtpf-milter: 3000 entries loaded\n');
  const [command = '', ...before] = PROGRAM;
  const piped = spawnSync(
    'sh',
    ['-c', '"$@" | cat', 'sh', command, ...before, 'store', 'dump', '--store', place],
    {
      encoding: 'utf8',
      maxBuffer: 1e8,
    },
  );
  assert.equal(piped.stdout, `{"dump":"smtpf-milter store","version":1}\n${written}`);
});

test('wrong use is told in one line, with exit code 64', async (t) => {
  const place = `lmdb:${join(directory(t), 'store')}`;
  for (const [words, message, ttl] of [
    [['frob'], /^store frob: no such action: list, get, set, del, dump or load expected$/],
    [['list', 'other', 'x'], /^store list: "other": must be kv, kv:NAME, rate, grey, client or limit$/],
    [['list', 'kv', 'x', 'y'], /^store list: at most /],
    [['get'], /^store get: a key must be named/],
    [['get', ''], /^store get: an empty string is no key$/],
    [['get', 'a\\q'], /^store get: "a\\\\q": .*: write \\\\ for a backslash, \\xHH for a byte$/],
    [['get', 'kv', 'a', '2/h'], /^store get: "2\/h": only rate has a rate behind the key$/],
    [['del', 'kv', 'a', 'b', 'c'], /^store del: a key must be named/],
    [['set', 'a'], /^store set: a key and a value must be named/],
    [['set', 'rate', 'a', '1'], /^store set rate: cannot be set: `store del rate KEY`/],
    [['set', 'grey', 'a', '1'], /^store set grey: "1": must be known/],
    [['set', 'client', 'a', '-1'], /^store set client: "-1": must be a number of passes/],
    [['set', 'a', '{"b":{"c":1}}'], /^store set: .*: no table: write a flat one as JSON, or give --string$/],
    [['set', 'a', '{'], /no table/],
    [['set', 'a', 'b'], /^store set: --ttl "soon": must be a time/, 'soon'],
    [['set', 'a', 'b'], /must be a time/, '0'],
    [['get', 'a'], /^store get: --ttl is for `store set` alone$/, '5'],
    [['dump', 'a', 'b'], /^store dump: at most one file/],
    [['load'], /^store load: one file must be named/],
  ] as const) {
    const [action = '', ...others] = words as readonly string[];
    await assert.rejects(
      store(resolveOptions(new Map([['store', [place]]]), {}), {
        action,
        words: others,
        ttl,
        json: false,
        isString: false,
        write: () => assert.fail(),
      }),
      (error) => error instanceof OperatorError && error.exitCode === 64 && message.test(error.message),
      `${action} ${others}`,
    );
  }
  assert.equal(existsSync(place.slice('lmdb:'.length)), false);
  for (const [words, message] of [
    [[], 'store: what to do must be named: smtpf-milter store list|get|set|del|dump|load'],
    [
      ['get', 'a', '--store', 'memory'],
      'store --store memory: is in the memory of the server: nobody else can look into it',
    ],
  ] as const) {
    const { code, stdout, stderr } = await run(['store', ...words]);
    assert.deepEqual([code, stdout, stderr], [64, '', `smtpf-milter: ${message}\n`]);
  }
});

test('what is where nothing can be written is read there', {
  skip: process.getuid?.() !== 0 && 'only root can mount',
}, async (t) => {
  const place = directory(t);
  const address = `lmdb:${join(place, 'store')}`;
  assert.equal((await run(['store', 'set', 'kv:a', '1', '--store', address])).code, 0);
  const program = PROGRAM.map((word) => `'${word}'`).join(' ');
  const mount = `mount --bind ${place} ${place} && mount -o remount,ro,bind ${place}`;
  const { status, stdout } = spawnSync(
    'unshare',
    ['-m', 'sh', '-c', `${mount} && ${program} store get kv:a --store ${address}`],
    { encoding: 'utf8' },
  );
  assert.deepEqual([status, stdout.trim().split(/\s+/).at(-1)], [0, '1']);
});

test('a store that does not answer is told in one line, with exit code 75', async (t) => {
  const none = join(directory(t), 'store');
  const down = async (address: string, reason: RegExp, ...words: string[]) => {
    const { code, stdout, stderr } = await run(['store', ...words, '--store', address]);
    assert.equal(code, 75, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, /^smtpf-milter: [^\n]+\n$/);
    assert.match(stderr, reason);
  };
  await down(`lmdb:${none}`, /store lmdb:\S+: cannot be opened: no such file or directory \(--store/, 'list');
  assert.equal(existsSync(none), false);
  await down(`lmdb:${none}/a/b`, /no such file or directory/, 'set', 'a', '1');
  await down('redis://127.0.0.1:1', /store redis:\/\/127\.0\.0\.1:1: unavailable ECONNREFUSED/, 'list');
  const service = await redis(t);
  const address = `redis://127.0.0.1:${service.port}`;
  await down(`redis://joe:secret@127.0.0.1:${service.port}`, /: refused WRONGPASS(?!.*secret)/, 'get', 'a');
  service.signal('SIGSTOP');
  await down(address, /: timeout no answer in 5 s/, 'dump');
  service.signal('SIGCONT');
  assert.equal((await run(['store', 'list', '--store', address])).code, 0);
});

test('what root makes can be opened by the user of the server', {
  skip: process.getuid?.() !== 0,
}, async (t) => {
  const place = directory(t);
  chownSync(place, 65534, 65534);
  const made = ['store', 'set', 'a', '1', '--store', `lmdb:${place}/store`, '--user', 'nobody'];
  assert.equal((await run(made)).code, 0);
  for (const path of ['store', 'store/data.mdb', 'store/lock.mdb'])
    assert.equal(statSync(join(place, path)).uid, 65534, path);
  // The directory says whose it is.
  assert.equal((await run(made.slice(0, -2))).code, 0);
});
