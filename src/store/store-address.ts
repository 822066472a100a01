/** Where the store is, as `--store` writes it. */
import { isAbsolute, resolve } from 'node:path';
import { BadValue } from '../text/bad-value.ts';

export type StoreAddress =
  | { readonly kind: 'memory' }
  /** `path` of its directory; absolute. */
  | { readonly kind: 'lmdb'; readonly path: string }
  | {
      readonly kind: 'redis';
      readonly where: { readonly host: string; readonly port: number } | { readonly path: string };
      readonly tls: boolean;
      readonly user: string | undefined;
      readonly password: string | undefined;
      readonly database: number;
    };

const FORMS = 'memory, lmdb:DIR, redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss://... or redis+unix:PATH';
const REDIS_PORT = 6379;

/** The text is never in an error: a password may stand in it. @throws BadValue */
export function parseStoreAddress(text: string): StoreAddress {
  if (text === 'memory') return { kind: 'memory' };
  if (text.startsWith('lmdb:') && text.length > 'lmdb:'.length) {
    return { kind: 'lmdb', path: resolve(text.slice('lmdb:'.length)) };
  }
  const redis = { kind: 'redis', tls: false, user: undefined, password: undefined, database: 0 } as const;
  if (text.startsWith('redis+unix:')) {
    const path = text.slice('redis+unix:'.length);
    if (!isAbsolute(path)) throw new BadValue('must be redis+unix: and an absolute path');
    return { ...redis, where: { path } };
  }
  if (/^rediss?:\/\//.test(text)) return { ...redis, ...parseUrl(text) };
  throw new BadValue(`must be ${FORMS}`);
}

function parseUrl(text: string) {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const [, database = '0'] = /^\/?(\d{1,5})?\/?$/.exec(url?.pathname ?? '?') ?? [undefined, 'none'];
  if (url === undefined || url.hostname === '' || !/^\d+$/.test(database) || url.search + url.hash !== '') {
    throw new BadValue(`must be ${FORMS}`);
  }
  const part = (encoded: string) => (encoded === '' ? undefined : decodeURIComponent(encoded));
  return {
    where: {
      host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: url.port === '' ? REDIS_PORT : Number(url.port),
    },
    tls: url.protocol === 'rediss:',
    user: part(url.username),
    password: part(url.password),
    database: Number(database),
  };
}

/** The store in log lines and `status`: without user and password. */
export function storeName(address: StoreAddress): string {
  if (address.kind === 'memory') return 'memory';
  if (address.kind === 'lmdb') return `lmdb:${address.path}`;
  if ('path' in address.where) return `redis+unix:${address.where.path}`;
  const { host, port } = address.where;
  const database = address.database === 0 ? '' : `/${address.database}`;
  return `${address.tls ? 'rediss' : 'redis'}://${host.includes(':') ? `[${host}]` : host}:${port}${database}`;
}
