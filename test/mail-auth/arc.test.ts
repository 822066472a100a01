import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { type ArcWord, checkArc, type Seal, seal } from '../../src/mail-auth/arc.ts';
import { SIGNED_FIELDS } from '../../src/mail-auth/dkim-sign.ts';
import { ArrivingMessage } from '../../src/mail-auth/dkim-verify.ts';
import { keyRecord } from '../../src/mail-auth/signing-key.ts';
import { KEYS_OF_INPUT, withDkimpy } from './dkimpy.ts';
import {
  certain,
  inquiryOf,
  messageText,
  type ParsedMessage,
  parseMessage,
  signed,
  zoneOf,
} from './messages.ts';
import { SAMPLES } from './samples.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ed = generateKeyPairSync('ed25519').privateKey;
const KEYS = {
  'rsa._domainkey.example.com': keyRecord(rsa),
  'ed._domainkey.example.com': keyRecord(ed),
};
const ZONE = Object.fromEntries(Object.entries(KEYS).map(([name, record]) => [`${name} TXT`, record]));
const signers = {
  rsa: { domain: 'example.com', selector: 'rsa', key: { algorithm: 'rsa-sha256', key: rsa } },
  ed: { domain: 'example.com', selector: 'ed', key: { algorithm: 'ed25519-sha256', key: ed } },
} as const;
const RESULTS =
  'mx.example.com;\n\tspf=pass smtp.mailfrom=example.org;\n\tdmarc=none header.from=example.org';

async function looked({ fields, body }: ParsedMessage, zone: Parameters<typeof zoneOf>[0] = ZONE) {
  const arriving = new ArrivingMessage(fields, inquiryOf(zoneOf(zone)), Date.now(), 'relaxed');
  arriving.body(body);
  await arriving.verify();
  return { chain: await checkArc(arriving), bodyHash: arriving.bodyHash('relaxed') ?? '' };
}

async function sealed(message: ParsedMessage, signer: keyof typeof signers = 'rsa', as?: ArcWord) {
  const { chain, bodyHash } = await looked(message);
  const word = as ?? certain(chain).result;
  const set = seal(message.fields, bodyHash, signers[signer], word, RESULTS, SIGNED_FIELDS, Date.now());
  return withSet(message, set);
}

function withSet(message: ParsedMessage, set: Seal): ParsedMessage {
  assert.ok('fields' in set, 'none' in set ? set.none : '');
  return { ...message, fields: [...set.fields, ...message.fields] };
}

const sample = parseMessage(SAMPLES['a short message'] ?? '');
const withSignature = (message: ParsedMessage) =>
  signed(message, { key: rsa, domain: 'example.com', selector: 'rsa', now: Date.now() });
const base64 = (message: ParsedMessage) => Buffer.from(messageText(message), 'latin1').toString('base64');

function dkimpyFinds(messages: readonly ParsedMessage[]): string[] {
  return withDkimpy(
    `${KEYS_OF_INPUT}
def check(text):
    cv, results, reason = dkim.arc_verify(base64.b64decode(text), dnsfunc=dnsfunc)
    return cv.decode() if cv else 'none'
print(json.dumps([check(text) for text in input['messages']]))
`,
    { keys: KEYS, messages: messages.map(base64) },
  );
}

describe('ARC', () => {
  it('is none, then a chain of one and of more, with both kinds of key', async () => {
    assert.deepEqual(certain((await looked(sample)).chain), {
      result: 'none',
      chain: 0,
      domain: '',
      reason: '',
    });
    const one = await sealed(sample);
    assert.deepEqual(
      one.fields.slice(0, 3).map(({ name }) => name),
      ['ARC-Seal', 'ARC-Message-Signature', 'ARC-Authentication-Results'],
    );
    const two = await sealed(one, 'ed');
    const three = await sealed(two);
    for (const [i, message] of [one, two, three].entries()) {
      assert.deepEqual(certain((await looked(message)).chain), {
        result: 'pass',
        chain: i + 1,
        domain: 'example.com',
        reason: '',
      });
    }
  });

  it('has seals of ours taken by dkimpy, for messages of all shapes', async () => {
    const samples = Object.entries(SAMPLES).filter(([name]) => !/last line end|CR|no body at all/.test(name));
    const messages: ParsedMessage[] = [];
    for (const [, text] of samples) messages.push(await sealed(await sealed(parseMessage(text))));
    const found = dkimpyFinds(messages);
    assert.deepEqual(
      samples.filter((_, i) => found[i] !== 'pass').map(([name]) => name),
      [],
    );
  });

  it('covers From, Subject, To and Date once more than they are there, which breaks where one is added', async () => {
    const message = await sealed(parseMessage('From: a@example.org\r\nSubject: x\r\n\r\nHello\r\n'));
    const names = /h=([^;]*);/
      .exec(message.fields[1]?.value ?? '')?.[1]
      ?.replace(/\s+/g, '')
      .split(':');
    assert.deepEqual(names, ['From', 'From', 'Subject', 'Subject', 'Date', 'To']);
    const added = ['From: b@example.net', 'Subject: y', 'To: c@example.net', 'Date: today'].map((line) => {
      const [name = '', value = ''] = line.split(':');
      return { ...message, fields: [{ name, value }, ...message.fields] };
    });
    for (const each of added)
      assert.equal(certain((await looked(each)).chain).result, 'fail', each.fields[0]?.name);
    assert.deepEqual(dkimpyFinds([message, ...added]), ['pass', ...added.map(() => 'fail')]);
  });

  it('takes seals of dkimpy, and goes on with them', async () => {
    const [text = ''] = withDkimpy<string[]>(
      `${KEYS_OF_INPUT}
message = base64.b64decode(input['message'])
message = b'Authentication-Results: lists.example.org; spf=pass smtp.mailfrom=example.org\\r\\n' + message
lines = dkim.arc_sign(message, b'rsa', b'example.com', input['key'].encode(), b'lists.example.org')
print(json.dumps([base64.b64encode(b''.join(lines) + message).decode()]))
`,
      {
        keys: KEYS,
        message: base64(sample),
        key: rsa.export({ type: 'pkcs1', format: 'pem' }).toString(),
      },
    );
    const theirs = parseMessage(Buffer.from(text, 'base64').toString('latin1'));
    assert.deepEqual(certain((await looked(theirs)).chain).result, 'pass');
    const more = await sealed(theirs);
    assert.deepEqual(certain((await looked(more)).chain).chain, 2);
    assert.deepEqual(dkimpyFinds([more]), ['pass']);
  });

  it('fails for what was changed, here and with dkimpy', async () => {
    const message = await sealed(await sealed(sample));
    const changed = (name: string, change: (value: string) => string) => ({
      ...message,
      fields: message.fields.map((field) =>
        field.name === name ? { name, value: change(field.value) } : field,
      ),
    });
    const mutations: Readonly<Record<string, ParsedMessage>> = {
      'the body': { ...message, body: Buffer.from('Other\r\n') },
      Subject: changed('Subject', () => ' other'),
      'the results': changed('ARC-Authentication-Results', (value) => value.replace('spf=pass', 'spf=fail')),
      'the first seal': {
        ...message,
        fields: message.fields.map((field, i) =>
          i === 3
            ? {
                ...field,
                value: field.value.replace(/(?<=\bb=[^;]*)[A-Za-z]/, (letter) =>
                  letter === 'A' ? 'B' : 'A',
                ),
              }
            : field,
        ),
      },
      'a set that is missing': {
        ...message,
        fields: [...message.fields.slice(0, 3), ...message.fields.slice(6)],
      },
      'a field that is missing': { ...message, fields: message.fields.slice(1) },
      'cv of the last seal': {
        ...message,
        fields: message.fields.map((field, i) =>
          i === 0 ? { ...field, value: field.value.replace('cv=pass', 'cv=none') } : field,
        ),
      },
    };
    for (const [name, mutation] of Object.entries(mutations)) {
      const chain = certain((await looked(mutation)).chain);
      assert.equal(chain.result, 'fail', name);
      assert.notEqual(chain.reason, '', name);
    }
    assert.deepEqual(
      dkimpyFinds(Object.values(mutations)).filter((word) => word === 'pass'),
      [],
    );
  });

  it('is unknown, and not broken, where a key could not be had', async () => {
    const message = await sealed(sample);
    const zone = { 'rsa._domainkey.example.com TXT': { failure: 'servfail' } } as const;
    const { chain } = await looked(message, zone);
    assert.match(chain.kind === 'unknown' ? chain.reason : chain.value.result, /^servfail /);
  });

  it('is unknown, and not broken, where it is longer than is verified with the signatures', async () => {
    let message = sample;
    for (let sets = 1; sets <= 10; sets += 1) {
      const { bodyHash } = await looked(message);
      const word = sets === 1 ? 'none' : 'pass';
      const set = seal(message.fields, bodyHash, signers.rsa, word, RESULTS, SIGNED_FIELDS, Date.now());
      message = withSet(message, set);
      const { chain } = await looked(message);
      // Nine seals and a signature.
      if (sets < 10) assert.equal(certain(chain).result, 'pass', `${sets} sets`);
      else
        assert.equal(chain.kind === 'unknown' && chain.reason, 'limit the chain is too long to be verified');
    }
    const fewer = { ...message, fields: message.fields.slice(3 * 4) };
    assert.equal(certain((await looked(fewer)).chain).chain, 6);
    for (const [signatures, expected] of [
      [3, 'pass'],
      [4, 'limit'],
    ] as const) {
      let more: ParsedMessage = fewer;
      for (let i = 0; i < signatures; i += 1) more = withSignature(more);
      const { chain } = await looked(more);
      assert.equal(chain.kind === 'unknown' ? chain.failure : chain.value.result, expected);
    }
  });

  it('is broken where a seal is wrong, though a key of another could not be had', async () => {
    const [top, ...others] = (await sealed(await sealed(sample, 'ed'))).fields;
    assert.ok(top !== undefined);
    const value = top.value.replace(/(?<=\bb=)./, (letter) => (letter === 'A' ? 'B' : 'A'));
    const zone = { ...ZONE, 'ed._domainkey.example.com TXT': { failure: 'servfail' } } as const;
    const { chain } = await looked({ ...sample, fields: [{ ...top, value }, ...others] }, zone);
    assert.equal(certain(chain).reason, 'i=2 seal signature validation failed');
  });

  it('seals a broken chain as broken, once', async () => {
    const broken = { ...(await sealed(sample)), body: Buffer.from('Other\r\n') };
    const once = await sealed(broken);
    assert.match(once.fields[0]?.value ?? '', /cv=fail/);
    const { bodyHash } = await looked(once);
    const twice = seal(once.fields, bodyHash, signers.rsa, 'fail', RESULTS, SIGNED_FIELDS, Date.now());
    assert.match('none' in twice ? twice.none : '', /cv=fail/);
  });

  it('adds nothing to a chain of 50', async () => {
    const set = (i: number) =>
      ['ARC-Seal', 'ARC-Message-Signature', 'ARC-Authentication-Results'].map((name) => ({
        name,
        value: ` i=${i}; a=rsa-sha256; cv=pass; d=a.example; s=s; b=AAAA; bh=AAAA; h=from`,
      }));
    const fields = Array.from({ length: 50 }, (_, i) => set(50 - i)).flat();
    const none = seal(
      [...fields, ...sample.fields],
      'x',
      signers.rsa,
      'fail',
      RESULTS,
      SIGNED_FIELDS,
      Date.now(),
    );
    assert.match('none' in none ? none.none : '', /50/);
  });

  it('has lines without CR, which a mail server would double', async () => {
    const { fields } = await sealed(sample);
    for (const { name, value } of fields.slice(0, 3)) {
      assert.doesNotMatch(value, /\r|\n[^ \t]|\n$/, name);
      for (const line of value.split('\n')) assert.ok(line.length < 200, line);
    }
  });
});
