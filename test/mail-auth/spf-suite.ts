/**
 * Runs the test suite of RFC 7208 (openspf) through our SPF: `npm run test:spf -- FILE`.
 *
 * The file is not part of this project. Ends with 1 where a case differs that is not in the list below, or one of the list
 * does not differ.
 */
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { type Answer, known, unknown } from '../../src/asking/answer.ts';
import type { MailExchanger, RecordSource, Records, RecordType } from '../../src/dns/records.ts';
import { checkSpf } from '../../src/mail-auth/spf.ts';
import { inquiryOf } from './messages.ts';

type Row = string | Readonly<Record<string, unknown>>;

interface Case {
  readonly host: string;
  readonly helo: string;
  readonly mailfrom: string;
  readonly result: string | readonly string[];
  readonly explanation?: string;
}

interface Section {
  readonly tests: Readonly<Record<string, Case>>;
  readonly zonedata: Readonly<Record<string, readonly Row[]>>;
}

/** Cases in which we differ, and why. */
const DIFFERENCES: Readonly<Record<string, string>> = {
  'v-macro-ip6': 'the result is the same; the explanation has the digits of the address in small letters',
};

/** The zone of a section. SPF records stand for TXT where a name has none. */
class SuiteZone implements RecordSource {
  readonly timeoutMs = 1000;
  readonly #rows = new Map<string, readonly Row[]>();

  constructor(zone: Section['zonedata']) {
    for (const [name, rows] of Object.entries(zone)) {
      this.#rows.set(name.toLowerCase().replace(/\.$/, ''), rows);
    }
  }

  recall(): undefined {
    return undefined;
  }

  async query<Type extends RecordType>(type: Type, name: string): Promise<Answer<Records[Type]>> {
    const rows = this.#rows.get(name.toLowerCase()) ?? [];
    const named = rows.flatMap((row) => (typeof row === 'string' ? [] : Object.entries(row)));
    const alias = named.find(([found]) => found === 'CNAME')?.[1];
    if (typeof alias === 'string') return this.query(type, alias);
    const wanted = type === 'TXT' && !named.some(([found]) => found === 'TXT') ? 'SPF' : type;
    const values = named.flatMap(([found, value]) => (found === wanted && value !== 'NONE' ? [value] : []));
    const isSilent = rows.includes('TIMEOUT') || values.includes('TIMEOUT');
    if (isSilent && values.filter((value) => value !== 'TIMEOUT').length === 0)
      return unknown('timeout', name);
    return known(values.map((value) => recordOf(type, value)) as unknown as Records[Type]);
  }
}

function recordOf(type: RecordType, value: unknown): string | MailExchanger {
  if (type === 'MX' && Array.isArray(value)) return { pref: Number(value[0]), host: String(value[1]) };
  return Array.isArray(value) ? value.join('') : String(value);
}

const file = process.argv[2];
if (file === undefined) {
  console.error('usage: npm run test:spf -- FILE');
  process.exit(64);
}
const sections = parseAllDocuments(readFileSync(file, 'latin1')).flatMap(
  (document) => (document.toJS() as Section | null) ?? [],
);
let cases = 0;
let same = 0;
let unexpected = 0;
for (const { tests, zonedata } of sections) {
  const zone = new SuiteZone(zonedata);
  for (const [name, { host, helo, mailfrom, result, explanation }] of Object.entries(tests)) {
    cases += 1;
    const client = { address: host, helo, sender: mailfrom, host: 'receiver.example.org' };
    const answer = await checkSpf(client, inquiryOf(zone));
    const found = answer.kind === 'known' ? answer.value.result : 'temperror';
    const said =
      answer.kind === 'known' && answer.value.explanation !== '' ? answer.value.explanation : 'DEFAULT';
    const isSame =
      [result].flat().includes(found) &&
      (explanation === undefined || found !== 'fail' || said === explanation);
    if (isSame) same += 1;
    if (isSame === Object.hasOwn(DIFFERENCES, name)) {
      unexpected += 1;
      console.log(`${name}: ${found} (${said}), ${result} (${explanation}) expected`);
    }
  }
}
for (const [name, reason] of Object.entries(DIFFERENCES)) console.log(`differs: ${name}: ${reason}`);
console.log(`${same} of ${cases} as expected`);
process.exitCode = unexpected > 0 ? 1 : 0;
