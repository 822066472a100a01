/**
 * What is wrong between Sendmail and the milter.
 *
 * Sources: milter.c (milter_open, milter_setup, milter_config), safefile.c (safedirpath); seen with 8.17.
 */
import { lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { type BoundAddress, sendmailSocket } from '../net/listen-address.ts';
import { type Account, accountNamed, nameOf } from '../system/privileges.ts';
import {
  checkFailure,
  checkOrder,
  deadlinesToMeet,
  enough,
  givesUp,
  placeOf,
  seconds,
  seemsToSign,
} from './both.ts';
import { inSendmailMc, type Mend, option, quoted, shell } from './finding.ts';
import { ourAddress, probe, type Scene, type Target } from './scene.ts';
import type { MailDaemon, MailFilter, SendmailConfig } from './sendmail-config.ts';
import { DEFAULT_TIMEOUTS } from './sendmail-config.ts';
import { checkSocketRights, octal } from './socket-rights.ts';

/** By the stage at which the macros are sent: of the option in sendmail.cf, and in sendmail.mc. */
const MACRO_OPTIONS: Readonly<Record<string, readonly [option: string, macro: string]>> = {
  connect: ['Milter.macros.connect', 'confMILTER_MACROS_CONNECT'],
  helo: ['Milter.macros.helo', 'confMILTER_MACROS_HELO'],
  mail: ['Milter.macros.envfrom', 'confMILTER_MACROS_ENVFROM'],
  rcpt: ['Milter.macros.envrcpt', 'confMILTER_MACROS_ENVRCPT'],
  data: ['Milter.macros.data', 'confMILTER_MACROS_DATA'],
  endOfHeaders: ['Milter.macros.eoh', 'confMILTER_MACROS_EOH'],
  endOfMessage: ['Milter.macros.eom', 'confMILTER_MACROS_EOM'],
};

const DEFAULT_NAME = 'smtpf';
/** Seconds, where nothing else says. */
const SHORTEST: Readonly<Record<string, number>> = { R: 10, E: 300 };

/** @throws OperatorError where the user of RunAsUser is not known */
export async function checkSendmail(config: SendmailConfig, scene: Scene): Promise<void> {
  await new SendmailChecks(config, scene).run();
}

class SendmailChecks {
  readonly #config: SendmailConfig;
  readonly #scene: Scene;

  constructor(config: SendmailConfig, scene: Scene) {
    this.#config = config;
    this.#scene = scene;
  }

  async run(): Promise<void> {
    const { filters } = this.#config;
    this.#checkUndefined();
    let ours: MailFilter | undefined;
    let isWrong = false;
    for (const filter of filters) {
      const met = await this.#meet(filter);
      if (met === 'ours') ours ??= filter;
      else if (met === 'wrong') isWrong = true;
    }
    if (ours !== undefined) this.#checkOurs(ours);
    else if (!isWrong)
      this.#scene.findings.add({
        id: 'sendmail-not-attached',
        severity: 'error',
        where: this.#config.path,
        problem: 'no mail filter of Sendmail is this milter: mail is not filtered',
        mend: [inSendmailMc(this.#line(DEFAULT_NAME, new Map()))],
      });
  }

  #where({ name, line }: MailFilter): string {
    return `${this.#config.path}:${line}: X${name}`;
  }

  /** The line of sendmail.mc, with some equates changed. */
  #line(name: string, equates: ReadonlyMap<string, string>): string {
    const all = new Map([['S', this.#socket() ?? ''], ['F', 'T'], ['T', 'S:10s;R:10s;E:5m'], ...equates]);
    return `INPUT_MAIL_FILTER(\`${name}', \`${['S', 'F', 'T'].map((letter) => `${letter}=${all.get(letter)}`).join(', ')}')`;
  }

  #socket(): string | undefined {
    const { addresses } = this.#scene;
    const found = addresses.find((address) => this.#suits(address)) ?? addresses[0];
    return found && sendmailSocket(found);
  }

  #suits(address: BoundAddress): boolean {
    return address.kind !== 'unix' || this.#unsafe(address.path).length === 0;
  }

  /** Names of filters that no X line defines: Sendmail ends with an error. */
  #checkUndefined(): void {
    const { filters, inputFilters, daemons, path } = this.#config;
    const defined = new Set(filters.map(({ name }) => name));
    const used = [...inputFilters, ...daemons.flatMap((daemon) => daemon.filters)];
    for (const name of new Set(used)) {
      if (defined.has(name)) continue;
      this.#scene.findings.add({
        id: 'sendmail-undefined',
        severity: 'error',
        where: `${path}: InputMailFilters`,
        problem: `there is no mail filter ${JSON.stringify(name)}: Sendmail does not start`,
        mend: [inSendmailMc(this.#line(name, new Map()))],
      });
    }
  }

  async #meet(filter: MailFilter): Promise<'ours' | 'other' | 'wrong'> {
    const { findings, addresses } = this.#scene;
    const where = this.#where(filter);
    const target = sendmailTarget(filter.socket);
    const ours = 'wrong' in target ? undefined : await ourAddress(target, addresses);
    const problem = 'wrong' in target ? target.wrong : filter.problem;
    if (problem !== undefined) {
      findings.add({
        id: 'sendmail-syntax',
        severity: 'error',
        where,
        problem: `Sendmail cannot read this line: ${problem}`,
        mend: [
          inSendmailMc(this.#line(filter.name, new Map(ours === undefined ? [] : [['S', filter.socket]]))),
        ],
      });
      return 'wrong';
    }
    if ('wrong' in target) return 'wrong';
    if (ours !== undefined) return 'ours';
    const occupant = await probe(target);
    if (occupant === 'unknown')
      findings.note(where, `${filter.socket}: whether somebody listens there cannot be seen from here`);
    if (occupant === 'milter' || occupant === 'unknown') return 'other';
    findings.add({
      id: 'sendmail-nobody',
      severity: 'error',
      where,
      problem: `${occupant === 'nobody' ? 'nobody listens' : 'a program that is no milter listens'} at ${filter.socket}; this milter listens on ${addresses.map(sendmailSocket).join(', ')}`,
      mend: [
        inSendmailMc(this.#line(filter.name, new Map([...filter.equates, ['S', this.#socket() ?? '']]))),
      ],
    });
    return 'wrong';
  }

  #checkOurs(ours: MailFilter): void {
    const { inputFilters, daemons, hasPlainDaemon } = this.#config;
    const where = this.#where(ours);
    const isListed = inputFilters.includes(ours.name);
    const isOfDaemon = daemons.some(({ filters }) => filters.includes(ours.name));
    if (!isListed && (hasPlainDaemon || !isOfDaemon))
      this.#scene.findings.add({
        id: 'sendmail-not-listed',
        severity: 'error',
        where,
        problem: 'the filter is defined, and InputMailFilters does not name it: Sendmail does not call it',
        mend: [inSendmailMc(this.#list([...inputFilters, ours.name]))],
      });
    for (const daemon of daemons) if (!daemon.filters.includes(ours.name)) this.#daemonPasses(daemon, ours);
    this.#checkSocket(ours, where);
    const effect = ours.flags.includes('R') ? 'is refused' : ours.flags === '' ? 'passes' : 'waits';
    checkFailure(this.#scene, where, ours.flags === '' ? 'no F=' : `F=${ours.flags}`, effect, [
      inSendmailMc(this.#line(ours.name, new Map([...ours.equates, ['F', 'T']]))),
    ]);
    this.#checkTimeouts(ours, where);
    this.#checkOrder(ours, inputFilters);
    this.#checkMacros();
  }

  #list(names: readonly string[]): string {
    return `define(\`confINPUT_MAIL_FILTERS', \`${names.join(', ')}')`;
  }

  #daemonPasses(daemon: MailDaemon, ours: MailFilter): void {
    const filters = [...daemon.filters, ours.name].join(';');
    const options = daemon.options.replace(/(\bI\w*\s*=\s*)[^,]*/, `$1${filters}`);
    this.#scene.findings.add({
      id: 'sendmail-daemon',
      severity: 'warning',
      where: `${this.#config.path}:${daemon.line}: DaemonPortOptions`,
      problem: `mail that comes in by the daemon ${daemon.name} passes this milter by: it has filters of its own`,
      mend: [inSendmailMc(`DAEMON_OPTIONS(\`${options}')`)],
    });
  }

  #checkSocket(ours: MailFilter, where: string): void {
    const target = sendmailTarget(ours.socket);
    if ('wrong' in target || target.kind !== 'unix') {
      this.#scene.findings.right(where, `${ours.socket} is this milter`);
      return;
    }
    const unsafe = this.#unsafe(target.path);
    if (unsafe.length > 0) this.#unsafeSocket(ours, where, unsafe);
    checkSocketRights(this.#scene, where, target.path, { account: this.#account(), root: '/', cwd: '/' });
  }

  /** Whom Sendmail becomes, with that one group: drop_privileges() of main.c. */
  #account(): Account {
    const user = this.#config.option('RunAsUser');
    if (user === undefined || user === '') return { uid: 0, gid: 0, groups: [] };
    const [name = '', group] = user.split(/[:.]/);
    const { uid, gid } = accountNamed('RunAsUser', name, group);
    return { uid, gid, groups: [gid] };
  }

  /** Directories to the socket that others than their owner may write to, the first one first. */
  #unsafe(path: string): string[] {
    const blame = this.#config.option('DontBlameSendmail') ?? '';
    const bits = /groupwritabledirpathsafe/i.test(blame) ? 0o002 : 0o022;
    const found: string[] = [];
    for (let at = dirname(path); ; at = dirname(at)) {
      const stats = lstatSync(at, { throwIfNoEntry: false });
      if (stats?.isDirectory() && (stats.mode & bits) !== 0) found.unshift(at);
      if (at === '/') return found;
    }
  }

  #unsafeSocket(ours: MailFilter, where: string, unsafe: readonly string[]): void {
    const { findings, owner } = this.#scene;
    const isShared = unsafe.some((path) => (lstatSync(path).mode & 0o1000) !== 0);
    const moved = '/run/smtpf';
    findings.add({
      id: 'sendmail-unsafe',
      severity: 'error',
      where,
      problem: `Sendmail calls the socket unsafe and does not start, as others than its owner may write to ${unsafe.map((path) => `${path} (mode ${octal(lstatSync(path).mode)})`).join(', ')}`,
      mend: isShared
        ? [
            shell(`install -d -o ${quoted(nameOf('passwd', owner.uid))} -m 0755 ${moved}`),
            option(`--listen unix:${moved}/milter.sock`),
            inSendmailMc(
              this.#line(ours.name, new Map([...ours.equates, ['S', `unix:${moved}/milter.sock`]])),
            ),
          ]
        : unsafe.map((path): Mend => shell(`chmod go-w ${quoted(path)}`)),
    });
  }

  /** R is for one answer, E for all of the end of a message, however often progress is told. */
  #checkTimeouts(ours: MailFilter, where: string): void {
    const { callbackMs: oneMs, endOfMessageMs } = deadlinesToMeet(this.#scene);
    for (const [letter, name, callbackMs] of [
      ['R', '--deadline', oneMs],
      ['E', '--eom-deadline', endOfMessageMs],
    ] as const) {
      const wait = ours.timeouts.has(letter) ? ours.timeouts.get(letter) : DEFAULT_TIMEOUTS[letter];
      if (wait !== undefined && !givesUp(wait, callbackMs)) {
        this.#scene.findings.right(
          where,
          `${letter}, ${seconds(wait)}, is longer than ${name}, ${seconds(callbackMs)}`,
        );
        continue;
      }
      const needed = Math.max(enough(callbackMs), SHORTEST[letter] ?? 0);
      this.#scene.findings.add({
        id: 'sendmail-timeout',
        severity: 'warning',
        where,
        problem:
          wait === undefined
            ? `${letter} of T= is no time`
            : `Sendmail waits ${seconds(wait)} (${letter} of T=), and a callback may take ${seconds(callbackMs)} (${name}): Sendmail gives up first`,
        mend: [
          inSendmailMc(
            this.#line(ours.name, new Map([...ours.equates, ['T', withTime(ours, letter, needed)]])),
          ),
        ],
      });
    }
  }

  #checkOrder(ours: MailFilter, names: readonly string[]): void {
    const order = names.map((name) => {
      const filter = this.#config.filters.find((one) => one.name === name);
      const target = sendmailTarget(filter?.socket ?? '');
      const signs = !('wrong' in target) && seemsToSign(target, name);
      return { written: name, isOurs: name === ours.name, signs };
    });
    checkOrder(this.#scene, `${this.#config.path}: InputMailFilters`, order, (milters) => [
      inSendmailMc(this.#list(milters.map(({ written }) => written))),
    ]);
  }

  #checkMacros(): void {
    const { findings, policy, options } = this.#scene;
    if (options.macros !== 'none') return;
    for (const macro of policy.macros) {
      const [name = '', inMc = ''] = MACRO_OPTIONS[macro.stage] ?? [];
      const sent = (this.#config.option(name) ?? '').split(/[\s,]+/).filter(Boolean);
      if (sent.includes(macro.symbol)) continue;
      findings.add({
        id: 'macro-not-sent',
        severity: 'warning',
        where: placeOf(policy.path, macro),
        problem: `the policy reads the macro ${macro.symbol}, which Sendmail does not send (${name}), and --macros none asks for none`,
        mend: [inSendmailMc(`define(\`${inMc}', \`${[...sent, macro.symbol].join(', ')}')`)],
      });
    }
  }
}

/** T= with one time changed. */
function withTime({ equates }: MailFilter, letter: string, needed: number): string {
  const parts = (equates.get('T') ?? 'S:10s;R:10s;E:5m').split(';').filter((part) => part.trim() !== '');
  const rest = parts.filter((part) => !part.trim().startsWith(letter));
  return [...rest, `${letter}:${needed}s`].join(';');
}

/** What `S=` means. */
export function sendmailTarget(socket: string): Target | { readonly wrong: string } {
  const [, type, rest = ''] = /^(\w+):(.*)$/s.exec(socket) ?? [];
  if (socket === '') return { wrong: 'S= is missing' };
  if (type === undefined) return { kind: 'unix', path: socket };
  switch (type.toLowerCase()) {
    case 'unix':
    case 'local':
      return { kind: 'unix', path: rest };
    case 'inet':
    case 'inet6': {
      const [, port, host = ''] = /^(\d+)@(.+)$/.exec(rest) ?? [];
      if (port === undefined) return { wrong: `S=${socket}: it must be ${type}:PORT@HOST` };
      return { kind: 'inet', host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
    }
    default:
      return { wrong: `S=${socket}: there is no kind of socket ${JSON.stringify(type)}` };
  }
}
