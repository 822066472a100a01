/**
 * A policy that is a Lua script: events become callbacks, results become verdicts.
 *
 * One object, and one Lua context, serves one SMTP session.
 */
import type { LuaState } from 'fengari';
import { piecesOf, wholeOf } from '../milter/body-bytes.ts';
import { addressOf, verifiedNameOf } from '../milter/connect.ts';
import { declaredSize } from '../milter/declared-size.ts';
import type { Needs, Policy, PolicyEvent, SessionInfo, Verdict } from '../milter/policy.ts';
import type { LuaContext, Outcome } from './context.ts';
import { lua } from './engine.ts';
import {
  type Call,
  type CallWatcher,
  type MessageStore,
  onErrorVerdict,
  type PolicySettings,
} from './policy-settings.ts';
import { bindSession } from './smtp/edit-link.ts';
import { Edits } from './smtp/edits.ts';
import { bindMacros } from './smtp/macro.ts';
import { Head, pushLines } from './smtp/message-head.ts';
import { setAuth, setConnectFields, setTls } from './smtp/session-fields.ts';
import { type CallbackName, parametersOf, type SmtpTable } from './smtp/table.ts';
import { CONTINUE as GO_ON, type Reading, readVerdict } from './smtp/verdict.ts';
import { pushLatin1, pushOwnedBytes, pushValue, tableValue } from './values.ts';

type EventOf<Kind extends PolicyEvent['kind']> = Extract<PolicyEvent, { kind: Kind }>;

const CONTINUE: Verdict = { kind: 'continue' };
const REPLACED = 'none was made: smtp.do_dot was replaced while the message came in';
/** In the place of bytes at which the script does not look. */
const UNSEEN = new Uint8Array(0);
const NOWHERE = (): string => '';

export class LuaPolicy implements Policy {
  readonly needs: Needs;
  readonly #context: LuaContext;
  readonly #session: SessionInfo;
  readonly #settings: PolicySettings;
  readonly #table: SmtpTable;
  readonly #watcher: CallWatcher | undefined;
  #transactions = 0;
  #transactionId: string | undefined;
  #queueId: string | undefined;
  /** Of the message as far as it has been seen. */
  #messageBytes = 0;
  /** Whether smtp.do_dot is called at its end: the body has been asked for. */
  #hasBody = false;
  #file: MessageStore | undefined;
  #edits: Edits | undefined;
  /** The script has accepted the message before its end, after edits that can be sent only there. */
  #accepted = false;

  /** `context` has run the script's main chunk. */
  constructor(
    context: LuaContext,
    table: SmtpTable,
    needs: Needs,
    session: SessionInfo,
    settings: PolicySettings,
    watcher?: CallWatcher,
  ) {
    this.#watcher = watcher;
    this.#context = context;
    this.#table = table;
    this.needs = needs;
    this.#session = session;
    this.#settings = settings;
    bindMacros(context, session.macros);
    bindSession(context, {
      edits: () => this.#edits,
      grantedActions: () => session.grantedActions(),
    });
  }

  handle(event: PolicyEvent): Verdict | Promise<Verdict> {
    if (event.kind === 'rcpt') this.#edits?.recipientNamed(event.written);
    else if (event.kind === 'headers') this.#edits?.headers.arrive(event.lines);
    return then(this.#decide(event), (verdict) => this.#withEdits(event, verdict));
  }

  #decide(event: PolicyEvent): Verdict | Promise<Verdict> {
    if (!this.#context.usable) return this.#withoutScript(event);
    if (this.#accepted && isOfMessage(event)) return CONTINUE;
    switch (event.kind) {
      case 'connect':
        return this.#connect(event);
      case 'helo':
        setTls(this.#table, this.#session.macros);
        this.#table.setSession('helo', event.name);
        return this.#call('helo', event, (L) => pushText(L, event.name));
      case 'mail':
        this.#beginTransaction(event.address, event.params);
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

  cancel(): void {
    this.#context.cancel('the MTA has closed the connection');
  }

  dispose(): void {
    this.#file?.remove();
    this.#file = undefined;
    this.#context.dispose();
  }

  /** What the verdict becomes where edits are queued: they go out with the answer at the end of the message. */
  #withEdits(event: PolicyEvent, verdict: Verdict): Verdict {
    const edits = this.#edits;
    if (!edits || !isOfMessage(event)) return verdict;
    switch (verdict.kind) {
      case 'continue':
      case 'accept': {
        if (event.kind === 'endOfMessage') {
          const kind = this.#accepted ? 'accept' : verdict.kind;
          const modifications = edits.compile();
          return modifications.length > 0 ? { kind, modifications } : { kind };
        }
        if (verdict.kind === 'continue' || edits.isEmpty) return verdict;
        this.#accepted = true;
        return CONTINUE;
      }
      case 'reject':
      case 'tempfail':
      case 'reply':
        if (event.kind === 'rcpt') edits.recipientRefused();
        return verdict;
      default:
        return verdict;
    }
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
    this.#table.setSession('ip', ip);
    this.#table.setSession('ptr', ptr);
    setConnectFields(this.#table, event.client, this.#session.macros);
    return this.#call('connect', event, (L) => pushText(L, ip) + pushText(L, ptr));
  }

  #beginTransaction(sender: string, params: readonly string[]): void {
    this.#transactions += 1;
    this.#transactionId = `${this.#session.id}.${this.#transactions}`;
    this.#messageBytes = 0;
    this.#hasBody = false;
    this.#edits = new Edits();
    this.#accepted = false;
    this.#table.beginTransaction(this.#transactionId, sender, declaredSize(params), params);
    const { macros } = this.#session;
    setTls(this.#table, macros); // Postfix sends these macros at MAIL too.
    setAuth(this.#table, macros);
  }

  #rcpt(event: EventOf<'mail' | 'rcpt'>): Verdict | Promise<Verdict> {
    const { address, params } = event;
    this.#table.addRecipient(address, params);
    return then(
      this.#call('rcpt', event, (L) => pushEnvelope(L, event)),
      (verdict) => {
        if (verdict.kind === 'reply') this.#table.judgeRecipient(verdict.code, verdict.lines.join('\n'));
        else if (verdict.kind === 'reject' || verdict.kind === 'tempfail') {
          this.#table.judgeRecipient(verdict.kind === 'reject' ? 550 : 451, undefined);
        } else this.#table.judgeRecipient(250, undefined);
        return verdict;
      },
    );
  }

  #endTransaction(): Verdict {
    this.#file?.remove();
    this.#file = undefined;
    this.#edits = undefined;
    this.#transactionId = undefined;
    this.#queueId = undefined;
    this.#table.endTransaction();
    return CONTINUE;
  }

  #headers(event: EventOf<'headers'>): Verdict | Promise<Verdict> {
    const { lines } = event;
    const head = new Head(lines);
    this.#messageBytes += head.length;
    // Nobody will look into a file of which the script does not take the name.
    this.#hasBody = this.needs.body !== 'none';
    if (this.#hasBody && this.#table.seesArgument('dot')) {
      this.#file = this.#settings.createMessageFile();
      const { buffer, byteOffset, length } = head.bytes;
      this.#file.append(Buffer.from(buffer, byteOffset, length));
    }
    return this.#call('headers', event, (L) => pushLines(L, head));
  }

  #chunk(event: EventOf<'chunk'>): Verdict | Promise<Verdict> {
    const { bytes } = event;
    this.#messageBytes += bytes.length;
    const written = this.#file?.append(...piecesOf(bytes));
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
    if (!this.#hasBody) return CONTINUE;
    this.#table.setTransaction('size', this.#messageBytes);
    const file = this.#file;
    if (!file) {
      if (this.#table.seesArgument('dot')) return this.#fileFailed(REPLACED);
      return this.#call('dot', event, () => 0);
    }
    const failed = (error: unknown): Verdict =>
      this.#fileFailed(error instanceof Error ? error.message : String(error));
    const callDot = () =>
      then(
        this.#call('dot', event, (L) => pushText(L, file.path)),
        (verdict) => {
          file.remove();
          return verdict;
        },
      );
    try {
      const finished = file.finish();
      return finished ? finished.then(callDot, failed) : callDot();
    } catch (error) {
      return failed(error);
    }
  }

  #fileFailed(reason: string): Verdict {
    this.#settings.log.error(`${this.#ids()}: message file: ${reason}`);
    return onErrorVerdict(this.#settings.onError);
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
    const watcher = this.#watcher;
    const watched = observer !== undefined || watcher !== undefined;
    const began = watched ? performance.now() : 0;
    let where = NOWHERE;
    const outcome = this.#context.call(
      (L) => {
        this.#table.takeCallback(L);
        return push(L);
      },
      (L, count) => {
        const reading = readVerdict(L, count);
        if (reading !== GO_ON || watched) where = this.#context.script.returnPosition(L);
        return reading;
      },
      { deadlineMs: callback === 'dot' ? endOfMessageDeadlineMs : deadlineMs },
    );
    const conclude = (settled: Outcome<Reading>): Verdict => {
      const { verdict, failure } = this.#judge(settled);
      const milliseconds = watched ? performance.now() - began : 0;
      const call = { name, where, verdict, failure, milliseconds };
      if (failure !== undefined) this.#logFailure(call);
      watcher?.called(call, event);
      if (observer) {
        observer.called({
          ...call,
          event,
          where: where(),
          edits: this.#edits?.compile() ?? [],
          ids: this.#ids(),
        });
      }
      return verdict;
    };
    return outcome instanceof Promise ? outcome.then(conclude) : conclude(outcome);
  }

  /** The verdict that an outcome comes to, and what was wrong with it, if anything. */
  #judge(outcome: Outcome<Reading>): { verdict: Verdict; failure?: string } {
    const { onError } = this.#settings;
    switch (outcome.kind) {
      case 'done': {
        const reading = outcome.value;
        if (reading.kind === 'verdict') return { verdict: reading.verdict };
        return { verdict: onErrorVerdict(onError), failure: reading.complaint };
      }
      case 'failed':
      case 'overBudget':
        return { verdict: onErrorVerdict(onError), failure: accountOf(outcome) };
      case 'cancelled':
        return { verdict: CONTINUE };
      default:
        return outcome satisfies never;
    }
  }

  #logFailure({ name, where, failure }: Call): void {
    const position = where();
    this.#settings.log.error(`${this.#ids()}: ${position === '' ? '' : `${position}: `}${name}: ${failure}`);
  }

  /** Postfix makes the queue id only after the first recipient. */
  #noteQueueId(): void {
    if (this.#queueId !== undefined || this.#transactionId === undefined) return;
    const id = this.#session.macros.get('i');
    if (id === undefined || id === '') return;
    this.#queueId = id;
    this.#table.setTransaction('queue_id', id);
  }

  #ids(): string {
    const id = this.#transactionId ?? this.#session.id;
    return this.#queueId === undefined ? id : `${id}: ${this.#queueId}`;
  }
}

/** Message and traceback of a failed callback, in one line. */
export function accountOf({
  message,
  traceback,
}: {
  readonly message: string;
  readonly traceback: string;
}): string {
  return traceback === '' ? message : `${message} (${traceback.trim().replace(/\s*\n\s*/g, ' < ')})`;
}

/** Whether the event is one of a message that MAIL has begun and that has not ended. */
function isOfMessage(event: PolicyEvent): boolean {
  switch (event.kind) {
    case 'mail':
    case 'rcpt':
    case 'data':
    case 'headers':
    case 'chunk':
    case 'endOfMessage':
      return true;
    default:
      return false;
  }
}

function then<T, R>(value: T | Promise<T>, next: (value: T) => R): R | Promise<R> {
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
