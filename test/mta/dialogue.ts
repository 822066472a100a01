/** One SMTP session of a case: takes its steps in order and compares every reply. */
import assert from 'node:assert/strict';
import { until } from './deadline.ts';
import type { Expected, Pattern, Step } from './mail-case.ts';
import type { MailServer, MtaName } from './mail-server.ts';
import { SmtpClient } from './smtp-client.ts';
import type { Call } from './trace.ts';

/** What the steps of a case need besides the connection. */
export interface Stage {
  readonly server: MailServer;
  readonly host: string;
  readonly port: number;
  /** Fills in the marks of the case. */
  fill(text: string): string;
  /** What the policy has traced so far. */
  calls(): readonly Call[];
  /** Puts another policy in place. */
  install(lua: string | undefined): void;
}

export class Dialogue {
  readonly #stage: Stage;
  readonly #transcript: string[];
  #client: SmtpClient | undefined;

  /** What is said and heard is added to `transcript`. */
  constructor(stage: Stage, transcript: string[]) {
    this.#stage = stage;
    this.#transcript = transcript;
  }

  async take(steps: readonly Step[]): Promise<void> {
    try {
      for (const step of steps) await this.#take(step);
    } finally {
      this.#client?.close();
    }
  }

  async #take(step: Step): Promise<void> {
    switch (step.kind) {
      case 'say':
        if (step.line) await this.#send(`${step.line}\r\n`);
        return this.#hear(step.line || 'greeting', step.expect);
      case 'pipeline':
        await this.#send(step.says.map(({ line }) => `${line}\r\n`).join(''));
        for (const { line, expect } of step.says) await this.#hear(line, expect);
        return;
      case 'message':
        await this.#send(`${stuffDots(this.#stage.fill(step.content))}.\r\n`);
        return this.#hear('message', step.expect);
      case 'bdat': {
        const content = this.#stage.fill(step.content);
        const half = Math.floor(content.length / 2);
        await this.#send(`BDAT ${half}\r\n${content.slice(0, half)}`);
        await this.#hear('first BDAT', '250');
        await this.#send(`BDAT ${content.length - half} LAST\r\n${content.slice(half)}`);
        return this.#hear('last BDAT', step.expect);
      }
      case 'send':
        return this.#send(this.#stage.fill(step.text));
      case 'closed':
        assert.equal(await (await this.#connection()).reply(), '', 'the server closes');
        return;
      case 'tls':
        return (await this.#connection()).startTls();
      case 'drop':
        (await this.#connection()).drop();
        return;
      case 'policy':
        return this.#stage.install(step.lua);
      case 'called':
        if (this.#stage.server.name !== step.on) return;
        await until(
          () => (this.#stage.calls().some(({ name }) => name === step.name) ? true : undefined),
          () => `smtp.${step.name}()`,
        );
        return;
      case 'submit':
        assert.ok(this.#stage.server.submit, 'this mail server takes no local submission');
        return this.#stage.server.submit(step.args, this.#stage.fill(step.content).replaceAll('\r\n', '\n'));
      default:
        step satisfies never;
    }
  }

  async #connection(): Promise<SmtpClient> {
    this.#client ??= await SmtpClient.connect(this.#stage.host, this.#stage.port);
    return this.#client;
  }

  async #send(text: string): Promise<void> {
    this.#transcript.push(`> ${text.slice(0, 200).trimEnd()}`);
    (await this.#connection()).send(text);
  }

  async #hear(line: string, expected: Expected): Promise<void> {
    const reply = await (await this.#connection()).reply();
    this.#transcript.push(`< ${reply}`);
    expectReply(line, reply, expected, this.#stage.server.name);
  }
}

/** RFC 5321 section 4.5.2. */
export function stuffDots(content: string): string {
  return content.replace(/^\./gm, '..');
}

function expectReply(line: string, reply: string, expected: Expected, mta: MtaName): void {
  const pattern = typeof expected === 'string' || expected instanceof RegExp ? expected : expected[mta];
  if (typeof pattern === 'string' && /^\d{3}$/.test(pattern)) {
    assert.equal(reply.slice(0, 3), pattern, `${line}: ${reply}`);
  } else {
    expectText(reply, pattern, line);
  }
}

function expectText(text: string, pattern: Pattern, what: string): void {
  if (typeof pattern === 'string') assert.equal(text, pattern, `${what}: '${text}', not '${pattern}'`);
  else assert.match(text, pattern, `${what}: '${text}', not ${pattern}`);
}
