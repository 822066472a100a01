/** What the checks know: the options, the server that runs, where it listens, and who it is. */
import { lookup } from 'node:dns/promises';
import { lstatSync, readFileSync, realpathSync } from 'node:fs';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Status } from '../control/status.ts';
import { type Occupant, occupantAt } from '../net/address-holder.ts';
import { type BoundAddress, type ListenAddress, parseListenAddress } from '../net/listen-address.ts';
import type { Options } from '../options/option-table.ts';
import { type Account, accountNamed, lookUpGroup } from '../system/privileges.ts';
import { BadValue } from '../text/bad-value.ts';
import { codeOf } from '../text/operator-error.ts';
import type { Findings } from './finding.ts';
import type { PolicyFacts } from './policy-facts.ts';
import { accountOfUnit } from './unit.ts';

export interface Scene {
  readonly options: Options;
  readonly findings: Findings;
  /** Where the server listens, or would. */
  readonly addresses: readonly BoundAddress[];
  /** undefined where no server answers. */
  readonly running: Status | undefined;
  /** Who makes the sockets. */
  readonly owner: Account;
  /** Who runs the policy. */
  readonly runner: Account;
  readonly policy: PolicyFacts;
}

/** What an MTA is told to connect to. */
export type Target =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'inet'; readonly host: string; readonly port: number };

function isAbsent(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) === undefined;
  } catch (error) {
    return codeOf(error) === 'ENOTDIR';
  }
}

/** The addresses of `--listen`; a name that cannot be looked up is left out, and what only systemd knows. */
export async function addressesOf(listen: readonly ListenAddress[]): Promise<BoundAddress[]> {
  const found = await Promise.all(
    listen.map(async (address): Promise<BoundAddress[]> => {
      if (address.kind === 'unix') return [{ kind: 'unix', path: address.path }];
      if (address.kind === 'handed') return [];
      const { host, family, port } = address;
      if (host === undefined) return [family === 'inet6' ? inet('::', port) : inet('0.0.0.0', port)];
      return (await resolved(host)).map((ip) => inet(ip, port));
    }),
  );
  return found.flat();
}

/** Of a running server, as it prints them. */
export async function addressesOfRunning(listening: readonly string[]): Promise<BoundAddress[]> {
  const parsed = listening.flatMap((text) => {
    try {
      return [parseListenAddress(text)];
    } catch (error) {
      if (error instanceof BadValue) return [];
      throw error;
    }
  });
  return addressesOf(parsed);
}

function inet(address: string, port: number): BoundAddress {
  return { kind: isIP(address) === 6 ? 'inet6' : 'inet4', address, port };
}

/** The addresses of a host; none where it cannot be looked up. */
async function resolved(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch {
    return [];
  }
}

/** Which of the server's addresses a target leads to; undefined for none. @param path of a unix target without a chroot */
export async function ourAddress(
  target: Target,
  addresses: readonly BoundAddress[],
  path = target.kind === 'unix' ? target.path : '',
): Promise<BoundAddress | undefined> {
  if (target.kind === 'unix')
    return addresses.find((ours) => ours.kind === 'unix' && realPath(ours.path) === realPath(path));
  const hosts = await resolved(target.host);
  return addresses.find(
    (ours) =>
      ours.kind !== 'unix' &&
      ours.port === target.port &&
      hosts.some((host) => host === ours.address || (isEverywhere(ours.address) && isLocal(host))),
  );
}

const isEverywhere = (address: string) => address === '0.0.0.0' || address === '::';

function isLocal(host: string): boolean {
  return Object.values(networkInterfaces()).some((cards) => cards?.some(({ address }) => address === host));
}

/** Links to its directory followed; of a socket that need not be there. */
function realPath(path: string): string {
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    return path;
  }
}

/** What a connection to a target meets: a milter, another program, nobody, or what cannot be seen. */
export async function probe(
  target: Target,
  path = target.kind === 'unix' ? target.path : '',
): Promise<Occupant> {
  if (target.kind === 'unix') return isAbsent(path) ? 'nobody' : occupantAt({ kind: 'unix', path });
  const hosts = await resolved(target.host);
  if (hosts.length === 0) return 'nobody';
  const seen = await Promise.all(hosts.map((host) => occupantAt(inet(host, target.port))));
  return (
    seen.find((occupant) => occupant === 'milter') ??
    seen.find((occupant) => occupant !== 'nobody') ??
    'nobody'
  );
}

/**
 * Who the server is, and who runs the policy: of the one that runs, else as the options say, else whom systemd would start.
 * @throws OperatorError
 */
export function accountsOf(
  { user, group, workerUser }: Options,
  running: Status | undefined,
): { readonly owner: Account; readonly runner: Account } {
  const own: Account = {
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    groups: process.getgroups?.() ?? [],
  };
  const named =
    user === undefined
      ? group === undefined
        ? ((running === undefined && own.uid === 0 ? accountOfUnit() : undefined) ?? own)
        : { ...own, gid: lookUpGroup('--group', group) }
      : accountNamed('--user', user, group);
  const runner =
    workerUser === undefined ? named : accountNamed('--worker-user', workerUser.user, workerUser.group);
  return {
    owner: accountOfProcess(running?.pid) ?? named,
    runner: accountOfProcess(running?.workers[0]?.pid) ?? runner,
  };
}

/** undefined where there is no such process, or no Linux. */
function accountOfProcess(pid: number | undefined): Account | undefined {
  if (pid === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return undefined;
  }
  const numbers = (name: string) =>
    (new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(text)?.[1] ?? '').split(/\s+/).filter(Boolean).map(Number);
  const [, uid] = numbers('Uid');
  const [, gid] = numbers('Gid');
  return uid === undefined || gid === undefined ? undefined : { uid, gid, groups: numbers('Groups') };
}
