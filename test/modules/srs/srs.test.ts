/** The modules `srs` and `batv` as a script sees them, with the secrets of a file. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { LuaContext } from '../../../src/lua/context/context.ts';
import { Template } from '../../../src/lua/context/template.ts';
import { compile } from '../../../src/lua/script/compilation.ts';
import { tagSender } from '../../../src/mail-auth/bounce-tag.ts';
import { srsForward } from '../../../src/mail-auth/sender-rewriting.ts';
import { policyLibraries } from '../../../src/modules/install.ts';
import { resolveOptions } from '../../../src/options/options.ts';
import { servicesOf } from '../../../src/policy/policy-source.ts';
import { Logger } from '../../../src/syslog/log.ts';
import { evaluate } from '../../helpers/lua-context.ts';
import { LogRecorder } from '../../helpers/milter-server.ts';
import { failureOf, passes } from '../../policy-test/run-tests.ts';
import { directory, run } from '../../program/program.ts';

const OWN = 'forward.example';
const SECRETS = ['the first secret', 'an older one'];

/** A worker that was given options as on the command line. */
function worker(options: Readonly<Record<string, readonly string[]>>) {
  const log = new LogRecorder();
  const services = servicesOf(
    resolveOptions(new Map(Object.entries(options)), {}),
    log,
    new Logger(log, 'warning'),
  );
  const template = new Template(policyLibraries(services));
  return async (chunk: string): Promise<string> => {
    const source = `local function all(...) local t = table.pack(...) for i = 1, t.n do t[i] = tostring(t[i]) end
      return table.concat(t, " ") end return all((function() ${chunk} end)())`;
    const context = new LuaContext({ template, script: compile(Buffer.from(source), 'test.lua') });
    const outcome = await evaluate(context);
    context.dispose();
    if (outcome.kind === 'done') return outcome.value;
    return 'message' in outcome ? outcome.message.replace(/^test\.lua:\d+: /, 'error: ') : outcome.kind;
  };
}

describe('srs and batv', () => {
  const secretFile = (t: Parameters<typeof directory>[0]): string => {
    const path = join(directory(t), 'srs.secret');
    writeFileSync(path, `${SECRETS.join('\n')}\n`, { mode: 0o600 });
    return path;
  };

  it('rewrite a sender and give it back', async (t) => {
    const lua = worker({ 'srs-secret': [secretFile(t)], 'srs-domain': [OWN, 'Other.Example'] });
    const made = srsForward('jane@example.org', OWN, SECRETS, Date.now());
    assert.equal(await lua('return srs.forward("jane@example.org")'), made);
    assert.equal(await lua('return srs.forward("<jane@example.org>")'), made);
    assert.equal(await lua(`return srs.reverse("${made}")`), 'jane@example.org');
    assert.equal(await lua(`return srs.reverse("<${made.toUpperCase()}>")`), 'JANE@EXAMPLE.ORG');
    const elsewhere = srsForward('jane@example.org', 'third.example', SECRETS, Date.now());
    assert.equal(await lua('return srs.forward("jane@example.org", "Third.Example")'), elsewhere);
    const older = srsForward('jane@example.org', OWN, [SECRETS[1] ?? ''], Date.now());
    assert.equal(await lua(`return srs.reverse("${older}")`), 'jane@example.org');
  });

  it('leave the null sender and senders of ours as they were written', async (t) => {
    const lua = worker({ 'srs-secret': [secretFile(t)], 'srs-domain': [OWN, 'Other.Example'] });
    for (const address of [
      '',
      '<>',
      `jane@${OWN}`,
      `<Jane@${OWN.toUpperCase()}>`,
      'x@OTHER.example',
      'local',
    ])
      assert.equal(await lua(`return srs.forward(${JSON.stringify(address)})`), address);
    assert.equal(
      await lua('return srs.forward("jane@third.example", "third.example")'),
      'jane@third.example',
    );
    for (const address of ['', '<>', 'local']) {
      assert.equal(await lua(`return batv.sign(${JSON.stringify(address)})`), address);
    }
  });

  it('put a local part into quotes where it needs them', async (t) => {
    const lua = worker({ 'srs-secret': [secretFile(t)], 'srs-domain': [OWN] });
    const made = await lua(`return srs.forward('"a b"@example.org')`);
    assert.match(made, /^"SRS0=[^"]+=example\.org=a b"@forward\.example$/);
    assert.equal(await lua(`return srs.reverse('${made}')`), '"a b"@example.org');
    const tagged = await lua(`return batv.sign('"a b"@example.org')`);
    assert.match(tagged, /^"prvs=0\d{3}[0-9a-f]{6}=a b"@example\.org$/);
    assert.equal(await lua(`return batv.check('${tagged}')`), '"a b"@example.org');
  });

  it('say why an address is none of ours', async (t) => {
    const lua = worker({ 'srs-secret': [secretFile(t)], 'srs-domain': [OWN] });
    const day = 86_400_000;
    const old = srsForward('jane@example.org', OWN, SECRETS, Date.now() - 23 * day);
    assert.equal(await lua(`return srs.reverse("${old}")`), 'false expired');
    assert.equal(await lua(`return srs.reverse("${old.replace('jane', 'john')}")`), 'false hash');
    assert.equal(await lua('return srs.reverse("jane@example.org")'), 'false not SRS');
    assert.equal(await lua('return srs.reverse("")'), 'false not SRS');
    const tag = tagSender('jane@example.org', SECRETS, Date.now() - 9 * day);
    assert.equal(await lua(`return batv.check("${tag}")`), 'false expired');
    assert.equal(await lua(`return batv.check("${tag.replace('jane', 'john')}")`), 'false hash');
    assert.equal(await lua('return batv.check("jane@example.org")'), 'false not BATV');
    const good = tagSender('jane@example.org', [SECRETS[1] ?? ''], Date.now());
    assert.equal(await lua(`return batv.check("${good}")`), 'jane@example.org');
  });

  it('are nil and a reason where there is no secret, no domain or no file', async (t) => {
    const without = worker({});
    assert.equal(await without('return srs.forward("jane@example.org")'), 'nil unavailable no --srs-domain');
    for (const call of [
      'srs.forward("jane@example.org", "a.example")',
      'srs.reverse("SRS0=x")',
      'batv.sign("a@b.example")',
      'batv.check("a@b.example")',
    ])
      assert.equal(await without(`return ${call}`), 'nil unavailable no --srs-secret', call);
    const path = join(directory(t), 'absent');
    const absent = worker({ 'srs-secret': [path], 'srs-domain': [OWN] });
    const reason = 'nil unavailable --srs-secret: no such file or directory';
    assert.equal(await absent('return srs.forward("jane@example.org")'), reason);
    writeFileSync(path, '\n\n', { mode: 0o600 });
    const empty = worker({ 'srs-secret': [path] });
    assert.equal(
      await empty('return batv.sign("a@b.example")'),
      'nil protocol --srs-secret: holds no secret',
    );
  });

  it('raise an error for what is no address or no domain', async () => {
    const lua = worker({});
    for (const call of [
      'srs.forward("a b@c.example")',
      'srs.reverse("a@b, c@d")',
      'batv.sign("a\\nb@c")',
      'batv.check(("a"):rep(20000))',
    ])
      assert.match(
        await lua(`return ${call}`),
        /^error: bad argument #1 to '\w+' \((not one mail address|address of more)/,
        call,
      );
    assert.match(
      await lua('return srs.forward("a@b.example", "not a domain")'),
      /bad argument #2 to 'forward' \(a domain is expected/,
    );
  });

  it('are given secrets by a test, and its time', async (t) => {
    const policy = `
      function smtp.do_mail(sender)
        smtp.set_sender(must(batv.sign(must(srs.forward(sender)))))
      end
      function smtp.do_rcpt(rcpt)
        local original, why = srs.reverse(rcpt)
        return 550, tostring(original) .. " " .. tostring(why)
      end`;
    await passes(
      t,
      policy,
      `
      test.srs("secret", "forward.example")
      test.clock(os.time { year = 2026, month = 5, day = 1, hour = 12 })
      local s = test.session { helo = "x" }
      s:mail "jane@example.org"
      local made = s:edits()[1].address
      test.match(made, "^prvs=0%d%d%d%x+=SRS0=....=..=example.org=jane@forward.example$")
      local rewritten = made:match("=(SRS0.*)$")
      test.equal(s:rcpt(rewritten).text, "jane@example.org nil")
      test.advance(30 * 86400)
      test.equal(s:rcpt(rewritten).text, "false expired")`,
    );
    await passes(
      t,
      policy,
      `
      local s = test.session { helo = "x" }
      test.srs(test.fails "timeout")
      s:mail ""
      test.equal(s:rcpt("x@y.example").text, "nil timeout as the test says")`,
    );
    const failure = await failureOf(t, policy, 'test.session { helo = "x" }:mail "jane@example.org"');
    assert.match(failure, /unavailable no domain in a test: see test\.srs/);
  });
});

describe('the server', () => {
  it('does not start with a secret that cannot be read, or is none', async (t) => {
    const place = directory(t);
    const script = join(place, 'policy.lua');
    writeFileSync(script, 'function smtp.do_mail() end');
    const start = (secret: string) =>
      run([
        '--script',
        script,
        '--listen',
        `unix:${place}/s`,
        '--spool',
        `${place}/spool`,
        '--srs-secret',
        secret,
      ]);
    const absent = await start(`${place}/absent`);
    assert.equal(absent.code, 78);
    assert.equal(
      absent.stderr,
      `smtpf-milter: --srs-secret ${place}/absent: cannot be read: no such file or directory\n`,
    );
    writeFileSync(`${place}/empty`, '\n');
    const empty = await start(`${place}/empty`);
    assert.equal(empty.code, 78);
    assert.equal(empty.stderr, `smtpf-milter: --srs-secret ${place}/empty: holds no secret\n`);
  });

  it('shows what try makes of a sender, and nothing of the secret', async (t) => {
    const place = directory(t);
    writeFileSync(`${place}/p.lua`, 'function smtp.do_mail(s) smtp.set_sender(must(srs.forward(s))) end');
    writeFileSync(`${place}/secret`, 'most-secret\n', { mode: 0o644 });
    const { stdout, stderr } = await run([
      ...['try', `${place}/p.lua`, '--from', 'jane@example.org'],
      ...['--srs-secret', `${place}/secret`, '--srs-domain', OWN],
    ]);
    assert.match(stdout, /senders forward <jane@example\.org>: SRS0=/);
    assert.match(stdout, /change sender {4}<SRS0=....=..=example\.org=jane@forward\.example>/);
    assert.match(stdout + stderr, /others can read this secret/);
    assert.doesNotMatch(stdout + stderr, /most-secret/);
  });
});
