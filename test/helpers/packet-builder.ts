/**
 * Milter packets as an MTA would build them, from the protocol's description alone.
 *
 * Imports nothing of src, so that the codec and its tests cannot be wrong together. Text is latin1.
 */

/** Bytes written as in a packet dump: `hex('00 00 00 01 63')`. */
export function hex(dump: string): Buffer {
  const digits = dump.replace(/\s/g, '');
  const bytes = Buffer.from(digits, 'hex');
  if (bytes.length * 2 !== digits.length) throw new Error(`not hex: ${dump}`);
  return bytes;
}

/** A whole packet: length, command byte, payload. A string part gets its NUL; bytes are taken as they are. */
export function packet(letter: string, ...parts: readonly (string | Buffer)[]): Buffer {
  const payload = Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`, 'latin1') : part)),
  );
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length + 1, 0);
  head.write(letter, 4, 'latin1');
  return Buffer.concat([head, payload]);
}

function u16(value: number): Buffer {
  return Buffer.from([value >>> 8, value & 0xff]);
}

export function u32(value: number): Buffer {
  return Buffer.from([value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]);
}

/** What an MTA says, one function per command. */
export const mta = {
  optneg: (version: number, actions: number, protocol: number): Buffer =>
    packet('O', u32(version), u32(actions), u32(protocol)),
  /** `letter` is the command the macros belong to; `strings` are name, value, name, value ... */
  macro: (letter: string, ...strings: readonly string[]): Buffer =>
    packet('D', Buffer.from(letter, 'latin1'), ...strings),
  connect: (hostname: string, family: '4' | '6' | 'L', port: number, address: string): Buffer =>
    packet('C', hostname, Buffer.from(family), u16(port), address),
  connectUnknown: (hostname: string): Buffer => packet('C', hostname, Buffer.from('U')),
  helo: (name: string): Buffer => packet('H', name),
  mail: (address: string, ...params: readonly string[]): Buffer => packet('M', address, ...params),
  rcpt: (address: string, ...params: readonly string[]): Buffer => packet('R', address, ...params),
  data: (): Buffer => packet('T'),
  header: (name: string, value: string): Buffer => packet('L', name, value),
  eoh: (): Buffer => packet('N'),
  body: (bytes: Buffer | string): Buffer =>
    packet('B', typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes),
  eom: (lastChunk: Buffer | string = ''): Buffer =>
    packet('E', typeof lastChunk === 'string' ? Buffer.from(lastChunk, 'latin1') : lastChunk),
  unknown: (line: string): Buffer => packet('U', line),
  abort: (): Buffer => packet('A'),
  quit: (): Buffer => packet('Q'),
  quitNc: (): Buffer => packet('K'),
} as const;

/** The same bytes in every way a socket may deliver them: whole, one by one, and in two parts cut at each place. */
export function* everyCut(bytes: Buffer): Generator<Buffer[]> {
  yield [bytes];
  yield Array.from(bytes, (_, index) => bytes.subarray(index, index + 1));
  for (let at = 1; at < bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)];
}
