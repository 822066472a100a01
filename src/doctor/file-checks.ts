/** Whether the server's users get at the files that options name. */
import { lstatSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { madeForSocket } from '../net/endpoint.ts';
import { formatListenAddress } from '../net/listen-address.ts';
import { PACKAGED_SOCKET } from '../options/options.ts';
import { type Account, nameOf } from '../system/privileges.ts';
import { isOpenToOthers } from '../system/secret-file.ts';
import { type Mend, option, quoted, shell } from './finding.ts';
import { type Need, type Obstacle, obstaclesTo } from './reach.ts';
import type { Scene } from './scene.ts';
import { octal } from './socket-rights.ts';

export function checkFiles(scene: Scene): void {
  const { options, owner, runner, policy } = scene;
  // A server that root starts reads it, and makes its socket, before it becomes another user.
  if (options.user === undefined) {
    if (options.config !== undefined)
      checkAccess(scene, 'config-unreadable', options.config, 'read', owner, 'the options in it');
    if (scene.running === undefined) checkPlacesOfSockets(scene);
  }
  checkAccess(scene, 'policy-unreadable', policy.path, 'read', runner, 'the policy');
  if (options.spool !== undefined) checkOwnDirectory(scene, 'spool-rights', '--spool', options.spool, runner);
  if (options.store?.kind === 'lmdb')
    checkOwnDirectory(scene, 'store-rights', '--store', options.store.path, runner);
  if (options.journal !== undefined) checkJournal(scene, options.journal, owner);
  for (const path of options.geo) checkAccess(scene, 'geo-unreadable', path, 'read', runner, '--geo');
  const { srsSecret, signingKey } = options;
  for (const [name, path] of [
    ...(srsSecret === undefined ? [] : [['--srs-secret', srsSecret] as const]),
    ...signingKey.map((key) => ['--signing-key', key] as const),
  ])
    checkSecret(scene, name, path);
}

/**
 * The socket that a server is to have which is down and names a directory that is not there: where one was made for its
 * user, that is meant, and the only one that a unit lets it write to. undefined for other servers.
 */
export function meantSocket({ addresses, options, owner, running }: Scene): string | undefined {
  if (running !== undefined || options.user !== undefined || owner.uid === 0) return undefined;
  const isLost = addresses.some(
    (address) => address.kind === 'unix' && statsOf(dirname(address.path)) === undefined,
  );
  if (!isLost || statsOf(dirname(PACKAGED_SOCKET))?.uid !== owner.uid) return undefined;
  return PACKAGED_SOCKET;
}

/** Of a server that is to be started. */
function checkPlacesOfSockets(scene: Scene): void {
  for (const address of scene.addresses) {
    if (address.kind !== 'unix') continue;
    const directory = dirname(address.path);
    if (statsOf(directory) !== undefined) {
      checkAccess(scene, 'listen-rights', directory, 'make', scene.owner, '--listen');
      continue;
    }
    const meant = meantSocket(scene);
    scene.findings.add({
      id: 'listen-rights',
      severity: 'error',
      where: directory,
      problem: `there is no such directory for ${formatListenAddress(address)}`,
      mend: [
        meant !== undefined
          ? option(`--listen unix:${meant}`)
          : shell(madeForSocket(quoted(directory), quoted(nameOf('passwd', scene.owner.uid)))),
      ],
    });
  }
}

function checkSecret(scene: Scene, name: string, path: string): void {
  // A server that root starts reads it before it becomes another user.
  if (scene.options.user === undefined)
    checkAccess(scene, 'secret-unreadable', path, 'read', scene.owner, name);
  const found = statsOf(path);
  if (found === undefined || !isOpenToOthers(found)) return;
  scene.findings.add({
    id: 'secret-open',
    severity: 'warning',
    where: path,
    problem: `others can read this secret (mode ${octal(found.mode)})`,
    mend: [shell(`chmod o= ${quoted(path)}`)],
  });
}

function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** @returns whether nothing is in the way */
function checkAccess(
  { findings }: Scene,
  id: string,
  path: string,
  need: Need,
  account: Account,
  what: string,
): boolean {
  const obstacles = obstaclesTo(path, need, { account, root: '/', cwd: '/' });
  const user = nameOf('passwd', account.uid);
  const [first] = obstacles;
  if (first === undefined) {
    findings.right(path, `user ${user} may ${need === 'read' ? 'read it' : 'write there'}`);
    return true;
  }
  if (first.kind === 'unseen') {
    findings.note(path, `whether user ${user} may use it cannot be seen from here: run doctor as root`);
    return true;
  }
  const reasons = obstacles.map((obstacle) => reasonOf(obstacle, need)).join('; ');
  findings.add({
    id,
    severity: 'error',
    where: path,
    problem: `user ${user}, who needs ${what}, cannot ${need === 'read' ? 'read' : 'use'} it: ${reasons}`,
    mend: obstacles.flatMap((obstacle) => mendOf(obstacle, need, account)),
  });
  return false;
}

function reasonOf({ kind, at, stats }: Obstacle, need: Need): string {
  if (stats === undefined) return `nothing is at ${at}`;
  const rights = `owner ${nameOf('passwd', stats.uid)}, group ${nameOf('group', stats.gid)}, mode ${octal(stats.mode)}`;
  if (kind === 'search') return `may not enter ${at} (${rights})`;
  return `may not ${need === 'read' ? 'read' : 'make files in'} ${at} (${rights})`;
}

function mendOf({ kind, at, stats }: Obstacle, need: Need, account: Account): Mend[] {
  const user = quoted(nameOf('passwd', account.uid));
  const group = quoted(nameOf('group', account.gid));
  const path = quoted(at);
  if (stats === undefined) {
    if (need === 'make') return [shell(`install -d -o ${user} -g ${group} -m 0700 ${path}`)];
    return [];
  }
  const isMember = [account.gid, ...account.groups].includes(stats.gid);
  if (kind === 'search') return [shell(isMember ? `chmod g+x ${path}` : `chmod o+x ${path}`)];
  if (need === 'make') return [shell(`chown ${user} ${path}`), shell(`chmod u+rwx ${path}`)];
  if (stats.uid === account.uid) return [shell(`chmod u+r ${path}`)];
  return [...(isMember ? [] : [shell(`chgrp ${group} ${path}`)]), shell(`chmod g+r ${path}`)];
}

/** A directory that the server makes where it is not there. */
function checkOwnDirectory(scene: Scene, id: string, option: string, path: string, account: Account): void {
  const found = statsOf(path);
  if (found === undefined) {
    // As root, the server makes it with all above it.
    if (scene.options.user === undefined && account.uid !== 0)
      checkAccess(scene, id, dirname(path), 'make', account, `${option} ${path}`);
    return;
  }
  checkAccess(scene, id, path, 'make', account, option);
}

function checkJournal(scene: Scene, journal: string, owner: Account): void {
  // A new one is made, and the old one renamed.
  if (!checkAccess(scene, 'journal-rights', dirname(journal), 'make', owner, '--journal')) return;
  const found = lstatSync(journal, { throwIfNoEntry: false });
  if (found === undefined || found.uid === owner.uid || owner.uid === 0) return;
  scene.findings.add({
    id: 'journal-rights',
    severity: 'error',
    where: journal,
    problem: `the journal belongs to user ${nameOf('passwd', found.uid)}, and user ${nameOf('passwd', owner.uid)} is to write it`,
    mend: [shell(`chown ${quoted(nameOf('passwd', owner.uid))} ${quoted(journal)}`)],
  });
}
