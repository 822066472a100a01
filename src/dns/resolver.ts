/**
 * Tries at DNS servers, over Node's own resolver (c-ares): the only file that knows it. When which server is asked is
 * decided in question.ts. Names that c-ares does not send go out by packets of our own (direct-try.ts).
 *
 * What c-ares 1.34 does by itself is of no use here. After three answers of a server within a channel it waits for later
 * ones for five times their average only, at least 250 ms (ares_metrics.c): it takes a server that is fast for one that
 * is never slow. It takes no late answer to an earlier try, and asks no other server after SERVFAIL (Node sets
 * ARES_FLAG_NOCHECKRESP). So each try is one question to one server here, and a channel gets so few questions that it
 * does not adapt. Truncated answers are asked for again over TCP by c-ares.
 *
 * /etc/hosts and search domains play no part. A NOERROR answer without records counts as firm, whoever gives it; c-ares
 * does not tell response codes above 5 (RFC 2136's) from it, which no server gives to a query.
 */
import { Resolver as Cares } from 'node:dns/promises';
import { type Failure, known, unknown } from '../asking/answer.ts';
import { tryDirectly } from './direct-try.ts';
import { isPlain } from './name.ts';
import { type Fresh, Question, type Try } from './question.ts';
import { exchangers, NO_RECORDS, type Records, type RecordType, subject } from './records.ts';

export interface ResolverSettings {
  /** `ADDRESS:PORT`; empty for the servers of /etc/resolv.conf. */
  readonly servers: readonly string[];
  /** Time after which a question is given up, all tries included. */
  readonly timeoutMs: number;
}

/**
 * Questions of a channel. It has a socket for them, which c-ares closes when all are answered: so the port changes with
 * each, which is harder to guess for who would forge answers.
 */
const QUESTIONS = 3;
/**
 * When so many sockets are open, each gets more questions: descriptors are bounded, and answers to so many fit into the
 * buffer of one socket (some 250 in 208 KiB).
 */
const MANY_SOCKETS = 500;
const QUESTIONS_OF_MANY = 32;

/** How long a try is listened to at least, in milliseconds, unless its question ends before. */
const TRY_MS = 5000;

/** Age at which /etc/resolv.conf is read again. */
const SERVERS_AGE_MS = 10_000;

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
  /** All that it was ever given. */
  questions: number;
  /** Questions whose answer is still wanted. */
  wanted: number;
}

export class Resolver {
  readonly timeoutMs: number;
  readonly #configured: readonly string[];
  #servers: readonly string[] = [];
  #serversRead = Number.NEGATIVE_INFINITY;
  /** The last one of each server. */
  readonly #channels = new Map<string, Channel>();
  /** Channels with a question whose answer is wanted: those that have a socket. */
  #busy = 0;

  constructor(settings: ResolverSettings) {
    this.timeoutMs = settings.timeoutMs;
    this.#configured = settings.servers;
  }

  /** A question that asks nobody before somebody waits for it. */
  question<Type extends RecordType>(type: Type, name: string): Question<Records[Type]> {
    return new Question(
      this.#serversNow(),
      this.timeoutMs,
      (server, again) =>
        isPlain(name) ? this.#try(this.#channel(server, again), type, name) : tryDirectly(server, type, name),
      subject(type, name),
    );
  }

  #try<Type extends RecordType>(channel: Channel, type: Type, name: string): Try<Records[Type]> {
    channel.questions += 1;
    channel.wanted += 1;
    if (channel.wanted === 1) this.#busy += 1;
    let wanted = true;
    const abandon = (): void => {
      if (!wanted) return;
      wanted = false;
      channel.wanted -= 1;
      if (channel.wanted > 0) return;
      this.#busy -= 1;
      channel.cares.cancel(); // Closes its socket.
    };
    return { answer: answerOf(channel.cares, type, name).finally(abandon), abandon };
  }

  /** A name that is asked for `again` gets a new socket: what kept an answer from coming may lie with the old one. */
  #channel(server: string, again: boolean): Channel {
    const many = this.#busy >= MANY_SOCKETS;
    const last = this.#channels.get(server);
    if (last !== undefined && last.questions < (many ? QUESTIONS_OF_MANY : QUESTIONS) && (many || !again)) {
      return last;
    }
    // A question lasts longer than its time where somebody joins it late. Node.js 20 does not know maxTimeout: there
    // c-ares gives a try up after 5 s.
    const timeout = Math.max(TRY_MS, this.timeoutMs);
    const settings = { timeout, tries: 1, maxTimeout: timeout };
    const cares = new Cares(settings);
    cares.setServers([server]);
    const channel = { cares, questions: 0, wanted: 0 };
    this.#channels.set(server, channel);
    return channel;
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

async function answerOf<Type extends RecordType>(
  cares: Cares,
  type: Type,
  name: string,
): Promise<Fresh<Records[Type]>> {
  try {
    return await READERS[type](cares, name);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (FIRM.has(code)) return known(NO_RECORDS[type]);
    return unknown(FAILURES[code] ?? 'unavailable', subject(type, name));
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
  const ttl = records.reduce((least, record) => Math.min(least, record.ttl), Number.POSITIVE_INFINITY);
  return { ...known(records.map(({ address }) => address)), ttl };
}
