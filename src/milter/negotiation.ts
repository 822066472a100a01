/**
 * Option negotiation: what the MTA offers and what the policy is interested in give what both keep to.
 *
 * Sources: libmilter/engine.c st_optionneg() for missing bits; Sendmail drops a filter that sets a protocol bit it did
 * not offer, Postfix one that asks for an action it did not offer, so the answer is always a subset of the offer.
 */
import type { NegotiateCommand } from './command.ts';
import { SMFIF, SMFIP } from './constants.ts';
import type { Interest, Interests } from './policy.ts';
import { ProtocolError } from './protocol-error.ts';
import type { SymbolList } from './reply.ts';

/** What holds for the rest of the milter connection, and the reply that says so. `actions` are SMFIF_ bits, `protocol` SMFIP_ bits. */
export interface Agreement {
  readonly kind: 'negotiate';
  readonly version: number;
  readonly actions: number;
  readonly protocol: number;
  readonly symbols: readonly SymbolList[];
}

const NEWEST_VERSION = 6;
const OLDEST_VERSION = 2;
/** SMFIC_DATA came with version 4; older MTAs go from RCPT straight to the headers. */
const FIRST_VERSION_WITH_DATA = 4;

/** What libmilter reads into an offer of 0: everything that version 1 of the protocol had. */
const VERSION_1_ACTIONS = 0x0f;
const VERSION_1_PROTOCOL = 0x3f;

/** Whether the MTA tells of the DATA command. */
export function hasDataEvent(agreement: Agreement): boolean {
  return agreement.version >= FIRST_VERSION_WITH_DATA;
}

/** The last one, which nearly always is the next one too. */
let last:
  | { readonly offer: NegotiateCommand; readonly interests: Interests; readonly agreement: Agreement }
  | undefined;

/**
 * The same object for the same offer and interests as the time before.
 * @throws ProtocolError when the MTA's version is older than any MTA alive speaks.
 */
export function negotiate(offer: NegotiateCommand, interests: Interests): Agreement {
  if (last?.offer === offer && last.interests === interests) return last.agreement;
  const agreement = agree(offer, interests);
  last = { offer, interests, agreement };
  return agreement;
}

function agree(offer: NegotiateCommand, interests: Interests): Agreement {
  if (offer.version < OLDEST_VERSION) {
    throw new ProtocolError(`negotiate: milter protocol version ${offer.version}`);
  }
  const version = Math.min(offer.version, NEWEST_VERSION);
  const offeredActions = offer.actions === 0 ? VERSION_1_ACTIONS : offer.actions;
  const offeredProtocol = offer.protocol === 0 ? VERSION_1_PROTOCOL : offer.protocol;

  const symbols = (offeredActions & SMFIF.SETSYMLIST) !== 0 ? interests.symbols : [];
  let actions = interests.actions & offeredActions & ~SMFIF.SETSYMLIST;
  if (symbols.length > 0) actions |= SMFIF.SETSYMLIST;

  const protocol = wishes(interests, version, offeredProtocol) & offeredProtocol;
  return { kind: 'negotiate', version, actions, protocol, symbols };
}

/** The protocol bits we would set had the MTA offered everything. */
function wishes(interests: Interests, version: number, offered: number): number {
  // Header values arrive whole only so; headers we add must then bring their own space after the colon.
  let bits: number = SMFIP.HDR_LEADSPC;

  const decline = (interest: Interest, no: number, noReply: number) => {
    if (interest === 'none') bits |= (offered & no) !== 0 ? no : noReply;
    else if (interest === 'data') bits |= noReply;
  };
  decline(interests.connect, SMFIP.NOCONNECT, SMFIP.NR_CONN);
  decline(interests.helo, SMFIP.NOHELO, SMFIP.NR_HELO);
  decline(interests.mail, SMFIP.NOMAIL, SMFIP.NR_MAIL);
  decline(interests.rcpt, SMFIP.NORCPT, SMFIP.NR_RCPT);
  decline(interests.data, SMFIP.NODATA, SMFIP.NR_DATA);
  decline(interests.unknown, SMFIP.NOUNKNOWN, SMFIP.NR_UNKN);

  // Both MTAs have the whole message before they show us any of it, and have no way to answer the SMTP client before
  // its end: a verdict on headers or body is held until then, which saves a round trip for each packet.
  bits |= SMFIP.NR_HDR | SMFIP.NR_BODY;
  if (interests.headers === 'none') bits |= SMFIP.NOHDRS;
  if (interests.body === 'none') bits |= SMFIP.NOBODY;
  // Where chunks are answered, the MTA can be told to stop sending them.
  else if ((offered & SMFIP.NR_BODY) === 0) bits |= SMFIP.SKIP;
  if (interests.data === 'verdict' && version < FIRST_VERSION_WITH_DATA) {
    // Asked at the first header or at the end of headers: one of these must come and take an answer.
    bits &= ~SMFIP.NR_HDR;
  } else {
    bits |= SMFIP.NR_EOH;
    if (interests.headers === 'none') bits |= SMFIP.NOEOH;
  }
  return bits;
}
