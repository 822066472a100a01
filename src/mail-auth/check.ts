/** All that can be found out about who sent a message, in one go, and the header that says it to others. */
import { type Answer, known } from '../asking/answer.ts';
import { confirmedName } from '../dns/client-checks.ts';
import type { Inquiry } from '../dns/inquiry.ts';
import { parseAddress, pointerName } from '../dns/name.ts';
import { type ArcResult, checkArc } from './arc.ts';
import type { MethodResult } from './authentication-results.ts';
import type { ArrivingMessage, Signature } from './dkim-verify.ts';
import { checkDmarc, type DmarcResult } from './dmarc.ts';
import { bytesOf } from './field.ts';
import { checkSpf, domainOf, type SpfClient, type SpfResult } from './spf.ts';

export interface IprevResult {
  readonly result: 'pass' | 'fail' | 'permerror';
  /** The name that leads back; empty without one. */
  readonly name: string;
}

export interface CheckedMessage {
  readonly spf: Answer<SpfResult>;
  readonly dkim: readonly Signature[];
  /** Unknown where SPF or a signature that could not be checked could have changed it. */
  readonly dmarc: Answer<DmarcResult>;
  readonly arc: Answer<ArcResult>;
  readonly iprev: Answer<IprevResult>;
  /** As Authentication-Results says them. */
  readonly results: readonly MethodResult[];
}

/**
 * After the body has come. Never rejects.
 */
export async function checkAll(
  message: ArrivingMessage,
  client: SpfClient,
  inquiry: Inquiry,
): Promise<CheckedMessage> {
  const [spf, iprev, dkim] = await Promise.all([
    checkSpf(client, inquiry),
    checkIprev(client.address, inquiry),
    message.verify(),
  ]);
  // A stranger chooses how many keys a chain needs: DMARC has its look-ups first.
  const dmarc = await dmarcOf(message, client, spf, dkim);
  const arc = await checkArc(message);
  const results = [
    ...spfText(spf, client),
    ...dkimText(dkim),
    ...dmarcText(dmarc, message),
    ...arcText(arc),
    ...iprevText(iprev, client),
  ];
  return { spf, dkim, dmarc, arc, iprev, results };
}

/** Whether the name of an address leads back to it (RFC 8601 section 2.7.3); permerror where it has none. */
export async function checkIprev(
  address: string | undefined,
  inquiry: Inquiry,
): Promise<Answer<IprevResult>> {
  const parsed = address === undefined ? undefined : parseAddress(address);
  if (parsed === undefined) return known({ result: 'permerror', name: '' });
  const name = await confirmedName(inquiry, parsed);
  if (name.kind === 'unknown') return name;
  if (name.value !== false) return known({ result: 'pass', name: name.value });
  const names = await inquiry.ask('PTR', pointerName(parsed));
  const hasNone = names.kind === 'known' && names.value.length === 0;
  return known({ result: hasNone ? 'permerror' : 'fail', name: '' });
}

function dmarcOf(
  message: ArrivingMessage,
  client: SpfClient,
  spf: Answer<SpfResult>,
  signatures: readonly Signature[],
): Promise<Answer<DmarcResult>> {
  const domainsOf = (result: Signature['result']) =>
    // What covers only a beginning of the body does not stand behind all of it.
    signatures.flatMap((one) => (one.result === result && one.uncovered === 0 ? one.domain : []));
  const failedKey = signatures.find(({ result }) => result === 'temperror');
  return checkDmarc(
    message.author,
    {
      spf: spf.kind === 'known' && spf.value.result === 'pass' ? [spf.value.domain] : [],
      dkim: domainsOf('pass'),
    },
    {
      spf: spf.kind === 'unknown' ? [domainOf(client.sender || client.helo)] : [],
      dkim: domainsOf('temperror'),
      why: spf.kind === 'unknown' ? spf : failedKey?.failure,
    },
    message.lookUps,
  );
}

const wordOf = (answer: Answer<{ readonly result: string }>): string =>
  answer.kind === 'known' ? answer.value.result : 'temperror';

function method(
  name: string,
  result: string,
  properties: readonly (readonly [string, string])[],
  reason = '',
): MethodResult {
  return { method: name, result, reason, properties: new Map(properties) };
}

function spfText(spf: Answer<SpfResult>, client: SpfClient): MethodResult[] {
  const identity =
    client.sender === '' ? ['smtp.helo', client.helo] : ['smtp.mailfrom', domainOf(client.sender)];
  return [method('spf', wordOf(spf), [identity as [string, string]])];
}

function dkimText(dkim: readonly Signature[]): MethodResult[] {
  if (dkim.length === 0) return [method('dkim', 'none', [])];
  return dkim.map(({ result, reason, domain, selector, algorithm, mark }) =>
    method(
      'dkim',
      result,
      [
        ['header.d', domain],
        ['header.s', selector],
        ['header.a', algorithm],
        ['header.b', mark],
      ],
      reason,
    ),
  );
}

function dmarcText(dmarc: Answer<DmarcResult>, { author }: ArrivingMessage): MethodResult[] {
  const policy = dmarc.kind === 'known' && dmarc.value.domain !== '' ? dmarc.value.policy : '';
  const reason = dmarc.kind === 'known' ? dmarc.value.reason : '';
  const [only, ...others] = new Set(author.addresses.map((address) => domainOf(bytesOf(address))));
  return [
    method(
      'dmarc',
      wordOf(dmarc),
      [
        ['header.from', others.length === 0 ? (only ?? '') : ''],
        ['policy.dmarc', policy],
      ],
      reason,
    ),
  ];
}

function arcText(arc: Answer<ArcResult>): MethodResult[] {
  if (arc.kind === 'known' && arc.value.result === 'none') return [];
  return [method('arc', wordOf(arc), [], arc.kind === 'known' ? arc.value.reason : '')];
}

function iprevText(iprev: Answer<IprevResult>, { address }: SpfClient): MethodResult[] {
  return address === undefined ? [] : [method('iprev', wordOf(iprev), [['policy.iprev', address]])];
}
