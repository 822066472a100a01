/** `doctor`, the server and what it needs: each mistake is found, and its line mends it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { freePort } from '../helpers/loopback.ts';
import { mmdb } from '../helpers/mmdb.ts';
import { ScriptedMailServer } from '../mail-client/scripted-mail-server.ts';
import { PROGRAM, run } from '../program/program.ts';
import { only, PLAIN_POLICY, type Report, Site } from './site.ts';

const skip = process.getuid?.() === 0 ? {} : { skip: 'root starts the milter' };
const MAIL = 8;
/** No Postfix and no Sendmail is looked at: neither is in /etc of a machine for tests. */
const LISTEN = ['--listen', 'inet:0@127.0.0.1'];

async function ids(site: Site): Promise<string[]> {
  return (await site.doctor()).findings.map(({ id }) => id);
}

async function mended(site: Site, id: string): Promise<readonly string[]> {
  const finding = await only(site, id);
  await site.mend(finding);
  assert.deepEqual(await ids(site), []);
  return finding.mend.map(({ line }) => line);
}

it('server-down, and nothing when it runs', skip, async (t) => {
  const site = new Site(t);
  site.options.push('--listen', `inet:${await freePort()}@127.0.0.1`);
  assert.deepEqual(await mended(site, 'server-down'), [
    'systemctl start smtpf-milter',
    'journalctl -u smtpf-milter -n 20',
  ]);
});

it('the script of --fix starts the server when the rest is mended', skip, async (t) => {
  const site = new Site(t);
  const secret = site.write('secret', 'a secret of more than a few letters\n');
  site.options.push('--listen', `inet:${await freePort()}@127.0.0.1`, '--srs-secret', secret);
  const { stdout } = await run(['doctor', ...site.options, '--fix']);
  const [start, mend] = stdout
    .split('\n')
    .filter((line) => /^(chmod|systemctl)/.test(line))
    .reverse();
  assert.deepEqual([mend, start], [`chmod o= ${secret}`, 'systemctl start smtpf-milter'], stdout);
});

it('who may not see the socket is told nothing of a server that runs', skip, async (t) => {
  const site = new Site(t);
  const directory = site.makeDirectory('private', 'mail:mail', '750');
  site.options.push('--listen', `unix:${directory}/milter.sock`);
  await site.serve();
  assert.deepEqual(await ids(site), []);
  const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', ...PROGRAM];
  const { stdout } = spawnSync('setpriv', [...asNobody, 'doctor', '--json', ...site.options], {
    encoding: 'utf8',
  });
  const report = JSON.parse(stdout) as Report;
  assert.ok(!report.findings.some(({ id }) => id === 'server-down'), stdout);
  assert.match(stdout, /whether a milter listens on .* cannot be seen from here: run doctor as root/);
});

it('policy-broken: a policy that cannot run any more', skip, async (t) => {
  const site = new Site(t);
  site.options.push(...LISTEN);
  await site.serve();
  site.write('smtpf.lua', 'function smtp.do_mail(\n');
  site.server.signal('SIGHUP');
  await site.server.logged(/SIGHUP: .*smtpf\.lua/);
  const { findings } = await site.doctor();
  assert.deepEqual(
    findings.map(({ id }) => id),
    ['policy-broken'],
  );
  assert.match(
    findings[0]?.problem ?? '',
    /the policy cannot run, and --on-error tempfail is applied: .*smtpf\.lua:/,
  );
  site.write('smtpf.lua', PLAIN_POLICY);
  site.server.signal('SIGHUP');
  await site.server.logged(/SIGHUP: script .*callbacks: do_rcpt/);
  assert.deepEqual(await ids(site), []);
});

it('policy-outdated: the last good version is served', skip, async (t) => {
  const site = new Site(t);
  site.options.push(...LISTEN, '--on-bad-script', 'last-good');
  await site.serve();
  site.write('smtpf.lua', 'function smtp.do_mail(\n');
  site.server.signal('SIGHUP');
  await site.server.logged(/the last good version \(\w+\) serves/);
  assert.deepEqual(await ids(site), ['policy-outdated']);
});

it('server-options: the config file was edited, and the server not started anew', skip, async (t) => {
  const site = new Site(t);
  const [before, after] = [await freePort(), await freePort()];
  const socket = join(site.makeDirectory('own', 'mail:mail', '755'), 'milter.sock');
  const config = {
    listen: [`inet:${before}@127.0.0.1`, `unix:${socket}`],
    script: site.policy,
    spool: join(site.directory, 'spool'),
    user: 'mail',
    ...{ 'on-error': 'tempfail', workers: 0, syslog: 'stderr' },
  };
  const write = (more = {}) => site.write('config.json', JSON.stringify({ ...config, ...more }));
  site.options = ['--config', write()];
  await site.serve();
  const { findings, remarks } = await site.doctor();
  assert.deepEqual(findings, []);
  assert.ok(!remarks.some(({ text }) => text.includes('was written after')));

  // The same in other words: nothing differs, and that a file was written is said.
  write({ listen: [`inet:localhost:${before}`, `local:${socket}`], clamd: 'inet:1@127.0.0.1' });
  const rewritten = await site.doctor(['scanner-unreachable']);
  assert.deepEqual(rewritten.findings, []);
  assert.ok(
    rewritten.remarks.some(({ text }) => text.startsWith('was written after the server was started')),
  );

  const script = site.write('new.lua', PLAIN_POLICY);
  write({ listen: `inet:${after}@127.0.0.1`, script, deadline: 20 });
  const finding = await only(site, 'server-options');
  for (const text of [
    `--script ${site.policy}, where the file has ${script}`,
    '--deadline 8 s, where the file has 20 s',
    `--listen inet:${before}@127.0.0.1 unix:${socket}, where the file has inet:${after}@127.0.0.1`,
  ])
    assert.ok(finding.problem.includes(text), `${text} in ${finding.problem}`);
  const lines = await mended(site, 'server-options');
  assert.equal(lines[0], 'systemctl restart smtpf-milter');
  assert.match(lines[1] ?? '', /^ps -o args= -p \d+$/);
});

it('config-unreadable: of a server that is started as its user', skip, async (t) => {
  const site = new Site(t);
  const own = site.makeDirectory('own', 'mail:mail', '755');
  const config = {
    listen: 'inet:0@127.0.0.1',
    script: site.policy,
    spool: join(own, 'spool'),
    workers: 0,
    syslog: 'stderr',
  };
  const path = site.write('config.json', JSON.stringify(config), 0o600);
  chownSync(path, MAIL, MAIL);
  site.options = ['--config', path];
  await site.serve('mail');
  assert.deepEqual(await ids(site), []);
  // As an editor leaves it that writes a new file.
  chownSync(path, 0, 0);
  const finding = await only(site, 'config-unreadable');
  assert.match(
    finding.problem,
    /^user mail, who needs the options in it, cannot read it: may not read .*config\.json/,
  );
  assert.deepEqual(
    finding.mend.map(({ line }) => line),
    [`chgrp mail ${path}`, `chmod g+r ${path}`],
  );
  await site.mend(finding);
  assert.deepEqual(await ids(site), []);
  await site.serve('mail');
});

it('policy-unreadable: the directory of the policy is closed to its user', skip, async (t) => {
  const site = new Site(t);
  const closed = site.makeDirectory('closed');
  const policy = site.write('closed/smtpf.lua', PLAIN_POLICY, 0o640);
  site.options[1] = policy;
  site.options.push('--listen', `inet:${await freePort()}@127.0.0.1`, '--on-bad-start', 'serve');
  await site.serve();
  site.shell(`chmod 0700 ${closed}`);
  const { findings } = await site.doctor();
  const finding = findings.find(({ id }) => id === 'policy-unreadable');
  assert.ok(finding);
  assert.match(
    finding.problem,
    /user mail.* cannot read it: may not enter .*\/closed \(.*0700\); may not read .*smtpf\.lua/,
  );
  assert.deepEqual(
    finding.mend.map(({ line }) => line),
    [`chmod o+x ${closed}`, `chgrp mail ${policy}`, `chmod g+r ${policy}`],
  );
  await site.mend(finding);
  await site.serve();
  assert.deepEqual(await ids(site), []);
});

it('spool-rights, store-rights and journal-rights', skip, async (t) => {
  const site = new Site(t);
  site.options.push(...LISTEN);
  await site.serve();
  const spool = join(site.directory, 'spool');
  chownSync(spool, 0, 0);
  assert.deepEqual(await mended(site, 'spool-rights'), [`chown mail ${spool}`, `chmod u+rwx ${spool}`]);

  const store = site.makeDirectory('store', 'root:root', '700');
  site.options.push('--store', `lmdb:${store}`);
  assert.deepEqual(await mended(site, 'store-rights'), [`chown mail ${store}`, `chmod u+rwx ${store}`]);

  const own = site.makeDirectory('journal', 'mail:mail', '700');
  const journal = site.write('journal/smtpf.journal', '');
  site.options.push('--journal', journal);
  assert.deepEqual(await mended(site, 'journal-rights'), [`chown mail ${journal}`]);
  chownSync(own, 0, 0);
  assert.deepEqual(await mended(site, 'journal-rights'), [`chown mail ${own}`, `chmod u+rwx ${own}`]);
});

it('secret-open: others can read a secret', skip, async (t) => {
  const site = new Site(t);
  site.options.push(...LISTEN);
  await site.serve();
  const secret = site.write('secret', 'a secret of more than a few letters\n', 0o644);
  chownSync(secret, MAIL, MAIL);
  site.options.push('--srs-secret', secret);
  assert.deepEqual(await mended(site, 'secret-open'), [`chmod o= ${secret}`]);
});

it('what the policy asks and nobody answers', skip, async (t) => {
  const site = new Site(t, {
    policy: `local known = map.open("texthash:/run/smtpf-milter-nowhere")
function smtp.do_connect(ip) if dns.lookup("a", ip) then return 550, "5.7.1 no" end end\n`,
  });
  const [dns, redis, clamd] = [await freePort(), await freePort(), await freePort()];
  site.options.push('--listen', `inet:${await freePort()}@127.0.0.1`, '--dns-server', `127.0.0.1:${dns}`);
  site.options.push('--store', `redis://127.0.0.1:${redis}`, '--clamd', `inet:${clamd}@127.0.0.1`);
  const { findings } = await site.doctor();
  assert.deepEqual(findings.map(({ id }) => id).sort(), [
    'dns-unreachable',
    'map-unreadable',
    'scanner-unreachable',
    'server-down',
    'store-unreachable',
  ]);
  const of = (id: string) => findings.find((found) => found.id === id);
  assert.match(
    of('store-unreachable')?.problem ?? '',
    new RegExp(`the store at 127.0.0.1:${redis} does not answer`),
  );
  assert.match(of('scanner-unreachable')?.problem ?? '', new RegExp(`127.0.0.1:${clamd}: `));
  assert.match(of('map-unreadable')?.where ?? '', /smtpf\.lua:1$/);
});

it('the smarthost is greeted, asked about STARTTLS, and never this server', skip, async (t) => {
  const site = new Site(t);
  const listen = await freePort();
  site.options.push('--listen', `inet:${listen}@127.0.0.1`);
  const found = async (...options: string[]): Promise<string> => {
    const before = site.options;
    site.options = [...before, ...options];
    const { findings, remarks } = await site.doctor();
    site.options = before;
    return [
      ...findings.flatMap(({ id, problem }) => (id === 'server-down' ? [] : [`${id} ${problem}`])),
      ...remarks.flatMap(({ where, text }) => (where === '--smarthost' ? [text] : [])),
    ].join('\n');
  };
  const server = await ScriptedMailServer.start(t);
  const at = ['--smarthost', `127.0.0.1:${server.port}`];
  assert.equal(await found(...at), `127.0.0.1:${server.port} answers`);
  assert.match(
    await found(...at, '--smarthost-tls', 'verify'),
    /^smarthost-tls 127\.0\.0\.1:\d+ offers no STARTTLS/,
  );
  assert.match(await found(...at, '--own-address', '127.0.0.0/8'), /^smarthost-own .* is this server/);
  assert.match(await found('--smarthost', `127.0.0.1:${listen}`), /^smarthost-own /);
  assert.match(
    await found('--smarthost', `127.0.0.1:${await freePort()}`),
    /^smarthost-unreachable smtp\.send cannot hand mail to \S+: ECONNREFUSED$/,
  );
  const closed = await ScriptedMailServer.start(t, { greeting: '554 no' });
  assert.match(
    await found('--smarthost', `127.0.0.1:${closed.port}`),
    /^smarthost-unreachable .*: it says 554 no$/,
  );
  assert.ok(server.heard.every((line) => !line.startsWith('MAIL')));
});

it('geo-unreadable, geo-unusable: files that say where addresses are', skip, async (t) => {
  const site = new Site(t);
  site.options.push(...LISTEN);
  await site.serve();
  const file = join(site.directory, 'country.mmdb');
  site.options.push('--geo', file);
  assert.match((await only(site, 'geo-unreadable')).problem, /nothing is at /);
  site.write('country.mmdb', 'nonsense', 0o600);
  assert.deepEqual(
    (await site.doctor()).findings.map(({ id, where }) => [id, where]),
    [
      ['geo-unreadable', file],
      ['geo-unusable', '--geo'],
    ],
  );
  chmodSync(file, 0o644);
  assert.match((await only(site, 'geo-unusable')).problem, /country\.mmdb: is no MaxMind DB file/);
  writeFileSync(file, mmdb({ '192.0.2.0/24': { country: { iso_code: 'DE' } } }));
  const { findings, remarks } = await site.doctor();
  assert.deepEqual(findings, []);
  assert.ok(
    remarks.some(({ text }) => text === `${file}: Test of 2023-11-14`),
    JSON.stringify(remarks),
  );
});
