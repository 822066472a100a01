/** OpenDKIM as another opinion on signatures, in both directions: its filter in the mode that reads messages from files. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { Canonicalization } from '../../src/mail-auth/body-hash.ts';
import { ArrivingMessage } from '../../src/mail-auth/dkim-verify.ts';
import { keyRecord } from '../../src/mail-auth/signing-key.ts';
import {
  inquiryOf,
  messageText,
  type ParsedMessage,
  parseMessage,
  signed as signedBy,
  zoneOf,
} from './messages.ts';
import { opendkim } from './opendkim.ts';
import { SAMPLES } from './samples.ts';

const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-opendkim-'));
after(() => rmSync(directory, { recursive: true }));

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const name = 'rsa._domainkey.example.com';
writeFileSync(join(directory, 'keys'), `${name} ${keyRecord(privateKey)}\n`);
writeFileSync(join(directory, 'key.pem'), privateKey.export({ type: 'pkcs1', format: 'pem' }), {
  mode: 0o600,
});

/** Its reader of files takes no CR alone and no NUL, and drops blanks after a colon: those of the milter protocol do. */
const samples = Object.entries(SAMPLES)
  .filter(([name]) => !/NUL|no body at all|without a last/.test(name))
  .map(([name, text]) => ({ name, message: parseMessage(text) }));

/** Those in which it drops no blank. */
const plain = samples.filter(({ name }) => !/blank after the colon|empty fields/.test(name));

type Form = `${Canonicalization}/${Canonicalization}`;

function signed(message: ParsedMessage, form: Form = 'relaxed/relaxed'): ParsedMessage {
  const [header, body] = form.split('/') as [Canonicalization, Canonicalization];
  const how = { key: privateKey, domain: 'example.com', selector: 'rsa', now: Date.now(), header, body };
  return signedBy(message, how);
}

describe('OpenDKIM', () => {
  it('verifies what we have signed, and nothing that was changed', () => {
    const ours = samples.map(({ message }) => signed(message));
    const simple = samples.map(({ message }) => signed(message, 'relaxed/simple'));
    const simplest = plain.map(({ message }) => signed(message, 'simple/simple'));
    const changed = ours.map(({ fields, body }) => ({
      fields,
      body: Buffer.concat([body, Buffer.from('x\r\n')]),
    }));
    const forged = ours.map(({ fields, body }) => ({
      fields: [{ name: 'Subject', value: ' other' }, ...fields],
      body,
    }));
    const found = opendkim(
      directory,
      { Mode: 'v', TestPublicKeys: join(directory, 'keys'), AlwaysAddARHeader: 'yes' },
      [...ours, ...simple, ...simplest, ...changed, ...forged].map(messageText),
    ).map((value) => /dkim=(\w+)/.exec(value)?.[1]);
    const passing = [...ours, ...simple, ...simplest].map(() => 'pass');
    assert.deepEqual(found, [...passing, ...[...changed, ...forged].map(() => 'fail')]);
  });

  for (const form of ['relaxed/relaxed', 'relaxed/simple', 'simple/relaxed', 'simple/simple'] as const) {
    it(`has its signatures verified here: ${form}`, async () => {
      const settings = {
        Mode: 's',
        Canonicalization: form,
        Domain: 'example.com',
        Selector: 'rsa',
        KeyFile: join(directory, 'key.pem'),
        RequireSafeKeys: 'no',
        OversignHeaders: 'From',
      };
      const signable = form.startsWith('simple') ? plain : samples;
      const values = opendkim(
        directory,
        settings,
        signable.map(({ message }) => messageText(message)),
      );
      for (const [i, { name: sample, message }] of signable.entries()) {
        const fields = [{ name: 'DKIM-Signature', value: ` ${values[i]}` }, ...message.fields];
        const arriving = new ArrivingMessage(
          fields,
          inquiryOf(zoneOf({ [`${name} TXT`]: keyRecord(privateKey) })),
          Date.now(),
        );
        arriving.body(message.body);
        const [signature] = await arriving.verify();
        assert.equal(signature?.result, 'pass', `${sample}: ${signature?.reason}`);
      }
    });
  }
});
