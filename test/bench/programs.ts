/** The C programs of the benchmark, compiled into a passing folder when it starts. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export interface Programs {
  /** The load generator; see load.c. */
  readonly load: string;
  /** The libmilter filter; undefined where libmilter is not installed. */
  readonly filter: string | undefined;
  /** One line for each thing that is not here. */
  readonly missing: readonly string[];
}

const HERE = new URL('.', import.meta.url).pathname;

/** @throws Error when there is no compiler: nothing can be measured then. */
export function compilePrograms(folder: string): Programs {
  const compiler = process.env['CC'] ?? 'gcc';
  if (spawnSync(compiler, ['--version']).status !== 0) {
    throw new Error(`${compiler} is missing: the load generator is in C (Debian: gcc libc6-dev)`);
  }
  const build = (name: string, libraries: readonly string[]): string | undefined => {
    const program = join(folder, name);
    const source = join(HERE, `${name}.c`);
    const { status, stderr } = spawnSync(compiler, ['-O2', '-o', program, source, ...libraries]);
    if (status === 0) return program;
    if (libraries.includes('-lmilter')) return undefined;
    throw new Error(`${source} cannot be compiled: ${stderr}`);
  };
  const load = build('load', []) ?? '';
  const filter = build('libmilter-filter', ['-lmilter', '-lpthread']);
  const missing = filter === undefined ? ['libmilter is missing: no comparison (Debian: libmilter-dev)'] : [];
  return { load, filter, missing };
}
