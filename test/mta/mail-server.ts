/** What the tests need to know of a mail server under test, whichever it is. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { platform } from 'node:os';

export type MtaName = 'postfix' | 'sendmail';

/** How the mail server reaches the milter. */
export type Transport = 'tcp' | 'unix';
export const TRANSPORTS: readonly Transport[] = ['tcp', 'unix'];

/** Where the milter listens. */
export interface MilterAddress {
  readonly tcpPort: number;
  readonly unixPath: string;
}

export interface MailServer {
  readonly name: MtaName;
  /** SMTP ports on 127.0.0.1 and ::1, by the transport over which their milter is attached. */
  readonly smtpPorts: Readonly<Record<Transport, number>>;
  /** The end of the server's own log, for a failed test. */
  log(): string;
  /** Names of the messages that are still queued. */
  queued(): string[];
  /** Hands a message to the server's sendmail(1), as a local user would; undefined where that is not set up. */
  readonly submit?: (args: readonly string[], message: string) => Promise<void>;
  stop(): Promise<void>;
}

/** Why no private mail server can run here, in one line; undefined when one can. */
export function unfitMachine(): string | undefined {
  if (platform() !== 'linux') return `the mail servers run on Linux, this is ${platform()}`;
  if (process.getuid?.() !== 0) return 'the mail servers must be started by root';
  if (!existsSync('/usr/bin/openssl')) return 'the mail servers need a certificate: apt-get install openssl';
  return undefined;
}

/**
 * A new directory that every user may search, as are its parents: Postfix drops its rights, and Sendmail refuses a
 * milter socket below a directory that others may write, such as /tmp.
 */
export function makeServerDirectory(name: MtaName): string {
  const directory = mkdtempSync(`/run/smtpf-milter-${name}-`);
  chmodSync(directory, 0o755);
  return directory;
}

export function removeServerDirectory(directory: string): void {
  // Its last processes may write for a moment after the server has ended.
  rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
}

/**
 * Runs a program to its end.
 *
 * @throws Error with what it printed, when it fails.
 */
export function run(program: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): string {
  const env = { ...process.env, ...environment };
  // Not inherited: a daemon that keeps the test's own output open would keep the test from ending.
  const result = spawnSync(program, args, {
    env,
    encoding: 'latin1',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 26,
  });
  if (result.error) throw result.error;
  if (result.status !== 0) {
    throw new Error(`${program} ${args.join(' ')}: exit ${result.status}\n${result.stdout}${result.stderr}`);
  }
  return result.stdout;
}

/** A certificate for STARTTLS that lasts as long as the test. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

/** Makes a certificate in `directory`; the files are for root only, as Sendmail demands of the key. */
export function makeCertificate(directory: string): Certificate {
  const certificate = `${directory}/certificate.pem`;
  const key = `${directory}/key.pem`;
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  run('/usr/bin/openssl', ['req', ...kind, '-subj', '/CN=mta.test', '-keyout', key, '-out', certificate]);
  chmodSync(key, 0o600);
  return { certificate, key };
}
