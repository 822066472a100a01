/** What an MTA says in the sessions that warm a process up: bytes, cut where it waits for a reply. */
import { ByteWriter } from '../milter/byte-writer.ts';
import { SMFI, SMFIC } from '../milter/constants.ts';

/** To be sent one after another, each after the reply to the one before; the last gets none. */
export type Turns = readonly Buffer[];

function packet(command: number, ...strings: readonly string[]): Buffer {
  return strings.reduce((writer, text) => writer.cString(text), new ByteWriter('warm-up', command)).packet();
}

/** A macro packet for the command of `stage`, and that command. */
function withMacros(stage: number, macros: readonly string[], ...command: readonly Buffer[]): Buffer {
  const text = new ByteWriter('warm-up', SMFIC.MACRO).bytes(Buffer.of(stage));
  return Buffer.concat([macros.reduce((writer, part) => writer.cString(part), text).packet(), ...command]);
}

const NEGOTIATION = new ByteWriter('warm-up', SMFIC.OPTNEG)
  .fixed('>III', [SMFI.PROT_VERSION, SMFI.CURR_ACTS, SMFI.CURR_PROT])
  .packet();

const CONNECT = new ByteWriter('warm-up', SMFIC.CONNECT)
  .cString('mx.example.net')
  .bytes(Buffer.from('4'))
  .fixed('>H', [25_000])
  .cString('203.0.113.25')
  .packet();

const GREETING: Turns = [
  NEGOTIATION,
  withMacros(SMFIC.CONNECT, ['j', 'mail.example.org', '{daemon_name}', 'smtpd', 'v', 'Postfix 3.7'], CONNECT),
  withMacros(SMFIC.HELO, [], packet(SMFIC.HELO, 'mx.example.net')),
];
const QUIT = packet(SMFIC.QUIT);
const ABORT = packet(SMFIC.ABORT);

function mail(sender: string): Buffer {
  const macros = ['{mail_addr}', sender, '{mail_host}', 'example.org', '{mail_mailer}', 'smtp'];
  return withMacros(SMFIC.MAIL, macros, packet(SMFIC.MAIL, `<${sender}>`, 'SIZE=2048'));
}

function rcpt(recipient: string): Buffer {
  const macros = ['{rcpt_addr}', recipient, '{rcpt_host}', 'example.org', '{rcpt_mailer}', 'local'];
  return withMacros(SMFIC.RCPT, macros, packet(SMFIC.RCPT, `<${recipient}>`));
}

/** Headers and body take no reply. */
function content(bodyBytes: number): Buffer {
  const headers = Array.from({ length: 10 }, (_, index) =>
    packet(
      SMFIC.HEADER,
      index === 4 ? 'Subject' : `X-Header-${index}`,
      index === 7 ? ' folded,\n\tand on' : ` value ${index}`,
    ),
  );
  const chunks: Buffer[] = [];
  for (let at = 0; at < bodyBytes; at += 65_535) {
    const chunk = Buffer.alloc(Math.min(65_535, bodyBytes - at), 'some words, and the end of a line\r\n');
    chunks.push(new ByteWriter('warm-up', SMFIC.BODY).bytes(chunk).packet());
  }
  const all = [...headers, packet(SMFIC.EOH), ...chunks, packet(SMFIC.BODYEOB)];
  return withMacros(SMFIC.EOH, ['i', '4XyZ123abc'], ...all);
}

function message(bodyBytes: number): Turns {
  return [mail('somebody@Example.ORG'), rcpt('user@example.net'), content(bodyBytes)];
}

function session(...messages: readonly Turns[]): Turns {
  return [...GREETING, ...messages.flat(), QUIT];
}

/** The sessions, of which most are of one short message. */
export function warmUpSessions(): readonly Turns[] {
  const small = session(message(2_048));
  const aborted = message(2_048).map((turn, index) => (index === 0 ? Buffer.concat([ABORT, turn]) : turn));
  const several = session(message(2_048), aborted, aborted);
  const refusals = Array.from({ length: 10 }, () => rcpt('nobody@example.net'));
  const refused = session([mail('other@example.com'), ...refusals]);
  const short = [NEGOTIATION, CONNECT, QUIT];
  const long = session(message(500_000));
  return [small, several, small, refused, small, several, short, long];
}
