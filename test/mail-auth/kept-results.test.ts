/** Results of SPF and DMARC that are found again: only while nothing of what they were made of has changed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RecordSource } from '../../src/dns/records.ts';
import { checkDmarc } from '../../src/mail-auth/dmarc.ts';
import { KeptResults } from '../../src/mail-auth/kept-results.ts';
import { LookUps } from '../../src/mail-auth/look-ups.ts';
import { checkSpf, type SpfClient } from '../../src/mail-auth/spf.ts';
import { CachedZone } from './cached-zone.ts';
import { certain, inquiryOf } from './messages.ts';

const CLIENT: SpfClient = {
  address: '192.0.2.7',
  helo: 'mail.example.com',
  sender: 'jane@example.com',
  host: 'mx.example.net',
};

const spf = async (zone: RecordSource, client: Partial<SpfClient> = {}) =>
  certain(await checkSpf({ ...CLIENT, ...client }, inquiryOf(zone))).result;

describe('SPF that was found before', () => {
  it('is found again without a question, and anew when any of its records has ended', async () => {
    const zone = new CachedZone({
      'example.com TXT': 'v=spf1 include:other.example mx -all',
      'other.example TXT': 'v=spf1 ip4:198.51.100.0/24 -all',
      'example.com MX': '10 mx.example.com',
      'mx.example.com A': '192.0.2.7',
    });
    assert.equal(await spf(zone), 'pass');
    assert.equal(zone.asked.length, 4);
    assert.equal(await spf(zone), 'pass');
    assert.equal(await spf(zone, { sender: 'bob@example.com' }), 'pass');
    assert.equal(zone.asked.length, 4);
    // What is kept counts, as everywhere.
    zone.change({ 'mx.example.com A': '192.0.2.8' });
    assert.equal(await spf(zone), 'pass');
    zone.change({}, 'mx.example.com A');
    assert.equal(await spf(zone), 'fail');
    zone.change({ 'other.example TXT': 'v=spf1 ip4:192.0.2.7 -all' }, 'other.example TXT');
    assert.equal(await spf(zone), 'pass');
    zone.change({ 'example.com TXT': { failure: 'servfail' } }, 'example.com TXT');
    assert.equal((await checkSpf(CLIENT, inquiryOf(zone))).kind, 'unknown');
    zone.change({ 'example.com TXT': 'v=spf1 ~all' }, 'example.com TXT');
    assert.equal(await spf(zone), 'softfail');
  });

  it('is of this client and this domain', async () => {
    const zone = new CachedZone({
      'example.com TXT': 'v=spf1 ip4:192.0.2.7 -all',
      'example.org TXT': 'v=spf1 ip4:192.0.2.8 -all',
      'mail.example.com TXT': 'v=spf1 -all',
    });
    for (let i = 0; i < 2; i += 1) {
      assert.equal(await spf(zone), 'pass');
      assert.equal(await spf(zone, { address: '192.0.2.8' }), 'fail');
      assert.equal(await spf(zone, { sender: 'jane@example.org' }), 'fail');
      assert.equal(await spf(zone, { sender: 'jane@example.org', address: '192.0.2.8' }), 'pass');
      assert.equal(await spf(zone, { sender: '' }), 'fail');
      assert.equal(await spf(zone, { sender: '', helo: 'example.com' }), 'pass');
      // The domain of a sender and that of HELO are told apart, and so are they in what is found.
      const { isHelo } = certain(await checkSpf({ ...CLIENT, sender: 'x@example.com' }, inquiryOf(zone)));
      assert.equal(isHelo, false);
    }
  });

  it('is not kept where a record has a macro, which may tell more of a session', async () => {
    const zone = new CachedZone({
      'example.com TXT': 'v=spf1 exists:%{l}.users.example.com -all exp=why.example.com',
      'jane.users.example.com A': '127.0.0.2',
      'why.example.com TXT': '%{s} at %{h}',
    });
    for (let i = 0; i < 2; i += 1) {
      assert.equal(await spf(zone), 'pass');
      const client = { ...CLIENT, sender: `bob${i}@example.com`, helo: `h${i}.example` };
      const found = certain(await checkSpf(client, inquiryOf(zone)));
      assert.equal(found.result, 'fail');
      assert.equal(found.explanation, `bob${i}@example.com at h${i}.example`);
    }
  });
});

describe('DMARC that was found before', () => {
  const dmarc = async (
    zone: RecordSource,
    { from = 'jane@example.com', fields = 1, spf = [] as string[], dkim = [] as string[], most = 30 } = {},
  ) => {
    const author = { addresses: [from], fields };
    const undecided = { spf: [], dkim: [], why: undefined };
    return certain(await checkDmarc(author, { spf, dkim }, undecided, new LookUps(inquiryOf(zone), most)));
  };

  it('is found again without a question, and anew when any of its records has ended', async () => {
    const zone = new CachedZone({ '_dmarc.example.com TXT': 'v=DMARC1; p=reject' });
    assert.equal((await dmarc(zone)).result, 'fail');
    const asked = zone.asked.length;
    assert.equal((await dmarc(zone, { from: 'bob@example.com' })).policy, 'reject');
    assert.equal(zone.asked.length, asked);
    zone.change({ '_dmarc.example.com TXT': 'v=DMARC1; p=none' }, '_dmarc.example.com TXT');
    assert.equal((await dmarc(zone)).policy, 'none');
  });

  it('is of this author and what stands behind the message', async () => {
    const zone = new CachedZone({
      '_dmarc.example.com TXT': 'v=DMARC1; p=reject; sp=quarantine',
      'mail.example.com A': '192.0.2.7',
    });
    for (let i = 0; i < 2; i += 1) {
      assert.equal((await dmarc(zone)).result, 'fail');
      assert.equal((await dmarc(zone, { spf: ['example.com'] })).result, 'pass');
      const signed = await dmarc(zone, { dkim: ['example.com'] });
      assert.deepEqual([signed.result, [...signed.aligned]], ['pass', ['example.com']]);
      assert.equal((await dmarc(zone, { dkim: ['example.org'] })).result, 'fail');
      assert.equal((await dmarc(zone, { from: 'x@mail.example.com' })).policy, 'quarantine');
      assert.equal((await dmarc(zone, { from: '"a@b"@example.com' })).result, 'fail');
      assert.equal((await dmarc(zone, { from: 'x@example.org' })).result, 'none');
      assert.equal((await dmarc(zone, { fields: 2 })).result, 'permerror');
    }
  });

  it('counts what it was made of among the questions of a message', async () => {
    const zone = new CachedZone({ '_dmarc.example.com TXT': 'v=DMARC1; p=reject' });
    const lookUps = new LookUps(inquiryOf(zone), 30);
    const author = { addresses: ['jane@example.com'], fields: 1 };
    const undecided = { spf: [], dkim: [], why: undefined };
    await checkDmarc(author, { spf: [], dkim: [] }, undecided, lookUps);
    const again = new LookUps(inquiryOf(zone), 30);
    await checkDmarc(author, { spf: [], dkim: [] }, undecided, again);
    assert.equal(again.questions?.length, lookUps.questions?.length);
    const few = new LookUps(inquiryOf(zone), 0);
    assert.equal((await checkDmarc(author, { spf: [], dkim: [] }, undecided, few)).kind, 'unknown');
  });
});

describe('kept results', () => {
  it('are none that were made of very much, and few enough in all', async () => {
    const kept = new KeptResults<number>();
    const zone = new CachedZone({
      'small.example TXT': 'x',
      'large.example TXT': 'x'.repeat(9000),
    });
    const made = async (...names: readonly string[]) => {
      const lookUps = new LookUps(inquiryOf(zone), 100);
      for (const name of names) await lookUps.ask('TXT', name);
      return lookUps;
    };
    kept.keep('small', await made('small.example'), 1);
    kept.keep('large', await made('large.example'), 2);
    kept.keep('many', await made(...Array.from({ length: 21 }, (_, i) => `a${i}.example`)), 3);
    const asker = inquiryOf(zone);
    assert.deepEqual(
      ['small', 'large', 'many'].map((key) => kept.find(key, asker)),
      [1, undefined, undefined],
    );
    for (let i = 0; i < 2000; i += 1) kept.keep(`${i}`, await made('small.example'), i);
    assert.deepEqual([kept.find('small', asker), kept.find('1999', asker)], [undefined, 1999]);
  });
});
