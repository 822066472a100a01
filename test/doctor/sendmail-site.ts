/** A site with the configuration of a Sendmail that is never started, built by m4 from a sendmail.mc. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Server, Site } from './site.ts';

const PREFIX = process.env.SENDMAIL_PREFIX ?? '/opt/smtpf-milter-sendmail';
const CF = `${PREFIX}/usr/share/sendmail/cf/`;

/** Why no sendmail.cf can be built here, in one line. */
export function sendmailUnbuildable(): string | undefined {
  if (process.getuid?.() !== 0) return 'the milter is started by root';
  if (!existsSync(`${CF}m4/cf.m4`)) return `Sendmail's macros are not in ${CF}: run .ci/install as root`;
  return existsSync('/usr/bin/m4') ? undefined : 'm4 is missing: apt-get install m4 (or .ci/install)';
}

const HEAD = [`include(\`${CF}m4/cf.m4')dnl`, "OSTYPE(`linux')dnl"];
const FOOT = ["MAILER(`smtp')dnl"];

export class SendmailSite extends Site {
  readonly #macros: string;
  readonly #configuration: string;

  constructor(t: TestContext, settings: { policy?: string; server?: Server } = {}) {
    super(t, settings);
    this.#macros = join(this.directory, 'sendmail.mc');
    this.#configuration = join(this.directory, 'sendmail.cf');
    this.mta = ['--sendmail', this.#configuration];
  }

  /** Builds sendmail.cf. @param lines of sendmail.mc */
  build(...lines: readonly string[]): void {
    this.write('sendmail.mc', [...HEAD, ...lines, ...FOOT, ''].join('\n'));
    this.shell(`m4 -D_CF_DIR_=${CF} ${this.#macros} > ${this.#configuration}`);
  }

  /** Puts a line into sendmail.mc: in the place of the one of the same filter, daemon or definition, where there is one. */
  put(line: string): void {
    const lines = readFileSync(this.#macros, 'utf8')
      .split('\n')
      .slice(HEAD.length, -FOOT.length - 1);
    const key = (text: string) =>
      /^(?:INPUT_)?(?:MAIL_FILTER|define)\(`(\w+)'|^DAEMON_OPTIONS\(`(Name=\w+)/
        .exec(text)
        ?.slice(1)
        .join('');
    const at = lines.findIndex((one) => key(one) === key(line));
    if (at >= 0) lines[at] = line;
    else lines.push(line);
    this.build(...lines);
  }

  /** A milter on TCP: that of the server that the site was given, else one of its own. @returns its port */
  async overTcp(): Promise<number> {
    if (!this.options.includes('--listen')) {
      this.options.push('--listen', 'inet:0@127.0.0.1');
      await this.serve();
    }
    return this.server.port();
  }

  /** A milter on a unix socket, in a directory that Sendmail takes for safe. @returns its path */
  async overUnix(): Promise<string> {
    const socket = join(this.makeDirectory('milter', 'mail:mail', '755'), 'milter.sock');
    this.options.push('--listen', `unix:${socket}`);
    await this.serve();
    return socket;
  }
}
