/**
 * What a script wants changed in one message: collected during the transaction, sent once at its end.
 */
import { mailboxOf } from '../../milter/envelope-address.ts';
import type { Modification } from '../../milter/reply.ts';
import { addressKey } from './mailbox.ts';
import { MessageHeaders } from './message-headers.ts';

type RecipientEdit = Extract<Modification, { kind: 'addRecipient' | 'deleteRecipient' }>;

/** One object per transaction. Text is latin1. */
export class Edits {
  readonly headers: MessageHeaders = new MessageHeaders();
  /** Recipients of the message as the client wrote them, those added and deleted left out. */
  #recipients: string[] = [];
  #recipientEdits: RecipientEdit[] = [];
  #sender: Modification | undefined;
  #quarantine: Modification | undefined;
  #body: Modification | undefined;

  /** Whether the script has made none. */
  get isEmpty(): boolean {
    return !this.headers.edited && this.#envelopeAndBody().length === 0;
  }

  /** The client has named a recipient: `written` is the address of RCPT, byte for byte. */
  recipientNamed(written: string): void {
    this.#recipients.push(written);
  }

  /** The recipient named last was refused after all. */
  recipientRefused(): void {
    this.#recipients.pop();
  }

  /** `path` is an address in angle brackets. */
  addRecipient(path: string, params?: string): void {
    this.#recipientEdits.push({ kind: 'addRecipient', address: path, params });
  }

  /** @returns whether the address in angle brackets was a recipient, of the client's or an added one. */
  deleteRecipient(path: string): boolean {
    const key = keyOf(path);
    const named = this.#recipients.filter((written) => keyOf(written) === key);
    const others = this.#recipientEdits.filter(
      (edit) => edit.kind === 'deleteRecipient' || keyOf(edit.address) !== key,
    );
    const found = named.length > 0 || others.length < this.#recipientEdits.length;
    this.#recipients = this.#recipients.filter((written) => !named.includes(written));
    // The MTAs compare with what the client wrote.
    const deletions = [...new Set(named)].map((address) => ({ kind: 'deleteRecipient', address }) as const);
    this.#recipientEdits = [...others, ...deletions];
    return found;
  }

  /** `path` is an address in angle brackets, `<>` for the null sender. The last call counts. */
  setSender(path: string, params?: string): void {
    this.#sender = { kind: 'changeSender', address: path, params };
  }

  /** The last call counts. */
  quarantine(reason: string): void {
    this.#quarantine = { kind: 'quarantine', reason };
  }

  /** The last call counts. `bytes` must not change any more. */
  replaceBody(bytes: Buffer): void {
    this.#body = { kind: 'replaceBody', bytes };
  }

  /**
   * What to ask of the MTA, in this order. The body comes last: Postfix takes anything after its first packet that is no
   * other part of it for its end.
   */
  compile(): Modification[] {
    return [...this.headers.compile(), ...this.#envelopeAndBody()];
  }

  #envelopeAndBody(): Modification[] {
    const edits = [this.#sender, ...this.#recipientEdits, this.#quarantine, this.#body];
    return edits.filter((edit) => edit !== undefined);
  }
}

function keyOf(written: string): string {
  return addressKey(mailboxOf(written));
}
