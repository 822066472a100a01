/**
 * Plays Postfix or Sendmail towards a policy: an SMTP session in, the SMTP client's view and the delivered message out.
 *
 * It keeps to what the two were seen to do on the wire (Postfix 3.7, Sendmail 8.17): which macros they send and when, how
 * they write addresses, when they send ABORT, what they make of each answer.
 */
import type { Command } from '../milter/command.ts';
import type { ClientEndpoint } from '../milter/connect.ts';
import { SMFIC, SMFIP } from '../milter/constants.ts';
import { type ClientReply, type ClientStage, type MtaKind, plain, refusalOf } from './client-reply.ts';
import { applyModifications, type Envelope } from './delivery.ts';
import { type MailMessage, parseMessage } from './mail-message.ts';
import { type Answer, type RunnerSettings, SessionRunner } from './session-runner.ts';

/** Who connects. Text is latin1. */
export interface SmtpClient {
  readonly ip: string;
  /** Verified name; '' for none. */
  readonly ptr: string;
  readonly port: number;
  readonly auth?: { readonly user: string; readonly mech: string } | undefined;
  /** Version of TLS, `TLSv1.3`. */
  readonly tls?: string | undefined;
  /** Macros besides, by name with or without braces; they are there from CONNECT on. */
  readonly macros: ReadonlyMap<string, string>;
}

/** What became of a message at the end of its data. */
export interface Delivery {
  readonly action: 'delivered' | 'discarded' | 'quarantined';
  readonly reason?: string | undefined;
  readonly envelope: Envelope;
  readonly message: MailMessage;
}

/** Bodies are cut as the MTAs cut them. */
const CHUNK_BYTES = 65_535;
const QUEUE_ID = '4FXq3T1Zk9';

const NOT_DUE = { reply: undefined, modifications: [] } as const;

export class ImitatedMta {
  readonly kind: MtaKind;
  readonly #runner: SessionRunner;
  readonly #client: SmtpClient;
  #sender: string | undefined;
  #senderParams: readonly string[] = [];
  #recipients: { readonly address: string; readonly params: readonly string[] }[] = [];
  /** A refusal that every command of the session gets. */
  #sessionRefusal: ClientReply | undefined;
  #closed = false;
  /** The filter has accepted the session or the message: it is told nothing more of it. */
  #sessionAccepted = false;
  #messageDecided: 'accept' | 'discard' | undefined;

  constructor(kind: MtaKind, client: SmtpClient, settings: RunnerSettings) {
    this.kind = kind;
    this.#client = client;
    this.#runner = new SessionRunner(settings);
  }

  /** The connection is closed: by the client, or by a reply 421. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether a MAIL has been taken and its message not ended. */
  get inTransaction(): boolean {
    return this.#sender !== undefined;
  }

  /** The greeting. */
  async connect(): Promise<ClientReply> {
    await this.#runner.say({ kind: 'negotiate', version: 6, actions: 0x1ff, protocol: 0x1fffff });
    const { ip, ptr, port } = this.#client;
    const shown = this.kind === 'sendmail' && ip.includes(':') ? `IPv6:${ip}` : ip;
    const hostname = ptr === '' ? `[${shown}]` : ptr;
    await this.#macros(SMFIC.CONNECT, this.#connectMacros(hostname));
    const { reply } = await this.#tell({ kind: 'connect', hostname, client: endpoint(ip, port) });
    if (reply?.kind === 'accept') this.#sessionAccepted = true;
    const refusal = refusalOf(this.kind, 'connect', reply, '');
    if (!refusal) return plain(220, undefined, 'mx.example ESMTP');
    return this.kind === 'postfix' ? this.#postfixGreeting(refusal) : this.#sendmailGreeting(refusal);
  }

  #postfixGreeting(refusal: ClientReply): ClientReply {
    if (refusal.code === 421) return this.#close(plain(421, '4.7.0', 'mx.example Error: refused'));
    this.#sessionRefusal = refusal;
    return refusal.code >= 500
      ? plain(554, undefined, 'mx.example ESMTP not accepting connections')
      : plain(220, undefined, 'mx.example ESMTP');
  }

  /** Sendmail: the filter's text is lost. */
  #sendmailGreeting(refusal: ClientReply): ClientReply {
    if (refusal.code === 421) return this.#close(plain(421, '4.7.0', 'mx.example closing connection'));
    if (refusal.code < 500) {
      this.#sessionRefusal = plain(451, '4.3.2', 'Please try again later');
      return plain(220, undefined, 'mx.example ESMTP');
    }
    this.#sessionRefusal = plain(550, '5.0.0', 'Command rejected');
    return plain(554, undefined, 'mx.example ESMTP not accepting messages');
  }

  async helo(name: string): Promise<ClientReply> {
    const greeted = plain(250, undefined, 'mx.example');
    if (this.#sessionRefusal) return greeted;
    if (this.kind === 'sendmail') await this.#abort();
    await this.#macros(SMFIC.HELO, this.#tlsMacros());
    const { reply } = await this.#tell({ kind: 'helo', name });
    if (this.kind === 'postfix') await this.#abort();
    if (reply?.kind === 'accept') this.#sessionAccepted = true;
    const refusal = refusalOf(this.kind, 'helo', reply, '');
    if (!refusal) return greeted;
    if (refusal.code === 421) return this.#close(refusal);
    this.#sessionRefusal = refusal;
    return greeted;
  }

  async mail(address: string, params: readonly string[] = []): Promise<ClientReply> {
    if (this.#sessionRefusal) return this.#sessionRefusal;
    if (this.inTransaction) return plain(503, '5.5.1', 'Error: nested MAIL command');
    const written = `<${address}>`;
    const { auth } = this.#client;
    const macros = ['{mail_addr}', address, '{mail_mailer}', 'esmtp', '{mail_host}', hostOf(address)];
    if (this.kind === 'sendmail') macros.unshift('i', QUEUE_ID);
    if (auth) macros.push('{auth_type}', auth.mech, '{auth_authen}', auth.user);
    await this.#macros(SMFIC.MAIL, [...macros, ...(this.kind === 'postfix' ? this.#tlsMacros() : [])]);
    const { reply } = await this.#tell({ kind: 'mail', address: written, params });
    const refusal = this.#refusal('mail', reply, written);
    if (refusal) {
      if (this.kind === 'postfix') await this.#abort();
      return refusal;
    }
    this.#sender = address;
    this.#senderParams = params;
    this.#recipients = [];
    this.#decide(reply);
    return plain(250, '2.1.0', 'Ok');
  }

  async rcpt(address: string, params: readonly string[] = []): Promise<ClientReply> {
    if (this.#sessionRefusal && this.kind === 'sendmail') return this.#sessionRefusal;
    if (!this.inTransaction) return plain(503, '5.5.1', 'Error: need MAIL command');
    const written = `<${address}>`;
    const macros = ['{rcpt_addr}', address, '{rcpt_mailer}', 'esmtp', '{rcpt_host}', hostOf(address)];
    // Postfix makes the queue id when it has taken the first recipient.
    if (this.kind === 'postfix' && this.#recipients.length > 0) macros.unshift('i', QUEUE_ID);
    await this.#macros(SMFIC.RCPT, macros);
    const { reply } = await this.#tell({ kind: 'rcpt', address: written, params });
    const refusal = this.#refusal('rcpt', reply, written);
    if (refusal) return refusal;
    this.#recipients.push({ address, params });
    this.#decide(reply);
    return plain(250, '2.1.5', 'Ok');
  }

  /** DATA: 354 is the way to message(). */
  async data(): Promise<ClientReply> {
    if (!this.inTransaction) {
      return this.#sessionRefusal && this.kind === 'sendmail'
        ? this.#sessionRefusal
        : plain(503, '5.5.1', 'Error: need MAIL command');
    }
    if (this.#recipients.length === 0) return plain(554, '5.5.1', 'Error: no valid recipients');
    if (this.kind === 'postfix') await this.#macros(SMFIC.DATA, ['i', QUEUE_ID]);
    const { reply } = await this.#tell({ kind: 'data' });
    const refusal = this.#refusal('data', reply, '');
    if (refusal) return refusal;
    this.#decide(reply);
    return plain(354, undefined, 'End data with <CR><LF>.<CR><LF>');
  }

  /** The message, after data() has answered 354: its bytes as the client would send them, dots not doubled. */
  async message(
    bytes: Buffer,
  ): Promise<{ readonly reply: ClientReply; readonly delivery: Delivery | undefined }> {
    const message = parseMessage(bytes);
    const envelope = {
      sender: this.#sender ?? '',
      senderParams: this.#senderParams,
      recipients: this.#recipients,
    };
    const answer = await this.#content(message);
    const { reply } = answer;
    const refusal = refusalOf(this.kind, 'content', reply, '');
    this.#decide(reply);
    const decided = this.#messageDecided;
    this.#endMessage();
    if (this.kind === 'postfix') await this.#runner.say({ kind: 'abort' });
    if (refusal) {
      return { reply: refusal.code === 421 ? this.#close(refusal) : refusal, delivery: undefined };
    }
    const accepted = plain(250, '2.0.0', `Ok: queued as ${QUEUE_ID}`);
    if (decided === 'discard')
      return { reply: accepted, delivery: { action: 'discarded', envelope, message } };
    const changed = applyModifications(this.kind, envelope, message, answer.modifications);
    const { quarantine } = changed;
    return {
      reply: accepted,
      delivery: {
        action: quarantine === undefined ? 'delivered' : 'quarantined',
        reason: quarantine,
        envelope: changed.envelope,
        message: changed.message,
      },
    };
  }

  async rset(): Promise<ClientReply> {
    await this.#abort();
    this.#endMessage();
    return plain(250, '2.0.0', 'Ok');
  }

  async unknown(line: string): Promise<ClientReply> {
    const shown = this.kind === 'postfix' ? (line.split(' ')[0] ?? '') : line;
    const { reply } = await this.#tell({ kind: 'unknown', line: shown });
    const refusal = refusalOf(this.kind, 'unknown', reply, '');
    const own = plain(500, '5.5.2', 'Error: command not recognized');
    if (!refusal || (this.kind === 'postfix' && refusal.code >= 500)) return own;
    return refusal.code === 421 ? this.#close(refusal) : refusal;
  }

  async quit(): Promise<ClientReply> {
    await this.drop();
    return plain(221, '2.0.0', 'Bye');
  }

  /** The client goes without a word. */
  async drop(): Promise<void> {
    this.#closed = true;
    await this.#runner.end();
  }

  async #content({ headers, body }: MailMessage): Promise<Answer> {
    for (const { name, value } of headers) {
      const leadingSpace = (this.#runner.protocol & SMFIP.HDR_LEADSPC) !== 0;
      const answer = await this.#tell({
        kind: 'header',
        name,
        value: leadingSpace ? value : value.replace(/^ /, ''),
      });
      if (isFinal(answer)) return answer;
    }
    const end = await this.#tell({ kind: 'endOfHeaders' });
    if (isFinal(end)) return end;
    for (let at = 0; at < body.length; at += CHUNK_BYTES) {
      const answer = await this.#tell({ kind: 'body', bytes: body.subarray(at, at + CHUNK_BYTES) });
      if (answer.reply?.kind === 'skip') break;
      if (isFinal(answer)) return answer;
    }
    await this.#macros(SMFIC.BODYEOB, this.kind === 'postfix' ? ['i', QUEUE_ID] : ['{msg_id}', '']);
    return this.#tell({ kind: 'endOfMessage', bytes: Buffer.alloc(0) });
  }

  /** Tells the filter, if it is to be told. */
  async #tell(command: Command): Promise<Answer> {
    const { protocol } = this.#runner;
    const declined = (DECLINING[command.kind] ?? 0) & protocol;
    if (declined !== 0 || this.#sessionAccepted || this.#messageDecided !== undefined) return NOT_DUE;
    return this.#runner.say(command);
  }

  async #macros(stage: number, pairs: readonly string[]): Promise<void> {
    if (this.#sessionAccepted || this.#messageDecided !== undefined) return;
    await this.#runner.say({ kind: 'macro', stage, pairs });
  }

  async #abort(): Promise<void> {
    if (this.inTransaction || this.kind === 'postfix') await this.#runner.say({ kind: 'abort' });
    this.#endMessage();
  }

  #endMessage(): void {
    this.#sender = undefined;
    this.#recipients = [];
    this.#messageDecided = undefined;
  }

  #decide(reply: Answer['reply']): void {
    if (reply?.kind === 'accept' || reply?.kind === 'discard') this.#messageDecided = reply.kind;
  }

  #refusal(stage: ClientStage, reply: Answer['reply'], address: string): ClientReply | undefined {
    const refusal = refusalOf(this.kind, stage, reply, address);
    return refusal?.code === 421 ? this.#close(refusal) : refusal;
  }

  #close(reply: ClientReply): ClientReply {
    this.#closed = true;
    return reply;
  }

  #connectMacros(hostname: string): string[] {
    const { ip, macros } = this.#client;
    const own =
      this.kind === 'postfix'
        ? [
            'j',
            'mx.example',
            '{daemon_name}',
            'mx.example',
            '{daemon_addr}',
            '192.0.2.1',
            'v',
            'Postfix 3.7.11',
          ]
        : ['j', 'mx.example', '{daemon_name}', 'MTA', '{if_name}', 'mx.example', '{if_addr}', '192.0.2.1'];
    const extra = [...macros].flatMap(([name, value]) => [
      /^(.|\{.*\})$/.test(name) ? name : `{${name}}`,
      value,
    ]);
    return [...own, '_', `${hostname} [${ip}]`, ...extra];
  }

  #tlsMacros(): string[] {
    const { tls } = this.#client;
    return tls === undefined
      ? []
      : ['{tls_version}', tls, '{cipher}', 'TLS_AES_256_GCM_SHA384', '{cipher_bits}', '256'];
  }
}

/** Events that are not sent when the bit is agreed on. */
const DECLINING: Partial<Record<Command['kind'], number>> = {
  connect: SMFIP.NOCONNECT,
  helo: SMFIP.NOHELO,
  mail: SMFIP.NOMAIL,
  rcpt: SMFIP.NORCPT,
  data: SMFIP.NODATA,
  header: SMFIP.NOHDRS,
  endOfHeaders: SMFIP.NOEOH,
  body: SMFIP.NOBODY,
  unknown: SMFIP.NOUNKNOWN,
};

function isFinal({ reply }: Answer): boolean {
  return reply !== undefined && reply.kind !== 'continue' && reply.kind !== 'skip';
}

function endpoint(ip: string, port: number): ClientEndpoint {
  if (ip === '') return { family: 'unknown' };
  if (ip.startsWith('/')) return { family: 'unix', path: ip };
  return { family: ip.includes(':') ? 'inet6' : 'inet4', address: ip, port };
}

function hostOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1);
}
