/** Runs one case over one transport of a mail server, and compares what was seen with what must be. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './deadline.ts';
import { Dialogue, expectText } from './dialogue.ts';
import type { Arrival, MailCase } from './mail-case.ts';
import type { MailServer, Transport } from './mail-server.ts';
import { type Milter, writePolicy } from './milter.ts';
import type { Delivery, SmtpSink } from './smtp-sink.ts';
import { type Call, callsBySession, policyPrelude, readTrace } from './trace.ts';

/** What a suite has started once. */
export interface Bench {
  readonly server: MailServer;
  readonly milter: Milter;
  readonly sink: SmtpSink;
  /** The policy file our server was started with. */
  readonly script: string;
}

export async function runCase(bench: Bench, mailCase: MailCase, transport: Transport): Promise<void> {
  const { server, milter } = bench;
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-case-'));
  const mark = `case${randomBytes(6).toString('hex')}`;
  const fill = (text: string) => text.replaceAll('{mark}', mark).replaceAll('{directory}', directory);
  const prelude = mailCase.bare ? '' : policyPrelude(join(directory, 'trace'));
  const install = (lua: string) => writePolicy(bench.script, prelude + fill(lua));
  const logStart = milter.logLength;
  const transcript: string[] = [];
  try {
    install(mailCase.policy);
    const host = mailCase.ipv6 ? '::1' : '127.0.0.1';
    const stage = { server, host, port: server.smtpPorts[transport], fill, install };
    for (const steps of mailCase.sessions) await new Dialogue(stage, transcript).take(steps);
    const calls = await tracedCalls(join(directory, 'trace'), mailCase.calls);
    const delivered = await bench.sink.claim(mark, mailCase.arrives.length);
    expectArrivals(delivered, mailCase.arrives, fill);
    const log = () => milter.logSince(logStart);
    await mailCase.check?.({ mta: server.name, transport, mark, calls, delivered, log, directory });
  } catch (error) {
    const context = [
      `--- SMTP\n${transcript.join('\n')}`,
      `--- calls\n${readTrace(join(directory, 'trace')).map(formatCall).join('\n')}`,
      `--- milter\n${milter.logSince(logStart)}`,
      `--- ${server.name}\n${server.log()}`,
    ];
    if (error instanceof Error) error.message += `\n${context.join('\n')}`;
    throw error;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Waits until the last session is closed, then compares the names of all calls. */
async function tracedCalls(file: string, expected: readonly string[]): Promise<Call[]> {
  if (expected.length > 0) {
    const closed = () => readTrace(file).filter(({ name }) => name === 'close').length;
    await until(
      () => (closed() >= expected.length ? true : undefined),
      () => `smtp.close() in ${expected.length} sessions, seen in ${closed()}`,
    );
  }
  const calls = readTrace(file);
  assert.deepEqual(callsBySession(calls), expected, 'callbacks of each session');
  return calls;
}

function expectArrivals(
  delivered: Delivery[],
  arrivals: readonly Arrival[],
  fill: (text: string) => string,
): void {
  assert.equal(delivered.length, arrivals.length, 'messages delivered');
  arrivals.forEach(({ mail, rcpts, content }, index) => {
    const delivery = delivered[index]!;
    expectText(
      typeof mail === 'string' ? delivery.mail.split(' ')[0]! : delivery.mail,
      mail,
      'delivered sender',
    );
    assert.equal(delivery.rcpts.length, rcpts.length, `delivered to ${delivery.rcpts.join(' ')}`);
    rcpts.forEach((rcpt, at) => {
      const got = delivery.rcpts[at]!;
      expectText(typeof rcpt === 'string' ? got.split(' ')[0]! : got, rcpt, 'delivered recipient');
    });
    const wanted = fill(content);
    // Compared as the end of the message: above it stand the lines the mail server adds.
    assert.equal(delivery.content.slice(-wanted.length), wanted, 'delivered headers and body');
  });
}

function formatCall({ session, name, args }: Call): string {
  return `${session} ${name} ${JSON.stringify(args)}`;
}
