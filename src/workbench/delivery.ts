/**
 * What Postfix or Sendmail make of a message and its envelope when a filter asks for changes at the end of the message.
 *
 * Source: Postfix src/cleanup/cleanup_milter.c; sendmail/milter.c; both seen at work.
 */
import { HeaderSlots } from '../message/header-slots.ts';
import { isResentField } from '../message/sendmail-fields.ts';
import { mailboxOf } from '../milter/envelope-address.ts';
import type { Modification } from '../milter/reply.ts';
import type { MtaKind } from './client-reply.ts';
import { type MailHeader, type MailMessage, withLineEnds } from './mail-message.ts';

/** Addresses are without angle brackets. */
export interface Envelope {
  readonly sender: string;
  readonly senderParams: readonly string[];
  readonly recipients: readonly EnvelopeRecipient[];
}

export interface EnvelopeRecipient {
  readonly address: string;
  readonly params: readonly string[];
}

export interface Changed {
  readonly envelope: Envelope;
  readonly message: MailMessage;
  readonly quarantine: string | undefined;
}

/**
 * @param message as the filter was shown it
 * @param missing headers that Sendmail adds when it sends the message on
 */
export function applyModifications(
  mta: MtaKind,
  envelope: Envelope,
  message: MailMessage,
  modifications: readonly Modification[],
  missing: readonly MailHeader[] = [],
): Changed {
  let { sender, senderParams } = envelope;
  const recipients = new Recipients(mta, envelope.recipients);
  const headers = new HeaderSlots(mta, message.headers, missing);
  const bodies: Buffer[] = [];
  let replaced = false;
  let quarantine: string | undefined;
  for (const change of modifications) {
    switch (change.kind) {
      case 'addRecipient':
        recipients.add(mailboxOf(change.address), words(change.params));
        break;
      case 'deleteRecipient':
        recipients.delete(mailboxOf(change.address));
        break;
      case 'changeSender':
        sender = mailboxOf(change.address);
        if (change.params !== undefined)
          senderParams = parametersAfter(mta, senderParams, words(change.params));
        break;
      case 'addHeader':
        headers.add(change);
        break;
      case 'insertHeader':
        headers.insert(change.index, change);
        break;
      case 'changeHeader':
        headers.change(change.index, change);
        break;
      case 'replaceBody':
        replaced = true;
        bodies.push(change.bytes);
        break;
      case 'quarantine':
        quarantine = change.reason;
        break;
      default:
        change satisfies never;
    }
  }
  const body = replaced
    ? Buffer.from(withLineEnds(Buffer.concat(bodies).toString('latin1')), 'latin1')
    : message.body;
  return {
    envelope: { sender, senderParams, recipients: recipients.list },
    message: { headers: sentOn(mta, headers.list(), message.headers.some(isResent)), body },
    quarantine,
  };
}

/**
 * Sendmail takes out what is none of the recipients' business when it sends a message on, Postfix when it comes. A Bcc
 * stays, empty, where no other header names a recipient.
 *
 * @param wasResent whether it came with headers of who passed it on: else Sendmail sends none
 */
function sentOn(mta: MtaKind, headers: MailHeader[], wasResent: boolean): MailHeader[] {
  if (mta === 'postfix') return headers;
  const named = headers.some(({ name }) => /^(resent-)?(to|cc)$/i.test(name));
  return headers.flatMap((header) => {
    if (/^(return-path|content-length)$/i.test(header.name)) return [];
    if (isResent(header) && !wasResent) return [];
    if (!/^(resent-)?bcc$/i.test(header.name)) return [header];
    return named ? [] : [{ name: header.name, value: '' }];
  });
}

function isResent({ name }: MailHeader): boolean {
  return isResentField(name.toLowerCase());
}

/** Both leave out who is named twice; Postfix tells added ones from the client's, and does not look at case. */
class Recipients {
  readonly #mta: MtaKind;
  readonly #seen = new Set<string>();
  list: EnvelopeRecipient[] = [];

  constructor(mta: MtaKind, given: readonly EnvelopeRecipient[]) {
    this.#mta = mta;
    for (const { address, params } of given) this.#take('client', address, params);
  }

  add(address: string, params: readonly string[]): void {
    this.#take('filter', address, params);
  }

  delete(address: string): void {
    this.list = this.list.filter((recipient) => recipient.address !== address);
    this.#seen.delete(address);
  }

  #take(from: string, address: string, params: readonly string[]): void {
    const key = this.#mta === 'postfix' ? `${from} ${params.join(' ')} ${address.toLowerCase()}` : address;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.list.push({ address, params });
  }
}

/** Sendmail forgets what the client gave with MAIL; Postfix takes RET and ENVID, and leaves the rest as it was. */
function parametersAfter(
  mta: MtaKind,
  before: readonly string[],
  given: readonly string[],
): readonly string[] {
  if (mta === 'sendmail') return given;
  const taken = given.filter((word) => /^(?:RET|ENVID)=/i.test(word));
  const keywords = taken.map(keywordOf);
  return [...before.filter((word) => !keywords.includes(keywordOf(word))), ...taken];
}

function keywordOf(word: string): string {
  return word.replace(/=.*/s, '').toUpperCase();
}

function words(params: string | undefined): string[] {
  return params === undefined ? [] : params.split(' ').filter((word) => word !== '');
}
