/** The services of a replay: they answer as in the recording of the session that is played. */
import { type Answer, known } from '../asking/answer.ts';
import type { SigningKey } from '../mail-auth/signing-key.ts';
import type { Found } from '../maps/map-server.ts';
import { isLocal, OfflineMaps } from '../maps/offline-maps.ts';
import type { ServiceName, Services } from '../services/services.ts';
import type { LogSink } from '../syslog/log-sink.ts';
import type { Playback } from './playback.ts';

/** Keys that stand for those that signed, of which a recording has only the algorithm. */
export interface StandInKeys {
  readonly rsa: SigningKey;
  readonly ed25519: SigningKey;
}

const SILENT: LogSink = { write: () => {}, close: async () => {}, dropped: 0, discards: true };
const NO_LOG = { notice: () => {}, warning: () => {} };

/** @param playback of the session that is played */
export function replayServices(playback: () => Playback, keys: StandInKeys): Services {
  const ask = <Value>(service: ServiceName, method: string, args: readonly unknown[]): Answer<Value> =>
    playback().ask(service, method, args) as Answer<Value>;
  const recall = <Value>(
    service: ServiceName,
    method: string,
    args: readonly unknown[],
  ): Answer<Value> | undefined => playback().recall(service, method, args) as Answer<Value> | undefined;
  const files = new OfflineMaps(NO_LOG, 'not in the recording');
  const opened = new Set<string>();
  /** A table that is on this machine answers what was not asked then; a server is never asked. */
  const openFile = async (spec: string, place: Buffer | undefined): Promise<void> => {
    try {
      await files.open(spec, place);
    } catch (error) {
      if (recall('maps', 'open', [spec]) === undefined) throw error;
    }
  };
  const isRead = (spec: string) => isLocal(spec) && files.isOpen(spec);
  return {
    clock: {
      now: () => playback().now(),
      wait: async (milliseconds) => playback().wait(milliseconds),
    },
    records: {
      timeoutMs: 5000,
      recall: (type, name) => recall('records', 'recall', [type, name]),
      query: async (type, name) => ask('records', 'query', [type, name]),
    },
    store: { run: async (operation) => ask('store', 'run', [operation]) },
    maps: {
      states: [],
      open: async (spec, place) => {
        if (isLocal(spec)) await openFile(spec, place);
        opened.add(spec);
        return known('open');
      },
      isOpen: (spec) => opened.has(spec),
      recall: (spec, key) =>
        recall<string | null>('maps', 'recall', [spec, key]) ??
        (isRead(spec) ? files.recall(spec, key) : undefined),
      query: async (spec, key, patience): Promise<Found> => {
        if (!isRead(spec)) return ask('maps', 'query', [spec, key]);
        return recall<string | null>('maps', 'query', [spec, key]) ?? files.query(spec, key, patience);
      },
    },
    senders: {
      forward: (address, domain) => ask('senders', 'forward', [address, domain]),
      reverse: (address) => ask('senders', 'reverse', [address]),
      tag: (address) => ask('senders', 'tag', [address]),
      untag: (address) => ask('senders', 'untag', [address]),
    },
    keys: {
      key: (text) => {
        const then = recall<unknown>('keys', 'key', [text]);
        if (then?.kind === 'unknown') return then;
        return known(then?.value === 'ed25519-sha256' ? keys.ed25519 : keys.rsa);
      },
    },
    callAhead: { callahead: async (request) => ask('callAhead', 'callahead', [request]) },
    mailer: { send: async (mail) => ask('mailer', 'send', [mail]) },
    geo: {
      recall: (question, address) => recall('geo', 'recall', [question, address]),
      query: async (question, address) => ask('geo', 'query', [question, address]),
    },
    scanners: {
      clamd: async (request) => ask('scanners', 'clamd', [request]),
      spamd: async (request) => ask('scanners', 'spamd', [request]),
      rspamd: async (request) => ask('scanners', 'rspamd', [request]),
    },
    web: { fetch: async (request) => ask('web', 'fetch', [request]) },
    metrics: { note: () => {} },
    events: { tell: () => {} },
    log: SILENT,
    stderr: SILENT,
  };
}
