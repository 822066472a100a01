/** `smtpf-milter trace`: sessions of a running server, callback by callback, as they happen. */
import { askServer, type ControlReply } from '../control/control-client.ts';
import { type Decision, decisionLine } from '../control/decision.ts';
import { type CallTrace, networkOf, type TraceFilter } from '../control/trace.ts';
import type { Options } from '../options/option-table.ts';
import { unpositioned } from '../policy/failure.ts';
import { BadValue } from '../text/bad-value.ts';
import { asciiJson } from '../text/json-text.ts';
import { EXIT, OperatorError } from '../text/operator-error.ts';
import { visibleText } from '../text/visible.ts';
import { print } from './print.ts';
import { stopSignal } from './signals.ts';

/**
 * Prints until the server ends, or SIGINT.
 * @throws OperatorError when no server answers.
 */
export async function trace(
  options: Options,
  filter: TraceFilter,
  { json }: { readonly json: boolean },
): Promise<number> {
  if (filter.ip !== undefined) requireNetwork(filter.ip);
  const stop = stopSignal();
  for await (const record of askServer(options, { command: 'trace', ...filter }, stop)) {
    const { kind } = record;
    if (kind === 'attached') process.stderr.write('attached: waiting for sessions, Ctrl-C ends\n');
    // Whoever reads our output may have gone, as `head` does.
    else if (!(await print(`${json ? asciiJson(record) : lineOf(kind, record)}\n`))) return EXIT.ok;
  }
  if (stop.aborted) return EXIT.ok;
  process.stderr.write('the server has ended, or was not read fast enough\n');
  return EXIT.unavailable;
}

function requireNetwork(ip: string): void {
  try {
    networkOf(ip);
  } catch (error) {
    if (!(error instanceof BadValue)) throw error;
    throw new OperatorError(`--ip: ${JSON.stringify(ip)} ${error.message}`, EXIT.usage);
  }
}

/** The server is this program: its records have these forms. */
function lineOf(kind: unknown, record: ControlReply): string {
  return visibleText(
    kind === 'call' ? callLine(record as unknown as CallTrace) : decisionText(record as unknown as Decision),
  );
}

function callLine(call: CallTrace): string {
  const { time, session, transaction, queueId, callback, args, result, where } = call;
  const { cpuMilliseconds, wallMilliseconds, failure, onError } = call;
  const ids = `${transaction ?? session}${queueId === undefined ? '' : `: ${queueId}`}`;
  const line = where === undefined ? '' : ` at ${where}`;
  const end = failure === undefined ? `${result}${line}` : `failed${line}, --on-error ${onError}`;
  const problem = failure === undefined ? '' : `: ${unpositioned(failure, where)}`;
  const times = `cpu ${cpuMilliseconds.toFixed(3)} ms, wall ${wallMilliseconds.toFixed(3)} ms`;
  return `${clock(time)} ${ids}: ${callback}(${args.join(', ')}) -> ${end}, ${times}${problem}`;
}

function decisionText(decision: Decision): string {
  return `${clock(decision.time)} ${decisionLine(decision)}`;
}

function clock(time: number): string {
  return new Date(time).toISOString().slice(11, 23);
}
