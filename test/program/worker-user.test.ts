/** --worker-user: who is who, and what a policy cannot reach then. Users are numbers that nobody has, or those of Debian. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { childrenOf, isAlive, mailReply, until } from './milter-client.ts';
import { directory, type Running, run, start } from './program.ts';

const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'only root can start workers as another user' };

/** Users `mail` and `nobody` are everywhere. */
const KEEPER = { name: 'mail', uid: 8 };
const WORKER = { uid: 54_397, gid: 54_396 };
const WORKER_USER = ['--worker-user', `${WORKER.uid}:${WORKER.gid}`];
const LISTEN = ['--listen', 'inet:0@127.0.0.1', '--warm-up', '0'];
const QUIET = [...LISTEN, '--control', 'none'];

interface Ids {
  readonly uids: string;
  readonly gids: string;
  readonly groups: string;
}

/** Real, effective, saved and file system ids, as the kernel tells. */
function idsOf(pid: number): Ids {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const field = (name: string) =>
    (new RegExp(`^${name}:(.*)$`, 'm').exec(status)?.[1] ?? '').trim().replace(/\s+/g, ' ');
  return { uids: field('Uid'), gids: field('Gid'), groups: field('Groups') };
}

const idsOfWorker: Ids = {
  uids: new Array(4).fill(WORKER.uid).join(' '),
  gids: new Array(4).fill(WORKER.gid).join(' '),
  groups: String(WORKER.gid),
};

/** A directory that all may look into, with one of the supervisor's. */
function site(t: TestContext, keeper = KEEPER.uid): { top: string; own: string; script: string } {
  const top = directory(t);
  chmodSync(top, 0o755);
  const own = join(top, 'own');
  mkdirSync(own, { mode: 0o755 });
  chownSync(own, keeper, keeper);
  return { top, own, script: join(top, 'policy.lua') };
}

function processesOf(milter: Running): { supervisor: number; launcher: number; workers: number[] } {
  const supervisor = milter.child.pid ?? 0;
  const [launcher = 0] = childrenOf(supervisor);
  return { supervisor, launcher, workers: childrenOf(launcher) };
}

describe('workers of a user of their own', needsRoot, () => {
  for (const [whose, uid, args] of [
    ['another', KEEPER.uid, ['--user', KEEPER.name]],
    ['root', 0, []],
  ] as const) {
    test(`the supervisor is ${whose}`, async (t) => {
      const { top, own, script } = site(t, uid);
      const journal = join(own, 'journal');
      const control = join(own, 'control');
      writeFileSync(
        script,
        `local function run(command)
          local out = io.popen("{ " .. command .. "; } 2>&1; echo $?")
          return (out:read("a"):gsub("%s+", " "))
        end
        function smtp.do_mail()
          local file, why = io.open("${journal}", "a")
          return 550, "5.7.1 " .. tostring(file) .. " " .. why .. "; " ..
            run("echo x >>${journal}") .. run("mv ${journal} ${own}/x") .. run("rm ${control}") ..
            run("kill -9 $(cat ${top}/supervisor)")
        end`,
      );
      const files = ['--script', script, '--spool', join(top, 'spool'), '--journal', journal];
      const milter = start(t, [
        ...[...LISTEN, '--control', control, '--workers', '2', '--allow-execute'],
        ...[...files, ...args, ...WORKER_USER],
      ]);
      const port = await milter.port();
      await milter.ready();
      const { supervisor, launcher, workers } = processesOf(milter);
      writeFileSync(join(top, 'supervisor'), String(supervisor));
      t.diagnostic(JSON.stringify([supervisor, launcher, ...workers].map(idsOf)));
      assert.equal(idsOf(supervisor).uids, new Array(4).fill(uid).join(' '));
      assert.deepEqual([launcher, ...workers].map(idsOf), new Array(3).fill(idsOfWorker));
      assert.equal(lstatSync(join(top, 'spool')).uid, WORKER.uid);
      assert.deepEqual(
        [journal, control].map((path) => lstatSync(path).uid),
        [uid, uid],
      );
      assert.deepEqual(
        [journal, control].map((path) => lstatSync(path).mode & 0o777),
        [0o600, 0o600],
      );

      const reply = await mailReply({ port });
      t.diagnostic(reply);
      assert.match(reply, /^550 5\.7\.1 nil .*: Permission denied/);
      assert.equal(reply.match(/ermission denied|not permitted/g)?.length, 5, reply);
      assert.ok(isAlive(supervisor));
      const asked = await run(['why', 'a@b.example', '--control', control]);
      assert.match(asked.stdout, /by {7}smtp\.do_mail at /, asked.stderr);

      // Reading the script anew, and another worker in the place of one that was killed, change nobody's user.
      writeFileSync(script, 'function smtp.do_mail() return 550, "5.7.1 edited" end');
      milter.child.kill('SIGHUP');
      await milter.until('stderr', /SIGHUP: script .*callbacks: do_mail/);
      const [killed = 0] = workers;
      process.kill(killed, 'SIGKILL');
      await milter.until('stderr', /worker \d \(process \d+\) started/);
      assert.equal(await mailReply({ port }), '550 5.7.1 edited');
      const after = processesOf(milter);
      assert.equal(after.launcher, launcher);
      assert.ok(!after.workers.includes(killed));
      assert.deepEqual(after.workers.map(idsOf), [idsOfWorker, idsOfWorker]);
      assert.equal(await milter.stop(), 0);
      await until(() => ![launcher, ...after.workers].some(isAlive));
    });
  }

  test('--on-reload: checks and tests are run as that user, and end with the server', async (t) => {
    const { top, script } = site(t);
    const who = join(top, 'who');
    writeFileSync(who, '');
    chmodSync(who, 0o666);
    writeFileSync(script, 'function smtp.do_mail() return 550, "5.7.1 first" end');
    const args = ['--script', script, '--spool', join(top, 'spool'), '--user', KEEPER.name, ...WORKER_USER];
    const milter = start(t, [
      ...[...QUIET, '--workers', '1', '--allow-execute', '--on-reload', 'check,test', ...args],
    ]);
    const port = await milter.port();
    await milter.ready();
    const tests = join(top, 'policy_test.lua');
    writeFileSync(
      tests,
      'test.case("mail", function() test.reply(test.session():mail "a@b.example", 551) end)\n',
    );
    writeFileSync(script, 'function smtp.do_mail() return 551, "5.7.1 second" end');
    await milter.until('stderr', /script (changed|is refused)/);
    assert.equal(await mailReply({ port }), '551 5.7.1 second');
    writeFileSync(tests, `test.case("hangs", function() os.execute("id -u > ${who}; sleep 1000.75") end)\n`);
    writeFileSync(script, 'function smtp.do_mail() return 552, "5.7.1 third" end');
    await Promise.race([
      until(() => readFileSync(who, 'latin1') !== ''),
      milter.until('stderr', /script is refused/),
    ]);
    assert.equal(readFileSync(who, 'latin1'), `${WORKER.uid}\n`);
    const { launcher } = processesOf(milter);
    const left = childrenOf(launcher).flatMap((pid) => [pid, ...childrenOf(pid)]);
    assert.equal(await milter.stop(), 0);
    await until(() => ![launcher, ...left].some(isAlive));
  });

  test('a launcher that is lost ends the program, and leaves no process', async (t) => {
    const { top, script } = site(t);
    writeFileSync(script, 'function smtp.do_mail() end');
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const args = ['--script', script, '--spool', join(top, 'spool'), '--user', KEEPER.name, ...WORKER_USER];
      const milter = start(t, [...QUIET, '--workers', '1', ...args]);
      await milter.ready();
      const { launcher, workers } = processesOf(milter);
      process.kill(launcher, signal);
      if (signal === 'SIGTERM') {
        // Signals are the supervisor's.
        assert.equal(await milter.stop(), 0);
      } else {
        assert.equal(await milter.ended(), 70);
        assert.match(milter.stderr, /error .*the launcher has ended: SIGKILL: the program ends/);
      }
      await until(() => ![launcher, ...workers].some(isAlive));
    }
  });

  test('a script that the workers may not read is told of at the start, with the user', async (t) => {
    const { top, own } = site(t);
    const script = join(own, 'policy.lua');
    writeFileSync(script, 'function smtp.do_mail() end', { mode: 0o640 });
    const args = ['--script', script, '--spool', join(top, 'spool'), ...WORKER_USER];
    const milter = start(t, [...QUIET, '--workers', '1', ...args]);
    await milter.ready();
    const line = `warning: user ${WORKER.uid}, who runs the policy, may not read ${script}\n`;
    await milter.until('stdout', new RegExp(`^${line}`, 'm'));
    await milter.until('stderr', new RegExp(`may not read ${script}`));
  });

  test('what cannot be is refused in one line', async (t) => {
    const { top, own, script } = site(t, WORKER.uid);
    writeFileSync(script, '');
    const spool = ['--spool', join(top, 'spool'), '--script', script];
    const written = `--worker-user ${WORKER.uid}:${WORKER.gid}`;
    for (const [args, code, message] of [
      [['--workers', '0', ...WORKER_USER], 78, `${written}: there are no workers with --workers 0`],
      [
        ['--user', 'mail', '--worker-user', 'mail'],
        78,
        '--worker-user mail: the supervisor is, or may become, this user: name another',
      ],
      [
        ['--worker-user', 'root'],
        78,
        '--worker-user root: the supervisor is, or may become, this user: name another',
      ],
      [['--worker-user', 'no-such-user'], 78, '--worker-user no-such-user: no such user'],
      [['--worker-user', 'mail:no-such'], 78, '--worker-user no-such: no such group'],
      [
        ['--worker-user', '54397'],
        78,
        '--worker-user 54397: no user has this number, so a group must be given too, as USER:GROUP',
      ],
      [['--worker-user', 'a:b:c'], 64, '--worker-user: "a:b:c" must be USER or USER:GROUP'],
      [
        ['--journal', join(own, 'journal'), ...WORKER_USER],
        78,
        `--journal ${own}/journal: ${own} belongs to uid ${WORKER.uid}, and is to be the supervisor's alone (--worker-user)`,
      ],
      [
        ['--control', join(own, 'control'), ...WORKER_USER],
        78,
        `--control ${own}/control: ${own} belongs to uid ${WORKER.uid}: a socket is not safe there`,
      ],
    ] as const) {
      const ended = await run([...LISTEN, ...spool, ...args]);
      assert.deepEqual(ended, { code, stdout: '', stderr: `smtpf-milter: ${message}\n` });
    }
    const journal = join(top, 'journal');
    writeFileSync(journal, '');
    chownSync(journal, WORKER.uid, WORKER.gid);
    const ended = await run([...QUIET, ...spool, '--journal', journal, ...WORKER_USER]);
    assert.equal(ended.code, 78);
    assert.match(
      ended.stderr,
      new RegExp(`^smtpf-milter: --journal ${journal}: it belongs to uid ${WORKER.uid}`),
    );
  });
});

test('who is not root cannot have it', needsRoot, async (t) => {
  const { script, top } = site(t);
  const prefix = ['setpriv', '--reuid=8', '--regid=8', '--clear-groups'];
  const milter = start(
    t,
    [...QUIET, '--script', script, '--spool', join(top, 's'), ...WORKER_USER],
    {},
    prefix,
  );
  assert.equal(await milter.ended(), 78);
  assert.match(
    milter.stderr,
    /^smtpf-milter: --worker-user 54397:54396: only root can start workers as another user, and this is uid 8\n$/,
  );
});
