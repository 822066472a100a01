/** Asks a mail server whether it takes a recipient, and sends nothing. */
import { randomBytes } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { type Answer, known, type Patience, unknown } from '../asking/answer.ts';
import { DialogueFailure, type Reply, SmtpDialogue } from './smtp-dialogue.ts';

export interface ProbeRequest {
  readonly host: string;
  readonly port: number;
  /** What we say at EHLO. */
  readonly helo: string;
  /** Without brackets; `''` is the null sender. */
  readonly from: string;
  readonly rcpt: string;
  /** Whether an address that cannot be there is asked about too. */
  readonly asksRandom: boolean;
}

/** What a server says: of the recipient (yes, no), or that it does not want to say. */
export type Verdict =
  | { readonly kind: 'yes' }
  | { readonly kind: 'no'; readonly reply: string }
  | { readonly kind: 'unsure'; readonly reply: string };

/** Never rejects. */
export async function probe(
  { host, port, helo, from, rcpt, asksRandom }: ProbeRequest,
  lookup: LookupFunction,
  { timeoutMs, cancelled }: Patience,
): Promise<Answer<Verdict>> {
  const subject = `call-ahead to ${host}:${port}`;
  const over = new AbortController();
  const timer = setTimeout(
    () => over.abort(new DialogueFailure('timeout', `no answer in ${timeoutMs / 1000} s`)),
    timeoutMs,
  );
  const cancel = () => over.abort();
  cancelled.addEventListener('abort', cancel, { once: true });
  if (cancelled.aborted) cancel();
  const dialogue = SmtpDialogue.open(host, port, lookup, over.signal);
  const unsure = (step: string, reply: Reply): Answer<Verdict> =>
    known({ kind: 'unsure', reply: `${step}: ${written(reply)}` });
  try {
    const greeting = await dialogue.reply();
    if (greeting.code !== 220) return unsure('greeting', greeting);
    let hello = await dialogue.say(`EHLO ${helo}`);
    if (hello.code >= 500) hello = await dialogue.say(`HELO ${helo}`);
    if (hello.code !== 250) return unsure('HELO', hello);
    const mail = await dialogue.say(`MAIL FROM:<${from}>`);
    if (mail.code !== 250) return unsure('MAIL', mail);
    const asked = await dialogue.say(`RCPT TO:<${rcpt}>`);
    if (asked.code >= 500) return known({ kind: 'no', reply: written(asked) });
    if (asked.code !== 250 && asked.code !== 251) return unsure('RCPT', asked);
    if (asksRandom) {
      const random = await dialogue.say(`RCPT TO:<${unlikely(rcpt)}>`);
      if (random.code < 300) return known({ kind: 'unsure', reply: 'accepts everyone' });
    }
    return known({ kind: 'yes' });
  } catch (error) {
    if (error instanceof DialogueFailure) return unknown(error.kind, `${subject}: ${error.message}`);
    throw error;
  } finally {
    clearTimeout(timer);
    cancelled.removeEventListener('abort', cancel);
    dialogue.quit();
  }
}

function written({ code, text }: Reply): string {
  return `${code} ${text}`.trim().slice(0, 1000);
}

/** An address in the same domain that nobody has. */
function unlikely(rcpt: string): string {
  const domain = rcpt.slice(rcpt.lastIndexOf('@') + 1);
  return `no-such-user-${randomBytes(8).toString('hex')}@${domain}`;
}
