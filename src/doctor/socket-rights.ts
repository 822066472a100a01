/** Whether an MTA's user gets at the unix socket, and what opens the way. */
import { dirname } from 'node:path';
import { nameOf } from '../system/privileges.ts';
import { type Mend, option, quoted, shell } from './finding.ts';
import { type Obstacle, obstaclesTo, type View } from './reach.ts';
import type { Scene } from './scene.ts';

const RESTART = shell('systemctl restart smtpf-milter');

/** @param path as the MTA names it @param where what names it */
export function checkSocketRights(scene: Scene, where: string, path: string, view: View): void {
  const { findings, running } = scene;
  const { account } = view;
  const user = nameOf('passwd', account.uid);
  const obstacles = obstaclesTo(path, 'connect', view);
  const [first] = obstacles;
  if (first === undefined) {
    findings.right(where, `user ${user} may connect to ${path}`);
    return;
  }
  if (first.kind === 'unseen') {
    findings.note(
      where,
      `whether user ${user} may connect to ${path} cannot be seen from here: run doctor as root`,
    );
    return;
  }
  const gone = obstacles.find(({ kind }) => kind === 'missing' || kind === 'no-socket' || kind === 'loop');
  const closed = obstacles.filter(({ kind }) => kind === 'search' || kind === 'end');
  // A server that is down has no socket: that is said once.
  if (gone !== undefined && running !== undefined)
    findings.add({
      id: 'socket-missing',
      severity: 'error',
      where: gone.at,
      problem: `${gone.kind === 'no-socket' ? 'something else than a socket is' : 'nothing is'} at ${gone.at}, though the server listens there: it was removed or replaced`,
      mend: [RESTART],
    });
  if (closed.length === 0) return;
  const group = nameOf('group', account.gid);
  findings.add({
    id: 'socket-rights',
    severity: 'error',
    where,
    problem: `user ${user} cannot connect to ${path}: ${closed.map((obstacle) => refusal(obstacle, user)).join('; ')}`,
    mend: closed.flatMap((obstacle) => mendOf(obstacle, scene, view, group, path)),
  });
}

/** Owner, group and mode, in which the reason is to be seen. */
function refusal({ kind, at, stats }: Obstacle, user: string): string {
  const what = kind === 'end' ? `may not write to ${at}` : `may not enter ${at}`;
  if (stats === undefined) return `${user} ${what}`;
  const { uid, gid, mode } = stats;
  return `${user} ${what} (owner ${nameOf('passwd', uid)}, group ${nameOf('group', gid)}, mode ${octal(mode)})`;
}

/** Permission bits as chmod takes them. */
export function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}

function mendOf(
  { kind, at, stats }: Obstacle,
  { options, owner }: Scene,
  { account, root, cwd }: View,
  group: string,
  path: string,
): Mend[] {
  if (stats === undefined) return [];
  const isMember = [account.gid, ...account.groups].includes(stats.gid);
  const own = dirname(path.startsWith('/') ? `${root}/${path}` : `${cwd}/${path}`);
  if (kind === 'end') {
    const directory = dirname(at);
    return [
      // So that the next socket has the group as well.
      ...(isMember
        ? []
        : [shell(`chgrp ${quoted(group)} ${quoted(directory)}`), shell(`chmod g+xs ${quoted(directory)}`)]),
      ...((options.socketMode & 0o060) === 0o060 ? [] : [option('--socket-mode 0660')]),
      ...(isMember ? [] : [shell(`chgrp ${quoted(group)} ${quoted(at)}`)]),
      shell(`chmod g+rw ${quoted(at)}`),
    ];
  }
  if (isMember) return [shell(`chmod g+x ${quoted(at)}`)];
  // The directory that was made for the socket is nobody else's business.
  const isOfSocket = stats.uid === owner.uid && owner.uid !== 0 && own.replaceAll('//', '/') === at;
  if (isOfSocket) return [shell(`chgrp ${quoted(group)} ${quoted(at)}`), shell(`chmod g+xs ${quoted(at)}`)];
  return [shell(`chmod o+x ${quoted(at)}`)];
}
