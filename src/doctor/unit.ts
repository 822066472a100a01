/** Who the service is, where systemd starts it. */
import { spawnSync } from 'node:child_process';
import { type Account, accountNamed, lookUpGroup } from '../system/privileges.ts';

export const UNIT = 'smtpf-milter.service';
const PATIENCE_MS = 5_000;

/**
 * The user of the unit with its groups.
 * @returns undefined where there is no such unit, no `User=` in it, or no systemd
 * @throws OperatorError where the user or a group is not there
 */
export function accountOfUnit(): Account | undefined {
  const { status, stdout } = spawnSync(
    'systemctl',
    ['show', '--property=LoadState,User,Group,SupplementaryGroups', UNIT],
    { encoding: 'utf8', timeout: PATIENCE_MS },
  );
  if (status !== 0) return undefined;
  const property = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1] ?? '';
  const user = property('User');
  if (property('LoadState') !== 'loaded' || user === '') return undefined;
  const account = accountNamed(`${UNIT}: User`, user, property('Group') || undefined);
  const more = property('SupplementaryGroups').split(' ').filter(Boolean);
  return {
    ...account,
    groups: [...account.groups, ...more.map((group) => lookUpGroup(`${UNIT}: SupplementaryGroups`, group))],
  };
}
