/** Families as the text that Prometheus reads: the only user of prom-client, which is loaded when it is first needed. */
import { createRequire } from 'node:module';
import { setImmediate as others } from 'node:timers/promises';
import type { Metric } from 'prom-client';
import type { Family } from './family.ts';

type PromClient = typeof import('prom-client');

let loaded: PromClient | undefined;

/** Loads the package. */
export function loadExposition(): PromClient {
  loaded ??= createRequire(import.meta.url)('prom-client') as PromClient;
  return loaded;
}

/** The lines that are made before others have their turn: some milliseconds. */
const LINES_AT_ONCE = 500;

/** @returns the whole text, and its type as HTTP says it */
export async function expose(families: readonly Family[]): Promise<{ text: string; type: string }> {
  const { Registry } = loadExposition();
  const registry = new Registry();
  const texts: string[] = [];
  let lines = 0;
  for (const family of families) {
    registry.registerMetric(metricOf(family));
    texts.push(await registry.getSingleMetricAsString(family.name));
    lines += family.samples.length;
    if (lines < LINES_AT_ONCE) continue;
    lines = 0;
    await others();
  }
  return { text: `${texts.join('\n')}\n`, type: registry.contentType };
}

/** What prom-client needs of one of its own metrics to print it. */
function metricOf({ name, help, type, samples }: Family): Metric {
  const values = samples.map(({ suffix = '', labels, value }) => ({
    metricName: `${name}${suffix}`,
    labels: Object.fromEntries(labels),
    value,
  }));
  const metric = { name, get: async () => ({ name, help, type, values, aggregator: 'sum' }) };
  return metric as unknown as Metric;
}
