/** `TYPE:WHERE`, as in Postfix's lookup tables. */
import { TableError } from './table.ts';

export type FileType = 'texthash' | 'cidr' | 'regexp' | 'pcre';

/** Where a socketmap server listens. */
export type SocketAddress =
  | { readonly kind: 'inet'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export type MapSpec =
  | { readonly kind: 'file'; readonly type: FileType; readonly path: string }
  | { readonly kind: 'inline'; readonly entries: string }
  | { readonly kind: 'socketmap'; readonly address: SocketAddress; readonly name: string }
  | { readonly kind: 'ldap' | 'pgsql' | 'mysql'; readonly path: string }
  | { readonly kind: 'redis'; readonly prefix: string }
  | { readonly kind: 'redis-set'; readonly key: string };

/** Formats that Postfix makes from text files: the text beside them is read. */
const INDEXED = new Set(['hash', 'btree', 'lmdb', 'dbm', 'cdb']);
const TYPES =
  'texthash:, hash:, cidr:, regexp:, pcre:, inline:, socketmap:, ldap:, pgsql:, mysql:, redis: or redis-set:';

/** @throws TableError */
export function parseMapSpec(text: string): MapSpec {
  const [, type = '', rest = ''] = /^([a-z][a-z-]*):(.*)$/s.exec(text) ?? [];
  if (type === '') {
    if (text.startsWith('/') || text.startsWith('.')) return { kind: 'file', type: 'texthash', path: text };
    throw new TableError(`a map must be a path, or begin with ${TYPES}`);
  }
  if (rest === '') throw new TableError(`nothing behind ${type}:`);
  if (INDEXED.has(type)) return { kind: 'file', type: 'texthash', path: rest };
  switch (type) {
    case 'texthash':
    case 'cidr':
    case 'regexp':
    case 'pcre':
      return { kind: 'file', type, path: rest };
    case 'inline':
      return { kind: 'inline', entries: rest };
    case 'ldap':
    case 'pgsql':
    case 'mysql':
      return { kind: type, path: rest };
    case 'socketmap':
      return socketmapSpec(rest);
    case 'redis':
      return { kind: 'redis', prefix: rest };
    case 'redis-set':
      return { kind: 'redis-set', key: rest };
    default:
      throw new TableError(`unknown type ${type}: ${TYPES} are known`);
  }
}

/** Whether an address is looked up as a whole: Postfix takes it to pieces neither for expressions nor for networks. */
export function takesWholeKeys(spec: MapSpec): boolean {
  return spec.kind === 'file' && spec.type !== 'texthash';
}

/** `inet:HOST:PORT:NAME` or `unix:PATH:NAME`. */
function socketmapSpec(text: string): MapSpec {
  const [, host, port, inetName] = /^inet:(\[[^\]]+\]|[^:]+):(\d{1,5}):(.+)$/s.exec(text) ?? [];
  if (host !== undefined && port !== undefined && inetName !== undefined) {
    const plain = host.replace(/^\[(.*)\]$/, '$1');
    return { kind: 'socketmap', address: { kind: 'inet', host: plain, port: Number(port) }, name: inetName };
  }
  const [, path, unixName] = /^(?:unix|local):(.+):([^:]+)$/s.exec(text) ?? [];
  if (path === undefined || unixName === undefined) {
    throw new TableError('socketmap: must be inet:HOST:PORT:NAME or unix:PATH:NAME');
  }
  return { kind: 'socketmap', address: { kind: 'unix', path }, name: unixName };
}
