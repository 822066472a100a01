/**
 * What Postfix or Sendmail make of a message and its envelope when a filter asks for changes at the end of the message.
 *
 * Source: Postfix src/cleanup/cleanup_milter.c; sendmail/milter.c; both seen at work.
 */
import { mailboxOf } from '../milter/envelope-address.ts';
import type { Modification } from '../milter/reply.ts';
import type { MtaKind } from './client-reply.ts';
import type { MailHeader, MailMessage } from './mail-message.ts';

/** Addresses are without angle brackets. */
export interface Envelope {
  readonly sender: string;
  readonly senderParams: readonly string[];
  readonly recipients: readonly { readonly address: string; readonly params: readonly string[] }[];
}

export interface Changed {
  readonly envelope: Envelope;
  readonly message: MailMessage;
  readonly quarantine: string | undefined;
}

export function applyModifications(
  mta: MtaKind,
  envelope: Envelope,
  message: MailMessage,
  modifications: readonly Modification[],
): Changed {
  let { sender, senderParams } = envelope;
  let recipients = [...envelope.recipients];
  const headers = new Headers(mta, message.headers);
  const bodies: Buffer[] = [];
  let replaced = false;
  let quarantine: string | undefined;
  for (const change of modifications) {
    switch (change.kind) {
      case 'addRecipient':
        recipients.push({ address: mailboxOf(change.address), params: words(change.params) });
        break;
      case 'deleteRecipient': {
        const gone = mailboxOf(change.address);
        recipients = recipients.filter(({ address }) => address !== gone);
        break;
      }
      case 'changeSender':
        sender = mailboxOf(change.address);
        if (change.params !== undefined) senderParams = words(change.params);
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
  return {
    envelope: { sender, senderParams, recipients },
    message: { headers: headers.list(), body: replaced ? Buffer.concat(bodies) : message.body },
    quarantine,
  };
}

function words(params: string | undefined): string[] {
  return params === undefined ? [] : params.split(' ').filter((word) => word !== '');
}

interface Slot {
  header: MailHeader;
  deleted: boolean;
}

/** The header list of one MTA. The Received header that the MTA adds on top is not in it. */
class Headers {
  readonly #mta: MtaKind;
  #slots: Slot[];

  constructor(mta: MtaKind, headers: readonly MailHeader[]) {
    this.#mta = mta;
    this.#slots = headers.map((header) => ({ header, deleted: false }));
  }

  list(): MailHeader[] {
    return this.#slots.filter(({ deleted }) => !deleted).map(({ header }) => header);
  }

  /** Postfix: at the end. Sendmail: before the first of the same name, if there is one. */
  add({ name, value }: MailHeader): void {
    const slot = { header: { name, value }, deleted: false };
    const same = this.#mta === 'sendmail' ? this.#slots.findIndex((other) => isNamed(other, name)) : -1;
    this.#slots.splice(same < 0 ? this.#slots.length : same, 0, slot);
  }

  insert(index: number, { name, value }: MailHeader): void {
    this.#slots.splice(Math.max(0, Math.min(index, this.#slots.length)), 0, {
      header: { name, value },
      deleted: false,
    });
  }

  /** Postfix forgets a deleted header at once; Sendmail goes on counting it. */
  change(index: number, { name, value }: MailHeader): void {
    const named = this.#slots.filter(
      (slot) => isNamed(slot, name) && (this.#mta === 'sendmail' || !slot.deleted),
    );
    const slot = named[Math.max(index, 1) - 1];
    if (!slot) {
      if (value !== '') this.add({ name, value });
      return;
    }
    slot.deleted = value === '';
    const kept = this.#mta === 'sendmail' ? slot.header.name : name;
    if (value !== '') slot.header = { name: kept, value };
  }
}

function isNamed({ header }: Slot, name: string): boolean {
  return header.name.toLowerCase() === name.toLowerCase();
}
