import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import type { RecordSource } from '../../src/dns/records.ts';
import { writeResults } from '../../src/mail-auth/authentication-results.ts';
import { checkAll, checkIprev } from '../../src/mail-auth/check.ts';
import { ArrivingMessage } from '../../src/mail-auth/dkim-verify.ts';
import type { Field } from '../../src/mail-auth/field.ts';
import { keyRecord } from '../../src/mail-auth/signing-key.ts';
import { withDkimpy } from './dkimpy.ts';
import {
  certain,
  inquiryOf,
  messageText,
  type ParsedMessage,
  parseMessage,
  signed as signedBy,
  zoneOf,
} from './messages.ts';
import { SAMPLES } from './samples.ts';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const sample = parseMessage(SAMPLES['a short message'] ?? '');
const NOW = Date.now();
const client = {
  address: '192.0.2.7',
  helo: 'mail.example.com',
  sender: 'Jane@Example.com',
  host: 'mx.example.net',
};
const ZONE = {
  'example.com TXT': 'v=spf1 ip4:192.0.2.0/24 -all',
  '_dmarc.example.com TXT': 'v=DMARC1; p=reject',
  's1._domainkey.example.com TXT': keyRecord(privateKey),
  '192.0.2.7 PTR': 'mail.example.com',
  'mail.example.com A': '192.0.2.7',
};
/** All of it fails. */
const DOWN: RecordSource = {
  timeoutMs: 1000,
  recall: () => undefined,
  query: async (_type, name) => ({ kind: 'unknown', failure: 'servfail', reason: `servfail ${name}` }),
};

function signed(message: ParsedMessage, domain = 'example.com', selector = 's1'): ParsedMessage {
  return signedBy(message, { key: privateKey, domain, selector, now: NOW });
}

async function check({ fields, body }: ParsedMessage, source: RecordSource, from = client) {
  const inquiry = inquiryOf(source);
  const arriving = new ArrivingMessage(fields, inquiry, NOW);
  for (let at = 0; at < body.length; at += 65536) arriving.body(body.subarray(at, at + 65536));
  const { results, ...found } = await checkAll(arriving, from, inquiry);
  return { ...found, header: writeResults({ authserv: from.host, results }) };
}

/** How often a source was asked. */
function counting(source: RecordSource): { readonly source: RecordSource; readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    source: {
      timeoutMs: source.timeoutMs,
      recall: () => undefined,
      query: (type, name, patience) => {
        asked.push(`${type} ${name}`);
        return source.query(type, name, patience);
      },
    },
  };
}

describe('checking a message', () => {
  it('finds out all at once, and writes it down', async () => {
    const { header, ...found } = await check(signed(sample), zoneOf(ZONE));
    assert.deepEqual(certain(found.spf), {
      result: 'pass',
      domain: 'example.com',
      isHelo: false,
      explanation: '',
    });
    assert.deepEqual(certain(found.iprev), { result: 'pass', name: 'mail.example.com' });
    assert.deepEqual(
      found.dkim.map(({ result, domain, bits }) => [result, domain, bits]),
      [['pass', 'example.com', 2048]],
    );
    const dmarc = certain(found.dmarc);
    assert.deepEqual([dmarc.result, dmarc.policy, dmarc.domain], ['pass', 'reject', 'example.com']);
    assert.deepEqual([...dmarc.aligned], ['example.com']);
    assert.equal(certain(found.arc).result, 'none');
    assert.match(
      header,
      /^mx\.example\.net;\n\tspf=pass smtp\.mailfrom=example\.com;\n\tdkim=pass header\.d=example\.com header\.s=s1 header\.a=rsa-sha256 header\.b="?[\w+/]{8}"?;\n\tdmarc=pass header\.from=example\.com policy\.dmarc=reject;\n\tiprev=pass policy\.iprev=192\.0\.2\.7$/,
    );
  });

  it('says for no part that it is not there when it could not be looked up', async () => {
    const { header, ...found } = await check(signed(sample), DOWN);
    assert.match(found.spf.kind === 'unknown' ? found.spf.reason : '', /^servfail /);
    assert.match(found.dmarc.kind === 'unknown' ? found.dmarc.reason : '', /^servfail /);
    assert.match(found.iprev.kind === 'unknown' ? found.iprev.reason : '', /^servfail /);
    assert.deepEqual(
      found.dkim.map(({ result }) => result),
      ['temperror'],
    );
    assert.deepEqual(header.match(/\w+(?==temperror)/g), ['spf', 'dkim', 'dmarc', 'iprev']);
  });

  it('has a firm result of DMARC where what failed could not have changed it', async () => {
    const zone = { ...ZONE, 'example.com TXT': { failure: 'timeout' } } as const;
    assert.equal(certain((await check(signed(sample), zoneOf(zone))).dmarc).result, 'pass');
    const unsigned = await check(sample, zoneOf(zone));
    assert.match(unsigned.dmarc.kind === 'unknown' ? unsigned.dmarc.reason : '', /^timeout /);
    const foreign = { ...client, sender: 'x@other.example' };
    const other = zoneOf({ ...ZONE, 'other.example TXT': { failure: 'timeout' } });
    assert.equal(certain((await check(sample, other, foreign)).dmarc).result, 'fail');
  });

  it('does not let a signature stand behind text that it does not cover', async () => {
    const [text = ''] = withDkimpy<string[]>(
      `message = base64.b64decode(input['text'])
line = dkim.sign(message, b's1', b'example.com', input['key'].encode(), length=True)
print(json.dumps([base64.b64encode(line + message).decode()]))
`,
      {
        text: Buffer.from(messageText(sample), 'latin1').toString('base64'),
        key: privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
      },
    );
    const { fields, body } = parseMessage(Buffer.from(text, 'base64').toString('latin1'));
    const foreign = { ...client, sender: '' };
    const whole = await check({ fields, body }, zoneOf(ZONE), foreign);
    assert.equal(certain(whole.dmarc).result, 'pass');
    const longer = Buffer.concat([body, Buffer.from('Footer\r\n')]);
    const more = await check({ fields, body: longer }, zoneOf(ZONE), foreign);
    assert.equal(more.dkim[0]?.result, 'pass');
    assert.equal(certain(more.dmarc).result, 'fail');
  });

  it('takes the domain of HELO for the null sender', async () => {
    const zone = zoneOf({ ...ZONE, 'mail.example.com TXT': 'v=spf1 a -all' });
    const { spf, header } = await check(sample, zone, { ...client, sender: '' });
    const { result, domain, isHelo } = certain(spf);
    assert.deepEqual([result, domain, isHelo], ['pass', 'mail.example.com', true]);
    assert.match(header, /spf=pass smtp\.helo=mail\.example\.com;/);
  });

  it('has no SPF for a HELO that is no name', async () => {
    const zone = zoneOf({ ...ZONE, 'example.com TXT': 'v=spf1 +all' });
    const { spf } = await check(sample, zone, { ...client, sender: '', helo: 'x@example.com' });
    assert.deepEqual(certain(spf), {
      result: 'none',
      domain: 'x@example.com',
      isHelo: true,
      explanation: '',
    });
  });

  it('splits macros of SPF at each delimiter, wherever a hyphen stands among them', async () => {
    for (const delimiters of ['=-+', '+-/', ',-.', '-', '.-=_', '--+']) {
      const record = `v=spf1 exists:%{l1r${delimiters}}.lists.example.com -all`;
      const zone = zoneOf({ ...ZONE, 'example.com TXT': record, 'left.lists.example.com A': '127.0.0.2' });
      const delimiter = delimiters.replace('-', '')[0] ?? '-';
      for (const each of ['-', delimiter]) {
        const { spf } = await check(sample, zone, { ...client, sender: `left${each}right@example.com` });
        assert.equal(certain(spf).result, 'pass', `${delimiters} ${each}`);
      }
      const { spf } = await check(sample, zone, { ...client, sender: 'leftXright@example.com' });
      assert.equal(certain(spf).result, 'fail', delimiters);
    }
  });

  it('asks for names with what stands in the local part of a sender', async () => {
    const zone = zoneOf({
      ...ZONE,
      'example.com TXT': 'v=spf1 exists:%{l}.lists.example.com -all',
      'bounce+bob=example.net.lists.example.com A': '127.0.0.2',
    });
    const { spf } = await check(sample, zone, { ...client, sender: 'bounce+bob=example.net@example.com' });
    assert.equal(certain(spf).result, 'pass');
  });

  it('has no SPF for a client without an address', async () => {
    const { spf, header } = await check(sample, zoneOf(ZONE), { ...client, address: undefined as never });
    assert.equal(certain(spf).result, 'none');
    assert.doesNotMatch(header, /iprev/);
  });

  it('takes a message without From, or with two, for a permanent error', async () => {
    const without = { ...sample, fields: sample.fields.filter(({ name }) => name !== 'From') };
    const twice = { ...sample, fields: [{ name: 'from', value: ' jane@example.com' }, ...sample.fields] };
    for (const message of [without, twice]) {
      const dmarc = certain((await check(message, zoneOf(ZONE))).dmarc);
      assert.equal(dmarc.result, 'permerror');
      assert.notEqual(dmarc.reason, '');
    }
  });

  it('takes a From that programs read in several ways for a permanent error', async () => {
    const from = async (value: string) => {
      const found = await check({ ...sample, fields: [{ name: 'From', value: ` ${value}` }] }, zoneOf(ZONE), {
        ...client,
        address: '203.0.113.9',
      });
      return certain(found.dmarc).result;
    };
    for (const unclear of [
      'jane@example(c).com',
      'jane@example. com',
      'jane@example .com',
      'jane@example.\n com',
      'jane@ example.com',
      '<jane@example .com>',
      '<jane@example(c).com>',
      '<x@evil.example> <jane@example.com>',
      '"x" <x@evil.example> "Jane" <jane@example.com>',
      'x@evil.example jane@example.com',
      'jane@example!x',
      "jane@exa'mple.com",
      'jane@a=b',
    ]) {
      assert.equal(await from(unclear), 'permerror', unclear);
    }
    for (const clear of [
      'jane@example.com',
      'Jane jane@example.com',
      'Jane @ Example. Com <jane@example.com>',
      '"Jane. @ (x" <jane@example.com> (a <b@c.example>)',
      'jane@example.com (Jane)',
      '<@a.example,@b.example:jane@example.com>',
      'Us: jane@example.com, "a @ b"@example.com;',
      'Jane <jane@example.com> <JANE@EXAMPLE.COM>',
      'Jane\n <jane@example.com>',
      'jane@\xc3\xa9.example.com',
      "o'neil+x=y@example.com",
    ]) {
      assert.equal(await from(clear), 'fail', clear);
    }
  });

  it('does not say of a domain in UTF-8 that it fails where its SPF could not be found out', async () => {
    const from = { ...client, sender: 'jane@B\xc3\xbccher.example' };
    const fields = sample.fields.map((field) =>
      field.name === 'From' ? { ...field, value: ' jane@b\xc3\xbccher.example' } : field,
    );
    const source = zoneOf({
      '_dmarc.xn--bcher-kva.example TXT': 'v=DMARC1; p=reject',
      'xn--bcher-kva.example TXT': { failure: 'servfail' },
    });
    const { spf, dmarc } = await check({ fields, body: sample.body }, source, from);
    assert.equal(spf.kind, 'unknown');
    assert.equal(dmarc.kind, 'unknown');
  });

  it('tells an address without name from one whose name leads elsewhere', async () => {
    const iprev = async (zone: Parameters<typeof zoneOf>[0]) =>
      certain(await checkIprev('192.0.2.7', inquiryOf(zoneOf(zone)))).result;
    assert.equal(await iprev({}), 'permerror');
    assert.equal(
      await iprev({ '192.0.2.7 PTR': 'mail.example.com', 'mail.example.com A': '192.0.2.8' }),
      'fail',
    );
  });
});

describe('what a stranger chooses', () => {
  const many = (count: number, field: (i: number) => Field) =>
    Array.from({ length: count }, (_, i) => field(i));
  const signature = (i: number, more = 'h=from:to') => ({
    name: 'DKIM-Signature',
    value: ` v=1; a=rsa-sha256; c=relaxed/relaxed; d=d${i}.example; s=s; ${more}; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA`,
  });
  const withFields = (fields: readonly Field[], body = sample.body): ParsedMessage => ({
    fields: [...fields, ...sample.fields],
    body,
  });

  it('has ten signatures looked at, and at most 30 names asked for besides SPF', async () => {
    const names = counting(zoneOf({}));
    const found = await check(withFields(many(50, (i) => signature(i))), names.source);
    assert.equal(found.dkim.length, 10);
    assert.deepEqual(
      found.dkim.map(({ domain }) => domain),
      Array.from({ length: 10 }, (_, i) => `d${i}.example`),
    );
    assert.ok(names.asked.length <= 30, `${names.asked.length}`);
  });

  it('has as few names asked for by SPF as RFC 7208 allows', async () => {
    const include = (i: number) =>
      Array.from({ length: 12 }, (_, n) => `include:a${i}${n}.example.com`).join(' ');
    const zone = Object.fromEntries(
      Array.from({ length: 12 }, (_, n) => [`a0${n}.example.com TXT`, `v=spf1 ${include(n)} -all`]),
    );
    const names = counting(zoneOf({ ...zone, 'example.com TXT': `v=spf1 ${include(0)} -all` }));
    const found = await check(sample, names.source);
    assert.equal(certain(found.spf).result, 'permerror');
    assert.ok(names.asked.filter((name) => name.startsWith('TXT a')).length <= 10);
  });

  it('has what is too long said to be so, and the rest looked at', async () => {
    const long = signature(0, `h=from; z=${'x'.repeat(70_000)}`);
    const { fields, body } = signed(sample);
    const found = await check({ fields: [long, ...fields], body }, zoneOf(ZONE));
    assert.deepEqual(
      found.dkim.map(({ result, reason }) => [result, reason]),
      [
        ['permerror', 'limit: the signatures are too long'],
        ['pass', ''],
      ],
    );
    const reasons = async (tags: number) => {
      const many = signature(0, `h=from; ${'x=1; '.repeat(tags)}y=1`);
      return (await check({ fields: [many, ...fields], body }, zoneOf(ZONE))).dkim[0]?.reason;
    };
    assert.equal(await reasons(91), 'signature syntax error');
    assert.equal(await reasons(101), 'limit: the signatures are too long');
    const results = (bytes: number) => ({
      name: 'ARC-Authentication-Results',
      value: ` i=1; a.example; ${'x'.repeat(bytes)}`,
    });
    const reasonOf = async (bytes: number) => {
      const { arc } = await check({ fields: [results(bytes), ...fields], body }, zoneOf(ZONE));
      return arc.kind === 'known' ? arc.value.reason : arc.reason;
    };
    assert.doesNotMatch(await reasonOf(16_000), /limit/);
    assert.match(await reasonOf(17_000), /^limit/);
    const author = { name: 'From', value: ` ${'jane@example.com,'.repeat(2000)}` };
    const dmarc = await check({ fields: [author], body }, zoneOf(ZONE));
    assert.equal(certain(dmarc.dmarc).result, 'permerror');
    const set = ['ARC-Seal', 'ARC-Message-Signature', 'ARC-Authentication-Results'].map((name) => ({
      name,
      value: ` i=1; x=${'x'.repeat(100_000)}`,
    }));
    const { arc } = await check({ fields: [...set, ...fields], body }, zoneOf(ZONE));
    assert.equal(arc.kind === 'unknown' && arc.failure, 'limit');
  });

  it('has DMARC settled, however many keys a chain needs', async () => {
    const chain = Array.from({ length: 50 }, (_, i) => [
      {
        name: 'ARC-Seal',
        value: ` i=${i + 1}; a=rsa-sha256; cv=${i ? 'pass' : 'none'}; d=a.example; s=s${i}; b=AAAA`,
      },
      {
        name: 'ARC-Message-Signature',
        value: ` i=${i + 1}; a=rsa-sha256; d=a.example; s=m${i}; h=from; bh=AAAA; b=AAAA`,
      },
      { name: 'ARC-Authentication-Results', value: ` i=${i + 1}; a.example; none` },
    ]);
    const found = await check(withFields([...chain.flat(), ...many(10, (i) => signature(i))]), zoneOf(ZONE), {
      ...client,
      address: '203.0.113.9',
    });
    assert.equal(certain(found.dmarc).result, 'fail');
    assert.equal(found.arc.kind === 'unknown' && found.arc.failure, 'limit');
  });

  it('has a seal whose key cannot be asked for taken for a wrong one', async () => {
    const set = [
      { name: 'ARC-Seal', value: ' i=1; a=rsa-sha256; cv=none; d=a.example; s=a!b; b=AAAA' },
      {
        name: 'ARC-Message-Signature',
        value: ' i=1; a=rsa-sha256; d=a.example; s=s; h=from; bh=AAAA; b=AAAA',
      },
      { name: 'ARC-Authentication-Results', value: ' i=1; a.example; none' },
    ];
    assert.equal(certain((await check(withFields(set), zoneOf(ZONE))).arc).result, 'fail');
  });

  it('has many blanks in a row read at no cost', async () => {
    const blanks = ' '.repeat(60_000);
    const { fields, body } = signed(sample);
    const began = process.cpuUsage();
    const found = await check({ fields: [signature(0, `h=${blanks}from`), ...fields], body }, zoneOf(ZONE));
    assert.deepEqual(
      found.dkim.map(({ result, reason }) => [result, reason]),
      [
        ['fail', 'body hash did not verify'],
        ['pass', ''],
      ],
    );
    const set = { name: 'ARC-Seal', value: ` i=1; z=${blanks}x` };
    const arc = await check({ fields: [set, ...fields], body }, zoneOf(ZONE));
    assert.equal(certain(arc.arc).reason, 'i=1 no arc-message-signature set');
    const { user, system } = process.cpuUsage(began);
    assert.ok(user + system < 1_000_000, `${user + system} us`);
  });

  it('has no signature verified that covers more than any message has', async () => {
    const { fields, body } = signed(sample);
    const more = many(1000, () => ({ name: 'X', value: ' x' }));
    const wide = signature(0, `h=from:${'x:'.repeat(300)}to`);
    const found = await check({ fields: [wide, ...fields, ...more], body }, zoneOf(ZONE));
    assert.deepEqual(
      found.dkim.map(({ result, reason }) => [result, reason]),
      [
        ['permerror', 'limit: it covers too many fields'],
        ['pass', ''],
      ],
    );
  });

  it('is still covered by signatures where it is hidden from reading', async () => {
    const long = {
      name: 'From',
      value: ` jane@example.com,${'\n jane@example.com,'.repeat(1000)} jane@example.com`,
    };
    const message = { ...sample, fields: [long, ...sample.fields.filter(({ name }) => name !== 'From')] };
    const found = await check(signed(message), zoneOf(ZONE));
    assert.deepEqual(
      found.dkim.map(({ result }) => result),
      ['pass'],
    );
  });

  const hostile: Readonly<Record<string, ParsedMessage>> = {
    '1,000 signatures': withFields(many(1000, (i) => signature(i))),
    'ten signatures of as many lengths': withFields(
      many(10, (i) => signature(i, `h=from; l=${i * 1000}`)),
      Buffer.alloc(4 * 1024 * 1024, 'hello there \r\n'),
    ),
    'ten signatures that list 3,000 fields that are not there': withFields([
      ...many(10, (i) => signature(i, `h=from:${'y:'.repeat(3000)}to`)),
      ...many(5000, () => ({ name: 'X', value: ' x' })),
    ]),
    'a signature that lists 30,000 fields': withFields([
      signature(0, `h=from:${'x:'.repeat(30_000)}to`),
      ...many(1000, () => ({ name: 'X', value: ' x' })),
    ]),
    'a field of 50,000 folds': withFields([
      { name: 'X', value: `${' x\n'.repeat(50_000)} x` },
      signature(0, 'h=from:x'),
    ]),
    'a signature of 50,000 tags': withFields([signature(0, 'x=1;'.repeat(50_000))]),
    'a From of 100,000 letters': withFields([{ name: 'From', value: ` ${'<'.repeat(100_000)}` }]),
    'a From of 20,000 addresses': withFields([{ name: 'From', value: ` ${'a@b.example,'.repeat(20_000)}` }]),
    'a From of nested comments': withFields([{ name: 'From', value: ` ${'('.repeat(100_000)}` }]),
    'a From of groups': withFields([{ name: 'From', value: ` ${'a:'.repeat(50_000)}` }]),
    'a Return-Path of groups': withFields([{ name: 'Return-Path', value: ` ${'a:'.repeat(500_000)}` }]),
    'a Content-Type of parameters': withFields([
      signature(0),
      { name: 'Content-Type', value: ` text/plain; ${"a*0*=utf-8''b; ".repeat(100_000)}` },
    ]),
    'a From of quotes': withFields([{ name: 'From', value: ` ${'"\\'.repeat(50_000)}` }]),
    '150 sets of ARC': withFields(
      many(450, (i) => ({
        name: ['ARC-Seal', 'ARC-Message-Signature', 'ARC-Authentication-Results'][i % 3] ?? '',
        value: ` i=${1 + Math.floor(i / 3)}; a=rsa-sha256; cv=pass; d=a.example; s=s; b=AAAA; bh=AAAA; h=from; c=relaxed/relaxed`,
      })),
    ),
    'a line of 8 MiB of blanks': withFields([signature(0)], Buffer.alloc(8 * 1024 * 1024, ' ')),
    'a body of tabs and blanks': withFields([signature(0)], Buffer.alloc(4 * 1024 * 1024, ' \t')),
    'a body of 2 million empty lines': withFields([signature(0)], Buffer.alloc(4 * 1024 * 1024, '\r\n')),
  };
  for (const [name, message] of Object.entries(hostile)) {
    it(`costs little: ${name}`, async () => {
      const began = process.cpuUsage();
      await check(message, zoneOf(ZONE));
      const { user, system } = process.cpuUsage(began);
      const ms = (user + system) / 1000;
      console.log(`${name}: ${ms.toFixed(1)} ms`);
      assert.ok(ms < 1000, `${ms} ms`);
    });
  }

  it('is answered whatever it is', async () => {
    // Numbers that are the same in each run.
    let seed = 1;
    const random = (below: number) => {
      seed = (seed * 48271) % 2147483647;
      return seed % below;
    };
    const base = signed(signed(sample));
    const bits = [
      '',
      ';',
      '=',
      ':',
      ' ',
      '\n ',
      '"',
      '(',
      '@',
      '\0',
      '\xff',
      'h=',
      'b=',
      'i=1;',
      '<',
      '%',
      '__proto__=',
    ];
    for (let i = 0; i < 300; i += 1) {
      const fields = base.fields.map((field) => {
        if (random(2) === 0) return field;
        const at = random(field.value.length + 1);
        const cut = at + random(8);
        return {
          ...field,
          value: `${field.value.slice(0, at)}${bits[random(bits.length)]}${field.value.slice(cut)}`,
        };
      });
      const found = await check({ fields, body: base.body }, zoneOf(ZONE));
      assert.ok(found.header.startsWith('mx.example.net;'));
    }
    assert.equal(Object.getOwnPropertyNames(Object.prototype).includes('value'), false);
  });
});
