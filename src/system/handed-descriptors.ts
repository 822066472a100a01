/** Descriptors that the program was started with, and their names: socket activation, sd_listen_fds(3). */

/** SD_LISTEN_FDS_START */
const FIRST = 3;
/** More than a unit can have (DefaultLimitNOFILE); a number beyond is no count of descriptors. */
const MOST = 65_536;

export interface HandedDescriptor {
  readonly fd: number;
  /** FileDescriptorName= of the unit, else the unit's own name. */
  readonly name: string;
}

/**
 * Takes them out of the environment: what this process starts, and a policy, need not see them.
 * @returns none where they are meant for another process
 */
export function takeHandedDescriptors(environment = process.env, pid = process.pid): HandedDescriptor[] {
  const { LISTEN_PID: meant, LISTEN_FDS: count = '', LISTEN_FDNAMES: names = '' } = environment;
  for (const variable of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID'])
    delete environment[variable];
  if (meant !== String(pid) || !/^\d{1,5}$/.test(count) || Number(count) > MOST) return [];
  const named = names.split(':');
  return Array.from({ length: Number(count) }, (_, index) => ({
    fd: FIRST + index,
    name: named[index] || 'unknown',
  }));
}
