/**
 * One SMTP session of a test: what the client says goes through the imitated MTA to the policy, and everything that the
 * policy did meanwhile is kept.
 */

import type { PolicyFactory } from '../milter/policy.ts';
import type { Modification } from '../milter/reply.ts';
import { type Failure, inOneLine, positioned } from '../policy/failure.ts';
import type { CallRecord } from '../policy/policy-settings.ts';
import { type LogSink, sinkTo } from '../syslog/log-sink.ts';
import type { ClientReply, MtaKind } from '../workbench/client-reply.ts';
import { type Delivery, ImitatedMta, type SmtpClient } from '../workbench/imitated-mta.ts';

/** What became of a command, in the test's words. */
export type StepAction = 'continue' | 'accept' | 'reject' | 'tempfail' | 'discard' | 'quarantine';

export interface StepResult {
  /** As a transcript shows it: `RCPT TO:<a@example.com>`. */
  readonly command: string;
  /** What the SMTP client sees. */
  readonly reply: ClientReply;
  readonly action: StepAction;
  /** The call that the answer comes from; undefined where the policy was not asked. */
  readonly call: CallRecord | undefined;
  /** The callbacks that failed at this command: names as the policy spells them. */
  readonly failed: readonly string[];
  /** What failed up to here, in the session and in the message under way: `smtp.do_dot, p.lua:3: oops (--on-error continue)`. */
  readonly failures: readonly string[];
  /** Changes to the message that are asked for so far. */
  readonly edits: readonly Modification[];
  /** What is said of them at the end of the message, in latin1. */
  readonly notes: readonly string[];
}

/** What the parts of the program that serve a session need of it. */
export interface TestObserver {
  /** For what the policy logs by `syslog`. */
  readonly sink: LogSink;
  /** For the program's own log. */
  readonly programSink: LogSink;
  called(call: CallRecord): void;
  scriptFailed(failure: Failure): void;
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
  readonly policies: (observer: TestObserver) => PolicyFactory;
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
  /** What failed before or between messages, and in the message under way. */
  #failures: { readonly session: string[]; message: string[] } = { session: [], message: [] };

  constructor(settings: TestSessionSettings) {
    this.#settings = settings;
    const policies = settings.policies({
      sink: sinkTo(({ text }) => this.logged.push(text)),
      programSink: sinkTo(() => {}),
      scriptFailed: (failure) => {
        this.#broken ??= inOneLine(failure);
        this.#failures.session.push(failureText('main chunk', failure));
      },
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
    this.#failures.message = [];
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
    const failures = ofSession ? this.#failures.session : this.#failures.message;
    const failed: string[] = [];
    for (const { name, failure } of calls) {
      if (!failure) continue;
      failed.push(name);
      failures.push(failureText(name, failure));
    }
    this.edits = calls.at(-1)?.edits ?? this.edits;
    const decisive = calls.findLast(({ verdict }) => verdict.kind !== 'continue');
    if (ofSession && decisive) this.#refusedBy = decisive;
    const origin = calls.length === 0 && reply.code >= 400 ? this.#refusedBy : calls.at(-1);
    const result: StepResult = {
      command,
      reply,
      action: actionOf(reply, decisive, this.delivery === delivery ? undefined : this.delivery),
      call: decisive ?? origin,
      failed,
      failures: [...this.#failures.session, ...this.#failures.message],
      edits: this.edits,
      notes: calls.at(-1)?.notes ?? [],
    };
    this.steps.push(result);
    return result;
  }

  /** @throws PolicyError for what went wrong in the policy since. */
  #complain(before: number): void {
    if (this.#settings.allowsErrors) return;
    if (this.#broken !== undefined) throw new PolicyError(`the policy does not run: ${this.#broken}`);
    const failed = this.calls.slice(before).find(({ failure }) => failure !== undefined);
    if (failed?.failure) throw new PolicyError(`error in ${failed.name}: ${inOneLine(failed.failure)}`);
  }
}

function failureText(name: string, failure: Failure): string {
  return `${name}, ${positioned(failure)} (--on-error ${failure.action})`;
}

function tail(params: readonly string[]): string {
  return params.map((param) => ` ${param}`).join('');
}

function actionOf(
  { code }: ClientReply,
  decisive: CallRecord | undefined,
  delivery: Delivery | undefined,
): StepAction {
  if (code >= 500) return 'reject';
  if (code >= 400) return 'tempfail';
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
