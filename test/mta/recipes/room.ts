/**
 * A machine of its own for the recipes of the documentation, so that they can be run as they stand: the documented users,
 * paths and ports are there, and nothing of it is seen outside. It is made of namespaces, with copies of /etc and of
 * Postfix's queue directory, and ends with all its processes.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const MAIN = process.env.MILTER_UNDER_TEST ?? `${ROOT}/dist/main.js`;
const NAMESPACES = [
  ...['--mount', '--net', '--uts', '--ipc', '--pid', '--fork', '--kill-child', '--mount-proc'],
  ...['--propagation', 'private'],
];

// Only perl-base, mount and the shell are needed. 0x8914 is SIOCSIFFLAGS, 0x41 IFF_UP and IFF_RUNNING.
const FURNISH = `
set -e
hostname mta.test
perl -MSocket -e 'socket(S, AF_INET, SOCK_DGRAM, 0) or die; $up = pack("a16 S x22", "lo", 0x41); ioctl(S, 0x8914, $up) or die'
umask 022
mount -t tmpfs room /mnt
mkdir /mnt/spool /mnt/lib /mnt/log /mnt/run /mnt/bin /mnt/real-bin
cp -a /etc /mnt/etc
[ ! -d /var/spool/postfix ] || cp -a /var/spool/postfix /mnt/spool/
mount --bind /usr/local/bin /mnt/real-bin
for program in /mnt/real-bin/*; do ln -s "$program" /mnt/bin/; done
rm -f /mnt/bin/smtpf-milter
printf '#!/bin/sh\\nexec %s %s "$@"\\n' "$NODE" "$MAIN" >/mnt/bin/smtpf-milter
chmod 755 /mnt/bin/smtpf-milter
mount --bind /mnt/bin /usr/local/bin
mount --bind /mnt/etc /etc
mount --bind /mnt/spool /var/spool
mount --bind /mnt/lib /var/lib
mount --bind /mnt/log /var/log
mount --bind /mnt/run /run
# Not exec: the shell, as process 1, reaps what daemons leave behind.
"$NODE" --import "$TSX" "$@" || exit $?
exit 0
`;

/** Why there can be no room here, in one line; undefined when there can. */
export function roomUnavailable(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return 'the recipes are tried by root on Linux';
  const { status } = spawnSync('/usr/bin/unshare', [...NAMESPACES, '/bin/true']);
  return status === 0 ? undefined : 'the recipes need namespaces: run with CAP_SYS_ADMIN and CAP_NET_ADMIN';
}

/** Runs a file of this folder in a new room to its end. */
export function runInRoom(file: string): { readonly code: number | null; readonly output: string } {
  const own = Object.entries(process.env).filter(([name]) => !/^(SMTPF_MILTER_|NODE_TEST)/.test(name));
  const program = fileURLToPath(new URL(file, import.meta.url));
  const result = spawnSync('/usr/bin/unshare', [...NAMESPACES, '/bin/sh', '-c', FURNISH, 'sh', program], {
    cwd: '/',
    env: {
      ...Object.fromEntries(own),
      NODE: process.execPath.replace(/^\/usr\/local\/bin\//, '/mnt/real-bin/'),
      TSX: `${ROOT}/node_modules/tsx/dist/loader.mjs`,
      MAIN,
      SMTPF_MILTER_WARM_UP: '0',
      SMTPF_MILTER_SYSLOG: 'stderr',
    },
    encoding: 'utf8',
    timeout: 600_000,
    killSignal: 'SIGKILL',
    maxBuffer: 1 << 26,
  });
  return { code: result.status, output: `${result.stdout}${result.stderr}` };
}
