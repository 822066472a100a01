/**
 * `pgsql:FILE` and `mysql:FILE` with the names of pgsql_table(5) and mysql_table(5). The one place that uses pg and mysql2,
 * which are loaded when a map needs them.
 *
 * A key is never part of the text of a query: what it has a part in becomes a parameter of a prepared statement.
 */
import { createHash } from 'node:crypto';
import { type Answer, known, type Patience, unknown } from '../asking/answer.ts';
import { within } from '../asking/within.ts';
import { type ConfigFile, expand, type KeyParts } from './config-file.ts';
import { askableParts, type Found, foundOf, type MapServer, NOT_THERE } from './map-server.ts';
import { TableError } from './table.ts';

/** The rows of a query, each as a list of texts; null where a column is null. */
type Rows = readonly (readonly (string | null)[])[];

interface Database {
  query(text: string, values: readonly string[], timeoutMs: number): Promise<Rows>;
  close(): Promise<void>;
}

interface Access {
  readonly host: string;
  readonly port: number | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
}

const CONNECTIONS = 4;
const CONNECT_MS = 2000;

/** What pgsql_table(5) and mysql_table(5) have beyond this and would change what is found, or who is trusted. */
const UNSUPPORTED = [
  'select_function',
  'select_field',
  'where_field',
  'additional_conditions',
  'option_file',
  'option_group',
  'tls_CAfile',
  'tls_CApath',
  'tls_cert_file',
  'tls_key_file',
  'tls_verify_cert',
];

/** One server of a `pgsql:` or `mysql:` map. */
export class SqlServer implements MapServer {
  readonly address: string;
  readonly #database: Database;
  readonly #query: Query;
  readonly #format: string;
  readonly #domains: readonly string[];

  /** The servers that a file names. @throws TableError where it lacks something, or the package is not there */
  static async open(kind: 'pgsql' | 'mysql', file: ConfigFile): Promise<SqlServer[]> {
    file.refuse(UNSUPPORTED);
    const query = readQuery(file.require('query'), kind);
    const hosts = file.list('hosts');
    const servers = (hosts.length > 0 ? hosts : ['localhost']).map(async (host) => {
      const { name, port } = hostOf(host);
      const access: Access = {
        host: name,
        port,
        user: file.get('user'),
        password: file.get('password'),
        database: file.get('dbname'),
      };
      const database = kind === 'pgsql' ? await openPostgres(access) : await openMysql(access);
      return new SqlServer(`${kind} at ${host}`, database, query, file);
    });
    return Promise.all(servers);
  }

  private constructor(address: string, database: Database, query: Query, file: ConfigFile) {
    this.address = address;
    this.#database = database;
    this.#query = query;
    this.#format = file.get('result_format') ?? '%s';
    this.#domains = file.list('domain').map((domain) => domain.toLowerCase());
  }

  lookUp(key: string, patience: Patience): Promise<Answer<Found>> {
    const parts = askableParts(key, this.#domains);
    const values = parts && valuesFor(this.#query, parts);
    if (values === undefined) return Promise.resolve(known(NOT_THERE));
    return within(patience, this.address, this.#ask(values, patience.timeoutMs));
  }

  close(): void {
    void this.#database.close().catch(() => {});
  }

  async #ask(values: readonly string[], timeoutMs: number): Promise<Answer<Found>> {
    try {
      const rows = await this.#database.query(this.#query.text, values, timeoutMs);
      return known(
        foundOf(
          rows.flat().filter((value) => value !== null),
          this.#format,
        ),
      );
    } catch (error) {
      return failure(this.address, error);
    }
  }
}

/** A query in which what a key has its part in are parameters. */
interface Query {
  readonly text: string;
  /** What each parameter is made of: `%s`, `%u.%d`. */
  readonly parameters: readonly string[];
}

/** Texts in quotes and names, in which a quote is doubled (in MySQL also behind a backslash), and `%` outside of them. */
const PIECES: Readonly<Record<'pgsql' | 'mysql', RegExp>> = {
  pgsql: /'((?:[^']|'')*)'|("(?:[^"]|"")*")|%(.?)/gs,
  mysql: /'((?:[^'\\]|''|\\.)*)'|("(?:[^"\\]|""|\\.)*"|`[^`]*`)|%(.?)/gs,
};

/**
 * A text in quotes that has a `%` becomes one parameter, and so does a `%s` outside of them: no key is ever part of a query.
 * @throws TableError
 */
function readQuery(written: string, kind: 'pgsql' | 'mysql'): Query {
  const parameters: string[] = [];
  const parameter = (template: string): string => {
    parameters.push(template);
    return kind === 'pgsql' ? `$${parameters.length}` : '?';
  };
  const replace = (all: string, text?: string, name?: string, letter?: string): string => {
    if (name !== undefined) {
      if (name.includes('%'))
        throw new TableError(`a % in ${name} of the query: only '...' and what stands alone may have one`);
      return name;
    }
    if (letter !== undefined) {
      if (letter === '%') return '%';
      if (PARTS.test(letter)) return parameter(`%${letter}`);
      throw new TableError(`%${letter} in the query stands for nothing`);
    }
    if (text === undefined || !text.includes('%')) return all;
    const rest = text.replaceAll('%%', '');
    if (/%(?![sudSUD1-9])/.test(rest))
      throw new TableError(`a % in '${text}' of the query that stands for nothing: write %%`);
    return rest.includes('%') ? parameter(text.replaceAll("''", "'")) : all.replaceAll('%%', '%');
  };
  return { text: written.replace(PIECES[kind], replace), parameters };
}

const PARTS = /[sudSUD1-9]/;

/** Undefined where the key has not what the query asks for: then there is no answer but "no". */
function valuesFor({ parameters }: Query, parts: KeyParts): string[] | undefined {
  const values = parameters.map((template) => expand(template, parts, (piece) => piece));
  return values.every((value) => value !== undefined) ? values : undefined;
}

/** Codes of a server that is there and does not do what it is asked for, as SQLSTATE and MariaDB have them. */
const ANSWERED =
  /^(?:(?!08|53|57|28)[0-9A-Z]{5}|ER_(?!CON_COUNT|ACCESS|DBACCESS|SERVER_SHUTDOWN|HOST)[A-Z_]+)$/;

/** Only the code of an error: its text may show values. */
function failure(address: string, error: unknown): Answer<Found> {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const text = error instanceof Error ? error.message : '';
  if (/timeout/i.test(text) || code === 'PROTOCOL_SEQUENCE_TIMEOUT')
    return unknown('timeout', `${address}: no answer in time`);
  if (ANSWERED.test(code)) return known(unknown('protocol', `${address}: the query fails: ${code}`));
  return unknown('unavailable', `${address}: ${code || 'the connection failed'}`);
}

/** `HOST`, `HOST:PORT`, `inet:HOST:PORT`, `unix:PATH`. */
function hostOf(written: string): { name: string; port: number | undefined } {
  if (written.startsWith('unix:')) return { name: written.slice(5), port: undefined };
  const plain = written.replace(/^inet:/, '');
  const [, name = plain, port] = /^(.*?)(?::(\d{1,5}))?$/s.exec(plain) ?? [];
  return { name, port: port === undefined ? undefined : Number(port) };
}

/** Names of prepared statements are cut at 63 bytes: two queries that begin alike must not be taken for one. */
const nameOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);

async function openPostgres({ host, port, user, password, database }: Access): Promise<Database> {
  const pg = await import('pg').catch(() => {
    throw new TableError('pgsql: needs `npm install pg@8.23.1`');
  });
  const pool = new pg.default.Pool({
    host,
    ...(port !== undefined && { port }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
    max: CONNECTIONS,
    connectionTimeoutMillis: CONNECT_MS,
    idleTimeoutMillis: 30_000,
    allowExitOnIdle: true,
  });
  // A connection that breaks while it is idle would end the process.
  pool.on('error', () => {});
  return {
    close: () => pool.end(),
    query: async (text, values, timeoutMs) => {
      const query = { name: nameOf(text), text, values: [...values], rowMode: 'array' as const };
      const timed: typeof query = Object.assign(query, { query_timeout: timeoutMs });
      const { rows } = await pool.query<unknown[]>(timed);
      return rows.map((row) => row.map((value) => (value === null ? null : String(value))));
    },
  };
}

async function openMysql({ host, port, user, password, database }: Access): Promise<Database> {
  const mysql = await import('mysql2/promise').catch(() => {
    throw new TableError('mysql: needs `npm install mysql2@3.24.6`');
  });
  const pool = mysql.createPool({
    ...(host.startsWith('/') ? { socketPath: host } : { host }),
    ...(port !== undefined && { port }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
    connectionLimit: CONNECTIONS,
    connectTimeout: CONNECT_MS,
    rowsAsArray: true,
    charset: 'utf8mb4',
  });
  return {
    close: () => pool.end(),
    query: async (text, values, timeoutMs) => {
      const [rows] = await pool.execute({ sql: text, values: [...values], timeout: timeoutMs });
      if (!Array.isArray(rows)) return [];
      return rows.map((row) =>
        Array.isArray(row) ? row.map((value) => (value === null ? null : String(value))) : [],
      );
    },
  };
}
