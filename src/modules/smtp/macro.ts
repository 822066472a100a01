/**
 * smtp.macro(): the macros the MTA has sent, and which ones to ask it for.
 */
import type { LuaState } from 'fengari';
import { latin1Of, lauxlib } from '../../lua/engine/engine.ts';
import { type Host, hostOf, PerState } from '../../lua/engine/host.ts';
import { pushOptional } from '../../lua/engine/values.ts';
import type { Interests, MacroReader } from '../../milter/policy.ts';
import type { SymbolList } from '../../milter/reply.ts';

const readers = new PerState<MacroReader>();

/** Says where the macros of a context come from. */
export function bindMacros(host: Host, reader: MacroReader): void {
  readers.set(host, reader);
}

/** smtp.macro(name): libmilter's smfi_getsymval(). */
export function macro(L: LuaState): number {
  const name = lauxlib.luaL_checkstring(L, 1);
  const known = name.length <= LONGEST_NAME ? readers.get(hostOf(L))?.get(latin1Of(name)) : undefined;
  pushOptional(L, known);
  return 1;
}

/** In bytes: more than names of macros have. */
const LONGEST_NAME = 1000;

type Stage = SymbolList['stage'];

/**
 * What the MTAs send unasked: a list of ours takes the place of the MTA's, so it must hold these too. Sendmail's
 * (cfhead.m4) and Postfix's (mail_params.h) together.
 */
const DEFAULT_LISTS: Readonly<Record<Stage, readonly string[]>> = {
  connect: ['j', '_', '{daemon_name}', '{daemon_addr}', '{if_name}', '{if_addr}', 'v'],
  helo: ['{tls_version}', '{cipher}', '{cipher_bits}', '{cert_subject}', '{cert_issuer}'],
  mail: [
    'i',
    '{auth_type}',
    '{auth_authen}',
    '{auth_ssf}',
    '{auth_author}',
    '{mail_mailer}',
    '{mail_host}',
    '{mail_addr}',
  ],
  rcpt: ['i', '{rcpt_mailer}', '{rcpt_host}', '{rcpt_addr}'],
  data: ['i'],
  endOfHeaders: ['i'],
  endOfMessage: ['i', '{msg_id}'],
};

const STAGES = ['connect', 'helo', 'mail', 'rcpt', 'data', 'endOfHeaders', 'endOfMessage'] as const;

/** Macros known to belong to one stage; others that a script names are asked for at MAIL. */
const STAGE_OF: Readonly<Record<string, Stage>> = {
  '{client_addr}': 'connect',
  '{client_name}': 'connect',
  '{client_port}': 'connect',
  '{client_ptr}': 'connect',
  '{client_connections}': 'connect',
  '{client_resolve}': 'connect',
  '{client_rate}': 'connect',
  '{daemon_port}': 'connect',
  '{daemon_family}': 'connect',
  '{daemon_flags}': 'connect',
  '{load_avg}': 'connect',
  b: 'connect',
  w: 'connect',
  m: 'connect',
  '{verify}': 'helo',
  '{cn_subject}': 'helo',
  '{cn_issuer}': 'helo',
  '{cert_md5}': 'helo',
  '{tls_sni}': 'helo',
  '{server_name}': 'helo',
  '{server_addr}': 'helo',
  '{nrcpts}': 'data',
  '{ntries}': 'mail',
  f: 'mail',
  s: 'mail',
  r: 'mail',
};

/** Sendmail takes at most 50 names a stage. */
const NAMES_A_STAGE = 50;

/** Stages whose macros say which mailbox the MTA understands by an address: asked for whatever its operator has set. */
const ADDRESS_STAGES = ['mail', 'rcpt'] as const;

/**
 * The lists to ask the MTA for, given all strings in a script and what it needs.
 *
 * Sendmail 8.17: the list for end of message counts only together with one for end of headers, so both go or neither.
 */
export function symbolListsFor(names: ReadonlySet<string>, interests: Interests): SymbolList[] {
  const wanted = new Map<Stage, string[]>();
  for (const stage of ADDRESS_STAGES) if (interests[stage] !== 'none') wanted.set(stage, []);
  for (const name of wantedMacros(names)) {
    const stage = STAGE_OF[name] ?? 'mail';
    wanted.set(stage, [...(wanted.get(stage) ?? []), name]);
  }
  return [...wanted].map(([stage, extra]) => ({
    stage,
    names: [...DEFAULT_LISTS[stage], ...extra].slice(0, NAMES_A_STAGE),
  }));
}

/**
 * At which stage the MTA is asked for a macro that a script reads by this name, or sends it unasked.
 * @returns `symbol` as sendmail.cf spells it; undefined where nobody asks for it by this name
 */
export function macroAskedFor(name: string): { readonly symbol?: string; readonly stage?: Stage } {
  for (const symbol of [name, `{${name}}`]) {
    const stage = STAGES.find((at) => DEFAULT_LISTS[at].includes(symbol));
    if (stage !== undefined) return { symbol, stage };
  }
  const symbol = symbolOf(name);
  return symbol === undefined ? {} : { symbol, stage: STAGE_OF[symbol] ?? 'mail' };
}

function wantedMacros(names: ReadonlySet<string>): Set<string> {
  const wanted = new Set<string>();
  // sess.tls.verified; Postfix sends the certificate's subject only when it trusts it.
  if (names.has('verified')) wanted.add('{verify}');
  if (names.has('macro')) {
    for (const text of names) {
      const name = symbolOf(text);
      if (name !== undefined) wanted.add(name);
    }
  }
  for (const list of Object.values(DEFAULT_LISTS)) for (const name of list) wanted.delete(name);
  return wanted;
}

/** The macro that a string in the script means, spelled as in sendmail.cf; undefined when it is none. */
function symbolOf(text: string): string | undefined {
  if (/^\{[a-z][a-z_]+\}$/.test(text)) return text;
  if (Object.hasOwn(STAGE_OF, text)) return text;
  return Object.hasOwn(STAGE_OF, `{${text}}`) ? `{${text}}` : undefined;
}
