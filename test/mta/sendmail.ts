/**
 * A private Sendmail on loopback, in a directory of its own, from packages unpacked by `.ci/install`.
 *
 * All mail goes to the sink; `unknown@dest.test` is refused by Sendmail itself. Sendmail sleeps for a minute where the
 * host name has no dot, and logs to /dev/log only: it runs in namespaces of its own, with another host name and another
 * /dev, so that tests that run side by side do not meet there.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { freePort, hasIPv6 } from '../helpers/loopback.ts';
import { until, withinLimit } from './deadline.ts';
import {
  type MailServer,
  type MilterAddress,
  makeCertificate,
  makeServerDirectory,
  removeServerDirectory,
  run,
  unfitMachine,
} from './mail-server.ts';

const PREFIX = process.env.SENDMAIL_PREFIX ?? '/opt/smtpf-milter-sendmail';
const PROGRAM = `${PREFIX}/usr/libexec/sendmail/sendmail`;
const NAMESPACES = ['--uts', '--mount', '--propagation', 'private'];

/** Why the tests with Sendmail cannot run here, in one line; undefined when they can. */
export function sendmailUnavailable(): string | undefined {
  const reason = unfitMachine();
  if (reason) return reason;
  if (!existsSync(PROGRAM)) return `Sendmail is not in ${PREFIX}: run .ci/install as root`;
  if (!existsSync('/usr/bin/m4')) return 'Sendmail needs m4: apt-get install m4 (or .ci/install)';
  if (!mayUnshare() && !hasQualifiedName()) {
    return `Sendmail needs a host name with a dot: run with CAP_SYS_ADMIN, or put '127.0.0.1 ${hostname()}.test ${hostname()}' in /etc/hosts`;
  }
  return undefined;
}

/** @param ownDomains what it takes for local beside its name; mail for them goes to the sink, to the user alone */
export async function startSendmail(
  milter: MilterAddress,
  sinkPort: number,
  ownDomains: readonly string[] = [],
): Promise<MailServer> {
  const directory = makeServerDirectory('sendmail');
  const queue = join(directory, 'queue');
  const tcp = await freePort();
  const unix = await freePort();
  mkdirSync(queue, { mode: 0o700 });
  writeFileSync(join(directory, 'service.switch'), 'hosts files\npasswd files\naliases files\n');
  for (const name of ['aliases', 'helpfile', 'statistics', 'log']) writeFileSync(join(directory, name), '');
  const { certificate, key } = makeCertificate(directory);
  const configuration = writeConfiguration(directory, {
    PREFIX,
    DIR: directory,
    IPV6: hasIPv6() ? '' : 'dnl ',
    TCP_PORT: tcp,
    UNIX_PORT: unix,
    MILTER_PORT: milter.tcpPort,
    MILTER_PATH: milter.unixPath,
    SINK_PORT: sinkPort,
    OWN_DOMAINS: ['mta.test', ...ownDomains].join(' '),
    CERTIFICATE: certificate,
    KEY: key,
  });

  const log = () => readFileSync(join(directory, 'log'), 'latin1').split('\n').slice(-120).join('\n');
  const children: ChildProcess[] = [];
  async function stop(): Promise<void> {
    for (const child of children.reverse()) await end(child);
    removeServerDirectory(directory);
  }
  try {
    const isolated = mayUnshare();
    if (isolated) children.push(await startLog(directory));
    const daemon = startDaemon(directory, configuration, isolated);
    children.push(daemon);
    await until(
      async () => {
        if (daemon.exitCode !== null) throw new Error(`Sendmail does not start: exit ${daemon.exitCode}`);
        return (await answers(unix)) ? true : undefined;
      },
      () => `Sendmail listens on port ${unix}`,
    );
  } catch (error) {
    const text = `Sendmail does not start\n${log()}`;
    await stop();
    throw new Error(text, { cause: error });
  }
  return {
    name: 'sendmail',
    smtpPorts: { tcp, unix },
    log,
    queued: () => readdirSync(queue).filter((name) => /^[qhd]f/.test(name)),
    stop,
  };
}

function writeConfiguration(directory: string, values: Record<string, string | number>): string {
  const template = readFileSync(new URL('sendmail.mc', import.meta.url), 'latin1');
  const macros = join(directory, 'sendmail.mc');
  const configuration = join(directory, 'sendmail.cf');
  const filled = template.replace(/@([A-Z][A-Z_0-9]*)@/g, (_match, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`sendmail.mc: no value for ${name}`);
    return String(value);
  });
  writeFileSync(macros, filled);
  const cf = `${PREFIX}/usr/share/sendmail/cf/`;
  writeFileSync(configuration, run('/usr/bin/m4', [`-D_CF_DIR_=${cf}`, macros]), 'latin1');
  return configuration;
}

async function startLog(directory: string): Promise<ChildProcess> {
  const script = new URL('devlog.pl', import.meta.url).pathname;
  const child = spawn('/usr/bin/perl', [script, join(directory, 'devlog'), join(directory, 'log')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await withinLimit(once(child.stdout, 'data'), 'the log of Sendmail is ready');
  return child;
}

// A /dev of its own with what Sendmail opens there, and the test's log socket as /dev/log.
const ISOLATE = `
set -e
directory=$1; shift
hostname mta.test
mkdir "$directory/dev"
for name in null zero random urandom; do
  : > "$directory/dev/$name"
  mount --bind "/dev/$name" "$directory/dev/$name"
done
ln -s "$directory/devlog" "$directory/dev/log"
mount --rbind "$directory/dev" /dev
exec "$@"
`;

function startDaemon(directory: string, configuration: string, isolated: boolean): ChildProcess {
  const command = [PROGRAM, '-C', configuration, '-bD'];
  // The daemon's children outlive its sessions: none of them may hold the test's own output.
  const options = { stdio: 'ignore', cwd: directory } as const;
  if (!isolated) return spawn(PROGRAM, command.slice(1), options);
  return spawn(
    '/usr/bin/unshare',
    [...NAMESPACES, '/bin/sh', '-c', ISOLATE, 'sh', directory, ...command],
    options,
  );
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await withinLimit(exit, `end of ${child.spawnfile}`);
}

function mayUnshare(): boolean {
  return spawnSync('/usr/bin/unshare', [...NAMESPACES, '/bin/true']).status === 0;
}

/** Does /etc/hosts, or the host name itself, give this machine a name with a dot? */
function hasQualifiedName(): boolean {
  if (hostname().includes('.')) return true;
  return readFileSync('/etc/hosts', 'latin1')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim().split(/\s+/))
    .some((names) => names.includes(hostname(), 1) && names[1]?.includes('.'));
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('error', () => resolve(false));
    socket.once('data', () => {
      socket.end('QUIT\r\n');
      resolve(true);
    });
  });
}
