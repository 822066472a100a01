/** The difference between a message with its envelope as the client sent it, and as it is delivered: jsdiff's wall. */
import { createTwoFilesPatch } from 'diff';
import type { Envelope } from '../../workbench/delivery.ts';
import { formatHeaders, type MailMessage, parseMessage } from '../../workbench/mail-message.ts';
import type { MessageOutcome } from '../../workbench/smtp-dialogue.ts';

const CONTEXT = 3;

/** Longer ones are not compared line by line: a diff of megabytes helps nobody. */
const MAX_LINES = 20_000;
const MAX_MILLISECONDS = 3000;

/** Lines of a unified diff in latin1, without line ends; none where nothing is different, or nothing delivered. */
export function changesOf({ envelope, content, delivery, action }: MessageOutcome): string[] {
  if (!delivery || content === undefined || action === 'discard') return [];
  const original = parseMessage(content);
  const unchanged = original.body.equals(delivery.message.body);
  // Of a body that stays no more than the context shows.
  const bodyOf = (message: MailMessage): string => {
    const text = message.body.toString('latin1');
    return unchanged ? text.split('\r\n', CONTEXT + 1).join('\r\n') : text;
  };
  const sent = asText(envelope, original, bodyOf(original));
  const delivered = asText(delivery.envelope, delivery.message, bodyOf(delivery.message));
  if (sent === delivered) return [];
  const patch =
    sent.length / 40 + delivered.length / 40 > MAX_LINES
      ? undefined
      : createTwoFilesPatch('sent', 'delivered', sent, delivered, undefined, undefined, {
          context: CONTEXT,
          timeout: MAX_MILLISECONDS,
          headerOptions: { includeIndex: false, includeUnderline: false, includeFileHeaders: true },
        });
  if (patch === undefined) return ['--- sent', '+++ delivered', '(too long to be compared line by line)'];
  return patch.replace(/\n$/, '').split('\n');
}

/** The envelope as SMTP commands, then the message, with LF as line ends. */
function asText(
  { sender, senderParams, recipients }: Envelope,
  { headers }: MailMessage,
  body: string,
): string {
  const commands = [
    [`MAIL FROM:<${sender}>`, ...senderParams].join(' '),
    ...recipients.map(({ address, params }) => [`RCPT TO:<${address}>`, ...params].join(' ')),
  ];
  const text = `${commands.join('\n')}\n\n${formatHeaders(headers)}\n${body}`;
  return text.replaceAll('\r\n', '\n');
}
