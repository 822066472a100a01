/** Directories that systemd makes for a service, and names in its environment: RuntimeDirectory=, StateDirectory=. */

/**
 * The first directory of a variable, in which several stand with colons between.
 * @param variable `RUNTIME_DIRECTORY` or `STATE_DIRECTORY`
 * @returns an absolute path; undefined where there is none
 */
export function firstDirectory(variable: string): string | undefined {
  const [first = ''] = (process.env[variable] ?? '').split(':');
  return first.startsWith('/') ? first : undefined;
}
