/**
 * Plays Postfix or Sendmail towards a policy: an SMTP session in, the SMTP client's view and the delivered message out.
 *
 * It keeps to what the two were seen to do on the wire (Postfix 3.7, Sendmail 8.17): which macros they send and when, how
 * they write addresses, when they send ABORT, what they make of each answer, what they say to the client, and what they
 * do to a message. Commands are said as an SMTP client says them, and each gives the reply that the client sees; nothing
 * is refused here that the MTA itself would pass.
 */
import type { Command } from '../milter/command.ts';
import { SMFIC } from '../milter/constants.ts';
import { mailboxOf } from '../milter/envelope-address.ts';
import type { Modification } from '../milter/reply.ts';
import { arrive, missingHeaders } from './arrival.ts';
import { type ClientReply, closesSession, type MtaKind, plain, refusalOf } from './client-reply.ts';
import { applyModifications, type Envelope } from './delivery.ts';
import { connectCommand, FilterLink } from './filter-link.ts';
import type { MailMessage } from './mail-message.ts';
import { clientText, isLoopback, type MacroFacts, type MacroStage, MtaMacros } from './mta-macros.ts';
import type { FilterReply, RunnerSettings } from './session-runner.ts';
import { SmtpTransaction } from './smtp-transaction.ts';
import { type Wording, wordingOf } from './wording.ts';

/** Who connects. Text is latin1. */
export interface SmtpClient {
  /** An IP address, the path of a unix socket, or '' where the MTA knows none. */
  readonly ip: string;
  /** Verified name; '' for none. */
  readonly ptr: string;
  readonly port: number;
  /** The login that the client begins with. */
  readonly auth?: { readonly user: string; readonly mech: string } | undefined;
  /** Version of TLS that the connection begins with, `TLSv1.3`. */
  readonly tls?: string | undefined;
  /** Macros that count before the MTA's own, by name with or without braces; those it never sends come with CONNECT. */
  readonly macros: ReadonlyMap<string, string>;
}

/** What became of a message at the end of its data. */
export interface Delivery {
  readonly action: 'delivered' | 'discarded' | 'quarantined';
  readonly reason?: string | undefined;
  readonly envelope: Envelope;
  /** Without the Received header that the MTA puts on top. */
  readonly message: MailMessage;
}

export interface MessageResult {
  readonly reply: ClientReply;
  /** Undefined for a message that was refused. */
  readonly delivery: Delivery | undefined;
  /** What the filter asked for. */
  readonly modifications: readonly Modification[];
}

export interface MtaSettings extends RunnerSettings {
  /** Time for the headers that an MTA adds; undefined for the real one. */
  readonly now?: () => Date;
}

const UNTOLD: FilterReply = { reply: undefined, modifications: [] };

/** A refusal of the whole session, and the commands that get it. */
interface SessionRefusal {
  readonly reply: ClientReply;
  readonly commands: readonly ('mail' | 'rcpt' | 'data' | 'unknown')[];
}

export class ImitatedMta {
  readonly kind: MtaKind;
  readonly #filter: FilterLink;
  readonly #client: SmtpClient;
  readonly #macros: MtaMacros;
  readonly #say: Wording;
  readonly #now: () => Date;
  #auth: SmtpClient['auth'];
  #tls: string | undefined;
  #helo: string | undefined;
  #transaction: SmtpTransaction | undefined;
  #messages = 0;
  #sessionRefusal: SessionRefusal | undefined;
  #closed = false;
  /** The filter has answered MAIL with `continue`. */
  #mailContinued = false;

  constructor(kind: MtaKind, client: SmtpClient, settings: MtaSettings) {
    this.kind = kind;
    this.#client = client;
    this.#macros = new MtaMacros(kind, client);
    this.#filter = new FilterLink(kind, this.#macros, settings);
    const { host } = this.#macros;
    this.#say = wordingOf(kind, { host, client: clientText(kind, client) });
    this.#now = settings.now ?? (() => new Date());
    this.#auth = client.auth;
    this.#tls = client.tls;
  }

  /** The connection is closed: by the client, or by a reply 421. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether a MAIL has been taken and its message not ended. */
  get inTransaction(): boolean {
    return this.#transaction !== undefined;
  }

  /** The greeting. To be called once, first. */
  async connect(): Promise<ClientReply> {
    await this.#filter.negotiate();
    const { ip, ptr, port } = this.#client;
    await this.#filter.macros(SMFIC.CONNECT, 'connect', this.#facts());
    const { reply } = await this.#filter.tell(connectCommand(this.kind, ip, ptr, port));
    if (reply?.kind === 'accept') await this.#filter.leave();
    const refusal = refusalOf(this.kind, 'connect', reply, '');
    if (!refusal) return this.#say.greeting();
    if (refusal.code === 421) return this.#close(this.#say.closingGreeting());
    await this.#filter.leave();
    if (this.kind === 'postfix') {
      this.#sessionRefusal = { reply: refusal, commands: ['mail', 'unknown'] };
    } else {
      // The filter's text is lost.
      this.#sessionRefusal =
        refusal.code < 500
          ? { reply: plain(451, '4.3.2', 'Please try again later'), commands: ['mail'] }
          : { reply: plain(550, '5.0.0', 'Command rejected'), commands: ['mail', 'rcpt', 'data'] };
    }
    return refusal.code < 500 ? this.#say.greeting() : this.#say.refusingGreeting();
  }

  /** EHLO or HELO. */
  async helo(name: string): Promise<ClientReply> {
    if (name === '') return this.#say.heloWithoutName();
    const first = this.#helo === undefined;
    this.#helo = name;
    if (this.kind === 'sendmail') await this.#abort();
    await this.#filter.macros(SMFIC.HELO, 'helo', this.#facts());
    const { reply } = await this.#filter.tell({ kind: 'helo', name });
    if (this.kind === 'postfix') {
      if (!first) await this.#filter.send({ kind: 'abort' });
      await this.#abort();
    }
    if (reply?.kind === 'accept') await this.#filter.leave();
    const refusal = refusalOf(this.kind, 'helo', reply, '');
    if (!refusal) return this.#say.helo();
    if (refusal.code === 421) return this.#close(refusal);
    const withReply = reply?.kind === 'replyCode' || refusal.code >= 500;
    if (this.kind === 'postfix') {
      await this.#filter.leave();
      this.#sessionRefusal = { reply: refusal, commands: ['mail', 'unknown'] };
    } else {
      this.#filter.fallSilent();
      this.#sessionRefusal = {
        reply: refusal,
        commands: withReply ? ['mail', 'rcpt', 'data'] : ['mail'],
      };
    }
    return this.#say.helo();
  }

  /** STARTTLS; the client says EHLO again after it. */
  async startTls(version: string): Promise<ClientReply> {
    if (this.kind === 'postfix') await this.#abortAll();
    this.#transaction = undefined;
    this.#helo = undefined;
    this.#tls = version;
    return this.#say.readyForTls();
  }

  /** AUTH that succeeds. The filter is told at the next MAIL. */
  login(user: string, mech: string): ClientReply {
    this.#auth = { user, mech };
    return this.#say.loggedIn();
  }

  /** @param address with or without angle brackets; '' is the null sender */
  async mail(address: string, params: readonly string[] = []): Promise<ClientReply> {
    const refused = this.#refusedForSession('mail');
    if (refused) return refused;
    if (this.inTransaction) return this.#say.nestedMail();
    const unknown = params.find((param) => !/^(SIZE|BODY|AUTH|RET|ENVID|SMTPUTF8)(=|$)/i.test(param));
    if (unknown !== undefined) return this.#say.unknownParameter(unknown);
    const path = pathOf(address);
    this.#messages += 1;
    const transaction = new SmtpTransaction(this.kind, path, params, this.#messages);
    this.#transaction = transaction;
    await this.#sendMacros(SMFIC.MAIL, 'mail');
    const { reply } = await this.#tell({ kind: 'mail', address: path, params });
    this.#mailContinued = reply?.kind === 'continue';
    const refusal = refusalOf(this.kind, 'mail', reply, path);
    if (refusal) {
      this.#transaction = undefined;
      if (this.kind === 'postfix') await this.#filter.send({ kind: 'abort' });
      return this.#conclude(refusal);
    }
    transaction.decide(reply);
    return this.#say.senderTaken(path);
  }

  /** @param address with or without angle brackets */
  async rcpt(address: string, params: readonly string[] = []): Promise<ClientReply> {
    const refused = this.#refusedForSession('rcpt');
    if (refused) return refused;
    const transaction = this.#transaction;
    if (!transaction) return this.#say.rcptWithoutMail();
    const unknown = params.find((param) => !/^(NOTIFY|ORCPT)(=|$)/i.test(param));
    if (unknown !== undefined) return this.#say.unknownParameter(unknown);
    const path = pathOf(address);
    transaction.recipientAsked = path;
    await this.#sendMacros(SMFIC.RCPT, 'rcpt');
    const { reply } = await this.#tell({ kind: 'rcpt', address: path, params });
    const refusal = refusalOf(this.kind, 'rcpt', reply, path);
    if (refusal) return this.#conclude(refusal);
    transaction.recipients.push({ address: mailboxOf(path), params });
    transaction.decide(reply);
    return this.#say.recipientTaken(path);
  }

  /** DATA: 354 is the way to message(). */
  async data(): Promise<ClientReply> {
    const refused = this.#refusedForSession('data');
    if (refused) return refused;
    const transaction = this.#transaction;
    if (!transaction) return this.#say.dataWithoutMail();
    if (transaction.recipients.length === 0) return this.#say.dataWithoutRcpt();
    await this.#sendMacros(SMFIC.DATA, 'data');
    const { reply } = await this.#tell({ kind: 'data' });
    const refusal = refusalOf(this.kind, 'data', reply, '');
    if (refusal) return this.#conclude(refusal);
    transaction.decide(reply);
    return this.#say.goAhead();
  }

  /** The message, after data() has answered 354: its bytes, dots not doubled; line ends may be LF. */
  async message(bytes: Buffer): Promise<MessageResult> {
    const transaction = this.#transaction;
    if (!transaction) throw new Error('a message without DATA');
    const facts = {
      queueId: transaction.queueId,
      host: this.#macros.host,
      sender: transaction.sender,
      time: this.#now(),
      local: isLoopback(this.#client.ip),
    };
    const arrival = arrive(this.kind, bytes, facts);
    if (!arrival.message) {
      return { reply: await this.#conclude(arrival.refusal), delivery: undefined, modifications: [] };
    }
    const { message } = arrival;
    const missing = this.kind === 'sendmail' ? missingHeaders(this.kind, message.headers, facts) : [];
    const messageId = [...message.headers, ...missing].find(({ name }) => /^message-id$/i.test(name));
    transaction.messageId = messageId?.value.trim();

    const answer = transaction.decided ? UNTOLD : await this.#filter.content(message, this.#facts());
    const { reply, modifications } = answer;
    transaction.decide(reply);
    const refusal = refusalOf(this.kind, 'content', reply, '');
    this.#transaction = undefined;
    this.#mailContinued = false;
    if (this.kind === 'postfix') await this.#filter.send({ kind: 'abort' });
    if (refusal) return { reply: await this.#conclude(refusal), delivery: undefined, modifications: [] };
    return {
      reply: this.#say.messageTaken(transaction.queueId),
      delivery: this.#deliver(transaction, message, modifications, missing),
      modifications,
    };
  }

  async rset(): Promise<ClientReply> {
    await this.#abort();
    return this.#say.reset();
  }

  noop(): ClientReply {
    return this.#say.noop();
  }

  vrfy(address: string): ClientReply {
    return this.#say.verified(address);
  }

  /** A MAIL or RCPT that is not well formed: the MTA answers by itself. */
  syntax(command: 'MAIL' | 'RCPT'): ClientReply {
    return command === 'RCPT' && !this.inTransaction
      ? this.#say.rcptWithoutMail()
      : this.#say.syntax(command);
  }

  /** A command that the MTA does not know. */
  async unknown(line: string): Promise<ClientReply> {
    const refused = this.#refusedForSession('unknown');
    if (refused) return refused;
    const shown = this.kind === 'postfix' ? (line.split(' ')[0] ?? '') : line;
    if (this.kind === 'postfix') await this.#filter.send({ kind: 'macro', stage: SMFIC.UNKNOWN, text: '' });
    const { reply } = await this.#filter.tell({ kind: 'unknown', line: shown });
    const refusal = refusalOf(this.kind, 'unknown', reply, '');
    return refusal ? this.#conclude(refusal) : this.#say.unknownCommand(line);
  }

  async quit(): Promise<ClientReply> {
    if (this.kind === 'sendmail') await this.#filter.send({ kind: 'quit' });
    await this.drop();
    return this.#say.farewell();
  }

  /** The client goes without a word. Harmless when repeated. */
  async drop(): Promise<void> {
    if (this.kind === 'postfix' && !this.#closed) {
      await this.#abortAll();
      await this.#filter.send({ kind: 'quit' });
    }
    this.#closed = true;
    this.#transaction = undefined;
    await this.#filter.leave();
  }

  #deliver(
    transaction: SmtpTransaction,
    message: MailMessage,
    modifications: readonly Modification[],
    missing: MailMessage['headers'],
  ): Delivery {
    const discarded = transaction.decided === 'discard';
    const changed = applyModifications(
      this.kind,
      transaction.envelope,
      message,
      discarded ? [] : modifications,
      missing,
    );
    const { envelope, quarantine } = changed;
    const delivery = { envelope, message: changed.message };
    if (discarded) return { ...delivery, action: 'discarded' };
    if (envelope.recipients.length === 0) {
      return { ...delivery, action: 'discarded', reason: 'no recipient is left' };
    }
    return quarantine === undefined
      ? { ...delivery, action: 'delivered' }
      : { ...delivery, action: 'quarantined', reason: quarantine };
  }

  /** Tells the filter of an event, unless it has decided the message. */
  async #tell(command: Command): Promise<FilterReply> {
    return this.#transaction?.decided === undefined ? this.#filter.tell(command) : UNTOLD;
  }

  async #sendMacros(stage: number, list: MacroStage): Promise<void> {
    if (this.#transaction?.decided === undefined) await this.#filter.macros(stage, list, this.#facts());
  }

  #facts(): MacroFacts {
    const transaction = this.#transaction;
    // Postfix makes the queue id when it has taken the first recipient.
    const hasQueueId = transaction && (this.kind === 'sendmail' || transaction.recipients.length > 0);
    return {
      helo: this.#helo,
      tls: this.#tls,
      auth: this.#auth,
      queueId: hasQueueId ? transaction.queueId : undefined,
      sender: transaction?.path,
      recipient: transaction?.recipientAsked,
      recipientCount: transaction?.recipients.length ?? 0,
      messageId: transaction?.messageId,
    };
  }

  /** Ends the message, if there is one. Sendmail tells only a filter that has answered MAIL with `continue`. */
  async #abort(): Promise<void> {
    const isTold = this.kind === 'postfix' || this.#mailContinued;
    if (isTold && this.inTransaction) await this.#filter.send({ kind: 'abort' });
    this.#transaction = undefined;
    this.#mailContinued = false;
  }

  /** Postfix: once for the message and once for the HELO. */
  async #abortAll(): Promise<void> {
    await this.#abort();
    if (this.#helo !== undefined) await this.#filter.send({ kind: 'abort' });
  }

  #refusedForSession(
    command: SessionRefusal['commands'][number],
  ): ClientReply | Promise<ClientReply> | undefined {
    const refusal = this.#sessionRefusal;
    return refusal?.commands.includes(command) ? this.#conclude(refusal.reply) : undefined;
  }

  /** A refusal after which the MTA hangs up ends the session. */
  async #conclude(refusal: ClientReply): Promise<ClientReply> {
    return closesSession(this.kind, refusal) ? this.#close(refusal) : refusal;
  }

  async #close(reply: ClientReply): Promise<ClientReply> {
    await this.drop();
    return reply;
  }
}

function pathOf(address: string): string {
  return address.startsWith('<') ? address : `<${address}>`;
}
