/**
 * Runs Lua source in a context as a policy's main chunk, with all libraries.
 */

import { LuaContext, type Outcome } from '../../../src/lua/context/context.ts';
import { Template } from '../../../src/lua/context/template.ts';
import { defaultLimits, type Limits } from '../../../src/lua/engine/host.ts';
import { libraries } from '../../../src/lua/lib/libraries.ts';
import { withPackagePath } from '../../../src/lua/lib/package.ts';
import { compile } from '../../../src/lua/script/compilation.ts';

let template: Template | undefined;

export interface Run {
  readonly outcome: Outcome<void>;
  /** What the script printed, as latin1 text with line ends. */
  readonly output: string;
}

export interface RunOptions {
  readonly limits?: Partial<Limits>;
  readonly allowExecute?: boolean;
  readonly name?: string;
}

/** `source` is latin1 text or bytes. */
export async function runLua(source: string | Buffer, options: RunOptions = {}): Promise<Run> {
  template ??= withPackagePath(new Template(libraries), './?.lua');
  let output = '';
  const bytes = typeof source === 'string' ? Buffer.from(source, 'latin1') : source;
  const context = new LuaContext({
    template,
    script: compile(bytes, options.name ?? 'test.lua'),
    limits: { ...defaultLimits, ...options.limits },
    print: (line) => {
      output += `${Buffer.from(line).toString('latin1')}\n`;
    },
    allowExecute: options.allowExecute ?? false,
  });
  try {
    return { outcome: await context.run(), output };
  } finally {
    context.dispose();
  }
}

/** Runs a script that must end without an error; returns what it printed. */
export async function outputOf(source: string | Buffer, options: RunOptions = {}): Promise<string> {
  const { outcome, output } = await runLua(source, options);
  if (outcome.kind !== 'done') throw new Error(`${outcome.kind}: ${JSON.stringify(outcome)}\n${output}`);
  return output;
}
