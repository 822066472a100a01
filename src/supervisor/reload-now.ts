/** `reload`: the edited policy is taken now, where it can be, and what came of it is told and logged. */
import { type ReloadResult, reloadLines, reloadResult } from '../control/reload.ts';
import type { ScriptStatus } from '../control/status.ts';
import type { ScriptReport } from '../policy/policy-source.ts';
import type { Logger } from '../syslog/log.ts';
import type { ReleaseGate } from './release-gate.ts';
import type { ScriptState } from './script-state.ts';

/** How many processes have what they were last told to take. */
export type Takers = Pick<ReloadResult, 'processes' | 'silent'>;

interface Parts {
  readonly script: ScriptState;
  readonly log: Logger;
  /** Where edits wait for their trial. */
  readonly gate: ReleaseGate | undefined;
  /** Where they do not: has the script looked at. */
  readonly examine: () => Promise<ScriptReport | undefined>;
  /** And has all take it as it is now. */
  readonly take: () => Promise<Takers>;
  readonly takers: () => Takers;
}

/** @throws Error when no process answers */
export async function reloadNow({ script, log, gate, examine, take, takers }: Parts): Promise<ReloadResult> {
  const before = script.status;
  const outcome = await gate?.request();
  const report = outcome?.report ?? (await examine());
  if (report === undefined) throw new Error('no worker process answers');
  const told = outcome ? takers() : await take();
  const now = script.status;
  const result = reloadResult(before, now, report, {
    ...told,
    passed: outcome?.passed,
    warnings: outcome?.warnings ?? [],
    isNew: outcome ? outcome.kind === 'live' : isOther(before, now),
  });
  log[levelOf(result)](`reload: ${reloadLines(result).join('; ')}`);
  return result;
}

/** As far as the script's own file tells: the modules that it loads are what they are for each session. */
function isOther(before: ScriptStatus, now: ScriptStatus): boolean {
  return before.hash !== now.hash || before.callbacks.join() !== now.callbacks.join();
}

function levelOf({ outcome, callbacks, lost, silent }: ReloadResult): 'error' | 'warning' | 'notice' {
  if (outcome === 'refused' || callbacks.length === 0) return 'error';
  return lost.length > 0 || silent > 0 ? 'warning' : 'notice';
}
