/** The command init: what it writes is right at once, and it writes over nothing. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { directory, run } from '../program/program.ts';

const FILES = ['.luarc.json', 'smtpf.d.lua', 'smtpf.lua', 'smtpf_test.lua'];

interface Result {
  readonly policies: readonly string[];
  readonly files: readonly string[];
  readonly commands: readonly string[];
}

async function all(): Promise<string[]> {
  const { stdout } = await run(['init', '--list', '--json']);
  const { folder, policies } = JSON.parse(stdout) as {
    folder: string;
    policies: { name: string; summary: string }[];
  };
  for (const { name, summary } of policies) {
    assert.ok(existsSync(join(folder, `${name}.lua`)), name);
    assert.match(summary, /^[A-Z].{10,}[^.]$/, name);
  }
  return policies.map(({ name }) => name);
}

test('every policy alone, all together and the default pass check and test as they are written', async (t) => {
  const top = directory(t);
  const names = await all();
  assert.equal(names.length, 11);
  const choices = [...names, names.join(), names.toReversed().join(' '), ''];
  const write = async (choice: string, i: number) => {
    const args = ['init', join(top, String(i)), '--domain', 'mail.site.example', '--json'];
    const { code, stdout, stderr } = await run(choice === '' ? args : [...args, '--with', choice]);
    assert.deepEqual([code, stderr], [0, ''], choice);
    const { policies } = JSON.parse(stdout) as Result;
    assert.deepEqual(
      policies,
      choice === '' ? ['ratelimit', 'greylist', 'dmarc', 'attachments'] : i < names.length ? [choice] : names,
    );
    const script = join(top, String(i), 'smtpf.lua');
    const text = readFileSync(script, 'utf8');
    for (const name of names)
      assert.equal(text.includes(`require "policy.${name}"`), policies.includes(name), choice);
    assert.doesNotMatch(text.replace(/spamtrap@mail\.site\.example/, ''), /example\.com/);
    return script;
  };
  const scripts: string[] = [];
  for (let i = 0; i < choices.length; i += 4) {
    const some = choices.slice(i, i + 4);
    scripts.push(...(await Promise.all(some.map((choice, j) => write(choice, i + j)))));
  }
  const checked = await run(['check', '--strict', ...scripts]);
  assert.deepEqual([checked.code, checked.stderr], [0, ''], checked.stdout);
  assert.doesNotMatch(checked.stdout, /callbacks: none/);
  const tested = await run(['test', top, '--json']);
  const { passed, failed, broken } = JSON.parse(tested.stdout);
  assert.deepEqual([tested.code, failed, broken], [0, 0, 0], tested.stdout);
  assert.equal(passed, 11 + 11 + 11 + 4);
  assert.equal(readFileSync(scripts[11] ?? '', 'utf8'), readFileSync(scripts[12] ?? '', 'utf8'));
});

test('says what was written, and what to do next', async (t) => {
  const folder = join(directory(t), 'it is', 'here');
  const { code, stdout, stderr } = await run(['init', folder, '--with', 'antivirus']);
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(readdirSync(folder).sort(), FILES);
  for (const text of [
    `  ${folder}/smtpf_test.lua\n`,
    'example.com stands for your domain in it: put yours in, or use --domain.\n',
    `  smtpf-milter check '${folder}/smtpf.lua'\n`,
    `  smtpf-milter serve --script '${folder}/smtpf.lua' --on-error tempfail --clamd unix:/run/clamav/clamd.ctl\n`,
    '  smtpd_milters = inet:127.0.0.1:8895\n  milter_default_action = tempfail\n',
    "  INPUT_MAIL_FILTER(`smtpf', `S=inet:8895@127.0.0.1, F=T, T=S:10s;R:10s;E:5m')\n",
  ]) {
    assert.ok(stdout.includes(text), `${text} in ${stdout}`);
  }
  const settings = JSON.parse(readFileSync(join(folder, '.luarc.json'), 'utf8'));
  assert.ok(existsSync(join(settings['workspace.library'][0], 'policy', 'greylist.lua')));
  assert.equal(readFileSync(join(folder, 'smtpf.d.lua'), 'utf8'), (await run(['stubs'])).stdout);
});

test('fits the service whose config file is there: its policy, its address, its options', async (t) => {
  const top = directory(t);
  const live = join(top, 'etc', 'live.lua');
  const config = join(top, 'config.json');
  const of = async (folder: string, options: object, ...more: string[]) => {
    writeFileSync(config, JSON.stringify({ script: live, ...options }));
    const { code, stdout, stderr } = await run(['init', join(top, folder), '--config', config, ...more]);
    assert.deepEqual([code, stderr], [0, '']);
    return stdout;
  };
  const socket = '/var/spool/postfix/smtpf/milter.sock';
  const stdout = await of('new', { listen: [`unix:${socket}`] }, '--with', 'greylist,antivirus');
  for (const text of [
    `  smtpf-milter check --config ${config} ${top}/new/smtpf.lua\n`,
    `  smtpf-milter reload --config ${config}\n`,
    '\nIt needs this in the config file (then: systemctl restart smtpf-milter):\n\n  "clamd": "unix:/run/clamav/clamd.ctl"\n',
    '\n  smtpd_milters = unix:smtpf/milter.sock\n',
    `S=unix:${socket}, F=T`,
    `\nsmtpf-milter doctor --config ${config} looks`,
  ])
    assert.ok(stdout.includes(text), `${text} in ${stdout}`);
  assert.doesNotMatch(stdout, /smtpf-milter serve/);

  mkdirSync(join(top, 'etc'));
  writeFileSync(live, 'mine');
  for (const [line] of stdout.matchAll(/(?<=^ {2})install .*$/gm))
    assert.equal(spawnSync('sh', ['-c', line]).status, 0);
  assert.deepEqual(readdirSync(join(top, 'etc')).sort(), ['live.lua', 'live.lua~', 'live_test.lua']);
  assert.equal(readFileSync(live, 'utf8'), readFileSync(join(top, 'new', 'smtpf.lua'), 'utf8'));

  const there = { script: join(top, 'there', 'smtpf.lua'), clamd: 'inet:3310@127.0.0.1' };
  const inPlace = await of('there', { ...there, listen: 'fd:smtpf-milter.socket' }, '--with', 'antivirus');
  assert.match(inPlace, /^Next, look at it, and have the milter take it:$/m);
  assert.match(inPlace, /^ {2}smtpd_milters = unix:smtpf\/milter\.sock$/m);
  assert.doesNotMatch(inPlace, /install|"clamd"/);

  const overTcp = JSON.parse(await of('tcp', { listen: 'inet6:9000' }, '--json'));
  assert.equal(overTcp.mainCf[0], 'smtpd_milters = inet:[::1]:9000');
});

test('writes all files or none, and over nothing', async (t) => {
  const top = directory(t);
  for (const name of FILES) {
    const folder = join(top, name);
    mkdirSync(folder);
    if (name === 'smtpf.lua') symlinkSync('/nowhere/at-all', join(folder, name));
    else writeFileSync(join(folder, name), 'mine');
    const { code, stdout, stderr } = await run(['init', folder]);
    assert.deepEqual([code, stdout], [73, ''], stderr);
    assert.match(stderr, /^smtpf-milter: init: [^\n]*: there already[^\n]*\n$/);
    assert.deepEqual(readdirSync(folder), [name]);
  }
  writeFileSync(join(top, 'file'), '');
  for (const below of ['file', 'file/below']) {
    const { code, stderr } = await run(['init', join(top, below)]);
    assert.equal(code, 73);
    assert.match(stderr, /^smtpf-milter: init: [^\n]+\n$/);
  }
});
