/** A real name server (NSD) of the test's own, on a loopback port, with zones in a scratch directory. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../helpers/loopback.ts';

const found = spawnSync('nsd', ['-v']).error === undefined;

/** For a test's `skip`: at a desk without NSD its tests are skipped; in CI they run, and fail. */
export const withoutNsd: string | false =
  found || process.env.CI === 'true' ? false : 'needs a name server: apt-get install nsd';

const SOA = '@ 60 IN SOA ns1.example. hostmaster.example. 1 3600 900 86400 60\n@ 60 IN NS ns1.example.\n';

const ZONES: Readonly<Record<string, string>> = {
  example: `
ns1 60 IN A 127.0.0.1
@ 60 IN NS ns2.example.
two 60 IN A 192.0.2.1
two 60 IN A 192.0.2.2
two 60 IN AAAA 2001:db8::1
alias 60 IN CNAME two
dangling 60 IN CNAME nothing
onlytxt 60 IN TXT "v=spf1 " "-all"
onlytxt 60 IN TXT "bytes \\228\\000\\255 end"
mail 60 IN MX 20 backup.example.
mail 60 IN MX 10 first.example.
mail 60 IN MX 10 FIRST.elsewhere.example.
nomail 60 IN MX 0 .
big 60 IN TXT ${Array.from({ length: 12 }, (_, i) => `"${String(i).padStart(2, '0')}${'x'.repeat(240)}"`).join(' ')}
many ${Array.from({ length: 60 }, (_, i) => `60 IN A 198.51.100.${i + 1}`).join('\nmany ')}
xn--bcher-kva 60 IN A 192.0.2.88
under_score 60 IN A 192.0.2.89
mx1 60 IN A 192.0.2.25
mx6 60 IN AAAA 2001:db8::25
false 60 IN A 192.0.2.99
`,
  '2.0.192.in-addr.arpa': `
25 60 IN PTR other.example.
25 60 IN PTR mx1.example.
26 60 IN PTR false.example.
28 60 IN PTR host.unserved.test.
`,
  '8.b.d.0.1.0.0.2.ip6.arpa': `5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 60 IN PTR mx6.example.\n`,
  'bl.test': `
2.0.0.127 60 IN A 127.0.0.2
2.0.0.127 60 IN TXT "test point"
7.2.0.192 60 IN A 127.0.0.10
7.2.0.192 60 IN A 127.0.0.4
7.2.0.192 60 IN TXT "see https://bl.test/7"
8.2.0.192 60 IN A 127.0.0.9
5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2 60 IN A 127.0.0.3
bad.example 60 IN A 127.0.1.2
`,
  'parked.test': `* 60 IN A 203.0.113.80\n`,
  'away.test': `* 60 IN A 127.255.255.254\n`,
};

export class Nsd {
  readonly directory: string;
  readonly port: number;
  readonly #process: ChildProcess;

  private constructor(directory: string, port: number, child: ChildProcess) {
    this.directory = directory;
    this.port = port;
    this.#process = child;
  }

  /** As `--dns-server` takes it. */
  get server(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** @param more zones besides those that are always there: their records, by name */
  static async start(more: Readonly<Record<string, string>> = {}): Promise<Nsd> {
    const directory = mkdtempSync(join(tmpdir(), 'nsd-test-'));
    const port = await freePort();
    const zones = Object.entries({ ...ZONES, ...more }).map(([zone, records]) => {
      writeFileSync(join(directory, `${zone}.zone`), `$ORIGIN ${zone}.\n${SOA}${records}`);
      return `zone:\n  name: "${zone}"\n  zonefile: "${zone}.zone"\n`;
    });
    // A secondary whose primary is not there: SERVFAIL for all of it.
    zones.push('zone:\n  name: "broken.test"\n  zonefile: "none"\n  request-xfr: 127.0.0.1@1 NOKEY\n');
    const configuration = join(directory, 'nsd.conf');
    writeFileSync(
      configuration,
      `server:
  ip-address: 127.0.0.1@${port}
  zonesdir: "${directory}"
  zonelistfile: "${directory}/zone.list"
  database: ""
  xfrdfile: "${directory}/xfrd.state"
  xfrdir: "${directory}"
  pidfile: "${directory}/nsd.pid"
  username: ""
  chroot: ""
  server-count: 1
  hide-version: yes
  rrl-ratelimit: 0
remote-control:
  control-enable: no
${zones.join('')}`,
    );
    const child = spawn('nsd', ['-d', '-c', configuration], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (text: Buffer) => {
        output += text;
      });
    }
    process.once('exit', () => child.kill('SIGKILL')); // Whatever became of the test.
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`nsd ended with ${code}: ${output}`);
    });
    const over = new AbortController();
    ended.catch(() => over.abort());
    await Promise.race([ended, answers(port, over.signal)]);
    return new Nsd(directory, port, child);
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null) {
      this.#process.kill('SIGTERM');
      await once(this.#process, 'exit');
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Asks for the SOA of `example` until there is an answer. */
async function answers(port: number, over: AbortSignal): Promise<void> {
  const socket = createSocket('udp4');
  socket.on('error', () => {});
  const question = Buffer.from(
    `12340000000100000000000007${Buffer.from('example').toString('hex')}0000060001`,
    'hex',
  );
  const answered = once(socket, 'message').then(() => true);
  while (!over.aborted) {
    socket.send(question, port, '127.0.0.1');
    if (await Promise.race([answered, delay(20, false)])) break;
  }
  socket.close();
}
