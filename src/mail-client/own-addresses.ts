/** Addresses of this mail server itself: nothing here connects to them. */
import { lookup as lookupName } from 'node:dns/promises';
import { BlockList, isIP, type LookupFunction } from 'node:net';

export interface OwnNetwork {
  readonly address: string;
  readonly bits: number;
}

/** The code of an error of a look-up that found only addresses of ours. */
export const OURS = 'ERR_OUR_ADDRESS';

export class OwnAddresses {
  readonly #own = new BlockList();

  constructor(own: readonly OwnNetwork[]) {
    for (const { address, bits } of own) this.#own.addSubnet(address, bits, kindOf(address));
  }

  /** @param host an address; of a name nothing is known before it is looked up */
  has(host: string): boolean {
    return isIP(host) !== 0 && this.#own.check(host, kindOf(host));
  }

  /** Where a name leads to, without addresses of ours: it cannot mean something else when the connection is made. */
  readonly lookup: LookupFunction = (host, options, callback) => {
    lookupName(host, { all: true }).then(
      (found) => {
        const others = found.filter(({ address }) => !this.has(address));
        const [first] = others;
        if (first === undefined) {
          const error = Object.assign(new Error('that is this server'), { code: OURS });
          callback(error, '', 0);
        } else if (options.all) callback(null, others);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, '', 0),
    );
  };
}

const kindOf = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4');
