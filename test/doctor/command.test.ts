/** The command as it is typed: what it prints, its exit codes, and that the script of --fix mends. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { postfixUnavailable } from '../mta/postfix.ts';
import { run } from '../program/program.ts';
import { PostfixSite } from './postfix-site.ts';

const unavailable = postfixUnavailable();
const skip = unavailable === undefined || process.env.CI === 'true' ? {} : { skip: unavailable };

it('prints findings, and a script that mends them and changes nothing before it is run', skip, async (t) => {
  const site = new PostfixSite(t);
  await site.overUnix();
  const configuration = site.configuration;
  const postconf = `postconf -c ${configuration}`;
  const args = ['doctor', ...site.options, '--postfix', configuration];

  const well = await run(args);
  assert.equal(well.code, 0, well.stdout + well.stderr);
  assert.match(
    well.stdout,
    /^ok {6}.*main\.cf: smtpd_milters: user postfix may connect to smtpf\/milter\.sock$/m,
  );
  assert.match(well.stdout, /\n\nnothing wrong was found\n$/);

  site.postconf('-e', 'milter_default_action = accept');
  site.shell(`chmod 0700 ${site.queue}/smtpf`);
  const before = site.postconf('-n');
  const ill = await run(args);
  assert.equal(ill.code, 1);
  assert.match(
    ill.stdout,
    /^error {3}socket-rights: .*main\.cf: smtpd_milters\n {8}user postfix cannot connect/m,
  );
  assert.ok(
    ill.stdout.includes(`\n    mend: chmod g+x ${site.queue}/smtpf\n\nwarning fails-open: `),
    ill.stdout,
  );
  assert.match(ill.stdout, /\n2 findings\n$/);

  const ignoring = await run([...args, '--ignore', 'fails-open', '--ignore', 'socket-rights']);
  assert.equal(ignoring.code, 0, ignoring.stdout);

  const fix = await run([...args, '--fix']);
  assert.equal(fix.code, 1);
  assert.equal(site.postconf('-n'), before);
  const [reload, ...rest] = fix.stdout.trimEnd().split('\n').reverse();
  assert.equal(reload, `postfix -c ${configuration} reload`);
  const script = rest.reverse().join('\n');
  assert.ok(script.startsWith('#!/bin/sh\n'));
  assert.ok(script.includes(`\n${postconf} -e 'milter_default_action = tempfail'\n`), script);
  site.shell(script);
  assert.equal((await run(args)).code, 0);

  const json = await run([...args, '--json']);
  assert.deepEqual(JSON.parse(json.stdout).findings, []);
});

it('ends with 66 for a configuration that is not there, and with 64 for what it does not know', async () => {
  const unreadable = await run(['doctor', '--postfix', '/nowhere']);
  assert.equal(unreadable.code, 66);
  assert.match(
    unreadable.stderr,
    /--postfix: \/nowhere\/main\.cf: cannot be read: no such file or directory\n$/,
  );
  assert.equal((await run(['doctor', '--postfx', '/etc/postfix'])).code, 64);
  const twice = await run(['doctor', '--json', '--fix']);
  assert.equal(twice.code, 64, twice.stdout);
});
