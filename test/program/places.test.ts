/**
 * Where spool and control socket are when nobody says, and that the commands come to the same place: on a machine of its
 * own as far as /run, /var and /tmp go, in a mount namespace.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { isAlive, until } from './milter-client.ts';
import { PROGRAM, Running } from './program.ts';

const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'only root can make a mount namespace' };

const MAIL = 8;
/** Files of the program may be anywhere but there. */
const EMPTY = ['/run', '/var/spool', '/var/tmp', '/var/lib'];
const OPTIONS = [
  '--listen',
  'inet:0@127.0.0.1',
  '--script',
  '/run/policy.lua',
  '--syslog',
  'stderr',
  '--workers',
  '1',
];
const LUA = 'function smtp.do_mail() return 550, "5.7.1 no" end';

type Variables = Readonly<Record<string, string>>;

/** The words that make a command one of a user with no other groups. */
function asUser(uid: number): string[] {
  return uid === 0 ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
}

class Machine {
  readonly #holder;

  /** @param prepare shell commands of root, once the directories are there and empty */
  constructor(t: TestContext, prepare = 'true') {
    const mounts = EMPTY.map((path) => `mount -t tmpfs -o mode=755 none ${path}`).join(' && ');
    const ready = `chmod 1777 /var/tmp && echo '${LUA}' >/run/policy.lua && ${prepare}`;
    this.#holder = spawn(
      'unshare',
      ['-m', 'sh', '-c', `${mounts} && ${ready} && touch /run/ready && exec sleep 300`],
      { stdio: 'ignore' },
    );
    t.after(() => this.#holder.kill('SIGKILL'));
  }

  async ready(): Promise<void> {
    await until(() => {
      assert.equal(this.#holder.exitCode, null);
      return this.shell('test -e /run/ready').status === 0;
    });
  }

  #enter(command: readonly string[]): string[] {
    return ['-t', String(this.#holder.pid), '-m', `--wd=${process.cwd()}`, ...command];
  }

  shell(command: string): { status: number | null; stdout: string } {
    return spawnSync('nsenter', this.#enter(['sh', '-c', command]), { encoding: 'utf8' });
  }

  #environment(variables: Variables): NodeJS.ProcessEnv {
    const own = Object.entries(process.env).filter(
      ([name]) => !/^(SMTPF_MILTER_|XDG_|TMPDIR$|RUNTIME_D|STATE_D)/.test(name),
    );
    return { ...Object.fromEntries(own), SMTPF_MILTER_WARM_UP: '0', SMTPF_MILTER_GRACE: '0.1', ...variables };
  }

  async start(
    t: TestContext,
    uid: number,
    args: readonly string[],
    variables: Variables = {},
  ): Promise<Running> {
    const command = this.#enter([...asUser(uid), ...PROGRAM, ...OPTIONS, ...args]);
    const child = spawn('nsenter', command, { env: this.#environment(variables) });
    t.after(() => child.kill('SIGKILL'));
    const running = new Running(child);
    await running.ready();
    return running;
  }

  status(uid: number, args: readonly string[] = [], variables: Variables = {}) {
    const command = this.#enter([...asUser(uid), ...PROGRAM, 'status', ...args]);
    return spawnSync('nsenter', command, { encoding: 'utf8', env: this.#environment(variables) });
  }

  /** `PATH UID MODE` of each file named. */
  owners(...paths: readonly string[]): string {
    return this.shell(`stat -c '%n %u %a' ${paths.join(' ')}`).stdout.trim();
  }
}

async function machine(t: TestContext, prepare?: string): Promise<Machine> {
  const made = new Machine(t, prepare);
  await made.ready();
  return made;
}

function assertServes({ status, stdout, stderr }: ReturnType<Machine['status']>): void {
  assert.equal(status, 0, stderr);
  assert.match(stdout, /script +\/run\/policy\.lua/);
}

test('root starts it with --user: root and that user find it without options', needsRoot, async (t) => {
  const own = await machine(t);
  const milter = await own.start(t, 0, ['--user', 'mail']);
  assert.equal(
    own.owners('/run/smtpf-milter', '/run/smtpf-milter/control', '/var/spool/smtpf-milter'),
    '/run/smtpf-milter 8 755\n/run/smtpf-milter/control 8 600\n/var/spool/smtpf-milter 8 700',
  );
  for (const uid of [0, MAIL]) assertServes(own.status(uid));
  assertServes(own.status(0, ['--user', 'mail']));
  assert.equal(own.status(9).status, 69);
  assert.doesNotMatch(milter.stdout, /stays behind/);
  assert.equal(await milter.stop(), 0);
  assert.equal(own.shell('ls /run/smtpf-milter').stdout, '');
  const gone = own.status(0);
  assert.equal(gone.status, 69);
  assert.equal(
    gone.stderr,
    'smtpf-milter: no server answers at /run/smtpf-milter/control, /tmp/smtpf-milter-0.control (no such file or directory): start it, or name its --control\n',
  );

  // Then for another user, and with workers of a third.
  const next = await own.start(t, 0, ['--user', 'news', '--worker-user', 'nobody']);
  assert.equal(
    own.owners('/run/smtpf-milter', '/run/smtpf-milter/control', '/var/tmp/smtpf-milter-65534'),
    '/run/smtpf-milter 9 755\n/run/smtpf-milter/control 9 600\n/var/tmp/smtpf-milter-65534 65534 700',
  );
  for (const uid of [0, 9]) assertServes(own.status(uid));

  // One that root starts besides, for himself, takes nothing from it.
  const besides = await own.start(t, 0, []);
  assert.equal(
    own.owners('/run/smtpf-milter', '/run/smtpf-milter/control', '/tmp/smtpf-milter-0.control'),
    '/run/smtpf-milter 9 755\n/run/smtpf-milter/control 9 600\n/tmp/smtpf-milter-0.control 0 600',
  );
  assertServes(own.status(9));
  assert.equal(await besides.stop(), 0);
  assertServes(own.status(0));
  assert.equal(await next.stop(), 0);
});

test(
  'a user starts it: systemd’s directories, those that are its own, and those of a login',
  needsRoot,
  async (t) => {
    const own = await machine(
      t,
      'install -d -o mail /run/one /var/lib/one /run/user/8 && install -d -o 54398 /run/foreign',
    );
    const ofUnit = { RUNTIME_DIRECTORY: '/run/one', STATE_DIRECTORY: '/var/lib/one:/var/lib/two' };
    const login = { XDG_RUNTIME_DIR: '/run/user/8' };
    for (const [prepare, variables, spool, control] of [
      ['true', ofUnit, '/var/lib/one/spool', '/run/one/control'],
      ['true', login, '/var/tmp/smtpf-milter-8', '/run/user/8/smtpf-milter/control'],
      [
        'true',
        { ...login, RUNTIME_DIRECTORY: '/run/foreign' },
        '/var/tmp/smtpf-milter-8',
        '/run/user/8/smtpf-milter/control',
      ],
      ['true', { TMPDIR: '/run/user/8' }, '/run/user/8/smtpf-milter-8', '/run/user/8/smtpf-milter-8.control'],
      // One of systemd, and a name for it that root need not be told.
      [
        'install -d -o mail /run/smtpf-milter /var/spool/smtpf-milter',
        { RUNTIME_DIRECTORY: '/run/smtpf-milter' },
        '/var/spool/smtpf-milter',
        '/run/smtpf-milter/control',
      ],
    ] as const) {
      assert.equal(own.shell(prepare).status, 0);
      const milter = await own.start(t, MAIL, [], variables);
      assert.equal(own.owners(spool, control), `${spool} 8 700\n${control} 8 600`);
      assertServes(own.status(MAIL, [], variables));
      assert.equal(await milter.stop(), 0);
    }
    const milter = await own.start(t, MAIL, []);
    for (const uid of [0, MAIL]) assertServes(own.status(uid));
    // A second one, of another user, is no hindrance, and is found with what it was started with.
    const second = await own.start(t, 9, ['--spool', '/var/tmp/second']);
    const found = own.status(0, ['--spool', '/var/tmp/second', '--user', 'news', '--json']);
    assert.equal(found.status, 0, found.stderr);
    assert.notEqual(JSON.parse(found.stdout).pid, JSON.parse(own.status(0, ['--json']).stdout).pid);
    assert.ok(isAlive(second.child.pid ?? 0));
    await second.stop();
    await milter.stop();
  },
);

test('what a killed server has left does not hide one that runs', needsRoot, async (t) => {
  const own = await machine(t, 'install -d -o mail /run/user/8');
  const killed = await own.start(t, 0, ['--user', 'news']);
  const pid = killed.child.pid ?? 0;
  process.kill(pid, 'SIGKILL');
  await killed.ended();
  const milter = await own.start(t, MAIL, [], { TMPDIR: '/run/user/8' });
  assertServes(own.status(0, ['--user', 'mail'], { TMPDIR: '/run/user/8' }));
  assertServes(own.status(MAIL, [], { TMPDIR: '/run/user/8' }));
  await milter.stop();
});
