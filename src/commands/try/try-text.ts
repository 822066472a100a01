/** What `smtpf-milter try` prints for a person. All text is latin1, to be written as bytes. */

import { wholeOf } from '../../milter/body-bytes.ts';
import { addressOf, verifiedNameOf } from '../../milter/connect.ts';
import type { PolicyEvent } from '../../milter/policy.ts';
import type { Modification } from '../../milter/reply.ts';
import { type Failure, positioned, tracebackLine } from '../../policy/failure.ts';
import type { CallRecord } from '../../policy/policy-settings.ts';
import { type ScriptReport, warningLines } from '../../policy/policy-source.ts';
import { type Asked, answerText } from '../../services/asked.ts';
import { padded, widthOf } from '../../text/text-table.ts';
import { visible } from '../../text/visible.ts';
import { replyLines } from '../../workbench/client-reply.ts';
import type { LoggedLine, RecordedCall } from '../../workbench/recorder.ts';
import type { Exchange, MessageAction, MessageOutcome } from '../../workbench/smtp-dialogue.ts';
import { type Colour, type Paint, quoted } from '../paint.ts';
import { changesOf } from './try-diff.ts';
import type { TryPlan } from './try-options.ts';

/** What is no level of syslog. */
const OWN_LEVELS = ['print', 'event', 'metric'];

const MTA_NAMES = { postfix: 'Postfix', sendmail: 'Sendmail' } as const;

interface ActionWords {
  /** As `The message is ...` ends. */
  readonly sentence: string;
  /** In a table. */
  readonly word: string;
  readonly colour: Colour;
}

export const ACTION_WORDS: Readonly<Record<MessageAction, ActionWords>> = {
  accept: { sentence: 'accepted', word: 'accepted', colour: 'green' },
  quarantine: { sentence: 'accepted, and put into quarantine', word: 'quarantined', colour: 'yellow' },
  discard: { sentence: 'accepted, and thrown away', word: 'thrown away', colour: 'yellow' },
  tempfail: { sentence: 'deferred', word: 'tempfail', colour: 'yellow' },
  reject: { sentence: 'refused', word: 'refused', colour: 'red' },
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
      ...warningLines({ path, warnings }).map((warning) => paint('yellow', `warning: ${visible(warning)}`)),
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
  call({ call, wallMilliseconds, asked, log }: RecordedCall): string[] {
    const inside = [...asked.map((one) => this.#asked(one)), ...log.map((line) => this.#log(line))];
    const cpu = call ? `cpu ${call.cpuMilliseconds.toFixed(1)} ms, ` : '';
    const time = this.#paint('dim', `${cpu}wall ${wallMilliseconds.toFixed(1)} ms`);
    if (!call) return inside.length === 0 ? [] : [`   main chunk  ${time}`, ...inside];
    const { failure } = call;
    // A failure's message names the line.
    const where = call.where === '' || failure ? '' : `  ${this.#paint('dim', visible(call.where))}`;
    const traceback = tracebackLine(failure?.traceback ?? '');
    return [
      `   ${call.name}(${argumentsText(call.event)}) -> ${this.#result(call)}${where}  ${time}`,
      ...(traceback === '' ? [] : [this.#paint('dim', `      ${visible(traceback)}`)]),
      ...inside,
    ];
  }

  #result({ verdict, failure }: CallRecord): string {
    if (failure !== undefined) {
      return this.#paint('red', `error: ${visible(positioned(failure))} (--on-error ${failure.action})`);
    }
    if (verdict.kind === 'continue') return this.#paint('green', 'continue');
    if (verdict.kind !== 'reply') return this.#paint('yellow', verdict.kind);
    const text = quoted(verdict.lines.join('\n'), 200);
    const enhanced = verdict.enhanced === undefined ? '' : `, "${verdict.enhanced}"`;
    return this.#reply(verdict.code, `${verdict.code}, ${text}${enhanced}`);
  }

  #asked(asked: Asked): string {
    const { service, question, answer, milliseconds, cached } = asked;
    const text = answerText(asked, quoted, visible);
    const found = answer === undefined ? this.#paint('yellow', text) : text;
    const time = cached ? 'known' : `wall ${milliseconds.toFixed(1)} ms`;
    return `      ${service} ${visible(question)}: ${found}  ${this.#paint('dim', time)}`;
  }

  #log({ level, text }: LoggedLine): string {
    return `      ${OWN_LEVELS.includes(level) ? level : `log ${level}`}: ${visible(text)}`;
  }

  /** The end of the report on a message; with its number where there are several. */
  outcome(outcome: MessageOutcome, scriptFailure: Failure | undefined, number?: number): string[] {
    const { edits, notes, recipients, reply, action, delivery, decisive, failures } = outcome;
    const { sentence, colour } = ACTION_WORDS[action];
    const title = `Message ${number}, from <${visible(outcome.envelope.sender)}>`;
    const lines = number === undefined ? [''] : ['', this.#paint('bold', title), ''];
    if (edits.length > 0) {
      const note = delivery && action !== 'discard' ? '' : ' (not carried out)';
      lines.push(
        this.#paint('bold', `Changes asked for${note}`),
        ...edits.map((edit) => `  ${editText(edit)}`),
        ...notes.map((note) => `  ${this.#paint('yellow', visible(note))}`),
        '',
      );
    }
    if (recipients.length > 1) {
      const width = Math.max(...recipients.map(({ address }) => widthOf(visible(address))));
      lines.push(this.#paint('bold', 'Recipients'));
      for (const recipient of recipients) {
        const { word } = ACTION_WORDS[recipient.action];
        const { code, enhanced, lines: texts } = recipient.reply;
        const text = [code, enhanced ?? '', texts.join(' / ')].join(' ');
        lines.push(
          `  ${padded(visible(recipient.address), width)}  ${this.#reply(code, `${word}: ${visible(text)}`)}`,
        );
      }
      lines.push('');
    }
    const by =
      decisive?.call && !decisive.call.failure ? ` by ${decisive.call.name}${at(decisive.call)}` : '';
    const reason = delivery?.reason === undefined ? '' : `: ${visible(delivery.reason)}`;
    lines.push(
      `${this.#paint('bold', `The client of ${this.#mta} sees`)}  ${replyLines(reply)
        .map((line) => this.#reply(reply.code, visible(line)))
        .join('\n                             ')}`,
      `${this.#paint('bold', 'The message is')} ${this.#paint(colour, `${sentence}${reason}`)}${by}`,
      ...(scriptFailure
        ? [this.#failure(`The script does not run: ${visible(positioned(scriptFailure))}`, scriptFailure)]
        : []),
      ...failures.flatMap(({ name, failure }) =>
        failure ? [this.#failure(`${name} failed: ${visible(positioned(failure))}`, failure)] : [],
      ),
    );
    const changes = changesOf(outcome);
    if (changes.length > 0) lines.push('', ...changes.map((line) => this.#diffLine(line)));
    else if (delivery && action !== 'discard') lines.push('It is delivered as it was sent.');
    return lines;
  }

  problems(problems: readonly string[]): string[] {
    return problems.map((problem) => this.#paint('yellow', `warning: ${visible(problem)}`));
  }

  #failure(text: string, { action }: Failure): string {
    return this.#paint('red', `${text} (--on-error ${action})`);
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
