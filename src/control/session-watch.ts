/**
 * A policy as one session sees it, with its decisions noted: what is asked passes through unchanged.
 *
 * A message is decided when its transaction ends; what decided it is found here from the verdicts given on the way.
 */

import { addressOf, verifiedNameOf } from '../milter/connect.ts';
import { declaredSize } from '../milter/declared-size.ts';
import type { Interests, Policy, PolicyEvent, SessionInfo, Verdict } from '../milter/policy.ts';
import type { Reply } from '../milter/reply.ts';
import type { Failure } from '../policy/failure.ts';
import type { Call, CallbackWatcher } from '../policy/policy-settings.ts';
import type { VerdictName } from './counts.ts';
import {
  bounded,
  type CallbackFailure,
  type Decision,
  MAIN_CHUNK,
  MAX_RECIPIENTS,
  noteFailure,
  type RecipientDecision,
  type Refusal,
  refusalOf,
  roundedMs,
  verdictName,
} from './decision.ts';
import { CALLBACK_OF, type OpenSession } from './open-sessions.ts';
import { argumentsOf, resultOf, type TraceRecord, type TraceSubject } from './trace.ts';

/** Of a text in the list of sessions. */
const MAX_SHOWN = 100;

/** Whom a session's watch tells. */
export interface WatchKeeper {
  /** Whether anybody looks at calls now. */
  readonly tracing: boolean;
  /** Whether decisions are wanted as records; they are counted anyway. */
  readonly recording: boolean;
  /** The SMTP session has begun: who only negotiates has none. @returns its place, for `ended` */
  sessionBegan(session: SessionWatch): number;
  called(call: Call): void;
  scriptFailed(failure: Failure): void;
  traced(subject: TraceSubject, record: TraceRecord): void;
  decided(verdict: VerdictName, ofSession: boolean): void;
  /** @param mayLog of the session, see SessionInfo */
  record(subject: TraceSubject, decision: Decision, mayLog: (bytes: number) => boolean): void;
  /** @param place what `sessionBegan` returned */
  ended(session: SessionWatch, place: number): void;
}

/** The verdict that decided about a message or session; a Decision is made of it only where a record is wanted. */
interface DecisiveVerdict {
  readonly verdict: VerdictName;
  /** What the policy said; or what the client was told where it said nothing. */
  readonly given: Verdict | Refusal;
  readonly call: Call | undefined;
}

interface Recipient {
  readonly address: string;
  /** Where it was refused. */
  readonly refused: DecisiveVerdict | undefined;
}

/** One message, from MAIL to its end. */
class Message {
  /** Undefined where the MTA was not asked to tell of MAIL, and does not say it otherwise. */
  readonly sender: string | undefined;
  readonly id: string;
  /** The first of them. */
  readonly recipients: Recipient[] = [];
  /** The last one. */
  recipient = '';
  recipientCount = 0;
  refusedCount = 0;
  bytes = 0;
  cpuMilliseconds = 0;
  wallMilliseconds = 0;
  decisive: DecisiveVerdict | undefined;
  /** The last RCPT that was refused, or the last DATA: they stand unless something else comes after them. */
  refusedRcpt: DecisiveVerdict | undefined;
  refusedData: DecisiveVerdict | undefined;
  lastCall: Call | undefined;
  lastReply: Reply | undefined;
  queueId: string | undefined;
  readonly declaredSize: number | undefined;
  /** Callbacks of it that failed. */
  readonly failures: CallbackFailure[] = [];

  constructor(id: string, sender: string | undefined, params: readonly string[]) {
    this.id = id;
    this.sender = sender;
    this.declaredSize = declaredSize(params);
  }
}

export class SessionWatch implements Policy, CallbackWatcher, TraceSubject {
  readonly isCanary: boolean;
  readonly #session: SessionInfo;
  readonly #keeper: WatchKeeper;
  #policy: Policy | undefined;
  #script: string | undefined;
  #ip = '';
  #ptr = '';
  #helo: string | undefined;
  #message: Message | undefined;
  #messages = 0;
  /** The callback that the event in progress has led to. */
  #call: Call | undefined;
  /** The policy has been told of something. */
  #begun = false;
  #begunAt = 0;
  /** Among those in progress. */
  #place = 0;
  /** The event whose verdict the policy has not given yet, and since when. */
  #waiting: { readonly kind: PolicyEvent['kind']; readonly since: number } | undefined;
  #disposed = false;
  /** What failed before or between messages, or for the rest of the session. */
  readonly #failures: CallbackFailure[] = [];

  /** @param isCanary the candidate of `--canary` decides */
  constructor(session: SessionInfo, keeper: WatchKeeper, isCanary = false) {
    this.#session = session;
    this.#keeper = keeper;
    this.isCanary = isCanary;
  }

  /** The policy that is watched. @returns the policy to use in its place. */
  of(policy: Policy): Policy {
    this.#policy = policy;
    return this;
  }

  get interests(): Interests {
    if (this.#policy === undefined) throw new Error('a watch without a policy');
    return this.#policy.interests;
  }

  /** By `performance.now()`. */
  get begunAt(): number {
    return this.#begunAt;
  }

  get ip(): string {
    return this.#ip;
  }

  get sender(): string | undefined {
    return this.#message?.sender;
  }

  get recipientAddresses(): readonly string[] {
    const message = this.#message;
    return message ? [message.recipient, ...message.recipients.map(({ address }) => address)] : [];
  }

  handle(event: PolicyEvent): Verdict | Promise<Verdict> {
    if (this.#policy === undefined) throw new Error('a watch without a policy');
    if (!this.#begun) {
      this.#begun = true;
      this.#begunAt = performance.now();
      this.#place = this.#keeper.sessionBegan(this);
    }
    this.#call = undefined;
    this.#note(event);
    const verdict = this.#policy.handle(event);
    if (!(verdict instanceof Promise)) return this.#weigh(event, verdict);
    this.#waiting = { kind: event.kind, since: performance.now() };
    return verdict.then((settled) => {
      this.#waiting = undefined;
      return this.#weigh(event, settled);
    });
  }

  /** The session as it is now. */
  get now(): OpenSession {
    const now = performance.now();
    const message = this.#message;
    const waiting = this.#waiting;
    const queueId = message && this.#session.macros.get('i');
    const short = (text: string) => bounded(text, MAX_SHOWN);
    return {
      session: this.#session.id,
      ageMs: Math.round(now - this.#begunAt),
      ip: short(this.#ip),
      ptr: short(this.#ptr),
      ...(this.#helo !== undefined && { helo: short(this.#helo) }),
      ...(message?.sender !== undefined && { sender: short(message.sender) }),
      ...(message && message.recipient !== '' && { recipient: short(message.recipient) }),
      recipientCount: message?.recipientCount ?? 0,
      ...(queueId !== undefined && queueId !== '' && { queueId: short(queueId) }),
      messages: this.#messages,
      ...(waiting && { callback: CALLBACK_OF[waiting.kind], callbackMs: Math.round(now - waiting.since) }),
    };
  }

  cancel(): void {
    this.#policy?.cancel();
  }

  dispose(): void {
    this.#policy?.dispose();
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.#begun) this.#keeper.ended(this, this.#place);
  }

  /** What the MTA was told, which need not be what the policy said: a bound may have been reached. */
  replied(reply: Reply): void {
    if (this.#message) this.#message.lastReply = reply;
  }

  began(hash: string): void {
    this.#script = hash;
  }

  failed(failure: Failure): void {
    noteFailure(this.#failures, MAIN_CHUNK, failure);
    this.#keeper.scriptFailed(failure);
  }

  called(call: Call, event: PolicyEvent): void {
    this.#call = call;
    const message = this.#message;
    if (message) {
      message.cpuMilliseconds += call.cpuMilliseconds;
      message.wallMilliseconds += call.wallMilliseconds;
      message.lastCall = call;
    }
    if (call.failure) this.#noteFailure(call.name, call.failure, event);
    this.#keeper.called(call);
    if (this.#keeper.tracing) this.#keeper.traced(this, this.#traceOf(call, event));
  }

  /** After the end of a message, or of the session, a failure has no mail to bear on, unless it has ended the script. */
  #noteFailure(name: string, failure: Failure, { kind }: PolicyEvent): void {
    if (failure.endsScript) noteFailure(this.#failures, name, failure);
    else if (kind !== 'reset' && kind !== 'close') {
      noteFailure(this.#message?.failures ?? this.#failures, name, failure);
    }
  }

  #note(event: PolicyEvent): void {
    const message = this.#message;
    switch (event.kind) {
      case 'connect': {
        const { client, hostname } = event;
        this.#ip = addressOf(client);
        this.#ptr = verifiedNameOf(hostname);
        break;
      }
      case 'helo':
        this.#helo = event.name;
        break;
      case 'mail':
        this.#begin(event.address, event.params);
        break;
      case 'rcpt':
        if (message) message.recipient = event.address;
        break;
      case 'headers':
        if (message) {
          for (const line of event.lines) message.bytes += line.length + 2;
          message.bytes += 2; // The empty line.
        }
        break;
      case 'chunk':
        if (message) message.bytes += event.bytes.length;
        break;
      case 'endOfMessage':
        // A policy that looks at no message has had the MTA say nothing of this one before.
        if (!message) this.#begin(this.#session.macros.get('{mail_addr}'), []);
        if (this.#keeper.recording) this.#noteQueueId();
        break;
      case 'reset':
        this.#conclude();
        break;
      default:
    }
  }

  #begin(sender: string | undefined, params: readonly string[]): void {
    this.#messages += 1;
    this.#message = new Message(`${this.#session.id}.${this.#messages}`, sender, params);
  }

  #noteQueueId(): void {
    const id = this.#session.macros.get('i');
    if (this.#message && id !== undefined && id !== '') this.#message.queueId = id;
  }

  #weigh(event: PolicyEvent, verdict: Verdict): Verdict {
    const message = this.#message;
    const name = verdictName(verdict);
    if (event.kind === 'rcpt') {
      const refused =
        name === 'reject' || name === 'tempfail' ? this.#decisiveVerdict(name, verdict) : undefined;
      message?.recipients.push({ address: event.address, refused });
    }
    if (message === undefined || event.kind === 'unknown') {
      if (name !== undefined && event.kind !== 'reset' && event.kind !== 'close') {
        if (event.kind !== 'unknown') this.#keeper.decided(name, true);
        this.#recordOfSession(name, verdict);
      }
      return verdict;
    }
    const decisive = name && this.#decisiveVerdict(name, verdict);
    switch (event.kind) {
      case 'rcpt':
        message.recipientCount += 1;
        if (message.recipients.length > MAX_RECIPIENTS) message.recipients.pop();
        if (name === 'reject' || name === 'tempfail') message.refusedCount += 1;
        message.refusedData = undefined;
        if (name === 'accept' || name === 'discard') message.decisive ??= decisive;
        else message.refusedRcpt = decisive;
        break;
      case 'data':
        if (name === 'accept' || name === 'discard') message.decisive ??= decisive;
        else message.refusedData = decisive;
        break;
      case 'mail':
      case 'headers':
      case 'chunk':
        message.decisive ??= decisive;
        break;
      case 'endOfMessage':
        message.decisive ??= decisive ?? { verdict: 'accept', given: verdict, call: undefined };
        if (message.decisive.verdict === 'accept') {
          const reason = quarantineIn(verdict);
          if (reason !== undefined) {
            message.decisive = { verdict: 'quarantine', given: { text: reason }, call: undefined };
          }
        }
        break;
      default:
    }
    return verdict;
  }

  #decisiveVerdict(verdict: VerdictName, given: Verdict): DecisiveVerdict {
    return { verdict, given, call: this.#call ?? this.#message?.lastCall };
  }

  #recordOfSession(name: VerdictName, verdict: Verdict): void {
    if (!this.#keeper.recording) return;
    const call = this.#call;
    this.#record({
      ...this.#decision(this.#decisiveVerdict(name, verdict)),
      cpuMilliseconds: roundedMs(call?.cpuMilliseconds ?? 0),
      wallMilliseconds: roundedMs(call?.wallMilliseconds ?? 0),
    });
  }

  #record(decision: Decision): void {
    this.#keeper.record(this, decision, (bytes) => this.#session.mayLog?.(bytes) ?? true);
  }

  /** The transaction ends: what was decided is known now. */
  #conclude(): void {
    const message = this.#message;
    if (!message) return;
    if (this.#keeper.recording) this.#noteQueueId();
    const decisive = message.decisive ?? this.#decisiveWithoutEnd(message);
    this.#keeper.decided(decisive.verdict, false);
    if (this.#keeper.recording) this.#record(this.#decision(decisive, message));
    this.#message = undefined;
  }

  /** What became of a message on whose end the policy was not asked. */
  #decisiveWithoutEnd({
    refusedRcpt,
    refusedData,
    recipientCount,
    refusedCount,
    lastReply,
  }: Message): DecisiveVerdict {
    if (refusedData) return refusedData;
    if (refusedRcpt && refusedCount === recipientCount) return refusedRcpt;
    if (lastReply?.kind === 'replyCode') {
      const text = lastReply.text.replaceAll('%%', '%');
      const verdict = text.startsWith('5') ? 'reject' : 'tempfail';
      return { verdict, given: { code: Number(text.slice(0, 3)), text: text.slice(4) }, call: undefined };
    }
    return { verdict: 'abandoned', given: {}, call: undefined };
  }

  #decision(decisive: DecisiveVerdict, message?: Message): Decision {
    const { verdict, call } = decisive;
    const callback = call?.name;
    const helo = this.#helo === undefined ? {} : { helo: bounded(this.#helo) };
    const size = message && (message.bytes > 0 ? message.bytes : message.declaredSize);
    const { code, text, where } = refusalIn(decisive);
    const failures = message ? [...this.#failures, ...message.failures] : this.#failures;
    const onError = onErrorIn(decisive, failures);
    return {
      time: Date.now(),
      session: this.#session.id,
      ...(message && { transaction: message.id }),
      ...(message?.sender !== undefined && { sender: bounded(message.sender) }),
      ...(message?.queueId !== undefined && { queueId: bounded(message.queueId) }),
      client: { ip: bounded(this.#ip), ptr: bounded(this.#ptr), ...helo },
      recipients: message?.recipients.map(recipientDecision) ?? [],
      recipientCount: message?.recipientCount ?? 0,
      ...(size !== undefined && { size }),
      verdict,
      ...(code !== undefined && { code }),
      ...(text !== undefined && { text: bounded(text) }),
      ...(callback !== undefined && { callback }),
      ...(where !== undefined && { where }),
      ...(onError !== undefined && { onError }),
      ...(failures.length > 0 && { failures: [...failures] }),
      cpuMilliseconds: roundedMs(message?.cpuMilliseconds ?? 0),
      wallMilliseconds: roundedMs(message?.wallMilliseconds ?? 0),
      ...(this.#script !== undefined && { script: this.#script }),
      ...(this.isCanary && { canary: true }),
    };
  }

  #traceOf(call: Call, event: PolicyEvent): TraceRecord {
    const { name, verdict, where, failure, cpuMilliseconds, wallMilliseconds } = call;
    const position = where();
    return {
      kind: 'call',
      time: Date.now(),
      session: this.#session.id,
      ...(this.#message && { transaction: this.#message.id }),
      ...(this.#message?.queueId !== undefined && { queueId: this.#message.queueId }),
      callback: name,
      args: argumentsOf(event),
      result: resultOf(verdict),
      ...(position !== '' && { where: position }),
      cpuMilliseconds: roundedMs(cpuMilliseconds),
      wallMilliseconds: roundedMs(wallMilliseconds),
      ...(failure && { failure: bounded(failure.message), onError: failure.action }),
    };
  }
}

function refusalIn({ given, call }: DecisiveVerdict): Refusal {
  if (!('kind' in given)) return given;
  const refusal = refusalOf(given, call?.where() ?? '');
  return call?.failure ? { ...refusal, onError: call.failure.action } : refusal;
}

/** The action of --on-error where that is what made the decisive verdict; without a call it is so where the script runs no more. */
function onErrorIn(
  { verdict, given, call }: DecisiveVerdict,
  failures: readonly CallbackFailure[],
): CallbackFailure['action'] | undefined {
  if (call) return call.failure?.action;
  const action = failures[0]?.action;
  const passes = action === 'continue' || action === 'accept';
  return 'kind' in given && passes === (verdict === 'accept') ? action : undefined;
}

function recipientDecision({ address, refused }: Recipient): RecipientDecision {
  const shown = bounded(address);
  return refused ? { address: shown, refused: refusalIn(refused) } : { address: shown };
}

/** Why the message is to be held; undefined where it is not. */
function quarantineIn(verdict: Verdict): string | undefined {
  if (!('modifications' in verdict)) return undefined;
  return verdict.modifications?.find((edit) => edit.kind === 'quarantine')?.reason;
}
