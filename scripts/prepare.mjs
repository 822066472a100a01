/**
 * What `npm start` and `npm test` do first: install and build what is missing or outdated, and nothing else. When there
 * is nothing to do it takes some milliseconds.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

const DIST = join(ROOT, 'dist');
const MAIN = join(DIST, 'main.js');

export function installIfNeeded() {
  if (isInstalled()) return;
  console.error('installing packages (npm ci) ...');
  // No package here needs its install script; without them there is nothing to approve.
  const npm = process.env.npm_execpath;
  const [command, ...before] = npm?.endsWith('.js') ? [process.execPath, npm] : ['npm'];
  run(command, [...before, 'ci', '--ignore-scripts', '--no-audit', '--no-fund']);
}

/** Compares what npm last installed with what package-lock.json asks for. */
function isInstalled() {
  const installed = packagesOf(join(ROOT, 'node_modules', '.package-lock.json'));
  if (!installed) return false;
  return Object.entries(packagesOf(join(ROOT, 'package-lock.json')) ?? {}).every(
    // npm leaves out optional packages: those for other systems.
    ([path, { version, optional }]) => path === '' || optional || installed[path]?.version === version,
  );
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

export function buildIfNeeded() {
  const built = existsSync(MAIN) ? statSync(MAIN).mtimeMs : 0;
  const inputs = ['src', 'tsconfig.json', 'package-lock.json'].map((name) => join(ROOT, name));
  // The time of a directory tells of a file that was removed.
  if (inputs.every((input) => newest(input) <= built)) return;
  console.error('building (tsc) ...');
  build();
}

export function build() {
  run(process.execPath, [
    join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'),
    '-p',
    ROOT,
    '--noEmitOnError',
  ]);
  removeOrphans(DIST);
  chmodSync(MAIN, 0o755);
  utimesSync(MAIN, new Date(), new Date());
}

/** Removes what was built from a source that is gone. */
function removeOrphans(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    const source = join(ROOT, 'src', relative(DIST, path)).replace(/\.map$/, '');
    if (!existsSync(source) && !existsSync(source.replace(/\.js$/, '.ts'))) rmSync(path, { recursive: true });
    else if (entry.isDirectory()) removeOrphans(path);
  }
}

function newest(path) {
  const status = statSync(path);
  if (!status.isDirectory()) return status.mtimeMs;
  return Math.max(status.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

function run(command, args) {
  // Standard output stays what the caller's program prints.
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  console.error(`${command} ${args.join(' ')}: ${error?.message ?? `ended with status ${status}`}`);
  process.exit(1);
}
