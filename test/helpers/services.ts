/** Services for tests that open modules by themselves: the system's clock, an empty zone, logs that keep what they get. */

import { unknown } from '../../src/asking/answer.ts';
import { Zone } from '../../src/dns/zone.ts';
import { GeoFiles } from '../../src/geo/geo.ts';
import { NoWeb } from '../../src/http/web.ts';
import { OwnSenders } from '../../src/mail-auth/own-senders.ts';
import { SigningKeys } from '../../src/mail-auth/signing-keys.ts';
import { NoCallAhead } from '../../src/mail-client/call-ahead.ts';
import { NoMailer } from '../../src/mail-client/mailer.ts';
import { Maps } from '../../src/maps/maps.ts';
import { MemoryStore } from '../../src/modules/kv/fake.ts';
import { MetricWorld } from '../../src/modules/metric/fake.ts';
import { NoScanners } from '../../src/scanners/scanners.ts';
import { SYSTEM_CLOCK } from '../../src/services/clock.ts';
import type { Services } from '../../src/services/services.ts';
import { LogRecorder } from './milter-server.ts';

export function servicesWith(some: Partial<Services> = {}): Services {
  return {
    clock: SYSTEM_CLOCK,
    records: new Zone(),
    store: new MemoryStore(SYSTEM_CLOCK),
    senders: new OwnSenders(
      () => unknown('unavailable', 'no --srs-secret'),
      () => unknown('unavailable', 'no --srs-domain'),
      () => SYSTEM_CLOCK.now(),
    ),
    keys: new SigningKeys([], () => {}),
    callAhead: new NoCallAhead('is not asked'),
    mailer: new NoMailer('is not asked'),
    geo: new GeoFiles([], { notice: () => {}, warning: () => {} }),
    scanners: new NoScanners('is not asked'),
    web: new NoWeb('is not asked'),
    maps: new Maps({ notice: () => {}, warning: () => {} }),
    metrics: new MetricWorld(),
    events: { tell: () => {} },
    log: new LogRecorder(),
    stderr: new LogRecorder(),
    ...some,
  };
}
