/** The policies that come with the program: their tests, their page, and that every script finds them. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readyPolicies } from '../../scripts/documentation.ts';
import { mailReply } from './milter-client.ts';
import { directory, run, start } from './program.ts';

const POLICIES = fileURLToPath(new URL('../../policies', import.meta.url));
const PAGE = readFileSync(new URL('../../docs/ready-policies.md', import.meta.url), 'utf8');

const source = (name: string) => readFileSync(join(POLICIES, 'policy', `${name}.lua`), 'utf8');

test('their tests pass', async () => {
  const { code, stdout } = await run(['test', join(POLICIES, 'tests'), '--json']);
  const { failed, broken, files } = JSON.parse(stdout);
  assert.deepEqual([code, failed, broken], [0, 0, 0], stdout);
  const tested = files.map(({ file }: { file: string }) => file.replace(/^.*\/(.*)_test\.lua$/, '$1'));
  assert.deepEqual(tested, [...readyPolicies(), 'use'].sort());
});

test('check finds nothing in them, nor in what their page shows', async (t) => {
  const blocks = [...PAGE.matchAll(/^```lua\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text);
  assert.equal(blocks.length, readyPolicies().length + 1);
  const folder = directory(t);
  const pages = blocks.map((text, i) => {
    const file = join(folder, `${i}.lua`);
    writeFileSync(file, text);
    return file;
  });
  const sources = readdirSync(join(POLICIES, 'policy')).map((name) => join(POLICIES, 'policy', name));
  for (const name of readyPolicies()) {
    assert.ok(
      blocks.some((text) => text.includes(`require "policy.${name}" {`)),
      name,
    );
    assert.ok(PAGE.includes(`\n## policy.${name}\n`), name);
  }
  const { code, stdout, stderr } = await run(['check', '--strict', ...pages]);
  assert.deepEqual([code, stderr], [0, ''], stdout);
  assert.doesNotMatch(stdout, /callbacks: none/);
  const libraries = await run(['check', '--strict', ...sources]);
  assert.deepEqual([libraries.code, libraries.stderr], [0, ''], libraries.stdout);
});

test('each key that a policy reads is described, and no other', () => {
  for (const name of readyPolicies()) {
    const text = source(name);
    const [first = ''] = text.split(/^---@class policy\./m).slice(1);
    const described = [...first.matchAll(/^---@field (\w+)/gm)].map(([, key]) => key);
    const [, table = ''] = /settings\.read\("[\w.]+", config, \{\n([\s\S]*?)\n {2}\}\)/.exec(text) ?? [];
    const read = [...table.matchAll(/^ {4}(\w+) = /gm)].map(([, key]) => key);
    assert.deepEqual(described.sort(), [...read, 'on_error'].sort(), name);
    assert.ok(text.includes(`---@param config`), name);
    assert.ok(text.split('\n').length <= 220, name);
  }
});

test('a confined server of another user finds them, and a wrong key is told of with its line', async (t) => {
  const folder = directory(t);
  chmodSync(folder, 0o755);
  const script = join(folder, 'smtpf.lua');
  writeFileSync(script, 'return require "policy.use" { require "policy.greylist" {}, require "own" }\n');
  mkdirSync(join(folder, 'lib'));
  writeFileSync(
    join(folder, 'lib', 'own.lua'),
    'return { mail = function(s) if s == "b@c.example" then return 550, "5.7.1 own" end end }',
  );
  const args = ['--listen', 'inet:0@127.0.0.1', '--script', script, '--spool', join(folder, 'spool')];
  const confined = ['--workers', '1', '--confine', '--package-path', join(folder, 'lib', '?.lua')];
  const asOther = process.getuid?.() === 0 ? ['--worker-user', '54397:54396'] : [];
  const milter = start(t, [...args, ...confined, ...asOther, '--store', 'memory', '--on-error', 'tempfail']);
  const port = await milter.port();
  await milter.ready();
  assert.equal(await mailReply({ port }), 'c', milter.stderr);
  assert.equal(await mailReply({ port }, '<b@c.example>'), '550 5.7.1 own', milter.stderr);
  await milter.until('stderr', /reject: smtp\.do_mail: 550 5\.7\.1 own at \S+\/lib\/own\.lua:1 /);
  writeFileSync(script, 'return require "policy.use" { require "policy.closed_list" { list = {} } }\n');
  milter.child.kill('SIGHUP');
  await milter.until(
    'stderr',
    /smtpf\.lua:1: policy\.closed_list: unknown key 'list' \(did you mean 'lists'\?\)/,
  );
  assert.equal(await milter.stop(), 0);
});

test('a policy of the same name beside the script counts, wherever the program is started', async (t) => {
  const folder = directory(t);
  const script = join(folder, 'smtpf.lua');
  writeFileSync(script, 'return require "policy.use" { require "policy.greylist" {} }\n');
  assert.match((await run(['check', script])).stdout, /callbacks: do_rcpt$/m);
  mkdirSync(join(folder, 'policy'));
  writeFileSync(
    join(folder, 'policy', 'greylist.lua'),
    'return function() return { mail = function() return 550, "5.7.1 forked" end } end',
  );
  assert.match((await run(['check', script])).stdout, /callbacks: do_mail$/m);
  assert.match((await run(['try', script])).stdout, /550 5\.7\.1 forked/);
});
