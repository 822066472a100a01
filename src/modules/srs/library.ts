/** The module `srs`: senders rewritten so that mail may be passed on. */
import { lua } from '../../lua/engine/engine.ts';
import { signingDomain } from '../../mail-auth/dkim-sign.ts';
import { complain } from '../../message/edit-link.ts';
import { checkText } from '../arguments.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import { changing, undoing } from '../own-address.ts';
import { domainComplaint, type srsApi } from './api.ts';

const MAX_DOMAIN = 1000;

export function openSrs({ senders }: ServicesOf<typeof srsApi>): FunctionsOf<typeof srsApi> {
  return {
    forward: changing((address, L) => {
      if (lua.lua_isnoneornil(L, 2)) return senders.forward(address, undefined);
      const text = Buffer.from(checkText(L, 2, MAX_DOMAIN), 'latin1').toString();
      const complaint = domainComplaint(text);
      return complaint === undefined
        ? senders.forward(address, signingDomain(text))
        : complain(L, 2, complaint);
    }),
    reverse: undoing((address) => senders.reverse(address)),
  };
}
