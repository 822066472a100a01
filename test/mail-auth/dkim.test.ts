import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { BodyHash, type Canonicalization } from '../../src/mail-auth/body-hash.ts';
import { dkimSignature, SIGNED_FIELDS } from '../../src/mail-auth/dkim-sign.ts';
import { ArrivingMessage, type Signature } from '../../src/mail-auth/dkim-verify.ts';
import { keyRecord, readSigningKey, type SigningKey } from '../../src/mail-auth/signing-key.ts';
import { KEYS_OF_INPUT, withDkimpy } from './dkimpy.ts';
import { inquiryOf, messageText, type ParsedMessage, parseMessage, zoneOf } from './messages.ts';
import { SAMPLES } from './samples.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ed = generateKeyPairSync('ed25519').privateKey;
const pemOf = (key: typeof rsa) => key.export({ type: 'pkcs8', format: 'pem' }).toString();

function signingKey(key: typeof rsa): SigningKey {
  const read = readSigningKey(pemOf(key));
  assert.ok(!('wrong' in read));
  return read;
}

const KEYS: Readonly<Record<string, string>> = {
  'rsa._domainkey.example.com': keyRecord(rsa),
  'ed._domainkey.example.com': keyRecord(ed),
};
const ZONE = Object.fromEntries(Object.entries(KEYS).map(([name, record]) => [`${name} TXT`, record]));
const FORMS: readonly Canonicalization[] = ['relaxed', 'simple'];
const NOW = Date.now();

interface How {
  readonly selector?: 'rsa' | 'ed';
  readonly header?: Canonicalization;
  readonly body?: Canonicalization;
  readonly names?: readonly string[];
  readonly expires?: number;
  readonly now?: number;
}

function signed(message: ParsedMessage, how: How = {}): ParsedMessage {
  const { selector = 'rsa', header = 'relaxed', body = 'relaxed', names = SIGNED_FIELDS, expires } = how;
  const hash = new BodyHash(body);
  hash.update(message.body);
  hash.end();
  const signer = {
    domain: 'example.com',
    selector,
    key: signingKey(selector === 'rsa' ? rsa : ed),
  };
  const options = { header, body, names, expires };
  const value = dkimSignature(message.fields, hash.digest() ?? '', signer, options, how.now ?? NOW);
  return { fields: [{ name: 'DKIM-Signature', value }, ...message.fields], body: message.body };
}

async function verified(
  { fields, body }: ParsedMessage,
  zone: Parameters<typeof zoneOf>[0] = ZONE,
  piece = 1000,
): Promise<readonly Signature[]> {
  const arriving = new ArrivingMessage(fields, inquiryOf(zoneOf(zone)), NOW);
  for (let at = 0; at < body.length; at += piece) arriving.body(body.subarray(at, at + piece));
  return await arriving.verify();
}

const resultsOf = (signatures: readonly Signature[]) => signatures.map(({ result }) => result);

/** Whether dkimpy takes the first signature of each message. */
function dkimpyTakes(messages: readonly string[], keys = KEYS): boolean[] {
  return withDkimpy(
    `${KEYS_OF_INPUT}
def check(text):
    try:
        return dkim.verify(base64.b64decode(text), dnsfunc=dnsfunc)
    except dkim.DKIMException:
        return False
print(json.dumps([bool(check(text)) for text in input['messages']]))
`,
    { keys, messages: messages.map((text) => Buffer.from(text, 'latin1').toString('base64')) },
  );
}

describe('signatures of ours', () => {
  const all = Object.entries(SAMPLES).flatMap(([name, text]) =>
    FORMS.flatMap((header) =>
      FORMS.flatMap((body) =>
        (['rsa', 'ed'] as const).map((selector) => ({
          name: `${name}, ${header}/${body}, ${selector}`,
          message: signed(parseMessage(text), { header, body, selector }),
        })),
      ),
    ),
  );

  it('verify here, whatever the message is like', async () => {
    for (const { name, message } of all) {
      assert.deepEqual(resultsOf(await verified(message)), ['pass'], name);
    }
  });

  it('verify with dkimpy', () => {
    // It reads a body without a last line end, and what a CR alone is, in its own way.
    const others = all.filter(({ name }) => !/last line end|CR/.test(name));
    const taken = dkimpyTakes(others.map(({ message }) => messageText(message)));
    assert.deepEqual(
      others.filter((_, i) => !taken[i]).map(({ name }) => name),
      [],
    );
  });

  it('have lines that every mail server takes, and end nowhere but at their end', () => {
    const names = [...SIGNED_FIELDS, ...Array.from({ length: 100 }, (_, i) => `X-Very-Long-Name-${i}`)];
    const fields = names.map((name) => ({ name, value: ' x' }));
    const [field] = signed({ fields, body: Buffer.from('x\r\n') }, { names }).fields;
    for (const line of `DKIM-Signature:${field?.value}`.split('\n')) assert.ok(line.length <= 78, line);
    assert.doesNotMatch(field?.value ?? '', /\r|\n[^\t]|\n$/);
  });

  it('end at their time', async () => {
    const message = parseMessage(SAMPLES['a short message'] ?? '');
    const hour = 3600;
    const past = signed(message, { expires: hour, now: NOW - 2 * hour * 1000 });
    assert.deepEqual(
      (await verified(past)).map(({ result, reason }) => [result, reason]),
      [['permerror', 'expired']],
    );
    assert.deepEqual(resultsOf(await verified(signed(message, { expires: hour }))), ['pass']);
  });

  it('can be several in one message, of both kinds', async () => {
    const message = parseMessage(SAMPLES['a short message'] ?? '');
    const both = signed(signed(message), { selector: 'ed' });
    const found = await verified(both);
    assert.deepEqual(resultsOf(found), ['pass', 'pass']);
    assert.deepEqual(
      found.map(({ algorithm, bits }) => [algorithm, bits]),
      [
        ['ed25519-sha256', 256],
        ['rsa-sha256', 2048],
      ],
    );
  });
});

describe('signatures of dkimpy', () => {
  it('verify here, in all forms, with a part of the body, and by both kinds of key', async () => {
    const samples = Object.entries(SAMPLES).filter(([name]) => !/last line end|CR|no body at all/.test(name));
    const signedByThem = withDkimpy<string[]>(
      `
results = []
for text in input['messages']:
    message = base64.b64decode(text)
    lines = b''
    for form in ((b'relaxed', b'relaxed'), (b'simple', b'simple'), (b'relaxed', b'simple'), (b'simple', b'relaxed')):
        for length in (False, True):
            lines += dkim.sign(message, b'rsa', b'example.com', input['rsa'].encode(), canonicalize=form, length=length)
    lines += dkim.sign(message, b'ed', b'example.com', input['ed'].encode(), signature_algorithm=b'ed25519-sha256')
    results.append(base64.b64encode(lines + message).decode())
print(json.dumps(results))
`,
      {
        messages: samples.map(([, text]) => Buffer.from(text, 'latin1').toString('base64')),
        rsa: rsa.export({ type: 'pkcs1', format: 'pem' }).toString(),
        ed: ed.export({ type: 'pkcs8', format: 'der' }).subarray(-32).toString('base64'),
      },
    );
    for (const [i, [name]] of samples.entries()) {
      const text = Buffer.from(signedByThem[i] ?? '', 'base64').toString('latin1');
      const found = await verified(parseMessage(text));
      assert.deepEqual(resultsOf(found), new Array(9).fill('pass'), name);
    }
  });
});

describe('a message that was changed after it was signed', () => {
  const original = parseMessage(
    'Reply-To: jane@example.com\r\nReply-To: other@example.com\r\n' +
      `${SAMPLES['a short message']?.replace('Hello', 'Hello  there')}`,
  );
  const withValue = (name: string, change: (value: string) => string) => (message: ParsedMessage) => ({
    ...message,
    fields: message.fields.map((field) =>
      field.name === name ? { name, value: change(field.value) } : field,
    ),
  });
  const onTop = (name: string, value: string) => (message: ParsedMessage) => ({
    ...message,
    fields: [{ name, value }, ...message.fields],
  });
  const atEnd = (name: string, value: string) => (message: ParsedMessage) => ({
    ...message,
    fields: [...message.fields, { name, value }],
  });
  const withBody = (change: (body: string) => string) => (message: ParsedMessage) => ({
    ...message,
    body: Buffer.from(change(message.body.toString('latin1')), 'latin1'),
  });
  const inSignature = (from: RegExp, to: string) =>
    withValue('DKIM-Signature', (value) => {
      assert.match(value, from);
      return value.replace(from, to);
    });
  /** The key is a new one in each run: any letter may stand there before. */
  const otherLetter = withValue('DKIM-Signature', (value) =>
    value.replace(/(?<=\bb=\n?\t?[^;]{20})./, (letter) => (letter === 'A' ? 'B' : 'A')),
  );

  const mutations: Readonly<Record<string, (message: ParsedMessage) => ParsedMessage>> = {
    'another author': withValue('From', () => ' Mallory <mallory@example.com>'),
    'another letter in Subject': withValue('Subject', (value) => value.replace('day', 'daY')),
    'a word more in Subject': withValue('Subject', (value) => `${value} [EXTERNAL]`),
    'white space within a word of Subject': withValue('Subject', (value) => value.replace('day', 'd ay')),
    'no To': (message) => ({ ...message, fields: message.fields.filter(({ name }) => name !== 'To') }),
    'a second From on top': onTop('From', ' mallory@example.org'),
    'a second From below': atEnd('From', ' mallory@example.org'),
    'a second Subject on top': onTop('Subject', ' other'),
    'a second Subject below': atEnd('Subject', ' other'),
    'a second To': onTop('To', ' other@example.org'),
    'a second Date': onTop('Date', ' Sun, 29 Nov 2026 10:00:00 +0000'),
    'two fields of a name that change places': (message) => {
      const [signature, one, other, ...rest] = message.fields;
      assert.ok(signature !== undefined && one?.name === 'Reply-To' && other?.name === 'Reply-To');
      return { ...message, fields: [signature, other, one, ...rest] };
    },
    'another letter in the body': withBody((body) => body.replace('Hello', 'hello')),
    'a line more': withBody((body) => `${body}Footer\r\n`),
    'an empty line in front': withBody((body) => `\r\n${body}`),
    'no body': withBody(() => ''),
    'a space within a word of the body': withBody((body) => body.replace('Hello', 'He llo')),
    'another hash of the body': inSignature(/bh=./, 'bh=/'),
    'another signature': otherLetter,
    'another domain': inSignature(/d=example\.com/, 'd=example.org'),
    'another time': inSignature(/t=(\d+)/, 't=1'),
    'fewer fields covered': inSignature(/h=From:From:/, 'h=From:'),
    'a length': inSignature(/d=/, 'l=3; d='),
    'an identity of another domain': inSignature(/d=example\.com;/, 'd=example.com; i=@example.org;'),
  };

  for (const [name, change] of Object.entries(mutations)) {
    it(`does not verify: ${name}`, async () => {
      const message = signed(original);
      const [top] = await verified(message);
      assert.equal(top?.result, 'pass');
      const found = await verified(change(message));
      assert.ok(
        found.every(({ result }) => result === 'fail' || result === 'permerror'),
        JSON.stringify(found),
      );
    });
  }

  it('does not verify with dkimpy either', () => {
    const names = Object.keys(mutations);
    const taken = dkimpyTakes(
      names.map((name) => messageText(mutations[name]?.(signed(original)) ?? original)),
    );
    assert.deepEqual(
      names.filter((_, i) => taken[i]),
      [],
    );
  });

  const harmless: Readonly<Record<string, (message: ParsedMessage) => ParsedMessage>> = {
    'other white space where fields are relaxed': withValue(
      'Subject',
      (value) => ` ${value.replace(' day', ' \n\t day')} `,
    ),
    'a name in other letters': (message) => ({
      ...message,
      fields: message.fields.map((field) => (field.name === 'To' ? { ...field, name: 'TO' } : field)),
    }),
    'a field that is not covered': onTop('X-Other', ' x'),
    'white space at ends of lines': withBody((body) => body.replaceAll('\r\n', ' \t\r\n')),
    'empty lines at the end': withBody((body) => `${body}\r\n\r\n`),
  };
  for (const [name, change] of Object.entries(harmless)) {
    it(`verifies: ${name}`, async () => {
      assert.deepEqual(resultsOf(await verified(change(signed(original)))), ['pass']);
    });
  }
});

describe('what keeps a signature from counting', () => {
  const message = parseMessage(SAMPLES['a short message'] ?? '');
  const record = KEYS['rsa._domainkey.example.com'] ?? '';
  const rows: Readonly<Record<string, [zone: Parameters<typeof zoneOf>[0], result: string, reason: RegExp]>> =
    {
      'no key': [{}, 'permerror', /no key/],
      'a key that was taken back': [
        { 'rsa._domainkey.example.com TXT': 'v=DKIM1; p=' },
        'permerror',
        /invalid public key/,
      ],
      'a key of another kind': [
        { 'rsa._domainkey.example.com TXT': record.replace('k=rsa', 'k=ed25519') },
        'permerror',
        /key type/,
      ],
      'a key for other services': [
        { 'rsa._domainkey.example.com TXT': `${record}; s=chat` },
        'permerror',
        /not for email/,
      ],
      'a key for other hashes': [
        { 'rsa._domainkey.example.com TXT': `${record}; h=sha1` },
        'permerror',
        /hash/,
      ],
      'a key that is none': [{ 'rsa._domainkey.example.com TXT': 'v=DKIM1; p=AAAA' }, 'permerror', /key/],
      'a server that fails': [
        { 'rsa._domainkey.example.com TXT': { failure: 'servfail' } },
        'temperror',
        /ESERVFAIL/,
      ],
      'a server that is silent': [
        { 'rsa._domainkey.example.com TXT': { failure: 'timeout' } },
        'temperror',
        /ETIMEOUT/,
      ],
    };
  for (const [name, [zone, result, reason]] of Object.entries(rows)) {
    it(name, async () => {
      const [found] = await verified(signed(message), zone);
      assert.equal(found?.result, result);
      assert.match(found?.reason ?? '', reason);
      assert.equal(found?.failure !== undefined, result === 'temperror');
    });
  }

  it('a key of 512 bits', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 512 }).privateKey;
    assert.deepEqual(readSigningKey(pemOf(weak)), { wrong: 'has 512 bits: at least 1024 are needed' });
    const [found] = await verified(signed(message), { 'rsa._domainkey.example.com TXT': keyRecord(weak) });
    assert.equal(found?.result, 'policy');
  });

  it('SHA-1, of which nothing is hashed', async () => {
    const changed = messageText(signed(message)).replace('a=rsa-sha256', 'a=rsa-sha1');
    const [found] = await verified(parseMessage(changed));
    assert.deepEqual([found?.result, found?.reason], ['policy', 'weak algorithm']);
  });

  it('a line that is too long', async () => {
    const long = { ...message, body: Buffer.from(`${'x'.repeat(1024 * 1024 + 1)}\r\n`) };
    const text = messageText(signed(message));
    const [found] = await verified({ ...parseMessage(text), body: long.body }, ZONE, 65536);
    assert.deepEqual([found?.result, found?.reason], ['permerror', 'limit: a line is too long']);
  });

  it('shows how much of the body it does not cover', async () => {
    const [text] = withDkimpy<string[]>(
      `message = base64.b64decode(input['text'])
line = dkim.sign(message, b'rsa', b'example.com', input['rsa'].encode(), length=True)
print(json.dumps([base64.b64encode(line + message + b'Footer\\r\\n').decode()]))
`,
      {
        text: Buffer.from(messageText(message), 'latin1').toString('base64'),
        rsa: rsa.export({ type: 'pkcs1', format: 'pem' }).toString(),
      },
    );
    const [found] = await verified(parseMessage(Buffer.from(text ?? '', 'base64').toString('latin1')));
    assert.deepEqual([found?.result, found?.uncovered], ['pass', 'Footer\r\n'.length]);
  });
});
