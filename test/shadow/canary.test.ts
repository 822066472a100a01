/** `--canary`: the candidate decides for the same share of the clients in every process, and for nobody where it cannot. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isCanary } from '../../src/shadow/canary.ts';
import { type Milter, startMilter, statusOf } from '../program/milter-client.ts';
import { directory, run } from '../program/program.ts';
import { sendMail } from '../replay/traffic.ts';

const clients = Array.from({ length: 40 }, (_, i) => `192.0.2.${i}`);
const SHARE = 0.3;
/** Of the first ten: after an update of the program they must be the same. */
const PINNED = ['192.0.2.0', '192.0.2.1', '192.0.2.7', '192.0.2.8'];

test('a client is chosen by its address, of IPv6 by its /64, and always the same', () => {
  const many = Array.from({ length: 10_000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  const chosen = many.filter((ip) => isCanary(ip, 0.05)).length;
  assert.ok(chosen > 400 && chosen < 600, `${chosen} of 10,000`);
  // Who is among 5 % is among 10 %.
  assert.ok(many.every((ip) => !isCanary(ip, 0.05) || isCanary(ip, 0.1)));
  assert.deepEqual(
    clients.slice(0, 10).filter((ip) => isCanary(ip, SHARE)),
    PINNED,
  );
  const networks = Array.from({ length: 200 }, (_, i) => `2001:db8:0:${i.toString(16)}`);
  for (const network of networks)
    assert.equal(isCanary(`${network}::1`, 0.5), isCanary(`${network}:ffff::25`, 0.5), network);
  assert.ok(new Set(networks.map((network) => isCanary(`${network}::1`, 0.5))).size === 2);
  for (const ip of clients) assert.equal(isCanary(`::ffff:${ip}`, SHARE), isCanary(ip, SHARE));
  assert.deepEqual(
    [isCanary('', 1), isCanary('/run/x.sock', 1), isCanary('192.0.2.1', 1)],
    [false, false, true],
  );
});

const LIVE = `function smtp.do_rcpt(rcpt) return 450, "4.7.1 live" end`;
const CANDIDATE = `function smtp.do_connect(ip) kv.incr "canary" end
function smtp.do_rcpt(rcpt)
  if rcpt ~= "joe@example.com" then return 450, "4.7.1 canary" end
end
function smtp.do_dot(path)
  for line in io.lines(path) do
    if line:find "this is a message" then return 550, "5.7.1 canary" end
  end
end`;

async function startCanary(t: TestContext, lua: string): Promise<Milter & { readonly candidate: string }> {
  const candidate = join(directory(t), 'new.lua');
  writeFileSync(candidate, lua);
  const milter = await startMilter(t, LIVE, [
    ...['--shadow', candidate, '--canary', `${SHARE * 100}%`, '--workers', '2'],
    ...['--journal', join(directory(t), 'journal')],
  ]);
  return { ...milter, candidate };
}

test('the candidate decides for its clients with its own effects, the live policy for the others', async (t) => {
  const milter = await startCanary(t, CANDIDATE);
  const mail = { sender: 'a@example.net', rcpt: 'joe@example.com', subject: 'x' };
  const replies = await Promise.all(clients.map((ip) => sendMail(milter, { ...mail, ip })));
  const canaries = clients.filter((ip) => isCanary(ip, SHARE));
  assert.ok(canaries.length > 5 && canaries.length < 35);
  assert.deepEqual(
    replies,
    clients.map((ip) => (canaries.includes(ip) ? '550 5.7.1 canary' : '450 4.7.1 live')),
  );
  const { stdout: kept } = await run(['store', 'get', 'canary', '--spool', milter.spool]);
  assert.match(kept, /^kv +canary +[1-9]/); // A busy machine may not store each in its time.

  await t.test('log and journal say which policy decided', async () => {
    const [ip = ''] = canaries;
    const other = clients.find((client) => !canaries.includes(client)) ?? '';
    await milter.running.until(
      'stderr',
      new RegExp(`client=\\S*\\[${ip}\\]: reject: .*5\\.7\\.1 canary.* \\(script [0-9a-f]+ canary\\), `),
    );
    await milter.running.until(
      'stderr',
      new RegExp(`client=\\S*\\[${other}\\]: tempfail: .*live at .* \\(script [0-9a-f]+\\), `),
    );
    const why = await run(['why', ip, '--spool', milter.spool]);
    assert.match(why.stdout, /^ {2}script {3}[0-9a-f]+, the canary, cpu /m);
  });

  await t.test('only the others are compared, and status tells of both', async () => {
    let { shadow } = await statusOf(milter);
    while ((shadow?.compared ?? 0) < clients.length - canaries.length) ({ shadow } = await statusOf(milter));
    assert.equal(shadow?.compared, clients.length - canaries.length);
    assert.deepEqual(shadow?.canary, { share: SHARE, sessions: canaries.length });
  });
});

test('where the candidate does not run the live policy decides for all, and that is said', async (t) => {
  const milter = await startCanary(t, 'function smtp.do_rcpt(');
  const mail = { sender: 'a@example.net', rcpt: 'joe@example.com', subject: 'x' };
  for (const ip of clients.slice(0, 10))
    assert.equal(await sendMail(milter, { ...mail, ip }), '450 4.7.1 live');
  await milter.running.until(
    'stderr',
    /shadow: \S+new\.lua: does not run, the live policy decides for its clients too, and no session is compared: /,
  );
  const { shadow, scriptErrors } = await statusOf(milter);
  assert.deepEqual([shadow?.canary?.sessions, scriptErrors], [0, 0]);
  assert.match(shadow?.problem ?? '', /new\.lua:1/);

  // It is taken as soon as it runs, also where its main chunk runs in each session.
  writeFileSync(milter.candidate, `print(math.random())\n${CANDIDATE}`);
  const ip = clients.find((client) => isCanary(client, SHARE)) ?? '';
  while ((await sendMail(milter, { ...mail, ip })) !== '550 5.7.1 canary');
});

test('a share without a candidate is refused', async () => {
  const { code, stderr } = await run(['--canary', '5%', '--listen', 'inet:0@127.0.0.1']);
  assert.equal(code, 78);
  assert.match(
    stderr,
    /^smtpf-milter: --canary: it is the candidate of --shadow that decides .*: name it by --shadow FILE\n$/,
  );
});
