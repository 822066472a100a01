/** Live sight of sessions: which of them an observer wants, and what of them is told. Plain data; texts are latin1. */

import { BlockList, isIP } from 'node:net';
import { addressOf, verifiedNameOf } from '../milter/connect.ts';
import type { PolicyEvent, Verdict } from '../milter/policy.ts';
import type { OnError } from '../policy/policy-settings.ts';
import { BadValue } from '../text/bad-value.ts';
import { bounded, type Decision } from './decision.ts';

/** What sessions are shown; all of those given must fit. */
export interface TraceFilter {
  /** An address or a network: `192.0.2.7`, `2001:db8::/32`. */
  readonly ip?: string;
  /** An address, or a domain with or without `@`; `<>` is the null sender. */
  readonly from?: string;
  readonly rcpt?: string;
}

export interface CallTrace {
  readonly kind: 'call';
  readonly time: number;
  readonly session: string;
  readonly transaction?: string;
  readonly queueId?: string;
  readonly callback: string;
  readonly args: readonly string[];
  /** `continue`, `550 5.1.1 no`, ... */
  readonly result: string;
  readonly where?: string;
  readonly cpuMilliseconds: number;
  readonly wallMilliseconds: number;
  /** What was wrong, where the callback failed: `result` is the action of `--on-error` then. */
  readonly failure?: string;
  readonly onError?: OnError;
}

export type TraceRecord = CallTrace | ({ readonly kind: 'decision' } & Decision);

/** As much of a session as a filter asks for. */
export interface TraceSubject {
  readonly ip: string;
  readonly sender: string | undefined;
  readonly recipientAddresses: readonly string[];
}

/** What is kept of sessions that may still come to fit: a recipient is known only after several callbacks. */
const MAX_WAITING_SESSIONS = 1000;
const MAX_WAITING_RECORDS = 100;

export class TraceTap {
  readonly #filter: TraceFilter;
  readonly #deliver: (record: TraceRecord) => void;
  readonly #ips: BlockList | undefined;
  readonly #fitting = new WeakSet<TraceSubject>();
  readonly #waiting = new Map<TraceSubject, TraceRecord[]>();

  constructor(filter: TraceFilter, deliver: (record: TraceRecord) => void) {
    this.#filter = filter;
    this.#deliver = deliver;
    this.#ips = filter.ip === undefined ? undefined : networkOf(filter.ip);
  }

  take(subject: TraceSubject, record: TraceRecord): void {
    if (this.#fitting.has(subject)) {
      this.#deliver(record);
    } else if (this.#fits(subject)) {
      this.#fitting.add(subject);
      const waiting = this.#waiting.get(subject) ?? [];
      this.#waiting.delete(subject);
      for (const earlier of waiting) this.#deliver(earlier);
      this.#deliver(record);
    } else {
      this.#keep(subject, record);
    }
  }

  /** The session has ended. */
  forget(subject: TraceSubject): void {
    this.#waiting.delete(subject);
  }

  #keep(subject: TraceSubject, record: TraceRecord): void {
    const waiting = this.#waiting.get(subject);
    if (waiting === undefined) {
      if (this.#waiting.size < MAX_WAITING_SESSIONS) this.#waiting.set(subject, [record]);
    } else if (waiting.length < MAX_WAITING_RECORDS) {
      waiting.push(record);
    }
  }

  #fits({ ip, sender, recipientAddresses }: TraceSubject): boolean {
    const { from, rcpt } = this.#filter;
    if (this.#ips !== undefined && !isIn(this.#ips, ip)) return false;
    if (from !== undefined && (sender === undefined || !isAddress(from, sender))) return false;
    return rcpt === undefined || recipientAddresses.some((address) => isAddress(rcpt, address));
  }
}

/** @throws BadValue when the text is neither an address nor a network. */
export function networkOf(text: string): BlockList {
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  const most = version === 4 ? 32 : 128;
  const length = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  if (version === 0 || !(length <= most) || rest.length > 0) {
    throw new BadValue('must be an IP address or a network: 192.0.2.7, 2001:db8::/32');
  }
  const list = new BlockList();
  list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
  return list;
}

function isIn(list: BlockList, ip: string): boolean {
  const version = isIP(ip);
  return version !== 0 && list.check(ip, version === 4 ? 'ipv4' : 'ipv6');
}

/** Whether an address is the one wanted, or of the domain wanted. Case does not count. */
export function isAddress(wanted: string, address: string): boolean {
  const plain = wanted.replace(/^<(.*)>$/, '$1').toLowerCase();
  const found = address.toLowerCase();
  if (plain === found) return true;
  const domain = plain.replace(/^@/, '');
  return domain !== '' && !domain.includes('@') && found.endsWith(`@${domain}`);
}

/** The arguments a callback was given, as a person reads them. */
export function argumentsOf(event: PolicyEvent): string[] {
  switch (event.kind) {
    case 'connect': {
      const { client, hostname } = event;
      const ip = addressOf(client);
      return [ip, verifiedNameOf(hostname)].map(quoted);
    }
    case 'helo':
      return [quoted(event.name)];
    case 'mail':
    case 'rcpt':
      return [quoted(event.address), `{${event.params.map(quoted).join(', ')}}`];
    case 'headers':
      return [`{${event.lines.length} headers}`];
    case 'chunk':
      return [`${event.bytes.length} bytes`];
    case 'unknown':
      return [quoted(event.line)];
    case 'data':
    case 'endOfMessage':
    case 'reset':
    case 'close':
      return [];
    default:
      return event satisfies never;
  }
}

function quoted(text: string): string {
  return JSON.stringify(bounded(text, 200));
}

export function resultOf(verdict: Verdict): string {
  if (verdict.kind !== 'reply') return verdict.kind;
  const { code, enhanced, lines } = verdict;
  return bounded([code, ...(enhanced === undefined ? [] : [enhanced]), lines.join(' / ')].join(' '));
}
