/** One message at an imitated MTA, from MAIL to whatever ends it. */
import { mailboxOf } from '../milter/envelope-address.ts';
import type { Reply } from '../milter/reply.ts';
import type { MtaKind } from './client-reply.ts';
import type { Envelope, EnvelopeRecipient } from './delivery.ts';

export class SmtpTransaction {
  readonly queueId: string;
  /** Of MAIL. */
  readonly path: string;
  readonly sender: string;
  readonly #senderParams: readonly string[];
  readonly recipients: EnvelopeRecipient[] = [];
  /** The path of the RCPT under way or the last one. */
  recipientAsked: string | undefined;
  messageId: string | undefined;
  /** The filter has decided before the end: it is told nothing more of the message. */
  decided: 'accept' | 'discard' | undefined;

  /**
   * @param path the sender with its angle brackets
   * @param count number of the message in its session
   */
  constructor(kind: MtaKind, path: string, params: readonly string[], count: number) {
    this.path = path;
    this.sender = mailboxOf(path);
    this.#senderParams = params;
    this.queueId = queueIdOf(kind, count);
  }

  get envelope(): Envelope {
    return { sender: this.sender, senderParams: this.#senderParams, recipients: this.recipients };
  }

  /** Takes the filter's answer to a command that passes. */
  decide(reply: Reply | undefined): void {
    if (reply?.kind === 'accept' || reply?.kind === 'discard') this.decided ??= reply.kind;
  }
}

/** In the form of each MTA. */
function queueIdOf(kind: MtaKind, count: number): string {
  return kind === 'postfix'
    ? (0x5a000000000 + count).toString(16).toUpperCase()
    : `6AM${String(count).padStart(11, '0')}`;
}
