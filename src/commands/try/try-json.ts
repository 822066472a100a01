/** What `smtpf-milter try --json` prints: docs/try.md describes it. Text is latin1, one character for each byte. */

import { wholeOf } from '../../milter/body-bytes.ts';
import { addressOf, verifiedNameOf } from '../../milter/connect.ts';
import type { PolicyEvent } from '../../milter/policy.ts';
import type { Modification } from '../../milter/reply.ts';
import { inOneLine } from '../../policy/failure.ts';
import type { CallRecord } from '../../policy/policy-settings.ts';
import { type ScriptReport, warningLines } from '../../policy/policy-source.ts';
import { type ClientReply, replyLines } from '../../workbench/client-reply.ts';
import type { Envelope } from '../../workbench/delivery.ts';
import { formatMessage } from '../../workbench/mail-message.ts';
import type { RecordedCall } from '../../workbench/recorder.ts';
import type { Exchange, MessageOutcome, RecipientOutcome } from '../../workbench/smtp-dialogue.ts';
import { changesOf } from './try-diff.ts';

/** Longer chunks of a body are cut. */
const CHUNK_SHOWN = 256;

type Json = Readonly<Record<string, unknown>>;

export function scriptJson({ path, hash, callbacks, problem, warnings }: ScriptReport): Json {
  const names = callbacks.map((name) => `smtp.${name}`);
  return {
    path,
    hash: hash ?? null,
    callbacks: names,
    problem: problem ?? null,
    warnings: warningLines({ path, warnings }),
  };
}

export function outcomeJson(outcome: MessageOutcome): Json {
  const { reply, action, recipients, edits, notes, delivery, decisive, envelope, failures } = outcome;
  return {
    verdict: { ...replyJson(reply), action, ...decisiveJson(decisive) },
    recipients: recipients.map(recipientJson),
    edits: edits.map(editJson),
    notes: [...notes],
    sent: envelopeJson(envelope),
    delivery: delivery
      ? {
          action: delivery.action,
          reason: delivery.reason ?? null,
          ...envelopeJson(delivery.envelope),
          message: formatMessage(delivery.message).toString('latin1'),
        }
      : null,
    failures: failures.map(failureJson),
    diff: changesOf(outcome).join('\n'),
  };
}

/** The run of the main chunk; null where the script has not been run. */
export function loadJson(calls: readonly RecordedCall[]): Json | null {
  const run = calls.find(({ call }) => call === undefined);
  return run ? insideJson(run) : null;
}

export function callsJson(calls: readonly RecordedCall[]): Json[] {
  return calls.flatMap((recorded) => {
    const { call } = recorded;
    if (!call) return [];
    return {
      name: call.name,
      args: argumentsJson(call.event),
      result: resultJson(call),
      error: call.failure ? inOneLine(call.failure) : null,
      on_error: call.failure?.action ?? null,
      where: call.where === '' ? null : call.where,
      ...insideJson(recorded),
    };
  });
}

function insideJson({ call, wallMilliseconds, asked, log }: RecordedCall): Json {
  return {
    ...(call && { cpuMilliseconds: rounded(call.cpuMilliseconds) }),
    wallMilliseconds: rounded(wallMilliseconds),
    lookups: asked.map(({ service, question, answer, failure, milliseconds, cached }) => ({
      service,
      question,
      answer: answer ?? null,
      failure: failure ?? null,
      wallMilliseconds: rounded(milliseconds),
      cached,
    })),
    log,
  };
}

export function dialogueJson(exchanges: readonly Exchange[]): Json[] {
  return exchanges.flatMap(({ said, reply }) =>
    said === undefined || !reply ? [] : [{ client: said, server: replyLines(reply) }],
  );
}

export function replyJson({ code, enhanced, lines }: ClientReply): Json {
  return { code, enhanced: enhanced ?? null, text: lines.join('\n') };
}

function decisiveJson(decisive: RecordedCall | undefined): Json {
  const call = decisive?.call;
  return { callback: call?.name ?? null, where: call && call.where !== '' ? call.where : null };
}

export function failureJson({ name, failure }: CallRecord): Json {
  const { message, where, action } = failure ?? {};
  return { callback: name, where: where || null, error: message ?? null, on_error: action ?? null };
}

function recipientJson({ address, asked, reply, action }: RecipientOutcome): Json {
  return { address, ...replyJson(reply), action, rcpt: asked ? replyJson(asked) : null };
}

function envelopeJson({ sender, senderParams, recipients }: Envelope): Json {
  return {
    sender: { address: sender, params: senderParams },
    recipients: recipients.map(({ address, params }) => ({ address, params })),
  };
}

function editJson(edit: Modification): Json {
  if (edit.kind !== 'replaceBody') return { ...edit };
  return { kind: edit.kind, size: edit.bytes.length, body: edit.bytes.toString('latin1') };
}

function resultJson({ verdict }: CallRecord): Json {
  if (verdict.kind !== 'reply') return { action: verdict.kind };
  const { code, enhanced, lines } = verdict;
  const action = code >= 500 ? 'reject' : 'tempfail';
  return { action, code, enhanced: enhanced ?? null, text: lines.join('\n') };
}

function argumentsJson(event: PolicyEvent): unknown[] {
  switch (event.kind) {
    case 'connect': {
      const { client, hostname } = event;
      const ip = addressOf(client);
      return [ip, verifiedNameOf(hostname)];
    }
    case 'helo':
      return [event.name];
    case 'mail':
    case 'rcpt':
      return [event.address, event.params];
    case 'headers':
      return [event.lines];
    case 'chunk':
      return [wholeOf(event.bytes).toString('latin1', 0, CHUNK_SHOWN), event.bytes.length];
    case 'unknown':
      return [event.line];
    case 'endOfMessage':
    case 'data':
    case 'reset':
    case 'close':
      return [];
    default:
      return event satisfies never;
  }
}

/** To a microsecond. */
export function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}
