/**
 * A frame's meaning: one small function per kind of command, strict where a lenient reading would have to guess.
 *
 * Sources: libmilter/engine.c for what a filter must accept; Postfix src/milter/milter8.c and sendmail/milter.c for what
 * MTAs send. SMFIC_CONNECT is in connect.ts.
 */
import { wholeOf } from './body-bytes.ts';
import { ByteReader, readStrings } from './byte-reader.ts';
import type { Command, EnvelopeCommand, MacroCommand, NegotiateCommand } from './command.ts';
import { decodeConnect } from './connect.ts';
import { SMFIC } from './constants.ts';
import type { Frame } from './frame-decoder.ts';
import { ProtocolError } from './protocol-error.ts';

const NO_STRINGS: readonly string[] = Object.freeze([]);
const DATA: Command = Object.freeze({ kind: 'data' });
const END_OF_HEADERS: Command = Object.freeze({ kind: 'endOfHeaders' });
const ABORT: Command = Object.freeze({ kind: 'abort' });
const QUIT: Command = Object.freeze({ kind: 'quit' });
const QUIT_NEW_CONNECTION: Command = Object.freeze({ kind: 'quitNewConnection' });

/**
 * The command in `frame`. Body bytes are the frame's own payload, not a copy; commands without data tolerate some, as
 * libmilter does.
 *
 * @throws ProtocolError when the command byte is unknown or the payload is not laid out as its command requires.
 */
export function decodeCommand(frame: Frame): Command {
  const { command } = frame;
  if (command === SMFIC.BODY) return { kind: 'body', bytes: frame.payload };
  if (command === SMFIC.BODYEOB) return { kind: 'endOfMessage', bytes: frame.payload };
  const payload = wholeOf(frame.payload);
  switch (command) {
    case SMFIC.MACRO:
      return decodeMacro(payload);
    case SMFIC.HEADER:
      return decodeHeader(payload);
    case SMFIC.RCPT:
      return decodeEnvelope('rcpt', payload);
    case SMFIC.MAIL:
      return decodeEnvelope('mail', payload);
    case SMFIC.CONNECT:
      return decodeConnect(payload);
    case SMFIC.HELO:
      return { kind: 'helo', name: oneString('helo', payload) };
    case SMFIC.DATA:
      return DATA;
    case SMFIC.EOH:
      return END_OF_HEADERS;
    case SMFIC.ABORT:
      return ABORT;
    case SMFIC.QUIT:
      return QUIT;
    case SMFIC.QUIT_NC:
      return QUIT_NEW_CONNECTION;
    case SMFIC.UNKNOWN:
      return { kind: 'unknown', line: oneString('unknown', payload) };
    case SMFIC.OPTNEG:
      return decodeNegotiate(payload);
    default:
      throw new ProtocolError(`command: unknown byte 0x${command.toString(16).padStart(2, '0')}`);
  }
}

/** version:u32be actions:u32be protocol:u32be; what follows is a filter's business (symbol lists) and is ignored. */
function decodeNegotiate(payload: Buffer): NegotiateCommand {
  if (lastOffer?.payload.equals(payload)) return lastOffer.command;
  const [version = 0, actions = 0, protocol = 0] = new ByteReader('negotiate', payload).fixed('>III');
  const command: NegotiateCommand = { kind: 'negotiate', version, actions, protocol };
  lastOffer = { payload: Buffer.from(payload), command };
  return command;
}

/** An MTA offers the same each time. */
let lastOffer: { readonly payload: Buffer; readonly command: NegotiateCommand } | undefined;

/**
 * stage:u8, then name NUL value NUL ... No pairs at all is normal: Postfix sends such a packet before each command for
 * which it has no macros.
 */
function decodeMacro(payload: Buffer): MacroCommand {
  const stage = payload[0];
  if (stage === undefined) throw new ProtocolError('macro: payload of 0 bytes');
  if (payload.length === 1) return { kind: 'macro', stage, text: '' };
  const text = readStrings('macro', payload, 1);
  let nuls = 0;
  for (let at = text.indexOf('\0'); at >= 0; at = text.indexOf('\0', at + 1)) nuls += 1;
  if (nuls % 2 === 0) return { kind: 'macro', stage, text: '', malformed: true };
  return { kind: 'macro', stage, text };
}

/**
 * address NUL, then parameter NUL ... The address may be empty: Postfix non_smtpd_milters, null sender. go-milter's
 * client puts several parameters into one string, with spaces between.
 */
function decodeEnvelope(kind: 'mail' | 'rcpt', payload: Buffer): EnvelopeCommand {
  const text = readStrings(kind, payload, 0);
  const end = text.indexOf('\0');
  if (end < 0) return { kind, address: text, params: NO_STRINGS };
  const params = text
    .slice(end + 1)
    .replaceAll('\0', ' ')
    .split(' ')
    .filter((param) => param !== '');
  return { kind, address: text.slice(0, end), params };
}

/** name NUL value NUL; the value may be empty. */
function decodeHeader(payload: Buffer): Command {
  const text = readStrings('header', payload, 0);
  const end = text.indexOf('\0');
  if (end < 0) throw new ProtocolError('header: no value');
  if (text.indexOf('\0', end + 1) >= 0) {
    throw new ProtocolError(`header: ${text.length - text.indexOf('\0', end + 1)} bytes after value`);
  }
  return { kind: 'header', name: text.slice(0, end), value: text.slice(end + 1) };
}

function oneString(subject: string, payload: Buffer): string {
  const text = readStrings(subject, payload, 0);
  const end = text.indexOf('\0');
  if (end >= 0) throw new ProtocolError(`${subject}: ${text.length - end} bytes after string`);
  return text;
}
