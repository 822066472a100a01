/**
 * Collecting all garbage, for those who want to know what is alive.
 *
 * V8's `gc()` stops the process for about 1 ms for each MiB that is alive. What V8 does by itself stops it for some 10 ms
 * at a time: it marks what is alive in steps, and beside other work. It has no call for that, but a flag for its tests has
 * the next collection of young objects begin with it.
 */
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collector = (options?: { readonly type: 'minor' }) => void;

/** Time in which V8 has always come to an end, even of gigabytes. */
const PATIENCE_MS = 5_000;

let collector: Collector | undefined;
let running: Promise<void> | undefined;
let next: Promise<void> | undefined;

/** Collects all garbage now; everything else has to wait. */
export function collectNow(): void {
  gc()();
}

/**
 * Collects garbage while other work goes on; settles at the end. What has become garbage just before may be left: V8 may
 * have begun by itself already.
 */
export function collectInSteps(): Promise<void> {
  if (running === undefined) {
    running = collect().finally(() => {
      running = undefined;
    });
    return running;
  }
  next ??= running.then(() => {
    next = undefined;
    return collectInSteps();
  });
  return next;
}

async function collect(): Promise<void> {
  await setImmediate(); // Whoever asks for it has just had a turn.
  await new Promise<void>((resolve) => {
    const observer = new PerformanceObserver((list) => {
      if (list.getEntries().some(isOfAll)) end();
    });
    const timer = setTimeout(() => {
      collectNow();
      end();
    }, PATIENCE_MS);
    const end = (): void => {
      clearTimeout(timer);
      observer.disconnect();
      resolve();
    };
    observer.observe({ entryTypes: ['gc'] });
    setFlagsFromString('--stress-incremental-marking');
    gc()({ type: 'minor' });
    setFlagsFromString('--no-stress-incremental-marking');
  });
}

function isOfAll(entry: object): boolean {
  const { detail } = entry as { readonly detail?: { readonly kind?: number } };
  return detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
}

/** V8 offers its collector only behind a flag, which may be set late. */
function gc(): Collector {
  if (collector === undefined) {
    setFlagsFromString('--expose-gc');
    collector = runInNewContext('gc') as Collector;
    setFlagsFromString('--no-expose-gc');
  }
  return collector;
}
