/** What two policies need of one MTA. */
import type { Interest, Interests } from '../milter/policy.ts';
import type { SymbolList } from '../milter/reply.ts';
import { stronger } from '../modules/uses.ts';

/** What was made last: sessions of one server need the same again and again, and share the object. */
let last: { readonly one: Interests; readonly other: Interests; readonly both: Interests } | undefined;

/** What is needed so that either of them may decide. */
export function bothInterests(one: Interests, other: Interests): Interests {
  if (last?.one !== one || last.other !== other) last = { one, other, both: join(one, other) };
  return last.both;
}

/** What is needed to tell somebody of all that a policy is told, who decides nothing. */
export function toldInterests(interests: Interests): Interests {
  const told = (interest: Interest): Interest => (interest === 'none' ? 'none' : 'data');
  const { connect, helo, mail, rcpt, data, headers, body, unknown, symbols } = interests;
  return {
    connect: told(connect),
    helo: told(helo),
    mail: told(mail),
    rcpt: told(rcpt),
    data: told(data),
    headers: told(headers),
    body: told(body),
    unknown: told(unknown),
    actions: 0,
    symbols,
  };
}

function join(one: Interests, other: Interests): Interests {
  return {
    connect: stronger(one.connect, other.connect),
    helo: stronger(one.helo, other.helo),
    mail: stronger(one.mail, other.mail),
    rcpt: stronger(one.rcpt, other.rcpt),
    data: stronger(one.data, other.data),
    headers: stronger(one.headers, other.headers),
    body: stronger(one.body, other.body),
    unknown: stronger(one.unknown, other.unknown),
    actions: one.actions | other.actions,
    symbols: joinedLists(one.symbols, other.symbols),
  };
}

/** A list holds what the MTA sends unasked too: one policy without a list gets no less by that of the other. */
function joinedLists(one: readonly SymbolList[], other: readonly SymbolList[]): readonly SymbolList[] {
  if (one.length === 0 || other.length === 0) return one.length === 0 ? other : one;
  const lists = new Map(one.map(({ stage, names }) => [stage, names]));
  for (const { stage, names } of other)
    lists.set(stage, [...new Set([...(lists.get(stage) ?? []), ...names])]);
  return [...lists].map(([stage, names]) => ({ stage, names }));
}
