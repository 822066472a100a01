/** The module `batv`: senders with a tag, by which a bounce shows that the message was ours. */
import type { FunctionsOf, ServicesOf } from '../module.ts';
import { changing, undoing } from '../own-address.ts';
import type { batvApi } from './api.ts';

export const openBatv = ({ senders }: ServicesOf<typeof batvApi>): FunctionsOf<typeof batvApi> => ({
  sign: changing((address) => senders.tag(address)),
  check: undoing((address) => senders.untag(address)),
});
