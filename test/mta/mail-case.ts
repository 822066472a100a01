/** A case of the suite as data: a policy, what SMTP clients say and must hear, what the policy must see, what must arrive. */

import type { MtaName, Transport } from './mail-server.ts';
import type { OnError } from './milter.ts';
import type { Delivery } from './smtp-sink.ts';
import type { Call } from './trace.ts';

/** A reply: three digits stand for any reply with that code, any other text is the whole reply, lines joined by LF. */
export type Pattern = string | RegExp;
export type Expected = Pattern | Readonly<Record<MtaName, Pattern>>;

/** Text is latin1; `{mark}` in it is replaced by a word that is new with each run of a case. */
export type Step =
  /** Says a line, unless it is empty, and reads a reply. */
  | { readonly kind: 'say'; readonly line: string; readonly expect: Expected }
  /** Says all lines in one write, then reads a reply for each. */
  | { readonly kind: 'pipeline'; readonly says: readonly Say[] }
  /** Sends a message, dot-stuffed, and the final dot; reads a reply. */
  | { readonly kind: 'message'; readonly content: string; readonly expect: Expected }
  /** Sends a message by BDAT, in two chunks; reads a reply to each. */
  | { readonly kind: 'bdat'; readonly content: string; readonly expect: Expected }
  /** Sends bytes that have no reply of their own. */
  | { readonly kind: 'send'; readonly text: string }
  /** The server must close now. */
  | { readonly kind: 'closed' }
  /** Cuts the connection. */
  | { readonly kind: 'drop' }
  /** Goes on over TLS, after the reply to STARTTLS. */
  | { readonly kind: 'tls' }
  /** Replaces the policy file, or removes it where `lua` is undefined; as the first step of a session, before it connects. */
  | { readonly kind: 'policy'; readonly lua: string | undefined }
  /** Waits until the policy has been called so; on one mail server only where the other is late by design. */
  | { readonly kind: 'called'; readonly name: string; readonly on: MtaName }
  /** Hands a message to the server's sendmail(1): nothing is said over SMTP. */
  | { readonly kind: 'submit'; readonly args: readonly string[]; readonly content: string };
export type Say = Extract<Step, { kind: 'say' }>;

/** What must arrive at the next hop. */
export interface Arrival {
  /** Sender as the next hop gets it. Text is compared with the address alone, a pattern with its parameters too. */
  readonly mail: Pattern;
  /** Recipients, likewise, in any order. */
  readonly rcpts: readonly Pattern[];
  /** What the message must end with: headers and body as sent, below the Received line of the mail server. */
  readonly content: string;
}

export interface Seen {
  readonly mta: MtaName;
  readonly transport: Transport;
  readonly mark: string;
  readonly calls: readonly Call[];
  readonly delivered: readonly Delivery[];
  /** What our server logged during the case. */
  log(): string;
  /** A directory the policy may write to, `{directory}` in its text. */
  readonly directory: string;
}

/** The arguments of each call of a callback, or of `trace` under that name. */
export function argsOf(seen: Seen, name: string): (readonly string[])[] {
  return seen.calls.filter((call) => call.name === name).map(({ args }) => args);
}

export interface MailCase {
  readonly name: string;
  /** Lua that follows policyPrelude; see trace.ts. */
  readonly policy: string;
  /** The policy is the whole file: nothing is put in front, so nothing is traced. */
  readonly bare?: boolean;
  readonly onError?: OnError;
  readonly ipv6?: boolean;
  /** Both, where nothing is said. */
  readonly transports?: readonly Transport[];
  /** Each is a connection of its own, one after the other, or all at once. */
  readonly sessions: readonly (readonly Step[])[];
  readonly atOnce?: boolean;
  /** The callbacks of each SMTP session in order, one string a session: `connect helo close`. */
  readonly calls: readonly string[];
  readonly arrives: readonly Arrival[];
  /** Further assertions. */
  readonly check?: (seen: Seen) => void | Promise<void>;
}

export function say(line: string, expect: Expected): Say {
  return { kind: 'say', line, expect };
}

export function pipeline(...says: Say[]): Step {
  return { kind: 'pipeline', says };
}

export function message(content: string, expect: Expected): Step {
  return { kind: 'message', content, expect };
}

/** A message with what the mail servers would add themselves if it were missing, so that they add nothing. */
export function mailWith(headers: readonly string[], body: string): string {
  const lines = [
    'From: a@src.test',
    'To: b@dest.test',
    'Date: Sun, 22 Nov 2026 12:00:00 +0000',
    'Message-ID: <{mark}@src.test>',
    ...headers,
  ];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

export const PLAIN = mailWith(
  ['Subject: plain'],
  'Hello,\r\n.a line that begins with a dot\r\n..two\r\nbye\r\n',
);

export const GREETING = say('', '220');
export const EHLO = say('EHLO client.test', '250');
export const MAIL = say('MAIL FROM:<a@src.test>', '250');
export const RCPT = say('RCPT TO:<b@dest.test>', '250');
export const DATA = say('DATA', '354');
export const MESSAGE = message(PLAIN, '250');
export const RSET = say('RSET', '250');
export const QUIT = say('QUIT', '221');
export const STARTTLS: readonly Step[] = [say('STARTTLS', '220'), { kind: 'tls' }];
export const CLOSED: Step = { kind: 'closed' };
export const DROP: Step = { kind: 'drop' };

/** The calls of a session with one message that goes through. */
export const WHOLE_SESSION = 'connect helo mail rcpt data headers chunk dot rset close';

export const PLAIN_ARRIVAL: Arrival = {
  mail: '<a@src.test>',
  rcpts: ['<b@dest.test>'],
  content: PLAIN,
};
