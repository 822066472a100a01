/** What the commands need of the Lua side: policies for connections, and an account of the script as it is now. */
import type { Logger } from './log.ts';
import { type CurrentScript, ScriptFile } from './lua/script.ts';
import type { Policy, PolicyFactory } from './milter/policy.ts';
import type { Options } from './options.ts';

/** The script as `examine` found it. Text is latin1. */
export interface ScriptReport {
  readonly path: string;
  /** Short hash of the source; undefined when it could not be compiled. */
  readonly hash: string | undefined;
  /** As the script spells them: `do_rcpt`, or `rcpt`. In the order of an SMTP session. */
  readonly callbacks: readonly string[];
  /** `file:line: message` of what keeps the script from running. */
  readonly problem: string | undefined;
  /** `file: message` of what is allowed and hardly meant. */
  readonly warnings: readonly string[];
}

export interface PolicySource extends PolicyFactory {
  /** Reads the script anew and runs its main chunk in a context of its own, as a connection would. */
  examine(): Promise<ScriptReport>;
}

export interface PolicySourceSettings {
  readonly options: Options;
  readonly log: Logger;
  /** The private directory for message files. */
  readonly spool: string;
}

export function openPolicySource({ options }: PolicySourceSettings): PolicySource {
  const file = new ScriptFile(options.script);
  return {
    open(): Policy {
      throw new Error('policies are not connected to the server yet');
    },
    examine: async () => report(file.current(), options.script),
  };
}

function report({ script, failure }: CurrentScript, path: string): ScriptReport {
  return { path, hash: script?.hash, callbacks: [], problem: failure?.message, warnings: [] };
}
