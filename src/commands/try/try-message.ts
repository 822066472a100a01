/** One message said to the imitated MTA by a client that behaves: it stops where the MTA stops it. */
import { parseMailboxes } from '../../message/header-text.ts';
import { mailboxOf } from '../../milter/envelope-address.ts';
import { parseMessage } from '../../workbench/mail-message.ts';
import { actionOf, type MessageOutcome, type SmtpDialogue } from '../../workbench/smtp-dialogue.ts';
import { parseSmtpCommand } from '../../workbench/smtp-script.ts';
import type { Path, TryPlan } from './try-options.ts';

const SENDER = 'sender@example.com';
const RECIPIENT = 'recipient@example.net';

/** A message for trying a policy that is not about content. */
export function sampleMessage({ from, to }: TryPlan, now: Date): Buffer {
  const sender = from === undefined ? SENDER : mailboxOf(from.address) || 'MAILER-DAEMON@example.com';
  const recipients = to.length === 0 ? RECIPIENT : to.map(({ address }) => mailboxOf(address)).join(', ');
  const lines = [
    `From: ${sender}`,
    `To: ${recipients}`,
    `Date: ${now.toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${now.getTime()}@client.example>`,
    'Subject: A message to try a policy with',
    '',
    'This is a message to try a policy with.',
    '',
  ];
  return Buffer.from(lines.join('\r\n'), 'latin1');
}

export interface TryEnvelope {
  readonly from: Path;
  readonly to: readonly Path[];
}

/** As the options say, else as the message's own headers do, else examples. */
export function envelopeOf({ from, to }: TryPlan, content: Buffer): TryEnvelope {
  const { headers } = parseMessage(content);
  const addresses = (...names: string[]): string[] => {
    for (const wanted of names) {
      const found = headers
        .filter(({ name }) => name.toLowerCase() === wanted)
        .flatMap(({ value }) =>
          [...parseMailboxes(value)].flat().flatMap(({ addr }) => (addr === '' ? [] : [addr])),
        );
      if (found.length > 0) return found;
    }
    return [];
  };
  const sender = from ?? pathOf(addresses('return-path', 'sender', 'from')[0] ?? SENDER);
  if (to.length > 0) return { from: sender, to };
  const delivered = addresses('x-original-to', 'delivered-to');
  const named =
    delivered.length > 0 ? delivered : [...addresses('to'), ...addresses('cc'), ...addresses('bcc')];
  const recipients = [...new Set(named)].map(pathOf);
  return { from: sender, to: recipients.length > 0 ? recipients : [pathOf(RECIPIENT)] };
}

/** Says it all, QUIT included. */
export async function sendMessage(
  dialogue: SmtpDialogue,
  plan: TryPlan,
  content: Buffer,
): Promise<MessageOutcome> {
  const { from, to } = envelopeOf(plan, content);
  await converse(dialogue, plan, { from, to }, content);
  await dialogue.end();
  const outcome = dialogue.messages.at(-1) ?? refusedBefore(dialogue, from);
  // Those the client did not come to.
  const { reply, action } = outcome;
  const unasked = to
    .slice(outcome.recipients.length)
    .map(({ address }) => ({ address: mailboxOf(address), asked: undefined, reply, action }));
  return { ...outcome, recipients: [...outcome.recipients, ...unasked] };
}

async function converse(
  dialogue: SmtpDialogue,
  plan: TryPlan,
  { from, to }: TryEnvelope,
  content: Buffer,
): Promise<void> {
  /** Whether the client goes on. */
  const say = async (line: string): Promise<boolean> => {
    if (dialogue.closed) return false;
    const { code } = await dialogue.say(parseSmtpCommand(line));
    return code < 400 && !dialogue.closed;
  };
  await dialogue.connect();
  // A greeting of 554 stops a client; here it goes on, to hear what it would be told.
  let goesOn = await say(`EHLO ${plan.helo}`);
  if (goesOn && plan.tls !== undefined) {
    goesOn = (await say(`STARTTLS ${plan.tls}`)) && (await say(`EHLO ${plan.helo}`));
  }
  if (goesOn && plan.auth !== undefined) goesOn = await say(`AUTH ${plan.auth}`);
  if (goesOn && (await say(`MAIL FROM:${spelt(from)}`))) {
    let taken = 0;
    for (const recipient of to) if (await say(`RCPT TO:${spelt(recipient)}`)) taken += 1;
    if (taken > 0 && (await say('DATA'))) await dialogue.message(content);
  }
  await say('QUIT');
}

/** What became of a message whose client was sent away before it could name a sender. */
function refusedBefore(dialogue: SmtpDialogue, from: Path): MessageOutcome {
  const refusal = dialogue.lastRefusal;
  if (!refusal) throw new Error('no message, and no refusal');
  return {
    envelope: { sender: mailboxOf(from.address), senderParams: from.params, recipients: [] },
    content: undefined,
    reply: refusal.reply,
    action: actionOf(refusal.reply, undefined),
    recipients: [],
    delivery: undefined,
    edits: [],
    notes: [],
    decisive: refusal.decisive,
    failures: dialogue.failuresOf(0),
  };
}

function spelt({ address, params }: Path): string {
  return [address, ...params].join(' ');
}

function pathOf(address: string): Path {
  return { address: `<${address}>`, params: [] };
}
