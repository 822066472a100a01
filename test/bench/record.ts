/** Rows of the table at the end of docs/speed.md: what was measured of which commit. Rows are added, never replaced. */
import { spawnSync } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import type { Profile } from './measure.ts';

export interface Measured {
  readonly profile: Profile;
  /** Sessions a second, and their CPU time in microseconds. */
  readonly perSecond: number;
  readonly cpuUs: number;
  /** Ours divided by libmilter's, where that was measured too. */
  readonly ratio?: { readonly perSecond: number; readonly cpu: number };
}

const HEAD =
  '| date | commit | Node.js | profile | sessions a second | of libmilter’s | CPU, µs | of libmilter’s |';

/** @param file which ends with the table */
export function appendRows(
  file: string | URL,
  measured: readonly Measured[],
  date: Date,
  commit: string,
): void {
  const text = readFileSync(file, 'utf8');
  const table = text.slice(text.lastIndexOf(HEAD));
  if (!table.startsWith(HEAD) || !/^(\|.*\|\n)+$/.test(table))
    throw new Error(`${file}: does not end with the table | date | commit | ...`);
  const day = date.toISOString().slice(0, 10);
  const rows = measured.map(({ profile, perSecond, cpuUs, ratio }) => {
    const rates = [perSecond.toFixed(0), ratio?.perSecond.toFixed(2) ?? ''];
    const costs = [cpuUs.toFixed(0), ratio?.cpu.toFixed(2) ?? ''];
    return `| ${[day, commit, process.version, profile, ...rates, ...costs].join(' | ')} |\n`;
  });
  appendFileSync(file, rows.join(''));
}

/** The commit that is measured, with a `+` where the program has changed since. */
export function commitOf(folder: URL): string {
  const git = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync('git', args, { cwd: folder, encoding: 'utf8' });
    if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  };
  return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', 'src') === '' ? '' : '+'}`;
}
