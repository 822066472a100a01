/**
 * Questions to DNS servers, over Node's own resolver (c-ares): the only file that knows it.
 *
 * c-ares would try again by itself, but then takes no late answer to an earlier try and asks no other server after
 * SERVFAIL (Node sets ARES_FLAG_NOCHECKRESP). So each try is one question to one server here: the next server is asked
 * when one fails, and when one is slow both are waited for. Truncated answers are asked for again over TCP by c-ares.
 *
 * /etc/hosts and search domains play no part. A NOERROR answer without records counts as firm, whoever gives it; c-ares
 * does not tell response codes above 5 (RFC 2136's) from it, which no server gives to a query.
 */
import { Resolver as Cares } from 'node:dns/promises';
import {
  type Answer,
  type Failure,
  known,
  NO_RECORDS,
  type Records,
  type RecordType,
  subject,
  unknown,
} from './records.ts';

/** An answer as it came, with the seconds it may be kept, where c-ares tells. */
export type Fresh<Value> = Answer<Value> & { readonly ttl?: number };

export interface ResolverSettings {
  /** `ADDRESS:PORT`; empty for the servers of /etc/resolv.conf. */
  readonly servers: readonly string[];
  /** Time after which a question is given up, all tries included. */
  readonly timeoutMs: number;
}

/**
 * Questions over one socket: a port that changes is harder to guess for who would forge answers, and the answers to many
 * questions at once do not fit into one socket's buffer (some 250 in 208 KiB).
 */
const QUESTIONS_PER_SOCKET = 32;

/** Age at which /etc/resolv.conf is read again. */
const SERVERS_AGE_MS = 10_000;

/** All servers are asked, and the first of them once more; but no more often than this. */
const MAX_TRIES = 4;

/** Codes of node:dns. */
const FIRM = new Set(['ENODATA', 'ENOTFOUND']);
const FAILURES: Readonly<Record<string, Failure>> = {
  ESERVFAIL: 'servfail',
  EREFUSED: 'refused',
  ENOTIMP: 'refused',
  ETIMEOUT: 'timeout',
  ECONNREFUSED: 'unavailable',
  EFORMERR: 'protocol',
  EBADRESP: 'protocol',
  EBADNAME: 'protocol',
  EBADQUERY: 'protocol',
};

interface Channel {
  readonly cares: Cares;
  questions: number;
}

export class Resolver {
  readonly timeoutMs: number;
  readonly #configured: readonly string[];
  #servers: readonly string[] = [];
  #serversRead = Number.NEGATIVE_INFINITY;
  /** By server. */
  readonly #channels = new Map<string, Channel>();

  constructor(settings: ResolverSettings) {
    this.timeoutMs = settings.timeoutMs;
    this.#configured = settings.servers;
  }

  /** Asks until a server has answered or the time is over; never rejects. */
  ask<Type extends RecordType>(type: Type, name: string): Promise<Fresh<Records[Type]>> {
    const servers = this.#serversNow();
    const tries = Math.min(servers.length + 1, MAX_TRIES);
    return new Promise((resolve) => {
      let made = 0;
      let open = 0;
      let failed: Fresh<Records[Type]> | undefined;
      const end = (answer: Fresh<Records[Type]>): void => {
        clearTimeout(deadline);
        clearInterval(impatience);
        made = tries;
        resolve(answer);
      };
      const next = (): void => {
        const server = servers[made % servers.length];
        if (made >= tries || server === undefined) return;
        made += 1;
        open += 1;
        this.#ask(server, type, name).then((answer) => {
          open -= 1;
          if (answer.kind === 'known') return end(answer);
          // A server that did say something tells more than one that did not.
          if (failed === undefined || failed.kind === 'known' || failed.failure === 'timeout')
            failed = answer;
          if (made < servers.length) next(); // The same server would only say the same.
          if (open === 0) end(failed);
          return undefined;
        });
      };
      const deadline = setTimeout(
        () => end(failed ?? unknown('timeout', subject(type, name))),
        this.timeoutMs,
      );
      const impatience = setInterval(next, this.timeoutMs / (tries + 1));
      next();
    });
  }

  async #ask<Type extends RecordType>(
    server: string,
    type: Type,
    name: string,
  ): Promise<Fresh<Records[Type]>> {
    try {
      return await READERS[type](this.#channel(server), name);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      if (FIRM.has(code)) return known(NO_RECORDS[type]);
      return unknown(FAILURES[code] ?? 'unavailable', subject(type, name));
    }
  }

  #channel(server: string): Cares {
    let channel = this.#channels.get(server);
    if (channel === undefined || channel.questions >= QUESTIONS_PER_SOCKET) {
      const cares = new Cares({ timeout: this.timeoutMs, tries: 1 });
      cares.setServers([server]);
      channel = { cares, questions: 0 };
      this.#channels.set(server, channel);
    }
    channel.questions += 1;
    return channel.cares;
  }

  #serversNow(): readonly string[] {
    if (this.#configured.length > 0) return this.#configured;
    const now = performance.now();
    if (now - this.#serversRead >= SERVERS_AGE_MS) {
      this.#servers = new Cares().getServers(); // c-ares reads the file; without one it is 127.0.0.1.
      this.#serversRead = now;
      this.#channels.clear();
    }
    return this.#servers;
  }
}

type Readers = {
  readonly [Type in RecordType]: (cares: Cares, name: string) => Promise<Fresh<Records[Type]>>;
};

const READERS: Readers = {
  A: async (cares, name) => addresses(await cares.resolve4(name, { ttl: true })),
  AAAA: async (cares, name) => addresses(await cares.resolve6(name, { ttl: true })),
  MX: async (cares, name) => known(exchangers(await cares.resolveMx(name))),
  TXT: async (cares, name) => known((await cares.resolveTxt(name)).map((strings) => strings.join(''))),
  PTR: async (cares, name) => known(await cares.resolvePtr(name)),
  NS: async (cares, name) => known(await cares.resolveNs(name)),
};

function addresses(records: readonly { address: string; ttl: number }[]): Fresh<readonly string[]> {
  const ttl = Math.min(...records.map((record) => record.ttl));
  return { ...known(records.map(({ address }) => address)), ttl };
}

/** By preference, ties as they came. The null MX counts only where it stands alone (RFC 7505 section 3). */
function exchangers(records: readonly { exchange: string; priority: number }[]): Records['MX'] {
  const sorted = records
    .map(({ exchange, priority }) => ({ host: exchange === '' ? '.' : exchange, pref: priority }))
    .sort((one, other) => one.pref - other.pref);
  const real = sorted.filter(({ host }) => host !== '.');
  return real.length > 0 ? real : sorted.slice(0, 1);
}
