/**
 * What the MTA must be asked to send, given the callbacks that a script defines: what nobody needs is negotiated away.
 */
import { SMFI, SMFIF } from '../milter/constants.ts';
import type { Needs } from '../milter/policy.ts';
import type { CallbackName } from './smtp/table.ts';

const DATA_NEEDS_OF_LATER: Record<'helo' | 'mail' | 'rcpt', readonly CallbackName[]> = {
  helo: ['mail', 'rcpt', 'data', 'headers', 'chunk', 'dot', 'unknown', 'rset', 'close'],
  mail: ['rcpt', 'data', 'headers', 'chunk', 'dot', 'unknown', 'rset'],
  rcpt: ['data', 'headers', 'chunk', 'dot', 'rset'],
};
/** Where a script may change the message. */
const MESSAGE_CALLBACKS: readonly CallbackName[] = ['mail', ...DATA_NEEDS_OF_LATER.mail];

/** Every change to a message that the protocol knows, as SMFIF_ bits. */
export const ALL_ACTIONS: number = SMFI.CURR_ACTS & ~SMFIF.SETSYMLIST;

/** Strings in a script that may lead to code which they do not show. */
const DOORS = ['require', 'dofile', 'loadfile', 'load', '_G'];

/**
 * What the MTA must send for these callbacks.
 *
 * @param names all strings that stand in the script
 * @param actions SMFIF_ bits of the changes the script may make
 */
export function needsOf(
  defined: ReadonlySet<CallbackName>,
  names: ReadonlySet<string> = new Set(),
  actions = ALL_ACTIONS,
): Needs {
  const either = (own: CallbackName, later: readonly CallbackName[]) =>
    defined.has(own) ? 'verdict' : later.some((name) => defined.has(name)) ? 'data' : 'none';
  const inMessage = MESSAGE_CALLBACKS.some((name) => defined.has(name));
  const usesHeaders = inMessage && ['header', ...DOORS].some((name) => names.has(name));
  return {
    connect: defined.has('connect') ? 'verdict' : defined.size > 0 ? 'data' : 'none',
    helo: either('helo', DATA_NEEDS_OF_LATER.helo),
    // Sendmail sends no ABORT for RSET unless the filter has answered MAIL, and smtp.rset must not come late.
    mail: defined.has('rset') ? 'verdict' : either('mail', DATA_NEEDS_OF_LATER.mail),
    rcpt: either('rcpt', DATA_NEEDS_OF_LATER.rcpt),
    data: defined.has('data') ? 'verdict' : 'none',
    headers: usesHeaders && !defined.has('headers') ? 'data' : either('headers', ['chunk', 'dot']),
    body: either('chunk', ['dot']),
    unknown: defined.has('unknown') ? 'verdict' : 'none',
    actions: inMessage ? actions : 0,
    symbols: [],
  };
}
