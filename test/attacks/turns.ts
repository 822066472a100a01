/**
 * How long the turns of a worker's event loop took: of each, the CPU time of its thread without the collector's, which does
 * not grow with what else a machine does.
 */
import { type Span, shareOf } from '../helpers/spans.ts';
import { collectionsOf, RECORDER } from './collections.ts';

/** Runs in each process before the program; the loop of a worker does not rest while it is measured. */
const TURNS = `${RECORDER}
import { openSync, readSync } from 'node:fs';
if (process.send !== undefined) {
  const file = openSync('/proc/thread-self/schedstat');
  const bytes = Buffer.alloc(64);
  const cpuTime = () => parseInt(bytes.latin1Slice(0, readSync(file, bytes, 0, 64, 0))) / 1e6;
  let [began, cpu] = [performance.now(), cpuTime()];
  const look = () => {
    const [now, spent] = [performance.now(), cpuTime()];
    if (now - began > 4) {
      const times = [performance.timeOrigin + began, performance.timeOrigin + now, spent - cpu];
      tell('turn ' + process.pid + ' ' + times.join(' ') + '\\n');
    }
    [began, cpu] = [performance.now(), cpuTime()];
    setImmediate(look);
  };
  setImmediate(look);
}`;

/** The command in front of the program for its workers to write their turns to stderr. */
export const TIMED = ['env', `NODE_OPTIONS=--import data:text/javascript,${encodeURIComponent(TURNS)}`];

/** In milliseconds; 4 where none is longer. */
export interface LongestTurns {
  readonly own: number;
  readonly withCollector: number;
}

/** The longest turns of one process since `from`, from what was written. */
export function longestTurns(pid: number | undefined, stderr: string, from: number): LongestTurns {
  const collections = collectionsOf(pid, stderr);
  const turns = [...stderr.matchAll(/^turn (\d+) ([\d.]+) ([\d.]+) ([\d.]+)$/gm)].flatMap(
    ([, process, begin, end, cpu]) => {
      const turn: Span = { from: Number(begin), to: Number(end) };
      if (Number(process) !== pid || turn.from < from) return [];
      const time = Math.min(turn.to - turn.from, Number(cpu));
      return [{ time, collected: shareOf(turn, collections) }];
    },
  );
  return {
    own: Math.max(4, ...turns.map(({ time, collected }) => time - collected)),
    withCollector: Math.max(4, ...turns.map(({ time }) => time)),
  };
}
