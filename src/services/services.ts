/**
 * The ports by which the Lua modules of a policy reach the world: nothing else leads them there.
 *
 * They are built for the system (open-services.ts), in a test from its world (policy-test/world.ts), and either of these
 * with what is asked and answered told to somebody (recorded.ts). A further service is a field here and its builder.
 */
import type { RecordSource } from '../dns/records.ts';
import type { Events } from '../events/event.ts';
import type { Geo } from '../geo/geo.ts';
import type { Web } from '../http/web.ts';
import type { SenderSource } from '../mail-auth/own-senders.ts';
import type { KeySource } from '../mail-auth/signing-keys.ts';
import type { CallAhead } from '../mail-client/call-ahead.ts';
import type { Mailer } from '../mail-client/mailer.ts';
import type { MapSource } from '../maps/maps.ts';
import type { Metrics } from '../metrics/metric.ts';
import type { Scanners } from '../scanners/scanners.ts';
import type { Store } from '../store/store.ts';
import type { LogSink } from '../syslog/log-sink.ts';
import type { Clock } from './clock.ts';

export interface Services {
  readonly clock: Clock;
  /** The DNS. */
  readonly records: RecordSource;
  /** What policies remember. */
  readonly store: Store;
  /** Tables that others keep. */
  readonly maps: MapSource;
  /** Senders that only this server can have made. */
  readonly senders: SenderSource;
  /** Keys that sign mail. */
  readonly keys: KeySource;
  /** Other mail servers, asked about recipients. */
  readonly callAhead: CallAhead;
  /** The server that takes mail of the policy's own. */
  readonly mailer: Mailer;
  /** Where addresses are. */
  readonly geo: Geo;
  /** Scanners of messages. */
  readonly scanners: Scanners;
  /** Web servers. */
  readonly web: Web;
  /** Figures of the policy's own. */
  readonly metrics: Metrics;
  /** What programs are told of. */
  readonly events: Events;
  /** Where the lines of the script itself go. */
  readonly log: LogSink;
  /** Where they go besides when a session has asked for that. */
  readonly stderr: LogSink;
}

export type ServiceName = keyof Services;
