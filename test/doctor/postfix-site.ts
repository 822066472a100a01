/** A site with the configuration of a Postfix that is never started: that of Debian, changed by postconf(1). */
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Server, Site } from './site.ts';

const OF_DEBIAN = '/usr/share/postfix';

export class PostfixSite extends Site {
  readonly configuration: string;
  readonly queue: string;

  /** With Debian's master.cf, whose smtpd works in a chroot. */
  constructor(t: TestContext, settings: { policy?: string; server?: Server } = {}) {
    super(t, settings);
    this.configuration = this.makeDirectory('postfix');
    this.queue = this.makeDirectory('queue');
    for (const name of ['private', 'public', 'maildrop']) mkdirSync(join(this.queue, name));
    const debian = readFileSync(join(OF_DEBIAN, 'main.cf.debian'), 'utf8');
    this.write('postfix/main.cf', [debian, `queue_directory = ${this.queue}`, ''].join('\n'));
    const services = readFileSync(join(OF_DEBIAN, 'master.cf.dist'), 'utf8');
    this.write('postfix/master.cf', services);
    this.mta = ['--postfix', this.configuration];
  }

  postconf(...args: readonly string[]): string {
    return this.shell(`postconf -c ${this.configuration} ${args.map((arg) => `'${arg}'`).join(' ')}`);
  }

  /** Adds lines to master.cf. */
  addServices(...lines: readonly string[]): void {
    appendFileSync(join(this.configuration, 'master.cf'), `${lines.join('\n')}\n`);
  }

  /** The milter on a TCP port, which main.cf names: that of the server that the site was given, else one of its own. */
  async overTcp(): Promise<number> {
    if (!this.options.includes('--listen')) {
      this.options.push('--listen', 'inet:0@127.0.0.1');
      await this.serve();
    }
    const port = await this.server.port();
    this.postconf('-e', `smtpd_milters = inet:127.0.0.1:${port}`);
    return port;
  }

  /** The milter on a unix socket in the queue directory, as the README says, which main.cf names. */
  async overUnix(): Promise<string> {
    this.makeDirectory('queue/smtpf', 'mail:postfix', '2750');
    const socket = join(this.queue, 'smtpf/milter.sock');
    this.options.push('--listen', `unix:${socket}`);
    await this.serve();
    this.postconf('-e', 'smtpd_milters = unix:smtpf/milter.sock');
    return socket;
  }
}
