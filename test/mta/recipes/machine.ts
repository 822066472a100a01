/** The machine of an operator who follows the README: user, policy, and the milter as systemd would start it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach } from 'node:test';
import { until, withinLimit } from '../deadline.ts';
import { run } from '../mail-server.ts';
import { SmtpClient } from '../smtp-client.ts';
import { blocks, code, readme, section } from './documents.ts';

/** Several of these run at a time, beside other tests. */
const PATIENCE_MS = 60_000;

const children = new Set<ChildProcess>();

// What a failed test has left.
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** Runs what a document says, as it stands. @returns what it prints. */
export function shell(text: string): string {
  return run('/bin/sh', ['-ec', text]);
}

/** The user, and the first policy of the README where the README puts it. */
export function settle(): void {
  shell(code(section(readme(), 'Running it as a service'), 'useradd '));
  mkdirSync('/etc/mail', { recursive: true });
  const [policy] = blocks(section(readme(), 'A policy'));
  assert.equal(policy?.language, 'lua');
  writeFileSync('/etc/mail/smtpf.lua', policy?.text ?? '');
}

export function unit(): string {
  const [block] = blocks(section(readme(), 'Running it as a service'));
  assert.equal(block?.language, 'ini');
  return block?.text ?? '';
}

/** The value of a setting that the unit has once. */
export function setting(name: string, text = unit()): string {
  const found = [...text.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))];
  assert.equal(found.length, 1, name);
  return found[0]?.[1] ?? '';
}

export class Milter {
  readonly #child: ChildProcess;
  stdout = '';
  stderr = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
  }

  /** The unit's command with more arguments; `groups` are those that the user database gives its user. */
  static async ofUnit(...more: readonly string[]): Promise<Milter> {
    return Milter.asSystemd(unit(), ...more);
  }

  static async asSystemd(text: string, ...more: readonly string[]): Promise<Milter> {
    const user = setting('User', text);
    const state = `/var/lib/${setting('StateDirectory', text)}`;
    const runtime = `/run/${setting('RuntimeDirectory', text)}`;
    for (const path of [state, runtime]) shell(`install -d -o ${user} -g ${user} -m 0755 ${path}`);
    const identity = [`--reuid=${user}`, `--regid=${user}`, '--init-groups'];
    return Milter.start(
      ['/usr/bin/setpriv', ...identity, ...setting('ExecStart', text).split(' '), ...more],
      {
        STATE_DIRECTORY: state,
        RUNTIME_DIRECTORY: runtime,
      },
    );
  }

  static async start(
    [program = '', ...args]: readonly string[],
    variables: Readonly<Record<string, string>> = {},
  ): Promise<Milter> {
    const env = { ...process.env, ...variables };
    const child = spawn(program, args, { cwd: '/', env, stdio: ['ignore', 'pipe', 'pipe'] });
    children.add(child);
    child.on('exit', () => children.delete(child));
    const milter = new Milter(child);
    await until(
      () => {
        if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${milter.stderr}`);
        return /^script /m.test(milter.stdout) && /notice .* script /.test(milter.stderr) ? true : undefined;
      },
      () => `the milter listens: ${milter.stdout}${milter.stderr}`,
      PATIENCE_MS,
    );
    return milter;
  }

  /** The line of its announcement that follows the one that begins so. */
  announced(beginning: string): string {
    const lines = this.stdout.split('\n');
    const at = lines.findIndex((line) => line.startsWith(beginning));
    assert.ok(at >= 0, `${beginning} in ${this.stdout}`);
    return lines[at + 1] ?? '';
  }

  /** What `systemctl reload` does. */
  reload(): void {
    this.#child.kill('SIGHUP');
  }

  async stop(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const [exitCode] = await withinLimit(exit, `the milter ends: ${this.stderr}`, PATIENCE_MS);
    assert.equal(exitCode, 0, this.stderr);
    assert.doesNotMatch(this.stderr, /cannot be removed/);
  }
}

/** Mail by SMTP on port 25 goes through the policy: the list is closed to a stranger, and other mail is taken. */
export async function expectPolicy(log: () => string, deferred = false): Promise<void> {
  const client = await until(
    async () => {
      const tried = await SmtpClient.connect('127.0.0.1', 25).catch(() => undefined);
      if (tried === undefined) return undefined;
      if ((await tried.reply()).startsWith('220')) return tried;
      tried.close();
      return undefined;
    },
    () => `the mail server answers: ${log()}`,
    PATIENCE_MS,
  );
  const say = async (line: string): Promise<string> => {
    client.send(`${line}\r\n`);
    return client.reply();
  };
  try {
    assert.match(await say('EHLO client.test'), /^250/);
    const mail = await say('MAIL FROM:<a@src.test>');
    if (deferred) return assert.match(mail, /^451 4\./, log());
    assert.match(mail, /^250/, log());
    assert.match(
      await say('RCPT TO:<all-staff@example.com>'),
      /^550 5\.7\.1 (<all-staff@example\.com>\.\.\. )?members only$/,
      log(),
    );
    assert.match(await say('RCPT TO:<joe@example.com>'), /^250/, log());
    assert.match(await say('DATA'), /^354/);
    assert.match(await say('Subject: recipe\r\n\r\nHello\r\n.'), /^250/, log());
    await say('QUIT');
  } finally {
    client.close();
  }
}
