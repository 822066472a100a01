/** Where the store is when `--store` says nothing. */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { firstDirectory } from '../system/service-directory.ts';
import type { StoreAddress } from './store-address.ts';

const OF_SERVICE = '/var/lib/smtpf-milter';

/**
 * A directory that outlives a boot: the service's state directory, else /var/lib/smtpf-milter where that is the owner's, else
 * one in the spool.
 * @param spool the directory of message files @param uid of who runs the policy
 */
export function defaultStore(spool: string, uid: number): StoreAddress {
  const place = firstDirectory('STATE_DIRECTORY') ?? (isOwned(OF_SERVICE, uid) ? OF_SERVICE : spool);
  return { kind: 'lmdb', path: join(place, 'store') };
}

function isOwned(path: string, uid: number): boolean {
  try {
    const found = lstatSync(path);
    return found.isDirectory() && found.uid === uid;
  } catch {
    return false;
  }
}
