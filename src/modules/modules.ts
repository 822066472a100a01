/** The Lua modules of a policy, one row each: who adds a module adds its folder and its row. */
import { loadMmdb } from '../geo/database.ts';
import { loadMailauth } from '../mail-auth/mailauth.ts';
import { loadNodemailer } from '../mail-client/submission.ts';
import { loadRe2 } from '../maps/re2.ts';
import { loadCharsets } from '../message/charset.ts';
import { authApi } from './auth/api.ts';
import { beginMessage } from './auth/arriving.ts';
import { keysFake } from './auth/fake.ts';
import { openAuth } from './auth/library.ts';
import { beginSimpleBody, SIMPLE_BODY_FORMS } from './auth/simple-body.ts';
import { base64Api } from './base64/api.ts';
import { openBase64 } from './base64/library.ts';
import { batvApi } from './batv/api.ts';
import { openBatv } from './batv/library.ts';
import { callAheadApi } from './callahead/api.ts';
import { callAheadFake } from './callahead/fake.ts';
import { openCallAhead } from './callahead/library.ts';
import { dnsApi } from './dns/api.ts';
import { dnsFake } from './dns/fake.ts';
import { openDns } from './dns/library.ts';
import type { Fake } from './fake.ts';
import { geoApi } from './geo/api.ts';
import { geoFake } from './geo/fake.ts';
import { openGeo } from './geo/library.ts';
import { greyApi } from './grey/api.ts';
import { openGrey } from './grey/library.ts';
import { hashApi } from './hash/api.ts';
import { openHash } from './hash/library.ts';
import { httpApi } from './http/api.ts';
import { httpFake } from './http/fake.ts';
import { openHttp } from './http/library.ts';
import { jobApi } from './job/api.ts';
import { openJob } from './job/library.ts';
import { jsonApi } from './json/api.ts';
import { openJson } from './json/library.ts';
import { kvApi } from './kv/api.ts';
import { kvFake } from './kv/fake.ts';
import { openKv } from './kv/library.ts';
import { limitApi } from './limit/api.ts';
import { openLimit } from './limit/library.ts';
import { logApi } from './log/api.ts';
import { logFake } from './log/fake.ts';
import { openLog } from './log/library.ts';
import { mapApi } from './map/api.ts';
import { mapFake } from './map/fake.ts';
import { openMap } from './map/library.ts';
import { bodyApi, headerApi } from './message/api.ts';
import { openBody } from './message/body.ts';
import { openHeader } from './message/header.ts';
import { metricApi } from './metric/api.ts';
import { metricFake } from './metric/fake.ts';
import { openMetric } from './metric/library.ts';
import { mimeApi } from './mime/api.ts';
import { installMime, openMime } from './mime/library.ts';
import type { Module } from './module.ts';
import { netApi } from './net/api.ts';
import { loadSuffixes } from './net/domain.ts';
import { openNet } from './net/library.ts';
import { rateApi } from './rate/api.ts';
import { openRate } from './rate/library.ts';
import { scanApi } from './scan/api.ts';
import { scanFake } from './scan/fake.ts';
import { openScan } from './scan/library.ts';
import { sendApi } from './send/api.ts';
import { sendFake } from './send/fake.ts';
import { openSend } from './send/library.ts';
import { smtpChapters } from './smtp/api.ts';
import { callbacksChapter } from './smtp/callbacks.ts';
import { openSmtp } from './smtp/library.ts';
import { installSmtp } from './smtp/table.ts';
import { srsApi } from './srs/api.ts';
import { srsFake } from './srs/fake.ts';
import { openSrs } from './srs/library.ts';
import { syslogApi, syslogConstants } from './syslog/api.ts';
import { openSyslog } from './syslog/library.ts';
import { textApi } from './text/api.ts';
import { openText } from './text/library.ts';
import { uriApi } from './uri/api.ts';
import { openUri } from './uri/library.ts';

/** Of an optional package: who asks is told that it is missing. */
function ifThere(load: () => unknown): () => void {
  return () => {
    try {
      load();
    } catch {
      // The functions say so.
    }
  };
}

/** In the order of the reference. */
export const MODULES: readonly Module[] = [
  { api: [callbacksChapter, ...smtpChapters], open: openSmtp, install: installSmtp },
  {
    api: [headerApi],
    open: openHeader,
    packages: [{ for: ['header.get', 'header.all', 'header.addr'], load: loadCharsets }],
  },
  { api: [bodyApi], open: openBody },
  {
    api: [mimeApi],
    open: openMime,
    install: installMime,
    packages: [{ for: ['mime.parts', 'mime.banner'], load: loadCharsets }],
    readsMessage: ['mime.parts', 'mime.defects', 'mime.add', 'mime.banner'],
    readsFromMemory: true,
  },
  { api: [syslogApi, syslogConstants], open: openSyslog, isRequired: true },
  { api: [logApi], open: openLog, fakes: [logFake] },
  { api: [metricApi], open: openMetric, fakes: [metricFake] },
  { api: [dnsApi], open: openDns, isRequired: true, fakes: [dnsFake] },
  { api: [jobApi], open: openJob },
  { api: [netApi], open: openNet, packages: [{ for: ['net.domain'], load: loadSuffixes }] },
  { api: [kvApi], open: openKv, fakes: [kvFake] },
  { api: [rateApi], open: openRate },
  { api: [greyApi], open: openGrey },
  { api: [limitApi], open: openLimit },
  { api: [mapApi], open: openMap, fakes: [mapFake] },
  {
    api: [textApi],
    open: openText,
    packages: [
      { for: ['text.re'], load: loadRe2 },
      { for: ['text.utf8'], load: loadCharsets },
    ],
  },
  { api: [hashApi], open: openHash },
  { api: [base64Api], open: openBase64 },
  { api: [jsonApi], open: openJson },
  { api: [uriApi], open: openUri },
  { api: [httpApi], open: openHttp, fakes: [httpFake] },
  {
    api: [authApi],
    open: openAuth,
    packages: [{ for: ['auth.spf', 'auth.check', 'auth.sign', 'auth.seal'], load: loadMailauth }],
    listening: [
      { for: ['auth.check', 'auth.sign', 'auth.seal'], begin: beginMessage },
      { for: SIMPLE_BODY_FORMS, begin: beginSimpleBody },
    ],
    fakes: [keysFake],
  },
  {
    api: [scanApi],
    open: openScan,
    fakes: [scanFake],
    readsMessage: ['scan.clamd', 'scan.spamd', 'scan.rspamd'],
  },
  { api: [callAheadApi], open: openCallAhead, fakes: [callAheadFake] },
  {
    api: [sendApi],
    open: openSend,
    packages: [{ for: ['smtp.send'], load: ifThere(loadNodemailer) }],
    fakes: [sendFake],
  },
  {
    api: [geoApi],
    open: openGeo,
    packages: [{ for: ['geo.country', 'geo.asn'], load: ifThere(loadMmdb) }],
    fakes: [geoFake],
  },
  { api: [srsApi], open: openSrs, fakes: [srsFake] },
  { api: [batvApi], open: openBatv },
];

/** All services of a test's world but its clock and its logs. */
export const FAKES: readonly Fake[] = MODULES.flatMap(({ fakes = [] }) => fakes);
