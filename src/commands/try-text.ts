/** What `smtpf-milter try` prints for a person. All text is latin1, to be written as bytes. */

import type { CallRecord } from '../lua/policy-settings.ts';
import { wholeOf } from '../milter/body-bytes.ts';
import { addressOf, verifiedNameOf } from '../milter/connect.ts';
import type { PolicyEvent } from '../milter/policy.ts';
import type { Modification } from '../milter/reply.ts';
import type { ScriptReport } from '../policy-source.ts';
import { replyLines } from '../workbench/client-reply.ts';
import type { LoggedLine, Lookup, RecordedCall } from '../workbench/recorder.ts';
import type { Action, Exchange, MessageOutcome } from '../workbench/smtp-dialogue.ts';
import { type Colour, type Paint, quoted, visible } from './paint.ts';
import { changesOf } from './try-diff.ts';
import type { TryPlan } from './try-options.ts';

const MTA_NAMES = { postfix: 'Postfix', sendmail: 'Sendmail' } as const;

const ACTION_WORDS: Readonly<Record<Action, readonly [text: string, colour: Colour]>> = {
  accept: ['accepted', 'green'],
  quarantine: ['accepted, and put into quarantine', 'yellow'],
  discard: ['accepted, and thrown away', 'yellow'],
  tempfail: ['deferred', 'yellow'],
  reject: ['refused', 'red'],
};

export class TryText {
  readonly #paint: Paint;
  readonly #mta: string;

  constructor(paint: Paint, plan: TryPlan) {
    this.#paint = paint;
    this.#mta = MTA_NAMES[plan.mta];
  }

  /** Of the script: what keeps it from running, and what is hardly meant. */
  script({ path, hash, callbacks, problem, warnings }: ScriptReport): string[] {
    const paint = this.#paint;
    const names = callbacks.map((name) => `smtp.${name}`).join(', ') || 'none';
    return [
      problem === undefined
        ? `${paint('bold', visible(path))} ${paint('dim', `(${hash})`)} callbacks: ${names}`
        : paint('red', `The script does not run: ${visible(problem)}`),
      ...warnings.map((warning) => paint('yellow', `warning: ${visible(warning)}`)),
      '',
    ];
  }

  exchange({ said, reply, calls }: Exchange): string[] {
    return [
      ...(said === undefined ? [] : [this.#paint('cyan', `C: ${saidText(said)}`)]),
      ...calls.flatMap((call) => this.call(call)),
      ...(reply ? replyLines(reply).map((line) => this.#reply(reply.code, `S: ${visible(line)}`)) : []),
    ];
  }

  /** A callback with what happened in it; nothing for a main chunk in which nothing did. */
  call({ call, milliseconds, lookups, log }: RecordedCall): string[] {
    const inside = [...lookups.map((lookup) => this.#lookup(lookup)), ...log.map((line) => this.#log(line))];
    const time = this.#paint('dim', `${milliseconds.toFixed(1)} ms`);
    if (!call) return inside.length === 0 ? [] : [`   main chunk  ${time}`, ...inside];
    const where = call.where === '' ? '' : `  ${this.#paint('dim', visible(call.where))}`;
    const [, traceback] = splitFailure(call.failure ?? '');
    return [
      `   ${call.name}(${argumentsText(call.event)}) -> ${this.#result(call)}${where}  ${time}`,
      ...(traceback === '' ? [] : [this.#paint('dim', `      ${visible(traceback)}`)]),
      ...inside,
    ];
  }

  #result({ verdict, failure }: CallRecord): string {
    if (failure !== undefined) {
      const consequence = verdict.kind === 'continue' ? 'goes on' : verdict.kind;
      return this.#paint('red', `error: ${visible(splitFailure(failure)[0])} (--on-error: ${consequence})`);
    }
    if (verdict.kind === 'continue') return this.#paint('green', 'continue');
    if (verdict.kind !== 'reply') return this.#paint('yellow', verdict.kind);
    const text = quoted(verdict.lines.join('\n'), 200);
    const enhanced = verdict.enhanced === undefined ? '' : `, "${verdict.enhanced}"`;
    return this.#reply(verdict.code, `${verdict.code}, ${text}${enhanced}`);
  }

  #lookup({ type, name, records, failure, milliseconds, cached }: Lookup): string {
    const found =
      records === undefined
        ? this.#paint('yellow', failure ?? 'no answer yet')
        : records.map((record) => (type === 'TXT' ? quoted(record) : visible(record))).join(', ') ||
          'nothing';
    const time = cached ? 'known' : `${milliseconds.toFixed(1)} ms`;
    return `      dns ${type} ${visible(name)}: ${found}  ${this.#paint('dim', time)}`;
  }

  #log({ level, text }: LoggedLine): string {
    return `      ${level === 'print' ? 'print' : `log ${level}`}: ${visible(text)}`;
  }

  /** The end of the report on a message; with its number where there are several. */
  outcome(outcome: MessageOutcome, number?: number): string[] {
    const { edits, recipients, reply, action, delivery, decisive } = outcome;
    const [word, colour] = ACTION_WORDS[action];
    const title = `Message ${number}, from <${visible(outcome.envelope.sender)}>`;
    const lines = number === undefined ? [''] : ['', this.#paint('bold', title), ''];
    if (edits.length > 0) {
      const note = delivery && action !== 'discard' ? '' : ' (not carried out)';
      lines.push(
        this.#paint('bold', `Changes asked for${note}`),
        ...edits.map((edit) => `  ${editText(edit)}`),
        '',
      );
    }
    if (recipients.length > 1) {
      const width = Math.max(...recipients.map(({ address }) => address.length));
      lines.push(this.#paint('bold', 'Recipients'));
      for (const recipient of recipients) {
        const [verdict] = ACTION_WORDS[recipient.action];
        const { code, enhanced, lines: texts } = recipient.reply;
        const text = [code, enhanced ?? '', texts.join(' / ')].join(' ');
        lines.push(
          `  ${visible(recipient.address.padEnd(width))}  ${this.#reply(code, `${verdict}: ${visible(text)}`)}`,
        );
      }
      lines.push('');
    }
    const by = decisive?.call ? ` by ${decisive.call.name}${at(decisive.call)}` : '';
    const reason = delivery?.reason === undefined ? '' : `: ${visible(delivery.reason)}`;
    lines.push(
      `${this.#paint('bold', `The client of ${this.#mta} sees`)}  ${replyLines(reply)
        .map((line) => this.#reply(reply.code, visible(line)))
        .join('\n                             ')}`,
      `${this.#paint('bold', 'The message is')} ${this.#paint(colour, `${word}${reason}`)}${by}`,
    );
    const changes = changesOf(outcome);
    if (changes.length > 0) lines.push('', ...changes.map((line) => this.#diffLine(line)));
    else if (delivery && action !== 'discard') lines.push('It is delivered as it was sent.');
    return lines;
  }

  problems(problems: readonly string[]): string[] {
    return problems.map((problem) => this.#paint('yellow', `warning: ${visible(problem)}`));
  }

  #diffLine(line: string): string {
    const shown = visible(line);
    if (/^(---|\+\+\+) /.test(line)) return this.#paint('bold', shown);
    if (line.startsWith('@@')) return this.#paint('cyan', shown);
    if (line.startsWith('+')) return this.#paint('green', shown);
    if (line.startsWith('-')) return this.#paint('red', shown);
    return shown;
  }

  #reply(code: number, text: string): string {
    return this.#paint(code >= 500 ? 'red' : code >= 400 ? 'yellow' : 'green', text);
  }
}

/** Message and traceback of a failure. */
function splitFailure(failure: string): [message: string, traceback: string] {
  const at = failure.indexOf(' (stack traceback:');
  return at < 0 ? [failure, ''] : [failure.slice(0, at), failure.slice(at + 2, -1)];
}

function saidText(said: string): string {
  if (said === '') return '(connects)';
  return said === '.' ? '(the message, and .)' : visible(said);
}

function at({ where }: CallRecord): string {
  return where === '' ? '' : `, ${visible(where)}`;
}

/** The arguments of a callback, shortened. */
function argumentsText(event: PolicyEvent): string {
  switch (event.kind) {
    case 'connect': {
      const { client, hostname } = event;
      const ip = addressOf(client);
      return `${quoted(ip)}, ${quoted(verifiedNameOf(hostname))}`;
    }
    case 'helo':
      return quoted(event.name);
    case 'mail':
    case 'rcpt':
      return `${quoted(event.address)}, ${listText(event.params)}`;
    case 'headers':
      return listText(event.lines);
    case 'chunk':
      return `${quoted(wholeOf(event.bytes).toString('latin1', 0, 61), 40)}, ${event.bytes.length}`;
    case 'endOfMessage':
      return 'file';
    case 'unknown':
      return quoted(event.line);
    case 'data':
    case 'reset':
    case 'close':
      return '';
    default:
      return event satisfies never;
  }
}

function listText(texts: readonly string[]): string {
  if (texts.length === 0) return '{}';
  const shown = texts.slice(0, 3).map((text) => quoted(text, 30));
  const more = texts.length > shown.length ? `, ... ${texts.length} in all` : '';
  return `{ ${shown.join(', ')}${more} }`;
}

export function editText(edit: Modification): string {
  switch (edit.kind) {
    case 'addHeader':
      return `add header       ${visible(`${edit.name}:${edit.value}`)}`;
    case 'insertHeader':
      return `insert header    ${visible(`${edit.name}:${edit.value}`)}  at ${edit.index}`;
    case 'changeHeader':
      return edit.value === ''
        ? `delete header    ${visible(edit.name)}, number ${edit.index}`
        : `change header    ${visible(`${edit.name}:${edit.value}`)}, number ${edit.index}`;
    case 'addRecipient':
      return `add recipient    ${visible([edit.address, edit.params ?? ''].join(' ').trim())}`;
    case 'deleteRecipient':
      return `delete recipient ${visible(edit.address)}`;
    case 'changeSender':
      return `change sender    ${visible([edit.address, edit.params ?? ''].join(' ').trim())}`;
    case 'replaceBody':
      return `replace body     ${edit.bytes.length} bytes`;
    case 'quarantine':
      return `quarantine       ${visible(edit.reason)}`;
    default:
      return edit satisfies never;
  }
}
