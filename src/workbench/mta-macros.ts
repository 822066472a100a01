/**
 * The macros that Postfix and Sendmail send with each command, and what is in them.
 *
 * Default lists: sendmail/cf/m4/cfhead.m4, Postfix src/global/mail_params.h. A list that the filter asks for takes the
 * place of a stage's default; macros without value are left out. Values as seen from Postfix 3.7 and Sendmail 8.17.
 */
import { isIPv6 } from 'node:net';
import { mailboxOf } from '../milter/envelope-address.ts';
import type { SymbolList } from '../milter/reply.ts';
import type { MtaKind } from './client-reply.ts';
import { understoodBy } from './mta-addresses.ts';

export type MacroStage = SymbolList['stage'];

/** The client as far as macros tell of it. */
export interface MacroClient {
  readonly ip: string;
  readonly ptr: string;
  readonly port: number;
  /** Macros that count before those of the MTA, by name with or without braces. */
  readonly macros: ReadonlyMap<string, string>;
}

/** What is known at a moment of the session; undefined for what has not come. Addresses are as the client wrote them. */
export interface MacroFacts {
  readonly helo: string | undefined;
  readonly tls: string | undefined;
  readonly auth: { readonly user: string; readonly mech: string } | undefined;
  readonly queueId: string | undefined;
  readonly sender: string | undefined;
  readonly recipient: string | undefined;
  readonly recipientCount: number;
  readonly messageId: string | undefined;
}

const TLS = ['{tls_version}', '{cipher}', '{cipher_bits}', '{cert_subject}', '{cert_issuer}'];

const DEFAULT_LISTS: Readonly<Record<MtaKind, Readonly<Record<MacroStage, readonly string[]>>>> = {
  postfix: {
    connect: ['j', '{daemon_name}', '{daemon_addr}', 'v', '_'],
    helo: TLS,
    mail: [
      'i',
      '{auth_type}',
      '{auth_authen}',
      '{auth_author}',
      '{mail_addr}',
      '{mail_host}',
      '{mail_mailer}',
    ],
    rcpt: ['i', '{rcpt_addr}', '{rcpt_host}', '{rcpt_mailer}'],
    data: ['i'],
    endOfHeaders: ['i'],
    endOfMessage: ['i'],
  },
  sendmail: {
    connect: ['j', '_', '{daemon_name}', '{if_name}', '{if_addr}'],
    helo: TLS,
    mail: [
      'i',
      '{auth_type}',
      '{auth_authen}',
      '{auth_ssf}',
      '{auth_author}',
      '{mail_mailer}',
      '{mail_host}',
      '{mail_addr}',
    ],
    rcpt: ['{rcpt_mailer}', '{rcpt_host}', '{rcpt_addr}'],
    data: [],
    endOfHeaders: [],
    endOfMessage: ['{msg_id}'],
  },
};

const HOST = 'mx.example';

export class MtaMacros {
  readonly #kind: MtaKind;
  readonly #client: MacroClient;
  readonly #given: ReadonlyMap<string, string>;
  #asked: ReadonlyMap<MacroStage, readonly string[]> = new Map();

  constructor(kind: MtaKind, client: MacroClient) {
    this.#kind = kind;
    this.#client = client;
    this.#given = new Map([...client.macros].map(([name, value]) => [bare(name), value]));
  }

  /** Name of the MTA's host, macro `j`. */
  get host(): string {
    return this.#given.get('j') ?? HOST;
  }

  /** Takes the lists that the filter has asked for. */
  ask(lists: readonly SymbolList[]): void {
    this.#asked = new Map(lists.map(({ stage, names }) => [stage, names]));
  }

  /** Name, value, name, value ... for a stage. */
  pairs(stage: MacroStage, facts: MacroFacts): string[] {
    const names = [...this.#list(stage)];
    if (stage === 'connect') names.push(...this.#unlisted());
    return names.flatMap((name) => {
      const value = this.#given.get(bare(name)) ?? this.#value(bare(name), facts);
      return value === undefined ? [] : [name, value];
    });
  }

  #list(stage: MacroStage): readonly string[] {
    return this.#asked.get(stage) ?? DEFAULT_LISTS[this.#kind][stage];
  }

  /** Given macros that no list has: they are there from the beginning. */
  #unlisted(): string[] {
    const stages: readonly MacroStage[] = [
      'connect',
      'helo',
      'mail',
      'rcpt',
      'data',
      'endOfHeaders',
      'endOfMessage',
    ];
    const listed = new Set(stages.flatMap((stage) => this.#list(stage).map(bare)));
    return [...this.#given.keys()]
      .filter((name) => !listed.has(name))
      .map((name) => (name.length === 1 ? name : `{${name}}`));
  }

  #value(name: string, facts: MacroFacts): string | undefined {
    const postfix = this.#kind === 'postfix';
    switch (name) {
      case 'j':
        return this.host;
      case 'v':
        return postfix ? 'Postfix 3.7.11' : '8.17.1.9';
      case '_':
        return clientText(this.#kind, this.#client, 'unknown');
      case 'client_addr':
        return addressText(this.#kind, this.#client.ip);
      case 'client_name':
      case 'client_ptr':
        return this.#client.ptr || (postfix ? 'unknown' : `[${addressText(this.#kind, this.#client.ip)}]`);
      case 'client_port':
        return String(this.#client.port);
      case 'client_resolve':
        return this.#client.ptr === '' ? 'FAIL' : 'OK';
      case 'client_connections':
        return postfix ? '0' : '1';
      case 'daemon_name':
        return postfix ? this.host : 'MTA';
      case 'daemon_addr':
        return addressText(this.#kind, ownAddress(this.#client.ip));
      case 'daemon_port':
        return '25';
      case 'if_name':
        return postfix ? undefined : this.#interfaceName();
      case 'if_addr':
        return postfix || isLoopback(this.#client.ip)
          ? undefined
          : addressText('sendmail', ownAddress(this.#client.ip));
      case 'i':
        return facts.queueId;
      case 'tls_version':
        return facts.tls;
      case 'cipher':
        return facts.tls === undefined ? undefined : 'TLS_AES_256_GCM_SHA384';
      case 'cipher_bits':
        return facts.tls === undefined ? undefined : '256';
      case 'verify':
        return postfix ? undefined : facts.tls === undefined ? 'NONE' : 'NO';
      case 'auth_type':
        return facts.auth?.mech;
      case 'auth_authen':
        return facts.auth?.user;
      case 'mail_addr':
        return this.#understood(facts.sender, false);
      case 'mail_mailer':
        return mailerOf(this.#kind, this.#understood(facts.sender, false));
      case 'mail_host':
        return hostOf(this.#understood(facts.sender, false));
      case 'rcpt_addr':
        return this.#understood(facts.recipient, true);
      case 'rcpt_mailer':
        return mailerOf(this.#kind, this.#understood(facts.recipient, true));
      case 'rcpt_host':
        return hostOf(this.#understood(facts.recipient, true));
      case 'msg_id':
        return postfix ? undefined : facts.messageId;
      case 'nrcpts':
        return postfix ? undefined : String(facts.recipientCount);
      case 'f':
        return postfix ? undefined : facts.sender && mailboxOf(facts.sender);
      case 's':
        return postfix ? undefined : facts.helo;
      case 'r':
        return postfix ? undefined : 'ESMTP';
      default:
        return undefined;
    }
  }

  #interfaceName(): string {
    if (!isLoopback(this.#client.ip)) return this.host;
    return this.#client.ip.includes(':') ? `[${addressText('sendmail', this.#client.ip)}]` : 'localhost';
  }

  #understood(path: string | undefined, toOwnDomain: boolean): string | undefined {
    return path === undefined ? undefined : understoodBy(this.#kind, path, this.host, toOwnDomain);
  }
}

/** The client as a greeting or macro `_` shows it. `nameless`: what Postfix writes where there is no name. */
export function clientText(
  kind: MtaKind,
  { ip, ptr }: { readonly ip: string; readonly ptr: string },
  nameless = '',
): string {
  const name = ptr === '' && kind === 'postfix' ? nameless : ptr;
  const address = `[${addressText(kind, ip)}]`;
  return name === '' ? address : `${name} ${address}`;
}

/** Sendmail writes an IPv6 address with a prefix and all its groups. */
export function addressText(kind: MtaKind, ip: string): string {
  return kind === 'sendmail' && isIPv6(ip) ? `IPv6:${allGroups(ip)}` : ip;
}

export function isLoopback(ip: string): boolean {
  return /^127\.|^::1$|^::ffff:127\./i.test(ip);
}

function allGroups(ip: string): string {
  const [head = [], tail = []] = ip
    .replace(/%.*/, '')
    .split('::')
    .map((half) => half.split(':').filter((group) => group !== ''));
  const missing = ip.includes('::')
    ? Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0')
    : [];
  return [...head, ...missing, ...tail].map((group) => group.replace(/^0+(?=.)/, '')).join(':');
}

/** Where the MTA has taken the connection: documentation addresses, unless it came over loopback. */
function ownAddress(ip: string): string {
  if (isLoopback(ip)) return ip;
  return ip.includes(':') ? '2001:db8::25' : '192.0.2.25';
}

function mailerOf(kind: MtaKind, address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  if (address === '') return kind === 'postfix' ? 'smtp' : 'local';
  return kind === 'postfix' ? 'smtp' : 'esmtp';
}

function hostOf(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  const at = address.lastIndexOf('@');
  return at < 0 ? '' : address.slice(at + 1);
}

function bare(name: string): string {
  return name.startsWith('{') && name.endsWith('}') ? name.slice(1, -1) : name;
}
