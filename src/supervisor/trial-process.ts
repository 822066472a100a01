/**
 * The program of a process that has one edited policy on trial, as the user who runs the policy, and ends. It serves nobody,
 * so that it may take its time; the supervisor bounds that, and its memory.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { join } from 'node:path';
import { openSink } from '../syslog/open-sink.ts';
import { EXIT, systemReason } from '../text/operator-error.ts';
import { type TrialStart, tryPolicy } from '../trial/trial.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import { hideWorkerEnvironment } from './orphans.ts';
import { postUp } from './upward.ts';

/** How much nicer it is than the server: sessions come first, and it is still to end in its time. */
const NICENESS = 5;
const NICEST = 19;

process.title = 'smtpf-milter: trial of an edited policy';
// Signals are the supervisor's: a terminal and systemd send theirs to all processes at once.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {});
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});
process.on('disconnect', () => process.exit(EXIT.ok));

function post(message: FromWorker): void {
  postUp(message, message.kind);
}

async function begin(start: TrialStart): Promise<void> {
  hideWorkerEnvironment();
  try {
    setPriority(Math.min(getPriority() + NICENESS, NICEST));
  } catch {
    // Then it has its share as all have.
  }
  const complain = (message: string) => post({ kind: 'complaint', message });
  const sink = openSink(start.options.syslog, complain, start.options.logFormat);
  // Of the tests. A trial that was killed has left its own.
  const scratch = join(start.spool, 'trial');
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { mode: 0o700 });
  process.env['TMPDIR'] = scratch;
  const verdict = await tryPolicy(start, sink, {
    loaded: (found) => post({ kind: 'trialLoaded', found }),
    trying: (what) => post({ kind: 'trying', what }),
  }).finally(() => rmSync(scratch, { recursive: true, force: true }));
  await sink.close();
  post({ kind: 'tried', verdict });
}

process.on('message', (message: ToWorker) => {
  if (message.kind !== 'try') return;
  begin(message.start).catch((error: unknown) => {
    const reason = error instanceof Error ? (error.stack ?? error.message) : systemReason(error);
    post({ kind: 'failed', message: reason, exitCode: EXIT.software });
  });
});
