/** A machine as an administrator has it: a policy, a milter that runs, files of an MTA, and `doctor` to look at them. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext } from 'node:test';
import { examine } from '../../src/commands/doctor.ts';
import type { Finding, Remark } from '../../src/doctor/finding.ts';
import { resolveOptions } from '../../src/options/options.ts';
import { PROGRAM, Running } from '../program/program.ts';

/** A user of every Debian, for the milter. */
export const USER = 'mail';

export const PLAIN_POLICY = 'function smtp.do_rcpt(recipient) return smtp.code.continue end\n';

export interface Report {
  readonly findings: readonly Finding[];
  readonly remarks: readonly Remark[];
}

function optionsOf(directory: string, policy: string): string[] {
  return [
    ...['--script', policy, '--spool', join(directory, 'spool'), '--user', USER],
    ...['--on-error', 'tempfail', '--workers', '0', '--syslog', 'stderr'],
  ];
}

/** A milter that runs. */
export class Server {
  readonly options: readonly string[];
  readonly #running: Running;
  #ended: Promise<unknown> | undefined;

  private constructor(options: readonly string[], running: Running) {
    this.options = options;
    this.#running = running;
  }

  /** @param as the user that starts it, as `User=` of a unit does; undefined: this one */
  static async start(options: readonly string[], as?: string): Promise<Server> {
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith('SMTPF_MILTER_'));
    const env = { ...Object.fromEntries(own), SMTPF_MILTER_WARM_UP: '0', SMTPF_MILTER_GRACE: '0.1' };
    const become = as === undefined ? [] : ['setpriv', `--reuid=${as}`, `--regid=${as}`, '--init-groups'];
    const [command = '', ...first] = [...become, ...PROGRAM];
    const running = new Running(spawn(command, [...first, ...options], { env }));
    await running.ready();
    return new Server(options, running);
  }

  /** One for several sites, on a port of the system's choice. @param directory of its files */
  static async onTcp(directory: string): Promise<Server> {
    chmodSync(directory, 0o755);
    const policy = join(directory, 'smtpf.lua');
    writeFileSync(policy, PLAIN_POLICY);
    return Server.start([...optionsOf(directory, policy), '--listen', 'inet:0@127.0.0.1']);
  }

  stop(): Promise<unknown> {
    this.#ended ??= this.#running.stop();
    return this.#ended;
  }

  /** Waits for a line in its log. */
  logged(pattern: RegExp): Promise<unknown> {
    return this.#running.until('stderr', pattern);
  }

  signal(name: NodeJS.Signals): void {
    this.#running.child.kill(name);
  }

  port(): Promise<number> {
    return this.#running.port();
  }
}

export class Site {
  readonly directory: string;
  readonly policy: string;
  /** Of the server and of doctor. */
  options: string[];
  /** Those that say which MTA. */
  mta: string[] = [];
  #server: Server | undefined;
  readonly #test: TestContext;

  /**
   * All of it is removed after the test.
   * @param server one that runs, with its options; else the site has its own, which serves when it is told to
   */
  constructor(t: TestContext, { policy = PLAIN_POLICY, server }: { policy?: string; server?: Server } = {}) {
    this.#test = t;
    // As tests with an MTA: no parent directory may be writable for others.
    this.directory = mkdtempSync('/run/smtpf-milter-doctor-');
    chmodSync(this.directory, 0o755);
    t.after(() => rmSync(this.directory, { recursive: true, force: true }));
    this.policy = this.write('smtpf.lua', policy);
    this.options = server ? [...server.options] : optionsOf(this.directory, this.policy);
    this.#server = server;
  }

  /** @returns the path of the file, which everybody may read */
  write(name: string, text: string, mode = 0o644): string {
    const path = join(this.directory, name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  }

  makeDirectory(name: string, owner = 'root:root', mode = '755'): string {
    const path = join(this.directory, name);
    mkdirSync(path, { recursive: true });
    this.shell(`chown ${owner} ${path} && chmod ${mode} ${path}`);
    return path;
  }

  /** @throws where the command fails */
  shell(command: string): string {
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
    const done = spawnSync('/bin/sh', ['-c', command], { encoding: 'utf8', env });
    assert.equal(done.status, 0, `${command}: ${done.stderr}`);
    return done.stdout;
  }

  /** Starts a milter with the options as they are now, after the site's own that runs has ended. */
  async serve(as?: string): Promise<void> {
    await this.stop();
    const server = await Server.start(this.options, as);
    this.#server = server;
    this.#test.after(() => server.stop());
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
    this.#server = undefined;
  }

  get server(): Server {
    assert.ok(this.#server);
    return this.#server;
  }

  /** Looks, in this process: nothing is printed. */
  async doctor(ignore: readonly string[] = []): Promise<Report> {
    const given = new Map<string, string[]>();
    for (let at = 0; at < this.options.length; at += 2) {
      const name = (this.options[at] ?? '').slice(2);
      given.set(name, [...(given.get(name) ?? []), this.options[at + 1] ?? '']);
    }
    const [kind, file] = this.mta;
    const { findings } = await examine(resolveOptions(given, {}), {
      postfix: kind === '--postfix' ? file : undefined,
      sendmail: kind === '--sendmail' ? file : undefined,
      ignore,
    });
    return { findings: findings.all, remarks: findings.remarks };
  }

  /**
   * Does what a finding says. A line that starts the milter is done by the test itself, which has no service manager.
   * @returns the lines of sendmail.mc and of the policy, which are left to do
   */
  async mend({ mend }: Finding): Promise<string[]> {
    const left: string[] = [];
    let serves = false;
    for (const { kind, line } of mend) {
      if (line.startsWith('systemctl ')) serves = true;
      else if (kind === 'shell') this.shell(line);
      else if (kind === 'option') {
        const [name = '', value] = line.split(' ');
        const at = this.options.indexOf(name);
        if (at >= 0) this.options.splice(at, value === undefined ? 1 : 2);
        this.options.push(...line.split(' '));
        serves = true;
      } else left.push(line);
    }
    if (serves) await this.serve();
    return left;
  }
}

/** A server that the sites of a test file share. @param unavailable why there can be none @param ready is told of it */
export function sharedServer(
  unavailable: string | undefined,
  ready: (server: Server) => Promise<void> = async () => {},
): () => Server {
  let directory: string;
  let shared: Server;
  before(async () => {
    if (unavailable !== undefined) return;
    directory = mkdtempSync('/run/smtpf-milter-doctor-');
    shared = await Server.onTcp(directory);
    await ready(shared);
  });
  after(async () => {
    if (unavailable !== undefined) return;
    await shared.stop();
    rmSync(directory, { recursive: true });
  });
  return () => shared;
}

/** What is found in a site where one thing is wrong. */
export async function only(site: Pick<Site, 'doctor'>, id: string): Promise<Finding> {
  const { findings } = await site.doctor();
  assert.deepEqual(
    findings.map((found) => found.id),
    [id],
    JSON.stringify(findings, undefined, 2),
  );
  const [finding] = findings;
  assert.ok(finding);
  return finding;
}
