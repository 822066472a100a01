/** When V8's collector had the processes of a server stopped, so that its share of a neighbour's wait can be told. */
import type { Span } from '../helpers/spans.ts';

/** Runs in each process before the program, which may be forbidden to read or write files. */
export const RECORDER = `
import { writeSync } from 'node:fs';
import { performance, PerformanceObserver } from 'node:perf_hooks';
let untold = '';
let retry;
// A pipe that is full takes nothing, or as much at once as is written here: lines stay whole.
const tell = (line) => {
  untold += line;
  try {
    while (untold !== '') untold = untold.slice(writeSync(2, untold.slice(0, untold.lastIndexOf('\\n', 4000) + 1)));
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error;
    retry ??= setTimeout(() => {
      retry = undefined;
      tell('');
    }, 10).unref();
  }
};
new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) {
    const from = performance.timeOrigin + startTime;
    tell('collected ' + process.pid + ' ' + from + ' ' + (from + duration) + '\\n');
  }
}).observe({ entryTypes: ['gc'] });`;

/** The command in front of the program for it to write its collections to stderr. */
export const RECORDED = ['env', `NODE_OPTIONS=--import data:text/javascript,${encodeURIComponent(RECORDER)}`];

/** Those of one process, by the clock on the wall in milliseconds, from what was written. */
export function collectionsOf(pid: number | undefined, stderr: string): Span[] {
  const lines = stderr.matchAll(/collected (\d+) ([\d.]+) ([\d.]+)\n/g);
  return [...lines]
    .filter(([, process]) => Number(process) === pid)
    .map(([, , from, to]) => ({ from: Number(from), to: Number(to) }));
}
