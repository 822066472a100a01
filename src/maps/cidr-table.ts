/** Postfix's `cidr:` tables (cidr_table(5)): the first network that an address is in. */
import { Rules } from './conditions.ts';
import { addressBytes, hasHostBits, type Network, Networks, parseNetwork } from './networks.ts';
import { eachTableLine, isSpace, type Table, TableError, trimmed } from './table.ts';

interface CidrTest {
  readonly line: number;
  matches(address: Uint8Array): boolean;
}

export class CidrTable implements Table {
  /** Where every line is a plain network. */
  readonly #networks: Networks;
  readonly #values: readonly string[];
  /** Where there are conditions or negations. */
  readonly #rules: Rules<Uint8Array, string> | undefined;
  readonly entries: number;

  private constructor(
    networks: Networks,
    values: readonly string[],
    rules: Rules<Uint8Array, string> | undefined,
  ) {
    this.#networks = networks;
    this.#values = values;
    this.#rules = rules;
    this.entries = values.length;
  }

  /** Reads a table, in slices. @throws TableError */
  static *read(bytes: Buffer): Generator<void, CidrTable, void> {
    const networks = new Networks();
    const values: string[] = [];
    // Values are few, whatever the number of lines.
    const known = new Map<string, string>();
    const rules = new Rules<Uint8Array, string>();
    let isPlain = true;
    const lines: { readonly test: CidrTest; readonly value: string }[] = [];
    yield* eachTableLine(bytes, (start, end, number, joined) => {
      const text = joined ?? bytes.toString('latin1', start, end);
      if (/^endif(?:[ \t-\r]|$)/i.test(text)) {
        for (const { test, value } of lines.splice(0)) rules.add(test, value);
        rules.end(number);
        isPlain = false;
        return;
      }
      const isCondition = /^if(?=[ \t-\r!])/i.test(text);
      const { pattern, isNegated, rest } = splitRule(isCondition ? text.slice(2) : text);
      const network = networkOf(pattern, number);
      if (!isCondition && rest === '') throw new TableError(`no value behind ${pattern}`, number);
      const value = known.get(rest) ?? rest;
      known.set(value, value);
      if (isCondition || isNegated) isPlain = false;
      if (isPlain) networks.add(network);
      values.push(value);
      const test = new NetworkTest(number, network, isNegated);
      if (isPlain) {
        // Kept only until it is known that all lines are like this: a million of them are small.
        if (values.length <= MOST_RULES) lines.push({ test, value });
        return;
      }
      if (values.length > MOST_RULES)
        throw new TableError(`more than ${MOST_RULES} lines in a table with conditions`, number);
      for (const line of lines.splice(0)) rules.add(line.test, line.value);
      if (!isCondition) rules.add(test, value);
      else rules.begin(test);
    });
    rules.complete();
    yield* networks.complete();
    return new CidrTable(networks, values, isPlain ? undefined : rules);
  }

  get(key: string): string | undefined {
    const address = addressBytes(key);
    if (address === undefined) return undefined;
    if (this.#rules === undefined) {
      const first = this.#networks.first(address);
      return first < 0 ? undefined : this.#values[first];
    }
    const steps = this.#rules.matching(address);
    for (;;) {
      const { value, done } = steps.next();
      if (done) return value?.value;
    }
  }
}

/** `!192.0.2.0/24 value` */
function splitRule(text: string): { pattern: string; isNegated: boolean; rest: string } {
  let start = 0;
  let isNegated = false;
  for (; isSpace(text.charCodeAt(start)) || text[start] === '!'; start++) {
    if (text[start] === '!') isNegated = !isNegated;
  }
  let end = start;
  while (end < text.length && !isSpace(text.charCodeAt(end))) end += 1;
  return { pattern: text.slice(start, end), isNegated, rest: trimmed(text.slice(end)) };
}

/** Lines of a table whose lines are tried one after the other. */
const MOST_RULES = 10_000;

function networkOf(pattern: string, line: number): Network {
  const network = parseNetwork(pattern);
  if (network === undefined) throw new TableError(`${pattern} is no network`, line);
  if (hasHostBits(network)) throw new TableError(`${pattern} has bits behind its prefix`, line);
  return network;
}

class NetworkTest implements CidrTest {
  readonly line: number;
  readonly #network: Network;
  readonly #isNegated: boolean;

  constructor(line: number, network: Network, isNegated: boolean) {
    this.line = line;
    this.#network = network;
    this.#isNegated = isNegated;
  }

  matches(address: Uint8Array): boolean {
    const { bytes, bits } = this.#network;
    // An address of the other family is neither inside nor outside.
    if (address.length !== bytes.length) return false;
    let isInside = true;
    for (let at = 0; isInside && at < bits; at += 8) {
      const shift = Math.max(0, at + 8 - bits);
      isInside = (address[at / 8] ?? 0) >> shift === (bytes[at / 8] ?? 0) >> shift;
    }
    return isInside !== this.#isNegated;
  }
}
