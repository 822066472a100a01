/**
 * What a session comes to, step by step: what the SMTP client would see of each command. Steps have keys, by which those of
 * a recording, or of one policy, are compared with those of another.
 */
import type { Command } from '../milter/command.ts';
import type { Modification, Reply } from '../milter/reply.ts';
import type { Entry } from '../recording/recorded-session.ts';
import type { ReadSession } from './commands.ts';

export type Stage = 'connect' | 'helo' | 'mail' | 'rcpt' | 'data' | 'message' | 'unknown';

export interface Step {
  readonly stage: Stage;
  /** The same in another run of the session: `rcpt 1.2`. */
  readonly key: string;
  /** Which message of the session it belongs to; 0: to none. */
  readonly message: number;
  /** As people know the command: `RCPT TO:<a@example.com>`. Latin1. */
  readonly command: string;
  readonly reply: Reply;
  readonly edits: readonly Modification[];
  /** The callback that was called last, and the `file:line` that it returned from; '' where none was, or it is not known. */
  readonly callback: string;
  readonly where: string;
  /** What was asked and has no recorded answer. */
  readonly unrecorded: readonly string[];
  /** Of the message, where it is known. */
  readonly queueId: string | undefined;
}

const CONTINUE: Reply = { kind: 'continue' };

/** What a command has led to. */
export interface Outcome {
  readonly reply: Reply | undefined;
  readonly edits: readonly Modification[];
  readonly calls: readonly { readonly name: string; readonly where: string }[];
  readonly unrecorded: readonly string[];
  readonly queueId?: string | undefined;
}

/** Makes steps of commands in order. */
export class StepList {
  readonly steps: Step[] = [];
  #message = 0;
  #recipients = 0;
  #commands = 0;
  /** MAIL or what follows it has come, and no end of the message. */
  #isOpen = false;
  /** What the parts of a message have led to, as long as nothing has decided it. */
  #content: Outcome | undefined;
  #isDecided = false;

  add(command: Command, outcome: Outcome): void {
    switch (command.kind) {
      case 'connect':
      case 'helo':
        this.end();
        this.#put(command.kind, labelOf(command), outcome, 0);
        break;
      case 'unknown':
        this.#put('unknown', command.line, outcome, 0);
        break;
      case 'mail':
        this.end();
        this.#open();
        this.#put('mail', labelOf(command), outcome, this.#message);
        break;
      case 'rcpt':
        this.#open();
        this.#recipients += 1;
        this.#put('rcpt', labelOf(command), outcome, this.#message);
        break;
      case 'data':
        this.#open();
        this.#put('data', 'DATA', outcome, this.#message);
        break;
      case 'header':
      case 'endOfHeaders':
      case 'body':
      case 'endOfMessage':
        this.#addContent(outcome, command.kind === 'endOfMessage');
        break;
      case 'abort':
        this.end();
        break;
      default:
    }
  }

  /** What has come of the message under way is all that comes of it. */
  end(): void {
    if (this.#content && !this.#isDecided) this.#put('message', 'the message', this.#content, this.#message);
    this.#content = undefined;
    this.#isDecided = false;
    this.#isOpen = false;
  }

  /** Some MTAs, asked for little, begin a message with RCPT or with its content. */
  #open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#message += 1;
    this.#recipients = 0;
  }

  #addContent(outcome: Outcome, isEnd: boolean): void {
    this.#open();
    if (!this.#isDecided) {
      this.#content = this.#content === undefined ? outcome : together(this.#content, outcome);
      if (isFinal(outcome.reply)) {
        this.#put('message', 'the message', this.#content, this.#message);
        this.#isDecided = true;
      }
    }
    if (isEnd) this.end();
  }

  #put(
    stage: Stage,
    command: string,
    { reply, edits, calls, unrecorded, queueId }: Outcome,
    message: number,
  ): void {
    this.#commands += 1;
    const number =
      stage === 'rcpt' ? `${message}.${this.#recipients}` : message > 0 ? `${message}` : this.#commands;
    const call = calls.at(-1);
    this.steps.push({
      stage,
      key: `${stage} ${number}`,
      message,
      command,
      reply: reply === undefined || reply.kind === 'skip' ? CONTINUE : reply,
      edits,
      callback: call?.name ?? '',
      where: call?.where ?? '',
      unrecorded,
      queueId,
    });
  }
}

/** The first part that decides a message is what became of it. */
function together(before: Outcome, next: Outcome): Outcome {
  return {
    reply: next.reply ?? before.reply,
    edits: [...before.edits, ...next.edits],
    calls: [...before.calls, ...next.calls],
    unrecorded: [...before.unrecorded, ...next.unrecorded],
    queueId: next.queueId ?? before.queueId,
  };
}

function isFinal(reply: Reply | undefined): boolean {
  return reply !== undefined && reply.kind !== 'continue' && reply.kind !== 'skip';
}

function labelOf(command: Extract<Command, { kind: 'connect' | 'helo' | 'mail' | 'rcpt' }>): string {
  switch (command.kind) {
    case 'connect':
      return `connect ${'address' in command.client ? command.client.address : command.hostname}`;
    case 'helo':
      return `HELO ${command.name}`;
    case 'mail':
      return `MAIL FROM:${command.address}`;
    case 'rcpt':
      return `RCPT TO:${command.address}`;
    default:
      return command satisfies never;
  }
}

/** A session as it was recorded. */
export function recordedSteps({ session, commands }: ReadSession): readonly Step[] {
  const list = new StepList();
  let command: Command | undefined;
  let number = 0;
  let outcome = nothing();
  for (const entry of session.entries) {
    if (entry[0] === 'command') {
      if (command) list.add(command, outcome);
      command = commands[number];
      number += 1;
      outcome = nothing();
    } else note(entry, outcome);
  }
  if (command) list.add(command, outcome);
  list.end();
  return list.steps;
}

interface Growing {
  reply: Reply | undefined;
  readonly edits: Modification[];
  readonly calls: { readonly name: string; readonly where: string }[];
  readonly unrecorded: readonly string[];
}

function nothing(): Growing {
  return { reply: undefined, edits: [], calls: [], unrecorded: [] };
}

function note(entry: Entry, outcome: Growing): void {
  if (entry[0] === 'reply') outcome.reply = entry[1];
  else if (entry[0] === 'edit') outcome.edits.push(entry[1]);
  else if (entry[0] === 'call' && !isToldOnly(entry[1]))
    outcome.calls.push({ name: entry[1], where: entry[2] });
}

/** Callbacks whose results count for nothing. */
export function isToldOnly(callback: string): boolean {
  return /^smtp\.(?:do_)?(?:rset|close)$/.test(callback);
}
