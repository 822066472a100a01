/** A session script: SMTP commands from a file, from a pipe, or as a person types them. */
import { dirname, resolve } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { OperatorError } from '../../text/operator-error.ts';
import { visibleText } from '../../text/visible.ts';
import type { SmtpDialogue } from '../../workbench/smtp-dialogue.ts';
import { type CommandSource, linesOf, parseSmtpCommand, readMessage } from '../../workbench/smtp-script.ts';
import { readInput, readStandardInput } from '../input-file.ts';

const HELP = `Say SMTP to the policy: EHLO, MAIL FROM:<a@example.com>, RCPT TO:<b@example.net>, DATA (the message follows, up to
a line with a dot) or DATA FILE, RSET, STARTTLS, AUTH USER, QUIT. Ctrl-D: the client goes without QUIT.
`;

/** Where commands come from, and the directory that files named in them are looked for. */
export interface SessionScript extends CommandSource {
  readonly directory: string;
  close(): void;
}

/** @param path of the script; `-` is standard input. @throws OperatorError */
export async function openScript(path: string): Promise<SessionScript> {
  if (path === '-' && process.stdin.isTTY) return new TypedCommands();
  const text = path === '-' ? await readStandardInput() : readInput('--session', path);
  return {
    ...linesOf(text.toString('latin1')),
    directory: path === '-' ? '.' : dirname(path),
    close() {},
  };
}

/** Whether a person types the commands, and so sees them already. */
export function isTyped(script: SessionScript): boolean {
  return script instanceof TypedCommands;
}

/** Says all commands, up to QUIT or the end; where the MTA has closed the connection, no more. */
export async function followScript(dialogue: SmtpDialogue, script: SessionScript): Promise<void> {
  await dialogue.connect();
  for (let line = await next(dialogue, script); line !== undefined; line = await next(dialogue, script)) {
    if (/^\s*(#|$)/.test(line)) continue;
    const command = parseSmtpCommand(line);
    // A file that cannot be read is no part of the session: nothing has been said yet.
    let content: Buffer | undefined;
    try {
      if (command.kind === 'data' && command.file !== undefined) {
        content = readInput('DATA', resolve(script.directory, command.file));
      }
    } catch (error) {
      if (!isTyped(script) || !(error instanceof OperatorError)) throw error;
      process.stderr.write(`${visibleText(error.message)}\n`);
      continue;
    }
    const { code } = await dialogue.say(command);
    if (command.kind !== 'data') continue;
    if (code === 354) await dialogue.message(content ?? (await readMessage(script)));
    else if (content === undefined) script.skipMessage();
  }
  await dialogue.end();
}

async function next(dialogue: SmtpDialogue, script: SessionScript): Promise<string | undefined> {
  return dialogue.closed ? undefined : script.next();
}

class TypedCommands implements SessionScript {
  readonly directory = '.';
  readonly #interface: Interface;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    process.stderr.write(HELP);
    this.#interface = createInterface({ input: process.stdin, output: process.stderr, prompt: 'C: ' });
    this.#lines = this.#interface[Symbol.asyncIterator]();
  }

  async next(): Promise<string | undefined> {
    this.#interface.prompt();
    const { done, value } = await this.#lines.next();
    return done === true ? undefined : Buffer.from(value, 'utf8').toString('latin1');
  }

  skipMessage(): void {}

  close(): void {
    this.#interface.close();
  }
}
