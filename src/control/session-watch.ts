/**
 * A policy as one session sees it, with its decisions noted: what is asked passes through unchanged.
 *
 * A message is decided when its transaction ends; what decided it is found here from the verdicts given on the way.
 */

import type { Call, CallWatcher } from '../lua/policy-settings.ts';
import { addressOf, verifiedNameOf } from '../milter/connect.ts';
import { declaredSize } from '../milter/declared-size.ts';
import type { Needs, Policy, PolicyEvent, SessionInfo, Verdict } from '../milter/policy.ts';
import type { Reply } from '../milter/reply.ts';
import type { VerdictName } from './counts.ts';
import {
  bounded,
  type Decision,
  MAX_RECIPIENTS,
  type RecipientDecision,
  type Refusal,
  refusalOf,
  roundedMs,
  verdictName,
} from './decision.ts';
import { argumentsOf, resultOf, type TraceRecord, type TraceSubject } from './trace.ts';

/** Whom a session's watch tells. */
export interface WatchKeeper {
  /** Whether anybody looks at calls now. */
  readonly tracing: boolean;
  /** Whether decisions are wanted as records; they are counted anyway. */
  readonly recording: boolean;
  called(call: Call): void;
  scriptFailed(): void;
  traced(subject: TraceSubject, record: TraceRecord): void;
  decided(verdict: VerdictName, ofSession: boolean): void;
  record(subject: TraceSubject, decision: Decision): void;
  ended(subject: TraceSubject): void;
}

/** What decided, of which a record is made only where one is wanted. */
interface Ruling {
  readonly verdict: VerdictName;
  /** What the policy said; or what the client was told where it said nothing. */
  readonly given: Verdict | Refusal;
  readonly call: Call | undefined;
}

interface Recipient {
  readonly address: string;
  /** Where it was refused. */
  readonly refused: Ruling | undefined;
}

/** One message, from MAIL to its end. */
class Message {
  readonly sender: string;
  readonly id: string;
  /** The first of them. */
  readonly recipients: Recipient[] = [];
  /** The last one. */
  recipient = '';
  recipientCount = 0;
  refusedCount = 0;
  bytes = 0;
  milliseconds = 0;
  ruling: Ruling | undefined;
  /** One that stands unless something else comes after it: a refused RCPT or DATA. */
  provisional: Ruling | undefined;
  lastCall: Call | undefined;
  lastReply: Reply | undefined;
  queueId: string | undefined;
  readonly declaredSize: number | undefined;

  constructor(id: string, sender: string, params: readonly string[]) {
    this.id = id;
    this.sender = sender;
    this.declaredSize = declaredSize(params);
  }
}

export class SessionWatch implements Policy, CallWatcher, TraceSubject {
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
  #disposed = false;

  constructor(session: SessionInfo, keeper: WatchKeeper) {
    this.#session = session;
    this.#keeper = keeper;
  }

  /** The policy that is watched. @returns the policy to use in its place. */
  of(policy: Policy): Policy {
    this.#policy = policy;
    return this;
  }

  get needs(): Needs {
    if (this.#policy === undefined) throw new Error('a watch without a policy');
    return this.#policy.needs;
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
    this.#call = undefined;
    this.#note(event);
    const verdict = this.#policy.handle(event);
    if (!(verdict instanceof Promise)) return this.#weigh(event, verdict);
    return verdict.then((settled) => this.#weigh(event, settled));
  }

  cancel(): void {
    this.#policy?.cancel();
  }

  dispose(): void {
    this.#policy?.dispose();
    if (this.#disposed) return;
    this.#disposed = true;
    this.#keeper.ended(this);
  }

  /** What the MTA was told, which need not be what the policy said: a bound may have been reached. */
  replied(reply: Reply): void {
    if (this.#message) this.#message.lastReply = reply;
  }

  began(hash: string): void {
    this.#script = hash;
  }

  failed(): void {
    this.#keeper.scriptFailed();
  }

  called(call: Call, event: PolicyEvent): void {
    this.#call = call;
    const message = this.#message;
    if (message) {
      message.milliseconds += call.milliseconds;
      message.lastCall = call;
    }
    this.#keeper.called(call);
    if (this.#keeper.tracing) this.#keeper.traced(this, this.#traceOf(call, event));
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
        this.#messages += 1;
        this.#message = new Message(`${this.#session.id}.${this.#messages}`, event.address, event.params);
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
        if (this.#keeper.recording) this.#noteQueueId();
        break;
      case 'reset':
        this.#conclude();
        break;
      default:
    }
  }

  #noteQueueId(): void {
    const id = this.#session.macros.get('i');
    if (this.#message && id !== undefined && id !== '') this.#message.queueId = id;
  }

  #weigh(event: PolicyEvent, verdict: Verdict): Verdict {
    const message = this.#message;
    const name = verdictName(verdict);
    if (event.kind === 'rcpt') {
      const refused = name === 'reject' || name === 'defer' ? this.#ruling(name, verdict) : undefined;
      message?.recipients.push({ address: event.address, refused });
    }
    if (message === undefined || event.kind === 'unknown') {
      if (name !== undefined && event.kind !== 'reset' && event.kind !== 'close') {
        if (event.kind !== 'unknown') this.#keeper.decided(name, true);
        this.#recordOfSession(name, verdict);
      }
      return verdict;
    }
    const ruling = name && this.#ruling(name, verdict);
    switch (event.kind) {
      case 'rcpt':
        message.recipientCount += 1;
        if (message.recipients.length > MAX_RECIPIENTS) message.recipients.pop();
        if (name === 'reject' || name === 'defer') message.refusedCount += 1;
        if (name === 'accept' || name === 'discard') message.ruling ??= ruling;
        else message.provisional = ruling;
        break;
      case 'data':
        if (name === 'accept' || name === 'discard') message.ruling ??= ruling;
        else message.provisional = ruling;
        break;
      case 'mail':
      case 'headers':
      case 'chunk':
        message.ruling ??= ruling;
        break;
      case 'endOfMessage':
        // Without a callback here nobody has said so: those before have only not objected.
        message.ruling ??= ruling ?? { verdict: 'accept', given: verdict, call: this.#call };
        if (message.ruling.verdict === 'accept' && holds(verdict)) {
          message.ruling = { ...message.ruling, verdict: 'quarantine' };
        }
        break;
      default:
    }
    return verdict;
  }

  #ruling(verdict: VerdictName, given: Verdict): Ruling {
    return { verdict, given, call: this.#call ?? this.#message?.lastCall };
  }

  #recordOfSession(name: VerdictName, verdict: Verdict): void {
    if (!this.#keeper.recording) return;
    const call = this.#call;
    const milliseconds = roundedMs(call?.milliseconds ?? 0);
    this.#keeper.record(this, { ...this.#decision(this.#ruling(name, verdict)), milliseconds });
  }

  /** The transaction ends: what was decided is known now. */
  #conclude(): void {
    const message = this.#message;
    if (!message) return;
    if (this.#keeper.recording) this.#noteQueueId();
    const ruling = message.ruling ?? this.#rulingWithoutWord(message);
    this.#keeper.decided(ruling.verdict, false);
    if (this.#keeper.recording) this.#keeper.record(this, this.#decision(ruling, message));
    this.#message = undefined;
  }

  /** What became of a message on whose end the policy was not asked. */
  #rulingWithoutWord({ provisional, recipientCount, refusedCount, lastReply }: Message): Ruling {
    if (provisional && (refusedCount === recipientCount || recipientCount === 0)) return provisional;
    if (lastReply?.kind === 'replyCode') {
      const text = lastReply.text.replaceAll('%%', '%');
      const verdict = text.startsWith('5') ? 'reject' : 'defer';
      return { verdict, given: { code: Number(text.slice(0, 3)), text: text.slice(4) }, call: undefined };
    }
    return { verdict: 'abandoned', given: {}, call: undefined };
  }

  #decision(ruling: Ruling, message?: Message): Decision {
    const { verdict, call } = ruling;
    const callback = call?.name;
    const helo = this.#helo === undefined ? {} : { helo: bounded(this.#helo) };
    const size = message && (message.bytes > 0 ? message.bytes : message.declaredSize);
    const { code, text, where } = refusalIn(ruling);
    return {
      time: Date.now(),
      session: this.#session.id,
      ...(message && { transaction: message.id, sender: bounded(message.sender) }),
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
      milliseconds: roundedMs(message?.milliseconds ?? 0),
      ...(this.#script !== undefined && { script: this.#script }),
    };
  }

  #traceOf({ name, verdict, where, failure, milliseconds }: Call, event: PolicyEvent): TraceRecord {
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
      milliseconds: roundedMs(milliseconds),
      ...(failure !== undefined && { failure: bounded(failure) }),
    };
  }
}

function refusalIn({ given, call }: Ruling): Refusal {
  return 'kind' in given ? refusalOf(given, call?.where() ?? '') : given;
}

function recipientDecision({ address, refused }: Recipient): RecipientDecision {
  const shown = bounded(address);
  return refused ? { address: shown, refused: refusalIn(refused) } : { address: shown };
}

function holds(verdict: Verdict): boolean {
  return (
    verdict.kind !== 'discard' &&
    'modifications' in verdict &&
    verdict.modifications?.some(({ kind }) => kind === 'quarantine') === true
  );
}
