/**
 * What the MTA must be asked to send, given the callbacks that a script defines: what nobody needs is negotiated away.
 */
import { ALL_ACTIONS } from '../milter/modifications.ts';
import type { Interest, Interests } from '../milter/policy.ts';
import type { CallbackName } from '../modules/smtp/callbacks.ts';
import { stronger, wantsOf } from '../modules/uses.ts';

const DATA_NEEDS_OF_LATER: Record<'helo' | 'mail' | 'rcpt', readonly CallbackName[]> = {
  helo: ['mail', 'rcpt', 'data', 'headers', 'chunk', 'dot', 'unknown', 'rset', 'close'],
  mail: ['rcpt', 'data', 'headers', 'chunk', 'dot', 'unknown', 'rset'],
  rcpt: ['data', 'headers', 'chunk', 'dot', 'rset'],
};
/** Where a script may change the message. */
const MESSAGE_CALLBACKS: readonly CallbackName[] = ['mail', ...DATA_NEEDS_OF_LATER.mail];

/**
 * What the MTA must send for these callbacks.
 *
 * @param names all strings that stand in the script
 * @param actions SMFIF_ bits of the changes the script may make
 */
export function interestsOf(
  defined: ReadonlySet<CallbackName>,
  names: ReadonlySet<string> = new Set(),
  actions = ALL_ACTIONS,
): Interests {
  const either = (own: CallbackName, later: readonly CallbackName[]): Interest =>
    defined.has(own) ? 'verdict' : later.some((name) => defined.has(name)) ? 'data' : 'none';
  const inMessage = MESSAGE_CALLBACKS.some((name) => defined.has(name));
  const wants = inMessage ? wantsOf(names) : {};
  const wanted = (event: keyof typeof wants, interest: Interest): Interest =>
    stronger(wants[event] ?? 'none', interest);
  return {
    connect: defined.has('connect') ? 'verdict' : defined.size > 0 ? 'data' : 'none',
    helo: wanted('helo', either('helo', DATA_NEEDS_OF_LATER.helo)),
    // Sendmail sends no ABORT for RSET unless the filter has answered MAIL, and smtp.rset must not come late.
    mail: defined.has('rset') ? 'verdict' : wanted('mail', either('mail', DATA_NEEDS_OF_LATER.mail)),
    rcpt: wanted('rcpt', either('rcpt', DATA_NEEDS_OF_LATER.rcpt)),
    data: wanted('data', defined.has('data') ? 'verdict' : 'none'),
    headers: wanted('headers', either('headers', ['chunk', 'dot'])),
    body: wanted('body', either('chunk', ['dot'])),
    unknown: defined.has('unknown') ? 'verdict' : 'none',
    actions: inMessage ? actions : 0,
    symbols: [],
  };
}
