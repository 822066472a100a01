/** Runs one case over one transport of a mail server, and compares what was seen with what must be. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './deadline.ts';
import { Dialogue } from './dialogue.ts';
import type { Arrival, MailCase, Pattern } from './mail-case.ts';
import type { MailServer, Transport } from './mail-server.ts';
import { type Milter, writePolicy } from './milter.ts';
import type { Delivery, SmtpSink } from './smtp-sink.ts';
import { type Call, callsBySession, policyPrelude, readTrace } from './trace.ts';

/** What a suite has started once. */
export interface RunningSetup {
  readonly server: MailServer;
  readonly milter: Milter;
  readonly sink: SmtpSink;
  /** The policy file our server was started with. */
  readonly script: string;
}

export async function runCase(setup: RunningSetup, mailCase: MailCase, transport: Transport): Promise<void> {
  const { server, milter } = setup;
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-case-'));
  const mark = `case${randomBytes(6).toString('hex')}`;
  const fill = (text: string) => text.replaceAll('{mark}', mark).replaceAll('{directory}', directory);
  const prelude = mailCase.bare ? '' : policyPrelude(join(directory, 'trace'));
  // The mark makes each policy a new version of the file, even where the case before had the same text.
  const install = (lua: string | undefined) => {
    if (lua === undefined) rmSync(setup.script, { force: true });
    else writePolicy(setup.script, `${prelude}${fill(lua)}\n-- ${mark}\n`);
  };
  const logStart = milter.logLength;
  const transcript: string[] = [];
  try {
    install(mailCase.policy);
    const calls = () => readTrace(join(directory, 'trace'));
    const host = mailCase.ipv6 ? '::1' : '127.0.0.1';
    const stage = { server, host, port: server.smtpPorts[transport], fill, install, calls };
    if (mailCase.atOnce) {
      await Promise.all(mailCase.sessions.map((steps) => new Dialogue(stage, transcript).take(steps)));
    } else {
      for (const steps of mailCase.sessions) await new Dialogue(stage, transcript).take(steps);
    }
    const traced = await tracedCalls(join(directory, 'trace'), mailCase.calls);
    const delivered = await setup.sink.claim(mark, mailCase.arrives.length);
    expectArrivals(delivered, mailCase.arrives, fill);
    const log = () => milter.logSince(logStart);
    await mailCase.check?.({ mta: server.name, transport, mark, calls: traced, delivered, log, directory });
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
  // Queued messages are delivered side by side: a later one may arrive first.
  const left = [...delivered];
  arrivals.forEach(({ mail, rcpts, content }) => {
    const found = left.findIndex((other) => isAddress(other.mail, mail));
    assert.ok(found >= 0, `delivered sender: '${left[0]?.mail}', not '${mail}'`);
    const [delivery] = left.splice(found, 1) as [Delivery];
    // Sendmail delivers in its own order.
    const rest = [...delivery.rcpts];
    for (const rcpt of rcpts) {
      const at = rest.findIndex((given) => isAddress(given, rcpt));
      assert.ok(at >= 0, `not delivered to '${rcpt}', but to ${delivery.rcpts.join(', ')}`);
      rest.splice(at, 1);
    }
    assert.deepEqual(rest, [], 'delivered to more than the wanted recipients');
    const wanted = fill(content);
    // Compared as the end of the message: above it stand the lines the mail server adds.
    assert.equal(delivery.content.slice(-wanted.length), wanted, 'delivered headers and body');
  });
}

/** Text is the address alone, a pattern is for the ESMTP parameters too. */
function isAddress(given: string, wanted: Pattern): boolean {
  return typeof wanted === 'string' ? given === wanted || given.startsWith(`${wanted} `) : wanted.test(given);
}

function formatCall({ session, name, args }: Call): string {
  return `${session} ${name} ${JSON.stringify(args)}`;
}
