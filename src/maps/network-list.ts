/** A file of networks: one on a line, `192.0.2.0/24`, `2001:db8::/32` or an address. What follows a `#` is left out. */
import { Networks, parseNetwork, type Slices } from './networks.ts';
import { TableError } from './table.ts';

const LF = 10;
/** Lines between two yields. */
const BATCH = 1000;
/** No line with a network is longer. */
const LONGEST_LINE = 1000;
/** Of a line that is none, in a message. */
const LONGEST_SHOWN = 60;

/** Reads the bytes of such a file, in slices. @throws TableError */
export function* readNetworks(bytes: Buffer): Slices<Networks> {
  const networks = new Networks();
  let number = 0;
  for (let start = 0; start < bytes.length; ) {
    const lineEnd = bytes.indexOf(LF, start);
    const end = lineEnd < 0 ? bytes.length : lineEnd;
    number += 1;
    const line = bytes.toString('latin1', start, Math.min(end, start + LONGEST_LINE));
    const text = line.replace(/#.*/s, '').trim();
    if (text !== '') {
      const network = parseNetwork(text);
      if (network === undefined) {
        const shown = text.slice(0, LONGEST_SHOWN).replace(/[^ -~]/g, '?');
        throw new TableError(`no network: "${shown}"`, number);
      }
      networks.add(network);
    }
    start = end + 1;
    if (number % BATCH === 0) yield;
  }
  yield* networks.complete();
  return networks;
}
