/** What a policy asks of files and servers that options name, with confined workers, in `status`, and in `try`. */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { mmdb } from '../helpers/mmdb.ts';
import { ScriptedMailServer } from '../mail-client/scripted-mail-server.ts';
import { mailReply, startMilter, statusOf } from './milter-client.ts';
import { directory, run } from './program.ts';

const POLICY = `function smtp.do_mail(sender)
  local sent, reply = smtp.send { to = "joe@d.example", message = "Subject: x\\n\\n" .. sender }
  return 550, ("5.7.1 %s, %s %s"):format(geo.country(smtp.sess.ip), sent, reply)
end`;

test('workers under --confine read the files of --geo and reach the smarthost', async (t) => {
  const server = await ScriptedMailServer.start(t);
  const path = join(directory(t), 'country.mmdb');
  const put = (code: string, builtAt: number) => {
    const options = { type: 'Test-Country', builtAt };
    writeFileSync(`${path}.new`, mmdb({ '192.0.2.0/24': { country: { iso_code: code } } }, options));
    renameSync(`${path}.new`, path);
  };
  put('DE', Date.now() / 1000 - 5.5 * 86_400);
  const milter = await startMilter(t, POLICY, [
    ...['--deadline', '100', '--workers', '2', '--confine', '--geo', path],
    ...['--smarthost', `127.0.0.1:${server.port}`, '--send-per-hour', '2'],
  ]);
  const text = async () => (await run(['status', '--spool', milter.spool])).stdout;
  assert.match(await text(), new RegExp(`^geo {9}${path}, not read yet$`, 'm'));
  assert.equal(await mailReply(milter), '550 5.7.1 DE, true 250 2.0.0 queued as 1234');
  assert.match(
    await text(),
    new RegExp(`^geo {9}${path}, Test-Country of \\d{4}-\\d\\d-\\d\\d \\(5 days old\\), read \\S+Z$`, 'm'),
  );
  // Each worker by itself, at worst, where a busy machine makes the store too slow.
  const replies = await Promise.all(Array.from({ length: 5 }, () => mailReply(milter)));
  const limited = replies.filter((reply) =>
    /^550 5\.7\.1 DE, nil limit --send-per-hour 2: the next in \d+ s$/.test(reply),
  );
  assert.ok(limited.length > 0, replies.join('\n'));
  assert.ok(server.messages.length >= 2 && server.messages.length <= 4, String(server.messages.length));
  writeFileSync(path, 'broken');
  for (;;) {
    const [file] = (await statusOf(milter)).geo;
    if (file?.problem?.endsWith('is no MaxMind DB file, or was cut off')) break;
    await sleep(50);
  }
  assert.match(await mailReply(milter), /^550 5\.7\.1 DE, /, milter.running.stderr);
  await milter.running.until('stderr', /geo file \S+ is not taken, the version before it serves: /);
});

test('try reads the files of --geo, and sends with --live alone', async (t) => {
  const server = await ScriptedMailServer.start(t);
  const folder = directory(t);
  const [policy, path] = [join(folder, 'policy.lua'), join(folder, 'country.mmdb')];
  writeFileSync(policy, POLICY);
  writeFileSync(path, mmdb({ '192.0.2.0/24': { country: { iso_code: 'DE' } } }));
  const args = [
    'try',
    policy,
    '--geo',
    path,
    '--smarthost',
    `127.0.0.1:${server.port}`,
    '--from',
    'a@b.example',
  ];
  const dry = await run(args);
  assert.match(dry.stdout, /5\.7\.1 DE, nil unavailable smarthost is asked with --live only/);
  assert.equal(server.connections, 0);
  const live = await run([...args, '--live']);
  assert.match(live.stdout, /5\.7\.1 DE, true 250 2\.0\.0 queued as 1234/);
  assert.match(live.stdout, /send <> to <joe@d\.example>, 23 bytes: 250 2\.0\.0 queued as 1234 /);
  assert.match(live.stdout, /geo country 192\.0\.2\.1: DE /);
  assert.match(server.messages[0]?.toString() ?? '', /\r\nSubject: x\r\n\r\na@b\.example\r\n$/);
});
