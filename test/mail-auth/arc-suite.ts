/**
 * Runs the ARC validation suite of ValiMail through our verification: `npm run test:arc -- FILE`.
 *
 * The file is not part of this project. Ends with 1 where a case differs that is not in the list below, or one of the list
 * does not differ. Each message is then sealed by us, and its chain verified again.
 */
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import type { Zone } from '../../src/dns/zone.ts';
import { checkArc, seal } from '../../src/mail-auth/arc.ts';
import { SIGNED_FIELDS } from '../../src/mail-auth/dkim-sign.ts';
import { ArrivingMessage } from '../../src/mail-auth/dkim-verify.ts';
import { keyRecord } from '../../src/mail-auth/signing-key.ts';
import { certain, inquiryOf, type ParsedMessage, parseMessage, zoneOf } from './messages.ts';

interface Section {
  readonly tests: Readonly<Record<string, { readonly message: string; readonly cv: string }>>;
  readonly 'txt-records': Readonly<Record<string, string>>;
}

/** Cases in which we differ, and why. */
const DIFFERENCES: Readonly<Record<string, string>> = {
  ams_fields_c_na:
    'without c= a signature is simple/simple (RFC 6376 section 3.5); the suite is of a draft that had relaxed',
  ams_fields_h_empty: 'a signature that does not cover From counts for nothing (RFC 6376 section 5.4)',
};

const file = process.argv[2];
if (file === undefined) {
  console.error('usage: npm run test:arc -- FILE');
  process.exit(64);
}
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const signer = {
  domain: 'seal.example',
  selector: 'ours',
  key: { algorithm: 'rsa-sha256', key: privateKey },
} as const;

const sections = parseAllDocuments(readFileSync(file, 'utf8')).flatMap(
  (document) => (document.toJS() as Section | null) ?? [],
);
let cases = 0;
let same = 0;
let sealed = 0;
let unexpected = 0;
for (const section of sections) {
  const zone = zoneOf({ 'ours._domainkey.seal.example TXT': keyRecord(privateKey) });
  for (const [name, text] of Object.entries(section['txt-records'])) {
    zone.set(`${name} TXT`, { records: [text.replace(/\s+/g, '')] });
  }
  for (const [name, { message, cv }] of Object.entries(section.tests)) {
    cases += 1;
    const parsed = parseMessage(message.replace(/\r?\n/g, '\r\n'));
    const found = await chainOf(parsed, zone);
    // Without a word: the last seal says cv=fail, which ends the matter (RFC 8617 section 5.2 step 2).
    const wanted = cv.trim().toLowerCase() || 'fail';
    if (found.result === wanted) same += 1;
    if ((found.result === wanted) === Object.hasOwn(DIFFERENCES, name)) {
      unexpected += 1;
      console.log(`${name}: ${found.result} (${found.reason}), ${wanted} expected`);
    }
    const set = seal(
      parsed.fields,
      found.bodyHash,
      signer,
      found.result,
      'seal.example; none',
      SIGNED_FIELDS,
      Date.now(),
    );
    if ('none' in set) {
      if (found.result !== 'fail' && parsed.fields.some(({ name }) => name === 'From')) {
        unexpected += 1;
        console.log(`${name}: not sealed: ${set.none}`);
      }
      continue;
    }
    const again = await chainOf({ fields: [...set.fields, ...parsed.fields], body: parsed.body }, zone);
    const expected = found.result === 'fail' ? 'fail' : 'pass';
    if (again.result === expected) sealed += 1;
    else {
      unexpected += 1;
      console.log(`${name}: sealed ${again.result} (${again.reason}), ${expected} expected`);
    }
  }
}
for (const [name, reason] of Object.entries(DIFFERENCES)) console.log(`differs: ${name}: ${reason}`);
console.log(`${same} of ${cases} verified as expected; ${sealed} sealed by us, and verified again`);
process.exitCode = unexpected > 0 ? 1 : 0;

async function chainOf({ fields, body }: ParsedMessage, zone: Zone) {
  const arriving = new ArrivingMessage(fields, inquiryOf(zone), Date.now(), 'relaxed');
  arriving.body(body);
  await arriving.verify();
  const { result, reason } = certain(await checkArc(arriving));
  return { result, reason, bodyHash: arriving.bodyHash('relaxed') ?? '' };
}
