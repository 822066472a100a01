/**
 * The services of a candidate. What the live policy has asked in the same session has the same answer. What it has not
 * asked is asked where that leaves no trace; the store is an overlay; nothing is sent, posted, counted or told.
 */
import type { Answer } from '../asking/answer.ts';
import type { Found } from '../maps/map-server.ts';
import type { Playback } from '../replay/playback.ts';
import type { ServiceName, Services } from '../services/services.ts';
import type { OverlayStore } from '../store/overlay.ts';
import type { LogSink } from '../syslog/log-sink.ts';

/** Requests that change nothing, by RFC 9110. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD']);

const SILENT: LogSink = { write: () => {}, close: async () => {}, dropped: 0, discards: true };

/**
 * @param live services, of which only those are asked that leave no trace
 * @param playback of the session that asks; undefined outside of sessions, while the script is looked at
 * @param log takes the script's own lines
 */
export function shadowServices(
  live: Services,
  playback: () => Playback | undefined,
  overlay: OverlayStore,
  log: LogSink,
): Services {
  const recall = <Value>(
    service: ServiceName,
    method: string,
    args: readonly unknown[],
  ): Answer<Value> | undefined => playback()?.recall(service, method, args) as Answer<Value> | undefined;
  /** For what is never asked. */
  const ask = <Value>(service: ServiceName, method: string, args: readonly unknown[]): Answer<Value> =>
    (playback()?.ask(service, method, args) ?? {
      kind: 'unknown',
      failure: 'unavailable',
      reason: 'unavailable not in a session',
    }) as Answer<Value>;
  return {
    clock: {
      now: () => playback()?.now() ?? live.clock.now(),
      wait: async (milliseconds) => playback()?.wait(milliseconds),
    },
    records: {
      timeoutMs: live.records.timeoutMs,
      recall: (type, name) => recall('records', 'recall', [type, name]) ?? live.records.recall(type, name),
      query: async (type, name, patience) =>
        recall('records', 'query', [type, name]) ?? live.records.query(type, name, patience),
    },
    store: {
      // The same operation was done on the store itself, unless the candidate has written something else before.
      run: async (operation, patience) => {
        const done = overlay.covers(operation.keys) ? undefined : playback()?.recallOperation(operation);
        return (done as Awaited<ReturnType<typeof overlay.run<never>>>) ?? overlay.run(operation, patience);
      },
      now: (operation) => {
        const done = overlay.covers(operation.keys) ? undefined : playback()?.recallOperation(operation);
        return (done as Answer<never> | undefined) ?? overlay.now(operation);
      },
    },
    maps: {
      get states() {
        return live.maps.states;
      },
      open: (spec, place) => live.maps.open(spec, place),
      isOpen: (spec) => live.maps.isOpen(spec),
      recall: (spec, key) =>
        recall<string | null>('maps', 'recall', [spec, key]) ?? live.maps.recall(spec, key),
      query: async (spec, key, patience): Promise<Found> =>
        recall<string | null>('maps', 'query', [spec, key]) ?? live.maps.query(spec, key, patience),
    },
    senders: {
      forward: (address, domain) =>
        recall('senders', 'forward', [address, domain]) ?? live.senders.forward(address, domain),
      reverse: (address) => recall('senders', 'reverse', [address]) ?? live.senders.reverse(address),
      tag: (address) => recall('senders', 'tag', [address]) ?? live.senders.tag(address),
      untag: (address) => recall('senders', 'untag', [address]) ?? live.senders.untag(address),
    },
    keys: live.keys,
    callAhead: { callahead: async (request) => ask('callAhead', 'callahead', [request]) },
    mailer: { send: async (mail) => ask('mailer', 'send', [mail]) },
    geo: {
      recall: (question, address) =>
        recall('geo', 'recall', [question, address]) ?? live.geo.recall(question, address),
      query: async (question, address, patience) =>
        recall('geo', 'query', [question, address]) ?? live.geo.query(question, address, patience),
    },
    scanners: {
      clamd: async (request, patience) =>
        recall('scanners', 'clamd', [request]) ?? live.scanners.clamd(request, patience),
      spamd: async (request, patience) =>
        recall('scanners', 'spamd', [request]) ?? live.scanners.spamd(request, patience),
      rspamd: async (request, patience) =>
        recall('scanners', 'rspamd', [request]) ?? live.scanners.rspamd(request, patience),
    },
    web: {
      fetch: async (request, patience) => {
        if (!SAFE_METHODS.has(request.method)) return ask('web', 'fetch', [request]);
        return recall('web', 'fetch', [request]) ?? live.web.fetch(request, patience);
      },
    },
    metrics: { note: () => {} },
    events: { tell: () => {} },
    log,
    stderr: SILENT,
  };
}
