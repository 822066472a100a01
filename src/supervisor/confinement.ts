/**
 * `--confine`: workers under Node's permission model, which lets them open only the files that they need. It is Node's own
 * check of paths in JavaScript, and no wall around the process: see SECURITY.md.
 */
import { dirname, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Options } from '../options/option-table.ts';
import { packagePathOf } from '../options/options.ts';
import { EXIT, OperatorError } from '../text/operator-error.ts';

/** Where package.json is, and this program's modules below it. */
const PROGRAM = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** What resolver, time zones and a policy's random numbers come from, and what tells a process about itself. */
const SYSTEM = [
  ...['/etc/mail', '/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf', '/etc/localtime', '/etc/timezone'],
  ...['/usr/share/zoneinfo', '/proc/self', '/dev/null', '/dev/zero', '/dev/random', '/dev/urandom'],
];

/** Node says with every start that the model is new, and that what is allowed here is dangerous. */
const QUIET = ['ExperimentalWarning', 'SecurityWarning'].map((name) => `--disable-warning=${name}`);

/** The first that this Node has. */
const FLAGS = ['--permission', '--experimental-permission'];

/** @param known the flags of this Node. @throws OperatorError where `--confine` is asked for and cannot be had */
export function requireConfinement(
  { confine, workers }: Pick<Options, 'confine' | 'workers'>,
  known: ReadonlySet<string> = process.allowedNodeEnvironmentFlags,
): void {
  if (!confine) return;
  if (workers === 0)
    throw new OperatorError(
      '--confine: worker processes are confined, and there are none with --workers 0',
      EXIT.config,
    );
  if (!FLAGS.some((flag) => known.has(flag)) || !known.has('--allow-addons'))
    throw new OperatorError(
      `--confine: Node.js ${process.version} has no permission model that a worker could run under: it takes 20.19, 22.12 or newer`,
      EXIT.config,
    );
}

/** What Node is told of a worker process; nothing without `--confine`. @param spool the directory in use */
export function confinementArguments(options: Options, spool: string): string[] {
  if (!options.confine) return [];
  const known = process.allowedNodeEnvironmentFlags;
  const written = writable(options, spool);
  const allowed = [
    ...(options.syslog.kind === 'local' || options.store?.kind === 'lmdb' ? ['--allow-addons'] : []),
    ...(options.allowExecute ? ['--allow-child-process'] : []),
    // From Node 25 on the model guards the network too.
    ...(known.has('--allow-net') ? ['--allow-net'] : []),
  ];
  return [
    ...FLAGS.filter((flag) => known.has(flag)).slice(0, 1),
    ...granted('read', [...readable(options), ...written]),
    ...granted('write', written),
    ...allowed,
    ...QUIET,
  ];
}

function readable(options: Options): string[] {
  // Packages beside this one, where it is installed among others.
  const [above, ...below] = PROGRAM.split(`${sep}node_modules${sep}`);
  const packages = below.length > 0 ? [`${above}${sep}node_modules`] : [];
  const modules = packagePathOf(options)
    .split(';')
    .map((pattern) => dirname(pattern.replace(/\?.*$/s, '?')));
  const secrets = [...(options.srsSecret === undefined ? [] : [options.srsSecret]), ...options.signingKey];
  return [
    ...[PROGRAM, ...packages, dirname(options.script), ...modules],
    ...(options.shadow === undefined ? [] : [dirname(options.shadow)]),
    ...[...SYSTEM, ...options.confineRead, ...secrets, ...options.geo],
  ];
}

/** Where a worker keeps files. */
function writable({ confineWrite, store, record }: Options, spool: string): string[] {
  const recording = record === undefined ? [] : [record];
  return [spool, '/dev/null', ...recording, ...(store?.kind === 'lmdb' ? [store.path] : []), ...confineWrite];
}

/**
 * Each is a file, or a directory and all in it, as Node itself finds. In order, and none below another: Node 20 ends where
 * a path follows one that begins with it.
 */
function granted(what: 'read' | 'write', paths: readonly string[]): string[] {
  const isBelow = (path: string) =>
    paths.some((other) => path !== other && path.startsWith(other === '/' ? '/' : `${other}/`));
  const places = [...new Set(paths)].filter((path) => !isBelow(path)).sort();
  return places.map((path) => `--allow-fs-${what}=${path === '/' ? '*' : path}`);
}
