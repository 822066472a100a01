/** What has become of an edited policy, as `reload` tells it. Texts are latin1. */
import { consequenceOf, NO_CALLBACKS } from '../policy/failure.ts';
import type { OnError } from '../policy/policy-settings.ts';
import type { ScriptReport } from '../policy/policy-source.ts';
import type { ScriptStatus } from './status.ts';

export interface ReloadResult {
  /**
   * `live`: it is what new sessions run from now on; `unchanged`: it was that before; `refused`: another serves, or none.
   */
  readonly outcome: 'live' | 'unchanged' | 'refused';
  readonly path: string;
  /** Hash of the version that serves new sessions; null where none can run. */
  readonly hash: string | null;
  /** Of that version, as the script spells them. */
  readonly callbacks: readonly string[];
  /** Callbacks that the version before it did not have, and those that it had besides. */
  readonly gained: readonly string[];
  readonly lost: readonly string[];
  /** Why it is refused: `file:line: ...`. */
  readonly reason: string | null;
  /** Cases of its tests that have passed; null where none were run. */
  readonly passed: number | null;
  readonly warnings: readonly string[];
  /** Processes that have it. */
  readonly processes: number;
  /** Processes that have not said in time that they have it. */
  readonly silent: number;
  /** `--on-error`. */
  readonly onError: OnError;
}

/** @param before the script before the reload @param now the same after it */
export function reloadResult(
  { callbacks: before }: Pick<ScriptStatus, 'callbacks'>,
  now: ScriptStatus,
  { warnings: ofScript, path }: ScriptReport,
  told: Pick<ReloadResult, 'processes' | 'silent'> & {
    readonly passed?: number | undefined;
    readonly warnings?: readonly string[];
    /** Whether another version serves than before. */
    readonly isNew: boolean;
  },
): ReloadResult {
  const { processes, silent, passed, warnings = [], isNew } = told;
  const refused = now.problem !== undefined;
  return {
    outcome: refused ? 'refused' : isNew ? 'live' : 'unchanged',
    path: now.path,
    hash: now.hash ?? null,
    callbacks: now.callbacks,
    gained: refused ? [] : without(now.callbacks, before),
    lost: refused ? [] : without(before, now.callbacks),
    reason: now.problem?.trim().replace(/\s*\n\s*/g, ' / ') ?? null,
    passed: passed ?? null,
    warnings: [...warnings, ...ofScript.map(({ text }) => `${path}: ${text}`)],
    processes,
    silent,
    onError: now.onError,
  };
}

/** `do_mail` and `mail` are one callback. */
function without(names: readonly string[], others: readonly string[]): string[] {
  const plain = (name: string) => name.replace(/^do_/, '');
  const known = new Set(others.map(plain));
  return names.filter((name) => !known.has(plain(name)));
}

/** Lines for people; the first says all that is needed. */
export function reloadLines(result: ReloadResult): string[] {
  const { outcome, path, hash, callbacks, gained, lost, reason, passed, warnings, onError } = result;
  const names = `callbacks: ${callbacks.join(' ') || `none, ${NO_CALLBACKS}`}`;
  const serving = `${path} (${hash}), ${names}`;
  if (outcome === 'refused') {
    const rest = hash === null ? consequenceOf(onError) : `${path} (${hash}) serves`;
    return [`refused: ${reason}`, rest, ...silence(result), ...warnings.map((text) => `warning: ${text}`)];
  }
  return [
    `${outcome}: ${serving}`,
    ...(outcome === 'live'
      ? [
          `${count(result.processes, 'process', 'processes')} took it; sessions in progress keep the version before`,
        ]
      : []),
    ...(gained.length > 0 ? [`new: ${gained.join(' ')}`] : []),
    ...(lost.length > 0 ? [`no longer: ${lost.join(' ')}`] : []),
    ...(passed === null ? [] : [`${count(passed, 'test', 'tests')} passed`]),
    ...silence(result),
    ...warnings.map((text) => `warning: ${text}`),
  ];
}

function count(number: number, one: string, several: string): string {
  return `${number} ${number === 1 ? one : several}`;
}

function silence({ processes, silent }: ReloadResult): string[] {
  if (silent === 0) return [];
  return [`${silent} of ${processes + silent} processes did not say in time that they have it`];
}
