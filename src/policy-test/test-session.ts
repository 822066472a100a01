/**
 * One SMTP session of a test: what the client says goes through the imitated MTA to the policy, and everything that the
 * policy did meanwhile is kept.
 */
import type { CallRecord } from '../lua/policy-settings.ts';
import type { PolicyFactory } from '../milter/policy.ts';
import type { Modification } from '../milter/reply.ts';
import type { LogSink } from '../syslog/log-sink.ts';
import type { LogRecord } from '../syslog/message.ts';
import type { ClientReply, MtaKind } from '../workbench/client-reply.ts';
import { type Delivery, ImitatedMta, type SmtpClient } from '../workbench/imitated-mta.ts';

/** What became of a command, in the test's words. */
export type Action = 'continue' | 'accept' | 'reject' | 'defer' | 'discard' | 'quarantine';

export interface StepResult {
  /** As a transcript shows it: `RCPT TO:<a@example.com>`. */
  readonly command: string;
  /** What the SMTP client sees. */
  readonly reply: ClientReply;
  readonly action: Action;
  /** The call that the answer comes from; undefined where the policy was not asked. */
  readonly call: CallRecord | undefined;
  /** Changes to the message that are asked for so far. */
  readonly edits: readonly Modification[];
}

/** What the parts of the program that serve a session need of it. */
export interface Ears {
  /** For what the policy logs by `syslog`. */
  readonly sink: LogSink;
  /** For the program's own log. */
  readonly programSink: LogSink;
  called(call: CallRecord): void;
  printed(line: string): void;
}

/** The script itself is broken, or a callback failed: text for the one who wrote it. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError';
}

export interface TestSessionSettings {
  readonly mta: MtaKind;
  readonly client: SmtpClient;
  readonly id: string;
  /** The time there. */
  readonly now: () => Date;
  /** Makes the policies of this session. */
  readonly policies: (ears: Ears) => PolicyFactory;
  /** Whether errors of the policy are part of the test; else they end it. */
  readonly allowsErrors: boolean;
}

export class TestSession {
  readonly steps: StepResult[] = [];
  readonly calls: CallRecord[] = [];
  /** What the policy itself has logged and printed, in latin1. */
  readonly logged: string[] = [];
  /** Changes to the message under way, or to the last one, that are asked for so far. */
  edits: readonly Modification[] = [];
  /** What became of the last message. */
  delivery: Delivery | undefined;
  readonly #mta: ImitatedMta;
  readonly #settings: TestSessionSettings;
  /** 354 was answered. */
  #dataOpen = false;
  #ended = false;
  /** The calls that refused the client at connect or HELO. */
  #refusedBy: CallRecord | undefined;
  #broken: string | undefined;

  constructor(settings: TestSessionSettings) {
    this.#settings = settings;
    const policies = settings.policies({
      sink: sinkTo(({ text }) => this.logged.push(this.#withoutId(text))),
      programSink: sinkTo(({ text }) => {
        const [, account] = /script does not run, .*?: (.*)$/s.exec(text) ?? [];
        this.#broken ??= account;
      }),
      printed: (line) => this.logged.push(line),
      called: (call) => this.calls.push(call),
    });
    this.#mta = new ImitatedMta(settings.mta, settings.client, {
      policies,
      now: settings.now,
      nextSessionId: () => settings.id,
      warn: (message) => this.logged.push(`milter: ${message}`),
    });
  }

  get client(): SmtpClient {
    return this.#settings.client;
  }

  get mta(): MtaKind {
    return this.#settings.mta;
  }

  /** Why nothing more can be said; undefined while something can. */
  get over(): string | undefined {
    if (this.#ended) return 'the session is over';
    const last = this.steps.at(-1);
    return this.#mta.closed && last ? `the server has closed the connection: ${last.command}` : undefined;
  }

  connect(): Promise<StepResult> {
    const { ip, ptr } = this.client;
    return this.#step(`connect ${ip}${ptr === '' ? '' : ` (${ptr})`}`, () => this.#mta.connect(), true);
  }

  helo(name: string): Promise<StepResult> {
    return this.#step(`EHLO ${name}`, () => this.#mta.helo(name), true);
  }

  mail(address: string, params: readonly string[]): Promise<StepResult> {
    this.edits = [];
    return this.#step(`MAIL FROM:<${address}>${tail(params)}`, () => this.#mta.mail(address, params));
  }

  rcpt(address: string, params: readonly string[]): Promise<StepResult> {
    return this.#step(`RCPT TO:<${address}>${tail(params)}`, () => this.#mta.rcpt(address, params));
  }

  async data(): Promise<StepResult> {
    const result = await this.#step('DATA', () => this.#mta.data());
    this.#dataOpen = result.reply.code === 354;
    return result;
  }

  /** The message; DATA comes first if the test has not said it, and its answer is the result where it is no 354. */
  async message(bytes: Buffer): Promise<StepResult> {
    if (!this.#dataOpen) {
      const result = await this.data();
      if (!this.#dataOpen) return result;
    }
    this.#dataOpen = false;
    this.delivery = undefined;
    return this.#step(`message of ${bytes.length} bytes`, async () => {
      const { reply, delivery } = await this.#mta.message(bytes);
      this.delivery = delivery;
      return reply;
    });
  }

  rset(): Promise<StepResult> {
    this.#dataOpen = false;
    this.edits = [];
    return this.#step('RSET', () => this.#mta.rset());
  }

  unknown(line: string): Promise<StepResult> {
    return this.#step(line, () => this.#mta.unknown(line));
  }

  startTls(version: string): Promise<StepResult> {
    return this.#step('STARTTLS', () => this.#mta.startTls(version));
  }

  login(user: string, mech: string): Promise<StepResult> {
    return this.#step(`AUTH ${mech} ${user}`, async () => this.#mta.login(user, mech));
  }

  async quit(): Promise<StepResult> {
    const result = await this.#step('QUIT', () => this.#mta.quit());
    this.#ended = true;
    return result;
  }

  /** The client goes without a word. Harmless when repeated. @throws PolicyError */
  async drop(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    const before = this.calls.length;
    await this.#mta.drop();
    this.#complain(before);
  }

  async #step(command: string, say: () => Promise<ClientReply>, ofSession = false): Promise<StepResult> {
    const before = this.calls.length;
    const delivery = this.delivery;
    const reply = await say();
    this.#complain(before);
    const calls = this.calls.slice(before).filter(({ event }) => event.kind !== 'reset');
    this.edits = calls.at(-1)?.edits ?? this.edits;
    const decisive = calls.findLast(({ verdict }) => verdict.kind !== 'continue');
    if (ofSession && decisive) this.#refusedBy = decisive;
    const origin = calls.length === 0 && reply.code >= 400 ? this.#refusedBy : calls.at(-1);
    const result: StepResult = {
      command,
      reply,
      action: actionOf(reply, decisive, this.delivery === delivery ? undefined : this.delivery),
      call: decisive ?? origin,
      edits: this.edits,
    };
    this.steps.push(result);
    return result;
  }

  /** @throws PolicyError for what went wrong in the policy since. */
  #complain(before: number): void {
    if (this.#settings.allowsErrors) return;
    if (this.#broken !== undefined) throw new PolicyError(`the policy does not run: ${this.#broken}`);
    const failed = this.calls.slice(before).find(({ failure }) => failure !== undefined);
    if (failed) throw new PolicyError(`error in ${failed.name}: ${failed.failure}`);
  }

  #withoutId(text: string): string {
    const prefix = `${this.#settings.id} `;
    return text.startsWith(prefix) ? text.slice(prefix.length) : text;
  }
}

function sinkTo(write: (record: LogRecord) => void): LogSink {
  return { write, close: async () => {}, dropped: 0 };
}

function tail(params: readonly string[]): string {
  return params.map((param) => ` ${param}`).join('');
}

function actionOf(
  { code }: ClientReply,
  decisive: CallRecord | undefined,
  delivery: Delivery | undefined,
): Action {
  if (code >= 500) return 'reject';
  if (code >= 400) return 'defer';
  switch (delivery?.action) {
    case 'delivered':
      return 'accept';
    case 'discarded':
      return 'discard';
    case 'quarantined':
      return 'quarantine';
  }
  const kind = decisive?.verdict.kind;
  return kind === 'accept' || kind === 'discard' ? kind : 'continue';
}
