/**
 * SMTP commands as an SMTP client says them, one a line: what a session script holds, and what a person types.
 *
 *     EHLO client.example          MAIL FROM:<a@example.com> SIZE=1000      RCPT TO:<b@example.net>
 *     DATA                         the message follows, up to a line with a single dot
 *     DATA FILE                    the message is in a file
 *     RSET  NOOP  QUIT  STARTTLS [VERSION]  AUTH USER [MECHANISM]  VRFY ADDRESS
 *
 * Commands have no case. `MAIL a@example.com` is read as well. Any other line is a command that the MTA does not know.
 */

export type SmtpCommand =
  | { readonly kind: 'helo'; readonly line: string; readonly name: string }
  | {
      readonly kind: 'mail' | 'rcpt';
      readonly line: string;
      readonly address: string;
      readonly params: readonly string[];
    }
  /** A MAIL or RCPT without a readable address. */
  | { readonly kind: 'malformed'; readonly line: string; readonly command: 'MAIL' | 'RCPT' }
  /** `file` undefined: the message follows. */
  | { readonly kind: 'data'; readonly line: string; readonly file: string | undefined }
  | { readonly kind: 'startTls'; readonly line: string; readonly version: string }
  | { readonly kind: 'login'; readonly line: string; readonly user: string; readonly mech: string }
  | { readonly kind: 'vrfy'; readonly line: string; readonly address: string }
  | { readonly kind: 'rset' | 'noop' | 'quit' | 'unknown'; readonly line: string };

/** Reads one line, without line end. Text is latin1. */
export function parseSmtpCommand(line: string): SmtpCommand {
  const [, verb = '', rest = ''] = /^(\S+)\s*(.*?)\s*$/.exec(line) ?? [];
  switch (verb.toUpperCase()) {
    case 'HELO':
    case 'EHLO':
      return { kind: 'helo', line, name: rest };
    case 'MAIL':
      return parseEnvelope('mail', line, rest.replace(/^FROM\s*:\s*/i, ''));
    case 'RCPT':
      return parseEnvelope('rcpt', line, rest.replace(/^TO\s*:\s*/i, ''));
    case 'DATA':
      return { kind: 'data', line, file: rest === '' ? undefined : rest };
    case 'STARTTLS':
      return { kind: 'startTls', line, version: rest || 'TLSv1.3' };
    case 'AUTH': {
      const [user = '', mech = 'PLAIN'] = rest.split(/\s+/);
      return user === '' ? { kind: 'unknown', line } : { kind: 'login', line, user, mech };
    }
    case 'VRFY':
      return { kind: 'vrfy', line, address: rest };
    case 'RSET':
      return { kind: 'rset', line };
    case 'NOOP':
      return { kind: 'noop', line };
    case 'QUIT':
      return { kind: 'quit', line };
    default:
      return { kind: 'unknown', line };
  }
}

/** An address in angle brackets, in which quoted blanks may be, or a word; then parameters. */
function parseEnvelope(kind: 'mail' | 'rcpt', line: string, rest: string): SmtpCommand {
  const [, path, tail] = /^(<(?:"(?:[^"\\]|\\.)*"|[^">])*>|[^\s<]+)(?:\s+(.*))?$/.exec(rest) ?? [];
  if (path === undefined) return { kind: 'malformed', line, command: kind === 'mail' ? 'MAIL' : 'RCPT' };
  const params = (tail ?? '').split(/\s+/).filter((param) => param !== '');
  return { kind, line, address: path, params };
}

/** The lines of an SMTP dialogue, without the line ends; those of a message are what DATA takes. */
export interface CommandSource {
  /** The next line; undefined at the end. */
  next(): Promise<string | undefined>;
  /** Leaves out the message that follows a DATA which was refused, where it was written down before. */
  skipMessage(): void;
}

/** The lines of a script. */
export function linesOf(text: string): CommandSource {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  return {
    next: async () => lines.shift(),
    skipMessage: () => {
      lines.splice(0, lines.indexOf('.') + 1); // Nothing, where no message ends.
    },
  };
}

/** The message that follows DATA: up to a line with a single dot, dots unstuffed. */
export async function readMessage(source: CommandSource): Promise<Buffer> {
  const lines: string[] = [];
  for (let line = await source.next(); line !== undefined && line !== '.'; line = await source.next()) {
    lines.push(line.replace(/^\./, ''));
  }
  return Buffer.from(lines.map((line) => `${line}\r\n`).join(''), 'latin1');
}
