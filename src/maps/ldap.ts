/** `ldap:FILE` with the names of ldap_table(5). The one place that uses ldapts, which is loaded when a map needs it. */
import { type Answer, known, type Patience, unknown } from '../asking/answer.ts';
import { within } from '../asking/within.ts';
import { type ConfigFile, expand } from './config-file.ts';
import { askableParts, type Found, foundOf, type MapServer, NOT_THERE } from './map-server.ts';
import { TableError } from './table.ts';

type Ldapts = typeof import('ldapts');
type Client = InstanceType<Ldapts['Client']>;

interface Settings {
  readonly urls: readonly string[];
  readonly base: string;
  readonly filter: string;
  readonly attributes: readonly string[];
  readonly format: string;
  readonly scope: 'sub' | 'one' | 'base';
  readonly domains: readonly string[];
  readonly bindDn: string;
  readonly bindPassword: string;
  readonly sizeLimit: number;
  readonly startTls: boolean;
}

/** The client's own time for a request; a session's patience may end before. */
const REQUEST_MS = 2000;

/** What ldap_table(5) has beyond this and would change what is found, or who is trusted. */
const UNSUPPORTED = [
  'special_result_attribute',
  'leaf_result_attribute',
  'terminal_result_attribute',
  'tls_ca_cert_file',
  'tls_ca_cert_dir',
  'tls_cert',
  'tls_key',
  'tls_require_cert',
];

/** One server of an `ldap:` map. */
export class LdapServer implements MapServer {
  readonly address: string;
  readonly #url: string;
  readonly #settings: Settings;
  readonly #package: Ldapts;
  #client: Client | undefined;
  #binding: Promise<void> | undefined;

  /** The servers that a file names. @throws TableError where it lacks something, or the package is not there */
  static async open(file: ConfigFile): Promise<LdapServer[]> {
    const settings = settingsOf(file);
    const ldapts = await import('ldapts').catch(() => {
      throw new TableError('ldap: needs `npm install ldapts@8.2.0`');
    });
    return settings.urls.map((url) => new LdapServer(url, settings, ldapts));
  }

  private constructor(url: string, settings: Settings, ldapts: Ldapts) {
    this.#url = url;
    this.#settings = settings;
    this.#package = ldapts;
    this.address = `ldap at ${url}`;
  }

  lookUp(key: string, patience: Patience): Promise<Answer<Found>> {
    const { filter, base, domains } = this.#settings;
    const parts = askableParts(key, domains);
    const search = parts && expand(filter, parts, escaped);
    const place = parts && expand(base, parts, escapedName);
    if (search === undefined || place === undefined) return Promise.resolve(known(NOT_THERE));
    return within(patience, this.address, this.#search(place, search, patience.timeoutMs));
  }

  close(): void {
    this.#drop(this.#client);
  }

  async #search(place: string, filter: string, timeoutMs: number): Promise<Answer<Found>> {
    const { attributes, scope, sizeLimit, format } = this.#settings;
    const client = this.#connected(timeoutMs);
    try {
      await this.#binding;
      const timeLimit = Math.max(1, Math.ceil(timeoutMs / 1000));
      const options = { scope, filter, attributes: [...attributes], sizeLimit, timeLimit };
      const { searchEntries } = await client.search(place, options);
      const values = searchEntries.flatMap((entry) => attributes.flatMap((name) => textsOf(entry[name])));
      return known(foundOf(values, format));
    } catch (error) {
      return this.#failure(error, client);
    }
  }

  #failure(error: unknown, client: Client): Answer<Found> {
    const { NoSuchObjectError, SizeLimitExceededError } = this.#package;
    if (error instanceof NoSuchObjectError) return known(NOT_THERE);
    if (error instanceof SizeLimitExceededError)
      return known(unknown('limit', `${this.address}: too many entries`));
    this.#drop(client);
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    // Never the text of the error: it may show what was sent.
    const name = error instanceof Error ? error.constructor.name : 'error';
    if (error instanceof Error && /timeout|timed out/i.test(error.message))
      return unknown('timeout', `${this.address}: no answer in time`);
    return unknown('unavailable', `${this.address}: ${name}${code}`);
  }

  /** Gives up a connection; another that has come in its place meanwhile stays. */
  #drop(client: Client | undefined): void {
    if (client === undefined || client !== this.#client) return;
    this.#client = undefined;
    this.#binding = undefined;
    client.unbind().catch(() => {});
  }

  /** A client that connects by itself; `#binding` is done when it is bound, where the file asks for that. */
  #connected(timeoutMs: number): Client {
    const { bindDn, bindPassword, startTls } = this.#settings;
    if (this.#client?.isConnected === false && this.#isBound) this.#drop(this.#client);
    if (this.#client !== undefined) return this.#client;
    const longest = Math.max(timeoutMs, REQUEST_MS);
    const client = new this.#package.Client({ url: this.#url, timeout: longest, connectTimeout: longest });
    this.#client = client;
    this.#isBound = false;
    this.#binding = (async () => {
      if (startTls) await client.startTLS({});
      if (bindDn !== '') await client.bind(bindDn, bindPassword);
      this.#isBound = true;
    })();
    // Whoever waits for it is told.
    this.#binding.catch(() => {});
    return client;
  }

  #isBound = false;
}

/** @throws TableError */
function settingsOf(file: ConfigFile): Settings {
  file.refuse(UNSUPPORTED);
  const port = file.number('server_port', 389);
  const hosts = file.list('server_host');
  const urls = (hosts.length > 0 ? hosts : ['localhost']).map((host) =>
    /^ldaps?:\/\//.test(host) ? host : `ldap://${host}${/:\d+$/.test(host) ? '' : `:${port}`}`,
  );
  const scope = file.get('scope') ?? 'sub';
  if (scope !== 'sub' && scope !== 'one' && scope !== 'base')
    throw new TableError('scope is none of sub, one, base');
  const attributes = file.list('result_attribute');
  return {
    urls,
    base: file.require('search_base'),
    filter: file.get('query_filter') ?? '(mailacceptinggeneralid=%s)',
    attributes: attributes.length > 0 ? attributes : ['maildrop'],
    format: file.get('result_format') ?? '%s',
    scope,
    domains: file.list('domain').map((domain) => domain.toLowerCase()),
    bindDn: file.get('bind') === 'no' ? '' : (file.get('bind_dn') ?? ''),
    bindPassword: file.get('bind_pw') ?? '',
    sizeLimit: file.number('size_limit', 0) || 1000,
    startTls: file.flag('start_tls'),
  };
}

/** RFC 4515: what a stranger wrote is a value and nothing else. */
function escaped(value: string): string {
  return value.replace(/[\\*()\0]/g, (sign) => `\\${sign.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** RFC 4514 */
function escapedName(value: string): string {
  return value
    .replace(/[\\,+"<>;=#\0]/g, (sign) => `\\${sign.charCodeAt(0).toString(16).padStart(2, '0')}`)
    .replace(/^ | $/g, '\\20');
}

function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (Buffer.isBuffer(value)) return [value.toString('utf8')];
  return Array.isArray(value) ? value.flatMap(textsOf) : [];
}
