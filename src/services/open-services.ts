/** The services of the system. */

import { type Answer, known, unknown } from '../asking/answer.ts';
import type { BreakerNews } from '../asking/breaker.ts';
import { Dns } from '../dns/dns.ts';
import type { Events } from '../events/event.ts';
import { GeoFiles } from '../geo/geo.ts';
import { AddressGuard, type Network } from '../http/guard.ts';
import { GuardedWeb } from '../http/web.ts';
import { OwnSenders, readSecrets } from '../mail-auth/own-senders.ts';
import { SigningKeys } from '../mail-auth/signing-keys.ts';
import { CachedCallAhead } from '../mail-client/call-ahead.ts';
import { type MailerSettings, SmarthostMailer } from '../mail-client/mailer.ts';
import { type MapLog, Maps } from '../maps/maps.ts';
import type { RedisSource } from '../maps/redis-map.ts';
import type { Metrics } from '../metrics/metric.ts';
import type { ScannerAddress } from '../scanners/conversation.ts';
import type { RspamdPlace } from '../scanners/rspamd.ts';
import { GuardedScanners } from '../scanners/scanners.ts';
import { SharedStore } from '../store/store.ts';
import type { StoreAddress } from '../store/store-address.ts';
import type { LogSink } from '../syslog/log-sink.ts';
import { StderrSink } from '../syslog/stderr-sink.ts';
import { type ReadSecret, SecretFile } from '../system/secret-file.ts';
import { SYSTEM_CLOCK } from './clock.ts';
import type { Services } from './services.ts';

export interface ServiceSettings extends MailerSettings {
  /** DNS servers, `ADDRESS:PORT`; empty for those of /etc/resolv.conf. */
  readonly dnsServer: readonly string[];
  /** Time after which a look-up in the DNS is given up. */
  readonly dnsTimeoutMs: number;
  /** Networks that requests of policies may reach besides the Internet. */
  readonly httpAllow: readonly Network[];
  /** Where the scanners are; undefined without. */
  readonly clamd: ScannerAddress | undefined;
  readonly spamd: ScannerAddress | undefined;
  readonly rspamd: RspamdPlace | undefined;
  /** Files that say where addresses are. */
  readonly geo: readonly string[];
  /** Where the store is; undefined: in the memory of this process. */
  readonly store: StoreAddress | undefined;
  readonly storeBytes: number;
  readonly storePrefix: string;
  /** Whether this process takes away what has ended in the store: one of those that share it does. */
  readonly sweeps: boolean;
  /** File with the secrets for senders; undefined without. */
  readonly srsSecret: string | undefined;
  /** Domains of ours, in lower case. */
  readonly srsDomain: readonly string[];
  /** Files of keys that sign. */
  readonly signingKey: readonly string[];
  /** Files with secrets that were read at the start. */
  readonly secrets: readonly ReadSecret[];
  /** Whether lines on standard error are JSON. */
  readonly logsJson: boolean;
  /** Where the policy's own figures, and its events, go; nowhere without. */
  readonly metrics?: Metrics | undefined;
  readonly events?: Events | undefined;
}

/** What is there besides the ports themselves, for who looks after the server. */
export interface OpenServices extends Services {
  readonly maps: Maps;
  readonly store: SharedStore;
  readonly geo: GeoFiles;
  /** Servers that do not answer and are left alone for a while. */
  readonly silent: Readonly<Record<'http' | 'scan' | 'callahead' | 'send', ReadonlySet<string>>>;
}

/**
 * Opens nothing before it is asked.
 * @param log where the script's own lines go @param programLog what is said of the services themselves
 */
export function openServices(settings: ServiceSettings, log: LogSink, programLog: MapLog): OpenServices {
  const { dnsServer, dnsTimeoutMs, httpAllow, store, storeBytes, storePrefix, sweeps, logsJson } = settings;
  const silent = {
    http: new Set<string>(),
    scan: new Set<string>(),
    callahead: new Set<string>(),
    send: new Set<string>(),
  };
  const tell =
    (service: keyof typeof silent) =>
    (news: BreakerNews): void => {
      const { subject, isOpen, reason } = news;
      if (isOpen) {
        silent[service].add(subject);
        programLog.warning(`${subject} does not answer: ${reason}`);
      } else {
        silent[service].delete(subject);
        programLog.notice(`${subject} answers again`);
      }
    };
  const dns = new Dns({ servers: dnsServer, timeoutMs: dnsTimeoutMs });
  const shared = new SharedStore(
    {
      address: store ?? { kind: 'memory' },
      maxBytes: storeBytes,
      prefix: storePrefix,
      now: () => SYSTEM_CLOCK.now(),
      sweeps,
    },
    programLog,
  );
  return {
    silent,
    clock: SYSTEM_CLOCK,
    records: dns,
    maps: new Maps(programLog, redisOf(store, shared)),
    store: shared,
    senders: ownSenders(settings, programLog),
    keys: new SigningKeys(
      settings.secrets.filter(({ path }) => settings.signingKey.includes(path)),
      (message) => programLog.warning(message),
    ),
    callAhead: new CachedCallAhead(shared, dns, settings.ownAddress, tell('callahead'), settings.listening),
    mailer: new SmarthostMailer(settings, shared, tell('send')),
    geo: new GeoFiles(settings.geo, programLog),
    scanners: new GuardedScanners(settings, tell('scan')),
    web: new GuardedWeb(new AddressGuard(httpAllow), tell('http')),
    metrics: settings.metrics ?? { note: () => {} },
    events: settings.events ?? { tell: () => {} },
    log,
    stderr: new StderrSink(process.stderr, undefined, logsJson),
  };
}

/** What maps in Redis ask. @param address undefined: nobody has said where the store is, so that none of them is wrong */
function redisOf(address: StoreAddress | undefined, store: SharedStore): RedisSource | undefined {
  if (address !== undefined && address.kind !== 'redis') return undefined;
  return {
    address: store.status.address,
    get trouble() {
      const { reason } = store.status;
      return reason && `does not answer: ${reason}`;
    },
    get: (key, patience) => store.askRedis('redis GET', patience, (redis) => redis.get(key)),
    has: (set, member, patience) =>
      store.askRedis('redis SISMEMBER', patience, (redis) => redis.has(set, member)),
  };
}

function ownSenders({ srsSecret, srsDomain, secrets }: ServiceSettings, log: MapLog): OwnSenders {
  const given = secrets.find(({ path }) => path === srsSecret)?.bytes;
  const file =
    srsSecret === undefined
      ? undefined
      : new SecretFile(srsSecret, srsSecret, readSecrets, (message) => log.warning(message), given);
  const [first, ...others] = srsDomain;
  return new OwnSenders(
    () => (file === undefined ? unknown('unavailable', 'no --srs-secret') : answerOf(file, '--srs-secret')),
    () => (first === undefined ? unknown('unavailable', 'no --srs-domain') : known([first, ...others])),
    () => SYSTEM_CLOCK.now(),
  );
}

function answerOf<Content>(file: SecretFile<Content>, name: string): Answer<Content> {
  const found = file.get();
  return 'content' in found
    ? known(found.content)
    : unknown(found.isWrong ? 'protocol' : 'unavailable', `${name}: ${found.problem}`);
}
