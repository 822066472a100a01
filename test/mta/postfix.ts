/**
 * A private Postfix on loopback, in a directory of its own: nothing of /etc/postfix is read or written.
 *
 * Mail for any domain goes to the sink; `unknown@dest.test` is refused by Postfix itself. Local submission goes through
 * the milter on TCP (non_smtpd_milters).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { freePort, hasIPv6 } from '../helpers/loopback.ts';
import { signalAll } from '../helpers/real-service.ts';
import {
  type Certificate,
  type MailServer,
  type MilterAddress,
  makeCertificate,
  makeServerDirectory,
  removeServerDirectory,
  run,
  unfitMachine,
} from './mail-server.ts';

const PROGRAM = '/usr/sbin/postfix';
const QUEUES = ['maildrop', 'incoming', 'active', 'deferred', 'hold', 'corrupt'];

/** Why the tests with Postfix cannot run here, in one line; undefined when they can. */
export function postfixUnavailable(): string | undefined {
  const reason = unfitMachine();
  if (reason) return reason;
  return existsSync(PROGRAM)
    ? undefined
    : 'Postfix is not installed: apt-get install postfix (or .ci/install)';
}

export interface PostfixServer extends MailServer {
  /** Signals all of its processes. */
  signal(name: NodeJS.Signals): void;
  /** Ends its processes, or starts them again on the same ports. */
  down(): void;
  up(): void;
}

/** @param ownDomains what it takes for local; mail for them goes to the sink as well */
export async function startPostfix(
  milter: MilterAddress,
  sinkPort: number,
  ownDomains: readonly string[] = [],
): Promise<PostfixServer> {
  const directory = makeServerDirectory('postfix');
  const configuration = join(directory, 'conf');
  const queue = join(directory, 'queue');
  const data = join(directory, 'data');
  const logFile = join(directory, 'log');
  const tcp = await freePort();
  const unix = await freePort();
  for (const path of [configuration, queue, data]) mkdirSync(path, { mode: 0o755 });
  chownSync(data, Number(run('/usr/bin/id', ['-u', 'postfix'])), 0);
  chmodSync(data, 0o700);
  writeFileSync(
    join(configuration, 'main.cf'),
    mainCf(directory, milter, sinkPort, ownDomains, makeCertificate(directory)),
  );
  writeFileSync(join(configuration, 'master.cf'), masterCf(tcp, unix, milter));

  const log = () =>
    existsSync(logFile) ? readFileSync(logFile, 'latin1').split('\n').slice(-60).join('\n') : '';
  try {
    run(PROGRAM, ['-c', configuration, 'start']);
  } catch (error) {
    const text = `Postfix does not start\n${log()}`;
    removeServerDirectory(directory);
    throw new Error(text, { cause: error });
  }
  return {
    name: 'postfix',
    smtpPorts: { tcp, unix },
    log,
    queued: () => QUEUES.flatMap((name) => filesBelow(join(queue, name))),
    signal: (name) => signalAll(Number(readFileSync(join(queue, 'pid', 'master.pid'), 'latin1')), name),
    down: () => run(PROGRAM, ['-c', configuration, 'stop']),
    up: () => run(PROGRAM, ['-c', configuration, 'start']),
    submit: (args, message) => submit(configuration, args, message),
    async stop() {
      // Postfix writes to its log to the very end: its master has gone when `stop` returns, its children follow.
      run(PROGRAM, ['-c', configuration, 'stop']);
      removeServerDirectory(directory);
    },
  };
}

function mainCf(
  directory: string,
  milter: MilterAddress,
  sinkPort: number,
  ownDomains: readonly string[],
  tls: Certificate,
): string {
  return `
compatibility_level = 3.6
queue_directory = ${directory}/queue
data_directory = ${directory}/data
maillog_file = ${directory}/log
maillog_file_prefixes = ${directory}
myhostname = mta.test
mydomain = mta.test
myorigin = mta.test
mydestination = ${ownDomains.join(' ')}
local_recipient_maps =
local_transport = smtp:[127.0.0.1]:${sinkPort}
alias_maps =
alias_database =
inet_interfaces = loopback-only
inet_protocols = ${hasIPv6() ? 'all' : 'ipv4'}
mynetworks = 127.0.0.0/8 [::1]/128
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtp_bind_address = 127.0.0.1
default_transport = smtp:[127.0.0.1]:${sinkPort}
disable_dns_lookups = yes
smtp_host_lookup = native
smtpd_recipient_restrictions =
  check_recipient_access inline:{ { unknown@dest.test = 550 5.1.1 no such user } }
  permit_mynetworks reject
append_dot_mydomain = no
biff = no
notify_classes =
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 1000
in_flow_delay = 0
minimal_backoff_time = 1s
default_process_limit = 50
smtpd_client_connection_count_limit = 0
smtpd_tls_security_level = may
smtpd_tls_cert_file = ${tls.certificate}
smtpd_tls_key_file = ${tls.key}
smtpd_milters = inet:127.0.0.1:${milter.tcpPort}
non_smtpd_milters = inet:127.0.0.1:${milter.tcpPort}
milter_protocol = 6
milter_default_action = tempfail
`;
}

function masterCf(tcp: number, unix: number, milter: MilterAddress): string {
  const hosts = hasIPv6() ? ['127.0.0.1', '[::1]'] : ['127.0.0.1'];
  // Columns: service, type, private, unprivileged, chroot, wake-up seconds, process limit, program.
  return `
${hosts.map((host) => `${host}:${tcp} inet n - n - - smtpd`).join('\n')}
${hosts.map((host) => `${host}:${unix} inet n - n - - smtpd -o smtpd_milters=unix:${milter.unixPath}`).join('\n')}
pickup     unix       n - n 1     1 pickup
cleanup    unix       n - n -     0 cleanup
qmgr       unix       n - n 300   1 qmgr
tlsmgr     unix       - - n 1000? 1 tlsmgr
rewrite    unix       - - n -     - trivial-rewrite
bounce     unix       - - n -     0 bounce
defer      unix       - - n -     0 bounce
trace      unix       - - n -     0 bounce
verify     unix       - - n -     1 verify
flush      unix       n - n 1000? 0 flush
proxymap   unix       - - n -     - proxymap
proxywrite unix       - - n -     1 proxymap
smtp       unix       - - n -     - smtp
showq      unix       n - n -     - showq
error      unix       - - n -     - error
retry      unix       - - n -     - error
discard    unix       - - n -     - discard
anvil      unix       - - n -     1 anvil
scache     unix       - - n -     1 scache
postlog    unix-dgram n - n -     1 postlogd
`;
}

async function submit(configuration: string, args: readonly string[], message: string): Promise<void> {
  const child = spawn('/usr/sbin/sendmail', ['-C', configuration, ...args], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  child.stdin.end(message, 'latin1');
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`sendmail(1): exit ${code}`);
}

function filesBelow(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
}
