/** A client of a mail server whose milter runs the policy under test: says commands, sends messages, hears what arrived. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { until } from './deadline.ts';
import { SmtpClient } from './smtp-client.ts';
import type { MtaSetup } from './suite.ts';

const FROM_AND_TO = ['From: a@src.test', 'To: b@dest.test'];

export interface Delivered {
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Of the first delivery. */
  readonly content: string;
}

/** One SMTP session after the other with a mail server whose milter runs the policy under test. */
export class Client {
  readonly #setup: MtaSetup;
  readonly #session: SmtpClient;
  readonly #name: string;

  private constructor(setup: MtaSetup, session: SmtpClient, name: string) {
    this.#setup = setup;
    this.#session = session;
    this.#name = name;
  }

  static async open(t: TestContext, setup: MtaSetup, name = 'client.test'): Promise<Client> {
    const { server } = setup.running();
    const session = await SmtpClient.connect('127.0.0.1', server.smtpPorts.unix);
    t.after(() => session.close());
    const client = new Client(setup, session, name);
    await session.reply();
    await client.say(`EHLO ${name}`);
    return client;
  }

  say(line: string): Promise<string> {
    this.#session.send(`${line}\r\n`);
    return this.#session.reply();
  }

  mail(path: string): Promise<string> {
    const { name } = this.#setup.running().server;
    return this.say(`MAIL FROM:${path}${name === 'postfix' && /[\x80-\xff]/.test(path) ? ' SMTPUTF8' : ''}`);
  }

  /**
   * Sends a message to the recipients taken, and waits until nothing of it is left in the queue.
   *
   * @param headers lines; those that both MTAs want are added
   */
  async message(headers: readonly string[] = FROM_AND_TO): Promise<Delivered> {
    const mark = `mark${randomBytes(6).toString('hex')}`;
    const lines = [...headers, 'Date: Sun, 22 Nov 2026 12:00:00 +0000'];
    assert.match(await this.say('DATA'), /^354/);
    const reply = await this.say([...lines, `Message-ID: <${mark}@src.test>`, '', 'x', '.'].join('\r\n'));
    assert.match(reply, /^250/, `${this.#name}: ${reply}`);
    const { sink, server } = this.#setup.running();
    await until(
      () => (server.queued().length === 0 ? true : undefined),
      () => `the queue is empty: ${server.queued().join(' ')}`,
    );
    const arrived = await sink.claim(mark, 1);
    const bare = (path: string) => /^<(.*?)>(?: |$)/.exec(path)?.[1] ?? path;
    return {
      sender: bare(arrived[0]?.mail ?? ''),
      recipients: arrived.flatMap(({ rcpts }) => rcpts.map(bare)),
      content: arrived[0]?.content ?? '',
    };
  }

  async quit(): Promise<void> {
    await this.say('QUIT');
    this.#session.close();
  }
}
