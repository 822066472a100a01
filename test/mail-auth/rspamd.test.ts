/** rspamd as a third opinion on our signatures and seals, with the keys in a real name server. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { seal } from '../../src/mail-auth/arc.ts';
import { BodyHash } from '../../src/mail-auth/body-hash.ts';
import { dkimSignature, SIGNED_FIELDS } from '../../src/mail-auth/dkim-sign.ts';
import { keyRecord, stringsOf } from '../../src/mail-auth/signing-key.ts';
import { askRspamd } from '../../src/scanners/rspamd.ts';
import { Nsd, withoutNsd } from '../dns/nsd.ts';
import { type RealService, RSPAMD, startService } from '../helpers/real-service.ts';
import { certain, messageText, type ParsedMessage, parseMessage } from './messages.ts';
import { SAMPLES } from './samples.ts';

const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const { privateKey: ed25519 } = generateKeyPairSync('ed25519');
const RSA = { domain: 'example.com', selector: 'rsa', key: { algorithm: 'rsa-sha256', key: rsa } } as const;
const ED = {
  domain: 'example.com',
  selector: 'ed',
  key: { algorithm: 'ed25519-sha256', key: ed25519 },
} as const;

function hashOf(body: Buffer): string {
  const hash = new BodyHash('relaxed');
  hash.update(body);
  hash.end();
  return hash.digest() ?? '';
}

async function signed({ fields, body }: ParsedMessage): Promise<ParsedMessage> {
  const options = { header: 'relaxed', body: 'relaxed', names: SIGNED_FIELDS, expires: undefined } as const;
  const hash = hashOf(body);
  const values = [RSA, ED].map((signer) => dkimSignature(fields, hash, signer, options, Date.now()));
  const all = [...values.map((value) => ({ name: 'DKIM-Signature', value })), ...fields];
  const set = await seal(all, hash, RSA, 'none', 'mx.example.com; none', SIGNED_FIELDS, Date.now());
  assert.ok('fields' in set, JSON.stringify(set));
  return { fields: [...set.fields, ...all], body };
}

describe('rspamd', { skip: withoutNsd }, () => {
  let nsd: Nsd;
  let service: RealService;
  before(async () => {
    const record = (name: string, text: string) =>
      `${name}._domainkey 60 IN TXT ${stringsOf(text)
        .map((string) => `"${string}"`)
        .join(' ')}\n`;
    nsd = await Nsd.start({
      'example.com': record('rsa', keyRecord(rsa)) + record('ed', keyRecord(ed25519)),
    });
    service = await startService({
      ...RSPAMD,
      files: (directory, port) => {
        const files = RSPAMD.files?.(directory, port) ?? {};
        const conf = (files['rspamd.conf'] ?? '')
          .replace('filters = ""', 'filters = "dkim"')
          .replace('127.0.0.1:1:1', `127.0.0.1:${nsd.port}:1`)
          .replace('timeout = 0.2s', 'timeout = 20s')
          .replace('explicit_modules = []', 'explicit_modules = ["dkim", "arc"]')
          .replace('task_timeout = 8s', 'task_timeout = 60s');
        const modules = `dkim { check_local = true; check_authed = true; }
arc { check_local = true; check_authed = true; }
modules { path = "/usr/share/rspamd/plugins/arc.lua"; }
`;
        return { ...files, 'rspamd.conf': `${conf}${modules}` };
      },
    });
  });
  after(async () => {
    await service.stop();
    await nsd.stop();
  });

  async function symbols(message: ParsedMessage): Promise<Record<string, readonly string[]>> {
    const bytes = Buffer.from(messageText(message), 'latin1');
    const content = {
      size: bytes.length,
      async *pieces() {
        yield bytes;
      },
    };
    const envelope = {
      ip: '192.0.2.7',
      helo: 'x.example',
      from: 'a@example.com',
      rcpt: ['b@example.net'],
      user: undefined,
      queueId: undefined,
    };
    const found = await askRspamd(
      { url: new URL(`http://127.0.0.1:${service.port}`) },
      undefined,
      content,
      envelope,
      {
        timeoutMs: 100_000,
        cancelled: new AbortController().signal,
      },
    );
    return Object.fromEntries(
      [...certain(found).symbols].map(([name, { options }]) => [name, [...options].sort()]),
    );
  }

  it('verifies what we have signed and sealed, and nothing that was changed', async () => {
    // OpenDKIM and dkimpy take the samples that are left out; rspamd 3.4 reads empty fields its own way.
    const samples = Object.entries(SAMPLES).filter(([name]) => !/NUL|no body at all|empty fields/.test(name));
    const both = ['example.com:s=ed', 'example.com:s=rsa'];
    const found: Record<string, unknown> = {};
    const expected: Record<string, unknown> = {};
    for (const [name, text] of samples) {
      const message = await signed(parseMessage(text));
      const right = await symbols(message);
      const body = Buffer.concat([message.body, Buffer.from('x\r\n')]);
      const wrong = await symbols({ fields: message.fields, body });
      found[name] = [right.R_DKIM_ALLOW, right.ARC_ALLOW, wrong.R_DKIM_ALLOW, wrong.ARC_ALLOW];
      expected[name] = [both, ['example.com:s=rsa:i=1'], undefined, undefined];
    }
    assert.deepEqual(found, expected);
  });
});
