/**
 * A policy that is a Lua script: events become callbacks, results become verdicts.
 *
 * One object, and one Lua context, serves one SMTP session.
 */
import type { LuaState } from 'fengari';
import type { Needs, Policy, PolicyEvent, SessionInfo, Verdict } from '../milter/policy.ts';
import type { LuaContext, Outcome } from './context.ts';
import { ascii, bytesOf, lua } from './engine.ts';
import type { CallbackName, FieldValue, SmtpTable } from './smtp/table.ts';
import { type Reading, readVerdict } from './smtp/verdict.ts';

/** What is done about mail when the script fails. */
export type OnError = 'continue' | 'tempfail' | 'reject' | 'accept';

/** The part of the program's log in use. Text is latin1. */
export interface PolicyLog {
  error(text: string): void;
  warning(text: string): void;
  info(text: string): void;
  debug(text: string): void;
}

/** A message on disk, for do_dot; see message-file.ts. */
export interface MessageStore {
  readonly path: string;
  append(bytes: Buffer): void | Promise<void>;
  finish(): void | Promise<void>;
  remove(): void;
}

export interface PolicySettings {
  readonly onError: OnError;
  readonly log: PolicyLog;
  readonly createMessageFile: () => MessageStore;
  /** Time until a callback must have ended, in milliseconds; at end of message, where the MTA can be told to wait. */
  readonly deadlineMs: number;
  readonly endOfMessageDeadlineMs: number;
}

const CONTINUE: Verdict = { kind: 'continue' };

const DATA_NEEDS_OF_LATER: Record<'helo' | 'mail' | 'rcpt', readonly CallbackName[]> = {
  helo: ['mail', 'rcpt', 'data', 'headers', 'chunk', 'dot', 'unknown', 'rset', 'close'],
  mail: ['rcpt', 'data', 'headers', 'chunk', 'dot', 'unknown', 'rset'],
  rcpt: ['data', 'headers', 'chunk', 'dot', 'rset'],
};

/** What the MTA must send for these callbacks. */
export function needsOf(defined: ReadonlySet<CallbackName>): Needs {
  const either = (own: CallbackName, later: readonly CallbackName[]) =>
    defined.has(own) ? 'verdict' : later.some((name) => defined.has(name)) ? 'data' : 'none';
  return {
    connect: defined.has('connect') ? 'verdict' : defined.size > 0 ? 'data' : 'none',
    helo: either('helo', DATA_NEEDS_OF_LATER.helo),
    // Sendmail sends no ABORT for RSET unless the filter has answered MAIL, and smtp.rset must not come late.
    mail: defined.has('rset') ? 'verdict' : either('mail', DATA_NEEDS_OF_LATER.mail),
    rcpt: either('rcpt', DATA_NEEDS_OF_LATER.rcpt),
    data: defined.has('data') ? 'verdict' : 'none',
    headers: either('headers', ['chunk', 'dot']),
    body: either('chunk', ['dot']),
    unknown: defined.has('unknown') ? 'verdict' : 'none',
    actions: 0,
    symbols: [],
  };
}

export function onErrorVerdict(onError: OnError): Verdict {
  return { kind: onError };
}

/** One address in plain text; the empty string where the MTA knows none. */
function addressOf(client: Extract<PolicyEvent, { kind: 'connect' }>['client']): string {
  switch (client.family) {
    case 'unknown':
      return '';
    case 'unix':
      return client.path;
    default:
      return client.address;
  }
}

export class LuaPolicy implements Policy {
  readonly needs: Needs;
  readonly #context: LuaContext;
  readonly #session: SessionInfo;
  readonly #settings: PolicySettings;
  readonly #table: SmtpTable;
  #transactions = 0;
  #transactionId: string | undefined;
  #queueId: string | undefined;
  #file: MessageStore | undefined;

  /** `context` has run the script's main chunk. */
  constructor(
    context: LuaContext,
    table: SmtpTable,
    needs: Needs,
    session: SessionInfo,
    settings: PolicySettings,
  ) {
    this.#context = context;
    this.#table = table;
    this.needs = needs;
    this.#session = session;
    this.#settings = settings;
  }

  handle(event: PolicyEvent): Verdict | Promise<Verdict> {
    if (!this.#context.usable) return this.#withoutScript(event);
    switch (event.kind) {
      case 'connect':
        return this.#connect(event);
      case 'helo':
        this.#table.setSession('helo', event.name);
        return this.#call('helo', (L) => pushText(L, event.name));
      case 'mail':
        this.#beginTransaction(event.address);
        return this.#call('mail', (L) => pushText(L, event.address) + pushParams(L, event.params));
      case 'rcpt':
        return this.#call('rcpt', (L) => pushText(L, event.address) + pushParams(L, event.params));
      case 'data':
        return this.#call('data', () => 0);
      case 'headers':
        return this.#headers(event.lines);
      case 'chunk':
        return this.#chunk(event.bytes);
      case 'endOfMessage':
        return this.#endOfMessage();
      case 'unknown':
        return this.#call('unknown', (L) => pushText(L, event.line));
      case 'reset':
        return then(
          this.#call('rset', () => 0),
          () => this.#endTransaction(),
        );
      case 'close':
        return this.#call('close', () => 0);
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

  /** The script has been ended for good in this session: what remains is the configured action, at each MAIL. */
  #withoutScript(event: PolicyEvent): Verdict {
    if (event.kind === 'reset') this.#endTransaction();
    return event.kind === 'mail' || event.kind === 'endOfMessage'
      ? onErrorVerdict(this.#settings.onError)
      : CONTINUE;
  }

  #connect(event: Extract<PolicyEvent, { kind: 'connect' }>): Verdict | Promise<Verdict> {
    const ip = addressOf(event.client);
    const ptr = event.hostname.startsWith('[') ? '' : event.hostname;
    this.#table.setSession('ip', ip);
    this.#table.setSession('ptr', ptr);
    return this.#call('connect', (L) => pushText(L, ip) + pushText(L, ptr));
  }

  #beginTransaction(sender: string): void {
    this.#transactions += 1;
    this.#transactionId = `${this.#session.id}.${this.#transactions}`;
    this.#table.setTransaction('id', this.#transactionId);
    this.#table.setTransaction('sender', sender);
  }

  #endTransaction(): Verdict {
    this.#file?.remove();
    this.#file = undefined;
    this.#transactionId = undefined;
    this.#queueId = undefined;
    for (const field of ['id', 'sender', 'queue_id']) this.#table.setTransaction(field, undefined);
    return CONTINUE;
  }

  #headers(lines: readonly string[]): Verdict | Promise<Verdict> {
    if (this.needs.body !== 'none' && this.#table.spellings('dot').length > 0) {
      this.#file = this.#settings.createMessageFile();
      const head = lines.length > 0 ? `${lines.join('\r\n')}\r\n\r\n` : '\r\n';
      this.#file.append(Buffer.from(head, 'latin1'));
    }
    return this.#call('headers', (L) => pushLines(L, lines));
  }

  #chunk(bytes: Buffer): Verdict | Promise<Verdict> {
    const written = this.#file?.append(bytes);
    if (written) return written.then(() => this.#callChunk(bytes));
    return this.#callChunk(bytes);
  }

  #callChunk(bytes: Buffer): Verdict | Promise<Verdict> {
    return this.#call('chunk', (L) => {
      lua.lua_pushstring(L, bytes);
      lua.lua_pushinteger(L, bytes.length);
      return 2;
    });
  }

  #endOfMessage(): Verdict | Promise<Verdict> {
    const file = this.#file;
    if (!file) return CONTINUE;
    const failed = (error: unknown): Verdict => {
      const reason = error instanceof Error ? error.message : String(error);
      this.#settings.log.error(`${this.#ids()}: message file: ${reason}`);
      return onErrorVerdict(this.#settings.onError);
    };
    const callDot = () =>
      then(
        this.#call('dot', (L) => pushText(L, file.path)),
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

  /** Runs a callback, if the script defines it; `push` puts the arguments on the stack and returns their number. */
  #call(callback: CallbackName, push: (L: LuaState) => number): Verdict | Promise<Verdict> {
    this.#noteQueueId();
    const name = this.#table.findCallback(callback);
    if (name === undefined) return CONTINUE;
    const { deadlineMs, endOfMessageDeadlineMs } = this.#settings;
    const outcome = this.#context.call(
      (L) => {
        this.#table.takeCallback(L);
        return push(L);
      },
      readVerdict,
      { deadlineMs: callback === 'dot' ? endOfMessageDeadlineMs : deadlineMs },
    );
    const conclude = (settled: Outcome<Reading>) => this.#conclude(`smtp.${name}`, settled);
    return outcome instanceof Promise ? outcome.then(conclude) : conclude(outcome);
  }

  #conclude(name: string, outcome: Outcome<Reading>): Verdict {
    const { log, onError } = this.#settings;
    switch (outcome.kind) {
      case 'done': {
        if (outcome.value.kind === 'wrong') {
          log.error(`${this.#ids()}: ${name} ${outcome.value.complaint}`);
          return onErrorVerdict(onError);
        }
        return this.#log(name, outcome.value.verdict);
      }
      case 'failed':
      case 'overBudget':
        log.error(`${this.#ids()}: ${name}: ${accountOf(outcome)}`);
        return onErrorVerdict(onError);
      case 'cancelled':
        log.debug(`${this.#ids()}: ${name} cancelled`);
        return CONTINUE;
      default:
        return outcome satisfies never;
    }
  }

  #log(name: string, verdict: Verdict): Verdict {
    if (verdict.kind !== 'continue') {
      const what = verdict.kind === 'reply' ? `${verdict.code} ${verdict.lines.join(' / ')}` : verdict.kind;
      this.#settings.log.info(`${this.#ids()}: ${name}: ${what} (script ${this.#context.script.hash})`);
    }
    return verdict;
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

function then<T, R>(value: T | Promise<T>, next: (value: T) => R): R | Promise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

function pushText(L: LuaState, latin1: FieldValue & string): number {
  lua.lua_pushstring(L, bytesOf(latin1));
  return 1;
}

function pushLines(L: LuaState, lines: readonly string[]): number {
  lua.lua_createtable(L, lines.length, 0);
  for (let i = 0; i < lines.length; i++) {
    lua.lua_pushstring(L, bytesOf(lines[i] ?? ''));
    lua.lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/** An array of the parameters as sent, and each value by its name in upper case: `params.SIZE`. */
function pushParams(L: LuaState, params: readonly string[]): number {
  pushLines(L, params);
  for (const param of params) {
    const equals = param.indexOf('=');
    const name = equals < 0 ? param : param.slice(0, equals);
    // ASCII letters only: toUpperCase() makes two letters of some latin1 ones.
    lua.lua_pushstring(L, bytesOf(name.replace(/[a-z]+/g, (letters) => letters.toUpperCase())));
    lua.lua_pushstring(L, equals < 0 ? ascii('') : bytesOf(param.slice(equals + 1)));
    lua.lua_rawset(L, -3);
  }
  return 1;
}
