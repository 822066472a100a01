/** Files that say where addresses are: what is in them, by this program and by MaxMind's own, and how they change. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { GeoFiles, type Question } from '../../src/geo/geo.ts';
import { type MmdbOptions, type MmdbValue, mmdb } from '../helpers/mmdb.ts';

const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-geo-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const LONG = { timeoutMs: 60_000, cancelled: new AbortController().signal };

const country = (iso_code: string): MmdbValue => ({
  continent: { code: 'EU', names: { en: 'Europe', de: 'Europa' } },
  country: {
    geoname_id: 1,
    iso_code,
    names: { en: 'x'.repeat(400), de: 'ä'.repeat(40) },
    is_in_european_union: true,
  },
});
const network = (number: number, name: string): MmdbValue => ({
  autonomous_system_number: number,
  autonomous_system_organization: name,
});

const COUNTRIES = {
  '192.0.2.0/24': country('DE'),
  '192.0.2.128/25': country('NL'),
  '198.51.100.7/32': country('FR'),
  '2001:db8::/32': country('SE'),
  '203.0.113.0/24': { continent: { code: 'EU' } },
};

let files = 0;
function file(networks: Readonly<{ [cidr: string]: MmdbValue }>, options: MmdbOptions = {}): string {
  files += 1;
  const path = join(directory, `${files}.mmdb`);
  writeFileSync(path, mmdb(networks, options));
  return path;
}

function geoOf(...paths: string[]) {
  const log: string[] = [];
  const geo = new GeoFiles(paths, { notice: (text) => log.push(text), warning: (text) => log.push(text) });
  const ask = async (question: Question, address: string) => {
    const found = await geo.query(question, address, LONG);
    return found.kind === 'known' ? found.value : found.reason;
  };
  return { geo, log, ask };
}

/** What MaxMind's program finds at a path of the record; null for nothing. */
function mmdblookup(path: string, address: string, ...names: string[]): string | null {
  const { stdout, error } = spawnSync('mmdblookup', ['--file', path, '--ip', address, ...names], {
    encoding: 'utf8',
  });
  if (error) throw error;
  return /^\s*"?(.*?)"? <\w+>$/m.exec(stdout)?.[1] ?? null;
}

const hasProgram = spawnSync('mmdblookup', ['--version']).error === undefined || process.env['CI'] === 'true';

describe('a file', () => {
  it('says what MaxMind’s own program finds in it, in each form', async () => {
    for (const recordSize of [24, 28, 32] as const) {
      const path = file(COUNTRIES, { recordSize });
      const { ask } = geoOf(path);
      for (const [address, expected] of Object.entries({
        '192.0.2.1': 'DE',
        '192.0.2.127': 'DE',
        '192.0.2.128': 'NL',
        '192.0.2.255': 'NL',
        '192.0.3.0': null,
        '198.51.100.7': 'FR',
        '198.51.100.8': null,
        '2001:db8::1': 'SE',
        '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff': 'SE',
        '2001:db9::': null,
        '203.0.113.1': null,
        '10.0.0.1': null,
        '::1': null,
      })) {
        assert.equal(await ask('country', address), expected, `${address} ${recordSize}`);
        if (hasProgram)
          assert.equal(
            mmdblookup(path, address, 'country', 'iso_code'),
            expected,
            `${address} ${recordSize}`,
          );
      }
    }
  });

  it('of IPv4 alone knows no IPv6', async () => {
    const { ask } = geoOf(file({ '32.1.0.0/16': country('DE') }, { ipVersion: 4 }));
    assert.equal(await ask('country', '32.1.13.184'), 'DE');
    assert.equal(await ask('country', '2001:db8::1'), null);
  });

  it('of networks says number and name, in the words of MaxMind and of IPinfo', async () => {
    const { ask } = geoOf(
      file({
        '192.0.2.0/24': network(64_496, 'Beispiel ä'),
        '198.51.100.0/24': { country_code: 'se', asn: 'AS4200000000', as_name: 'Other' },
        '203.0.113.0/24': { country: 'FR', asn: 64_497 },
      }),
    );
    const name = Buffer.from('Beispiel ä').toString('latin1');
    assert.deepEqual(await ask('asn', '192.0.2.1'), { number: 64_496, name });
    assert.equal(await ask('country', '192.0.2.1'), null);
    assert.deepEqual(await ask('asn', '198.51.100.1'), { number: 4_200_000_000, name: 'Other' });
    assert.equal(await ask('country', '198.51.100.1'), 'SE');
    assert.deepEqual(await ask('asn', '203.0.113.1'), { number: 64_497, name: '' });
    assert.equal(await ask('country', '203.0.113.1'), 'FR');
  });
});

describe('files', () => {
  it('are asked in order, and none that cannot be read is a no', async () => {
    const first = file({ '192.0.2.0/24': country('DE') });
    const second = file({ '192.0.2.0/23': country('NL'), '192.0.2.1': network(64_496, 'x') });
    const both = geoOf(first, second);
    assert.equal(await both.ask('country', '192.0.2.1'), 'DE');
    assert.equal(await both.ask('country', '192.0.3.1'), 'NL');
    assert.deepEqual(await both.ask('asn', '192.0.2.1'), { number: 64_496, name: 'x' });
    const missing = join(directory, 'missing.mmdb');
    const { ask, log, geo } = geoOf(first, missing);
    assert.equal(await ask('country', '192.0.2.1'), 'DE');
    assert.equal(await ask('country', '192.0.3.1'), `unavailable geo file ${missing}: no such file`);
    assert.deepEqual(log, [`geo file ${missing}: no such file`]);
    assert.equal(geo.states[1]?.problem, `${missing}: no such file`);
    assert.equal(await geoOf().ask('country', '192.0.2.1'), 'unavailable no --geo');
  });

  it('that were not there are read when they are', async () => {
    const path = join(directory, 'later.mmdb');
    const { ask, log } = geoOf(path);
    assert.match(String(await ask('country', '192.0.2.1')), /^unavailable .*no such file$/);
    writeFileSync(path, mmdb(COUNTRIES));
    while ((await ask('country', '192.0.2.1')) !== 'DE') await sleep(20);
    assert.deepEqual(log, [`geo file ${path}: no such file`, `geo file ${path} read`]);
  });

  it('are read again when they change; a broken one leaves the one before, and is told of once', async () => {
    const path = file({ '192.0.2.0/24': country('DE') });
    const { geo, ask, log } = geoOf(path);
    const replace = (bytes: Buffer) => {
      writeFileSync(`${path}.new`, bytes);
      renameSync(`${path}.new`, path);
    };
    assert.equal(await ask('country', '192.0.2.1'), 'DE');
    const good = mmdb({ '192.0.2.0/24': country('NL') }, { type: 'New', builtAt: 1_800_000_000 });
    // In an order in which no problem is that of the version before: it would not be told of again.
    const broken: Readonly<Record<string, [Buffer, RegExp]>> = {
      'a node that leads away': [
        Buffer.concat([Buffer.from([0x7f, 0xff, 0xff]), good.subarray(3)]),
        /node 0 leads out of the file$/,
      ],
      'cut off': [good.subarray(0, good.length - 150), /is no MaxMind DB file(?:, or was cut off$|: )/],
      empty: [Buffer.alloc(0), /is no MaxMind DB file, or was cut off$/],
      'its beginning lost': [good.subarray(400), /is shorter than its tree$|leads out of the file$/],
    };
    for (const [name, [bytes, expected]] of Object.entries(broken)) {
      const before = log.length;
      replace(bytes);
      while (log.length === before) await sleep(20);
      assert.match(log.at(-1) ?? '', expected, name);
      assert.match(log.at(-1) ?? '', /is not taken, the version before it serves/);
      assert.equal(await ask('country', '192.0.2.1'), 'DE', name);
      assert.match(geo.states[0]?.problem ?? '', expected);
    }
    replace(good);
    while ((await ask('country', '192.0.2.1')) !== 'NL') await sleep(20);
    assert.equal(log.length, 5);
    const [{ readAt, ...state } = { readAt: 0 }] = geo.states;
    assert.deepEqual(state, { path, type: 'New', builtAt: 1_800_000_000_000, problem: undefined });
    assert.ok(Date.now() - (readAt ?? 0) < 60_000);
  });

  it('that are damaged inside are an error, and no answer', async () => {
    const bytes = mmdb({ '192.0.2.0/24': country('DE') });
    // A pointer to itself, in the place of the record.
    const at = bytes.indexOf(Buffer.from([0xe2]));
    const path = join(directory, 'damaged.mmdb');
    writeFileSync(
      path,
      Buffer.concat([bytes.subarray(0, at), Buffer.from([0x20, 0x00]), bytes.subarray(at + 2)]),
    );
    assert.equal(await geoOf(path).ask('country', '192.0.2.1'), `protocol geo file ${path} is damaged`);
  });

  it('that are large hold up nobody while they are read', async () => {
    const networks: { [cidr: string]: MmdbValue } = {};
    for (let i = 0; i < 30_000; i++)
      networks[`10.${i >> 8}.${i & 0xff}.0/24`] = { country: { iso_code: 'DE' } };
    const { geo } = geoOf(file(networks));
    assert.equal(geo.recall('country', '10.0.0.1'), undefined);
    let isRead = false;
    const read = geo.query('country', '10.100.0.1', LONG).then((found) => {
      isRead = true;
      return found;
    });
    let turns = 0;
    for (; !isRead; turns++) await turn();
    assert.deepEqual(await read, { kind: 'known', value: 'DE' });
    assert.ok(turns > 2, String(turns));
    assert.deepEqual(geo.recall('country', '10.0.0.1'), { kind: 'known', value: 'DE' });
  });
});
