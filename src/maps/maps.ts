/** The maps that a process has open: one of each, whoever asks. */
import { type Answer, known, type Patience, unknown } from '../asking/answer.ts';
import { Breaker } from '../asking/breaker.ts';
import { CidrTable } from './cidr-table.ts';
import { ConfigFile } from './config-file.ts';
import { InlineTable } from './inline-table.ts';
import { LdapServer } from './ldap.ts';
import type { Found, MapServer } from './map-server.ts';
import { type FileType, type MapSpec, parseMapSpec } from './map-spec.ts';
import { PatternTable } from './pattern-table.ts';
import { RedisMap, type RedisSource } from './redis-map.ts';
import { Socketmap } from './socketmap.ts';
import { SqlServer } from './sql.ts';
import { type Table, TableError } from './table.ts';
import { lowered, TextTable } from './text-table.ts';
import { type FileReader, inTurns, WatchedFile } from './watched-file.ts';

/** The port by which policies look up keys. */
export interface MapSource {
  /**
   * Opens a map, once.
   * @param spec `TYPE:WHERE`, latin1
   * @param place where its file is; undefined where it has none
   * @throws an error with what is wrong, `PATH:LINE: ...` where it is a file's
   */
  open(spec: string, place?: Buffer): Promise<Answer<string>>;
  /** Whether it is open already. */
  isOpen(spec: string): boolean;
  /** What is known without asking: undefined where somebody must be asked. The map must be open. */
  recall(spec: string, key: string): Found | undefined;
  /** Asks for a key. Never rejects. */
  query(spec: string, key: string, patience: Patience): Promise<Found>;
  /** How the maps are that are open. */
  readonly states: readonly MapState[];
}

/** How a map is, for those who look after the server. */
export interface MapState {
  readonly spec: string;
  /** Of a table in memory. */
  readonly entries: number | undefined;
  /** Milliseconds since 1970: when its file, as it serves, was read. */
  readonly readAt: number | undefined;
  /** Why it does not serve as it is there; undefined where it does. */
  readonly problem: string | undefined;
}

export interface MapLog {
  notice(text: string): void;
  warning(text: string): void;
}

interface OpenMap {
  recall(key: string): Found | undefined;
  query(key: string, patience: Patience): Promise<Found>;
  state(): Omit<MapState, 'spec'>;
}

/** Maps of one process: a script that makes names of them would fill its memory. */
const MAX_MAPS = 500;

export class Maps implements MapSource {
  readonly #log: MapLog;
  readonly #redis: RedisSource | undefined;
  readonly #opening = new Map<string, Promise<OpenMap>>();
  readonly #open = new Map<string, OpenMap>();

  readonly #breakers = new Map<string, Breaker>();
  /** By address of the server, while it does not answer. */
  readonly #troubles = new Map<string, string>();

  /** @param redis what maps in Redis ask; undefined where there is none */
  constructor(log: MapLog, redis?: RedisSource) {
    this.#log = log;
    this.#redis = redis;
  }

  async open(spec: string, place?: Buffer): Promise<Answer<string>> {
    if (this.#open.has(spec)) return OPEN;
    let opening = this.#opening.get(spec);
    if (opening === undefined) {
      if (this.#opening.size >= MAX_MAPS) throw new Error(`more than ${MAX_MAPS} maps`);
      opening = this.#openNew(parseMapSpec(spec), place ?? NOWHERE);
      this.#opening.set(spec, opening);
    }
    try {
      this.#open.set(spec, await opening);
    } catch (error) {
      // Another try is another look at the file.
      this.#opening.delete(spec);
      throw error;
    }
    return OPEN;
  }

  isOpen(spec: string): boolean {
    return this.#open.has(spec);
  }

  recall(spec: string, key: string): Found | undefined {
    return this.#mapOf(spec).recall(key);
  }

  query(spec: string, key: string, patience: Patience): Promise<Found> {
    return this.#mapOf(spec).query(key, patience);
  }

  #mapOf(spec: string): OpenMap {
    const map = this.#open.get(spec);
    if (map === undefined) throw new Error(`${spec} is not open`);
    return map;
  }

  get states(): readonly MapState[] {
    return [...this.#open].map(([spec, map]) => ({ spec, ...map.state() }));
  }

  async #openNew(spec: MapSpec, place: Buffer): Promise<OpenMap> {
    switch (spec.kind) {
      case 'inline': {
        const table = new InlineTable(spec.entries);
        return tableMap(() => table);
      }
      case 'file':
        return this.#openFile(spec.type, spec.path, place);
      case 'socketmap': {
        const servers = [new Socketmap(spec.address, spec.name)];
        return this.#remote(
          () => ({ servers, problem: undefined }),
          (key) => key,
        );
      }
      case 'ldap':
        return this.#configured(spec.kind, spec.path, place, (file) => LdapServer.open(file));
      case 'pgsql':
      case 'mysql': {
        const { kind } = spec;
        return this.#configured(kind, spec.path, place, (file) => SqlServer.open(kind, file));
      }
      case 'redis':
      case 'redis-set':
        return this.#openRedis(spec);
      default:
        return spec satisfies never;
    }
  }

  #openRedis(spec: Extract<MapSpec, { kind: 'redis' | 'redis-set' }>): OpenMap {
    const source = this.#redis;
    if (source === undefined)
      throw new TableError(`${spec.kind}: needs a store on Redis (--store redis://...)`);
    const map =
      spec.kind === 'redis' ? RedisMap.ofKeys(source, spec.prefix) : RedisMap.ofSet(source, spec.key);
    const servers = [map];
    return this.#remote(() => ({ servers, problem: undefined }), lowered);
  }

  async #openFile(type: FileType, path: string, place: Buffer): Promise<OpenMap> {
    const file = new WatchedFile(path, place, READERS[type], ({ at, problem }) => {
      if (problem === undefined) this.#log.notice(`map ${type}:${at} read again`);
      else this.#log.warning(`map ${type}:${at} is not taken, the version before it serves: ${problem}`);
    });
    await file.load();
    return {
      // A table without content is not open.
      ...tableMap(() => file.content),
      state: () => ({ entries: file.content?.entries, readAt: file.readAt, problem: file.problem }),
    };
  }

  /** Opens what a file describes, and opens it anew when the file has changed. */
  async #configured(
    kind: string,
    path: string,
    place: Buffer,
    open: (file: ConfigFile) => Promise<readonly MapServer[]>,
  ): Promise<OpenMap> {
    let current: Servers = { servers: [], problem: undefined };
    const refuse = (problem: string): void => {
      current = { ...current, problem };
      this.#log.warning(`map ${kind}:${path} is not taken, the version before it serves: ${problem}`);
    };
    const file = new WatchedFile(path, place, ConfigFile.read, ({ at, problem }) => {
      if (problem !== undefined || file.content === undefined) return refuse(problem ?? `${at} is empty`);
      open(file.content).then(
        (servers) => {
          const before = current.servers;
          current = { servers, problem: undefined };
          this.#log.notice(`map ${kind}:${at} read again`);
          // What is under way comes to its end.
          setTimeout(() => closeAll(before), CLOSE_MS).unref();
        },
        (error: unknown) => refuse(`${path}: ${error instanceof Error ? error.message : String(error)}`),
      );
    });
    await file.load();
    try {
      current = { servers: file.content ? await open(file.content) : [], problem: undefined };
    } catch (error) {
      file.close();
      throw error instanceof TableError ? new Error(`${path}: ${error.message}`) : error;
    }
    return this.#remote(() => current, lowered);
  }

  /**
   * Asks the servers one after the other, until one says something.
   * @param keyOf the key as they are asked for it
   */
  #remote(current: () => Servers, keyOf: (key: string) => string): OpenMap {
    const cache = new AnswerCache();
    let asked = current().servers;
    /** Answers of servers that the file does not name any more are not kept. */
    const serversNow = (): readonly MapServer[] => {
      const { servers } = current();
      if (servers !== asked) cache.clear();
      asked = servers;
      return servers;
    };
    return {
      recall: (key) => {
        serversNow();
        const before = cache.get(keyOf(key));
        return before === undefined ? undefined : known(before.value);
      },
      query: async (key, { timeoutMs, cancelled }) => {
        const servers = serversNow();
        const end = performance.now() + timeoutMs;
        let found: Found = unknown('unavailable', 'no server');
        for (const [i, server] of servers.entries()) {
          const left = Math.max(1, end - performance.now());
          // The servers behind it must have a part of the time.
          const patience = { timeoutMs: Math.ceil(left / (servers.length - i)), cancelled };
          const breaker = this.#breakerOf(server.address);
          const answer = await breaker.ask(() => server.lookUp(keyOf(key), patience), cancelled);
          found = answer.kind === 'known' ? answer.value : answer;
          if (answer.kind === 'known' || cancelled.aborted) break;
        }
        if (found.kind === 'known' && servers === asked) cache.set(keyOf(key), found.value);
        return found;
      },
      state: () => {
        const { servers, problem } = current();
        const away = servers.flatMap(({ address, trouble }) => this.#troubles.get(address) ?? trouble ?? []);
        return {
          entries: undefined,
          readAt: undefined,
          problem: [problem ?? [], away].flat().join('; ') || undefined,
        };
      },
    };
  }

  /** One for each server, whichever maps ask it. */
  #breakerOf(address: string): Breaker {
    let breaker = this.#breakers.get(address);
    if (breaker === undefined) {
      breaker = new Breaker(address, ({ subject, isOpen, reason }) => {
        if (isOpen) {
          this.#troubles.set(subject, `does not answer: ${reason}`);
          this.#log.warning(`${subject} does not answer: ${reason}`);
        } else {
          this.#troubles.delete(subject);
          this.#log.notice(`${subject} answers again`);
        }
      });
      this.#breakers.set(address, breaker);
    }
    return breaker;
  }
}

/** What a map asks at present, and why its file as it is now is not what is asked. */
interface Servers {
  readonly servers: readonly MapServer[];
  readonly problem: string | undefined;
}

function closeAll(servers: readonly MapServer[]): void {
  for (const server of servers) server.close();
}

/** Time after which servers that are not named any more are left. */
const CLOSE_MS = 10_000;

const OPEN = known('open');
const NOWHERE: Buffer = Buffer.alloc(0);

const READERS: Readonly<Record<FileType, FileReader<Table>>> = {
  texthash: (bytes) => TextTable.read(bytes),
  cidr: (bytes) => CidrTable.read(bytes),
  regexp: (bytes) => PatternTable.read(bytes, 'regexp'),
  pcre: (bytes) => PatternTable.read(bytes, 'pcre'),
};

/** Expressions, and bytes that they look at together, of which a look-up takes no more than some milliseconds. */
const FEW = 100;
const FEW_BYTES = 100_000;

/** Whether a table is looked through in turns: its lines are tried one after the other. */
const isLong = (table: Table | undefined, key: string): boolean =>
  table instanceof PatternTable && (table.entries > FEW || table.entries * key.length > FEW_BYTES);

function tableMap(current: () => Table | undefined): OpenMap {
  const find = (key: string): Found => known(current()?.get(key) ?? null);
  return {
    recall: (key) => {
      return isLong(current(), key) ? undefined : find(key);
    },
    query: async (key) => {
      const table = current();
      return table instanceof PatternTable ? known((await inTurns(table.lookUp(key))) ?? null) : find(key);
    },
    state: () => ({ entries: current()?.entries, readAt: undefined, problem: undefined }),
  };
}

/** Answers of a server, for a while; what it could not say is not kept. */
class AnswerCache {
  readonly #answers = new Map<string, { readonly value: string | null; readonly until: number }>();

  get(key: string): { readonly value: string | null } | undefined {
    const answer = this.#answers.get(key);
    return answer !== undefined && answer.until > performance.now() ? answer : undefined;
  }

  clear(): void {
    this.#answers.clear();
  }

  set(key: string, value: string | null): void {
    if (this.#answers.size >= MAX_ANSWERS) {
      const oldest = this.#answers.keys().next();
      if (!oldest.done) this.#answers.delete(oldest.value);
    }
    this.#answers.delete(key);
    this.#answers.set(key, { value, until: performance.now() + (value === null ? NO_MS : YES_MS) });
  }
}

const YES_MS = 30_000;
const NO_MS = 10_000;
const MAX_ANSWERS = 10_000;
