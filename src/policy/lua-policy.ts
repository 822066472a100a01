/**
 * A policy that is a Lua script: events become callbacks, results become verdicts.
 *
 * One object, and one Lua context, serves one SMTP session.
 */
import type { LuaState } from 'fengari';
import { type Answer, known, unknown } from '../asking/answer.ts';
import type { LuaContext, Outcome } from '../lua/context/context.ts';
import type { Problem } from '../lua/context/diagnosis.ts';
import { lua } from '../lua/engine/engine.ts';
import type { Budget } from '../lua/engine/host.ts';
import { pushLatin1, pushOwnedBytes, pushValue, tableValue } from '../lua/engine/values.ts';
import { bindSession } from '../message/edit-link.ts';
import type { EditNotes } from '../message/edits.ts';
import { Head, pushLines } from '../message/message-head.ts';
import { wholeOf } from '../milter/body-bytes.ts';
import { addressOf, verifiedNameOf } from '../milter/connect.ts';
import { declaredSize } from '../milter/declared-size.ts';
import type { Interests, MacroReader, Policy, PolicyEvent, SessionInfo, Verdict } from '../milter/policy.ts';
import { changesToApply } from '../modules/mime/changes.ts';
import { closeMessage } from '../modules/mime/message.ts';
import { bindFacts, type KeptMessage, type SessionFacts } from '../modules/session.ts';
import type { CallbackName } from '../modules/smtp/callbacks.ts';
import { bindMacros } from '../modules/smtp/macro.ts';
import { setAuth, setConnectFields, setTls } from '../modules/smtp/session-fields.ts';
import { CALLBACK_FIELDS, parametersOf, type SmtpTable } from '../modules/smtp/table.ts';
import { deciderOf, CONTINUE as GO_ON, type Reading, readVerdict } from '../modules/smtp/verdict.ts';
import type { MessageUses } from '../modules/uses.ts';
import { type Failure, failureFields, inOneLine, positioned } from './failure.ts';
import {
  type Call,
  type CallbackWatcher,
  type MessageNeed,
  onErrorVerdict,
  type PolicySettings,
} from './policy-settings.ts';
import { PolicyTransaction } from './policy-transaction.ts';

export interface LuaPolicySettings extends PolicySettings {
  /** What the functions that the script may call need of each message. */
  readonly uses: () => MessageUses;
}

/** What a callback comes to: a verdict, and why it is that of --on-error. */
interface Judged {
  readonly verdict: Verdict;
  readonly failure?: Failure;
}

type EventOf<Kind extends PolicyEvent['kind']> = Extract<PolicyEvent, { kind: Kind }>;

const CONTINUE: Verdict = { kind: 'continue' };
const NOT_KEPT = 'none was made: the script as it was when the message came in did not read it';
/** In the place of bytes at which the script does not look. */
const UNSEEN = new Uint8Array(0);
const NO_NOTES: EditNotes = { breaks: [], missing: [] };
const NOWHERE = (): string => '';

/** Of one session, for the functions of modules. */
class Facts implements SessionFacts {
  ip = '';
  ptr = '';
  helo: string | undefined;
  sender: string | undefined;
  recipient: string | undefined;
  message: Answer<KeptMessage> | undefined;
  transaction: string | undefined;
  envelopeId: string | undefined;
  readonly #macros: MacroReader;
  readonly #table: SmtpTable;

  constructor(macros: MacroReader, table: SmtpTable) {
    this.#macros = macros;
    this.#table = table;
  }

  get recipients(): readonly string[] {
    return this.#table.recipients;
  }

  get queueId(): string | undefined {
    return this.#macros.get('i') || undefined;
  }

  get mta(): string {
    return this.#macros.get('j') || 'localhost';
  }

  get user(): string | undefined {
    return this.#macros.get('auth_authen') || undefined;
  }
}

export class LuaPolicy implements Policy {
  readonly interests: Interests;
  readonly #context: LuaContext;
  readonly #session: SessionInfo;
  readonly #settings: LuaPolicySettings;
  readonly #table: SmtpTable;
  readonly #watcher: CallbackWatcher | undefined;
  readonly #facts: Facts;
  #transactions = 0;
  /** CPU time of the callback itself, where its changes were made in a second run; ms. */
  #cpuBefore = 0;
  #transaction = new PolicyTransaction();

  /** `context` has run the script's main chunk. */
  constructor(
    context: LuaContext,
    table: SmtpTable,
    interests: Interests,
    session: SessionInfo,
    settings: LuaPolicySettings,
    watcher?: CallbackWatcher,
  ) {
    this.#watcher = watcher;
    this.#context = context;
    this.#table = table;
    this.interests = interests;
    this.#session = session;
    this.#settings = settings;
    context.keptBesides = () => this.#transaction.keptBytes + (session.keptBytes?.() ?? 0);
    bindMacros(context, session.macros);
    this.#facts = new Facts(session.macros, table);
    bindFacts(context, this.#facts);
    bindSession(context, {
      edits: () => this.#transaction.edits,
      grantedActions: () => session.grantedActions(),
      isPostfix: () => this.#isPostfix(),
    });
  }

  handle(event: PolicyEvent): Verdict | Promise<Verdict> {
    this.#transaction.arrived(event);
    return then(this.#decide(event), (verdict) => this.#transaction.withEdits(event, verdict));
  }

  #decide(event: PolicyEvent): Verdict | Promise<Verdict> {
    if (!this.#context.usable) return this.#withoutScript(event);
    if (this.#transaction.settles(event)) return CONTINUE;
    switch (event.kind) {
      case 'connect':
        return this.#connect(event);
      case 'helo':
        setTls(this.#table, this.#session.macros);
        this.#table.setSession('helo', event.name);
        this.#facts.helo = event.name;
        return this.#call('helo', event, (L) => pushText(L, event.name));
      case 'mail':
        this.#beginTransaction(event);
        return this.#call('mail', event, (L) => pushEnvelope(L, event));
      case 'rcpt':
        return this.#rcpt(event);
      case 'data':
        return this.#call('data', event, () => 0);
      case 'headers':
        return this.#headers(event);
      case 'chunk':
        return this.#chunk(event);
      case 'endOfMessage':
        return this.#endOfMessage(event);
      case 'unknown':
        return this.#call('unknown', event, (L) => pushText(L, event.line));
      case 'reset':
        return then(
          this.#call('rset', event, () => 0),
          () => this.#endTransaction(),
        );
      case 'close':
        return this.#call('close', event, () => 0);
      default:
        return event satisfies never;
    }
  }

  #isPostfix(): boolean {
    return this.#session.macros.get('v')?.startsWith('Postfix') ?? false;
  }

  cancel(): void {
    this.#context.cancel('the MTA has closed the connection');
  }

  dispose(): void {
    this.#transaction.end();
    this.#context.dispose();
  }

  /** The script has been ended for good in this session: what remains is the configured action, at each MAIL. */
  #withoutScript(event: PolicyEvent): Verdict {
    if (event.kind === 'reset') this.#endTransaction();
    return event.kind === 'mail' || event.kind === 'endOfMessage'
      ? onErrorVerdict(this.#settings.onError)
      : CONTINUE;
  }

  #connect(event: EventOf<'connect'>): Verdict | Promise<Verdict> {
    const ip = addressOf(event.client);
    const ptr = verifiedNameOf(event.hostname);
    this.#facts.ip = ip;
    this.#facts.ptr = ptr;
    this.#table.setSession('ip', ip);
    this.#table.setSession('ptr', ptr);
    setConnectFields(this.#table, event.client, this.#session.macros);
    return this.#call('connect', event, (L) => pushText(L, ip) + pushText(L, ptr));
  }

  #beginTransaction(event: EventOf<'mail' | 'rcpt'>): void {
    this.#transactions += 1;
    const id = `${this.#session.id}.${this.#transactions}`;
    this.#transaction.end();
    this.#transaction = new PolicyTransaction(id, event.params);
    this.#facts.sender = event.address;
    this.#facts.transaction = id;
    this.#facts.envelopeId = envelopeId(event.params);
    this.#table.beginTransaction(id, event, declaredSize(event.params));
    const { macros } = this.#session;
    setTls(this.#table, macros); // Postfix sends these macros at MAIL too.
    setAuth(this.#table, macros);
  }

  #rcpt(event: EventOf<'mail' | 'rcpt'>): Verdict | Promise<Verdict> {
    this.#table.addRecipient(event);
    this.#facts.recipient = event.address;
    return then(
      this.#call('rcpt', event, (L) => pushEnvelope(L, event)),
      (verdict) => {
        this.#facts.recipient = undefined;
        if (verdict.kind === 'reply') this.#table.judgeRecipient(verdict.code, verdict.lines.join('\n'));
        else if (verdict.kind === 'reject' || verdict.kind === 'tempfail') {
          this.#table.judgeRecipient(verdict.kind === 'reject' ? 550 : 451, undefined);
        } else this.#table.judgeRecipient(250, undefined);
        return verdict;
      },
    );
  }

  #endTransaction(): Verdict {
    this.#transaction.end();
    this.#transaction = new PolicyTransaction();
    this.#facts.sender = undefined;
    this.#facts.transaction = undefined;
    this.#facts.envelopeId = undefined;
    this.#table.endTransaction();
    return CONTINUE;
  }

  #headers(event: EventOf<'headers'>): Verdict | Promise<Verdict> {
    const { lines } = event;
    const head = new Head(lines);
    const transaction = this.#transaction;
    transaction.hasBody = this.interests.body !== 'none';
    // Nobody will look into a file of which the script does not take the name, unless a function reads it.
    const uses = this.#settings.uses();
    const isNamed = this.#table.seesArgument('dot');
    const need: MessageNeed = uses.needsFile ? 'file' : isNamed ? 'path' : 'memory';
    const isKept = transaction.hasBody && (isNamed || uses.readsMessage);
    transaction.addHead(head, isKept ? this.#settings.createMessageFile(need) : undefined);
    if (transaction.hasBody) {
      for (const { begin } of uses.listening) transaction.listen(begin(this.#context, lines));
    }
    return this.#call('headers', event, (L) => pushLines(L, head));
  }

  #chunk(event: EventOf<'chunk'>): Verdict | Promise<Verdict> {
    const written = this.#transaction.addChunk(event.bytes);
    if (written) return written.then(() => this.#callChunk(event));
    return this.#callChunk(event);
  }

  #callChunk(event: EventOf<'chunk'>): Verdict | Promise<Verdict> {
    const { bytes } = event;
    return this.#call('chunk', event, (L) => {
      // Nobody writes to what was read from the network.
      pushOwnedBytes(L, this.#table.seesArgument('chunk') ? wholeOf(bytes) : UNSEEN);
      lua.lua_pushinteger(L, bytes.length);
      return 2;
    });
  }

  #endOfMessage(event: EventOf<'endOfMessage'>): Verdict | Promise<Verdict> {
    const { hasBody, bytes, file } = this.#transaction;
    if (!hasBody) return CONTINUE;
    this.#transaction.complete();
    this.#table.setTransaction('size', bytes);
    if (!file) return this.#callDot(event, NOT_KEPT);
    const failed = (error: unknown) =>
      this.#callDot(event, error instanceof Error ? error.message : String(error));
    const written = () => this.#callDot(event, { path: file.path, size: bytes, pieces: file.pieces });
    try {
      const finished = file.finish();
      return finished ? finished.then(written, failed) : written();
    } catch (error) {
      return failed(error);
    }
  }

  /** @param message or why there is no file */
  #callDot(event: EventOf<'endOfMessage'>, message: KeptMessage | string): Verdict | Promise<Verdict> {
    const isKept = typeof message !== 'string';
    if (!isKept && this.#table.seesArgument('dot')) return this.#fileFailed(event, message);
    this.#facts.message = isKept ? known(message) : unknown('unavailable', `message file: ${message}`);
    this.#context.ownFile = isKept && message.pieces === undefined ? message.path : '';
    return then(
      this.#call('dot', event, (L) => (isKept ? pushText(L, message.path) : 0)),
      (verdict) => {
        this.#facts.message = undefined;
        closeMessage(this.#context);
        this.#context.ownFile = '';
        this.#transaction.file?.remove();
        return verdict;
      },
    );
  }

  /** smtp.do_dot cannot be called: the file that it takes is not there. */
  #fileFailed(event: EventOf<'endOfMessage'>, reason: string): Verdict {
    const name = this.#table.findCallback('dot') ?? `smtp.${CALLBACK_FIELDS.dot[0]}`;
    const failure = { message: `message file: ${reason}`, traceback: '', where: '' };
    return this.#ended(name, event, this.#failed(failure), NOWHERE, undefined);
  }

  /** Runs a callback, if the script defines it; `push` puts the arguments on the stack and returns their number. */
  #call(
    callback: CallbackName,
    event: PolicyEvent,
    push: (L: LuaState) => number,
  ): Verdict | Promise<Verdict> {
    this.#noteQueueId();
    const name = this.#table.findCallback(callback);
    if (name === undefined) return CONTINUE;
    const { deadlineMs, endOfMessageDeadlineMs, observer } = this.#settings;
    const watched = observer !== undefined || this.#watcher !== undefined;
    const began = watched ? performance.now() : 0;
    let where = NOWHERE;
    this.#transaction.edits?.beginCallback();
    this.#cpuBefore = 0;
    const outcome = this.#context.call(
      (L) => {
        this.#table.takeCallback(L);
        return push(L);
      },
      (L, count) => {
        const reading = readVerdict(L, count);
        if (reading !== GO_ON || watched) {
          const returned = this.#context.script.returnPosition(L);
          const decider = deciderOf(L, count);
          where = () => returned() || decider;
        }
        return reading;
      },
      { deadlineMs: callback === 'dot' ? endOfMessageDeadlineMs : deadlineMs, callback: name },
    );
    const conclude = (settled: Outcome<Reading>): Verdict | Promise<Verdict> => {
      const judged = this.#judge(settled, where);
      const end = () => {
        if (callback === 'dot' && observer === undefined) this.#logNotes();
        return this.#ended(name, event, judged, where, watched ? began : undefined);
      };
      if (callback !== 'dot') return end();
      const mta = this.#isPostfix() ? 'postfix' : 'sendmail';
      return this.#transaction.finishEdits(judged.verdict, mta)?.then(end) ?? end();
    };
    if (callback !== 'dot') return then(outcome, conclude);
    return then(
      then(outcome, (settled) => this.#applyChanges(name, settled)),
      conclude,
    );
  }

  /** Makes the new body where the callback has changed parts of the message: that may fail as the callback may. */
  #applyChanges(callback: string, outcome: Outcome<Reading>): Outcome<Reading> | Promise<Outcome<Reading>> {
    const isFit = outcome.kind === 'done' && this.#context.usable;
    const apply = isFit ? changesToApply(this.#context) : undefined;
    if (apply === undefined) return outcome;
    const { endOfMessageDeadlineMs: deadlineMs } = this.#settings;
    this.#cpuBefore = this.#context.cpuMs(performance.now());
    const applied = this.#context.call(
      (L) => {
        lua.lua_pushcfunction(L, apply);
        return 0;
      },
      () => undefined,
      { deadlineMs, callback },
    );
    return then(applied, (settled) => (settled.kind === 'done' ? outcome : settled));
  }

  /** Tells of a callback that has ended. */
  #ended(
    name: string,
    event: PolicyEvent,
    { verdict, failure }: Judged,
    returnedFrom: () => string,
    began: number | undefined,
  ): Verdict {
    const { observer } = this.#settings;
    const now = began === undefined ? 0 : performance.now();
    const wallMilliseconds = began === undefined ? 0 : now - began;
    const cpuMilliseconds = began === undefined ? 0 : this.#cpuBefore + this.#context.cpuMs(now);
    const where = failure === undefined ? returnedFrom : () => failure.where;
    const call: Call = { name, where, verdict, failure, cpuMilliseconds, wallMilliseconds };
    if (failure !== undefined && observer === undefined) this.#logFailure(name, event, failure);
    this.#watcher?.called(call, event);
    if (observer) {
      const { breaks, missing } = this.#notes();
      observer.called({
        ...call,
        event,
        where: where(),
        edits: this.#transaction.edits?.compile() ?? [],
        notes: [...breaks, ...missing],
        ids: this.#ids(),
      });
    }
    return verdict;
  }

  /** What an outcome comes to. */
  #judge(outcome: Outcome<Reading>, where: () => string): Judged {
    switch (outcome.kind) {
      case 'done': {
        const reading = outcome.value;
        if (reading.kind === 'verdict') return reading;
        return this.#failed({ message: reading.complaint, traceback: '', where: where() });
      }
      case 'failed':
        return this.#failed(outcome);
      case 'overBudget':
        return this.#failed(outcome, outcome.what);
      case 'cancelled':
        return { verdict: CONTINUE };
      default:
        return outcome satisfies never;
    }
  }

  /** The callback counts as one that was not there: the configured action is taken, and its edits are dropped. */
  #failed({ message, traceback, where }: Problem, budget?: Budget): Judged {
    const { onError: action } = this.#settings;
    const droppedEdits = this.#transaction.edits?.dropCallback() ?? 0;
    const endsScript = !this.#context.usable;
    const over = budget === undefined ? {} : { budget };
    const failure = { message, traceback, where, action, droppedEdits, endsScript, ...over };
    return { verdict: onErrorVerdict(action), failure };
  }

  #logFailure(name: string, { kind }: PolicyEvent, failure: Failure): void {
    const { action, droppedEdits, endsScript, message, where } = failure;
    const place = positioned(failure) === message ? '' : `${where}: `;
    const parts = [
      `${this.#ids()}: ${place}${name}: ${inOneLine(failure)}`,
      ...(kind === 'reset' || kind === 'close' ? [] : [`--on-error ${action}`]),
      ...(droppedEdits > 0 ? [`the changes it asked for (${droppedEdits}) are dropped`] : []),
      ...(endsScript ? ['the script runs no more in this session'] : []),
    ];
    const line = parts.join('; ');
    if (!(this.#session.mayLog?.(line.length) ?? true)) return;
    const { id: transaction, queueId } = this.#transaction;
    this.#settings.log.error(line, () =>
      failureFields(name, failure, { session: this.#session.id, transaction, queueId }),
    );
  }

  #notes(): EditNotes {
    return this.#transaction.edits?.notes ?? NO_NOTES;
  }

  #logNotes(): void {
    const { breaks, missing } = this.#notes();
    const { log } = this.#settings;
    if (breaks.length > 0) this.#log((line) => log.notice(line), breaks.join('; '));
    for (const text of missing) this.#log((line) => log.warning(line), text);
  }

  #log(write: (line: string) => void, text: string): void {
    const line = `${this.#ids()}: ${text}`;
    if (this.#session.mayLog?.(line.length) ?? true) write(line);
  }

  #noteQueueId(): void {
    const id = this.#transaction.newQueueId(this.#session.macros);
    if (id !== undefined) this.#table.setTransaction('queue_id', id);
  }

  #ids(): string {
    const { id = this.#session.id, queueId } = this.#transaction;
    return queueId === undefined ? id : `${id}: ${queueId}`;
  }
}

function then<T, R>(value: T | Promise<T>, next: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

function pushText(L: LuaState, latin1: string): number {
  pushLatin1(L, latin1);
  return 1;
}

/** Address and parameters of MAIL or RCPT. */
function pushEnvelope(L: LuaState, { address, params }: EventOf<'mail' | 'rcpt'>): number {
  pushLatin1(L, address);
  pushValue(L, tableValue(parametersOf(L, params)));
  return 2;
}

/** ENVID among the ESMTP parameters of MAIL (RFC 3461), as sent. */
function envelopeId(params: readonly string[]): string | undefined {
  return params.map((param) => /^ENVID=(.+)$/i.exec(param)?.[1]).find((id) => id !== undefined);
}
