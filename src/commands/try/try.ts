/** `smtpf-milter try POLICY [MESSAGE]`: runs a policy without sending mail, and says what would become of it. */

import type { Options } from '../../options/option-table.ts';
import type { ScriptReport } from '../../policy/policy-source.ts';
import { indentedJson } from '../../text/json-text.ts';
import type { Exchange, MessageOutcome } from '../../workbench/smtp-dialogue.ts';
import { readInput, readStandardInput, requireScript } from '../input-file.ts';
import { paintFor } from '../paint.ts';
import { callsJson, dialogueJson, loadJson, outcomeJson, scriptJson } from './try-json.ts';
import { openMailbox } from './try-mailbox.ts';
import { sampleMessage, sendMessage } from './try-message.ts';
import { readPlan, type TryPlan } from './try-options.ts';
import { repeatJson, repeatText, tryAll } from './try-repeat.ts';
import { TryRun } from './try-run.ts';
import { followScript, isTyped, openScript } from './try-session.ts';
import { TryText } from './try-text.ts';

const EXIT = { accepted: 0, refused: 1, tempfail: 2, scriptError: 3 } as const;

/**
 * Prints what it finds on standard output.
 * @param args as yargs has them
 * @returns 0 accepted for at least one recipient, 1 refused, 2 tempfail, 3 script error; of several messages the worst.
 * @throws OperatorError when an option or file is wrong
 */
export async function tryPolicy(options: Options, args: Readonly<Record<string, unknown>>): Promise<number> {
  const plan = readPlan(args);
  requireScript('try', plan.policy);
  const run = new TryRun(options, plan);
  try {
    const script = await run.examine();
    if (run.plan.repeat !== undefined) return await repeat(run, script, run.plan.repeat);
    return await converse(run, script);
  } finally {
    run.close();
  }
}

async function messageOf(plan: TryPlan): Promise<Buffer> {
  if (plan.message === undefined) return sampleMessage(plan, new Date());
  return plan.message === '-' ? readStandardInput() : readInput('message', plan.message);
}

/** One session: a message, or what a script says. */
async function converse(run: TryRun, script: ScriptReport): Promise<number> {
  const { plan, recorder } = run;
  const paint = paintFor(process.stdout);
  const text = new TryText(paint, plan);
  const exchanges: Exchange[] = [];
  const content = await messageOf(plan);
  const commands = plan.session === undefined ? undefined : await openScript(plan.session);
  const typed = commands !== undefined && isTyped(commands);
  const dialogue = run.openSession((exchange) => {
    exchanges.push(exchange);
    if (!plan.json) print(text.exchange(typed ? { ...exchange, said: undefined } : exchange));
  });
  if (!plan.json) print(text.script(script));
  let outcomes: readonly MessageOutcome[];
  if (commands) {
    await followScript(dialogue, commands);
    commands.close();
    outcomes = dialogue.messages;
  } else outcomes = [await sendMessage(dialogue, plan, content)];

  const code = exitCode(outcomes, hasFailed(script, recorder.calls));
  if (plan.json) {
    const last = outcomes.at(-1);
    printJson({
      mta: plan.mta,
      script: scriptJson(script),
      client: { ip: plan.ip, ptr: plan.ptr },
      ...(last ? outcomeJson(last) : { verdict: null, recipients: [], edits: [], notes: [], delivery: null }),
      ...(commands ? { messages: outcomes.map(outcomeJson) } : {}),
      load: loadJson(recorder.calls),
      calls: callsJson(recorder.calls),
      dialogue: dialogueJson(exchanges),
      problems: recorder.problems,
      exit: code,
    });
  } else {
    outcomes.forEach((outcome, index) => {
      print(text.outcome(outcome, recorder.scriptFailure, outcomes.length > 1 ? index + 1 : undefined));
    });
    print(text.problems(recorder.problems));
  }
  return code;
}

async function repeat(run: TryRun, script: ScriptReport, path: string): Promise<number> {
  const { plan } = run;
  const paint = paintFor(process.stdout);
  const messages = await openMailbox(path);
  if (!plan.json) print(new TryText(paint, plan).script(script));
  const report = await tryAll(run, messages);
  const failed = script.problem !== undefined || report.tried.some(({ failures }) => failures.length > 0);
  const code = exitCode(
    report.tried.map(({ outcome }) => outcome),
    failed,
  );
  if (plan.json) {
    printJson({ mta: plan.mta, script: scriptJson(script), ...repeatJson(report), exit: code });
  } else print(repeatText(report, paint));
  return code;
}

function hasFailed(script: ScriptReport, calls: TryRun['recorder']['calls']): boolean {
  return script.problem !== undefined || calls.some(({ call }) => call?.failure !== undefined);
}

/** Of several messages the worst counts. */
function exitCode(outcomes: readonly MessageOutcome[], failed: boolean): number {
  if (failed) return EXIT.scriptError;
  const codes = outcomes.map(({ action }) => {
    switch (action) {
      case 'reject':
        return EXIT.refused;
      case 'tempfail':
        return EXIT.tempfail;
      default:
        return EXIT.accepted;
    }
  });
  return codes.find((code) => code === EXIT.refused) ?? codes.find((code) => code === EXIT.tempfail) ?? 0;
}

function print(lines: readonly string[]): void {
  if (lines.length > 0) process.stdout.write(Buffer.from(`${lines.join('\n')}\n`, 'latin1'));
}

function printJson(content: unknown): void {
  process.stdout.write(indentedJson(content));
}
