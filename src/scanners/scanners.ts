/** The scanners as policies ask them: each server behind a gate and a breaker of its own. */
import { type FileHandle, open } from 'node:fs/promises';
import { type Answer, type Patience, unknown } from '../asking/answer.ts';
import { Breaker, type BreakerNews } from '../asking/breaker.ts';
import { Gate } from '../asking/gate.ts';
import { askClamd } from './clamd.ts';
import { type Content, type ScannerAddress, writtenAddress } from './conversation.ts';
import {
  askRspamd,
  type RspamdEnvelope,
  type RspamdPlace,
  type RspamdResult,
  writtenPlace,
} from './rspamd.ts';
import { askSpamd, type SpamdResult } from './spamd.ts';

/** A message in a file, and how much of one is sent. */
export interface ScanRequest {
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  /** A message with more bytes is not sent: `limit`. */
  readonly most: number;
}

export interface ClamdRequest extends ScanRequest {
  /** Instead of the server that the operator has named. */
  readonly server: ScannerAddress | undefined;
}

export interface SpamdRequest extends ScanRequest {
  readonly server: ScannerAddress | undefined;
  /** Whose settings count; printable ASCII. */
  readonly user: string | undefined;
}

export interface RspamdRequest extends ScanRequest {
  readonly server: RspamdPlace | undefined;
  readonly password: string | undefined;
  readonly envelope: RspamdEnvelope;
}

/** The port by which policies have messages scanned. No method ever rejects. */
export interface Scanners {
  /** The name of what was found, in latin1; false: nothing. */
  clamd(request: ClamdRequest, patience: Patience): Promise<Answer<string | false>>;
  spamd(request: SpamdRequest, patience: Patience): Promise<Answer<SpamdResult>>;
  rspamd(request: RspamdRequest, patience: Patience): Promise<Answer<RspamdResult>>;
}

/** What the operator has named. */
export interface ScannerPlaces {
  readonly clamd: ScannerAddress | undefined;
  readonly spamd: ScannerAddress | undefined;
  readonly rspamd: RspamdPlace | undefined;
}

/** Messages that one server is asked about at a time. */
const AT_A_TIME = 20;
/** Servers whose state is kept: a script may name any. */
const MAX_SERVERS = 100;
/** Bytes that are read from a message's file at once. */
const PIECE = 64 * 1024;

interface Server {
  readonly breaker: Breaker;
  readonly gate: Gate;
}

export class GuardedScanners implements Scanners {
  readonly #places: ScannerPlaces;
  readonly #tell: (news: BreakerNews) => void;
  readonly #servers = new Map<string, Server>();

  constructor(places: ScannerPlaces, tell: (news: BreakerNews) => void) {
    this.#places = places;
    this.#tell = tell;
  }

  async clamd(request: ClamdRequest, patience: Patience): Promise<Answer<string | false>> {
    const server = request.server ?? this.#places.clamd;
    if (server === undefined) return unknown('unavailable', 'no --clamd');
    return this.#scan(`clamd at ${writtenAddress(server)}`, request, patience, (content, left) =>
      askClamd(server, content, left),
    );
  }

  async spamd(request: SpamdRequest, patience: Patience): Promise<Answer<SpamdResult>> {
    const server = request.server ?? this.#places.spamd;
    if (server === undefined) return unknown('unavailable', 'no --spamd');
    return this.#scan(`spamd at ${writtenAddress(server)}`, request, patience, (content, left) =>
      askSpamd(server, content, request.user, left),
    );
  }

  async rspamd(request: RspamdRequest, patience: Patience): Promise<Answer<RspamdResult>> {
    const server = request.server ?? this.#places.rspamd;
    if (server === undefined) return unknown('unavailable', 'no --rspamd');
    const { password, envelope } = request;
    return this.#scan(`rspamd at ${writtenPlace(server)}`, request, patience, (content, left) =>
      askRspamd(server, password, content, envelope, left),
    );
  }

  /** Whoever waits for its turn says nothing of the server: the gate stands before the breaker. */
  async #scan<Value>(
    subject: string,
    { path, size, most }: ScanRequest,
    patience: Patience,
    ask: (content: Content, patience: Patience) => Promise<Answer<Value>>,
  ): Promise<Answer<Value>> {
    if (size > most) return unknown('limit', `message of ${size} bytes, at most ${most} are sent`);
    const { breaker, gate } = this.#serverOf(subject);
    return gate.ask(patience, async (left) => {
      let file: FileHandle;
      try {
        file = await open(path);
      } catch (error) {
        return unknown('unavailable', `message file: ${codeOf(error)}`);
      }
      try {
        return await breaker.ask(() => ask(contentOf(file, size), left), patience.cancelled);
      } finally {
        await file.close().catch(() => {});
      }
    });
  }

  #serverOf(subject: string): Server {
    let server = this.#servers.get(subject);
    if (server === undefined) {
      const oldest = this.#servers.size >= MAX_SERVERS ? this.#servers.keys().next().value : undefined;
      if (oldest !== undefined) this.#servers.delete(oldest);
      server = { breaker: new Breaker(subject, this.#tell), gate: new Gate(subject, AT_A_TIME) };
      this.#servers.set(subject, server);
    }
    return server;
  }
}

/** Where nobody is to be asked. */
export class NoScanners implements Scanners {
  readonly #answer: Answer<never>;

  /** @param why what is said: `is asked with --live only` */
  constructor(why: string) {
    this.#answer = unknown('unavailable', `scanner ${why}`);
  }

  async clamd(): Promise<Answer<never>> {
    return this.#answer;
  }

  async spamd(): Promise<Answer<never>> {
    return this.#answer;
  }

  async rspamd(): Promise<Answer<never>> {
    return this.#answer;
  }
}

function contentOf(file: FileHandle, size: number): Content {
  return {
    size,
    async *pieces() {
      for (let at = 0; at < size; ) {
        const bytes = Buffer.allocUnsafe(Math.min(PIECE, size - at));
        const { bytesRead } = await file.read(bytes, 0, bytes.length, at);
        if (bytesRead === 0) throw new Error('the message file is shorter than the message');
        yield bytes.subarray(0, bytesRead);
        at += bytesRead;
      }
    },
  };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
