/**
 * A real rsyslogd of the test's own: a unix socket, UDP and TCP on loopback, one file of what it received.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../helpers/loopback.ts';

const found = spawnSync('rsyslogd', ['-v']).status === 0;

/** For a test's `skip`: at a desk without rsyslogd its tests are skipped; in CI they run, and fail. */
export const withoutRsyslogd: string | false =
  found || process.env.CI === 'true' ? false : 'needs rsyslogd: apt-get install rsyslog';

export interface Received {
  /** Facility * 8 + severity. */
  readonly priority: number;
  readonly host: string;
  readonly tag: string;
  /** Latin1, without the space behind the tag. */
  readonly text: string;
}

export class Rsyslogd {
  readonly directory = mkdtempSync(join(tmpdir(), 'syslog-test-'));
  readonly socket = join(this.directory, 'log');
  readonly #output = join(this.directory, 'output');
  readonly #configuration = join(this.directory, 'rsyslog.conf');
  #process: ChildProcess | null = null;

  readonly port: number;
  readonly #lines: Received[] = [];
  /** Bytes of the output that #lines holds. */
  #read = 0;

  private constructor(port: number) {
    this.port = port;
    writeFileSync(
      this.#configuration,
      `global(workDirectory="${this.directory}" maxMessageSize="8k")
       module(load="imuxsock" SysSock.Use="off")
       module(load="imudp")
       module(load="imtcp")
       template(name="line" type="string" string="%pri%|%hostname%|%syslogtag%|%msg%\\n")
       input(type="imuxsock" Socket="${this.socket}" RateLimit.Interval="0")
       input(type="imudp" address="127.0.0.1" port="${port}" rcvbufSize="1m")
       input(type="imtcp" address="127.0.0.1" port="${port}")
       action(type="omfile" file="${this.#output}" template="line")\n`,
    );
  }

  static async start(): Promise<Rsyslogd> {
    const daemon = new Rsyslogd(await freePort());
    await daemon.start();
    return daemon;
  }

  async start(): Promise<void> {
    const pidFile = join(this.directory, 'pid');
    const child = spawn('rsyslogd', ['-n', '-f', this.#configuration, '-i', pidFile], { stdio: 'inherit' });
    this.#process = child;
    process.once('exit', () => child.kill('SIGKILL')); // Whatever became of the test.
    const died = once(child, 'exit').then(([code]) => {
      if (this.#process === child) throw new Error(`rsyslogd ended with ${code}`);
    });
    await Promise.race([died, this.#answers()]);
    died.catch(() => {});
  }

  async #answers(): Promise<void> {
    for (;;) {
      const socket = connect(this.port, '127.0.0.1');
      const answered = await once(socket, 'connect').then(
        () => true,
        () => false,
      );
      socket.destroy();
      if (answered && existsSync(this.socket)) return;
      await delay(10);
    }
  }

  /** Resolves when it has ended; its unix socket is gone then, as when a machine's daemon is restarted. */
  async stop(): Promise<void> {
    const child = this.#process;
    if (child === null) return;
    this.#process = null;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }

  /** A daemon that hangs: it keeps its sockets and reads nothing. */
  hang(): void {
    this.#process?.kill('SIGSTOP');
  }

  goOn(): void {
    this.#process?.kill('SIGCONT');
  }

  async remove(): Promise<void> {
    this.goOn();
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Everything received so far. */
  lines(): readonly Received[] {
    if (!existsSync(this.#output)) return this.#lines;
    const fd = openSync(this.#output, 'r');
    const news = Buffer.alloc(fstatSync(fd).size - this.#read);
    readSync(fd, news, 0, news.length, this.#read);
    closeSync(fd);
    const complete = news.subarray(0, news.lastIndexOf(10) + 1);
    this.#read += complete.length;
    for (const line of complete.toString('latin1').split('\n').slice(0, -1)) {
      const [, priority, host, tag, text] = /^(\d+)\|([^|]*)\|([^|]*)\| ?(.*)$/.exec(line) ?? [];
      this.#lines.push({ priority: Number(priority), host: host ?? '', tag: tag ?? '', text: text ?? '' });
    }
    return this.#lines;
  }

  /** Waits until a line satisfies `wanted`, and returns everything received. */
  async until(wanted: (line: Received) => boolean): Promise<readonly Received[]> {
    const watcher = watch(this.directory);
    let seen = 0;
    try {
      for (;;) {
        const lines = this.lines();
        for (; seen < lines.length; seen++) {
          const line = lines[seen];
          if (line !== undefined && wanted(line)) return lines;
        }
        await once(watcher, 'change');
      }
    } finally {
      watcher.close();
    }
  }
}
