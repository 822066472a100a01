/** Addresses of this mail server itself, and where this program listens: nothing here connects to them. */
import { lookup as lookupName } from 'node:dns/promises';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { networkInterfaces } from 'node:os';

export interface OwnNetwork {
  readonly address: string;
  readonly bits: number;
}

/** Where this program listens. */
export interface OwnPlace {
  /** `0.0.0.0` and `::` are every address of the machine. */
  readonly address: string;
  readonly port: number;
}

/** The code of an error of a look-up that found only addresses of ours. */
export const OURS = 'ERR_OUR_ADDRESS';

export class OwnAddresses {
  readonly #own = new BlockList();
  readonly #listening: () => readonly OwnPlace[];

  /** @param own networks, at any port @param listening where this program listens at the moment */
  constructor(own: readonly OwnNetwork[], listening: () => readonly OwnPlace[] = () => []) {
    for (const { address, bits } of own) this.#own.addSubnet(address, bits, kindOf(address));
    this.#listening = listening;
  }

  /** @param host an address; of a name nothing is known before it is looked up */
  has(host: string, port: number): boolean {
    if (isIP(host) === 0) return false;
    if (this.#own.check(host, kindOf(host))) return true;
    return this.#listening().some((place) => place.port === port && leadsTo(place.address, host));
  }

  /** Where a name leads to, without addresses of ours: it cannot mean something else when the connection is made. */
  lookup(port: number): LookupFunction {
    return (host, options, callback) => {
      lookupName(host, { all: true }).then(
        (found) => {
          const others = found.filter(({ address }) => !this.has(address, port));
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
}

const kindOf = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** Whether a connection to `host` meets a socket that is bound to an address, whatever way the address is written. */
function leadsTo(bound: string, host: string): boolean {
  const reached = new BlockList();
  const add = (address: string) => reached.addAddress(address, kindOf(address));
  // Who connects to no address at all meets this machine.
  const loopback = ['127.0.0.1', '::1', '0.0.0.0', '::'];
  if (bound === '0.0.0.0' || bound === '::') {
    reached.addSubnet('127.0.0.0', 8, 'ipv4');
    for (const address of loopback) add(address);
    for (const card of Object.values(networkInterfaces())) for (const { address } of card ?? []) add(address);
  } else {
    add(bound);
    if (loopback.includes(bound)) for (const address of ['0.0.0.0', '::']) add(address);
  }
  return reached.check(host, kindOf(host));
}
