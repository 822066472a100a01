/**
 * What a filter says, as bytes.
 *
 * Layouts are exact: Postfix drops the connection over a missing NUL or a byte too many. Values are written as given,
 * header folds as LF: what a script may say is judged before, where the script's line is known. What could not be
 * written faithfully is a RangeError.
 */
import { ByteWriter } from './byte-writer.ts';
import { MILTER_CHUNK_SIZE, SMFIC, SMFIM, SMFIR } from './constants.ts';
import type { Modification, Reply, SymbolList } from './reply.ts';

const CONTINUE = emptyPacket(SMFIR.CONTINUE);
const ACCEPT = emptyPacket(SMFIR.ACCEPT);
const REJECT = emptyPacket(SMFIR.REJECT);
const TEMPFAIL = emptyPacket(SMFIR.TEMPFAIL);
const DISCARD = emptyPacket(SMFIR.DISCARD);
const SKIP = emptyPacket(SMFIR.SKIP);
const PROGRESS = emptyPacket(SMFIR.PROGRESS);

const STAGE_NUMBER: Readonly<Record<SymbolList['stage'], number>> = {
  connect: SMFIM.CONNECT,
  helo: SMFIM.HELO,
  mail: SMFIM.ENVFROM,
  rcpt: SMFIM.ENVRCPT,
  data: SMFIM.DATA,
  endOfMessage: SMFIM.EOM,
  endOfHeaders: SMFIM.EOH,
};

function emptyPacket(command: number): Buffer {
  return new ByteWriter('reply', command).packet();
}

/**
 * The packet for `reply`, the same Buffer for the same reply: never write into it.
 *
 * @throws RangeError when text holds a NUL or a character above 0xFF, a number is no unsigned 32-bit integer, a stage
 * has two symbol lists, or the payload is over 65535 bytes.
 */
export function encodeReply(reply: Reply): Buffer {
  if (reply.kind !== 'replyCode' && reply.kind !== 'negotiate') return encodePlain(reply);
  let packet = packets.get(reply);
  if (packet === undefined) {
    packet =
      reply.kind === 'negotiate'
        ? encodeNegotiate(reply)
        : new ByteWriter('replyCode', SMFIR.REPLYCODE).cString(reply.text).packet();
    packets.set(reply, packet);
  }
  return packet;
}

/** Of replies that are given more than once. */
const packets = new WeakMap<Reply, Buffer>();

function encodePlain(reply: Exclude<Reply, { readonly kind: 'replyCode' | 'negotiate' }>): Buffer {
  switch (reply.kind) {
    case 'continue':
      return CONTINUE;
    case 'accept':
      return ACCEPT;
    case 'reject':
      return REJECT;
    case 'tempfail':
      return TEMPFAIL;
    case 'discard':
      return DISCARD;
    case 'skip':
      return SKIP;
    case 'progress':
      return PROGRESS;
  }
  return reply satisfies never;
}

/** version:u32be actions:u32be protocol:u32be, then per stage: stage:u32be, names with spaces between, NUL. */
function encodeNegotiate(reply: Reply & { readonly kind: 'negotiate' }): Buffer {
  const writer = new ByteWriter('negotiate', SMFIC.OPTNEG);
  writer.fixed('>III', [reply.version, reply.actions, reply.protocol]);
  const lists = reply.symbols
    .map(({ stage, names }) => ({ stage, number: STAGE_NUMBER[stage], names }))
    .sort((a, b) => a.number - b.number);
  let before = -1;
  for (const { stage, number, names } of lists) {
    if (number === before) throw new RangeError(`negotiate: two symbol lists for ${stage}`);
    before = number;
    writer.fixed('>I', [number]).cString(names.join(' '));
  }
  return writer.packet();
}

/**
 * The packets for `modification` in their order: one, but for a body larger than a chunk. Nothing may be sent between
 * two packets of a body: Postfix takes anything else for the end of the new body.
 *
 * @throws RangeError as encodeReply does, and when a quarantine has no reason.
 */
export function encodeModification(modification: Modification): Buffer[] {
  const { kind } = modification;
  switch (kind) {
    case 'addRecipient':
      return [
        modification.params
          ? addressPacket(kind, SMFIR.ADDRCPT_PAR, modification.address, modification.params)
          : addressPacket(kind, SMFIR.ADDRCPT, modification.address),
      ];
    case 'deleteRecipient':
      return [new ByteWriter(kind, SMFIR.DELRCPT).cString(modification.address).packet()];
    case 'changeSender':
      return [addressPacket(kind, SMFIR.CHGFROM, modification.address, modification.params)];
    case 'addHeader':
      return [
        new ByteWriter(kind, SMFIR.ADDHEADER).cString(modification.name).cString(modification.value).packet(),
      ];
    case 'insertHeader':
      return [indexedHeaderPacket(kind, SMFIR.INSHEADER, modification)];
    case 'changeHeader':
      return [indexedHeaderPacket(kind, SMFIR.CHGHEADER, modification)];
    case 'replaceBody':
      return bodyPackets(modification.bytes);
    case 'quarantine':
      if (modification.reason === '') throw new RangeError('quarantine: no reason');
      return [new ByteWriter(kind, SMFIR.QUARANTINE).cString(modification.reason).packet()];
  }
  return kind satisfies never;
}

/** address NUL [ parameters NUL ]: no second string at all when there are no parameters. */
function addressPacket(subject: string, command: number, address: string, params?: string): Buffer {
  const writer = new ByteWriter(subject, command).cString(inBrackets(address));
  if (params) writer.cString(params);
  return writer.packet();
}

/** Sendmail ignores an empty string where it wants the null sender, `<>`. */
function inBrackets(address: string): string {
  return address.startsWith('<') && address.endsWith('>') ? address : `<${address}>`;
}

function indexedHeaderPacket(
  subject: string,
  command: number,
  header: { readonly index: number; readonly name: string; readonly value: string },
): Buffer {
  return new ByteWriter(subject, command)
    .fixed('>I', [header.index])
    .cString(header.name)
    .cString(header.value)
    .packet();
}

/** An empty body is one empty packet: no packet at all would leave the body as it is. */
function bodyPackets(body: Buffer): Buffer[] {
  const packets: Buffer[] = [];
  let start = 0;
  do {
    const end = Math.min(body.length, start + MILTER_CHUNK_SIZE);
    packets.push(new ByteWriter('replaceBody', SMFIR.REPLBODY).bytes(body.subarray(start, end)).packet());
    start = end;
  } while (start < body.length);
  return packets;
}
