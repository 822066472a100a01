/**
 * The sessions of a test in Lua: `test.session{...}` and the methods of what it returns.
 *
 * A session is a table with `greeting` and, where its HELO was named, `helo_reply`; JavaScript knows it by its identity.
 */
import type { LuaFunction, LuaState } from 'fengari';
import { ascii, lauxlib, lua } from '../lua/engine/engine.ts';
import { hostOf } from '../lua/engine/host.ts';
import { type Plain, pushPlain } from '../lua/engine/plain.ts';
import { argumentError, pushLibrary, raise } from '../lua/lib/arguments.ts';
import { mailboxOf } from '../milter/envelope-address.ts';
import type { Modification } from '../milter/reply.ts';
import { inOneLine } from '../policy/failure.ts';
import { replyLines } from '../workbench/client-reply.ts';
import type { Delivery } from '../workbench/imitated-mta.ts';
import { checkAddress, checkMessage, checkParams, checkSession, checkText } from './session-arguments.ts';
import type { TestHarness } from './test-harness.ts';
import type { StepResult, TestSession } from './test-session.ts';

/** Name of the metatable of sessions. */
const SESSION = 'test.session';

/** Makes `test.session`, and the metatable that it needs in the state of L. */
export function openSessions(L: LuaState, harness: () => TestHarness): LuaFunction {
  const sessions = new WeakMap<object, TestSession>();

  function check(L: LuaState): TestSession {
    const table = lua.lua_istable(L, 1) ? lua.lua_topointer(L, 1) : undefined;
    const session = typeof table === 'object' && table !== null ? sessions.get(table) : undefined;
    return session ?? argumentError(L, 1, 'session expected: write s:mail(...), not s.mail(...)');
  }

  /** A method that says something to the server. */
  function command(read: (L: LuaState, session: TestSession) => () => Promise<StepResult>): LuaFunction {
    return (L) => {
      const session = check(L);
      if (session.over !== undefined) return raise(L, session.over);
      const say = read(L, session);
      // Not at once: what the server does then is no work of the test's.
      return hostOf(L).wait(L, () => Promise.resolve().then(say), pushResult);
    };
  }

  const methods: Record<string, LuaFunction> = {
    helo: command((L, session) => {
      const name = checkText(L, 2);
      return () => session.helo(name);
    }),
    mail: command((L, session) => {
      const address = checkAddress(L, 2);
      const params = checkParams(L, 3);
      return () => session.mail(address, params);
    }),
    rcpt: command((L, session) => {
      const address = checkAddress(L, 2);
      const params = checkParams(L, 3);
      return () => session.rcpt(address, params);
    }),
    data: command((_L, session) => () => session.data()),
    message: command((L, session) => {
      const bytes = checkMessage(L, 2);
      return () => session.message(bytes);
    }),
    rset: command((_L, session) => () => session.rset()),
    unknown: command((L, session) => {
      const line = checkText(L, 2);
      return () => session.unknown(line);
    }),
    starttls: command((L, session) => {
      const version = lua.lua_isnoneornil(L, 2) ? 'TLSv1.3' : checkText(L, 2);
      return () => session.startTls(version);
    }),
    auth: command((L, session) => {
      const user = checkText(L, 2);
      const mech = lua.lua_isnoneornil(L, 3) ? 'PLAIN' : checkText(L, 3);
      return () => session.login(user, mech);
    }),
    quit: command((_L, session) => () => session.quit()),
    drop: (L) => {
      const session = check(L);
      return hostOf(L).wait(
        L,
        () => session.drop(),
        () => 0,
      );
    },
    edits: (L) => give(L, check(L).edits.map(plainEdit)),
    delivered: (L) => give(L, plainDelivery(check(L).delivery)),
    log: (L) => give(L, check(L).logged),
    calls: (L) =>
      give(
        L,
        check(L).calls.map(({ name, where, verdict, failure, cpuMilliseconds, wallMilliseconds }) => ({
          name,
          where,
          result: verdict.kind,
          code: verdict.kind === 'reply' ? verdict.code : undefined,
          text: verdict.kind === 'reply' ? verdict.lines.join('\n') : undefined,
          failure: failure && inOneLine(failure),
          cpu_milliseconds: cpuMilliseconds,
          wall_milliseconds: wallMilliseconds,
        })),
      ),
  };

  lauxlib.luaL_newmetatable(L, ascii(SESSION));
  pushLibrary(L, methods);
  lua.lua_setfield(L, -2, ascii('__index'));
  lua.lua_pop(L, 1);

  return (L) => {
    const { helo, ...spec } = checkSession(L);
    if (!harness().inCase) return raise(L, 'test.session: only in a test.case');
    return hostOf(L).wait(
      L,
      async () => {
        await Promise.resolve(); // What the server does is no work of the test's.
        const session = harness().openSession(spec);
        const greeting = await session.connect();
        const heloReply =
          helo === undefined || session.over !== undefined ? undefined : await session.helo(helo);
        return { session, greeting, heloReply };
      },
      (to, { session, greeting, heloReply }) => {
        pushPlain(to, { greeting: plainResult(greeting), helo_reply: heloReply && plainResult(heloReply) });
        const table = lua.lua_topointer(to, -1);
        if (typeof table === 'object' && table !== null) sessions.set(table, session);
        lauxlib.luaL_setmetatable(to, ascii(SESSION));
        return 1;
      },
    );
  };
}

function give(L: LuaState, value: Plain): number {
  pushPlain(L, value);
  return 1;
}

function pushResult(L: LuaState, result: StepResult): number {
  return give(L, plainResult(result));
}

function plainResult({ command, reply, action, call, failures, edits, notes }: StepResult): Plain {
  return {
    command,
    code: reply.code,
    enhanced: reply.enhanced,
    text: reply.lines.join('\n'),
    lines: replyLines(reply),
    action,
    callback: call?.name,
    where: call?.where,
    failed: failures.length > 0 ? failures : undefined,
    edits: edits.map(plainEdit),
    notes,
  };
}

/** In the words of the Lua API: addresses without angle brackets, values without the space after the colon. */
function plainEdit(edit: Modification): { readonly [key: string]: Plain } {
  switch (edit.kind) {
    case 'addHeader':
      return { kind: 'add_header', name: edit.name, value: unspaced(edit.value) };
    case 'insertHeader':
      return { kind: 'insert_header', index: edit.index, name: edit.name, value: unspaced(edit.value) };
    case 'changeHeader':
      return edit.value === ''
        ? { kind: 'delete_header', index: edit.index, name: edit.name }
        : { kind: 'change_header', index: edit.index, name: edit.name, value: unspaced(edit.value) };
    case 'addRecipient':
      return { kind: 'add_rcpt', address: mailboxOf(edit.address), params: edit.params };
    case 'deleteRecipient':
      return { kind: 'del_rcpt', address: mailboxOf(edit.address) };
    case 'changeSender':
      return { kind: 'set_sender', address: mailboxOf(edit.address), params: edit.params };
    case 'replaceBody':
      return { kind: 'replace_body', body: edit.bytes.toString('latin1') };
    case 'quarantine':
      return { kind: 'quarantine', reason: edit.reason };
    default:
      return edit satisfies never;
  }
}

function unspaced(value: string): string {
  return value.replace(/^ /, '');
}

/** nil where nobody gets the message. */
function plainDelivery(delivery: Delivery | undefined): Plain {
  if (delivery === undefined || delivery.action === 'discarded') return undefined;
  const { action, reason, envelope, message } = delivery;
  // A header may be called __proto__.
  const headers: Record<string, Plain> = Object.create(null);
  for (const { name, value } of message.headers) headers[name.toLowerCase()] ??= unspaced(value);
  return {
    action,
    reason,
    sender: envelope.sender,
    sender_params: envelope.senderParams,
    recipients: envelope.recipients.map(({ address }) => address),
    headers: message.headers.map(({ name, value }) => `${name}:${value}`),
    header: headers,
    body: message.body.toString('latin1'),
  };
}
