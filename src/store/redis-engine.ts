/**
 * Entries in Redis or Valkey, by @redis/client: the only file that knows it. Commands are those that both have.
 *
 * - The client does not end a command that was written: who calls it has a timer (store.ts). A connection on which a ping
 *   gets no answer is given up.
 * - While the server is away calls fail at once, and connecting is tried again and again by itself.
 * - What timed out may have happened, and is not repeated. A script that the server does not know has not run.
 */
import type { RedisClientType } from '@redis/client';
import { type Answer, known, unknown } from '../asking/answer.ts';
import { codeOf } from '../text/operator-error.ts';
import { type Engine, type Entry, type Operation, type Page, StoreFailure, type Usage } from './operation.ts';
import { scriptOf } from './redis-script.ts';
import { bytesOf, isOne } from './reply.ts';
import type { StoreAddress } from './store-address.ts';
import { FOREVER } from './stored.ts';

type RedisAddress = Extract<StoreAddress, { kind: 'redis' }>;
type Client = Pick<RedisClientType, 'sendCommand' | 'connect' | 'destroy' | 'isOpen' | 'isReady' | 'on'>;

const CONNECT_MS = 1000;
const PING_MS = 1000;
const LONGEST_PAUSE_MS = 2000;
const MEASURE_MS = 5000;
/** Commands that go out in one write: those of some thousands of sessions. */
const WRITE_BYTES = 1024 * 1024;
/** Keys that one SCAN looks at. */
const SCAN_COUNT = '200';

/** Words before an error of the server. */
const FAILURES: Readonly<Record<string, StoreFailure['failure']>> = {
  NOAUTH: 'refused',
  WRONGPASS: 'refused',
  NOPERM: 'refused',
  ERR: 'protocol',
  WRONGTYPE: 'protocol',
  OOM: 'limit',
};

export class RedisEngine implements Engine {
  readonly #make: () => Client;
  readonly #prefix: Buffer;
  #client: Client;
  #trouble: Error | undefined;
  #usage: Usage | undefined;
  #measured = Number.NEGATIVE_INFINITY;
  /** Settles when the first try to connect has come to something. */
  #tried: Promise<void> = Promise.resolve();

  private constructor(make: (onError: (error: Error) => void) => Client, prefix: string) {
    this.#make = () =>
      make((error) => {
        this.#trouble = error;
      });
    this.#prefix = Buffer.from(prefix);
    this.#client = this.#connect();
  }

  /** Does not wait for the server. @throws StoreFailure where the package is missing */
  static async open(address: RedisAddress, prefix: string): Promise<RedisEngine> {
    const redis = await import('@redis/client').catch(() => {
      throw new StoreFailure('unavailable', 'needs `npm install @redis/client@6`');
    });
    const { createClient, RESP_TYPES } = redis;
    const { where, tls, user, password, database } = address;
    const common = {
      connectTimeout: CONNECT_MS,
      writableHighWaterMark: WRITE_BYTES,
      reconnectStrategy: (retries: number) => Math.min(LONGEST_PAUSE_MS, 50 * 2 ** Math.min(retries, 10)),
    };
    const socket = 'path' in where ? { ...common, ...where, tls: false as const } : { ...common, ...where };
    return new RedisEngine((onError) => {
      const client = createClient({
        RESP: 2,
        socket: tls && 'host' in where ? { ...common, ...where, tls: true as const } : socket,
        disableOfflineQueue: true,
        database,
        ...(user === undefined ? {} : { username: user }),
        ...(password === undefined ? {} : { password }),
      }).on('error', onError);
      return client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }) as unknown as Client;
    }, prefix);
  }

  async run<Result>(operation: Operation<Result>): Promise<Answer<Result>> {
    const { keys, script, args } = operation;
    const { text, sha } = scriptOf(script);
    const rest = [String(keys.length), ...keys.map((key) => this.#own(key)), ...args];
    let reply: unknown;
    try {
      reply = await this.#send(['EVALSHA', sha, ...rest]);
    } catch (error) {
      if (!(error instanceof StoreFailure) || !error.message.startsWith('NOSCRIPT')) throw error;
      reply = await this.#send(['EVAL', text, ...rest]);
    }
    return operation.read(reply);
  }

  async list(prefix: Buffer, from: Buffer = Buffer.from('0')): Promise<Page> {
    const match = this.#own(prefix)
      .toString('latin1')
      .replace(/[\\*?[\]^-]/g, '\\$&');
    const pattern = Buffer.from(`${match}*`, 'latin1');
    const reply = await this.#send(['SCAN', from, 'MATCH', pattern, 'COUNT', SCAN_COUNT]);
    const [cursor, names] = Array.isArray(reply) ? reply : [];
    const keys = Array.isArray(names) ? names.flatMap((name) => bytesOf(name) ?? []) : [];
    const entries = await Promise.all(keys.map((key) => this.#entry(key)));
    const next = bytesOf(cursor);
    return { entries: entries.flat(), next: next?.toString() === '0' ? undefined : next };
  }

  /** The string under a key of others, which has no prefix of ours; undefined where there is none. @throws StoreFailure */
  async get(key: Buffer): Promise<Answer<Buffer | undefined>> {
    return this.#foreign(['GET', key], bytesOf);
  }

  /** Whether a set of others has a member. @throws StoreFailure */
  async has(set: Buffer, member: Buffer): Promise<Answer<boolean>> {
    return this.#foreign(['SISMEMBER', set, member], isOne);
  }

  /** That it may not be read, or is something else, says nothing of the server. */
  async #foreign<Value>(
    command: readonly (string | Buffer)[],
    read: (reply: unknown) => Value,
  ): Promise<Answer<Value>> {
    try {
      return known(read(await this.#send(command)));
    } catch (error) {
      if (error instanceof StoreFailure && /^(WRONGTYPE|NOPERM) /.test(error.message))
        return unknown(error.failure, error.message);
      throw error;
    }
  }

  async ping(): Promise<void> {
    const client = this.#client;
    const timer = setTimeout(() => {
      if (client === this.#client) this.#renew();
    }, PING_MS);
    try {
      await this.#send(['PING']);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Asks for it anew where that was long ago. */
  get usage(): Usage | undefined {
    const now = performance.now();
    if (now - this.#measured >= MEASURE_MS && this.#client.isReady) {
      this.#measured = now;
      this.#send(['INFO', 'memory']).then((reply) => {
        this.#usage = usageIn(bytesOf(reply)?.toString('latin1') ?? '');
      }, silence);
    }
    return this.#usage;
  }

  get trouble(): string | undefined {
    if (this.#client.isReady || this.#trouble === undefined) return undefined;
    const { failure, message } = failureOf(this.#trouble, this.#trouble);
    return `${failure} ${message}`;
  }

  async close(): Promise<void> {
    destroy(this.#client);
  }

  async #entry(key: Buffer): Promise<Entry[]> {
    const [data, left] = await Promise.all([this.#send(['GET', key]), this.#send(['PTTL', key])]);
    const bytes = bytesOf(data);
    if (bytes === undefined || Number(left) === -2) return [];
    const expires = Number(left) === -1 ? FOREVER : Date.now() + Number(left);
    return [{ key: key.subarray(this.#prefix.length), data: bytes, expires }];
  }

  #own(key: Buffer): Buffer {
    return Buffer.concat([this.#prefix, key]);
  }

  async #send(command: readonly (string | Buffer)[]): Promise<unknown> {
    if (!this.#client.isReady) await this.#tried;
    try {
      return await this.#client.sendCommand([...command]);
    } catch (error) {
      throw failureOf(error, this.#client.isReady ? undefined : this.#trouble);
    }
  }

  #connect(): Client {
    const client = this.#make();
    this.#tried = new Promise((resolve) => {
      for (const event of ['ready', 'error', 'end']) client.on(event, () => resolve());
    });
    client.connect().catch(() => {}); // Told by its errors; pending while the server is away.
    return client;
  }

  /** Gives up a connection that is dead and does not say so. */
  #renew(): void {
    destroy(this.#client);
    this.#client = this.#connect();
  }
}

/** Of `INFO memory`: lines of `name:value`; no limit is 0. */
function usageIn(info: string): Usage | undefined {
  const [, used] = /^used_memory:(\d+)\r?$/m.exec(info) ?? [];
  const [, most = '0'] = /^maxmemory:(\d+)\r?$/m.exec(info) ?? [];
  return used === undefined ? undefined : { usedBytes: Number(used), maxBytes: Number(most) || undefined };
}

/** Who may not ask does not know. */
function silence(): void {}

function destroy(client: Client): void {
  if (client.isOpen) client.destroy();
}

/** @param trouble why there is no connection */
function failureOf(error: unknown, trouble: Error | undefined): StoreFailure {
  const { message } = trouble ?? (error instanceof Error ? error : new Error(String(error)));
  const [, word = ''] = /^([A-Z]+) /.exec(message) ?? [];
  if (word === 'NOSCRIPT') return new StoreFailure('protocol', message);
  if (message.includes('OOM ')) return new StoreFailure('limit', 'the server is out of memory');
  const failure = FAILURES[word] ?? 'unavailable';
  const code = codeOf(trouble ?? error);
  return new StoreFailure(failure, code !== '' && code !== 'ERR' ? `${code}` : message.slice(0, 200));
}
