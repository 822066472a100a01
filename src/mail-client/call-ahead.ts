/**
 * Call-ahead as policies ask it: one probe at a time for an address, a few at a time at a host, answers kept in the store.
 */
import { hostname } from 'node:os';
import { type Answer, known, type Patience, unknown } from '../asking/answer.ts';
import { Breaker, type BreakerNews } from '../asking/breaker.ts';
import { Gate } from '../asking/gate.ts';
import { within } from '../asking/within.ts';
import type { RecordSource } from '../dns/records.ts';
import { get, set } from '../store/kv.ts';
import type { Store } from '../store/store.ts';
import { OwnAddresses, type OwnNetwork, type OwnPlace } from './own-addresses.ts';
import { type ProbeRequest, probe, type Verdict } from './probe.ts';

export interface CallAheadRequest {
  /** Names or addresses, or `mx:DOMAIN`; asked in this order until one knows. */
  readonly hosts: readonly string[];
  readonly rcpt: string;
  readonly from: string;
  /** Undefined: the name of this machine. */
  readonly helo: string | undefined;
  readonly port: number;
  readonly asksRandom: boolean;
  /** How long a yes and a no are kept, in milliseconds; 0: not at all. */
  readonly yesMs: number;
  readonly noMs: number;
}

/** True: the recipient is taken; else the reply that refuses it, latin1. */
export type Taken = true | { readonly reply: string };

/** The port by which policies ask other mail servers about recipients. */
export interface CallAhead {
  /** Never rejects. */
  callahead(request: CallAheadRequest, patience: Patience): Promise<Answer<Taken>>;
}

const AT_A_TIME = 4;
/** How long it is remembered that something could not be found out, and of how many addresses. */
const ERROR_MS = 30_000;
const MAX_ERRORS = 10_000;
const MAX_HOSTS = 1000;
const STORE_MS = 1000;
/** Not a name that a policy can give a space of its own. */
const SPACE = ' callahead';
const YES = 'yes';
const NO = 'no ';

interface Host {
  readonly breaker: Breaker;
  readonly gate: Gate;
}

export class CachedCallAhead implements CallAhead {
  readonly #store: Store;
  readonly #records: RecordSource;
  readonly #own: OwnAddresses;
  readonly #tell: (news: BreakerNews) => void;
  readonly #hosts = new Map<string, Host>();
  readonly #underWay = new Map<string, Promise<Answer<Taken>>>();
  readonly #errors = new Map<string, { readonly until: number; readonly answer: Answer<Taken> }>();

  /** @param own addresses that are never asked: this server @param listening where it listens, which is not asked either */
  constructor(
    store: Store,
    records: RecordSource,
    own: readonly OwnNetwork[],
    tell: (news: BreakerNews) => void,
    listening?: () => readonly OwnPlace[],
  ) {
    this.#store = store;
    this.#records = records;
    this.#tell = tell;
    this.#own = new OwnAddresses(own, listening);
  }

  async callahead(request: CallAheadRequest, patience: Patience): Promise<Answer<Taken>> {
    const { hosts, port, from, rcpt, asksRandom } = request;
    const key = [hosts.join(','), port, from, rcpt, asksRandom].join('\0');
    const error = this.#errors.get(key);
    if (error !== undefined && error.until > performance.now()) return error.answer;
    let asking = this.#underWay.get(key);
    if (asking === undefined) {
      // It goes on for those who come later, whoever leaves.
      asking = this.#ask(key, request, patience.timeoutMs).finally(() => this.#underWay.delete(key));
      this.#underWay.set(key, asking);
    }
    return within(patience, 'call-ahead', asking);
  }

  async #ask(key: string, request: CallAheadRequest, timeoutMs: number): Promise<Answer<Taken>> {
    const patience = { timeoutMs, cancelled: new AbortController().signal };
    const end = performance.now() + timeoutMs;
    const place = { space: SPACE, key: Buffer.from(key, 'latin1') };
    const kept = await this.#store.run(get(place), { ...patience, timeoutMs: Math.min(STORE_MS, timeoutMs) });
    const before = kept.kind === 'known' ? takenOf(kept.value) : undefined;
    if (before !== undefined) return known(before);
    const answer = await this.#askHosts(request, end, patience.cancelled);
    if (answer.kind === 'unknown') {
      this.#remember(key, answer);
      return answer;
    }
    const isYes = answer.value === true;
    const ttlMs = isYes ? request.yesMs : request.noMs;
    if (ttlMs > 0) {
      const text = answer.value === true ? YES : `${NO}${answer.value.reply}`;
      void this.#store.run(set(place, Buffer.from(text, 'latin1'), ttlMs), {
        ...patience,
        timeoutMs: STORE_MS,
      });
    }
    return answer;
  }

  async #askHosts(request: CallAheadRequest, end: number, cancelled: AbortSignal): Promise<Answer<Taken>> {
    const left = (): Patience => ({ timeoutMs: Math.max(1, Math.ceil(end - performance.now())), cancelled });
    let last: Answer<Taken> = unknown('unavailable', 'call-ahead: no host');
    for (const named of request.hosts) {
      const hosts = await this.#hostsOf(named, left());
      if (hosts.kind === 'unknown') {
        last = hosts;
        continue;
      }
      for (const host of hosts.value) {
        const answer = await this.#askHost({ ...request, host, helo: request.helo ?? hostname() }, left());
        if (answer.kind === 'known' || performance.now() >= end) return answer;
        last = answer;
      }
    }
    return last;
  }

  /** @returns an empty list for no domain of mail */
  async #hostsOf(named: string, patience: Patience): Promise<Answer<readonly string[]>> {
    const domain = /^mx:(.+)$/i.exec(named)?.[1]?.toLowerCase();
    if (domain === undefined) return known([named]);
    const found = this.#records.recall('MX', domain) ?? (await this.#records.query('MX', domain, patience));
    if (found.kind === 'unknown') return found;
    const hosts = found.value.map(({ host }) => host);
    if (hosts.length === 0) return known([domain]);
    if (hosts.includes('.')) return unknown('refused', `call-ahead: ${domain} takes no mail`);
    return known(hosts);
  }

  async #askHost(request: ProbeRequest, patience: Patience): Promise<Answer<Taken>> {
    const { host, port } = request;
    if (this.#own.has(host, port)) return unknown('refused', `call-ahead to ${host}: that is this server`);
    const { breaker, gate } = this.#hostAt(`${host}:${port}`);
    const answer = await gate.ask(patience, (left) =>
      breaker.ask(() => probe(request, this.#own.lookup(port), left), left.cancelled),
    );
    return answer.kind === 'unknown' ? answer : verdictOf(answer.value, `call-ahead to ${host}:${port}`);
  }

  #hostAt(name: string): Host {
    let host = this.#hosts.get(name);
    if (host === undefined) {
      const oldest = this.#hosts.size >= MAX_HOSTS ? this.#hosts.keys().next().value : undefined;
      if (oldest !== undefined) this.#hosts.delete(oldest);
      const subject = `mail server ${name}`;
      host = { breaker: new Breaker(subject, this.#tell), gate: new Gate(subject, AT_A_TIME) };
      this.#hosts.set(name, host);
    }
    return host;
  }

  #remember(key: string, answer: Answer<Taken>): void {
    const oldest = this.#errors.size >= MAX_ERRORS ? this.#errors.keys().next().value : undefined;
    if (oldest !== undefined) this.#errors.delete(oldest);
    this.#errors.delete(key);
    this.#errors.set(key, { until: performance.now() + ERROR_MS, answer });
  }
}

/** Where nobody is to be asked. */
export class NoCallAhead implements CallAhead {
  readonly #answer: Answer<never>;

  /** @param why what is said: `is asked with --live only` */
  constructor(why: string) {
    this.#answer = unknown('unavailable', `mail server ${why}`);
  }

  async callahead(): Promise<Answer<never>> {
    return this.#answer;
  }
}

function verdictOf(verdict: Verdict, subject: string): Answer<Taken> {
  switch (verdict.kind) {
    case 'yes':
      return known(true as const);
    case 'no':
      return known({ reply: verdict.reply });
    case 'unsure':
      return verdict.reply === 'accepts everyone'
        ? unknown('refused', 'accepts everyone')
        : unknown('refused', `${subject}: ${verdict.reply}`);
  }
}

/** What was kept in the store; undefined for what is not ours. */
function takenOf(value: unknown): Taken | undefined {
  const text = value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : undefined;
  if (text === YES) return true;
  return text?.startsWith(NO) ? { reply: text.slice(NO.length) } : undefined;
}
