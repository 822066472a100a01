/** Starts programs that a policy asks, each private to one test: in a folder of its own, on a port that was free. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './loopback.ts';

export interface RealService {
  readonly port: number;
  readonly directory: string;
  /** Sends a signal to all of its processes; SIGSTOP has stopped each thread of theirs when this returns. */
  signal(name: NodeJS.Signals): void;
  /** Ends it, and what it has written. */
  stop(): Promise<void>;
}

export interface ServicePlan {
  /** The program and its arguments. */
  command(directory: string, port: number): readonly string[];
  /** Contents by name. */
  files?(directory: string, port: number): Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** What is said to it, and what it answers when it is ready; bytes in latin1. */
  readonly hello: string;
  readonly ready: RegExp;
}

const START_MS = 120_000;

/** @throws what the program has said, when it is not there or does not come up */
export async function startService(plan: ServicePlan, port?: number): Promise<RealService> {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-service-'));
  chmodSync(directory, 0o755);
  const own = port ?? (await freePort());
  for (const [name, content] of Object.entries(plan.files?.(directory, own) ?? {})) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), content);
  }
  const [program = '', ...parameters] = plan.command(directory, own);
  const child = spawn(program, parameters, {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...plan.environment },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes: Buffer) => {
      said = (said + bytes.toString('latin1')).slice(-4000);
    });
  }
  let ended = false;
  const end = once(child, 'exit').finally(() => {
    ended = true;
  });
  end.catch(() => {});
  child.on('error', (error) => {
    said += error.message;
    ended = true;
  });
  const signal = (name: NodeJS.Signals) => signalAll(child.pid, name);
  const stop = async () => {
    if (child.pid !== undefined) freeze(child.pid);
    signal('SIGKILL');
    if (!ended) await end.catch(() => {});
    child.stdout.destroy();
    child.stderr.destroy();
    rmSync(directory, { recursive: true, force: true });
  };
  const deadline = Date.now() + START_MS;
  while (!(await answers(own, plan))) {
    if (ended || Date.now() > deadline) {
      await stop();
      throw new Error(`${program} does not come up: ${said}`);
    }
    await sleep(50);
  }
  return { port: own, directory, signal, stop };
}

/**
 * Signals a process and all that it has started, whatever groups they have made of themselves; SIGSTOP has stopped each
 * of their threads when this returns.
 */
export function signalAll(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  const all = [pid, ...descendants(pid)];
  for (const each of all) {
    try {
      process.kill(each, name);
    } catch {
      // It has ended.
    }
  }
  if (name === 'SIGSTOP') for (const each of all) untilStopped(each);
}

/** Stops a process and all that it has started; what it starts meanwhile would be left when it is killed. */
function freeze(pid: number): void {
  for (let before = 0, now = 1; now > before; ) {
    before = now;
    signalAll(pid, 'SIGSTOP');
    now = 1 + descendants(pid).length;
  }
}

const STOP_MS = 10_000;

/**
 * kill(2) does not wait. The kernel gives the signal to one thread, and until that has its turn on a busy machine, the
 * other threads go on to answer.
 */
function untilStopped(pid: number): void {
  const deadline = Date.now() + STOP_MS;
  while (threadStates(pid).some((state) => !/[TtZX]/.test(state))) {
    if (Date.now() > deadline) throw new Error(`process ${pid} does not stop`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  }
}

function threadStates(pid: number): string[] {
  const states: string[] = [];
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      // `PID (NAME) STATE ...`
      const [, state = ''] = /\) (\S)/.exec(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1')) ?? [];
      states.push(state);
    }
  } catch {
    // It has ended.
  }
  return states;
}

function descendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc').filter((text) => /^\d+$/.test(text))) {
    try {
      // `PID (NAME) STATE PARENT ...`
      const [, parent] = /\) \S+ (\d+)/.exec(readFileSync(`/proc/${entry}/stat`, 'latin1')) ?? [];
      parents.set(Number(entry), Number(parent));
    } catch {
      // It has ended.
    }
  }
  const found: number[] = [];
  const visit = (of: number): void => {
    for (const [child, parent] of parents) {
      if (parent !== of) continue;
      found.push(child);
      visit(child);
    }
  };
  visit(pid);
  return found;
}

function answers(port: number, { hello, ready }: ServicePlan): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    let text = '';
    const done = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(2000, () => done(false));
    socket.on('error', () => done(false));
    socket.on('close', () => done(ready.test(text)));
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      if (ready.test(text)) done(true);
    });
    socket.write(hello, 'latin1');
  });
}

/** EICAR's test file, in two pieces: no scanner shall find it here. */
export const EICAR = `X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-${'STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'}`;

const hexOf = (text: string) => Buffer.from(text).toString('hex');

/** clamd with two signatures of its own: EICAR's, and one of the text SMTPF-VIRUS-TEST. */
export const CLAMD: ServicePlan = {
  command: (directory) => ['clamd', `--config-file=${directory}/clamd.conf`],
  files: (directory, port) => ({
    'db/test.ndb': `Eicar-Test:0:*:${hexOf(EICAR)}\nSmtpf.Test:0:*:${hexOf('SMTPF-VIRUS-TEST')}\n`,
    'tmp/.keep': '',
    'clamd.conf': [
      'Foreground true',
      `TCPSocket ${port}`,
      'TCPAddr 127.0.0.1',
      `LocalSocket ${directory}/clamd.sock`,
      'LocalSocketMode 666',
      `DatabaseDirectory ${directory}/db`,
      `TemporaryDirectory ${directory}/tmp`,
      'StreamMaxLength 3M',
      'MaxThreads 4',
      'SelfCheck 0',
      'ConcurrentDatabaseReload no',
      'User root',
      '',
    ].join('\n'),
  }),
  hello: 'PING\n',
  ready: /PONG/,
};

/** spamd with two rules: GTUBE, and the subject smtpf-spam (6 points, 5 are spam). */
export const SPAMD: ServicePlan = {
  command: (directory, port) => [
    '/usr/sbin/spamd',
    '--nouser-config',
    '--local',
    '--max-children=2',
    '--min-children=1',
    '--min-spare=1',
    '--max-spare=1',
    `--listen=127.0.0.1:${port}`,
    '--allowed-ips=127.0.0.1',
    `--configpath=${directory}/rules`,
    `--siteconfigpath=${directory}/site`,
    `--helper-home-dir=${directory}/home`,
    '--username=nobody',
    `--pidfile=${directory}/pid`,
    '--syslog=stderr',
  ],
  files: () => ({
    'home/.keep': '',
    'site/init.pre': ['Check', 'HeaderEval', 'BodyEval']
      .map((name) => `loadplugin Mail::SpamAssassin::Plugin::${name}\n`)
      .join(''),
    'rules/10_test.cf': [
      'util_rb_tld com net org example',
      'required_score 5.0',
      'header SMTPF_SPAM Subject =~ /smtpf-spam/',
      'score SMTPF_SPAM 6.0',
      'header SMTPF_HAM Subject =~ /smtpf-ham/',
      'score SMTPF_HAM -1.0',
      'use_bayes 0',
      'skip_rbl_checks 1',
      '',
    ].join('\n'),
  }),
  hello: 'PING SPAMC/1.2\r\n\r\n',
  ready: /PONG/,
};

/** rspamd with no module but three rules for subjects: smtpf-spam 20 points, smtpf-head 7, smtpf-grey 4.5. */
export const RSPAMD: ServicePlan = {
  command: (directory) => ['rspamd', '-f', '-i', '-c', `${directory}/rspamd.conf`, '--insecure'],
  files: (directory, port) => ({
    'db/.keep': '',
    'run/.keep': '',
    // Of the ten thousand that Debian has, it makes an automaton at each start: 14 s of CPU time.
    domains: 'com\nnet\norg\nexample\ntest\n',
    'rspamd.conf': `options { pidfile = "${directory}/pid"; filters = ""; dns { nameserver = ["127.0.0.1:1:1"]; timeout = 0.2s; retransmits = 1; }
  control_socket = "${directory}/run/rspamd.sock mode=0600"; history_file = "${directory}/db/history";
  url_tld = "${directory}/domains"; explicit_modules = []; disable_hyperscan = true;
  hs_cache_dir = "${directory}/db"; local_addrs = []; task_timeout = 8s; }
logging { type = "console"; level = "warning"; color = false; }
lua = "${directory}/test.lua";
actions { reject = 15; "add header" = 6; greylist = 4; }
metric { name = "default"; actions { reject = 15; "add header" = 6; greylist = 4; } }
worker "normal" { bind_socket = "127.0.0.1:${port}"; count = 1; enabled = true; }
worker "controller" { enabled = false; }
`,
    'test.lua': `local function subject(name, word, score)
  rspamd_config:register_symbol { name = name, type = "normal", score = score, group = "smtpf",
    callback = function(task)
      if (task:get_header("Subject") or ""):find(word, 1, true) then
        if name == "SMTPF_HEAD" then task:set_milter_reply({ add_headers = { ["X-Smtpf-Test"] = "yes" } }) end
        local ip = task:get_from_ip()
        return true, 1.0, "from " .. (ip and ip:to_string() or "nobody")
      end
    end }
  rspamd_config:set_metric_symbol({ name = name, score = score, group = "smtpf", metric = "default" })
end
subject("SMTPF_SPAM", "smtpf-spam", 20.0)
subject("SMTPF_HEAD", "smtpf-head", 7.0)
subject("SMTPF_GREY", "smtpf-grey", 4.5)
`,
  }),
  hello: 'GET /ping HTTP/1.0\r\n\r\n',
  ready: /pong/,
};

/** Redis without persistence, at most 64 MB. */
export const REDIS: ServicePlan = {
  command: (directory, port) => [
    ...['redis-server', '--bind', '127.0.0.1', '--port', String(port)],
    ...['--unixsocket', `${directory}/redis.sock`, '--save', '', '--appendonly', 'no', '--dir', directory],
    ...['--maxmemory', '64mb', '--maxmemory-policy', 'noeviction', '--loglevel', 'warning'],
    ...['--ignore-warnings', 'ARM64-COW-BUG'],
  ],
  hello: 'PING\r\n',
  ready: /PONG|NOAUTH/,
};
