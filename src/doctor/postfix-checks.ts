/**
 * What is wrong between Postfix and the milter.
 *
 * Sources: MILTER_README, postconf(5), master(5); milter8.c for the forms of an address and the macros; seen with 3.7.
 */
import { relative } from 'node:path';
import { type BoundAddress, parseListenAddress, reachable } from '../net/listen-address.ts';
import { type Account, nameOf } from '../system/privileges.ts';
import { BadValue } from '../text/bad-value.ts';
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
import { meantSocket } from './file-checks.ts';
import { inPolicy, type Mend, option, quoted, shell } from './finding.ts';
import { areOwnClients, readMilterMaps } from './milter-maps.ts';
import type { MasterService, MilterEntry, PostfixConfig } from './postfix-config.ts';
import { parseMilters, postfixTime } from './postfix-config.ts';
import { outside, type View } from './reach.ts';
import { ourAddress, probe, type Scene, type Target } from './scene.ts';
import { checkSocketRights } from './socket-rights.ts';

type Parameter = 'smtpd_milters' | 'non_smtpd_milters';

/** Services that do the same with one list of milters. */
interface Attachment {
  readonly parameter: Parameter;
  readonly services: readonly MasterService[];
  /** The list is of `-o`. */
  readonly isOverride: boolean;
  readonly view: View;
  readonly entries: readonly MilterEntry[];
  /** Which of them is this milter. */
  readonly ours: MilterEntry | undefined;
  /** Something was found in the list. */
  readonly isWrong: boolean;
}

const ACTIONS: Readonly<Record<string, 'passes' | 'waits' | 'is refused' | 'is held'>> = {
  accept: 'passes',
  tempfail: 'waits',
  reject: 'is refused',
  shutdown: 'waits',
  quarantine: 'is held',
};

/** Without the braces. smtpd_milter.c, cleanup_milter.c. */
const KNOWN_MACROS: ReadonlySet<string> = new Set(
  `_ j v i daemon_name daemon_addr daemon_port client_addr client_connections client_name client_port client_ptr
  client_resolve tls_version cipher cipher_bits cert_subject cert_issuer auth_type auth_authen auth_author mail_addr
  mail_host mail_mailer rcpt_addr rcpt_host rcpt_mailer`.split(/\s+/),
);

const MACRO_PARAMETERS: Readonly<Record<string, string>> = {
  connect: 'milter_connect_macros',
  helo: 'milter_helo_macros',
  mail: 'milter_mail_macros',
  rcpt: 'milter_rcpt_macros',
  data: 'milter_data_macros',
  endOfHeaders: 'milter_end_of_header_macros',
  endOfMessage: 'milter_end_of_data_macros',
};

/** Where strangers, or users, hand in mail. */
const PUBLIC_PORTS: ReadonlySet<string> = new Set(
  'smtp 25 submission 587 submissions smtps 465 smtpd'.split(' '),
);

const bare = (symbol: string) => symbol.replace(/^\{(.*)\}$/, '$1');

/** @throws OperatorError where Postfix's user is not known */
export async function checkPostfix(config: PostfixConfig, scene: Scene, account: Account): Promise<void> {
  await new PostfixChecks(config, scene, account).run();
}

class PostfixChecks {
  readonly #config: PostfixConfig;
  readonly #scene: Scene;
  readonly #account: Account;
  readonly #queue: string;
  readonly #postconf: string;
  /** Who listens at one of the sockets cannot be seen by this user: it may be this milter. */
  #isUnseen = false;

  constructor(config: PostfixConfig, scene: Scene, account: Account) {
    this.#config = config;
    this.#scene = scene;
    this.#account = account;
    this.#queue = config.value('queue_directory');
    this.#postconf =
      config.directory === '/etc/postfix' ? 'postconf' : `postconf -c ${quoted(config.directory)}`;
  }

  async run(): Promise<void> {
    this.#checkComplaints();
    const smtpd = await this.#attachments('smtpd_milters', 'smtpd');
    const attached = smtpd.filter(({ ours }) => ours !== undefined);
    if (attached.length === 0 && (await this.#isInMilterMaps(smtpd)))
      this.#scene.findings.note(
        this.#place('smtpd_milter_maps', undefined),
        'this milter filters the mail of those clients alone for which smtpd_milter_maps names it',
      );
    else if (attached.length === 0) this.#notAttached(smtpd);
    else for (const attachment of smtpd) this.#checkOverride(attachment, attached);
    this.#checkPostscreen(attached);
    await this.#checkMilterMaps(attached);
    this.#checkContentFilter(attached);
    const cleanup = await this.#attachments('non_smtpd_milters', 'cleanup');
    this.#checkNonSmtpd(cleanup);
    for (const attachment of [...attached, ...cleanup]) this.#checkSettings(attachment);
    this.#checkMacros(attached);
  }

  /** The services of a program, by what they do with the list. */
  async #attachments(parameter: Parameter, program: string): Promise<Attachment[]> {
    const groups = new Map<string, MasterService[]>();
    for (const service of this.#config.services) {
      if (service.program !== program) continue;
      const key = JSON.stringify([
        this.#config.value(parameter, service),
        service.chroot,
        service.overrides.has(parameter),
      ]);
      groups.set(key, [...(groups.get(key) ?? []), service]);
    }
    return Promise.all([...groups.values()].map((services) => this.#attachment(parameter, services)));
  }

  async #attachment(parameter: Parameter, services: readonly MasterService[]): Promise<Attachment> {
    const [service] = services;
    const view = {
      account: this.#account,
      root: service?.chroot === true ? this.#queue : '/',
      cwd: this.#queue,
    };
    const attachment: Attachment = {
      parameter,
      services,
      isOverride: service?.overrides.has(parameter) === true,
      view,
      entries: parseMilters(this.#config.value(parameter, service)),
      ours: undefined,
      isWrong: false,
    };
    let ours: MilterEntry | undefined;
    let isWrong = false;
    for (const entry of attachment.entries) {
      const met = await this.#meet(attachment, entry);
      if (met === 'ours') ours ??= entry;
      else if (met === 'wrong') isWrong = true;
    }
    return { ...attachment, ours, isWrong };
  }

  /** Whom an entry leads to. */
  async #meet(attachment: Attachment, entry: MilterEntry): Promise<'ours' | 'other' | 'wrong'> {
    const { findings, addresses } = this.#scene;
    const { view } = attachment;
    const where = this.#whereIs(attachment);
    const target = postfixTarget(entry.endpoint);
    if ('wrong' in target) {
      findings.add({
        id: 'postfix-syntax',
        severity: 'error',
        where,
        problem: `Postfix cannot read ${JSON.stringify(entry.endpoint)}: ${target.wrong}`,
        mend: this.#replace(attachment, entry, target.right ?? this.#specFor(view)),
      });
      return 'wrong';
    }
    const path = target.kind === 'unix' ? outside(view, target.path) : '';
    const ours = await ourAddress(target, addresses, path);
    const isMeant = target.kind === 'unix' && path === meantSocket(this.#scene);
    if (ours !== undefined || isMeant) {
      if (target.kind === 'unix') checkSocketRights(this.#scene, where, target.path, view);
      else findings.right(where, `${entry.endpoint} is this milter`);
      return 'ours';
    }
    if (target.kind === 'unix' && (await this.#isElsewhere(attachment, entry, target.path))) return 'wrong';
    const occupant = await probe(target, path);
    if (occupant === 'unknown') {
      const isHidden = target.kind === 'unix' && process.getuid?.() !== 0;
      if (isHidden) this.#isUnseen = true;
      findings.note(
        where,
        `${entry.endpoint}: whether somebody listens there cannot be seen from here${isHidden ? ': run doctor as root' : ''}`,
      );
    }
    if (occupant === 'milter' || occupant === 'unknown') return 'other';
    const listening = addresses.map((address) => describe(address)).join(', ');
    findings.add({
      id: 'postfix-nobody',
      severity: 'error',
      where,
      problem: `${occupant === 'nobody' ? 'nobody listens' : 'a program that is no milter listens'} at ${entry.endpoint}${view.root === '/' || target.kind !== 'unix' ? '' : ` (in the chroot: ${path})`}; this milter listens on ${listening}`,
      mend: this.#replace(attachment, entry, this.#specFor(view)),
    });
    return 'wrong';
  }

  /** Finds a path that would lead to this milter in a chroot, or without one. */
  async #isElsewhere(attachment: Attachment, entry: MilterEntry, path: string): Promise<boolean> {
    const { view } = attachment;
    const isChrooted = view.root !== '/';
    const other = isChrooted ? { ...view, root: '/' } : { ...view, root: this.#queue };
    const meant = await ourAddress({ kind: 'unix', path }, this.#scene.addresses, outside(other, path));
    if (meant?.kind !== 'unix') return false;
    const names = attachment.services.map(({ name, type }) => `${name}/${type}`).join(', ');
    this.#scene.findings.add({
      id: 'postfix-chroot',
      severity: 'error',
      where: this.#whereIs(attachment),
      problem: isChrooted
        ? `${names} ${attachment.services.length === 1 ? 'works' : 'work'} in the chroot ${this.#queue}, where ${path} is ${outside(view, path)}, and the milter's socket is ${meant.path}`
        : `${path} is a path of a chroot, and ${names} ${attachment.services.length === 1 ? 'works' : 'work'} in none: the milter's socket is ${meant.path}`,
      mend: this.#replace(attachment, entry, this.#specFor(view)),
    });
    return true;
  }

  /** How services with this view name the milter; undefined where its socket is out of their reach. */
  #specFor({ root }: View): string | undefined {
    const { addresses } = this.#scene;
    const below = addresses.find(
      (address) => address.kind === 'unix' && address.path.startsWith(`${this.#queue}/`),
    );
    if (below?.kind === 'unix') return `unix:${relative(this.#queue, below.path)}`;
    const found = addresses.find(({ kind }) => kind !== 'unix') ?? (root === '/' ? addresses[0] : undefined);
    return found && specOf(found);
  }

  /** The lines that put the milter, or another entry, into the place of one. @param spec undefined: its socket is moved */
  #replace(attachment: Attachment, entry: MilterEntry | undefined, spec: string | undefined): Mend[] {
    const { entries } = attachment;
    const put = (right: string) =>
      entry === undefined
        ? [...entries.map(({ written }) => written), right]
        : entries.map((one) => (one === entry ? one.written.replace(one.endpoint, right) : one.written));
    if (spec !== undefined) return this.#set(attachment, [...new Set(put(spec))].join(', '));
    const directory = `${this.#queue}/smtpf`;
    const { owner } = this.#scene;
    const group = nameOf('group', this.#account.gid);
    return [
      shell(
        `install -d -o ${quoted(nameOf('passwd', owner.uid))} -g ${quoted(group)} -m 2750 ${quoted(directory)}`,
      ),
      option(`--listen unix:${directory}/milter.sock`),
      ...this.#set(attachment, [...new Set(put('unix:smtpf/milter.sock'))].join(', ')),
    ];
  }

  #set({ parameter, isOverride, services }: Attachment, value: string): Mend[] {
    if (!isOverride) return [this.#setMain(parameter, value)];
    return services.map((service) => this.#setService(service, parameter, value));
  }

  #setMain(parameter: string, value: string): Mend {
    return shell(`${this.#postconf} -e ${quoted(`${parameter} = ${value}`)}`);
  }

  #setService({ name, type }: MasterService, parameter: string, value: string): Mend {
    return shell(`${this.#postconf} -P ${quoted(`${name}/${type}/${parameter}=${value}`)}`);
  }

  #unsetService({ name, type }: MasterService, parameter: string): Mend {
    return shell(`${this.#postconf} -PX ${quoted(`${name}/${type}/${parameter}`)}`);
  }

  #whereIs({ parameter, isOverride, services }: Attachment): string {
    return this.#place(parameter, isOverride ? services[0] : undefined);
  }

  #place(parameter: string, service: MasterService | undefined): string {
    const { directory } = this.#config;
    return service?.overrides.has(parameter) === true
      ? `${directory}/master.cf:${service.line}: -o ${parameter}`
      : `${directory}/main.cf: ${parameter}`;
  }

  /** Misspelt names of parameters. */
  #checkComplaints(): void {
    const { findings } = this.#scene;
    for (const complaint of this.#config.complaints) {
      const [, name = ''] = /unused parameter: ([^\s=]+)/.exec(complaint) ?? [];
      if (!name.includes('milter')) continue;
      findings.add({
        id: 'postfix-unused',
        severity: 'warning',
        where: `${this.#config.directory}: ${name}`,
        problem: `Postfix knows no parameter ${name}: it does nothing`,
        mend: [shell(`${this.#postconf} -X ${quoted(name)}`)],
      });
    }
  }

  #notAttached(smtpd: readonly Attachment[]): void {
    // What was found wrong with an entry leads to the milter when it is mended.
    if (smtpd.some(({ isWrong }) => isWrong) || this.#isUnseen) return;
    const [attachment] = smtpd.filter(({ isOverride }) => !isOverride);
    const { findings } = this.#scene;
    if (smtpd.length === 0 || attachment === undefined) {
      findings.note(
        `${this.#config.directory}/master.cf`,
        'no service runs smtpd with smtpd_milters of main.cf',
      );
      return;
    }
    findings.add({
      id: 'postfix-not-attached',
      severity: 'error',
      where: this.#whereIs(attachment),
      problem: 'no service of Postfix names this milter: mail is not filtered',
      mend: this.#replace(attachment, undefined, this.#specFor(attachment.view)),
    });
  }

  /** Services with another list, or with none. */
  #checkOverride(attachment: Attachment, attached: readonly Attachment[]): void {
    if (attachment.ours !== undefined || attachment.isWrong) return;
    const { findings } = this.#scene;
    for (const service of attachment.services) {
      const name = `${service.name}/${service.type}`;
      const where = this.#place('smtpd_milters', service);
      if (service.type === 'pass' && this.#misplaced().length > 0) continue; // Said of postscreen.
      if (isInternal(service)) {
        findings.note(where, `${name} does not filter: right where mail comes back from a content filter`);
        continue;
      }
      const ofMain = attached.some(({ isOverride }) => !isOverride);
      const mend =
        attachment.isOverride && ofMain && attachment.entries.length === 0
          ? [this.#unsetService(service, 'smtpd_milters')]
          : this.#replace({ ...attachment, services: [service] }, undefined, this.#specFor(attachment.view));
      findings.add({
        id: 'postfix-override',
        severity: 'warning',
        where,
        problem: `mail that comes in by ${name} passes this milter by${attachment.isOverride ? `: -o smtpd_milters=${this.#config.raw('smtpd_milters', service)}` : ', as other services alone name it'}`,
        mend,
      });
    }
  }

  /** Services of postscreen that name milters. */
  #misplaced(): MasterService[] {
    return this.#config.services.filter(
      ({ program, overrides }) => program === 'postscreen' && overrides.has('smtpd_milters'),
    );
  }

  /** postscreen hands sessions on, and has no milters itself. */
  #checkPostscreen(attached: readonly Attachment[]): void {
    const { services, directory } = this.#config;
    for (const service of this.#misplaced()) {
      const value = service.overrides.get('smtpd_milters') ?? '';
      const pass = services.find(({ program, type }) => program === 'smtpd' && type === 'pass');
      const isReached = pass !== undefined && attached.some((one) => one.services.includes(pass));
      this.#scene.findings.add({
        id: 'postfix-postscreen',
        severity: isReached ? 'warning' : 'error',
        where: `${directory}/master.cf:${service.line}: -o smtpd_milters`,
        problem: `postscreen calls no milters, so that -o smtpd_milters of ${service.name}/${service.type} does nothing: it belongs to the smtpd that postscreen hands sessions on to`,
        mend: [
          this.#unsetService(service, 'smtpd_milters'),
          ...(pass === undefined || isReached ? [] : [this.#setService(pass, 'smtpd_milters', value)]),
        ],
      });
    }
  }

  /** `no_milters` where it does not belong, and mail that comes by twice. */
  #checkContentFilter(attached: readonly Attachment[]): void {
    const name = 'receive_override_options';
    const { findings } = this.#scene;
    for (const service of attached.flatMap(({ services }) => services)) {
      const options = this.#config
        .value(name, service)
        .split(/[\s,]+/)
        .filter(Boolean);
      const where = this.#place(name, service);
      const shown = `${service.name}/${service.type}`;
      if (options.includes('no_milters')) {
        if (isInternal(service)) continue;
        const rest = options.filter((one) => one !== 'no_milters').join(',');
        const isOverride = service.overrides.has(name);
        findings.add({
          id: 'postfix-no-milters',
          severity: 'error',
          where,
          problem: `mail that comes in by ${shown} passes all milters by: ${name} = ${options.join(',')}`,
          mend: [
            !isOverride
              ? this.#setMain(name, rest)
              : rest === ''
                ? this.#unsetService(service, name)
                : this.#setService(service, name, rest),
          ],
        });
      } else if (isInternal(service) && this.#hasContentFilter()) {
        findings.add({
          id: 'postfix-twice',
          severity: 'warning',
          where: `${this.#config.directory}/master.cf:${service.line}`,
          problem: `mail that comes back from the content filter by ${shown} is filtered a second time, and comes from 127.0.0.1 then`,
          mend: [this.#setService(service, name, [...options, 'no_milters'].join(','))],
        });
      }
    }
  }

  async #isInMilterMaps(smtpd: readonly Attachment[]): Promise<boolean> {
    for (const { services, view } of smtpd) {
      const maps = readMilterMaps(this.#config.value('smtpd_milter_maps', services[0]));
      for (const { value } of maps.flatMap(({ entries }) => entries))
        if (await this.#namesUs(value, view)) return true;
    }
    return false;
  }

  async #namesUs(value: string, view: View): Promise<boolean> {
    for (const { endpoint } of parseMilters(value)) {
      const target = postfixTarget(endpoint);
      if ('wrong' in target) continue;
      const path = target.kind === 'unix' ? outside(view, target.path) : '';
      if ((await ourAddress(target, this.#scene.addresses, path)) !== undefined) return true;
    }
    return false;
  }

  /** Clients from outside for which smtpd_milter_maps has no milters, or others. */
  async #checkMilterMaps(attached: readonly Attachment[]): Promise<void> {
    const name = 'smtpd_milter_maps';
    const { findings } = this.#scene;
    for (const { services, view, ours } of attached) {
      const [service] = services;
      const where = this.#place(name, service);
      for (const { spec, file, entries, unseen } of readMilterMaps(this.#config.value(name, service))) {
        if (unseen !== undefined)
          findings.note(
            where,
            `${spec}: for clients in it other milters count than smtpd_milters: ${unseen}`,
          );
        const passing = [];
        for (const entry of entries) {
          if (areOwnClients(entry.clients, this.#config.value('mynetworks'))) continue;
          if (!(await this.#namesUs(entry.value, view))) passing.push(entry);
        }
        if (passing.length === 0) continue;
        const put = (value: string) =>
          /^disable$/i.test(value) ? (ours?.written ?? '') : `${value}, ${ours?.written}`;
        const inline = passing.reduce(
          (text, { clients, value }) =>
            text.replace(
              new RegExp(`(${escapedPattern(clients)}\\s*=\\s*)${escapedPattern(value)}`),
              `$1${put(value)}`,
            ),
          spec,
        );
        findings.add({
          id: 'postfix-milter-maps',
          severity: 'warning',
          where: file === undefined ? where : `${file}:${passing[0]?.line}`,
          problem: `mail of ${passing.map(({ clients }) => clients).join(', ')} passes this milter by (smtpd_milter_maps)`,
          mend:
            file === undefined
              ? [this.#setMain(name, this.#config.raw(name, service).replace(spec, inline))]
              : passing.map(({ line, value }) =>
                  shell(`sed -i ${quoted(`${line}s|${value}$|${put(value)}|`)} ${quoted(file)}`),
                ),
        });
      }
    }
  }

  #hasContentFilter(): boolean {
    const { services } = this.#config;
    return [undefined, ...services].some((service) => this.#config.value('content_filter', service) !== '');
  }

  /** Mail of sendmail(1), of bounces and of qmqpd. */
  #checkNonSmtpd(cleanup: readonly Attachment[]): void {
    const { findings, policy } = this.#scene;
    for (const attachment of cleanup) {
      if (attachment.ours !== undefined || attachment.isWrong) continue;
      const where = this.#whereIs(attachment);
      if (policy.signs)
        findings.add({
          id: 'postfix-local-mail',
          severity: 'warning',
          where,
          problem:
            'mail that does not come by SMTP (sendmail(1)) is not signed by the policy, as non_smtpd_milters does not name this milter',
          mend: this.#replace(attachment, undefined, this.#specFor(attachment.view)),
        });
      else
        findings.note(
          where,
          'mail that does not come by SMTP (sendmail(1), cron) is not filtered: non_smtpd_milters does not name this milter',
        );
    }
  }

  /** Protocol, time-outs, what happens without the milter, and the order. */
  #checkSettings(attachment: Attachment): void {
    const { ours } = attachment;
    if (ours === undefined) return;
    const { callbackMs } = deadlinesToMeet(this.#scene);
    for (const service of attachment.services) {
      const setting = (name: string) => this.#setting(attachment, service, ours, name);
      const action = setting('default_action');
      const effect = ACTIONS[action.value];
      if (effect === undefined)
        this.#scene.findings.add({
          id: 'postfix-action',
          severity: 'error',
          where: action.where,
          problem: `Postfix knows no milter_default_action ${JSON.stringify(action.value)}, and ends with an error`,
          mend: action.to('tempfail'),
        });
      else
        checkFailure(
          this.#scene,
          action.where,
          `milter_default_action = ${action.value}`,
          effect,
          action.to('tempfail'),
        );
      this.#checkProtocol(setting('protocol'));
      for (const name of ['command_timeout', 'content_timeout'])
        this.#checkTimeout(name, setting(name), callbackMs);
    }
    const order = attachment.entries.map((entry) => {
      const target = postfixTarget(entry.endpoint);
      return {
        written: entry.written,
        isOurs: entry === ours,
        signs: !('wrong' in target) && seemsToSign(target),
      };
    });
    checkOrder(this.#scene, this.#whereIs(attachment), order, (milters) =>
      this.#set(attachment, milters.map(({ written }) => written).join(', ')),
    );
  }

  #checkProtocol({ value, where, to }: Setting): void {
    const version = Number(/\b\d+\b/.exec(value)?.[0] ?? 0);
    if (version >= 6) return;
    this.#scene.findings.add({
      id: 'postfix-protocol',
      severity: 'warning',
      where,
      problem: `milter_protocol = ${value}: in this version of the protocol Postfix ${version < 4 ? 'sends no DATA, ' : ''}takes no list of macros and no changed sender`,
      mend: to('6'),
    });
  }

  #checkTimeout(name: string, { value, where, to }: Setting, deadlineMs: number): void {
    const { findings } = this.#scene;
    const wait = postfixTime(value);
    const needed = Math.max(enough(deadlineMs), name === 'content_timeout' ? 300 : 30);
    if (wait === undefined || givesUp(wait, deadlineMs))
      findings.add({
        id: 'postfix-timeout',
        severity: 'warning',
        where,
        problem:
          wait === undefined
            ? `milter_${name} = ${value} is no time`
            : `Postfix waits ${seconds(wait)} for an answer, and a callback may take ${seconds(deadlineMs)} (--deadline): Postfix gives up first`,
        mend: to(`${needed}s`),
      });
    else findings.right(where, `${seconds(wait)}, longer than --deadline, ${seconds(deadlineMs)}`);
  }

  /** A setting of one milter, with where it stands and the line that changes it. */
  #setting(attachment: Attachment, service: MasterService, ours: MilterEntry, name: string): Setting {
    const parameter = `milter_${name}`;
    const own = ours.settings.get(name);
    if (own !== undefined)
      return {
        value: own,
        where: this.#whereIs(attachment),
        to: (value) => {
          const changed = ours.written.replace(new RegExp(`(\\b${name}\\s*=\\s*)[^\\s,}]+`), `$1${value}`);
          const all = attachment.entries.map((entry) => (entry === ours ? changed : entry.written));
          return this.#set(attachment, all.join(', '));
        },
      };
    return {
      value: this.#config.value(parameter, service),
      where: this.#place(parameter, service),
      to: (value) => [
        service.overrides.has(parameter)
          ? this.#setService(service, parameter, value)
          : this.#setMain(parameter, value),
      ],
    };
  }

  #checkMacros(attached: readonly Attachment[]): void {
    const [service] = attached.flatMap(({ services }) => services);
    if (service === undefined) return;
    const { findings, policy, options } = this.#scene;
    const defined = parseMacroNames(this.#config.value('milter_macro_defaults', service));
    for (const macro of policy.macros) {
      const name = bare(macro.symbol);
      const where = placeOf(policy.path, macro);
      if (!KNOWN_MACROS.has(name) && !defined.has(name)) {
        findings.add({
          id: 'macro-unknown',
          severity: 'warning',
          where,
          problem: `the policy reads the macro ${macro.symbol}, which Postfix does not have: it is always nil`,
          mend: [
            inPolicy(
              `do without ${macro.symbol}, or say what it is: ${this.#postconf} -e 'milter_macro_defaults = ${name}=VALUE'`,
            ),
          ],
        });
        continue;
      }
      const parameter = MACRO_PARAMETERS[macro.stage];
      if (options.macros !== 'none' || parameter === undefined) continue;
      const sent = this.#config.value(parameter, service);
      if (sent.split(/[\s,]+/).some((one) => bare(one) === name)) continue;
      findings.add({
        id: 'macro-not-sent',
        severity: 'warning',
        where,
        problem: `the policy reads the macro ${macro.symbol}, which Postfix does not send (${parameter}), and --macros none asks for none`,
        mend: [this.#setMain(parameter, `${sent} ${macro.symbol}`.trim())],
      });
    }
  }
}

function escapedPattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

interface Setting {
  readonly value: string;
  readonly where: string;
  readonly to: (value: string) => Mend[];
}

/** `{name=value}` and `name=value` of milter_macro_defaults. */
function parseMacroNames(text: string): Set<string> {
  return new Set([...text.matchAll(/([\w{}]+)\s*=/g)].map(([, name = '']) => bare(name)));
}

/** A port of 127.0.0.1 that is none for users: where a content filter gives mail back. */
function isInternal({ name, type }: MasterService): boolean {
  const [, host = '', port = ''] = /^(.*):(\w+)$/.exec(name) ?? [];
  return type === 'inet' && /^(127\.|localhost$|\[?::1\]?$)/.test(host) && !PUBLIC_PORTS.has(port);
}

function specOf(address: BoundAddress): string {
  switch (address.kind) {
    case 'unix':
      return `unix:${address.path}`;
    case 'inet4':
      return `inet:${reachable(address.address)}:${address.port}`;
    case 'inet6':
      return `inet:[${reachable(address.address)}]:${address.port}`;
  }
}

function describe(address: BoundAddress): string {
  return address.kind === 'unix' ? address.path : specOf(address).slice('inet:'.length);
}

/** What an entry of smtpd_milters means; `right` where Sendmail's form was meant. */
export function postfixTarget(
  endpoint: string,
): Target | { readonly wrong: string; readonly right?: string } {
  const [, transport = '', rest = ''] = /^([^:]*):(.*)$/s.exec(endpoint) ?? [];
  if (transport === 'unix' || transport === 'local')
    return rest === '' ? { wrong: 'there is no path in it' } : { kind: 'unix', path: rest };
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]@]+)):(\d+)$/.exec(rest) ?? [];
  if (transport === 'inet' && port !== undefined)
    return { kind: 'inet', host: bracketed ?? plain ?? '', port: Number(port) };
  const right = translated(endpoint);
  return {
    wrong: 'it must be inet:HOST:PORT or unix:PATH',
    ...(right !== undefined && { right }),
  };
}

/** As Postfix writes what is in the form of Sendmail, or almost in that of Postfix. */
function translated(endpoint: string): string | undefined {
  for (const text of [endpoint, `inet:${endpoint}`, endpoint.replace(/^inet6:/, 'inet:')]) {
    try {
      const address = parseListenAddress(text);
      if (address.kind === 'unix') return `unix:${address.path}`;
      if (address.kind === 'handed') return undefined;
      const host = address.host ?? '127.0.0.1';
      return `inet:${host.includes(':') ? `[${host}]` : host}:${address.port}`;
    } catch (error) {
      if (!(error instanceof BadValue)) throw error;
    }
  }
  return undefined;
}
