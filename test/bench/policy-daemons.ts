/**
 * Policy daemons of Postfix beside us, on the same work: for each message one recipient is greylisted, or counted.
 *
 * The daemons are asked by Postfix's policy protocol on connections that stay open, as Postfix does; we by milter sessions
 * of ten messages each.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Run } from './measure.ts';
import { ServerUnderTest } from './server.ts';

export interface Work {
  readonly name: string;
  readonly daemon: string;
  /** Debian's package of the daemon. */
  readonly package: string;
  readonly policy: string;
  /** Its command, with files made in a folder of its own. */
  readonly start: (folder: string, port: number) => string[];
  /** Of the sender of a message. */
  readonly sender: (index: number) => string;
}

/** The same address each time: known after the first runs. */
const ALICE = () => 'alice@sender.example';

function postgrey(folder: string, port: number): string[] {
  own(folder, 'postgrey');
  return [
    ...['/usr/sbin/postgrey', `--inet=127.0.0.1:${port}`, `--dbdir=${folder}`, '--delay=1'],
    ...['--auto-whitelist-clients=0', '--quiet', '--user=postgrey', '--group=postgrey'],
    ...['--whitelist-clients=/dev/null', '--whitelist-recipients=/dev/null', '--hostname=mx.example.net'],
  ];
}

function rateLimit(folder: string, port: number): string[] {
  own(folder, 'policyd-rate-limit');
  const config = join(folder, 'config.yaml');
  writeFileSync(
    config,
    [
      'debug: False',
      'user: "policyd-rate-limit"',
      'group: "policyd-rate-limit"',
      `pidfile: "${folder}/pid"`,
      `sqlite_config: { database: "${folder}/db.sqlite3" }`,
      'backend: 0',
      `SOCKET: ["127.0.0.1", ${port}]`,
      'limits: [[1000000, 3600]]',
      'limit_by_sasl: False',
      'limit_by_sender: True',
      'report: False',
      '',
    ].join('\n'),
  );
  return ['/usr/bin/policyd-rate-limit', '--file', config];
}

export const WORKS: readonly Work[] = [
  {
    name: 'greylisting, known senders',
    daemon: 'postgrey',
    package: 'postgrey',
    policy: 'function smtp.do_rcpt() must(grey.check { delay = 1, auto = 0 }) end\n',
    start: postgrey,
    sender: ALICE,
  },
  {
    name: 'greylisting, new senders',
    daemon: 'postgrey',
    package: 'postgrey',
    policy:
      'function smtp.do_rcpt() must(grey.check { key = tostring(math.random(1, 2147483647)), delay = 1, auto = 0 }) end\n',
    start: postgrey,
    sender: () => `s${Math.random()}@sender.example`,
  },
  {
    name: 'a rate by sender',
    daemon: 'policyd-rate-limit',
    package: 'policyd-rate-limit',
    policy: 'function smtp.do_rcpt() must(rate.take(smtp.tran.sender, "1000000/h")) end\n',
    start: rateLimit,
    // It counts the messages of a sender one by one: they are spread.
    sender: (index) => `s${index % 1000}@sender.example`,
  },
];

/** Both, started; or a line of what is not here. */
export async function startPair(
  work: Work,
  folder: string,
): Promise<{ ours: ServerUnderTest; theirs: ServerUnderTest } | string> {
  const place = join(folder, work.name.replaceAll(/\W+/g, '-'));
  mkdirSync(place);
  chmodSync(folder, 0o755);
  const [program = ''] = work.start(place, 0);
  if (spawnSync('test', ['-x', program]).status !== 0) {
    return `${work.daemon} is missing: not measured (Debian: ${work.package})`;
  }
  const script = join(folder, `${work.daemon}-${WORKS.indexOf(work)}.lua`);
  writeFileSync(script, work.policy);
  const theirs = await ServerUnderTest.program((port) => work.start(place, port));
  const ours = await ServerUnderTest.ours(script, folder, `lmdb:${place}-ours`);
  return { ours, theirs };
}

function own(folder: string, user: string): void {
  const id = (kind: string) => Number(execFileSync('id', [kind, user], { encoding: 'utf8' }));
  chownSync(folder, id('-u'), id('-g'));
}

/** A run of so many connections that ask again when they are answered. @throws Error where an answer is none */
export async function askDaemon(
  server: ServerUnderTest,
  work: Work,
  connections: number,
  seconds: number,
): Promise<Run> {
  const before = server.cpuMs();
  const began = performance.now();
  const times: number[] = [];
  const end = began + seconds * 1000;
  await Promise.all(Array.from({ length: connections }, () => askUntil(server.port, work, end, times)));
  const took = (performance.now() - began) / 1000;
  const cpuUs = ((server.cpuMs() - before) * 1000) / times.length;
  const sorted = times.sort((one, other) => one - other);
  const quantile = (part: number) => (sorted[Math.floor(sorted.length * part)] ?? Number.NaN) * 1000;
  return { perSecond: times.length / took, cpuUs, p50: quantile(0.5), p99: quantile(0.99), seconds: took };
}

let asked = 0;

function askUntil(port: number, work: Work, end: number, times: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    let text = '';
    let began = 0;
    const ask = () => {
      began = performance.now();
      if (began >= end) {
        socket.destroy();
        resolve();
      } else socket.write(request(work.sender(asked)));
      asked += 1;
    };
    socket.on('connect', ask);
    socket.on('error', reject);
    socket.on('end', () => reject(new Error(`${work.daemon} has closed a connection`)));
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      if (!text.endsWith('\n\n')) return;
      if (!text.startsWith('action=')) return reject(new Error(`${work.daemon}: ${text}`));
      text = '';
      times.push(performance.now() - began);
      ask();
    });
  });
}

/** http://www.postfix.org/SMTPD_POLICY_README.html */
function request(sender: string): string {
  return [
    'request=smtpd_access_policy',
    'protocol_state=RCPT',
    'protocol_name=ESMTP',
    'helo_name=client.example.org',
    'queue_id=',
    `sender=${sender}`,
    'recipient=user0@example.net',
    'recipient_count=0',
    'client_address=192.0.2.1',
    'client_name=client.example.org',
    'reverse_client_name=client.example.org',
    `instance=${process.pid}.${asked}`,
    'sasl_method=',
    'sasl_username=',
    'size=2048',
    'encryption_protocol=',
    'ccert_subject=',
    '',
    '',
  ].join('\n');
}
