/** `smtpf-milter why`: what was decided about a message, by which line of the script, from the journal. */
import { askServer } from '../control/control-client.ts';
import { type Decision, reasonWithoutCallback } from '../control/decision.ts';
import { searchJournal } from '../control/journal.ts';
import { EXIT } from '../operator-error.ts';
import type { Options } from '../option-table.ts';
import { visible } from './visible.ts';

/**
 * Asks the server, or reads the journal itself where it is named.
 * @param query a queue id, an id of ours, or an address
 * @returns 1 when nothing was found.
 * @throws OperatorError when there is nobody to ask.
 */
export async function why(
  options: Options,
  query: string,
  { json }: { readonly json: boolean },
): Promise<number> {
  const found =
    options.journal === undefined ? await ask(options, query) : await searchJournal(options.journal, query);
  if (json) process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
  else if (found.length === 0) process.stdout.write(`nothing in the journal about ${visible(query)}\n`);
  // The journal is this program's own: its entries have this form.
  else
    for (const decision of found as Decision[])
      process.stdout.write(`${[...explain(decision)].join('\n')}\n`);
  return found.length > 0 ? EXIT.ok : 1;
}

async function ask(options: Options, query: string): Promise<unknown[]> {
  for await (const { decisions } of askServer(options, { command: 'why', query })) {
    if (Array.isArray(decisions)) return decisions;
  }
  return [];
}

function* explain(decision: Decision): Generator<string> {
  const { time, queueId, session, transaction, client, sender, recipients, recipientCount, size } = decision;
  const id = [queueId, transaction ?? session].filter((part) => part !== undefined).join(', ');
  yield visible(`${new Date(time).toISOString()}  ${id}`);
  yield visible(
    `  client   ${client.ptr || 'unknown'} [${client.ip}]${client.helo === undefined ? '' : `, HELO ${client.helo}`}`,
  );
  if (sender !== undefined)
    yield visible(`  from     <${sender}>${size === undefined ? '' : `, ${size} bytes`}`);
  for (const { address, refused } of recipients) {
    const words =
      refused === undefined ? '' : `  ${reply(refused.code, refused.text) || 'refused'}${at(refused.where)}`;
    yield visible(`  to       <${address}>${words}`);
  }
  if (recipientCount > recipients.length) yield `           and ${recipientCount - recipients.length} more`;
  const { verdict, code, text, callback, where, milliseconds, script } = decision;
  const words = reply(code, text) || (callback === undefined ? reasonWithoutCallback(decision) : '');
  yield visible(`  verdict  ${verdict}${words === '' ? '' : `: ${words}`}`);
  if (callback !== undefined) yield visible(`  by       ${callback}${at(where)}`);
  yield `  script   ${script ?? 'none'}, ${milliseconds.toFixed(3)} ms`;
}

function reply(code: number | undefined, text: string | undefined): string {
  return code === undefined ? '' : `${code} ${text ?? ''}`.trim();
}

function at(where: string | undefined): string {
  return where === undefined ? '' : ` at ${where}`;
}
