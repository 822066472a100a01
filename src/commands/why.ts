/** `smtpf-milter why`: what was decided about a message, by which line of the script, from the journal. */
import { askServer } from '../control/control-client.ts';
import { causeOf, type Decision, MAIN_CHUNK, type Refusal } from '../control/decision.ts';
import { type JournalQuery, type QueryTexts, readQuery } from '../control/journal-query.ts';
import { searchJournal } from '../control/journal-search.ts';
import type { Options } from '../options/option-table.ts';
import { unpositioned } from '../policy/failure.ts';
import { BadValue } from '../text/bad-value.ts';
import { indentedJson } from '../text/json-text.ts';
import { EXIT, OperatorError } from '../text/operator-error.ts';
import { visibleText } from '../text/visible.ts';

/**
 * Asks the server, or reads the journal itself where it is named.
 * @returns 1 when nothing was found.
 * @throws OperatorError when there is nobody to ask, or the query is none.
 */
export async function why(
  options: Options,
  texts: QueryTexts,
  { json }: { readonly json: boolean },
): Promise<number> {
  const query = queryOf(texts);
  const found =
    options.journal === undefined
      ? await ask(options, texts)
      : await searchJournal(options.journal, query, options.journalKey);
  if (json) process.stdout.write(indentedJson(found));
  else if (found.length === 0)
    process.stdout.write(`nothing in the journal ${visibleText(wordsOf(texts))}\n`);
  // The journal is this program's own: its entries have this form.
  else
    for (const decision of found as Decision[])
      process.stdout.write(`${[...explain(decision)].join('\n')}\n`);
  return found.length > 0 ? EXIT.ok : 1;
}

/** @throws OperatorError */
function queryOf(texts: QueryTexts): JournalQuery {
  if (Object.keys(texts).length === 0)
    throw new OperatorError(
      'why: a queue id, an address, a domain or a network must be named, or --since, --last, --rejected or --failed',
      EXIT.usage,
    );
  try {
    return readQuery(texts);
  } catch (error) {
    if (!(error instanceof BadValue)) throw error;
    throw new OperatorError(error.message, EXIT.usage);
  }
}

/** `about joe@example.com, rejected, since 2h` */
function wordsOf({ what, since, rejected, failed }: QueryTexts): string {
  const words = [
    ...(what === undefined ? [] : [`about ${what}`]),
    ...(rejected === undefined ? [] : ['that was rejected']),
    ...(failed === undefined ? [] : ['with a callback that failed']),
    ...(since === undefined ? [] : [`since ${since}`]),
  ];
  return words.join(', ');
}

async function ask(options: Options, texts: QueryTexts): Promise<unknown[]> {
  for await (const { decisions } of askServer(options, { command: 'why', ...texts })) {
    if (Array.isArray(decisions)) return decisions;
  }
  return [];
}

function* explain(decision: Decision): Generator<string> {
  const { time, queueId, session, transaction, client, sender, recipients, recipientCount, size } = decision;
  const id = [queueId, transaction ?? session].filter((part) => part !== undefined).join(', ');
  yield visibleText(`${new Date(time).toISOString()}  ${id}`);
  yield visibleText(
    `  client   ${client.ptr || 'unknown'} [${client.ip}]${client.helo === undefined ? '' : `, HELO ${client.helo}`}`,
  );
  if (sender !== undefined)
    yield visibleText(`  from     <${sender}>${size === undefined ? '' : `, ${size} bytes`}`);
  for (const { address, refused } of recipients) {
    yield visibleText(`  to       <${address}>${refused === undefined ? '' : `  ${refusalText(refused)}`}`);
  }
  if (recipientCount > recipients.length) yield `           and ${recipientCount - recipients.length} more`;
  const { verdict, code, text, callback, where, onError, failures = [], script, canary } = decision;
  const { cpuMilliseconds, wallMilliseconds } = decision;
  const isPlain = callback !== undefined && onError === undefined;
  const words = isPlain ? reply(code, text) : causeOf({ ...decision, failures: onError ? failures : [] });
  yield visibleText(`  verdict  ${verdict}${words === '' ? '' : `: ${words}`}`);
  if (isPlain) yield visibleText(`  by       ${callback}${at(where)}`);
  for (const failure of failures) {
    const times = failure.times > 1 ? `, ${failure.times} times` : '';
    const isMain = failure.callback === MAIN_CHUNK;
    const what = isMain ? MAIN_CHUNK : `${failure.callback}${at(failure.where)}`;
    const message = isMain ? failure.message : unpositioned(failure.message, failure.where);
    yield visibleText(`  failed   ${what}: ${message}${times} (--on-error ${failure.action})`);
  }
  yield `  script   ${script ?? 'none'}${canary ? ', the canary' : ''}, cpu ${cpuMilliseconds.toFixed(3)} ms, wall ${wallMilliseconds.toFixed(3)} ms`;
}

function reply(code: number | undefined, text: string | undefined): string {
  return code === undefined ? '' : `${code} ${text ?? ''}`.trim();
}

function refusalText({ code, text, where, onError }: Refusal): string {
  if (onError !== undefined) return `failed${at(where)}, --on-error ${onError}`;
  return `${reply(code, text) || 'refused'}${at(where)}`;
}

function at(where: string | undefined): string {
  return where === undefined ? '' : ` at ${where}`;
}
