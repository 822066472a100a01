/**
 * An SMTP session with an imitated MTA, command by command: what was said and answered, what the policy did meanwhile,
 * and what became of each message.
 */

import { mailboxOf } from '../milter/envelope-address.ts';
import type { Modification } from '../milter/reply.ts';
import type { CallRecord } from '../policy/policy-settings.ts';
import type { ClientReply } from './client-reply.ts';
import type { Envelope } from './delivery.ts';
import type { Delivery, ImitatedMta } from './imitated-mta.ts';
import type { RecordedCall, Recorder } from './recorder.ts';
import type { SmtpCommand } from './smtp-script.ts';

export type MessageAction = 'accept' | 'quarantine' | 'discard' | 'tempfail' | 'reject';

/** What the client said, what it heard, and what the policy did in between. */
export interface Exchange {
  /** As the client said it; '' for the connection itself, `.` for a message, undefined for a client that just goes. */
  readonly said: string | undefined;
  readonly reply: ClientReply | undefined;
  readonly calls: readonly RecordedCall[];
}

export interface RecipientOutcome {
  readonly address: string;
  /** To RCPT; undefined where it was not asked, because the sender was refused. */
  readonly asked: ClientReply | undefined;
  /** What decides about the recipient: the refusal of RCPT, or the verdict on the message. */
  readonly reply: ClientReply;
  readonly action: MessageAction;
}

export interface MessageOutcome {
  /** As the client gave it. */
  readonly envelope: Envelope;
  /** As the client sent it; undefined for what was refused before. */
  readonly content: Buffer | undefined;
  /** The reply that decided. */
  readonly reply: ClientReply;
  readonly action: MessageAction;
  readonly recipients: readonly RecipientOutcome[];
  readonly delivery: Delivery | undefined;
  /** What the policy asked for, whether or not it was carried out. */
  readonly edits: readonly Modification[];
  /** What is said of that: `breaks d=example.com: h= covers Subject`. Latin1. */
  readonly notes: readonly string[];
  /** The call that gave the answer which decided; undefined where the policy let the message pass. */
  readonly decisive: RecordedCall | undefined;
  /** The callbacks that failed, of the message and of its session before it. */
  readonly failures: readonly CallRecord[];
}

/** A refusal, and the call that gave it; undefined where the MTA refused by itself. */
export interface RefusalReply {
  readonly reply: ClientReply;
  readonly decisive: RecordedCall | undefined;
}

/** A message on its way. */
interface Draft {
  readonly sender: string;
  readonly senderParams: readonly string[];
  readonly recipients: {
    readonly address: string;
    readonly params: readonly string[];
    readonly reply: ClientReply;
    readonly decisive: RecordedCall | undefined;
  }[];
  /** Number of calls before MAIL. */
  readonly begin: number;
  /** Of MAIL or DATA. */
  refusal: RefusalReply | undefined;
}

export class SmtpDialogue {
  readonly messages: MessageOutcome[] = [];
  lastRefusal: RefusalReply | undefined;
  readonly #mta: ImitatedMta;
  readonly #recorder: Recorder;
  readonly #listener: (exchange: Exchange) => void;
  #draft: Draft | undefined;
  /** Number of calls that belong to exchanges already. */
  #told: number;
  /** Number of calls before the first MAIL. */
  #firstMessage: number | undefined;
  /** The call that decided about the client at connect or HELO. */
  #sessionDecidedBy: RecordedCall | undefined;

  /** `listener` is told of each exchange when it is over. */
  constructor(mta: ImitatedMta, recorder: Recorder, listener: (exchange: Exchange) => void) {
    this.#mta = mta;
    this.#recorder = recorder;
    this.#listener = listener;
    this.#told = recorder.calls.length;
  }

  get closed(): boolean {
    return this.#mta.closed;
  }

  async connect(): Promise<ClientReply> {
    const { reply, decisive } = await this.#exchange('', () => this.#mta.connect());
    this.#sessionDecidedBy = decisive;
    return reply;
  }

  /** Any command; DATA that is answered 354 is to be followed by message(). */
  async say(command: SmtpCommand): Promise<ClientReply> {
    const mta = this.#mta;
    const say = async (reply: () => ClientReply | Promise<ClientReply>) =>
      (await this.#exchange(command.line, reply)).reply;
    switch (command.kind) {
      case 'helo': {
        this.#conclude();
        const { reply, decisive } = await this.#exchange(command.line, () => mta.helo(command.name));
        this.#sessionDecidedBy ??= decisive;
        return reply;
      }
      case 'mail':
        return this.#mail(command.line, command.address, command.params);
      case 'rcpt':
        return this.#rcpt(command.line, command.address, command.params);
      case 'data':
        return this.#data(command.line);
      case 'startTls':
        this.#conclude();
        return say(() => mta.startTls(command.version));
      case 'login':
        return say(() => mta.login(command.user, command.mech));
      case 'malformed':
        return say(() => mta.syntax(command.command));
      case 'vrfy':
        return say(() => mta.vrfy(command.address));
      case 'noop':
        return say(() => mta.noop());
      case 'rset':
        this.#conclude();
        return say(() => mta.rset());
      case 'quit':
        this.#conclude();
        return say(() => mta.quit());
      case 'unknown':
        return say(() => mta.unknown(command.line));
      default:
        return command satisfies never;
    }
  }

  /** The message after DATA. */
  async message(content: Buffer): Promise<ClientReply> {
    let delivery: Delivery | undefined;
    const { reply, decisive } = await this.#exchange('.', async () => {
      const result = await this.#mta.message(content);
      delivery = result.delivery;
      return result.reply;
    });
    const draft = this.#draft;
    this.#draft = undefined;
    if (draft) {
      const before = this.#recorder.calls.slice(draft.begin).findLast(({ call }) => isForAll(call));
      this.#file(draft, { reply, decisive: decisive ?? before ?? this.#sessionDecidedBy }, content, delivery);
    }
    return reply;
  }

  /** The client goes, without QUIT if it has not said it. */
  async end(): Promise<void> {
    this.#conclude();
    if (this.#mta.closed) return;
    await this.#mta.drop();
    const calls = this.#newCalls();
    if (calls.length > 0) this.#listener({ said: undefined, reply: undefined, calls });
  }

  async #mail(line: string, address: string, params: readonly string[]): Promise<ClientReply> {
    const begin = this.#recorder.calls.length;
    this.#firstMessage ??= begin;
    const nested = this.#mta.inTransaction;
    const { reply, decisive } = await this.#exchange(line, () => this.#mta.mail(address, params));
    if (nested) return reply;
    this.#conclude();
    const sender = mailboxOf(address);
    const draft: Draft = { sender, senderParams: params, recipients: [], begin, refusal: undefined };
    if (reply.code < 400) this.#draft = draft;
    else this.#file(draft, { reply, decisive: decisive ?? this.#sessionDecidedBy }, undefined, undefined);
    return reply;
  }

  async #rcpt(line: string, path: string, params: readonly string[]): Promise<ClientReply> {
    const draft = this.#draft;
    const { reply, decisive } = await this.#exchange(line, () => this.#mta.rcpt(path, params));
    draft?.recipients.push({ address: mailboxOf(path), params, reply, decisive });
    return reply;
  }

  async #data(line: string): Promise<ClientReply> {
    const { reply, decisive } = await this.#exchange(line, () => this.#mta.data());
    const draft = this.#draft;
    if (draft) draft.refusal = reply.code >= 400 && decisive ? { reply, decisive } : undefined;
    return reply;
  }

  /** What is under way ends without a message: that is an outcome only if the policy had refused something. */
  #conclude(): void {
    const draft = this.#draft;
    this.#draft = undefined;
    if (!draft) return;
    const refused = draft.recipients.filter(({ reply }) => reply.code >= 400);
    const all = refused.length === draft.recipients.length;
    // One deferral among refusals: the client will come again.
    const refusal =
      draft.refusal ?? (all ? (refused.find(({ reply }) => reply.code < 500) ?? refused[0]) : undefined);
    if (refusal) this.#file(draft, refusal, undefined, undefined);
  }

  #file(
    draft: Draft,
    { reply, decisive }: RefusalReply,
    content: Buffer | undefined,
    delivery: Delivery | undefined,
  ): void {
    const action = actionOf(reply, delivery);
    const { sender, senderParams } = draft;
    const taken = draft.recipients.filter((recipient) => recipient.reply.code < 400);
    this.messages.push({
      envelope: { sender, senderParams, recipients: taken },
      content,
      reply,
      action,
      recipients: draft.recipients.map(({ address, reply: asked }) =>
        asked.code < 400
          ? { address, asked, reply, action }
          : { address, asked, reply: asked, action: actionOf(asked, undefined) },
      ),
      delivery,
      ...editsIn(this.#recorder.calls.slice(draft.begin)),
      decisive,
      failures: this.failuresOf(draft.begin),
    });
  }

  /**
   * Callbacks that failed before the first message or from the call with this number on, or that have ended the script for
   * the rest of the session.
   */
  failuresOf(begin: number): CallRecord[] {
    const { calls } = this.#recorder;
    const first = this.#firstMessage ?? calls.length;
    return calls.flatMap(({ call }, index) => {
      if (!call?.failure) return [];
      const isMail = call.event.kind !== 'reset' && call.event.kind !== 'close';
      return call.failure.endsScript || (isMail && (index < first || index >= begin)) ? [call] : [];
    });
  }

  async #exchange(said: string, say: () => ClientReply | Promise<ClientReply>): Promise<RefusalReply> {
    const reply = await say();
    const calls = this.#newCalls();
    this.#listener({ said, reply, calls });
    const decisive = calls.findLast(({ call }) => call && call.verdict.kind !== 'continue');
    if (reply.code >= 400) this.lastRefusal = { reply, decisive };
    return { reply, decisive };
  }

  #newCalls(): RecordedCall[] {
    const calls = this.#recorder.calls.slice(this.#told);
    this.#told += calls.length;
    return calls;
  }
}

export function actionOf({ code }: ClientReply, delivery: Delivery | undefined): MessageAction {
  if (code >= 500) return 'reject';
  if (code >= 400) return 'tempfail';
  switch (delivery?.action) {
    case 'discarded':
      return 'discard';
    case 'quarantined':
      return 'quarantine';
    default:
      return 'accept';
  }
}

/** Whether the answer ends a message well, whatever the command was. */
function isForAll(call: CallRecord | undefined): boolean {
  return call?.verdict.kind === 'accept' || call?.verdict.kind === 'discard';
}

/** What is asked for at the end of a message. */
function editsIn(calls: readonly RecordedCall[]): Pick<MessageOutcome, 'edits' | 'notes'> {
  const last = calls.findLast(({ call }) => call !== undefined && call.event.kind !== 'close');
  return { edits: last?.call?.edits ?? [], notes: last?.call?.notes ?? [] };
}
