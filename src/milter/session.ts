/**
 * The state machine of one milter connection: commands and verdicts in, steps out. It does no I/O and knows no time.
 *
 *     receive(command) -> steps     the MTA said something
 *     answer(verdict)  -> steps     the policy answered the last `ask`
 *     end()            -> steps     the MTA is gone
 *
 * The caller carries out the steps in order before it comes back. `ask` is always the last of its list.
 *
 * A verdict on an event whose reply was negotiated away is held and given to the next event that takes one. That holds
 * for headers and body in particular: neither MTA can tell the SMTP client before the end of the message anyway.
 *
 * Where the MTAs differ, what is done suits both:
 *   Sendmail: sends MAIL straight after the end of a message; sends ABORT only for RSET or HELO within a message.
 *   Postfix: sends ABORT after every message, often twice, and on a second HELO sends HELO first, then ABORT.
 *   Both: after a refused DATA the transaction lives on, and RCPT and DATA may come again without a MAIL.
 *   Sendmail: where MAIL was negotiated away, RSET brings no ABORT, only the macros of the next MAIL.
 * So ABORT may come at any time, any number of times, and HELO or MAIL end a transaction by themselves.
 *
 * Sources: libmilter/engine.c; sendmail/milter.c; Postfix src/milter/milter8.c.
 */
import type { Command } from './command.ts';
import { SMFIC, SMFIP } from './constants.ts';
import { understoodMailbox } from './envelope-address.ts';
import { Macros } from './macros.ts';
import { type Agreement, hasDataEvent, negotiate } from './negotiation.ts';
import type { Interests, PolicyEvent, Verdict } from './policy.ts';
import { ProtocolError } from './protocol-error.ts';
import type { Modification, Reply } from './reply.ts';
import { DEFAULT_MESSAGE_LIMITS, type MessageLimits, type Room, Transaction } from './transaction.ts';
import { NO_REPLY, replyTo, type Stage, scopeOf, withoutLeadingSpace } from './verdict-effect.ts';

export type Step =
  | { readonly kind: 'send'; readonly reply: Reply }
  /** Goes out before the reply that follows. */
  | { readonly kind: 'modify'; readonly modification: Modification }
  /** The policy decides; the machine waits for `answer`. */
  | { readonly kind: 'ask'; readonly event: PolicyEvent }
  /** The policy is told; what it says is of no consequence. */
  | { readonly kind: 'tell'; readonly event: PolicyEvent }
  /** The command ended something, which the policy is told of first: hand it in once more after that. Always last. */
  | { readonly kind: 'again'; readonly command: Command }
  /** Nothing more comes: close the socket. */
  | { readonly kind: 'hangUp' }
  /** Something the operator should read: the script's reply was changed to fit the protocol. */
  | { readonly kind: 'warn'; readonly message: string };

type ContentCommand = Extract<Command, { kind: 'header' | 'endOfHeaders' | 'body' | 'endOfMessage' }>;

/** Commands that do not begin an SMTP session. Who only negotiates, as a health check does, has none. */
const BEGINS_NOTHING: ReadonlySet<Command['kind']> = new Set(['macro', 'abort', 'quit', 'quitNewConnection']);

const NOTHING: readonly Step[] = [];
const NO_BYTES = Buffer.alloc(0);
const CONTINUE: Verdict = { kind: 'continue' };
const SEND_CONTINUE: readonly Step[] = [{ kind: 'send', reply: { kind: 'continue' } }];
const TELL_RESET: Step = { kind: 'tell', event: { kind: 'reset' } };
const TELL_CLOSE: Step = { kind: 'tell', event: { kind: 'close' } };

export class Session {
  readonly macros = new Macros();
  readonly #interests: Interests;
  readonly #limits: MessageLimits;
  readonly #room: Room | undefined;
  #agreement: Agreement | undefined;
  /** The SMTP session has begun and its end has not been told. */
  #open = false;
  #connected = false;
  /** A verdict for the whole SMTP session: given at every event that takes a reply, without asking. */
  #sessionVerdict: Verdict | undefined;
  /** That verdict was given at HELO. */
  #heloVerdict = false;
  #transaction: Transaction | undefined;
  /** What has ended since the last command: its macros stay readable until the next, for what the policy is told. */
  #staleMacros: 'none' | 'transaction' | 'session' = 'none';
  #then: ((verdict: Verdict) => readonly Step[]) | undefined;
  #stage: Stage = 'connect';

  constructor(interests: Interests, limits: MessageLimits = DEFAULT_MESSAGE_LIMITS, room?: Room) {
    this.#room = room;
    this.#interests = interests;
    this.#limits = limits;
  }

  /** What was agreed on with the MTA; undefined before that. */
  get agreement(): Agreement | undefined {
    return this.#agreement;
  }

  /**
   * Whether `progress` may be sent now: the MTA waits for the answer to the end of a message. Sendmail takes it nowhere
   * else. It may have said so before the policy is through with headers and body that take no reply: `endIsQueued`.
   */
  mayReportProgress(endIsQueued: () => boolean): boolean {
    if (this.#then === undefined) return false;
    if (this.#stage === 'endOfMessage') return true;
    const streamed =
      (this.#stage === 'headers' || this.#stage === 'chunk') && this.#agreed(NO_REPLY[this.#stage]);
    return streamed && endIsQueued();
  }

  /** @throws ProtocolError when the command makes no sense here: the connection must be closed. */
  receive(command: Command): readonly Step[] {
    if (this.#then) throw new Error(`${command.kind} received while the policy is being asked`);
    if (this.#staleMacros === 'transaction') this.macros.clearTransaction();
    else if (this.#staleMacros === 'session') this.macros.clear();
    this.#staleMacros = 'none';
    if (command.kind === 'negotiate') return this.#negotiate(command);
    if (!this.#agreement) throw new ProtocolError(`${command.kind} before negotiation`);

    const ended = this.#endedBy(command);
    if (ended.length > 0) return [...ended, { kind: 'again', command }];
    if (!BEGINS_NOTHING.has(command.kind)) this.#open = true;

    switch (command.kind) {
      case 'macro':
        if (command.malformed !== true) this.macros.replace(command.stage, command.text);
        return NOTHING;
      case 'connect':
        return this.#connect(command);
      case 'helo':
        return this.#helo(command.name);
      case 'mail':
        return this.#mail(command.address, command.params);
      case 'rcpt':
        return this.#rcpt(command.address, command.params);
      case 'data':
        this.#envelope('data').dataAsked = true;
        return this.#ask('data', { kind: 'data' });
      case 'header':
      case 'endOfHeaders':
        if (this.#transaction?.headersAsked) throw new ProtocolError(`${command.kind} after the headers`);
        return this.#content(command, this.#message(command.kind));
      case 'body':
      case 'endOfMessage':
        return this.#content(command, this.#message(command.kind));
      case 'unknown':
        return this.#ask('unknown', { kind: 'unknown', line: command.line });
      case 'abort':
        return this.#endTransaction();
      case 'quit':
        return [...this.end(), { kind: 'hangUp' }];
      case 'quitNewConnection': {
        const steps = this.end();
        this.#forgetSession();
        this.#staleMacros = 'session';
        return steps;
      }
      default:
        return command satisfies never;
    }
  }

  /** Takes the policy's verdict on the event of the last `ask`. */
  answer(verdict: Verdict): readonly Step[] {
    const then = this.#then;
    if (!then) throw new Error('a verdict without a question');
    this.#then = undefined;
    return then(verdict);
  }

  /** The MTA has gone, or says it will: whatever is open ends now. Harmless when repeated. */
  end(): readonly Step[] {
    this.#then = undefined;
    const steps = this.#endTransaction();
    if (!this.#open) return steps;
    this.#open = false;
    return [...steps, TELL_CLOSE];
  }

  #negotiate(offer: Extract<Command, { kind: 'negotiate' }>): readonly Step[] {
    if (this.#agreement) throw new ProtocolError('negotiate: second time on one connection');
    const agreement = negotiate(offer, this.#interests);
    this.#agreement = agreement;
    return [{ kind: 'send', reply: agreement }];
  }

  /** What a command ends merely by coming. */
  #endedBy(command: Command): readonly Step[] {
    let ended = NOTHING;
    switch (command.kind) {
      case 'connect':
        // A second CONNECT without QUIT_NC is no legal order; its only sensible meaning is the next SMTP session.
        ended = this.#connected ? this.end() : this.#endTransaction();
        this.#forgetSession();
        break;
      case 'helo':
      case 'mail':
        ended = this.#endTransaction();
        break;
      case 'macro':
        if (command.stage !== SMFIC.MAIL || !this.#agreed(SMFIP.NOMAIL)) return NOTHING;
        ended = this.#endTransaction();
        // When nobody is told there is no `again` at which the stale ones would go.
        if (ended.length === 0) this.macros.clearTransaction();
        break;
      default:
        return NOTHING;
    }
    // CONNECT, HELO and MAIL clear what comes after them; their own macros have come already and must stay.
    if (command.kind !== 'macro' || ended.length === 0) this.#staleMacros = 'none';
    return ended;
  }

  #connect(command: Extract<Command, { kind: 'connect' }>): readonly Step[] {
    this.#connected = true;
    this.macros.clearAfter(SMFIC.CONNECT);
    const { hostname, client } = command;
    return this.#ask('connect', { kind: 'connect', hostname, client });
  }

  #helo(name: string): readonly Step[] {
    this.macros.clearAfter(SMFIC.HELO);
    if (this.#heloVerdict) this.#sessionVerdict = undefined; // Another name, another answer.
    return this.#ask('helo', { kind: 'helo', name });
  }

  #forgetSession(): void {
    this.#connected = false;
    this.#sessionVerdict = undefined;
    this.#heloVerdict = false;
  }

  #mail(written: string, params: readonly string[]): readonly Step[] {
    this.macros.clearAfter(SMFIC.MAIL);
    this.#transaction = new Transaction(this.#room);
    const tempfail = this.#transaction.tempfailWhenShort();
    if (tempfail !== undefined) return this.#give(tempfail, 'mail');
    const address = understoodMailbox(written, this.macros, '{mail_addr}');
    return this.#ask('mail', { kind: 'mail', address, written, params });
  }

  #rcpt(written: string, params: readonly string[]): readonly Step[] {
    const transaction = this.#envelope('rcpt');
    this.macros.clearAfter(SMFIC.RCPT);
    transaction.recipients += 1;
    if (transaction.recipients > this.#limits.recipients) {
      return this.#give(
        { kind: 'reply', code: 452, enhanced: '4.5.3', lines: ['Too many recipients'] },
        'rcpt',
      );
    }
    const address = understoodMailbox(written, this.macros, '{rcpt_addr}');
    return this.#ask('rcpt', { kind: 'rcpt', address, written, params });
  }

  /**
   * The message that a command speaks of.
   * @throws ProtocolError when there is none, unless MAIL was negotiated away and so cannot begin one.
   */
  #message(kind: string): Transaction {
    if (!this.#transaction) {
      if (!this.#agreed(SMFIP.NOMAIL)) throw new ProtocolError(`${kind} outside a transaction`);
      this.#transaction = new Transaction(this.#room);
      this.#transaction.tempfailWhenShort();
    }
    return this.#transaction;
  }

  #envelope(kind: 'rcpt' | 'data'): Transaction {
    const transaction = this.#message(kind);
    if (transaction.contentBegun) throw new ProtocolError(`${kind} after the headers`);
    return transaction;
  }

  /** Header, end of headers, body, end of message: first whatever event must come before it, then the command. */
  #content(command: ContentCommand, transaction: Transaction): readonly Step[] {
    const afterwards = (verdict: Verdict): readonly Step[] => {
      if (verdict.kind === 'skip') transaction.skipped.add(this.#stage);
      else if (verdict.kind !== 'continue') transaction.held ??= verdict;
      return this.#content(command, transaction);
    };
    transaction.contentBegun = true;
    if (!transaction.dataAsked) {
      transaction.dataAsked = true;
      // The MTA's version has no DATA event. One that has it and left it out has its reasons, as with libmilter.
      if (this.#asks('data') && this.#agreement && !hasDataEvent(this.#agreement)) {
        return this.#question('data', { kind: 'data' }, afterwards);
      }
    }
    if (command.kind === 'header') return this.#header(command.name, command.value, transaction);
    if (!transaction.headersAsked) {
      transaction.headersAsked = true;
      const event = { kind: 'headers', lines: transaction.headerLines } as const;
      if (command.kind === 'endOfHeaders') return this.#ask('headers', event);
      if (this.#interests.headers !== 'none' && !this.#decided('headers')) {
        return this.#question('headers', event, afterwards);
      }
    }
    switch (command.kind) {
      case 'endOfHeaders':
        return this.#give(CONTINUE, 'headers');
      case 'body':
        transaction.countBody(command.bytes.length, this.#limits);
        return this.#ask('chunk', { kind: 'chunk', bytes: command.bytes });
      case 'endOfMessage':
        if (command.bytes.length > 0 && this.#asks('chunk')) {
          const last = { kind: 'endOfMessage', bytes: NO_BYTES } as const;
          return this.#question('chunk', { kind: 'chunk', bytes: command.bytes }, (verdict) => {
            if (verdict.kind === 'skip') transaction.skipped.add('chunk');
            else if (verdict.kind !== 'continue') transaction.held ??= verdict;
            return this.#content(last, transaction);
          });
        }
        return this.#ask('endOfMessage', { kind: 'endOfMessage' });
      default:
        return command satisfies never;
    }
  }

  #header(name: string, value: string, transaction: Transaction): readonly Step[] {
    if (this.#interests.headers !== 'none') {
      const colon = this.#agreed(SMFIP.HDR_LEADSPC) ? ':' : ': ';
      const text = value.includes('\n') ? value.replace(/\r?\n/g, '\r\n') : value;
      transaction.addHeader(name + colon + text, this.#limits);
    }
    return this.#give(CONTINUE, 'header');
  }

  /** Asks the policy unless it has no interest or has decided already; the verdict becomes the reply. */
  #ask(stage: Stage, event: PolicyEvent): readonly Step[] {
    if (!this.#asks(stage)) return this.#give(CONTINUE, stage);
    return this.#question(stage, event, (verdict) => this.#give(verdict, stage));
  }

  /** Whether the policy is to be asked at this stage. */
  #asks(stage: Stage): boolean {
    return !this.#decided(stage) && this.#wanted(stage) && this.#transaction?.skipped.has(stage) !== true;
  }

  /** The verdict given before that decides this event too. An unknown command is no part of a message. */
  #decided(stage: Stage): Verdict | undefined {
    return stage === 'unknown' ? undefined : (this.#sessionVerdict ?? this.#transaction?.held);
  }

  #question(stage: Stage, event: PolicyEvent, then: (verdict: Verdict) => readonly Step[]): readonly Step[] {
    this.#stage = stage;
    this.#then = then;
    return [{ kind: 'ask', event }];
  }

  #wanted(stage: Stage): boolean {
    switch (stage) {
      case 'endOfMessage':
        return true;
      case 'header':
        return false;
      case 'chunk':
        return this.#interests.body !== 'none';
      default:
        return this.#interests[stage] !== 'none';
    }
  }

  /** Replies with the verdict where the event takes a reply, and holds it where not. */
  #give(verdict: Verdict, stage: Stage): readonly Step[] {
    if (this.#agreed(NO_REPLY[stage])) {
      this.#hold(verdict, stage);
      return NOTHING;
    }
    const effective = this.#decided(stage) ?? verdict;
    if (effective.kind === 'continue' && stage !== 'endOfMessage') return SEND_CONTINUE;

    const steps: Step[] = [];
    const { reply, warnings } = replyTo(effective, stage, this.#agreed(SMFIP.SKIP));
    for (const message of warnings) steps.push({ kind: 'warn', message });
    if (effective.kind === 'skip') this.#transaction?.skipped.add(stage);
    if (stage === 'endOfMessage' && (effective.kind === 'continue' || effective.kind === 'accept')) {
      const wholeValues = this.#agreed(SMFIP.HDR_LEADSPC);
      for (const modification of effective.modifications ?? []) {
        steps.push({
          kind: 'modify',
          modification: wholeValues ? modification : withoutLeadingSpace(modification),
        });
      }
    }
    steps.push({ kind: 'send', reply });
    switch (scopeOf(effective, stage)) {
      case 'session':
        this.#decideSession(effective, stage);
        break;
      case 'transaction':
        for (const step of this.#endTransaction()) steps.push(step);
        if (stage !== 'endOfMessage') this.#repeat(effective);
        break;
      case 'command':
        break;
    }
    return steps;
  }

  #hold(verdict: Verdict, stage: Stage): void {
    if (verdict.kind === 'skip') this.#transaction?.skipped.add(stage);
    else if (verdict.kind === 'continue' || stage === 'unknown') return;
    else if (scopeOf(verdict, stage) === 'session') this.#decideSession(verdict, stage);
    else if (this.#transaction) this.#transaction.held ??= verdict;
  }

  #decideSession(verdict: Verdict, stage: Stage): void {
    if (this.#sessionVerdict) return;
    this.#sessionVerdict = verdict;
    this.#heloVerdict = stage === 'helo';
  }

  /** An MTA says nothing more of a message that is decided. Whoever does gets the same reply until ABORT or MAIL. */
  #repeat(verdict: Verdict): void {
    this.#transaction = new Transaction();
    this.#transaction.held = verdict;
    this.#transaction.unseen = true;
  }

  #endTransaction(): readonly Step[] {
    // With a verdict for the whole session the policy has seen nothing of its messages.
    const unseen = this.#transaction?.unseen === true || this.#sessionVerdict !== undefined;
    if (!this.#transaction) return NOTHING;
    this.#transaction.free();
    this.#transaction = undefined;
    this.#staleMacros = 'transaction';
    return unseen ? NOTHING : [TELL_RESET];
  }

  #agreed(bit: number): boolean {
    return this.#agreement !== undefined && (this.#agreement.protocol & bit) !== 0;
  }
}
